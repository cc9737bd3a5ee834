//! What a shard's thread allocates per packet from socket to socket: nothing in the shard, whatever the backend; in
//! glommio what it makes for each wait for a socket or a timer.
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
use common::{Hooks, Plane};
use dataplane::io::choice::Choice;
use dataplane::io::driver::Clock;
use interplane::setup::Backend;
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

const HOOKS: Hooks = Hooks {
    before_round: || go_to(IN_POLL),
    after_round: || go_to(ELSEWHERE),
    before_call: || go_to(IN_IO),
    after_call: || go_to(IN_POLL),
};

const PACKETS: u64 = 40_000;
const WARM_UP: u64 = 10_000;

#[test]
fn from_socket_to_socket_on_every_backend() {
    let mut mint = Mint::new(1);
    let mut packet = |number: u64| mint.packet(Order::to(DOWNSTREAM[number as usize % 3], 1 + number as u32 % 20));
    // Each plane has new replay sets, so the packets are new to each.
    let packets: Vec<_> = (0..PACKETS + WARM_UP).map(&mut packet).collect();
    for backend in [Backend::Uring, Backend::Epoll, Backend::Glommio] {
        let clock = Clock::start();
        match Choice::make(backend, 1, clock) {
            Ok((choice, _)) => count_on(choice, clock, packets.clone()),
            Err(refusal) => testhost::lacks("io_uring", format_args!("{backend:?}: {refusal}")),
        }
    }
}

fn count_on(choice: Choice, clock: Clock, packets: Vec<Vec<u8>>) {
    let name = choice.name();
    let mut plane = Plane::start(choice, clock, 1, HOOKS);
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
        "{name}: {counted} packets: {in_poll} allocations in the shard; per packet {:.3} in calls of its input and \
         output, {:.3} between rounds",
        in_io as f64 / counted,
        elsewhere as f64 / counted
    );
    assert!(before[1] > 0, "the shard's start and its handshakes are counted");
    assert_eq!(in_poll, 0, "{name}");
}
