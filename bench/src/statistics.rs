//! Medians and quartiles of samples.

#[cfg(test)]
mod tests;

/// A median, and how far the middle half of the samples spreads around it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Figure {
    /// The median.
    pub median: f64,
    /// The distance of the quartiles over the median.
    pub spread: f64,
}

impl Figure {
    /// Of at least one sample.
    pub fn of(samples: impl Iterator<Item = f64>) -> Option<Self> {
        let mut samples: Vec<f64> = samples.collect();
        if samples.is_empty() {
            return None;
        }
        let median = median(&mut samples);
        // Sorted by now. Nearest ranks: with the odd counts that are used, quartiles are samples.
        let rank = |share: f64| samples[((samples.len() - 1) as f64 * share).round() as usize];
        Some(Self { median, spread: (rank(0.75) - rank(0.25)) / median })
    }
}

/// Sorts the samples and gives the one in the middle, or the mean of the two; zero of nothing.
pub fn median(samples: &mut [f64]) -> f64 {
    samples.sort_unstable_by(f64::total_cmp);
    let middle = samples.len() / 2;
    match samples {
        [] => 0.0,
        samples if samples.len() % 2 == 0 => (samples[middle - 1] + samples[middle]) / 2.0,
        samples => samples[middle],
    }
}
