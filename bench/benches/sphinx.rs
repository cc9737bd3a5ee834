//! `cargo bench -p bench --bench sphinx`: creating and unwrapping, over the table of the reference's own benchmark
//! (sphinx.md 15), and one X25519 multiplication of aws-lc as the yardstick of the machine.
#![allow(missing_docs, reason = "criterion's macros make public items")]

use bench::cases::{CASES, UnwrapBench};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use crypto_simd::random::OsRandom;
use std::hint::black_box;
use std::time::Duration;

fn unwrap(criterion: &mut Criterion) {
    for case in CASES {
        for batch in [1, 32] {
            let Some(mut bench) = prepared(case.prepare().and_then(|prepared| UnwrapBench::new(prepared, batch)))
            else {
                continue;
            };
            let mut group = criterion.benchmark_group(format!("unwrap/{}", case.label));
            group.throughput(Throughput::Elements(batch as u64));
            group.bench_function(format!("batch of {batch}"), |bencher| {
                bencher.iter_custom(|rounds| (0..rounds).map(|_| bench.time_batch()).sum::<Duration>());
            });
        }
    }
}

fn create(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("create");
    for case in CASES {
        let Some(prepared) = prepared(case.prepare()) else { continue };
        group.bench_function(case.label, |bencher| {
            bencher.iter(|| prepared.sphinx.new_packet(&prepared.path, &prepared.payload, &mut OsRandom));
        });
    }
}

fn peer(criterion: &mut Criterion) {
    let (private, mut point) = ([0x42; 32], [9; 32]);
    criterion.bench_function("peer/aws-lc X25519", |bencher| {
        bencher.iter(|| {
            let mut product = [0; 32];
            // SAFETY: all three pointers have 32 bytes.
            unsafe { aws_lc_sys::X25519(product.as_mut_ptr(), private.as_ptr(), point.as_ptr()) };
            point = black_box(product);
        });
    });
}

/// What is not built in is named and left out.
fn prepared<T>(case: Result<T, String>) -> Option<T> {
    case.map_err(|reason| println!("left out: {reason}")).ok()
}

criterion_group!(benches, unwrap, create, peer);
criterion_main!(benches);
