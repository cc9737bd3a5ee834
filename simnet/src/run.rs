//! A run from a seed to its report, and what has to hold after every step of it.

use crate::faults;
use crate::members::Shape;
use crate::node::SLOTS;
use crate::user::Tally;
use crate::world::{Actor, FIRST, World};
use dataplane::Shard;
use dataplane::io::sim::Simulation;
use interplane::DropReason;
use pki::Epoch;
use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

/// Epochs before the first fault: the network has its first document by then.
const BEFORE: u64 = 3;
/// Quiet epochs at the end, in which everybody has to find back.
const AFTER: u64 = 5;
/// The longest step: invariants of slow things are looked at as often at least.
const STEP_MAX: Duration = Duration::from_millis(500);
/// The shortest: nobody looks at a clock more often.
const STEP_MIN: Duration = Duration::from_millis(1);
/// Epochs of which an authority may keep something.
const STORED_EPOCHS_MAX: usize = 6;
/// Documents that a node may hold, a jump of its clock included.
const DOCUMENTS_MAX: usize = 8;
/// Mix keys, likewise.
const KEYS_MAX: usize = 12;
/// What may be under way between members at once.
const PLANNED_MAX: usize = 4096;

/// What to run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Plan {
    /// From which everything follows.
    pub seed: u64,
    /// How many epochs it lasts.
    pub epochs: u64,
    /// Who is there.
    pub shape: Shape,
    /// Whether anything goes wrong.
    pub has_faults: bool,
}

/// What came of a run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Steps that it took.
    pub steps: u64,
    /// Documents by epoch: the hash of what was signed.
    pub consensus: BTreeMap<u64, [u8; 32]>,
    /// Pings by client.
    pub pings: Vec<Tally>,
    /// Packets that nodes have accepted, by name.
    pub accepted: BTreeMap<String, u64>,
    /// Packets that nodes have dropped, by reason.
    pub drops: BTreeMap<String, u64>,
    /// Packets that were lost with a data plane.
    pub lost_in_restart: u64,
    /// Pieces that came with a wrong bit.
    pub wronged: u64,
}

/// Something that must never happen has.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("seed {seed}, step {step}: {what}")]
pub struct Failure {
    /// The run's seed.
    pub seed: u64,
    /// After which step.
    pub step: u64,
    /// What it is.
    pub what: String,
}

/// Runs it; `tell` hears what happens. A panic inside is a failure too.
pub fn run(plan: &Plan, tell: &mut dyn FnMut(u64, &str)) -> Result<Report, Failure> {
    let mut step = 0;
    let outcome = catch_unwind(AssertUnwindSafe(|| go(plan, &mut step, tell)));
    let outcome = outcome.unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().map(String::as_str).or_else(|| panic.downcast_ref::<&str>().copied());
        Err(format!("a panic: {}", text.unwrap_or("without a text")))
    });
    outcome.map_err(|what| Failure { seed: plan.seed, step, what })
}

fn go(plan: &Plan, step: &mut u64, tell: &mut dyn FnMut(u64, &str)) -> Result<Report, String> {
    let mut world = World::new(plan.shape, plan.seed);
    let (quiet, last) = (FIRST.after(plan.epochs.saturating_sub(AFTER)), FIRST.after(plan.epochs.saturating_sub(1)));
    if plan.has_faults {
        faults::plan(&mut world, FIRST.after(BEFORE), quiet);
    }
    let end = world.start_of(FIRST.after(plan.epochs));
    let mut before_last = None;
    while world.now() < end {
        if before_last.is_none() && world.epoch().epoch >= last {
            before_last = Some(world.users().map(|user| user.tally.clone()).collect::<Vec<_>>());
        }
        take_step(&mut world, end)?;
        *step += 1;
        world.told.drain(..).for_each(|what| tell(*step, &what));
        check(&world)?;
    }
    if plan.epochs > BEFORE {
        check_end(&world, last, &before_last.unwrap_or_default())?;
    }
    Ok(report(&world, *step))
}

/// What is due, then time until something is due again, while hosts work.
fn take_step(world: &mut World, end: dataplane::Instant) -> Result<(), String> {
    world.happen();
    let now = world.now();
    let until = world.next_at().max(now + STEP_MIN).min(now + STEP_MAX).min(end);
    let World { simulation, nodes, .. } = world;
    let mut broken = None;
    simulation.run_until(until, |simulation| {
        broken = shards(simulation).find_map(|(node, shard)| {
            let account = nodes[node].account(Some(shard));
            let name = &nodes[node].keys.own.name;
            (account.difference() != 0).then(|| format!("{name} has lost track of a packet: {account:?}"))
        });
        broken.is_some()
    });
    broken.map_or(Ok(()), Err)
}

fn shards(simulation: &Simulation<Actor>) -> impl Iterator<Item = (usize, &Shard)> {
    simulation.hosts().filter_map(|actor| match actor {
        Actor::Shard { node, shard, .. } => Some((*node, &**shard)),
        _ => None,
    })
}

/// What holds after every step.
fn check(world: &World) -> Result<(), String> {
    if let Some(broken) = &world.broken {
        return Err(broken.clone());
    }
    for node in &world.nodes {
        let name = &node.keys.own.name;
        let (accepted, tags) = node.accepted_and_tags();
        if accepted != tags {
            return Err(format!("{name} has accepted {accepted} packets with {tags} tags"));
        }
        if node.plane.is_none() && node.account(None).difference() != 0 {
            return Err(format!("{name} has lost track of a packet in a crash: {:?}", node.account(None)));
        }
        let (documents, keys) = node.holdings();
        if documents > DOCUMENTS_MAX || keys > KEYS_MAX {
            return Err(format!("{name} holds {documents} documents and {keys} mix keys"));
        }
    }
    for (node, shard) in shards(&world.simulation) {
        let slots = shard.free_slots() as u64 + shard.held() - shard.sealed();
        if slots != u64::from(SLOTS) {
            return Err(format!("{} has {slots} slots instead of {SLOTS}", world.nodes[node].keys.own.name));
        }
    }
    let members = world.nodes.len() + world.authorities.len();
    for (who, authority) in world.authorities.iter().enumerate() {
        let stored = authority.stored();
        if stored > STORED_EPOCHS_MAX * (members + 4 * world.authorities.len() + 1) {
            return Err(format!("authority {who} keeps {stored} entries"));
        }
    }
    if world.planned() > PLANNED_MAX {
        return Err(format!("{} things are under way", world.planned()));
    }
    world.users().find_map(|user| user.fault.clone()).map_or(Ok(()), Err)
}

/// What holds when all has been right for some epochs: everybody agrees, and every ping is answered.
fn check_end(world: &World, last: Epoch, before_last: &[Tally]) -> Result<(), String> {
    let publishers = world.publishers.get(&last).map_or(0, std::collections::BTreeSet::len);
    if publishers < world.authorities.len() {
        return Err(format!("of {} authorities {publishers} have published the last epoch", world.authorities.len()));
    }
    if let Some(node) = world.nodes.iter().find(|node| node.raw_document(last).is_none()) {
        return Err(format!("{} has no document of the last epoch", node.keys.own.name));
    }
    for (number, (user, before)) in world.users().zip(before_last).enumerate() {
        let after = &user.tally;
        if after.lost != before.lost || after.answered == before.answered {
            return Err(format!("client {number} in the last epoch: {before:?}, then {after:?}"));
        }
    }
    Ok(())
}

fn report(world: &World, steps: u64) -> Report {
    let mut drops: BTreeMap<String, u64> = BTreeMap::new();
    for (reason, count) in world.nodes.iter().flat_map(|node| node.drops()) {
        *drops.entry(DropReason::label(reason).to_owned()).or_default() += count;
    }
    Report {
        steps,
        consensus: world.consensus.iter().map(|(epoch, hash)| (epoch.0, *hash)).collect(),
        pings: world.users().map(|user| user.tally.clone()).collect(),
        accepted: world.nodes.iter().map(|node| (node.keys.own.name.clone(), node.accepted_and_tags().0)).collect(),
        drops,
        lost_in_restart: world.nodes.iter().map(|node| node.account(None).lost_in_restart).sum(),
        wronged: (0..world.members()).map(|member| world.air(member).borrow().wronged).sum(),
    }
}
