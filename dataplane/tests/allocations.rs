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

use common::{Hooks, Plane};
use dataplane::io::choice::Choice;
use dataplane::io::driver::Clock;
use interplane::setup::Backend;
use nodes::{DOWNSTREAM, EPOCH, Mint, Order, key_ring};
use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::sync::atomic::{AtomicU64, Ordering};

/// Where a shard's thread is.
const ELSEWHERE: usize = 0;
const IN_POLL: usize = 1;
const IN_IO: usize = 2;
/// A thread that is no shard's.
const UNCOUNTED: usize = 3;

static ALLOCATIONS: [AtomicU64; 4] = [const { AtomicU64::new(0) }; 4];

thread_local! {
    static PLACE: Cell<usize> = const { Cell::new(UNCOUNTED) };
}

struct Counting;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn count() {
    // A thread that ends has no place any more.
    let place = PLACE.try_with(Cell::get).unwrap_or(UNCOUNTED);
    ALLOCATIONS[place].fetch_add(1, Ordering::Relaxed);
}

// SAFETY: every call goes to the system's allocator as it is; counting does not allocate.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count();
        // SAFETY: the caller's promises are the system allocator's.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the caller's promises are the system allocator's.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        count();
        // SAFETY: the caller's promises are the system allocator's.
        unsafe { System.realloc(pointer, layout, new_size) }
    }
}

const HOOKS: Hooks = Hooks {
    before_round: || PLACE.set(IN_POLL),
    after_round: || PLACE.set(ELSEWHERE),
    before_call: || PLACE.set(IN_IO),
    after_call: || PLACE.set(IN_POLL),
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
            Err(refusal) => println!("{backend:?}: NOT TESTED ON THIS HOST: {refusal}"),
        }
    }
}

fn count_on(choice: Choice, clock: Clock, packets: Vec<Vec<u8>>) {
    let name = choice.name();
    let mut plane = Plane::start(choice, clock, 1, HOOKS);
    plane.send(packets);
    let received = |least: u64| plane.received.load(Ordering::Relaxed) >= least;
    plane.wait_until("the warm-up", || received(WARM_UP));
    let counts = || [ELSEWHERE, IN_POLL, IN_IO].map(|place| ALLOCATIONS[place].load(Ordering::Relaxed));
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
    assert!(before[IN_POLL] > 0, "the shard's start and its handshakes are counted");
    assert_eq!(in_poll, 0, "{name}");
}
