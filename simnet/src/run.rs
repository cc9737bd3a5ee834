//! A run from a seed to its report, and what has to hold after every step of it.

use crate::faults;
use crate::members::Shape;
use crate::node::SLOTS;
use crate::user::Tally;
use crate::world::{Actor, FIRST, World};
use dataplane::io::sim::Simulation;
use dataplane::{Instant, Shard};
use interplane::DropReason;
use pki::{Epoch, hash};
use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

/// Epochs before the first fault: the network has its first document by then.
const BEFORE: u64 = 3;
/// Quiet epochs at the end, in which everybody has to find back.
const AFTER: u64 = 5;
/// From which of these on nothing may be lost: a node that has lost its keys is listed with the old ones in the first.
const LOSSLESS: u64 = 2;
/// Where nothing goes wrong no packet is lost after so much of the first epoch with a document: a mix dials a gateway that
/// is new in an epoch only when the gateway, by its clock too, is in that epoch (server.md 3.2, 3.7), and until then has
/// no link for replies.
const SETTLING: Duration = Duration::from_secs(1);
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

/// Connections at once: as many as all members could have with all others, made anew while the old ones end.
const CONNECTIONS_MAX: usize = 1024;
/// Pieces of bytes under way at once.
const AGENDA_MAX: usize = 16_384;
/// Bytes that have arrived somewhere and were not read.
const UNREAD_BYTES_MAX: usize = 4 << 20;

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

impl Plan {
    /// Fewer epochs leave none in which anything goes wrong.
    pub const EPOCHS_MIN: u64 = BEFORE + 1 + AFTER;
}

/// What came of a run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// A hash of all that has happened, in its order: the same for the same plan.
    pub digest: String,
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
    let (mut before_last, mut digest, mut drops_before) = (None, [0; 32], None);
    let lossless = match plan.has_faults {
        true => world.start_of(quiet.after(LOSSLESS)),
        false => world.start_of(FIRST.after(1)) + SETTLING,
    };
    while world.now() < end {
        if before_last.is_none() && world.epoch().epoch >= last {
            before_last = Some(world.users().map(|user| user.tally.clone()).collect::<Vec<_>>());
        }
        take_step(&mut world, end)?;
        *step += 1;
        world.listen();
        digest = hash(&[&digest[..], state(&world).as_bytes()].concat());
        for what in world.told.drain(..) {
            digest = hash(&[&digest[..], what.as_bytes()].concat());
            tell(*step, &what);
        }
        check(&world)?;
        if world.now() >= lossless {
            check_lossless(&world, lossless, &mut drops_before)?;
        }
    }
    if plan.epochs > BEFORE {
        check_end(&world, last, &before_last.unwrap_or_default())?;
    }
    let digest = digest[..8].iter().map(|byte| format!("{byte:02x}")).collect();
    Ok(Report { digest, ..report(&world, *step) })
}

/// Something that differs after steps that differ.
fn state(world: &World) -> String {
    let accounts: Vec<_> = world.nodes.iter().map(|node| node.account(0)).collect();
    let pings: Vec<_> = world.users().map(|user| (user.tally.sent, user.tally.answered, user.tally.rtt)).collect();
    format!("{:?} {accounts:?} {pings:?} {}", world.now(), world.planned())
}

/// What is due, then time until something is due again, while hosts work.
pub(crate) fn take_step(world: &mut World, end: Instant) -> Result<(), String> {
    world.happen();
    let now = world.now();
    let until = world.next_at().max(now + STEP_MIN).min(now + STEP_MAX).min(end);
    let World { simulation, nodes, .. } = world;
    let mut broken = None;
    let mut held = vec![0; nodes.len()];
    simulation.run_until(until, |simulation| {
        held.fill(0);
        shards(simulation).for_each(|(node, shard)| held[node] += shard.held());
        broken = nodes.iter().zip(&held).find_map(|(node, held)| {
            let account = node.account(*held);
            (account.difference() != 0)
                .then(|| format!("{} has lost track of a packet: {account:?}", node.keys.own.name))
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
pub(crate) fn check(world: &World) -> Result<(), String> {
    if let Some(broken) = &world.broken {
        return Err(broken.clone());
    }
    for node in &world.nodes {
        let name = &node.keys.own.name;
        let (accepted, tags) = node.accepted_and_tags();
        if accepted != tags {
            return Err(format!("{name} has accepted {accepted} packets with {tags} tags"));
        }
        let (documents, keys) = node.holdings();
        if documents > DOCUMENTS_MAX || keys > KEYS_MAX {
            return Err(format!("{name} holds {documents} documents and {keys} mix keys"));
        }
    }
    let mut slots = vec![0; world.nodes.len()];
    for (node, shard) in shards(&world.simulation) {
        slots[node] += shard.free_slots() as u64 + shard.held() - shard.sealed();
    }
    for (node, slots) in world.nodes.iter().zip(slots).filter(|(node, _)| node.plane.is_some()) {
        let all = u64::from(SLOTS) * u64::from(world.shape.shards);
        if slots != all {
            return Err(format!("{} has {slots} slots instead of {all}", node.keys.own.name));
        }
    }
    let holdings = world.simulation.network().holdings();
    if holdings.connections > CONNECTIONS_MAX
        || holdings.names > 4 * CONNECTIONS_MAX
        || holdings.agenda > AGENDA_MAX
        || holdings.events > AGENDA_MAX
        || holdings.unread_bytes > UNREAD_BYTES_MAX
    {
        return Err(format!("the network holds {holdings:?}"));
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
        if user.tally.answered == before.answered {
            return Err(format!("client {number} in the last epoch: {before:?}, then {:?}", user.tally));
        }
    }
    Ok(())
}

/// What holds after every step where nothing goes wrong any more: nobody drops a packet, and no ping is lost.
fn check_lossless(
    world: &World,
    since: Instant,
    drops_before: &mut Option<BTreeMap<String, u64>>,
) -> Result<(), String> {
    let drops = drops(world);
    let before = drops_before.get_or_insert_with(|| drops.clone());
    if *before != drops {
        return Err(format!("packets are dropped although nothing is wrong: {before:?}, then {drops:?}"));
    }
    let mut lost = world.users().map(|user| user.tally.lost_sent_at);
    match lost.find(|sent_at| *sent_at >= since) {
        Some(sent_at) => Err(format!("a ping of {sent_at:?} is lost although nothing is wrong")),
        None => Ok(()),
    }
}

/// Packets that all nodes have dropped, by reason.
fn drops(world: &World) -> BTreeMap<String, u64> {
    let mut drops: BTreeMap<String, u64> = BTreeMap::new();
    for (reason, count) in world.nodes.iter().flat_map(|node| node.drops()) {
        *drops.entry(DropReason::label(reason).to_owned()).or_default() += count;
    }
    drops
}

fn report(world: &World, steps: u64) -> Report {
    Report {
        digest: String::new(),
        steps,
        consensus: world.consensus.iter().map(|(epoch, hash)| (epoch.0, *hash)).collect(),
        pings: world.users().map(|user| user.tally.clone()).collect(),
        accepted: world.nodes.iter().map(|node| (node.keys.own.name.clone(), node.accepted_and_tags().0)).collect(),
        drops: drops(world),
        lost_in_restart: world.nodes.iter().map(|node| node.account(0).lost_in_restart).sum(),
        wronged: (0..world.members()).map(|member| world.air(member).borrow().wronged).sum(),
    }
}
