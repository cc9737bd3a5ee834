//! How full replay sets are: as gauges, and for the log, once per set, when it is fuller than it was sized for and when
//! it refuses packets.

use crate::shared::{EpochKey, KeyRing};
use interplane::counter::{Counter, KeyEpoch, ShardCounters};
use interplane::event::Event;
use pki::Epoch;
use std::collections::HashMap;
use std::time::{Duration, Instant};

/// Between two looks. The last tenth of a set takes minutes at its line rate.
const INTERVAL: Duration = Duration::from_secs(5);

/// What was told about the sets.
#[derive(Default)]
pub struct Fills {
    looked_at: Option<Instant>,
    refused: u64,
    told: HashMap<Epoch, Told>,
}

#[derive(Clone, Copy, Default)]
struct Told {
    filling: bool,
    full: bool,
}

impl Fills {
    /// Whether it is time to look.
    pub fn is_due(&self, now: Instant) -> bool {
        self.looked_at.is_none_or(|at| now.saturating_duration_since(at) >= INTERVAL)
    }

    /// Looks at the sets of `keys` if it is time. `refused` are the packets that were dropped because of full sets, of
    /// all shards since their start; which set refused them is not counted, so it is taken to be the fullest.
    pub fn look(&mut self, now: Instant, keys: &KeyRing, refused: u64) -> Vec<Event> {
        if !self.is_due(now) {
            return Vec::new();
        }
        self.looked_at = Some(now);
        self.told.retain(|epoch, _| keys.mix_key(*epoch).is_some());
        let mut events = Vec::new();
        for key in &keys.mix_keys {
            let fill = key.replays.fill();
            let told = self.told.entry(key.epoch).or_default();
            if fill.is_warning() && !std::mem::replace(&mut told.filling, true) {
                let percent = u8::try_from(fill.percent()).unwrap_or(u8::MAX);
                events.push(Event::ReplaySetFilling { epoch: key.epoch, percent });
            }
        }
        // A row of counters that starts anew is behind what was seen of it.
        if std::mem::replace(&mut self.refused, refused) < refused {
            let percent = |key: &&EpochKey| key.replays.fill().percent();
            if let Some(fullest) = keys.mix_keys.iter().max_by_key(percent)
                && !std::mem::replace(&mut self.told.entry(fullest.epoch).or_default().full, true)
            {
                events.push(Event::ReplaySetFull { epoch: fullest.epoch });
            }
        }
        events
    }
}

/// Sets the gauges of the sets that packets are looked up in during `current`.
pub fn set_gauges(keys: &KeyRing, current: Epoch, counters: &ShardCounters) {
    let previous = current.0.checked_sub(1).map(Epoch);
    let epochs =
        [(KeyEpoch::Previous, previous), (KeyEpoch::Current, Some(current)), (KeyEpoch::Next, Some(current.after(1)))];
    for (which, epoch) in epochs {
        let fill = epoch.and_then(|epoch| keys.mix_key(epoch)).map(|key| key.replays.fill());
        counters.set(Counter::replay_tags(which), fill.map_or(0, |fill| fill.tags));
        counters.set(Counter::replay_slots(which), fill.map_or(0, |fill| fill.slots));
    }
}

#[cfg(test)]
mod tests;
