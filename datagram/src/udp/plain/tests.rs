use super::*;
use crate::Ecn;
use crate::udp::bind;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::os::fd::OwnedFd;

fn pair() -> (PlainSockets, PlainSockets, SocketAddr) {
    let listener = bind((Ipv4Addr::LOCALHOST, 0).into(), false).expect("a port");
    let receiver = PlainSockets::new(vec![listener], Instant::default).expect("sockets");
    let mut sender = PlainSockets::new(Vec::<OwnedFd>::new(), Instant::default).expect("none");
    assert_eq!(sender.open(false).expect("a socket"), SocketId(0));
    let to = receiver.sockets()[0].local;
    (sender, receiver, to)
}

fn train(to: SocketAddr, segment_bytes: usize) -> Train {
    Train { socket: SocketId(0), to, from: None, ecn: Some(Ecn::Ect0), segment_bytes }
}

/// All that has come, with the sizes of the datagrams.
fn received(receiver: &mut PlainSockets) -> (Vec<u8>, Vec<usize>) {
    let (mut all, mut sizes) = (Vec::new(), Vec::new());
    receiver.note_readable(SocketId(0));
    while let Some(arrived) = receiver.next_train() {
        assert_eq!((arrived.ecn, arrived.to), (Some(Ecn::Ect0), Some(IpAddr::from(Ipv4Addr::LOCALHOST))));
        sizes.extend(arrived.bytes.chunks(arrived.segment_bytes).map(<[u8]>::len));
        all.extend_from_slice(arrived.bytes);
    }
    assert!(!receiver.may_have_more());
    (all, sizes)
}

#[test]
fn trains_are_cut_up_by_the_kernel_or_by_hand_and_nobody_sees_which() {
    for refuses in [false, true] {
        let (mut sender, mut receiver, to) = pair();
        if refuses {
            let train = train(to, 1000);
            assert_eq!(sender.sockets.note(&train, 2000, Some(libc::EIO)), After::InPieces);
            assert_eq!(sender.segments_max(), 1);
        }
        let bytes: Vec<u8> = (0..40_500u32).map(|at| (at / 7) as u8).collect();
        let mut buffer = sender.buffer();
        buffer.extend_from_slice(&bytes);
        sender.transmit(train(to, 1000), buffer);
        let (all, sizes) = received(&mut receiver);
        assert!(all == bytes);
        assert_eq!((sizes.len(), sizes[0], sizes[40]), (41, 1000, 500));
        assert_eq!((sender.lost(), receiver.lost()), (0, 0));
        assert!(sender.buffer().capacity() >= bytes.len(), "used again");
    }
}

#[test]
fn what_the_kernel_says_to_a_train_is_fatal_for_none() {
    let mut sockets = Sockets::default();
    let to = (Ipv4Addr::LOCALHOST, 1).into();
    let train = train(to, 100);
    assert_eq!(sockets.note(&train, 250, Some(libc::ENOBUFS)), After::Gone);
    assert_eq!(sockets.lost(), 3);
    for code in [libc::ECONNREFUSED, libc::EHOSTUNREACH, libc::EMSGSIZE, libc::EPERM, libc::EINVAL] {
        assert_eq!(sockets.note(&train, 250, Some(code)), After::Gone);
    }
    assert_eq!(sockets.note(&train, 100, Some(libc::EIO)), After::Gone, "one datagram is not cut up");
    assert_eq!(sockets.note(&train, 250, Some(libc::EIO)), After::InPieces);
    assert_eq!((sockets.note(&train, 250, None), sockets.piece_bytes(&train)), (After::Gone, 100));
    assert_eq!(sockets.lost(), 3);
}

#[test]
fn what_waits_for_room_goes_in_its_order_and_what_finds_none_is_counted() {
    let (mut sender, mut receiver, to) = pair();
    for number in 0..WAITING_MAX as u8 {
        sender.waiting.push_back((train(to, 100), vec![number; 100]));
    }
    assert_eq!(sender.room(), 0);
    sender.transmit(train(to, 100), vec![99; 250]);
    assert_eq!(sender.lost(), 3);
    assert!(!sender.flush());
    assert_eq!(sender.room(), WAITING_MAX);
    let (all, sizes) = received(&mut receiver);
    assert!(sizes == vec![100; WAITING_MAX] && all.chunks(100).map(|chunk| chunk[0]).eq(0..WAITING_MAX as u8));
}

#[test]
fn a_full_socket_is_counted_and_what_it_holds_still_comes() {
    let (mut sender, mut receiver, to) = pair();
    let limit = 2000;
    let mut sent = 0;
    while receiver.lost() == 0 {
        sender.transmit(train(to, 1000), vec![7; 60_000]);
        sent += 60;
        assert!(sent < limit * 60, "the socket takes everything");
    }
    let (_, sizes) = received(&mut receiver);
    assert!(!sizes.is_empty() && sizes.len() < sent && receiver.lost() > 0);
    sender.transmit(train(to, 1000), vec![8; 1000]);
    assert_eq!(received(&mut receiver).0, vec![8; 1000]);
}

/// Whoever sends them faster than they can be read would hold the shard for ever.
#[test]
fn a_look_passes_over_some_empty_datagrams_and_the_next_goes_on() {
    let (_, mut receiver, to) = pair();
    let stranger = std::net::UdpSocket::bind("127.0.0.1:0").expect("a port");
    let send = |bytes: &[u8]| assert_eq!(stranger.send_to(bytes, to).expect("sent"), bytes.len());
    (0..3 * EMPTY_MAX / 2).for_each(|_| send(b""));
    send(b"x");
    receiver.note_readable(SocketId(0));
    assert!(receiver.next_train().is_none(), "it goes on as long as they come");
    assert!(receiver.may_have_more(), "nobody would look again");
    assert_eq!(receiver.next_train().map(|arrived| arrived.bytes.to_vec()), Some(b"x".to_vec()));
}
