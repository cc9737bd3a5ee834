//! Every packet that comes out is checked: the right bytes, at the right next hop, once, and not before its time.

#[cfg(test)]
mod tests;

use super::mill::{Expected, hash};
use hdrhistogram::Histogram;
use rustc_hash::{FxHashMap, FxHashSet};
use std::time::{Duration, Instant};

const LATENESS_US_MAX: u64 = 60_000_000;
/// So many packets that have come out are remembered at least, and twice as many at most: what repeats one of them came
/// out twice, what repeats an older one is unknown.
const REMEMBERED_MIN: usize = 1 << 17;

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
}

impl Wrong {
    /// All of them.
    pub fn total(&self) -> u64 {
        self.unknown + self.duplicate + self.next_hop + self.early
    }
}

/// A packet inside the node.
struct Flight {
    expected: Expected,
    /// Nanoseconds since the start.
    sent_at: u64,
    /// How long before that it was due to be sent, in nanoseconds.
    held_up: u32,
    /// The rig sent it in time.
    in_time: bool,
}

/// What has become of the packets that were sent. Its memory does not grow with their number.
pub struct Checker {
    started: Instant,
    /// By what comes out.
    flying: FxHashMap<u64, Flight>,
    /// What has come out, in two generations.
    arrived: [FxHashSet<u64>; 2],
    sent: u64,
    received: u64,
    /// Packets that were given up.
    given_up: u64,
    wrong: Wrong,
    lateness_us: Histogram<u64>,
}

impl Checker {
    /// Nothing sent yet.
    pub fn new() -> Self {
        Self {
            started: Instant::now(),
            flying: FxHashMap::default(),
            arrived: Default::default(),
            sent: 0,
            received: 0,
            given_up: 0,
            wrong: Wrong::default(),
            lateness_us: lateness_histogram(),
        }
    }

    /// A packet is about to be sent, and was due at `due`, which is not later; `in_time` if that is not the rig's doing.
    pub fn handle_sent(&mut self, expected: Expected, due: Instant, now: Instant, in_time: bool) {
        let held_up = u32::try_from(now.saturating_duration_since(due).as_nanos()).unwrap_or(u32::MAX);
        let flight = Flight { expected, sent_at: self.since_start(now), held_up, in_time };
        self.sent += 1;
        // Two packets with one hash, among those that are inside at a time, are one in 2^30 years of them.
        self.flying.insert(flight.expected.hash, flight);
    }

    /// Bytes have come out of the node at the node behind it with this number. Gives by how many microseconds a packet
    /// that was right is late, and whether the rig sent it in time.
    pub fn handle_received(&mut self, link: usize, forwarded: &[u8], now: Instant) -> Option<(u64, bool)> {
        self.received += 1;
        let hash = hash(forwarded);
        let Some(Flight { expected, sent_at, held_up, in_time }) = self.flying.remove(&hash) else {
            match self.arrived.iter().any(|arrived| arrived.contains(&hash)) {
                true => self.wrong.duplicate += 1,
                false => self.wrong.unknown += 1,
            }
            return None;
        };
        self.remember(hash);
        if usize::from(expected.order.link) != link {
            self.wrong.next_hop += 1;
        }
        let delay = Duration::from_millis(u64::from(expected.order.delay_ms)).as_nanos() as u64;
        let (due, now) = (sent_at + delay, self.since_start(now));
        if now >= due {
            // What a full link or a busy rig held up is late too: a sender's packets would have waited like that.
            let lateness_us = (now - due + u64::from(held_up)) / 1000;
            self.lateness_us.saturating_record(lateness_us);
            return Some((lateness_us, in_time));
        }
        self.wrong.early += 1;
        self.wrong.early_us_max = self.wrong.early_us_max.max((due - now).div_ceil(1000));
        None
    }

    fn remember(&mut self, hash: u64) {
        let [newer, older] = &mut self.arrived;
        if newer.len() >= REMEMBERED_MIN {
            std::mem::swap(newer, older);
            newer.clear();
        }
        newer.insert(hash);
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
        self.flying.len() as u64
    }

    /// What went wrong so far.
    pub fn wrong(&self) -> Wrong {
        self.wrong
    }

    /// Packets that were sent and have not come out.
    pub fn lost(&self) -> u64 {
        self.given_up + self.in_flight()
    }

    /// Counts as lost what is still inside: it has had its time.
    pub fn give_up(&mut self) {
        self.given_up += self.in_flight();
        self.flying.clear();
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
