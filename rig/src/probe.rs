//! The clock and the width of the core that this thread runs on, taken between samples.
//!
//! A chain of adds, each of which needs the one before, takes one cycle per add on every core that is measured here:
//! adds per nanosecond are the clock in GHz. It cannot see a neighbour on the sibling hyperthread, who takes execution
//! ports and nothing of the chain's latency, and slows real work by up to two. Adds that do not need each other fill
//! all ports, and see him: their number per cycle is the *width*.

#[cfg(test)]
mod tests;

use std::hint::black_box;
use std::time::Instant;

/// Samples count when the width on both sides of them is at least this share of the full width.
pub const WIDTH_SHARE_MIN: f64 = 0.93;

/// The full width is what this share of all readings does not exceed. The widest reading itself would be that with the
/// worst error: one interrupt in the chain of adds makes a core look too wide.
const FULL_WIDTH_RANK: f64 = 0.9;

/// Of so many readings each, the fastest counts, so that an interrupt in one of them does no harm.
const REPEATS: usize = 3;
const CHAINED_ADDS: u64 = 10_000;
const PARALLEL_ADDS: u64 = 24_000;
/// Readings before anything is measured.
const FIRST_READINGS: usize = 400;

/// What the core is like at a moment.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Reading {
    /// The core's clock in GHz, by dependent adds.
    pub ghz: f64,
    /// Independent adds per cycle.
    pub width: f64,
}

/// Reads clock and width, and remembers the widths.
#[derive(Default)]
pub struct Probe {
    widths: Vec<f64>,
}

impl Probe {
    /// A probe that knows the full width of the core, unless a neighbour is busy all the time.
    pub fn new() -> Self {
        let mut probe = Self::default();
        for _ in 0..FIRST_READINGS {
            probe.read();
        }
        probe
    }

    /// Clock and width, in about 30 us.
    pub fn read(&mut self) -> Reading {
        let (mut chained, mut parallel) = (f64::INFINITY, f64::INFINITY);
        for _ in 0..REPEATS {
            chained = chained.min(nanoseconds(|| chained_adds(black_box(CHAINED_ADDS / 8), black_box([1, 2]))));
            parallel = parallel.min(nanoseconds(|| parallel_adds(black_box(PARALLEL_ADDS / 48), black_box([3; 12]))));
        }
        let ghz = CHAINED_ADDS as f64 / chained;
        let reading = Reading { ghz, width: PARALLEL_ADDS as f64 / parallel / ghz };
        self.widths.push(reading.width);
        reading
    }

    /// The width of a core without a neighbour, as far as it has been seen.
    pub fn full_width(&self) -> f64 {
        full_width(&self.widths)
    }
}

fn full_width(widths: &[f64]) -> f64 {
    let mut widths = widths.to_vec();
    widths.sort_unstable_by(f64::total_cmp);
    let rank = (widths.len().saturating_sub(1)) as f64 * FULL_WIDTH_RANK;
    widths.get(rank as usize).copied().unwrap_or_default()
}

fn nanoseconds(adds: impl Fn() -> u64) -> f64 {
    let started = Instant::now();
    black_box(adds());
    started.elapsed().as_nanos() as f64
}

/// Eight adds per round, each of which needs the one before. As Fibonacci's numbers they have no closed form that a
/// compiler would know: the loop is a chain of `add`.
#[inline(never)]
fn chained_adds(rounds: u64, [mut a, mut b]: [u64; 2]) -> u64 {
    for _ in 0..rounds {
        for _ in 0..4 {
            a = a.wrapping_add(b);
            b = b.wrapping_add(a);
        }
    }
    a ^ b
}

/// Six chains side by side, 48 adds per round, in twelve registers: as wide as cores are, and nothing is spilled.
#[inline(never)]
fn parallel_adds(rounds: u64, start: [u64; 12]) -> u64 {
    let [mut a, mut b, mut c, mut d, mut e, mut f, mut g, mut h, mut i, mut j, mut k, mut l] = start;
    for _ in 0..rounds {
        for _ in 0..4 {
            a = a.wrapping_add(b);
            c = c.wrapping_add(d);
            e = e.wrapping_add(f);
            g = g.wrapping_add(h);
            i = i.wrapping_add(j);
            k = k.wrapping_add(l);
            b = b.wrapping_add(a);
            d = d.wrapping_add(c);
            f = f.wrapping_add(e);
            h = h.wrapping_add(g);
            j = j.wrapping_add(i);
            l = l.wrapping_add(k);
        }
    }
    a ^ b ^ c ^ d ^ e ^ f ^ g ^ h ^ i ^ j ^ k ^ l
}
