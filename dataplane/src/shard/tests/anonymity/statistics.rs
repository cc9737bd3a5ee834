//! Statistics whose values are standard normal where there is nothing to see.

/// Beyond this there is something: one of 150,000 honest values is.
pub const SIGMAS: f64 = 4.5;

/// Mean and variance, sample by sample.
#[derive(Clone, Copy, Default)]
pub struct Moments {
    pub count: f64,
    pub mean: f64,
    squares: f64,
}

impl Moments {
    pub fn push(&mut self, value: f64) {
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

/// Welch's t of two classes.
pub fn welch(a: &Moments, b: &Moments) -> f64 {
    (a.mean - b.mean) / (a.error() + b.error()).sqrt()
}

/// Kendall's tau between place and value, summed over groups in each of which every order is equally likely.
#[derive(Default)]
pub struct Kendall {
    sum: f64,
    variance: f64,
}

impl Kendall {
    pub fn push(&mut self, values: &[u64]) {
        let of = |count: f64| count * (count - 1.0) * (2.0 * count + 5.0);
        for (place, value) in values.iter().enumerate() {
            for later in &values[place + 1..] {
                self.sum += match later.cmp(value) {
                    std::cmp::Ordering::Greater => 1.0,
                    std::cmp::Ordering::Equal => 0.0,
                    std::cmp::Ordering::Less => -1.0,
                };
            }
        }
        let mut sorted = values.to_vec();
        sorted.sort_unstable();
        let ties: f64 = sorted.chunk_by(|a, b| a == b).map(|tied| of(tied.len() as f64)).sum();
        self.variance += (of(values.len() as f64) - ties) / 18.0;
    }

    pub fn sigmas(&self) -> f64 {
        if self.variance > 0.0 { self.sum / self.variance.sqrt() } else { 0.0 }
    }
}

/// Chi-squared as a number of sigmas (Wilson and Hilferty).
pub fn sigmas_of_chi_squared(chi_squared: f64, degrees: f64) -> f64 {
    let spread = 2.0 / (9.0 * degrees);
    ((chi_squared / degrees).cbrt() - (1.0 - spread)) / spread.sqrt()
}

/// Chi-squared of counts of which all are equally likely, in sigmas.
pub fn uniformity(counts: &[u64]) -> f64 {
    let expected = counts.iter().sum::<u64>() as f64 / counts.len() as f64;
    let chi_squared = counts.iter().map(|count| (*count as f64 - expected).powi(2) / expected).sum();
    sigmas_of_chi_squared(chi_squared, counts.len() as f64 - 1.0)
}

/// Chi-squared of two samples in the same bins, in sigmas.
pub fn homogeneity(a: &[u64], b: &[u64]) -> f64 {
    let (of_a, of_b) = (a.iter().sum::<u64>() as f64, b.iter().sum::<u64>() as f64);
    let (scale_a, scale_b) = ((of_b / of_a).sqrt(), (of_a / of_b).sqrt());
    let term = |(a, b): (&u64, &u64)| match a + b {
        0 => 0.0,
        sum => (*a as f64 * scale_a - *b as f64 * scale_b).powi(2) / sum as f64,
    };
    sigmas_of_chi_squared(a.iter().zip(b).map(term).sum(), a.len() as f64 - 1.0)
}

/// How often a class came first, where it is known how likely that was.
#[derive(Default)]
pub struct Firsts {
    seen: f64,
    expected: f64,
    variance: f64,
}

impl Firsts {
    /// One group: whether the first is of the class, and the share of the class in the group.
    pub fn push(&mut self, is_of_class: bool, share: f64) {
        self.seen += f64::from(u8::from(is_of_class));
        self.expected += share;
        self.variance += share * (1.0 - share);
    }

    pub fn sigmas(&self) -> f64 {
        if self.variance > 0.0 { (self.seen - self.expected) / self.variance.sqrt() } else { 0.0 }
    }
}
