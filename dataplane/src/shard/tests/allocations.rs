//! What a shard allocates once it runs: nothing per packet. The simulated network's own allocations do not count.

use super::net::Plan;
use super::nodes::{DOWNSTREAM, EPOCH, Mint, Order, UPSTREAM, key_ring};
use crate::io::{ConnId, Event, Io, Received, Sending, Target};
use crate::time::Instant;
use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::time::Duration;

thread_local! {
    static COUNTS: Cell<bool> = const { Cell::new(false) };
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
}

/// The system's allocator, with a count for each thread.
struct Counting;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn count() {
    // A thread that ends has no counts any more, and nothing to count.
    let _ = COUNTS.try_with(|counts| {
        if counts.get() {
            ALLOCATIONS.with(|allocations| allocations.set(allocations.get() + 1));
        }
    });
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

/// Counts what `act` allocates in this thread.
pub fn counted<T>(act: impl FnOnce() -> T) -> T {
    let before = COUNTS.replace(true);
    let result = act();
    COUNTS.set(before);
    result
}

/// Does not count what `act` allocates.
fn uncounted<T>(act: impl FnOnce() -> T) -> T {
    let before = COUNTS.replace(false);
    let result = act();
    COUNTS.set(before);
    result
}

/// Input and output whose allocations do not count.
pub struct Uncounted<'a, I>(pub &'a mut I);

impl<I: Io> Io for Uncounted<'_, I> {
    fn now(&self) -> Instant {
        uncounted(|| self.0.now())
    }

    fn unix_now(&self) -> Duration {
        uncounted(|| self.0.unix_now())
    }

    fn next_event(&mut self) -> Option<Event> {
        uncounted(|| self.0.next_event())
    }

    fn recv(&mut self, conn: ConnId, bytes_max: usize) -> Received<'_> {
        let before = COUNTS.replace(false);
        let received = self.0.recv(conn, bytes_max);
        COUNTS.set(before);
        received
    }

    fn send(&mut self, conn: ConnId, buffer: Vec<u8>) {
        uncounted(|| self.0.send(conn, buffer));
    }

    fn sending(&self, conn: ConnId) -> Option<Sending> {
        uncounted(|| self.0.sending(conn))
    }

    fn connect(&mut self, to: Target) -> ConnId {
        uncounted(|| self.0.connect(to))
    }

    fn hand_over(&mut self, conn: ConnId, to_shard: usize) -> bool {
        uncounted(|| self.0.hand_over(conn, to_shard))
    }

    fn close(&mut self, conn: ConnId) -> usize {
        uncounted(|| self.0.close(conn))
    }

    fn wake(&mut self, shard: usize) {
        uncounted(|| self.0.wake(shard));
    }
}

#[test]
fn a_hundred_thousand_packets_allocate_nothing() {
    const PACKETS: usize = 5_000;
    const ROUNDS: usize = 21;
    let mut plan = Plan::new(2);
    plan.setup.machine.slots_per_shard = 4096;
    let (mut net, downstream) = plan.build_with_downstream();
    let upstream = net.add_dialler(UPSTREAM[0]);
    net.run_until_up(upstream);
    downstream.iter().for_each(|peer| net.run_until_up(*peer));
    let mut mint = Mint::new(1);
    let packets: Vec<Vec<u8>> =
        (0..PACKETS).map(|number| mint.packet(Order::to(DOWNSTREAM[number % 3], 1 + number as u32 % 100))).collect();
    let mut in_warm_up = 0;
    for round in 0..ROUNDS {
        // With empty replay sets the same packets are new once more. Taking them over is not steady state.
        net.shared.publish_keys(key_ring([EPOCH.0]));
        net.wake_all();
        net.run_for(Duration::from_millis(1));
        ALLOCATIONS.set(0);
        for (number, packet) in packets.iter().enumerate() {
            net.peer(upstream).send(packet.clone());
            if number % 500 == 499 {
                net.run_for(Duration::from_millis(10));
            }
        }
        net.run_for(Duration::from_millis(150));
        if round == 0 {
            in_warm_up = ALLOCATIONS.get();
        } else {
            assert_eq!(ALLOCATIONS.get(), 0, "in round {round}; {in_warm_up} in the first");
        }
        downstream.iter().for_each(|peer| net.peer(*peer).received.clear());
    }
    assert_eq!(net.drops(), []);
    assert_eq!(net.account().sent, (PACKETS * ROUNDS) as u64);
    println!("{} packets: {in_warm_up} allocations among the first {PACKETS}, none later", PACKETS * ROUNDS);
}
