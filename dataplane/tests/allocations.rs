//! What a shard's thread allocates per packet from socket to socket: nothing in the shard, and in glommio what it makes
//! for each wait for a socket or a timer.
#![allow(
    missing_docs,
    dead_code,
    unused_imports,
    reason = "a test binary; it uses a part of the tests' nodes and peers"
)]

use dataplane::{io, link, random, shard, shared, time};

mod common;
#[path = "../src/shard/tests/nodes.rs"]
mod nodes;
#[path = "../src/shard/tests/peers.rs"]
mod peers;
#[path = "../src/shard/tests/sockets.rs"]
mod sockets;

use allocations::Counting;
use common::{Led, Plane};
use dataplane::{Next, Shard};
use nodes::{DOWNSTREAM, EPOCH, Mint, Order, key_ring};
use std::sync::atomic::Ordering;

/// Where a shard's thread is. Others are at place 0.
const ELSEWHERE: usize = 1;
const IN_POLL: usize = 2;
const IN_IO: usize = 3;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn go_to(place: usize) {
    let _before = allocations::enter(place);
}

fn poll(shard: &mut Shard, io: Led<'_>) -> Next {
    go_to(IN_POLL);
    let mut io = Led { before: || go_to(IN_IO), after: || go_to(IN_POLL), ..io };
    let next = shard.poll(&mut io);
    go_to(ELSEWHERE);
    next
}

#[test]
fn a_hundred_thousand_packets_from_socket_to_socket() {
    const PACKETS: u64 = 100_000;
    const WARM_UP: u64 = 10_000;
    let mut mint = Mint::new(1);
    let mut packet = |number: u64| mint.packet(Order::to(DOWNSTREAM[number as usize % 3], 1 + number as u32 % 20));
    let packets: Vec<_> = (0..PACKETS + WARM_UP).map(&mut packet).collect();
    let mut plane = Plane::start(1, poll);
    plane.send(packets);
    let received = |least: u64| plane.received.load(Ordering::Relaxed) >= least;
    plane.wait_until("the warm-up", || received(WARM_UP));
    let counts = || [ELSEWHERE, IN_POLL, IN_IO].map(allocations::everywhere);
    let (before, done) = (counts(), plane.received.load(Ordering::Relaxed));
    plane.wait_until("all packets", || received(PACKETS + WARM_UP));
    let after = counts();
    let counted = (PACKETS + WARM_UP - done) as f64;
    let [elsewhere, in_poll, in_io] = [0, 1, 2].map(|place| after[place] - before[place]);
    plane.stop();
    println!(
        "{counted} packets: {in_poll} allocations in the shard; per packet {:.3} in calls of its input and output, {:.3} \
         in the executor",
        in_io as f64 / counted,
        elsewhere as f64 / counted
    );
    assert!(before[1] > 0, "the shard's start and its handshakes are counted");
    assert_eq!(in_poll, 0);
}
