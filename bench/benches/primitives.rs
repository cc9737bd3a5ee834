//! `cargo bench -p bench --bench primitives`: single operations in batches of 1 to 64, beside the libraries.
#![allow(missing_docs, reason = "criterion's macros make public items")]

use bench::measures::{PRIMITIVES, criterion_batches, rows};
use criterion::{Criterion, criterion_group, criterion_main};

#[path = "groups/mod.rs"]
mod groups;

fn primitives(criterion: &mut Criterion) {
    groups::run(criterion, &rows(PRIMITIVES.iter().copied(), criterion_batches));
}

criterion_group!(benches, primitives);
criterion_main!(benches);
