//! The engine: input number n of a target depends on the seed, the target's name and n alone, so that every finding is
//! reproduced by itself.

#[cfg(test)]
mod tests;

use crate::{Target, Verdict};
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

/// Most bytes of a made input.
pub const INPUT_BYTES_MAX: usize = 1 << 16;
/// A target that takes longer for one input hangs.
pub const INPUT_TIME_MAX: Duration = Duration::from_secs(5);

/// Numbers that lie at the edges of ranges.
const EDGES: [u64; 12] =
    [0, 1, 0x7f, 0x80, 0xff, 0x7fff, 0xffff, 0x7fff_ffff, 0xffff_ffff, 1 << 32, i64::MAX as u64, u64::MAX];

/// A small generator (SplitMix64): quick, seeded, good enough to choose mutations.
#[derive(Clone, Debug)]
pub struct Dice(u64);

impl Dice {
    /// A stream of its own for each seed.
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next number.
    pub fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `bound`; 0 if that is 0.
    pub fn below(&mut self, bound: usize) -> usize {
        self.roll().checked_rem(bound as u64).unwrap_or(0) as usize
    }

    /// So many bytes.
    pub fn noise(&mut self, count: usize) -> Vec<u8> {
        (0..count).map(|_| self.roll() as u8).collect()
    }

    /// A part of a slice of that length, as start and end; mostly short.
    fn range(&mut self, length: usize) -> (usize, usize) {
        let start = self.below(length + 1);
        let most = length - start;
        let most = if self.below(4) == 0 { most } else { most.min(16) };
        (start, start + self.below(most + 1))
    }
}

/// The inputs of one target: its seeds as they are, then changed seeds and now and then plain noise.
#[derive(Debug)]
pub struct Storm {
    seeds: Vec<Vec<u8>>,
    stream: u64,
}

impl Storm {
    /// The inputs of `target` from `seed`.
    pub fn new(target: &Target, seed: u64) -> Self {
        let name = target.name.bytes().fold(seed, |mix, byte| Dice::new(mix ^ u64::from(byte)).roll());
        Self { seeds: (target.seeds)(), stream: name }
    }

    /// Input number `index`.
    pub fn input(&self, index: u64) -> Vec<u8> {
        if let Some(seed) = usize::try_from(index).ok().and_then(|index| self.seeds.get(index)) {
            return seed.clone();
        }
        let mut dice = Dice::new(Dice::new(self.stream ^ index).roll());
        let mut input = match self.seeds.get(dice.below(self.seeds.len())) {
            Some(seed) if dice.below(16) != 0 => seed.clone(),
            _ => {
                let length = dice.below(1 << dice.clone().below(12));
                return dice.noise(length);
            }
        };
        // Mostly one change: each further one makes it less likely that the input gets past the first check.
        for _ in 0..=dice.roll().trailing_zeros().min(4) {
            self.change(&mut input, &mut dice);
        }
        input.truncate(INPUT_BYTES_MAX.max(self.seeds.iter().map(Vec::len).max().unwrap_or(0)));
        input
    }

    fn change(&self, input: &mut Vec<u8>, dice: &mut Dice) {
        let at = dice.below(input.len());
        let (start, end) = dice.range(input.len());
        match dice.below(12) {
            0 => input.iter_mut().skip(at).take(1).for_each(|byte| *byte ^= 1 << dice.below(8)),
            1 => input.iter_mut().skip(at).take(1).for_each(|byte| *byte = dice.roll() as u8),
            2 => input.iter_mut().skip(at).take(1).for_each(|byte| *byte = EDGES[dice.below(5)] as u8),
            3 => input
                .iter_mut()
                .skip(at)
                .take(1)
                .for_each(|byte| *byte = byte.wrapping_add(dice.below(3) as u8).wrapping_sub(1)),
            4 => overwrite(input, at, dice),
            5 => input.truncate(start),
            6 => drop(input.drain(start..end)),
            7 => {
                let count = dice.below(32);
                let noise = dice.noise(count);
                input.splice(start..start, noise);
            }
            8 => repeat(input, start..end, dice),
            9 => {
                // The same part in another place.
                let part = input[start..end].to_vec();
                let to = at.min(input.len() - part.len());
                input[to..to + part.len()].copy_from_slice(&part);
            }
            10 => input[start..end].fill(dice.roll() as u8),
            _ => {
                // The head of this and the tail of another.
                let other = self.seeds.get(dice.below(self.seeds.len())).map_or(&[][..], Vec::as_slice);
                let (from, _) = dice.range(other.len());
                input.truncate(start);
                input.extend_from_slice(&other[from..]);
            }
        }
    }
}

/// Writes a number from the edges, in either byte order and some width.
fn overwrite(input: &mut [u8], at: usize, dice: &mut Dice) {
    let number = EDGES[dice.below(EDGES.len())].wrapping_add(dice.below(3) as u64).wrapping_sub(1);
    let width = [2, 4, 8][dice.below(3)];
    let bytes = if dice.below(2) == 0 { number.to_le_bytes() } else { number.rotate_right(8 * width).to_be_bytes() };
    for (to, from) in input.iter_mut().skip(at).zip(&bytes[..width as usize]) {
        *to = *from;
    }
}

/// Repeats a part, at times very often: depth and number are what limits are for.
fn repeat(input: &mut Vec<u8>, range: std::ops::Range<usize>, dice: &mut Dice) {
    let part = input[range.clone()].to_vec();
    let most = if dice.below(4) == 0 { INPUT_BYTES_MAX } else { 64 };
    let room = INPUT_BYTES_MAX.saturating_sub(input.len());
    let times = (1 + dice.below(most)).min(room.checked_div(part.len()).unwrap_or(0));
    input.splice(range.end..range.end, part.repeat(times));
}

/// An input that a target did not survive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// The target.
    pub target: &'static str,
    /// The seed of the run.
    pub seed: u64,
    /// The number of the input.
    pub index: u64,
    /// The input.
    pub input: Vec<u8>,
    /// What happened.
    pub message: String,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { target, seed, index, input, message } = self;
        writeln!(f, "{target} failed on input {index} of seed {seed:#x}: {message}")?;
        writeln!(f, "again: cargo run -p fuzz -- input {target} {seed:#x} {index}")?;
        write!(f, "{} bytes: ", input.len())?;
        input.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// What a run without a finding did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Passed {
    /// Inputs that were fed.
    pub inputs: u64,
    /// Inputs that were accepted.
    pub accepted: u64,
}

/// Feeds one input and catches what happens.
pub fn feed(target: &Target, input: &[u8]) -> Result<Verdict, String> {
    let begin = Instant::now();
    let outcome = catch_unwind(AssertUnwindSafe(|| (target.run)(input)));
    let took = begin.elapsed();
    match outcome {
        Ok(_) if took > INPUT_TIME_MAX => Err(format!("took {took:?}")),
        Ok(verdict) => Ok(verdict),
        Err(panic) => {
            let text = panic.downcast_ref::<String>().map(String::as_str);
            let text = text.or_else(|| panic.downcast_ref::<&str>().copied());
            Err(format!("panicked: {}", text.unwrap_or("without a text")))
        }
    }
}

/// Feeds inputs while `go_on` says so; it is told the number of the input that comes next.
///
/// `watch` stands around each input, to measure what it does beyond panicking.
pub fn run(
    target: &Target,
    seed: u64,
    mut go_on: impl FnMut(u64) -> bool,
    watch: impl Fn(&dyn Fn() -> Result<Verdict, String>) -> Result<Verdict, String>,
) -> Result<Passed, Box<Failure>> {
    let storm = Storm::new(target, seed);
    let mut passed = Passed::default();
    while go_on(passed.inputs) {
        let index = passed.inputs;
        let input = storm.input(index);
        match watch(&|| feed(target, &input)) {
            Ok(verdict) => passed.accepted += u64::from(verdict == Verdict::Accepted),
            Err(message) => return Err(Box::new(Failure { target: target.name, seed, index, input, message })),
        }
        passed.inputs += 1;
    }
    Ok(passed)
}
