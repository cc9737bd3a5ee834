//! Welch's t-test over two classes of times, whole and cropped at fixed percentiles.

/// The first samples, of which only the percentiles are used.
const PERCENTILE_SAMPLES: usize = 5_000;
/// Fewer than this many samples in a class say nothing.
const SAMPLES_MIN: f64 = 200.0;
/// Tests beside the one over all samples. Each looks at the samples below a percentile; these lie closer together at
/// the top, where most of the noise is.
const CROPS: usize = 20;

/// The share of samples that a cropped test keeps: 29 % to 99.9 %.
fn share(crop: usize) -> f64 {
    1.0 - 0.5f64.powf(10.0 * (crop + 1) as f64 / CROPS as f64)
}

/// Mean and variance, kept up to date sample by sample (Welford).
#[derive(Clone, Copy, Default)]
struct Moments {
    count: f64,
    mean: f64,
    squares: f64,
}

impl Moments {
    fn push(&mut self, value: f64) {
        self.count += 1.0;
        let before = value - self.mean;
        self.mean += before / self.count;
        self.squares += before * (value - self.mean);
    }

    /// The variance of the mean.
    fn error(&self) -> f64 {
        self.squares / (self.count - 1.0) / self.count
    }
}

/// |t| of two classes; none where there is too little to tell. Times that never vary and differ are infinitely far
/// apart.
fn welch([a, b]: &[Moments; 2]) -> Option<f64> {
    if a.count < SAMPLES_MIN || b.count < SAMPLES_MIN {
        return None;
    }
    let (difference, error) = ((a.mean - b.mean).abs(), (a.error() + b.error()).sqrt());
    Some(if difference == 0.0 { 0.0 } else { difference / error })
}

/// The tests over one target's samples.
pub struct Test {
    first: Vec<u64>,
    limits: [u64; CROPS],
    whole: [Moments; 2],
    cropped: [[Moments; 2]; CROPS],
}

impl Test {
    pub fn new() -> Self {
        Self {
            first: Vec::with_capacity(PERCENTILE_SAMPLES),
            limits: [0; CROPS],
            whole: Default::default(),
            cropped: Default::default(),
        }
    }

    pub fn record(&mut self, second_class: bool, ticks: u64) {
        if self.first.len() < PERCENTILE_SAMPLES {
            self.first.push(ticks);
            if self.first.len() == PERCENTILE_SAMPLES {
                self.first.sort_unstable();
                self.limits =
                    std::array::from_fn(|crop| self.first[(share(crop) * PERCENTILE_SAMPLES as f64) as usize]);
            }
            return;
        }
        let class = usize::from(second_class);
        self.whole[class].push(ticks as f64);
        for (limit, moments) in self.limits.iter().zip(&mut self.cropped) {
            if ticks < *limit {
                moments[class].push(ticks as f64);
            }
        }
    }

    /// Samples in the test over all of them.
    pub fn samples(&self) -> usize {
        (self.whole[0].count + self.whole[1].count) as usize
    }

    /// Half of the first samples took less.
    pub fn median(&self) -> u64 {
        self.first.get(self.first.len() / 2).copied().unwrap_or_default()
    }

    /// The largest |t|, and below which percentile its samples lie. Infinite before there are enough samples, because
    /// what was not tested did not pass.
    pub fn worst(&self) -> (f64, f64) {
        let cropped = self.cropped.iter().enumerate().map(|(crop, moments)| (welch(moments), 100.0 * share(crop)));
        let all = std::iter::once((welch(&self.whole), 100.0)).chain(cropped);
        all.filter_map(|(t, percent)| Some((t?, percent)))
            .max_by(|(a, _), (b, _)| a.total_cmp(b))
            .unwrap_or((f64::INFINITY, 100.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crypto_simd::random::{Random, SeededRandom};

    /// Times as a busy machine gives them: a base, noise that is nearly normal, and every hundredth a big outlier.
    fn times(random: &mut SeededRandom) -> u64 {
        let mut bytes = [0; 16];
        random.fill(&mut bytes);
        let noise: u64 = bytes[..12].iter().map(|byte| u64::from(*byte)).sum();
        let outlier = if bytes[12] < 3 { 100_000 * u64::from(bytes[13]) } else { 0 };
        10_000 + noise + outlier
    }

    fn worst(samples: usize, extra: impl Fn(bool, u64) -> u64) -> f64 {
        let mut random = SeededRandom::new(&[1; 32]);
        let mut test = Test::new();
        for _ in 0..samples {
            let mut coin = [0];
            random.fill(&mut coin);
            let second = coin[0] & 1 == 1;
            let time = times(&mut random);
            test.record(second, time + extra(second, time));
        }
        test.worst().0
    }

    #[test]
    fn equal_classes_pass() {
        let t = worst(300_000, |_, _| 0);
        assert!(t < 5.0, "{t}");
    }

    /// A difference of 0.2 % of the time, a tenth of the noise's width and far below the outliers', is found by the
    /// cropped tests.
    #[test]
    fn a_small_difference_is_found() {
        let t = worst(300_000, |second, _| 25 * u64::from(second));
        assert!(t > 10.0, "{t}");
    }

    /// A difference in the slow tail alone.
    #[test]
    fn a_rare_difference_is_found() {
        let t = worst(300_000, |second, time| if second && time % 50 == 0 { 1000 } else { 0 });
        assert!(t > 10.0, "{t}");
    }

    #[test]
    fn t_is_that_of_the_textbook() {
        // Means 3 and 5, variances 2.5 and 10 over five values each, repeated to have enough of them.
        let mut classes = [Moments::default(); 2];
        for _ in 0..100 {
            for value in [1.0, 2.0, 3.0, 4.0, 5.0] {
                classes[0].push(value);
                classes[1].push(2.0 * value - 1.0);
            }
        }
        let variance = |sum_of_squares: f64| 100.0 * sum_of_squares / 499.0;
        let expected = 2.0 / ((variance(10.0) + variance(40.0)) / 500.0).sqrt();
        assert!((welch(&classes).unwrap() - expected).abs() < 1e-9);
    }

    #[test]
    fn too_few_samples_do_not_pass() {
        assert_eq!(worst(PERCENTILE_SAMPLES + 100, |_, _| 0), f64::INFINITY);
    }

    #[test]
    fn times_that_never_vary() {
        let same = [false, true].map(|second| {
            let mut test = Test::new();
            (0..20_000).for_each(|index| test.record(index % 2 == 1, if second { 7 + index % 2 } else { 7 }));
            test.worst().0
        });
        assert_eq!(same, [0.0, f64::INFINITY]);
    }
}
