//! Every packet that comes out is checked: the right bytes, at the right next hop, once, and not before its time.

#[cfg(test)]
mod tests;

use super::mill::Pool;
use hdrhistogram::Histogram;
use std::time::{Duration, Instant};

const LATENESS_US_MAX: u64 = 60_000_000;

/// What went wrong, by kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Wrong {
    /// Bytes that no packet becomes.
    pub unknown: u64,
    /// Packets that came a second time.
    pub duplicate: u64,
    /// Packets at another node than their next hop.
    pub next_hop: u64,
    /// Packets that came before their delay was over.
    pub early: u64,
    /// The most by which any of these was early, in microseconds.
    pub early_us_max: u64,
    /// Packets that came out without having been sent in.
    pub unsent: u64,
}

impl Wrong {
    /// All of them.
    pub fn total(&self) -> u64 {
        self.unknown + self.duplicate + self.next_hop + self.early + self.unsent
    }
}

/// What has become of each packet of a pool.
pub struct Checker<'a> {
    pool: &'a Pool,
    started: Instant,
    /// Nanoseconds since the start, plus one; zero is not sent.
    sent_at: Vec<u64>,
    /// How long before that it was due to be sent, in nanoseconds.
    held_up: Vec<u32>,
    seen: Vec<bool>,
    sent: u64,
    received: u64,
    /// Sent packets that have come out, each counted once.
    arrived: u64,
    wrong: Wrong,
    lateness_us: Histogram<u64>,
}

impl<'a> Checker<'a> {
    /// Nothing sent yet.
    pub fn new(pool: &'a Pool) -> Self {
        Self {
            pool,
            started: Instant::now(),
            sent_at: vec![0; pool.count()],
            held_up: vec![0; pool.count()],
            seen: vec![false; pool.count()],
            sent: 0,
            received: 0,
            arrived: 0,
            wrong: Wrong::default(),
            lateness_us: lateness_histogram(),
        }
    }

    /// The packet with this number is about to be sent, and was due at `due`, which is not later.
    pub fn handle_sent(&mut self, number: usize, due: Instant, now: Instant) {
        self.sent_at[number] = self.since_start(now) + 1;
        let held_up = now.saturating_duration_since(due).as_nanos();
        self.held_up[number] = u32::try_from(held_up).unwrap_or(u32::MAX);
        self.sent += 1;
    }

    /// Bytes have come out of the node at the node behind it with this number.
    pub fn handle_received(&mut self, link: usize, forwarded: &[u8], now: Instant) {
        self.received += 1;
        let Some(number) = self.pool.number_of(forwarded) else {
            self.wrong.unknown += 1;
            return;
        };
        if std::mem::replace(&mut self.seen[number], true) {
            self.wrong.duplicate += 1;
            return;
        }
        let order = self.pool.order(number);
        if usize::from(order.link) != link {
            self.wrong.next_hop += 1;
        }
        let Some(sent_at) = self.sent_at[number].checked_sub(1) else {
            self.wrong.unsent += 1;
            return;
        };
        self.arrived += 1;
        let delay = Duration::from_millis(u64::from(order.delay_ms)).as_nanos() as u64;
        let (due, now) = (sent_at + delay, self.since_start(now));
        if now >= due {
            // What a full link or a busy rig held up is late too: a sender's packets would have waited like that.
            self.lateness_us.saturating_record((now - due + u64::from(self.held_up[number])) / 1000);
        } else {
            self.wrong.early += 1;
            self.wrong.early_us_max = self.wrong.early_us_max.max((due - now).div_ceil(1000));
        }
    }

    /// Packets sent so far.
    pub fn sent(&self) -> u64 {
        self.sent
    }

    /// Packets that have come out so far, wrong ones among them.
    pub fn received(&self) -> u64 {
        self.received
    }

    /// Packets that are still inside, or lost.
    pub fn in_flight(&self) -> u64 {
        self.sent - self.arrived
    }

    /// What went wrong so far.
    pub fn wrong(&self) -> Wrong {
        self.wrong
    }

    /// Packets that were sent and have not come out.
    pub fn lost(&self) -> u64 {
        self.sent_at.iter().zip(&self.seen).filter(|(sent_at, seen)| **sent_at > 0 && !**seen).count() as u64
    }

    /// Lateness since the last call, in microseconds: departure as seen here, less the moment at which the packet was due
    /// to be sent plus its delay.
    pub fn take_lateness_us(&mut self) -> Histogram<u64> {
        std::mem::replace(&mut self.lateness_us, lateness_histogram())
    }

    fn since_start(&self, now: Instant) -> u64 {
        now.saturating_duration_since(self.started).as_nanos() as u64
    }
}

/// Microseconds, three digits exact; what is later than the bound counts as the bound.
pub fn lateness_histogram() -> Histogram<u64> {
    Histogram::new_with_bounds(1, LATENESS_US_MAX, 3).expect("constant bounds that are possible")
}
