//! What is not ours goes on to the kernel, as if there were no program.

use crate::pair_or_return;
use crate::support::net::Host;
use crate::support::{SOON, end, meet, only_shard, pattern, receive, round, send};
use datagram::{Datagrams, SocketId, Train};
use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketType, ipproto, recv, sendto, socket, sockopt};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::time::{Duration, Instant};
use xdp::{Attachment, Mode, Refusal};

const PORT: u16 = 4433;

/// Whether the kernel of the other host answers an echo request.
fn is_echoed(from: &Host, to: &Host) -> bool {
    let socket = from.run(|| socket(AddressFamily::INET, SocketType::RAW, Some(ipproto::ICMP))).unwrap();
    let timeout = Some(std::time::Duration::from_millis(200));
    sockopt::set_socket_timeout(&socket, sockopt::Timeout::Recv, timeout).unwrap();
    // Type 8, and a checksum for an identifier and a sequence of zero.
    let request = [8, 0, 0xf7, 0xff, 0, 0, 0, 0];
    let begin = Instant::now();
    while begin.elapsed() < SOON {
        sendto(&socket, &request, SendFlags::empty(), &SocketAddr::new(to.v4(), 0)).unwrap();
        let mut answer = [0; 128];
        if let Ok((_, bytes)) = recv(&socket, &mut answer[..], RecvFlags::empty()) {
            // An echo reply behind a header of IP.
            if bytes >= 28 && answer[20] == 0 {
                return true;
            }
        }
    }
    false
}

fn check(mode: Mode) {
    let (first, second) = pair_or_return!(1);
    let (here, there) = (first.at(false, PORT), second.at(false, PORT));
    let mut a = only_shard(&first, &[mode], &[here, first.at(true, PORT)]);
    assert!(is_echoed(&second, &first), "{mode:?}");
    // TCP, at the very port too.
    for is_ipv6 in [false, true] {
        let listener = first.run(|| TcpListener::bind(first.at(is_ipv6, PORT))).unwrap();
        let mut dialled = second.run(|| TcpStream::connect(first.at(is_ipv6, PORT))).unwrap();
        let (mut accepted, _) = listener.accept().unwrap();
        dialled.write_all(&pattern(100_000, 1)).unwrap();
        let mut bytes = vec![0; 100_000];
        accepted.set_read_timeout(Some(SOON)).unwrap();
        accepted.read_exact(&mut bytes).unwrap();
        assert!(bytes == pattern(100_000, 1));
    }
    // UDP for another port, and for another host's address at our port.
    let others = first.run(|| UdpSocket::bind(first.at(false, PORT + 1))).unwrap();
    others.set_read_timeout(Some(SOON)).unwrap();
    let peer = second.run(|| UdpSocket::bind(there)).unwrap();
    peer.send_to(b"not yours", first.at(false, PORT + 1)).unwrap();
    let mut buffer = [0; 100];
    assert_eq!(others.recv_from(&mut buffer).unwrap(), (9, there));
    assert!(round(&mut a).is_empty());
    // A datagram in parts is put together by the kernel and comes through its socket.
    for is_ipv6 in [false, true] {
        let peer = second.run(|| UdpSocket::bind(second.at(is_ipv6, PORT + 2))).unwrap();
        let (before, bytes) = (a.counters().arrived, pattern(5_000, 2));
        peer.send_to(&bytes, first.at(is_ipv6, PORT)).unwrap();
        assert!(receive(&mut a, 1)[0].bytes == bytes);
        assert_eq!(a.counters().arrived, before, "not through the kernel");
    }
    assert_eq!(a.counters().refused, 0, "{:?}", a.counters());
}

#[test]
fn everything_else_passes() {
    check(Mode::Native);
    check(Mode::Generic);
}

/// What is larger than the interface takes is left to the kernel, which refuses it: nobody on the way is to cut datagrams of QUIC up.
#[test]
fn larger_than_the_wire() {
    let (first, second) = pair_or_return!(1);
    let (here, there) = (first.at(false, PORT), second.at(false, PORT));
    let mut a = only_shard(&first, &Mode::ALL, &[here]);
    let mut b = only_shard(&second, &Mode::ALL, &[there]);
    meet(&mut a, &mut b, there);
    let before = a.counters();
    send(&mut a, there, None, 4_000, &pattern(4_000, 1));
    send(&mut a, there, None, 5, b"again");
    assert_eq!(receive(&mut b, 1)[0].bytes, b"again");
    let after = a.counters();
    assert_eq!((after.kernel_trains, after.left), (before.kernel_trains + 1, before.left + 1));
    assert_eq!(after.no_frame, 0);
}

/// This host itself is reached through the kernel, and so is what another interface leads to.
#[test]
fn another_way_than_the_wire() {
    let (first, _second) = pair_or_return!(1);
    first.ip("link add aside type veth peer name beside");
    first.ip("addr add 10.78.0.1/24 dev aside");
    first.ip("link set beside up");
    first.ip("link set aside up");
    let mut a = only_shard(&first, &Mode::ALL, &[first.at(false, PORT)]);
    let own = first.run(|| UdpSocket::bind(first.at(false, PORT + 1))).unwrap();
    own.set_read_timeout(Some(SOON)).unwrap();
    send(&mut a, first.at(false, PORT + 1), None, 4, b"self");
    assert_eq!(own.recv_from(&mut [0; 100]).unwrap(), (4, first.at(false, PORT)));
    send(&mut a, "10.78.0.2:9".parse().unwrap(), None, 4, b"else");
    assert_eq!((a.counters().left, a.counters().kernel_trains), (0, 2));
}

/// Behind a router: the frame goes to it, with the receiver's address of IP.
#[test]
fn behind_a_router() {
    let (first, second) = pair_or_return!(1);
    second.ip("addr add 10.79.0.1/32 dev lo");
    first.ip(&format!("route add 10.79.0.0/24 via {}", second.v4()));
    let mut a = only_shard(&first, &Mode::ALL, &[first.at(false, PORT)]);
    let behind = second.run(|| UdpSocket::bind("10.79.0.1:9")).unwrap();
    behind.set_read_timeout(Some(SOON)).unwrap();
    let begin = Instant::now();
    while a.counters().left == 0 {
        send(&mut a, "10.79.0.1:9".parse().unwrap(), None, 4, b"over");
        assert_eq!(behind.recv_from(&mut [0; 100]).unwrap(), (4, first.at(false, PORT)));
        assert!(begin.elapsed() < SOON, "{:?}", a.counters());
    }
}

/// A neighbour that gets another address of Ethernet is found again.
#[test]
fn another_address_of_ethernet() {
    let (first, second) = pair_or_return!(1);
    let (here, there) = (first.at(false, PORT), second.at(false, PORT));
    let mut a = only_shard(&first, &Mode::ALL, &[here]);
    let mut b = only_shard(&second, &Mode::ALL, &[there]);
    meet(&mut a, &mut b, there);
    drop(b);
    second.ip("link set wire down");
    second.ip("link set wire address 02:00:00:00:77:77");
    second.ip("link set wire up");
    first.ip("neigh flush dev wire");
    let mut b = only_shard(&second, &Mode::ALL, &[there]);
    meet(&mut a, &mut b, there);
}

#[test]
fn an_interface_that_goes_down_and_comes_up() {
    let (first, second) = pair_or_return!(1);
    let (here, there) = (first.at(false, PORT), second.at(false, PORT));
    let mut a = only_shard(&first, &Mode::ALL, &[here]);
    let mut b = only_shard(&second, &Mode::ALL, &[there]);
    meet(&mut a, &mut b, there);
    let begin = Instant::now();
    while a.counters().left == 0 {
        send(&mut a, there, None, 5, b"frame");
        assert!(begin.elapsed() < SOON, "{:?}", a.counters());
        std::thread::sleep(Duration::from_millis(2));
    }
    first.ip("link set wire down");
    // More than there are frames, within a round.
    for _ in 0..100 {
        let mut buffer = a.buffer();
        buffer.extend_from_slice(&[1; 3_200]);
        a.transmit(Train { socket: SocketId(0), to: there, from: None, ecn: None, segment_bytes: 100 }, buffer);
    }
    end(&mut a);
    assert!(!a.end_round(), "no round is to follow at once, as none would help");
    assert!(a.room() > 0, "what can go another way waits for no frame: {:?}", a.counters());
    for _ in 0..100 {
        send(&mut a, there, None, 100, &[1; 3_200]);
    }
    first.ip("link set wire up");
    meet(&mut a, &mut b, there);
    let begin = Instant::now();
    while a.room() < 64 {
        a.end_round();
        assert!(begin.elapsed() < SOON, "{} {:?}", a.room(), a.counters());
    }
}

#[test]
fn interfaces_that_cannot_carry_frames() {
    let (first, _second) = pair_or_return!(1);
    let refusal = |name: &str| first.run(|| Attachment::new(name, &Mode::ALL).map(|_| ())).unwrap_err();
    assert!(matches!(refusal("nowhere"), Refusal::NoInterface { .. }), "{}", refusal("nowhere"));
    assert!(matches!(refusal("lo"), Refusal::NotEthernet { .. }), "{}", refusal("lo"));
    let _held = first.run(|| Attachment::new("wire", &Mode::ALL)).unwrap();
    let text = refusal("wire").to_string();
    assert!(matches!(refusal("wire"), Refusal::Occupied { .. }) && text.contains("ip link show wire"), "{text}");
    first.ip("link add large type veth peer name beside");
    first.ip("link set large mtu 9000");
    let attachment = first.run(|| Attachment::new("large", &Mode::ALL)).unwrap();
    let refusal = first.run(|| xdp::Queue::open(&attachment, 0, xdp::Frames::default()).map(|_| ())).unwrap_err();
    assert!(refusal.to_string().contains("ip link set large mtu 3826"), "{refusal}");
}
