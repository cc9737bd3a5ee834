//! No stall in 200 short runs: a data plane of two shards on glommio starts, forwards for a moment and ends, and every
//! packet arrives. `KATZENSPRUNG_LONG=1 cargo test -p dataplane --test short_runs -- --nocapture` (about a minute).
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

use common::Plane;
use nodes::{DOWNSTREAM, Mint, Order};
use std::sync::atomic::Ordering;

const RUNS: usize = 200;
const PACKETS: usize = 500;

#[test]
fn no_stall_in_two_hundred_short_runs() {
    if std::env::var_os("KATZENSPRUNG_LONG").is_none_or(|value| value != "1") {
        println!("SKIPPED: set KATZENSPRUNG_LONG=1");
        return;
    }
    dataplane::io::glommio::register_membarrier();
    let mut mint = Mint::new(1);
    // Each plane has new replay sets, so the packets are new to each.
    let mut packet = |number: usize| mint.packet(Order::to(DOWNSTREAM[number % 3], 1 + number as u32 % 150));
    let packets: Vec<_> = (0..PACKETS).map(&mut packet).collect();
    let (mut rescues, start) = (0, std::time::Instant::now());
    let mut slowest = std::time::Duration::ZERO;
    for run in 0..RUNS {
        let mut plane = Plane::start(2, |shard, mut io| shard.poll(&mut io));
        let sent_at = std::time::Instant::now();
        plane.send(packets.clone());
        let arrived = || plane.received.load(Ordering::Relaxed) == PACKETS as u64;
        rescues += plane.wait_until(&format!("all packets of run {run}"), arrived);
        slowest = slowest.max(sent_at.elapsed());
        plane.stop();
    }
    println!("{RUNS} runs, {} packets, {rescues} rescues, slowest {slowest:?}, {:?}", RUNS * PACKETS, start.elapsed());
}
