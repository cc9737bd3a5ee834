//! The rig against small nodes of its own: one that is right, and several that are wrong in one way each.

use super::check::Wrong;
use super::cpu::CpuTime;
use super::drive::{Drive, Load};
use super::floor::Floor;
use super::mill::{Delays, Pool, Purpose};
use super::mills::Mills;
use super::null_node::{Forward, NullNode, pass_on};
use super::peers::{self, Ends, Links};
use super::plan::geometry;
use super::supply::{Next, Stream, Supply};
use super::traffic::Traffic;
use super::{Failure, Service};
use pki::{Epoch, EpochClock};
use sphinx::{Geometry, MixKey, Unwrapper};
use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::sync::mpsc::channel;
use std::time::{Duration, Instant};
use testnet::network;
use testnet::network::Network;

const LINKS: usize = 2;
const PACKETS: usize = 600;
const PRIVATE_KEY: [u8; 32] = [7; 32];
const DELAYS: Delays = Delays { mean_ms: 5.0, max_ms: 30 };

fn test_geometry() -> Geometry {
    geometry("x25519", 200).expect("a geometry")
}

fn test_network() -> (Arc<Network>, Vec<TcpListener>) {
    let (listeners, addresses) = peers::listen(LINKS).expect("free ports");
    let network = Network::new(test_geometry(), EpochClock::default(), 0.1, LINKS, &addresses).expect("a network");
    (Arc::new(network), listeners)
}

/// Links to and from the node, and the packets sealed for them.
fn connected(network: &Arc<Network>, listeners: Vec<TcpListener>, node: &NullNode, mut pool: Pool) -> (Supply, Links) {
    let limit = Duration::from_secs(5);
    let links = peers::connect(network, listeners, &node.credentials, node.address, Ends::Mixes, limit);
    let mut links = links.expect("links");
    pool.seal(&mut links.sealers, None).expect("frames");
    (Supply::of(pool), links)
}

/// What the rig finds about a node that forwards like that: wrong and lost packets.
fn examine(
    network: Arc<Network>,
    listeners: Vec<TcpListener>,
    pool: Pool,
    forward: Forward,
    load: Load,
) -> (Wrong, u64) {
    let node = NullNode::start(network.clone(), forward, None).expect("a node");
    let count = pool.count() as u64;
    let (supply, links) = connected(&network, listeners, &node, pool);
    let mut drive = Drive::new(supply, links).expect("an epoll descriptor");
    let phase = drive.run(load, usize::MAX, Duration::ZERO, Duration::from_secs(5), CpuTime::default, || ());
    assert!(phase.is_ok() && drive.checker().sent() == count);
    let result = (drive.checker().wrong(), drive.checker().lost());
    drop(drive);
    node.stop().expect("the node is well");
    result
}

/// A mix that does right, but for what `spoil` makes of each packet: link, delay and how often it goes out.
fn mix(
    network: &Network,
    mut spoil: impl FnMut(u64, &mut usize, &mut Duration, &mut [u8]) -> usize + Send + 'static,
) -> Forward {
    let geometry = network.geometry.clone();
    let key = MixKey::new(&geometry, &PRIVATE_KEY).expect("a key");
    let mut unwrapper = Unwrapper::new(&geometry, 1).expect("a geometry");
    let ids: Vec<_> = network.downstream.iter().map(|peer| peer.identity.id).collect();
    let mut count = 0;
    Box::new(move |_, packet, emit| {
        let commands = unwrapper.unwrap(&key, packet).expect("the rig's packets are good").commands;
        let next = commands.next_node.expect("a forward packet").id;
        let mut link = ids.iter().position(|id| *id == next).expect("a node behind");
        let mut delay = Duration::from_millis(u64::from(commands.delay_ms.expect("a delay")));
        count += 1;
        for _ in 0..spoil(count, &mut link, &mut delay, packet) {
            emit(link, delay, packet);
        }
    })
}

fn examine_mix(
    load: Load,
    spoil: impl FnMut(u64, &mut usize, &mut Duration, &mut [u8]) -> usize + Send + 'static,
) -> (Wrong, u64) {
    let (network, listeners) = test_network();
    let key = MixKey::new(&network.geometry, &PRIVATE_KEY).expect("a key");
    let next: Vec<_> = network.downstream.iter().map(|peer| peer.identity.id).collect();
    let pool = Pool::make(&network.geometry, key.public_key(), Purpose::Forward { next: &next }, DELAYS, PACKETS, None)
        .expect("packets");
    let forward = mix(&network, spoil);
    examine(network, listeners, pool, forward, load)
}

const WINDOW: Load = Load::Window(200);

#[test]
fn a_node_without_work_passes_everything_on() {
    let pool = Pool::random(&test_geometry(), LINKS, 5_000);
    let (network, listeners) = test_network();
    assert_eq!(examine(network, listeners, pool, pass_on(), Load::Window(500)), (Wrong::default(), 0));
}

#[test]
fn a_right_mix_is_found_right_in_both_loops() {
    assert_eq!(examine_mix(WINDOW, |_, _, _, _| 1), (Wrong::default(), 0));
    assert_eq!(examine_mix(Load::PacketsPerSecond(2_000.0), |_, _, _, _| 1), (Wrong::default(), 0));
}

#[test]
fn a_mix_that_loses_or_repeats_is_found_out() {
    assert_eq!(examine_mix(WINDOW, |count, _, _, _| usize::from(count != 100)), (Wrong::default(), 1));
    let twice = Wrong { duplicate: 1, ..Wrong::default() };
    assert_eq!(examine_mix(WINDOW, |count, _, _, _| 1 + usize::from(count == 100)), (twice, 0));
}

/// The rig waits for what is missing as long as packets come, not as long as links live: a client's hears something every
/// few seconds, for ever.
#[test]
fn what_is_lost_is_not_waited_for_because_of_heartbeats() {
    const HEARTBEATS: Duration = Duration::from_secs(600);
    let (network, listeners) = test_network();
    let (pool, count) = (Pool::random(&network.geometry, LINKS, 10), 10);
    let forward: Forward = Box::new(move |link, _, emit| {
        for tenths in 1..HEARTBEATS.as_secs() * 10 {
            emit(link, Duration::from_millis(tenths * 100), &[]);
        }
    });
    let node = NullNode::start(network.clone(), forward, None).expect("a node");
    let (supply, links) = connected(&network, listeners, &node, pool);
    let mut drive = Drive::new(supply, links).expect("an epoll descriptor");
    drive.set_quiet_limit(Duration::from_millis(500));
    let started = Instant::now();
    let phase = drive.run(WINDOW, usize::MAX, Duration::ZERO, Duration::from_secs(5), CpuTime::default, || ());
    assert!(phase.is_ok() && started.elapsed() < HEARTBEATS / 2);
    assert_eq!((drive.checker().sent(), drive.checker().lost()), (count, count));
    drop(drive);
    node.stop().expect("the node is well");
}

#[test]
fn a_mix_that_changes_bytes_is_found_out() {
    let changed = Wrong { unknown: 1, ..Wrong::default() };
    let spoil = |count, _: &mut usize, _: &mut Duration, packet: &mut [u8]| {
        if count == 100 {
            packet[packet.len() - 1] ^= 1;
        }
        1
    };
    assert_eq!(examine_mix(WINDOW, spoil), (changed, 1));
}

#[test]
fn a_mix_that_sends_elsewhere_or_too_early_is_found_out() {
    let elsewhere = |count, link: &mut usize, _: &mut Duration, _: &mut [u8]| {
        *link = if count == 100 { 1 - *link } else { *link };
        1
    };
    assert_eq!(examine_mix(WINDOW, elsewhere), (Wrong { next_hop: 1, ..Wrong::default() }, 0));
    let early = |count, _: &mut usize, delay: &mut Duration, _: &mut [u8]| {
        *delay = if count == 100 { Duration::ZERO } else { *delay };
        1
    };
    // The packet needs less than its shortest delay, a millisecond, unless the machine is very busy.
    let (wrong, lost) = examine_mix(Load::PacketsPerSecond(2_000.0), early);
    assert_eq!((wrong.total(), lost), (wrong.early, 0));
}

#[test]
fn an_epoch_begins_when_the_clock_is_made() {
    let now = Duration::from_nanos(1_900_000_000_123_456_789);
    let clock = network::clock_starting_at(now, Duration::from_secs(20)).expect("a clock");
    let time = clock.now(now).expect("after epoch 0");
    assert!(time.elapsed < Duration::from_millis(30), "{:?}", time.elapsed);
    assert!(clock.period() >= Duration::from_secs(20) && clock.period() < Duration::from_millis(20_001));
}

#[test]
fn schemes_by_name() {
    let name = |name| geometry(name, 2000).map(|geometry| (geometry.nike_name, geometry.kem_name));
    assert_eq!(name("X25519"), Ok(("x25519".into(), String::new())));
    assert_eq!(name("kem:x25519"), Ok((String::new(), "x25519".into())));
    assert_eq!(name("xwing"), Ok((String::new(), "XWING".into())));
    assert!(name("dh:x25519").is_err() && name("nonsense").is_err());
}

/// The floor's own packets open and unwrap, or there is no figure; and what does more takes longer.
#[test]
fn the_floor_opens_unwraps_and_seals() {
    for scheme in ["x25519", "kem:x25519"] {
        let floor = Floor::new(&geometry(scheme, 200).expect("a geometry")).expect("packets");
        let rates = floor.measure(Duration::ZERO).expect("frames and packets that open");
        assert!(rates.packets_per_second > 0.0 && rates.packets_per_second < rates.unwraps_per_second, "{rates:?}");
    }
}

/// More packets than there is room for are made while others are sent; all are right, and they are for the key of the
/// moment.
#[test]
fn packets_that_are_made_meanwhile_are_right_too() {
    const SENT: usize = 20_000;
    let (network, listeners) = test_network();
    let key = MixKey::new(&network.geometry, &PRIVATE_KEY).expect("a key");
    let next: Vec<_> = network.downstream.iter().map(|peer| peer.identity.id).collect();
    let node = NullNode::start(network.clone(), mix(&network, |_, _, _, _| 1), None).expect("a node");
    let limit = Duration::from_secs(5);
    let links = peers::connect(&network, listeners, &node.credentials, node.address, Ends::Mixes, limit);
    let mut links = links.expect("links");
    let first = network.epoch();
    let keys = |epoch: Epoch| (epoch >= first).then(|| key.public_key().to_vec());
    let mills = Mills {
        geometry: &network.geometry,
        purpose: Purpose::Forward { next: &next },
        delays: DELAYS,
        in_turns: false,
        clock: &network.clock,
        first,
        keys: &keys,
        processors: &[],
    };
    let sealers = std::mem::take(&mut links.sealers);
    let found = mills.run(sealers, 1, |stream, stock| {
        assert!(stock.wait(Duration::from_secs(60)) > 0.0);
        let mut drive = Drive::new(Supply::from(stream), links)?;
        let phase = drive.run(WINDOW, SENT, Duration::ZERO, Duration::from_secs(60), CpuTime::default, || ())?;
        let checker = drive.checker();
        Ok((checker.sent(), checker.received(), checker.wrong(), checker.lost(), phase.guarded))
    });
    let (sent, received, wrong, lost, guarded) = found.expect("packets");
    assert_eq!((sent, received, wrong, lost), (SENT as u64, SENT as u64, Wrong::default(), 0));
    assert_eq!(guarded.lateness_us.len() + guarded.discarded, SENT as u64);
    node.stop().expect("the node is well");
}

/// Without a key the mills stop, and say why.
#[test]
fn mills_without_a_key_say_so() {
    let (network, _) = test_network();
    let mills = Mills {
        geometry: &network.geometry,
        purpose: super::mill::ANYWHERE,
        delays: DELAYS,
        in_turns: false,
        clock: &network.clock,
        first: network.epoch(),
        keys: &|_| None,
        processors: &[],
    };
    let found = mills.run(Vec::new(), 1, |stream, stock| {
        stock.wait(Duration::MAX);
        assert!(stream.full.recv().is_err());
        Ok(())
    });
    assert!(matches!(found, Err(Failure::Failed(reason)) if reason.contains("no mix key")));
}

#[test]
fn a_pool_comes_back_to_the_mill_when_it_is_written() {
    let pool = || Pool::random(&test_geometry(), LINKS, 1);
    let ((full_sender, full), (empty, back)) = (channel(), channel());
    let mut supply = Supply::from(Stream { full, empty, stocked: Arc::new(AtomicUsize::new(4)) });
    assert_eq!(supply.look(), Next::Wait);
    let mut waiting = Vec::new();
    for _ in 0..3 {
        full_sender.send(pool()).expect("a taker");
        assert_eq!(supply.look(), Next::Packet);
        waiting.push(supply.packet().0.clone());
        supply.advance();
    }
    assert_eq!(back.try_iter().count(), 0, "links have frames of all of them");
    waiting.drain(..2);
    full_sender.send(pool()).expect("a taker");
    assert_eq!(supply.look(), Next::Packet);
    assert_eq!(back.try_iter().count(), 2);
    drop(full_sender);
    supply.advance();
    assert_eq!(supply.look(), Next::Over);
}

#[test]
fn a_node_with_many_shards_does_not_wait_for_its_own_delays() {
    let window = |traffic: Traffic, capacity| traffic.window(false, capacity);
    assert_eq!(window(Traffic::Through, 50_000.0), 4096);
    // Twenty milliseconds of it are delayed, and as many are on their way there.
    assert_eq!(window(Traffic::Through, 1e6), 40_000);
    assert_eq!(window(Traffic::Requests(Service::Plugin), 1e6), 400);
}
