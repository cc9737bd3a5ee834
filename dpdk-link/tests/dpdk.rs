//! Frames through DPDK's virtual cards: rings in memory, and packet sockets at a pair of virtual interfaces in a namespace of
//! the test's own, with another end of ours behind it, and with the kernel.
#![cfg(feature = "dpdk")]

use datagram::{Datagrams, Ecn, SocketId, Train};
use dpdk_link::{Dpdk, DpdkError, Frames, Link, Network, Queue, Settings};
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::process::Command;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

/// Says to a process of this program that it is in the namespace.
const INSIDE: &str = "KATZENSPRUNG_DPDK_INSIDE";
/// Sent until the way is known.
const SCOUT: &[u8] = b"there?";
/// More than anything here takes.
const LONG: Duration = Duration::from_secs(30);

fn dpdk() -> &'static Dpdk {
    static DPDK: OnceLock<Dpdk> = OnceLock::new();
    DPDK.get_or_init(|| {
        let prefix = format!("--file-prefix=kz{}", std::process::id());
        let mut arguments = vec!["--no-huge", "-m", "256", "--no-pci", "--no-telemetry", "-l", "0", &prefix];
        arguments.extend(["--vdev=net_ring0", "--vdev=net_ring1", "--vdev=net_ring2", "--vdev=net_null0,size=64"]);
        let memif = |number: u8, role: &str| {
            format!("--vdev=net_memif{number},role={role},id=0,socket=kz{}.sock", std::process::id())
        };
        let [server, client] = [memif(0, "server"), memif(1, "client")];
        arguments.extend([server.as_str(), client.as_str()]);
        if std::env::var_os(INSIDE).is_some() {
            arguments.extend(["--vdev=net_af_packet0,iface=left", "--vdev=net_af_packet1,iface=right"]);
            arguments.extend(["--vdev=net_af_packet2,iface=near", "--vdev=net_tap0,iface=tapped"]);
        }
        Dpdk::start(&arguments).expect("DPDK in ordinary memory")
    })
}

fn address(last: u8) -> SocketAddr {
    SocketAddr::from(([192, 0, 2, last], 30_000))
}

fn address_v6(last: u8) -> SocketAddr {
    SocketAddr::new(IpAddr::from([0x2001, 0xdb8, 0, 0, 0, 0, 0, u16::from(last)]), 30_000)
}

fn link(queue: Queue, last: u8, peer: Option<u8>, has_unfinished_checksums: bool) -> Link<Queue> {
    let addresses = vec![(address(last).ip(), 24), (address_v6(last).ip(), 64)];
    let mac = queue.mac();
    let fixed = peer.map(|peer| [(address(peer).ip(), mac), (address_v6(peer).ip(), mac)]);
    let network = Network { addresses, next_hops: Vec::new(), fixed: fixed.into_iter().flatten().collect() };
    let begin = Instant::now();
    let clock = Box::new(move || wire::Instant(begin.elapsed().as_nanos() as u64 + 10_000_000_000));
    let listeners = vec![address(last), address_v6(last)];
    Link::new(queue, Settings { network, listeners, has_unfinished_checksums }, clock).expect("addresses of its own")
}

/// Two ends that loop back into each other.
fn ring_pair(name: &str) -> (Link<Queue>, Link<Queue>) {
    let port = dpdk().open(name, 2).expect("a ring");
    let queue = |receives, sends| port.queue_crossed(receives, sends).expect("a free queue");
    // Both ends are the same card, so neither can learn the other's address from it.
    (link(queue(0, 1), 1, Some(2), false), link(queue(1, 0), 2, Some(1), false))
}

fn send(link: &mut Link<Queue>, to: SocketAddr, bytes: &[u8], segment_bytes: usize) {
    let is_from = |local: SocketAddr| local.is_ipv4() == to.is_ipv4();
    let socket = link.sockets().iter().position(|socket| is_from(socket.local)).expect("a socket");
    let mut buffer = link.buffer();
    buffer.extend(bytes);
    link.transmit(
        Train { socket: SocketId(socket as u32), to, from: None, ecn: Some(Ecn::Ect0), segment_bytes },
        buffer,
    );
    link.flush();
}

/// Sends `rounds` trains, each of which has to come at the other end byte for byte; gives the bytes that came.
fn carry(from: &mut Link<Queue>, to: &mut Link<Queue>, at: SocketAddr, rounds: u32) -> usize {
    let mut bytes = vec![0; 20 * 1452 + 777];
    let mut total = 0;
    for round in 0..rounds {
        bytes.chunks_mut(8).enumerate().for_each(|(place, word)| {
            let value = (u64::from(round) << 32 | place as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
            word.copy_from_slice(&value.to_le_bytes()[..word.len()]);
        });
        send(from, at, &bytes, 1432);
        let (begin, mut come) = (Instant::now(), Vec::with_capacity(bytes.len()));
        while come.len() < bytes.len() && begin.elapsed() < LONG {
            if let Some(arrived) = to.next_train() {
                assert_eq!((arrived.ecn, arrived.to), (Some(Ecn::Ect0), Some(at.ip())));
                // One that looked for the way is late.
                if arrived.bytes == SCOUT {
                    continue;
                }
                come.extend_from_slice(arrived.bytes);
            }
        }
        assert!(come == bytes, "round {round}: {} of {} bytes, lost {}", come.len(), bytes.len(), from.lost());
        total += come.len();
    }
    total
}

#[test]
fn trains_go_both_ways_through_a_ring_and_every_byte_is_right() {
    let (mut one, mut other) = ring_pair("net_ring0");
    let begin = Instant::now();
    const ROUNDS: u32 = 20_000;
    let bytes = carry(&mut one, &mut other, address(2), ROUNDS) + carry(&mut other, &mut one, address(1), ROUNDS);
    let seconds = begin.elapsed().as_secs_f64();
    let frames = 2 * ROUNDS as usize * (20 * 1452 + 777_usize).div_ceil(1432);
    testhost::report(format_args!(
        "net_ring: {frames} datagrams checked, {:.0} a second, {:.1} Gbit/s, one core for both ends",
        frames as f64 / seconds,
        bytes as f64 * 8.0 / seconds / 1e9
    ));
    carry(&mut one, &mut other, address_v6(2), 100);
    assert_eq!((one.lost(), other.lost(), one.refused(), other.refused()), Default::default());
}

#[test]
fn two_cards_in_shared_memory_find_each_other_and_carry_trains() {
    let open = |name: &str| dpdk().open(name, 1).expect("a card").queue(0).expect("its queue");
    let (mut one, mut other) = (link(open("net_memif0"), 1, None, false), link(open("net_memif1"), 2, None, false));
    for to in [address(2), address_v6(2)] {
        wait(|| other.next_train().is_none() && one.next_train().is_none() && finds(&mut one, &mut other, to));
    }
    carry(&mut one, &mut other, address(2), 1_000);
    carry(&mut other, &mut one, address_v6(1), 1_000);
    let refused = [one.refused(), other.refused()].map(|refused| refused.for_others + refused.no_datagrams);
    assert_eq!(refused, [0, 0]);
}

#[test]
fn buffers_come_back_on_every_path() {
    let (mut one, mut other) = ring_pair("net_ring1");
    // Nobody reads: rings fill up, the rest is lost and counted, and all works on behind it. More buffers than there are.
    for _ in 0..2_000 {
        send(&mut one, address(2), &[1; 5_000], 1_000);
    }
    assert!(one.lost() > 1_000, "{}", one.lost());
    assert!(one.room() < 44);
    while other.next_train().is_some() || {
        one.flush();
        other.next_train().is_some()
    } {}
    // To a port of nobody's.
    for _ in 0..20_000 {
        send(&mut one, SocketAddr::new(address(2).ip(), 1), b"nobody", 6);
        assert!(other.next_train().is_none());
    }
    assert_eq!(other.refused().for_others, 20_000);
    carry(&mut one, &mut other, address(2), 1_000);
}

#[test]
fn frames_that_mean_no_good_are_counted() {
    let port = dpdk().open("net_ring2", 2).expect("a ring");
    let mut hostile = port.queue_crossed(1, 0).expect("a queue");
    let mut end = link(port.queue_crossed(0, 1).expect("a queue"), 1, Some(2), false);
    let mut state = 7_u64;
    let mut sent = 0;
    for _ in 0..50_000 {
        let mut random = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) as u8
        };
        let size = 1 + usize::from(random()) + 4 * usize::from(random());
        let ethertype: [u8; 2] = [[8, 0], [0x86, 0xdd], [8, 6], [0x81, 0]][usize::from(random() % 4)];
        sent += u64::from(hostile.send(size, &mut |frame| {
            frame.iter_mut().for_each(|byte| *byte = random());
            // Some of them begin as frames for us do.
            for (place, byte) in ethertype.iter().chain(&[0x45]).enumerate() {
                if let Some(at) = frame.get_mut(12 + place) {
                    *at = *byte;
                }
            }
            true
        }));
        hostile.flush();
        assert!(end.next_train().is_none());
    }
    let refused = end.refused();
    assert_eq!(sent, 50_000);
    assert!(refused.no_datagrams + refused.for_others <= sent && refused.no_datagrams > sent / 2, "{refused:?}");
}

#[test]
fn a_card_that_sends_without_end_keeps_no_shard_and_a_queue_has_one_owner() {
    let port = dpdk().open("net_null0", 1).expect("a card");
    let queue = port.queue(0).expect("its queue");
    assert!(matches!(port.queue(0), Err(DpdkError::Queue { queue: 0, .. })));
    assert!(matches!(port.queue(1), Err(DpdkError::Queue { queue: 1, .. })));
    assert!(matches!(dpdk().open("net_moon0", 1), Err(DpdkError::NoPort { .. })));
    assert!(matches!(Dpdk::start(&[]), Err(DpdkError::Twice)));
    let mut end = link(queue, 1, Some(2), false);
    // It always has another empty frame.
    assert!(end.next_train().is_none());
    assert_eq!(end.refused().no_datagrams, 256);
    drop(end);
    drop(port.queue(0).expect("free again"));
}

#[test]
fn packet_sockets_carry_trains_between_two_ends_and_to_the_kernel() {
    let me = std::env::current_exe().expect("this program");
    let interfaces = "ip link add left type veth peer name right && ip link add far type veth peer name near && \
                      ip link set left up && ip link set right up && ip link set near up && ip link set far up && \
                      ip link set lo up && ip addr add 192.0.2.7/24 dev far && \
                      ip addr add 2001:db8::7/64 dev far nodad && exec \"$0\" --exact --ignored --nocapture inside";
    let mut command = Command::new("unshare");
    command.args(["--user", "--map-root-user", "--net", "sh", "-c", interfaces]).arg(me).env(INSIDE, "yes");
    let Ok(output) = command.output() else { return testhost::lacks_tool("unshare") };
    let text = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    if !text.contains("running 1 test") {
        return testhost::lacks("namespaces", text);
    }
    assert!(output.status.success(), "{text}");
    text.lines().filter(|line| line.starts_with("net_")).for_each(|line| testhost::report(format_args!("{line}")));
}

#[test]
#[ignore = "in the namespace of another test"]
fn inside() {
    if std::env::var_os(INSIDE).is_none() {
        return;
    }
    let open = |name: &str| dpdk().open(name, 1).expect("a packet socket").queue(0).expect("its queue");
    let (mut one, mut other) =
        (link(open("net_af_packet0"), 1, None, false), link(open("net_af_packet1"), 2, None, false));
    // Both find each other by ARP and neighbour discovery: the first train asks.
    for to in [address(2), address_v6(2)] {
        send(&mut one, to, b"lost", 4);
        wait(|| other.next_train().is_none() && one.next_train().is_none() && finds(&mut one, &mut other, to));
    }
    let begin = Instant::now();
    let bytes = carry(&mut one, &mut other, address(2), 500) + carry(&mut other, &mut one, address(1), 500);
    carry(&mut one, &mut other, address_v6(2), 50);
    let rate = bytes as f64 * 8.0 / begin.elapsed().as_secs_f64() / 1e9;
    testhost::report(format_args!(
        "net_af_packet on veth: 23000 datagrams checked, {rate:.2} Gbit/s, one core for both ends"
    ));
    with_the_kernel(link(open("net_af_packet2"), 3, None, true), "192.0.2.7", "2001:db8::7");
    // A tapped interface is the kernel's end of a card of ours, and both have one address of Ethernet.
    let addresses = "ip link set tapped up && ip addr flush dev far && ip addr add 192.0.2.8/24 dev tapped && \
                     ip addr add 2001:db8::8/64 dev tapped nodad";
    let tapped = link(open("net_tap0"), 3, Some(8), true);
    assert!(Command::new("sh").args(["-c", addresses]).status().expect("a shell").success());
    with_the_kernel(tapped, "192.0.2.8", "2001:db8::8");
}

fn wait(mut is_done: impl FnMut() -> bool) {
    let begin = Instant::now();
    while !is_done() {
        assert!(begin.elapsed() < LONG, "nothing in {LONG:?}");
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// Whether a datagram arrives.
fn finds(one: &mut Link<Queue>, other: &mut Link<Queue>, to: SocketAddr) -> bool {
    send(one, to, SCOUT, SCOUT.len());
    std::thread::sleep(Duration::from_millis(5));
    let mut came = 0;
    while let Some(arrived) = other.next_train() {
        assert_eq!(arrived.bytes, SCOUT);
        came += 1;
    }
    assert!(one.next_train().is_none());
    came > 0
}

/// The kernel looks for us by ARP and neighbour discovery, and is answered over the way that its frames took.
fn with_the_kernel(mut end: Link<Queue>, kernel: &str, kernel_v6: &str) {
    for (own, kernel) in [(address(3), kernel), (address_v6(3), kernel_v6)] {
        let kernel: IpAddr = kernel.parse().expect("an address");
        let socket = UdpSocket::bind((kernel, 0)).expect("an address of the namespace");
        socket.set_nonblocking(true).expect("a socket");
        let from = socket.local_addr().expect("an address");
        let mut answered = 0;
        let begin = Instant::now();
        while answered < 100 {
            assert!(begin.elapsed() < LONG, "{answered} answers from {own} to {from}, {:?}", end.refused());
            let _full = socket.send_to(b"question", own);
            std::thread::sleep(Duration::from_micros(200));
            let came = end.next_train().map(|arrived| (arrived.from, arrived.bytes.to_vec()));
            // What the socket before has sent may still be under way.
            let came = came.filter(|(sender, _)| sender.is_ipv4() == own.is_ipv4());
            if let Some((sender, bytes)) = came {
                assert_eq!((sender, bytes.as_slice()), (from, &b"question"[..]));
                send(&mut end, sender, b"an answer with a checksum", 25);
            }
            let mut answer = [0; 64];
            while let Ok((bytes, sender)) = socket.recv_from(&mut answer) {
                assert_eq!((&answer[..bytes], sender), (&b"an answer with a checksum"[..], own));
                answered += 1;
            }
        }
    }
}
