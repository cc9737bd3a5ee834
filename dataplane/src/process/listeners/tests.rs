use super::*;
use datagram::udp::bind;
use std::net::{Ipv4Addr, TcpListener};

/// Two addresses with so many sockets each, and a stream's listener in between.
fn sockets(count: usize) -> Vec<OwnedFd> {
    let mut all = Vec::new();
    for _ in 0..2 {
        let first = bind((Ipv4Addr::LOCALHOST, 0).into(), true).expect("a port");
        let address = local_address(&first).expect("a bound socket");
        all.push(first);
        all.extend((1..count).map(|_| bind(address, true).expect("one more of the group")));
        all.push(TcpListener::bind("127.0.0.1:0").expect("a port").into());
    }
    all
}

fn dealt(count: usize, shards: usize) -> Vec<(usize, usize)> {
    let dealt = deal(sockets(count), shards).expect("sockets");
    let of = |sockets: &Vec<OwnedFd>| {
        let datagrams = sockets.iter().filter(|socket| is_datagram(socket)).count();
        (datagrams, sockets.len() - datagrams)
    };
    dealt.iter().map(of).collect()
}

#[test]
fn each_shard_gets_a_socket_of_each_address_and_the_first_all_streams() {
    assert_eq!(dealt(3, 3), [(2, 2), (2, 0), (2, 0)]);
    assert_eq!(dealt(2, 3), [(2, 2), (2, 0), (0, 0)], "fewer sockets than shards");
    assert_eq!(dealt(5, 3), [(4, 2), (4, 0), (2, 0)], "more sockets than shards");
    assert_eq!(dealt(1, 1), [(2, 2)]);
}
