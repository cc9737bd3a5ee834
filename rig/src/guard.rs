//! Whether the rig itself was in time: lateness that it has caused says nothing about the node.
//!
//! Time is cut into short spans. In each the rig looks at how long its thread waited for a processor, and how long it was
//! away from its sockets. What came out in a span without either counts.

#[cfg(test)]
mod tests;

use super::check::lateness_histogram;
use super::cpu::CpuTime;
use hdrhistogram::Histogram;
use std::time::{Duration, Instant};

/// The length of a span.
const SPAN: Duration = Duration::from_millis(5);
/// The most that the rig may be late by without being called late.
pub const LATE_MAX: Duration = Duration::from_micros(250);

/// Samples that count, and those of which it is not known yet.
pub struct Guard {
    waited: fn() -> Duration,
    span_started: Instant,
    waited_before: Duration,
    looked: Instant,
    late: bool,
    unsure: Vec<u64>,
    counted: Histogram<u64>,
    discarded: u64,
}

/// What a phase brought.
#[derive(Clone, Debug)]
pub struct Guarded {
    /// Samples in microseconds that count.
    pub lateness_us: Histogram<u64>,
    /// How many do not.
    pub discarded: u64,
}

impl Default for Guarded {
    fn default() -> Self {
        Self { lateness_us: lateness_histogram(), discarded: 0 }
    }
}

/// What this thread waited for a processor so far.
pub fn waited_by_this_thread() -> Duration {
    CpuTime::of_this_thread().waited
}

impl Guard {
    /// `waited` gives what the rig waited for a processor so far.
    pub fn new(now: Instant, waited: fn() -> Duration) -> Self {
        Self {
            waited,
            span_started: now,
            waited_before: waited(),
            looked: now,
            late: false,
            unsure: Vec::new(),
            counted: lateness_histogram(),
            discarded: 0,
        }
    }

    /// The rig comes back from waiting for its sockets: it was not away.
    pub fn handle_waking(&mut self, now: Instant) {
        self.looked = now;
    }

    /// The rig looks at its sockets, or begins to wait for them.
    pub fn handle_look(&mut self, now: Instant) {
        self.late |= now.saturating_duration_since(self.looked) > LATE_MAX;
        self.looked = now;
        if now.saturating_duration_since(self.span_started) >= SPAN {
            self.end_span(now);
        }
    }

    /// A packet was so late; `in_time` if the rig sent it in time.
    pub fn handle_sample(&mut self, lateness_us: u64, in_time: bool) {
        match in_time {
            true => self.unsure.push(lateness_us),
            false => self.discarded += 1,
        }
    }

    /// All since the last call.
    pub fn take(&mut self, now: Instant) -> Guarded {
        self.end_span(now);
        let lateness_us = std::mem::replace(&mut self.counted, lateness_histogram());
        Guarded { lateness_us, discarded: std::mem::take(&mut self.discarded) }
    }

    fn end_span(&mut self, now: Instant) {
        let waited = (self.waited)();
        if std::mem::take(&mut self.late) || waited.saturating_sub(self.waited_before) > LATE_MAX {
            self.discarded += self.unsure.len() as u64;
            self.unsure.clear();
        }
        self.unsure.drain(..).for_each(|sample| self.counted.saturating_record(sample));
        (self.waited_before, self.span_started) = (waited, now);
    }
}
