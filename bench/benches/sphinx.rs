//! `cargo bench -p bench --bench sphinx`: unwrapping in batches of 1 to 64 and creating, over the table of the
//! reference's own benchmark (sphinx.md 15), beside the floor and the one-packet path of the best libraries.
#![allow(missing_docs, reason = "criterion's macros make public items")]

use bench::cases::CASES;
use bench::measures::{criterion_batches, rows, unwraps};
use criterion::{Criterion, criterion_group, criterion_main};
use crypto_simd::random::OsRandom;

#[path = "groups/mod.rs"]
mod groups;

fn unwrap(criterion: &mut Criterion) {
    groups::run(criterion, &rows(unwraps(), criterion_batches));
}

fn create(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("create");
    for case in CASES {
        let prepared = match case.prepare(2_000) {
            Ok(prepared) => prepared,
            Err(reason) => {
                println!("left out: {reason}");
                continue;
            }
        };
        group.bench_function(case.label, |bencher| {
            bencher.iter(|| prepared.sphinx.new_packet(&prepared.path, &prepared.payload, &mut OsRandom));
        });
    }
}

criterion_group!(benches, unwrap, create);
criterion_main!(benches);
