//! The packets of the last minutes, for whoever wants to see a rate without a Prometheus.

use interplane::counter::Account;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Between two samples.
pub const INTERVAL: Duration = Duration::from_secs(5);
/// Five minutes of them.
const SAMPLES_MAX: usize = 61;
/// A rate is over so many intervals, if there are as many.
const RATE_INTERVALS: usize = 6;

/// The account at a moment.
#[derive(Clone, Copy, Debug)]
pub struct Sample {
    /// The moment.
    pub at: Instant,
    /// The account.
    pub account: Account,
}

/// The last samples.
#[derive(Clone, Debug, Default)]
pub struct History(Arc<Mutex<VecDeque<Sample>>>);

impl History {
    /// Adds one, and forgets the oldest where there are enough.
    pub fn add(&self, sample: Sample) {
        let mut samples = self.locked();
        if samples.len() == SAMPLES_MAX {
            samples.pop_front();
        }
        samples.push_back(sample);
    }

    /// All of them, the oldest first.
    pub fn samples(&self) -> Vec<Sample> {
        self.locked().iter().copied().collect()
    }

    fn locked(&self) -> MutexGuard<'_, VecDeque<Sample>> {
        // A whole list after every statement, so a panic elsewhere cannot have torn it.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Packets per second.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rates {
    /// That came from peers.
    pub received: f64,
    /// That went to peers or ended here.
    pub sent: f64,
    /// That were dropped.
    pub dropped: f64,
}

impl Rates {
    /// Of the newest samples; none of fewer than two.
    pub fn over(samples: &[Sample]) -> Option<Self> {
        let newest = samples.last()?;
        let oldest = samples.iter().rev().take(RATE_INTERVALS + 1).next_back()?;
        let seconds = newest.at.saturating_duration_since(oldest.at).as_secs_f64();
        if seconds <= 0.0 {
            return None;
        }
        // A new data plane may begin again.
        let rate = |of: fn(&Account) -> u64| of(&newest.account).saturating_sub(of(&oldest.account)) as f64 / seconds;
        Some(Self {
            received: rate(|account| account.received),
            sent: rate(|account| account.sent.wrapping_add(account.delivered)),
            dropped: rate(|account| account.dropped),
        })
    }
}
