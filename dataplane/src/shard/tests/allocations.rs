//! What a shard allocates once it runs: nothing per packet. The simulated network's own allocations do not count.

use super::net::Plan;
use super::nodes::{DOWNSTREAM, EPOCH, Mint, Order, UPSTREAM, key_ring};
use crate::io::{ConnId, Event, Io, Received, Sending, Target};
use crate::time::Instant;
use allocations::Counting;
use std::time::Duration;

/// Where allocations count; elsewhere they do not.
const IN_SHARD: usize = 1;
const ELSEWHERE: usize = 0;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Counts what `act` allocates in this thread.
pub fn counted<T>(act: impl FnOnce() -> T) -> T {
    allocations::at(IN_SHARD, act)
}

/// Does not count what `act` allocates.
fn uncounted<T>(act: impl FnOnce() -> T) -> T {
    allocations::at(ELSEWHERE, act)
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
        let before = allocations::enter(ELSEWHERE);
        let received = self.0.recv(conn, bytes_max);
        allocations::enter(before);
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
        let before = allocations::here(IN_SHARD);
        for (number, packet) in packets.iter().enumerate() {
            net.peer(upstream).send(packet.clone());
            if number % 500 == 499 {
                net.run_for(Duration::from_millis(10));
            }
        }
        net.run_for(Duration::from_millis(150));
        let allocated = allocations::here(IN_SHARD) - before;
        if round == 0 {
            in_warm_up = allocated;
        } else {
            assert_eq!(allocated, 0, "in round {round}; {in_warm_up} in the first");
        }
        downstream.iter().for_each(|peer| net.peer(*peer).received.clear());
    }
    assert_eq!(net.drops(), []);
    assert_eq!(net.account().sent, (PACKETS * ROUNDS) as u64);
    println!("{} packets: {in_warm_up} allocations among the first {PACKETS}, none later", PACKETS * ROUNDS);
}
