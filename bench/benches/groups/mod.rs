//! Rows of the table of cases as criterion groups: one per operation, scheme and size.

use bench::measures::Row;
use bench::subjects::{Contest, Subject, time};
use criterion::{BenchmarkId, Criterion, Throughput};

/// Ours at each batch size, floor and peers once, at the first.
pub fn run(criterion: &mut Criterion, rows: &[Row]) {
    for rows in rows.chunk_by(|a, b| a.measure == b.measure && a.size == b.size) {
        let Some(first) = rows.first() else { continue };
        let mut name = first.measure.name().to_owned();
        if !first.measure.scheme().is_empty() {
            name = format!("{name}/{}", first.measure.scheme());
        }
        if first.size > 0 {
            name = format!("{name}/{}", first.size);
        }
        let mut group = criterion.benchmark_group(name);
        for row in rows {
            let Contest { mut ours, peers, floor } = match Contest::new(row) {
                Ok(contest) => contest,
                Err(reason) => {
                    println!("left out: {reason}");
                    continue;
                }
            };
            let mut bench = |function: &str, subject: &mut dyn Subject| {
                group.throughput(Throughput::Elements(subject.items() as u64));
                group.bench_function(BenchmarkId::new(function, row.batch), |bencher| {
                    bencher.iter_custom(|runs| time(subject, runs));
                });
            };
            bench("ours", &mut *ours);
            if let Some(mut floor) = floor {
                bench("floor", &mut *floor);
            }
            if row == first {
                for mut peer in peers {
                    bench(peer.name, &mut *peer.subject);
                }
            }
        }
    }
}
