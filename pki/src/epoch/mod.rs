//! Epoch time (pki.md 1): numbered periods since 2017-06-01, and the positions inside one that deadlines are made of.

mod duration;
#[cfg(test)]
mod tests;

pub use duration::{DurationError, parse_go_duration};

use serde::{Deserialize, Serialize};
use std::fmt;
use std::time::Duration;

/// Epochs after which prior shared randoms rotate: 7 days of 20 minutes, whatever the period is (pki.md 1).
pub const WEEK_OF_EPOCHS: u64 = 504;
/// The environment variable that replaces the period.
pub const PERIOD_VARIABLE: &str = "KATZENPOST_EPOCH_DURATION";

/// The number of an epoch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Epoch(pub u64);

impl Epoch {
    /// The epoch `count` later.
    pub fn after(self, count: u64) -> Self {
        Self(self.0.saturating_add(count))
    }

    /// The epoch `count` earlier, epoch 0 at the earliest.
    pub fn before(self, count: u64) -> Self {
        Self(self.0.saturating_sub(count))
    }
}

impl fmt::Display for Epoch {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}

/// Turns Unix time into epochs. All parties of a network must use the same period; no document carries it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EpochClock {
    period: Duration,
    genesis: Duration,
}

/// The period is zero or longer than the reference's 64-bit nanoseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the epoch period must be positive")]
pub struct PeriodError;

/// The time lies before epoch 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the clock shows a time before epoch 0 (2017-06-01)")]
pub struct BeforeGenesis;

/// Why the environment's period is not usable.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PeriodVariableError {
    /// Not a duration.
    #[error("{PERIOD_VARIABLE}: {0}")]
    Duration(#[from] DurationError),
    /// Not a period.
    #[error("{PERIOD_VARIABLE}: {0}")]
    Period(#[from] PeriodError),
    /// So short that no vote fits into it.
    #[error("{PERIOD_VARIABLE}: {0:?} is too short for an epoch; write for example 2m, the same as the whole network")]
    TooShort(String),
}

impl Default for EpochClock {
    fn default() -> Self {
        Self { period: Self::PERIOD, genesis: Self::GENESIS }
    }
}

impl EpochClock {
    /// The usual period.
    pub const PERIOD: Duration = Duration::from_secs(20 * 60);
    /// The least that is believed of the environment: a unit was meant that is longer.
    const PERIOD_MIN: Duration = Duration::from_secs(2);
    /// The start of epoch 0 in Unix time.
    pub const GENESIS: Duration = Duration::from_secs(1_496_275_200);

    /// A clock with another period.
    pub fn with_period(period: Duration) -> Result<Self, PeriodError> {
        if period.is_zero() || period.as_nanos() > i64::MAX as u128 {
            return Err(PeriodError);
        }
        Ok(Self { period, ..Self::default() })
    }

    /// A clock with the period that `KATZENPOST_EPOCH_DURATION` holds, if it is set (server.md 1.3).
    pub fn from_variable(value: Option<&str>) -> Result<Self, PeriodVariableError> {
        match value {
            None | Some("") => Ok(Self::default()),
            Some(text) => match Self::with_period(parse_go_duration(text)?)? {
                clock if clock.period < Self::PERIOD_MIN => Err(PeriodVariableError::TooShort(text.into())),
                clock => Ok(clock),
            },
        }
    }

    /// The length of an epoch.
    pub fn period(&self) -> Duration {
        self.period
    }

    /// Where `unix`, a time since the Unix epoch, lies.
    pub fn now(&self, unix: Duration) -> Result<EpochTime, BeforeGenesis> {
        let since = unix.checked_sub(self.genesis).ok_or(BeforeGenesis)?;
        let (number, elapsed) = (since.as_nanos() / self.period.as_nanos(), since.as_nanos() % self.period.as_nanos());
        let elapsed = nanoseconds(elapsed);
        let epoch = Epoch(u64::try_from(number).unwrap_or(u64::MAX));
        Ok(EpochTime { unix, epoch, elapsed, till: self.period.saturating_sub(elapsed), period: self.period })
    }

    /// When an epoch starts, as time since the Unix epoch.
    pub fn start(&self, epoch: Epoch) -> Duration {
        let offset = self.period.as_nanos().saturating_mul(u128::from(epoch.0));
        self.genesis.saturating_add(nanoseconds(offset))
    }

    /// Whether `unix` lies in `epoch`.
    pub fn is_in(&self, epoch: Epoch, unix: Duration) -> bool {
        self.now(unix).is_ok_and(|time| time.epoch == epoch)
    }
}

fn nanoseconds(count: u128) -> Duration {
    let seconds = u64::try_from(count / 1_000_000_000).unwrap_or(u64::MAX);
    Duration::new(seconds, (count % 1_000_000_000) as u32)
}

/// One moment as an epoch and a position inside it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EpochTime {
    /// The moment, since the Unix epoch.
    pub unix: Duration,
    /// The epoch in which the moment lies.
    pub epoch: Epoch,
    /// Time since the start of the epoch.
    pub elapsed: Duration,
    /// Time until its end.
    pub till: Duration,
    /// The length of the epoch.
    pub period: Duration,
}

impl EpochTime {
    /// The start of this epoch, since the Unix epoch.
    pub fn epoch_start(&self) -> Duration {
        self.unix.saturating_sub(self.elapsed)
    }

    /// `numerator/denominator` of the period. The denominator is a constant of the protocol, never zero.
    pub fn fraction(&self, numerator: u32, denominator: u32) -> Duration {
        self.period * numerator / denominator
    }

    /// The moment at which `numerator/denominator` of this epoch have passed, since the Unix epoch.
    pub fn at(&self, numerator: u32, denominator: u32) -> Duration {
        self.epoch_start() + self.fraction(numerator, denominator)
    }
}
