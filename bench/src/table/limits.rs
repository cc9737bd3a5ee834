//! What each row must show and should show, per class of machine.

use crate::measures::{Measure, Row};
use crypto_simd::cpu::Level;

/// A limit of one row.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Limit {
    /// The peer's time over ours.
    Ratio {
        /// The least that is good enough.
        must: f64,
        /// The aim.
        aim: Option<f64>,
    },
    /// Cycles per byte.
    CyclesPerByte {
        /// The most that is good enough.
        must: f64,
    },
}

/// How a row stands to its limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The aim is reached.
    Aim,
    /// Good enough.
    Met,
    /// Not good enough.
    Missed,
}

impl Limit {
    fn at_least(must: f64, aim: f64) -> Self {
        Self::Ratio { must, aim: Some(aim) }
    }

    fn must(must: f64) -> Self {
        Self::Ratio { must, aim: None }
    }

    /// The verdict about a row with that ratio and those cycles per byte, as they were measured: what is a little less
    /// than a limit misses it although both look the same when they are rounded. What was not measured is missed.
    pub fn verdict(self, ratio: Option<f64>, cycles_per_byte: Option<f64>) -> Verdict {
        match self {
            Self::Ratio { must, aim } => match ratio {
                Some(ratio) if aim.is_some_and(|aim| ratio >= aim) => Verdict::Aim,
                Some(ratio) if ratio >= must => Verdict::Met,
                _ => Verdict::Missed,
            },
            Self::CyclesPerByte { must } => match cycles_per_byte {
                Some(cycles) if cycles <= must => Verdict::Met,
                _ => Verdict::Missed,
            },
        }
    }
}

/// The two classes of machine that have limits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Class {
    Avx512,
    Avx2,
}

fn class(level: Level) -> Option<Class> {
    match level {
        Level::Portable => None,
        Level::Avx2 | Level::Avx2Vaes => Some(Class::Avx2),
        Level::Avx512 => Some(Class::Avx512),
    }
}

/// The limit of a row at a level, if there is one.
pub fn limit(row: &Row, level: Level) -> Option<Limit> {
    let class = class(level)?;
    let [wide, narrow] = both(row)?;
    match class {
        Class::Avx512 => wide,
        // The narrow limit for AEZ is that of 256-bit AES.
        Class::Avx2 if row.measure == Measure::Aez && level < Level::Avx2Vaes => None,
        Class::Avx2 => narrow,
    }
}

/// The limits with AVX-512 and with AVX2.
fn both(row: &Row) -> Option<[Option<Limit>; 2]> {
    let limits = match (row.measure, row.size, row.batch) {
        (measure, _, 1) if measure.is_scheme() => [Limit::must(0.95), Limit::must(0.95)],
        (Measure::X25519, _, 32) => [Limit::at_least(5.0, 5.8), Limit::at_least(2.6, 2.9)],
        (Measure::X25519, _, 8) => return Some([Some(Limit::must(4.3)), None]),
        (Measure::X25519, _, 4) => return Some([None, Some(Limit::must(2.2))]),
        (Measure::X448, _, 32) => [Limit::at_least(3.0, 5.0), Limit::at_least(1.5, 2.5)],
        (Measure::Decapsulate("MLKEM768"), _, 32) => [Limit::at_least(1.0, 2.0), Limit::at_least(1.0, 1.5)],
        (Measure::Aez, 32_768, _) => [Limit::CyclesPerByte { must: 0.22 }, Limit::CyclesPerByte { must: 0.30 }],
        (Measure::Aez, 2_000, _) => [Limit::CyclesPerByte { must: 0.36 }, Limit::CyclesPerByte { must: 0.42 }],
        (Measure::Seal | Measure::Open, 32_768, _) => [Limit::at_least(1.3, 2.0), Limit::at_least(1.0, 1.2)],
        (Measure::LinkFrame, _, _) => return Some([None, Some(Limit::at_least(1.0, 1.1))]),
        (Measure::Unwrap(case), size, 32) => return unwrap(case.label, size).map(|limits| limits.map(Some)),
        _ => return None,
    };
    Some(limits.map(Some))
}

fn unwrap(label: &str, payload_bytes: usize) -> Option<[Limit; 2]> {
    match (label, payload_bytes) {
        ("X25519 NIKE", 2_000) => Some([Limit::at_least(4.5, 5.0), Limit::at_least(2.45, 2.7)]),
        ("X25519 NIKE", 30_000) => Some([Limit::must(4.2), Limit::must(2.3)]),
        ("X25519 KEM", 2_000) => Some([Limit::must(3.6), Limit::must(2.2)]),
        ("Xwing KEM", 2_000) => Some([Limit::at_least(1.8, 2.8), Limit::at_least(1.5, 2.0)]),
        ("MLKEM768-X25519 KEM", 2_000) => Some([Limit::at_least(1.7, 2.6), Limit::at_least(1.4, 1.9)]),
        _ => None,
    }
}

/// The unwraps (2,000 bytes, batches of 32) that have a limit against another implementation, and that limit.
pub fn against_command(label: &str, level: Level) -> Option<Limit> {
    let [wide, narrow] = match label {
        "X25519 NIKE" => [28.0, 17.0],
        "X25519 KEM" => [18.0, 11.0],
        "Xwing KEM" => [9.0, 8.0],
        _ => return None,
    };
    class(level).map(|class| Limit::must(if class == Class::Avx512 { wide } else { narrow }))
}
