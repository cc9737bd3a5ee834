//! What is timed: ours, the peer's and the floor, each as something that runs again and again.
//!
//! | module | what it holds |
//! |---|---|
//! | [`primitives`] | one operation, in batches where ours takes batches |
//! | [`unwrap`] | whole packets, and the public-key operations alone |

pub mod primitives;
pub mod unwrap;

use crate::measures::{Measure, Row};
use std::time::{Duration, Instant};

/// Something that is timed.
pub trait Subject {
    /// Operations or packets in one run.
    fn items(&self) -> usize;

    /// Puts back what a run changes, outside of the time; whether there is anything to put back.
    fn reset(&mut self) -> bool {
        false
    }

    /// One run.
    fn run(&mut self);
}

/// The time of `runs` runs, without what puts things back between them.
pub fn time(subject: &mut dyn Subject, runs: u64) -> Duration {
    let mut total = Duration::ZERO;
    let mut left = runs;
    while left > 0 {
        let now = if subject.reset() { 1 } else { left };
        let started = Instant::now();
        for _ in 0..now {
            subject.run();
        }
        total += started.elapsed();
        left -= now;
    }
    total
}

/// A function that changes nothing that matters to its next call.
struct Calls<F> {
    items: usize,
    call: F,
}

impl<F: FnMut()> Subject for Calls<F> {
    fn items(&self) -> usize {
        self.items
    }

    fn run(&mut self) {
        (self.call)();
    }
}

fn calls(items: usize, call: impl FnMut() + 'static) -> Box<dyn Subject> {
    Box::new(Calls { items, call })
}

/// Buffers that each run changes, and what they hold before it.
struct InPlace<F> {
    fresh: Vec<Vec<u8>>,
    buffers: Vec<Vec<u8>>,
    call: F,
}

impl<F: FnMut(&mut [Vec<u8>])> Subject for InPlace<F> {
    fn items(&self) -> usize {
        self.buffers.len()
    }

    fn reset(&mut self) -> bool {
        for (buffer, fresh) in self.buffers.iter_mut().zip(&self.fresh) {
            buffer.copy_from_slice(fresh);
        }
        true
    }

    fn run(&mut self) {
        (self.call)(&mut self.buffers);
    }
}

fn in_place(fresh: Vec<Vec<u8>>, call: impl FnMut(&mut [Vec<u8>]) + 'static) -> Box<dyn Subject> {
    Box::new(InPlace { buffers: fresh.clone(), fresh, call })
}

/// How many buffers of that size make one run: enough for a clock, few enough for the nearest cache.
fn buffers_in_cache(bytes: usize) -> usize {
    (32_768 / bytes.max(1)).clamp(1, 128)
}

/// A library's form of the same operation.
pub struct Peer {
    /// The library.
    pub name: &'static str,
    /// Its work.
    pub subject: Box<dyn Subject>,
}

/// All who take part in one row.
pub struct Contest {
    /// Ours, in batches of the row's size.
    pub ours: Box<dyn Subject>,
    /// Libraries that may be the fastest; none where there is none to compare with.
    pub peers: Vec<Peer>,
    /// What cannot be avoided with our own kernels, where it is less than the whole.
    pub floor: Option<Box<dyn Subject>>,
}

impl Contest {
    /// Keys and inputs for a row; an error says that a scheme is not built in.
    pub fn new(row: &Row) -> Result<Self, String> {
        match row.measure {
            Measure::Unwrap(case) => unwrap::contest(case, row.size, row.batch),
            Measure::UnwrapBeside(implementation) => unwrap::beside(implementation, row.size, row.batch),
            Measure::X25519 => primitives::multiply("x25519", row.batch),
            Measure::X448 => primitives::multiply("x448", row.batch),
            Measure::Decapsulate(kem) => primitives::decapsulate(kem, row.batch),
            Measure::Aez => Ok(primitives::aez(row.size)),
            Measure::Aes256Ctr => Ok(primitives::aes256_ctr(row.size, row.batch)),
            Measure::HmacSha256 => Ok(primitives::hmac_sha256(row.size, row.batch)),
            Measure::HkdfExpand => Ok(primitives::hkdf_expand(row.batch)),
            Measure::Sha512_256 => Ok(primitives::sha512_256(row.size, row.batch)),
            Measure::Seal => Ok(primitives::seal(row.size)),
            Measure::Open => Ok(primitives::open(row.size)),
            Measure::LinkFrame => primitives::link_frame(row.size),
        }
    }
}
