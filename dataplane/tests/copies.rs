//! What a shard's round copies per packet by calls of `memcpy` and `memmove`, those of the backend left out: no whole packet,
//! and of more than 256 bytes twice the routing information, which is shifted by one hop, what eight lanes of a kernel hold,
//! and the two parts of a frame that has arrived in two pieces.
#![cfg(target_arch = "x86_64")]
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
use nodes::{DOWNSTREAM, Mint, Order};
use std::cell::Cell;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

/// Smaller copies do not count.
const LEAST_BYTES: usize = 256;
const PACKETS: u64 = 5_000;

static COPIES: AtomicU64 = AtomicU64::new(0);
/// Of those, copies of whole packets.
static WHOLE: AtomicU64 = AtomicU64::new(0);
static PACKET_BYTES: AtomicUsize = AtomicUsize::new(usize::MAX);

thread_local! {
    /// Whether this is a shard's thread in its round, calls of the backend left out.
    static IS_WATCHED: Cell<bool> = const { Cell::new(false) };
}

const HOOKS: Hooks = Hooks {
    before_round: || IS_WATCHED.set(true),
    after_round: || IS_WATCHED.set(false),
    before_call: || IS_WATCHED.set(false),
    after_call: || IS_WATCHED.set(true),
};

/// The system's functions for this program, which count.
#[allow(unsafe_code, reason = "functions of the system are unsafe")]
mod watched {
    use super::{COPIES, IS_WATCHED, LEAST_BYTES, Ordering, PACKET_BYTES, WHOLE};
    use std::arch::asm;

    fn note(bytes: usize) {
        if bytes > LEAST_BYTES && IS_WATCHED.try_with(std::cell::Cell::get).unwrap_or(false) {
            COPIES.fetch_add(1, Ordering::Relaxed);
            WHOLE.fetch_add(u64::from(bytes >= PACKET_BYTES.load(Ordering::Relaxed)), Ordering::Relaxed);
        }
    }

    #[unsafe(no_mangle)]
    unsafe extern "C" fn memcpy(to: *mut u8, from: *const u8, bytes: usize) -> *mut u8 {
        note(bytes);
        // SAFETY: the caller's promise is that both places have so many bytes; flags and memory are declared.
        unsafe {
            asm!("rep movsb", inout("rcx") bytes => _, inout("rdi") to => _, inout("rsi") from => _,
                options(nostack, preserves_flags));
        }
        to
    }

    #[unsafe(no_mangle)]
    unsafe extern "C" fn memmove(to: *mut u8, from: *const u8, bytes: usize) -> *mut u8 {
        if (to as usize).wrapping_sub(from as usize) >= bytes {
            // SAFETY: going forward, no byte is written before it is read.
            return unsafe { memcpy(to, from, bytes) };
        }
        note(bytes);
        let end = bytes.wrapping_sub(1);
        // SAFETY: the same backward, from the last bytes on; the direction is set back.
        unsafe {
            asm!("std", "rep movsb", "cld", inout("rcx") bytes => _, inout("rdi") to.wrapping_add(end) => _,
                inout("rsi") from.wrapping_add(end) => _, options(nostack));
        }
        to
    }
}

#[test]
fn a_packet_is_written_once_on_the_way_in_and_once_on_the_way_out() {
    let mut mint = Mint::new(1);
    let packets: Vec<_> = (0..PACKETS as usize)
        .map(|number| mint.packet(Order::to(DOWNSTREAM[number % 3], 1 + number as u32 % 20)))
        .collect();
    PACKET_BYTES.store(packets[0].len(), Ordering::Relaxed);
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
    let counts = || [&COPIES, &WHOLE].map(|copies| copies.load(Ordering::Relaxed));
    let before = counts();
    plane.send(packets);
    plane.wait_until("all packets", || plane.received.load(Ordering::Relaxed) >= PACKETS);
    let after = counts();
    plane.stop();
    let [copies, whole] = [0, 1].map(|place| (after[place] - before[place]) as f64 / PACKETS as f64);
    println!("{name}: {copies:.3} copies for each packet, {whole:.3} of them of a whole packet");
    assert!(copies > 1.0, "{name}: the routing information is shifted, so copies are seen");
    assert!(whole < 0.1, "{name}: {whole} copies of each packet");
    assert!(copies < 6.0, "{name}: {copies} copies for each packet");
}
