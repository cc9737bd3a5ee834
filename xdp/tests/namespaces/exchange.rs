//! Datagrams between shards, and between a shard and sockets of the kernel.

use crate::pair_or_return;
use crate::support::{SOON, Seen, meet, only_shard, pattern, receive, round, send, shard};
use datagram::{Datagrams, Ecn, SocketId, Train};
use rustix::net::sockopt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::time::{Duration, Instant};
use xdp::{Attachment, Mode};

const PORT: u16 = 4433;

#[track_caller]
fn between_shards(mode: Mode, is_ipv6: bool) {
    let (first, second) = pair_or_return!(1);
    let (here, there) = (first.at(is_ipv6, PORT), second.at(is_ipv6, PORT + 1));
    let mut a = only_shard(&first, &[mode], &[here]);
    let mut b = only_shard(&second, &[mode], &[there]);
    assert_eq!(a.attachment().mode(), mode);
    // Neither knows the other: the first train goes through the kernel, which asks the wire.
    meet(&mut a, &mut b, there);
    assert!(a.counters().kernel_trains > 0, "{:?}", a.counters());
    assert_eq!(a.datagram_bytes_max(), 1452);
    let lost = (a.lost(), b.lost());
    for (seed, ecn) in [Some(Ecn::Ect0), Some(Ecn::Ect1), Some(Ecn::Ce), None].into_iter().enumerate() {
        let size = a.datagram_bytes_max();
        let train = pattern(size * (a.segments_max() - 1) + 100, seed);
        let before = b.counters().arrived;
        send(&mut a, there, ecn, size, &train);
        let seen = receive(&mut b, a.segments_max());
        assert_eq!(b.counters().arrived - before, a.segments_max() as u64, "not in frames: {:?}", a.counters());
        for (Seen { socket, from, to, ecn: got, .. }, number) in seen.iter().zip(0..) {
            assert_eq!((*socket, *from, *to), (SocketId(0), here, Some(there.ip())), "{number}");
            assert_eq!(*got, ecn);
        }
        let bytes: Vec<u8> = seen.into_iter().flat_map(|seen| seen.bytes).collect();
        assert!(bytes == train, "other bytes");
        // The answer goes to where the question came from, at once.
        send(&mut b, here, ecn, 700, &pattern(1_400, seed));
        let seen = receive(&mut a, 2);
        assert_eq!(seen[0].bytes, pattern(1_400, seed)[..700]);
        assert_eq!((seen[1].from, seen[1].ecn), (there, ecn));
    }
    assert_eq!((a.lost(), b.lost()), lost);
    assert_eq!((a.counters().refused, b.counters().refused), (0, 0));
}

#[test]
fn between_shards_over_ipv4() {
    between_shards(Mode::Native, false);
}

#[test]
fn between_shards_over_ipv6() {
    between_shards(Mode::Native, true);
}

#[test]
fn between_shards_in_generic_mode() {
    between_shards(Mode::Generic, false);
    between_shards(Mode::Generic, true);
}

/// Many more than there are frames, so that each frame goes round often: one that was lost on any path would be missed.
#[test]
fn frames_come_back_on_every_path() {
    let (first, second) = pair_or_return!(1);
    let (here, there) = (first.at(false, PORT), second.at(false, PORT));
    let mut a = only_shard(&first, &Mode::ALL, &[here]);
    let mut b = only_shard(&second, &Mode::ALL, &[there]);
    meet(&mut a, &mut b, there);
    let (room, lost) = (a.room(), b.lost());
    let begin = Instant::now();
    let (mut sent, mut got) = (0, 0);
    while sent < 30_000 {
        // From a source of the other family: the kernel's to send or to refuse.
        let odd = Train { socket: SocketId(0), to: there, from: Some(first.v6()), ecn: None, segment_bytes: 9 };
        a.transmit(odd, vec![0; 9]);
        for _ in 0..a.room().min(8) {
            send(&mut a, there, None, 1_000, &pattern(32_000, sent));
            sent += 32;
        }
        got += round(&mut b).iter().filter(|seen| seen.bytes.len() == 1_000).count();
        assert!(begin.elapsed() < SOON * 2, "{sent} sent, {got} received");
    }
    let last = Instant::now();
    while got < sent && last.elapsed() < Duration::from_secs(2) {
        a.end_round();
        got += round(&mut b).iter().filter(|seen| seen.bytes.len() == 1_000).count();
    }
    assert_eq!(a.counters().no_frame, 0, "there was room for each");
    assert_eq!(sent as u64, got as u64 + b.lost() - lost, "{:?} {:?}", a.counters(), b.counters());
    let begin = Instant::now();
    while a.room() < room {
        a.end_round();
        assert!(begin.elapsed() < SOON, "frames were lost: {} of {room}", a.room());
    }
    // All 4,096 frames for arriving are there as well: so many may come while nobody looks.
    let before = b.lost();
    for _ in 0..125 {
        while a.room() == 0 {
            a.end_round();
        }
        send(&mut a, there, None, 100, &[7; 3_200]);
    }
    assert_eq!(receive(&mut b, 4_000).len(), 4_000);
    assert_eq!(b.lost(), before);
}

/// What finds no frame to leave in is lost, and counted; who asks for room first loses nothing.
#[test]
fn what_finds_no_room_is_counted() {
    let (first, second) = pair_or_return!(1);
    let (here, there) = (first.at(false, PORT), second.at(false, PORT));
    let mut a = only_shard(&first, &Mode::ALL, &[here]);
    let mut b = only_shard(&second, &Mode::ALL, &[there]);
    meet(&mut a, &mut b, there);
    let lost = b.lost();
    // More than all frames for arriving hold, while nobody takes any.
    for _ in 0..160 {
        while a.room() == 0 {
            a.end_round();
        }
        send(&mut a, there, None, 100, &[7; 3_200]);
    }
    let (mut got, begin) = (0, Instant::now());
    while got as u64 + b.lost() - lost < 5_120 {
        got += round(&mut b).len();
        assert!(begin.elapsed() < SOON, "{got} received: {:?}", b.counters());
    }
    assert!((4_000..=4_200).contains(&got), "{got} received: {:?}", b.counters());
    // And it goes on.
    send(&mut a, there, None, 5, b"again");
    assert_eq!(receive(&mut b, 1)[0].bytes, b"again");
}

#[track_caller]
fn with_the_kernel(mode: Mode, is_ipv6: bool) {
    let (first, second) = pair_or_return!(1);
    let (here, there) = (first.at(is_ipv6, PORT), second.at(is_ipv6, PORT));
    let mut a = only_shard(&first, &[mode], &[here]);
    let peer = second.run(|| UdpSocket::bind(there)).unwrap();
    peer.set_read_timeout(Some(SOON)).unwrap();
    match is_ipv6 {
        false => sockopt::set_ip_tos(&peer, 2).unwrap(),
        true => sockopt::set_ipv6_tclass(&peer, 2).unwrap(),
    }
    // Its checksums are not finished: the card would do it.
    for number in 0..50 {
        peer.send_to(&pattern(1_452, number), here).unwrap();
        let seen = receive(&mut a, 1);
        let expected = Seen {
            socket: SocketId(0),
            from: there,
            to: Some(here.ip()),
            ecn: Some(Ecn::Ect0),
            bytes: pattern(1_452, number),
        };
        assert_eq!(seen, [expected], "{number}");
    }
    assert_eq!(a.counters().arrived, 50);
    let mut buffer = [0; 2_000];
    for number in 0..50 {
        let before = a.counters().left;
        send(&mut a, there, Some(Ecn::Ect0), 1_452, &pattern(2_904, number));
        assert_eq!(a.counters().left - before, 2, "not in frames: {:?}", a.counters());
        for half in pattern(2_904, number).chunks(1_452) {
            let (bytes, from) = peer.recv_from(&mut buffer).unwrap();
            assert_eq!((&buffer[..bytes], from), (half, here));
        }
    }
}

#[test]
fn with_the_kernel_over_ipv4() {
    with_the_kernel(Mode::Native, false);
    with_the_kernel(Mode::Generic, false);
}

#[test]
fn with_the_kernel_over_ipv6() {
    with_the_kernel(Mode::Native, true);
    with_the_kernel(Mode::Generic, true);
}

/// Sockets that have all addresses, and sockets that were opened to reach others.
#[test]
fn sockets_without_an_address_and_opened_ones() {
    let (first, second) = pair_or_return!(1);
    for is_ipv6 in [false, true] {
        let any: IpAddr = if is_ipv6 { Ipv6Addr::UNSPECIFIED.into() } else { Ipv4Addr::UNSPECIFIED.into() };
        let there = second.at(is_ipv6, PORT);
        let mut b = only_shard(&second, &Mode::ALL, &[SocketAddr::new(any, PORT)]);
        let mut a = only_shard(&first, &Mode::ALL, &[]);
        let opened = first.run(|| a.open(is_ipv6)).unwrap();
        assert_eq!(opened, SocketId(0));
        assert!(!a.sockets()[0].is_listener);
        meet(&mut a, &mut b, there);
        let seen = receive_one(&mut a, &mut b, there);
        let port = a.sockets()[0].local.port();
        assert_eq!(seen.from, first.at(is_ipv6, port));
        assert_eq!(seen.to, Some(there.ip()));
        let before = a.counters().arrived;
        send(&mut b, seen.from, None, 6, b"answer");
        assert_eq!(receive(&mut a, 1)[0].from, there);
        assert_eq!(a.counters().arrived, before + 1);
        // Another address of the interface is taken up.
        let more = if is_ipv6 { "fd77::99" } else { "10.77.0.99" };
        second.ip(&format!(
            "addr add {more}/{} dev wire{}",
            if is_ipv6 { 64 } else { 24 },
            if is_ipv6 { " nodad" } else { "" }
        ));
        meet(&mut a, &mut b, SocketAddr::new(more.parse().unwrap(), PORT));
    }
}

fn receive_one(a: &mut crate::support::Shard, b: &mut crate::support::Shard, there: SocketAddr) -> Seen {
    send(a, there, None, 8, b"question");
    receive(b, 1).remove(0)
}

/// Each queue has its shard, and what is opened at one is never taken by the other.
#[test]
fn two_queues_with_a_shard_each() {
    let (first, second) = pair_or_return!(2);
    let there = second.at(false, PORT);
    let attach = |host: &crate::support::net::Host| host.run(|| Attachment::new(host.interface(), &Mode::ALL)).unwrap();
    let (left, right) = (attach(&first), attach(&second));
    let mut a = [shard(&first, &left, 0, &[]), shard(&first, &left, 1, &[])];
    let mut b = [shard(&second, &right, 0, &[there]), shard(&second, &right, 1, &[])];
    a.iter_mut().for_each(|shard| assert_eq!(first.run(|| shard.open(false)).unwrap(), SocketId(0)));
    // A frame that leaves by a queue of this kind of interface arrives at the queue of that number.
    meet(&mut a[0], &mut b[0], there);
    let before = b[0].counters().arrived;
    send(&mut a[0], there, None, 5, b"first");
    assert_eq!(receive(&mut b[0], 1)[0].bytes, b"first");
    assert_eq!(b[0].counters().arrived, before + 1);
    // The second queue's shard has no such socket: the kernel hands the datagram to the shard that has it.
    for _ in 0..3 {
        send(&mut a[1], there, None, 6, b"second");
        let seen = receive(&mut b[0], 1).remove(0);
        assert_eq!(seen.bytes, b"second");
        assert_eq!(seen.from.port(), a[1].sockets()[0].local.port());
    }
    assert_eq!(b[0].counters().arrived, before + 1, "taken from another queue");
    assert!(round(&mut b[1]).is_empty());
    assert_eq!(b[1].counters().arrived, 0);
    // The same queue twice.
    let refusal = second.run(|| xdp::Queue::open(&right, 1, xdp::Frames::default()).map(|_| ())).unwrap_err();
    assert!(matches!(refusal, xdp::Refusal::QueueOccupied { queue: 1, .. }), "{refusal}");
    let refusal = second.run(|| xdp::Queue::open(&right, 2, xdp::Frames::default()).map(|_| ())).unwrap_err();
    assert!(matches!(refusal, xdp::Refusal::NoQueue { queue: 2, .. }), "{refusal}");
}
