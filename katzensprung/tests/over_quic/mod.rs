//! A node whose links go over QUIC, in a network namespace of its own: what strangers send to it, and what becomes of its
//! datagrams on their way, costs no link and no packet.

mod flood;
mod weather;

use crate::hosts::with_metrics;
use crate::support::site::{SOON, Site};
use crate::support::traffic::{Packet, Traffic};
use crate::support::wait_for;
use flood::Flood;
use rig::account::{NodeAccount, label, metrics, samples};
use rig::relay::{Doors, Relay};
use rustix::process::Pid;
use std::collections::BTreeSet;
use std::net::{Ipv4Addr, SocketAddr};
use std::process::Command;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};
use testnet::session::Session;
use weather::Weather;
use wire::Role;

/// An epoch that no test outlives.
const LONG: Duration = Duration::from_secs(120);
/// Says to a test that it is in its namespace.
const INSIDE: &str = "KATZENSPRUNG_TEST_IN_NAMESPACE";
/// Whatever happens to the host meanwhile: packets are late there, not lost.
const PATIENCE: &str = "[Debug]\n  UnwrapDelay = 30000\n  SchedulerSlack = 30000\n  SendSlack = 30000\n\n[Management]";
/// Packets, and the time between two.
const PACKETS: usize = 800;
const PACE: Duration = Duration::from_millis(5);
/// What a flood may cost, besides what the node takes for its own traffic.
const FLOOD_BYTES_MAX: u64 = 48 << 20;

/// Whether this is the test itself: else it is run in a namespace of its own, where nobody else takes ports, and where nothing
/// leaves.
#[track_caller]
fn is_inside(test: &str) -> bool {
    if std::env::var_os(INSIDE).is_some() {
        return true;
    }
    let mut command = Command::new("unshare");
    command.args(["--net", "sh", "-c", "ip link set lo up || exit 77; exec \"$@\"", "sh"]);
    command.arg(std::env::current_exe().expect("this program")).args([test, "--exact", "--nocapture"]);
    let Ok(output) = command.env(INSIDE, "1").output() else {
        testhost::lacks_tool("unshare");
        return false;
    };
    let text = [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).concat();
    if output.status.code() == Some(77) || text.contains("unshare:") {
        testhost::lacks("network_namespaces", text.trim());
        return false;
    }
    assert!(output.status.success() && text.contains("1 passed"), "{text}");
    println!("{text}");
    false
}

/// A node with both neighbours over QUIC, and bad weather on both ways if `is_bad`.
struct World {
    site: Site,
    over_quic: SocketAddr,
    metrics: SocketAddr,
    ways: Vec<Weather>,
    relay: Relay,
}

impl World {
    fn new(backend: &str, is_bad: bool) -> Self {
        let doors = Doors::open(Ipv4Addr::LOCALHOST.into(), 1).expect("sockets");
        let (behind, fronts) = (doors.behind()[0], [Weather::front(), Weather::front()]);
        let [before_front, behind_front] = fronts;
        let listed = if is_bad { behind_front.local_addr().expect("an address") } else { behind };
        let (site, over_quic) = Site::over_quic(LONG, listed);
        site.folder.edit("[Management]", PATIENCE);
        let own = format!("[dataplane]\nshards = 2\nslots = 4096\nbackend = \"{backend}\"\n");
        std::fs::write(site.folder.own_config(), own).expect("the file");
        let metrics = with_metrics(&site);
        let ways = if is_bad {
            vec![Weather::new(before_front, over_quic, 1), Weather::new(behind_front, behind, 2)]
        } else {
            Vec::new()
        };
        let node = ways.first().map_or(over_quic, |way| way.address);
        let relay = doors.relay(node, &[site.behind()], None).expect("a relay");
        Self { site, over_quic, metrics, ways, relay }
    }

    fn account(&self) -> NodeAccount {
        NodeAccount::scrape(self.metrics).expect("the node's metrics")
    }

    /// Links that have ended, by reason.
    fn ended(&self) -> Vec<String> {
        let text = metrics(self.metrics).expect("the node's metrics");
        let ended = samples(&text).filter(|(name, _, value)| *name == "katzensprung_links_ended_total" && *value > 0.0);
        ended.map(|(_, labels, count)| format!("{} {count}", label(labels, "reason").unwrap_or_default())).collect()
    }
}

/// Sends packets at a pace and takes those that come out; gives how many did. None comes twice, and none that was not sent.
#[track_caller]
fn pass(traffic: &mut Traffic, packets: &[Packet], mut send: impl FnMut(&mut Traffic, usize, &Packet)) -> usize {
    let mut missing: BTreeSet<&[u8]> = packets.iter().map(Packet::behind).collect();
    let begin = Instant::now();
    for (number, packet) in packets.iter().enumerate() {
        send(traffic, number, packet);
        let next = PACE * (number as u32 + 1);
        while let Some(came) = traffic.next(next.saturating_sub(begin.elapsed())) {
            assert!(missing.remove(&came[..]), "it came twice, or was never sent");
        }
    }
    while !missing.is_empty()
        && let Some(came) = traffic.next(SOON)
    {
        assert!(missing.remove(&came[..]), "it came twice, or was never sent");
    }
    packets.len() - missing.len()
}

/// The memory that a process has, and the most that it has had.
fn resident_bytes(process: Pid) -> [u64; 2] {
    let status = std::fs::read_to_string(format!("/proc/{}/status", process.as_raw_nonzero())).expect("it runs");
    ["VmRSS:", "VmHWM:"].map(|name| {
        let line = status.lines().find_map(|line| line.strip_prefix(name)).expect("a line");
        line.trim().trim_end_matches(" kB").parse::<u64>().expect("a number") << 10
    })
}

fn under_a_flood(backend: &str) {
    let world = World::new(backend, false);
    let authority = world.site.start_authority();
    let node = world.site.start_node();
    let mut traffic = world.site.link_at(world.relay.address);
    let epoch = world.site.next_epoch();
    let descriptor = authority.wait_for_post(epoch, SOON).descriptor();
    let packets = traffic.packets(&descriptor, epoch, PACKETS + PACKETS / 10);
    let (calm, stormy) = packets.split_at(PACKETS / 10);
    assert_eq!(pass(&mut traffic, calm, |traffic, _, packet| traffic.send(std::slice::from_ref(packet))), calm.len());
    let process = world.site.data_plane().expect("a data plane");
    let [before, _] = resident_bytes(process);
    let flood = Flood::new(world.over_quic);
    wait_for("the flood", SOON * 3, || (flood.sent() > 0).then_some(()));
    // One that is listed gets in over TCP, and sends every other packet.
    let network = &world.site.network;
    let config = network.mixnet_session(Role::Initiator);
    let stream = std::net::TcpStream::connect(world.site.folder.address).expect("a connection");
    let is_node = |peer: &wire::PeerCredentials| *peer == world.site.credentials;
    let mut over_tcp = Session::establish(stream, &config, &network.caller.identity, is_node).expect("it is let in");
    let flooded_from = flood.sent();
    let came = pass(&mut traffic, stormy, |traffic, number, packet| match number % 2 {
        0 => traffic.send(std::slice::from_ref(packet)),
        _ => over_tcp.send(&wire::Command::SendPacket { packet: packet.before() }).expect("the node reads"),
    });
    // Over QUIC, too, with a proof that it is where it says.
    traffic.dial_again();
    let flooded = flood.sent() - flooded_from;
    drop(flood);
    let [_, most] = resident_bytes(process);
    println!(
        "{backend}: {came} of {PACKETS} packets under {flooded} datagrams; {} kB more at most",
        most.saturating_sub(before) >> 10
    );
    assert!(came * 100 >= PACKETS * 95, "{came} of {PACKETS} packets");
    assert!(flooded > 10_000, "{flooded} datagrams are no flood");
    assert!(most <= before + FLOOD_BYTES_MAX, "{before} bytes before, {most} at most");
    let account = world.account();
    let expected = packets.len() as u64;
    assert!(account.adds_up() && account.received == expected && account.sent >= came as u64, "{account:?}");
    assert_eq!(traffic.new_links(), 0, "the link to the node behind was made anew: {:?}", world.ended());
    drop((over_tcp, node));
}

#[test]
fn a_flood_of_strangers_costs_neither_memory_nor_packets_on_io_uring() {
    if is_inside("over_quic::a_flood_of_strangers_costs_neither_memory_nor_packets_on_io_uring") {
        under_a_flood("uring");
    }
}

#[test]
fn a_flood_of_strangers_costs_neither_memory_nor_packets_on_epoll() {
    if is_inside("over_quic::a_flood_of_strangers_costs_neither_memory_nor_packets_on_epoll") {
        under_a_flood("epoll");
    }
}

#[test]
fn lost_late_doubled_and_damaged_datagrams_cost_no_packet_and_no_link() {
    if !is_inside("over_quic::lost_late_doubled_and_damaged_datagrams_cost_no_packet_and_no_link") {
        return;
    }
    let world = World::new("auto", true);
    let authority = world.site.start_authority();
    let node = world.site.start_node();
    let mut traffic = world.site.link_at(world.relay.address);
    let epoch = world.site.next_epoch();
    let descriptor = authority.wait_for_post(epoch, SOON).descriptor();
    let packets = traffic.packets(&descriptor, epoch, PACKETS);
    let came = pass(&mut traffic, &packets, |traffic, _, packet| traffic.send(std::slice::from_ref(packet)));
    for way in &world.ways {
        way.was_bad();
        assert!(way.harm.passed.load(Ordering::Relaxed) > PACKETS as u64);
    }
    let account = world.account();
    println!("{came} of {PACKETS} packets; {account:?}");
    assert!(account.adds_up(), "{account:?}");
    assert_eq!((account.received, account.sent), (PACKETS as u64, came as u64), "{account:?}");
    assert_eq!(came as u64 + account.dropped_in_all(), PACKETS as u64, "{account:?}");
    assert_eq!((world.ended(), traffic.new_links()), (Vec::new(), 0));
    drop(node);
}
