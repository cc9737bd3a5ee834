//! Random inputs that can be drawn again, and the comparison of batches.

use crypto_simd::random::{OsRandom, Random, SeededRandom};
use crypto_simd::schemes::SchemeError;
use crypto_simd::symmetric::blake2b_256;

/// Random draws of one batch, by the run's seed, the primitive's name and the batch's number.
pub struct Source(SeededRandom);

impl Source {
    pub fn new(seed: u64, name: &str, batch: u64) -> Self {
        let text = [&seed.to_le_bytes()[..], &batch.to_le_bytes(), name.as_bytes()].concat();
        Self(SeededRandom::new(&blake2b_256(&text)))
    }

    /// A seed for a run that was not told one.
    pub fn fresh_seed() -> u64 {
        let mut bytes = [0; 8];
        OsRandom.fill(&mut bytes);
        u64::from_le_bytes(bytes)
    }

    pub fn array<const N: usize>(&mut self) -> [u8; N] {
        let mut bytes = [0; N];
        self.0.fill(&mut bytes);
        bytes
    }

    pub fn bytes(&mut self, length: usize) -> Vec<u8> {
        let mut bytes = vec![0; length];
        self.0.fill(&mut bytes);
        bytes
    }

    /// A number below `bound`, which is small enough for the bias not to matter.
    pub fn below(&mut self, bound: usize) -> usize {
        (u64::from_le_bytes(self.array()) % bound as u64) as usize
    }

    /// True once in `times`.
    pub fn once_in(&mut self, times: usize) -> bool {
        self.below(times) == 0
    }

    pub fn pick<'a, T>(&mut self, choices: &'a [T]) -> &'a T {
        &choices[self.below(choices.len())]
    }

    /// A length up to `max`: short ones, any, and those of headers and payloads and their neighbours.
    pub fn length(&mut self, max: usize) -> usize {
        const USUAL: [usize; 8] = [32, 64, 128, 441, 476, 512, 1088, 2000];
        let length = match self.below(4) {
            0 => self.below(80),
            1 => self.pick(&USUAL) + self.below(3) - 1,
            2 => 16 * self.below(max / 16 + 1),
            _ => self.below(max + 1),
        };
        length.min(max)
    }

    /// `bytes` cut at random places, as callers hand over what stands in several buffers.
    pub fn parts<'a>(&mut self, bytes: &'a [u8]) -> Vec<&'a [u8]> {
        let (mut parts, mut rest) = (Vec::new(), bytes);
        while parts.len() < 3 {
            let (part, after) = rest.split_at(self.below(rest.len() + 1));
            parts.push(part);
            rest = after;
        }
        parts.push(rest);
        parts
    }
}

impl Random for Source {
    fn fill(&mut self, bytes: &mut [u8]) {
        self.0.fill(bytes);
    }
}

/// What one operation of a batch gives.
pub type Outcome = Result<Vec<u8>, SchemeError>;

/// Runs the batch whole, then turned and in two parts: each time every place holds what is expected of its input.
/// `run` gets the indices of the inputs in the order in which they stand in the batch.
pub fn compare(source: &mut Source, expected: &[Outcome], run: impl Fn(&[usize]) -> Vec<Outcome>) {
    let whole: Vec<usize> = (0..expected.len()).collect();
    let mut turned = whole.clone();
    turned.rotate_left(source.below(expected.len()));
    let (first, second) = turned.split_at(source.below(expected.len() + 1));
    for arrangement in [&whole[..], first, second] {
        let outcomes = run(arrangement);
        assert_eq!(outcomes.len(), arrangement.len());
        for (place, (index, outcome)) in arrangement.iter().zip(outcomes).enumerate() {
            let (shown, wanted) = (show(&outcome), show(&expected[*index]));
            let size = arrangement.len();
            assert!(outcome == expected[*index], "place {place} of {size}, input {index}: {shown}, not {wanted}");
        }
    }
}

fn show(outcome: &Outcome) -> String {
    outcome.as_ref().map_or_else(|error| error.to_string(), hex::encode)
}
