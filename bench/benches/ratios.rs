//! `cargo bench -p bench --bench ratios`: what one unwrap costs beside one X25519 multiplication of aws-lc, and beside
//! its floor, the public-key operations of the unwrap alone with the same kernels. All are measured in turns so that the
//! machine's moods hit them alike. Ends with an error if a limit of the project is missed.

use bench::cases::{CASES, FloorBench, UnwrapBench, median};
use std::hint::black_box;
use std::process::ExitCode;
use std::time::{Duration, Instant};

/// The most that one unwrap in a batch of 32 may cost, in multiplications of aws-lc.
const LIMITS: &[(&str, f64)] = &[("X25519 NIKE", 2.3), ("X25519 KEM", 1.35), ("Xwing KEM", 1.95)];
const BATCH: usize = 32;
const ROUNDS: usize = 400;

fn main() -> ExitCode {
    // Test runners start every target without this argument.
    if !std::env::args().any(|argument| argument == "--bench") {
        return ExitCode::SUCCESS;
    }
    println!(
        "{:<22} {:>10} {:>8} {:>14} {:>7} {:>7}",
        "unwrap, batch of 32", "us/packet", "floor", "aws-lc X25519", "ratio", "limit"
    );
    let mut missed = false;
    for case in CASES {
        let benches = case.prepare().and_then(|prepared| {
            Ok((FloorBench::new(prepared.sphinx.geometry(), BATCH)?, UnwrapBench::new(prepared, BATCH)?))
        });
        let (mut floor_bench, mut bench) = match benches {
            Ok(benches) => benches,
            Err(reason) => {
                println!("{:<22} {reason}", case.label);
                continue;
            }
        };
        let (mut ours, mut floor, mut peer) = (Vec::new(), Vec::new(), Vec::new());
        for _ in 0..ROUNDS {
            ours.push(bench.time_batch());
            floor.push(floor_bench.time_batch());
            peer.push(time_multiplications(BATCH));
        }
        let per_packet = |times: &mut [Duration]| median(times).as_secs_f64() * 1e6 / BATCH as f64;
        let (ours, floor, peer) = (per_packet(&mut ours), per_packet(&mut floor), per_packet(&mut peer));
        let ratio = ours / peer;
        let limit = LIMITS.iter().find(|(label, _)| *label == case.label).map(|(_, limit)| *limit);
        let verdict = limit.map_or(String::new(), |limit| {
            missed |= ratio > limit;
            format!("{limit:>7.2} {}", if ratio > limit { "MISSED" } else { "ok" })
        });
        println!("{:<22} {ours:>10.2} {floor:>8.2} {peer:>14.2} {ratio:>7.2} {verdict}", case.label);
    }
    if missed { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

fn time_multiplications(count: usize) -> Duration {
    let (private, mut point) = ([0x42; 32], [9; 32]);
    let started = Instant::now();
    for _ in 0..count {
        let mut product = [0; 32];
        // SAFETY: all three pointers have 32 bytes.
        unsafe { aws_lc_sys::X25519(product.as_mut_ptr(), private.as_ptr(), point.as_ptr()) };
        point = black_box(product);
    }
    started.elapsed()
}
