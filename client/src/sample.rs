//! Choices and times from random bytes.

#[cfg(test)]
mod tests;

use crypto_simd::random::Random;
use pki::document::delay_cap_ms;

/// A number of `0..count`, each as likely as the others but for one part in 2^64. 0 if there is nothing to choose from.
pub fn index(random: &mut dyn Random, count: usize) -> usize {
    let product = u128::from(word(random)) * count as u128;
    (product >> 64) as usize
}

/// One of them, each as likely; none if there is none.
pub fn one<'a, T>(random: &mut dyn Random, choices: &'a [T]) -> Option<&'a T> {
    choices.get(index(random, choices.len()))
}

/// An exponentially distributed time in milliseconds with this rate per millisecond, at most its `1 - 10^-12` quantile
/// (client.md 10.1). None for a rate that is not positive and finite.
pub fn exponential_ms(random: &mut dyn Random, rate_per_ms: f64) -> Option<f64> {
    let cap = Some(delay_cap_ms(rate_per_ms)).filter(|cap| *cap > 0)?;
    // 53 bits, in (0, 1].
    let unit = ((word(random) >> 11) + 1) as f64 / (1_u64 << 53) as f64;
    Some((-unit.ln() / rate_per_ms).min(cap as f64))
}

/// A delay for one hop in whole milliseconds, from 1 to the longest that nodes take (client.md 13.2).
pub fn delay_ms(random: &mut dyn Random, mu_per_ms: f64) -> Option<u32> {
    let cap = u32::try_from(delay_cap_ms(mu_per_ms)).unwrap_or(u32::MAX);
    let delay = exponential_ms(random, mu_per_ms)?.floor() + 1.0;
    Some((delay as u32).min(cap))
}

fn word(random: &mut dyn Random) -> u64 {
    let mut bytes = [0; 8];
    random.fill(&mut bytes);
    u64::from_le_bytes(bytes)
}
