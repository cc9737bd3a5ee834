//! Where every packet went.

use super::{Counter, Counters, Destination, Family, Kind, Origin};
use crate::reason::DropReason;
use serde::{Deserialize, Serialize};
use std::sync::atomic::Ordering;

/// The packets of one row or of all: what came in is what went out, was dropped, is held or was lost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Account {
    /// From peers.
    pub received: u64,
    /// Made here.
    pub originated: u64,
    /// To peers.
    pub sent: u64,
    /// Ended here.
    pub delivered: u64,
    /// Dropped, for all reasons.
    pub dropped: u64,
    /// Still here.
    pub held: u64,
    /// Gone with a data plane that crashed.
    pub lost_in_restart: u64,
}

impl Account {
    /// Packets that came in minus those accounted for: zero between two rounds of a shard. The rows of shards that
    /// hand packets to each other balance only in their sum, unless `held` moves with the packet.
    pub fn difference(&self) -> i64 {
        let came = self.received.wrapping_add(self.originated);
        let went = [self.sent, self.delivered, self.dropped, self.held, self.lost_in_restart];
        came.wrapping_sub(went.into_iter().fold(0, u64::wrapping_add)) as i64
    }

    fn read(get: impl Fn(Counter) -> u64) -> Self {
        let sum = |counters: &mut dyn Iterator<Item = Counter>| counters.map(&get).fold(0, u64::wrapping_add);
        Self {
            received: get(Counter::RECEIVED),
            originated: sum(&mut Origin::ALL.iter().copied().map(Counter::originated)),
            sent: get(Counter::SENT),
            delivered: sum(&mut Destination::ALL.iter().copied().map(Counter::delivered)),
            dropped: sum(&mut DropReason::ALL.iter().copied().map(Counter::dropped)),
            held: get(Counter::HELD),
            lost_in_restart: get(Counter::LOST_IN_RESTART),
        }
    }
}

impl Counters {
    /// The account of one row; the row after the last shard is the process's.
    pub fn account(&self, row: usize) -> Account {
        Account::read(|counter| self.get(row, counter))
    }

    /// The account of all rows.
    pub fn account_total(&self) -> Account {
        Account::read(|counter| self.total(counter))
    }

    /// For a data plane that starts with the counters of one that ended, before it has shards: every packet that is
    /// not accounted for is lost. Zeroes all gauges, and returns how many packets were lost.
    pub fn settle_after_crash(&self) -> u64 {
        let lost = Account { held: 0, ..self.account_total() }.difference();
        for row in 0..=self.shards() {
            for family in Family::ALL.iter().filter(|family| family.kind() == Kind::Gauge) {
                let gauges = (0..family.combinations()).flat_map(|combination| Counter::of(*family, combination));
                for gauge in gauges {
                    if let Some(cell) = self.cells(row).get(gauge.cell()) {
                        cell.store(0, Ordering::Relaxed);
                    }
                }
            }
        }
        // A crash between two counts of one packet can leave one too many accounted for.
        let lost = u64::try_from(lost).unwrap_or(0);
        self.process().add(Counter::LOST_IN_RESTART, lost);
        lost
    }
}
