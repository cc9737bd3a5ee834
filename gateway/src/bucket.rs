//! How fast a client may send (server.md 3.4): a token for each packet, refilled at the rate at which the network's
//! parameters have clients send, and a tenth more.

#[cfg(test)]
mod tests;

use std::time::Duration;
use wire::Instant;

/// Tokens that a bucket holds at most, where nothing else is said: the largest burst.
pub const BURST: u64 = 256;

/// Refill of a bucket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// Time between two tokens; none is no limit at all.
    interval: Option<Duration>,
    /// Tokens that the bucket holds at most.
    burst: u64,
}

impl Default for Rate {
    fn default() -> Self {
        Self::OFF
    }
}

impl Rate {
    /// No limit.
    pub const OFF: Self = Self { interval: None, burst: BURST };

    /// The rate that follows from a document's parameters, which are events per millisecond.
    pub fn of(lambda_p: f64, lambda_l: f64) -> Self {
        let lambda = lambda_p + lambda_l;
        if lambda.is_nan() || lambda <= 0.0 {
            return Self::OFF;
        }
        // The cast saturates.
        let interval_ns = (1e6 / (lambda * 1.1)).ceil() as u64;
        let interval = Some(Duration::from_nanos(interval_ns)).filter(|interval| !interval.is_zero());
        Self { interval, burst: BURST }
    }

    /// So many packets in a minute; none of them is no limit (server.md D.5).
    pub fn per_minute(packets: u32) -> Self {
        let interval_ns = 60_000_000_000_u64.checked_div(packets.into());
        Self { interval: interval_ns.map(Duration::from_nanos), burst: BURST }
    }

    /// The same with a bucket of another size, which holds one token at least.
    pub fn with_burst(self, burst: u32) -> Self {
        Self { burst: u64::from(burst).max(1), ..self }
    }

    /// Time between two tokens, if there is a limit.
    pub fn interval(&self) -> Option<Duration> {
        self.interval
    }
}

/// One client's tokens.
#[derive(Clone, Copy, Debug, Default)]
pub struct TokenBucket {
    rate: Rate,
    tokens: u64,
    refilled_at: Instant,
}

impl TokenBucket {
    /// Goes by another rate. Whoever gets a limit begins with one token; between two limits tokens stay.
    pub fn set_rate(&mut self, rate: Rate, now: Instant) {
        match (self.rate.interval, rate.interval) {
            (_, None) => *self = Self::default(),
            (None, Some(_)) => *self = Self { rate, tokens: 1, refilled_at: now },
            (Some(_), Some(_)) => (self.rate, self.tokens) = (rate, self.tokens.min(rate.burst)),
        }
    }

    /// Whether a packet may pass now. It costs a token.
    pub fn take(&mut self, now: Instant) -> bool {
        let Some(interval) = self.rate.interval else { return true };
        self.refill(interval, now);
        let may_pass = self.tokens > 0;
        self.tokens -= u64::from(may_pass);
        may_pass
    }

    fn refill(&mut self, interval: Duration, now: Instant) {
        let interval_ns = u64::try_from(interval.as_nanos()).unwrap_or(u64::MAX).max(1);
        let passed_ns = u64::try_from(now.since(self.refilled_at).as_nanos()).unwrap_or(u64::MAX);
        let more = passed_ns / interval_ns;
        if more > 0 {
            // Not `now`: what is left of an interval counts for the next token.
            self.refilled_at += Duration::from_nanos(more * interval_ns);
            self.tokens = self.tokens.saturating_add(more).min(self.rate.burst);
        }
    }
}
