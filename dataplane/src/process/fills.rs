//! Tells the operator, once per replay set, that it is fuller than it was sized for, and that it refuses packets.

use crate::shared::{EpochKey, KeyRing};
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
    /// Looks at the sets of `keys` if it is time. `refused` are the packets that were dropped because of full sets, of
    /// all shards since their start; which set refused them is not counted, so it is taken to be the fullest.
    pub fn look(&mut self, now: Instant, keys: &KeyRing, refused: u64) -> Vec<Event> {
        if self.looked_at.is_some_and(|at| now.saturating_duration_since(at) < INTERVAL) {
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

#[cfg(test)]
mod tests;
