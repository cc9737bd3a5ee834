//! Through a relay to a second one and back: what goes in comes out, both ways, and ends are passed on.

use super::Doors;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::time::Duration;

const BYTES: usize = 3 << 20;

/// TCP to the first relay, QUIC to the second, TCP to the listener.
#[test]
fn bytes_pass_through_two_relays_both_ways_and_so_do_ends() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("loopback is up");
    let behind = listener.local_addr().expect("it is bound");
    let second = Doors::open(Ipv4Addr::LOCALHOST.into(), 1).expect("ports are free");
    let entrance = second.behind()[0];
    let _second = second.relay(entrance, &[behind], None).expect("QUIC can be set up");
    let first = Doors::open(Ipv4Addr::LOCALHOST.into(), 0)
        .expect("ports are free")
        .relay(entrance, &[], None)
        .expect("QUIC can be set up");

    let mut here = TcpStream::connect(first.address).expect("the relay listens");
    // QUIC shows a connection to nobody before something is said over it.
    here.write_all(b"hello").expect("the relay reads");
    let (mut there, _) = listener.accept().expect("the relay dials");
    for stream in [&here, &there] {
        stream.set_read_timeout(Some(Duration::from_secs(20))).expect("a limit can be set");
    }
    let mut greeting = [0; 5];
    there.read_exact(&mut greeting).expect("it arrives");
    assert_eq!(&greeting, b"hello");

    let sent: Vec<u8> = (0..BYTES).map(|at| (at * 7 + at / 251) as u8).collect();
    let (mut arrived, mut returned) = (vec![0; BYTES], vec![0; BYTES]);
    std::thread::scope(|scope| {
        let (mut writing, bytes) = (here.try_clone().expect("descriptors are left"), &sent);
        scope.spawn(move || writing.write_all(bytes).expect("the relay reads"));
        there.read_exact(&mut arrived).expect("all of it arrives");
        let (mut back, bytes) = (there.try_clone().expect("descriptors are left"), &arrived);
        scope.spawn(move || back.write_all(bytes).expect("the relay reads"));
        here.read_exact(&mut returned).expect("all of it comes back");
    });
    assert!(arrived == sent && returned == sent, "bytes have changed on the way");

    drop(there);
    assert_eq!(here.read(&mut [0; 1]).expect("an end is no error"), 0, "the end is passed on");
}
