//! The client's own copy of its gateway's token bucket (server.md 3.4), so that no packet is sent into a refusal: the
//! gateway drops what comes without a token, and says nothing.
//!
//! Where the two could differ, the copy is the slower one: it starts when the link is up, which the gateway saw earlier;
//! it fills a thousandth slower; it holds a few tokens less; and a higher rate counts only when the gateway has certainly
//! taken it up.

#[cfg(test)]
mod tests;

use std::time::Duration;
use wire::Instant;

/// What a gateway's bucket holds at most.
const CAPACITY: u64 = 256;
/// What the copy leaves in it: tokens that the gateway may lose to its capacity while a burst is on its way.
const RESERVE: u64 = 8;
/// A gateway refills this much faster than clients send on average.
const HEADROOM: f64 = 1.1;
/// After so long a gateway has taken up a new document's rate: `ReauthInterval`, 30 s by default, and as much again.
const TAKEN_UP_AFTER: Duration = Duration::from_secs(60);

/// The time in which a gateway gives a client one token, by the rates of a document; none where it does not limit.
pub fn refill_interval(lambda_p: f64, lambda_l: f64) -> Option<Duration> {
    let lambda = lambda_p + lambda_l;
    (lambda > 0.0).then(|| Duration::from_nanos((1e6 / (lambda * HEADROOM)).ceil() as u64))
}

/// A token bucket; full of freedom until a rate is set.
#[derive(Clone, Debug)]
pub struct Bucket {
    interval: Option<Duration>,
    tokens: u64,
    last: Instant,
    /// A faster rate, and when it begins.
    next: Option<(Instant, Option<Duration>)>,
}

impl Bucket {
    /// The bucket of a link that came up at `now`. What a document that is already held says counts from the start.
    pub fn new(interval: Option<Duration>, now: Instant) -> Self {
        Self { interval: interval.map(slower), tokens: 1, last: now, next: None }
    }

    /// A new document has become current.
    pub fn set(&mut self, interval: Option<Duration>, now: Instant) {
        let interval = interval.map(slower);
        self.refill(now);
        match (self.interval, interval) {
            (None, Some(_)) => {
                // As the gateway: from no limit to one begins with one token.
                *self = Self { interval, tokens: 1, last: now, next: None };
            }
            (Some(before), Some(after)) if after >= before => {
                self.interval = interval;
                self.next = None;
            }
            (before, after) if before == after => self.next = None,
            _ => self.next = Some((now + TAKEN_UP_AFTER, interval)),
        }
    }

    /// Takes a token, if there is one.
    pub fn take(&mut self, now: Instant) -> bool {
        self.refill(now);
        if self.interval.is_none() {
            return true;
        }
        let has_one = self.tokens > 0;
        self.tokens = self.tokens.saturating_sub(1);
        has_one
    }

    /// When there is a token.
    pub fn next_token(&mut self, now: Instant) -> Instant {
        self.refill(now);
        match self.interval {
            Some(interval) if self.tokens == 0 => self.last + interval,
            _ => now,
        }
    }

    fn refill(&mut self, now: Instant) {
        if let Some((at, interval)) = self.next.filter(|(at, _)| *at <= now) {
            self.next = None;
            self.fill(at);
            // What is left of the slower interval is not worth more at the faster rate.
            (self.interval, self.last) = (interval, at);
        }
        self.fill(now);
    }

    fn fill(&mut self, now: Instant) {
        let Some(interval) = self.interval else {
            self.last = now;
            return;
        };
        let interval = u64::try_from(interval.as_nanos()).unwrap_or(u64::MAX).max(1);
        let count = u64::try_from(now.since(self.last).as_nanos()).unwrap_or(u64::MAX) / interval;
        self.last += Duration::from_nanos(count.saturating_mul(interval));
        self.tokens = self.tokens.saturating_add(count).min(CAPACITY - RESERVE);
    }
}

fn slower(interval: Duration) -> Duration {
    interval + interval / 1_000
}
