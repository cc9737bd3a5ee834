//! What documents and keys mean at this moment. Worked out anew at each change of either and at each boundary: the
//! start of an epoch, and of the slack before the next one (server.md 8.6).

use crate::shared::keys::Candidates;
use crate::shared::{Directory, Facts, KeyRing};
use pki::epoch::EpochTime;
use pki::{Epoch, policy};
use std::time::Duration;

/// What holds until the next change.
pub struct EpochView {
    /// Where the clock stood when this was worked out; good for policy questions until `until`.
    pub epoch: EpochTime,
    /// When it holds no longer, since the Unix epoch.
    pub until: Duration,
    /// The civil time at which it was worked out: going back is a change too.
    since: Duration,
    /// Whether there is a document to go by.
    pub is_usable: bool,
    /// The keys that packets may be for.
    pub candidates: Candidates,
    /// For each place of the directory: whether packets may be sent there.
    pub destinations: Vec<bool>,
    /// The longest delay, by the newest current document that was seen.
    pub delay_max: Duration,
}

impl EpochView {
    /// Nothing is known yet.
    pub fn new(facts: &Facts) -> Self {
        let period = facts.clock.period();
        let nothing =
            EpochTime { unix: Duration::ZERO, epoch: Epoch(0), elapsed: Duration::ZERO, till: period, period };
        Self {
            epoch: nothing,
            until: Duration::ZERO,
            since: Duration::ZERO,
            is_usable: false,
            candidates: Candidates::default(),
            destinations: Vec::new(),
            delay_max: facts.delay_limit(),
        }
    }

    /// Whether it still holds.
    pub fn holds(&self, unix: Duration) -> bool {
        unix >= self.since && unix < self.until
    }

    /// Works it out for `unix`. A clock before epoch 0 makes nothing usable.
    pub fn renew(&mut self, facts: &Facts, directory: &Directory, keys: &KeyRing, unix: Duration) {
        self.since = unix;
        let Ok(epoch) = facts.clock.now(unix) else {
            *self = Self { since: unix, until: unix + Duration::from_secs(1), ..Self::new(facts) };
            return;
        };
        self.epoch = epoch;
        self.until = policy::next_change(&epoch).max(unix + Duration::from_nanos(1));
        let view = directory.view();
        self.is_usable = view.is_usable(&epoch) && keys.link_key.is_some();
        self.candidates = keys.candidates(epoch.epoch);
        self.destinations.clear();
        self.destinations.resize(directory.places(), false);
        for (id, destination) in directory.destinations() {
            let is_open = policy::destination(view, &destination.node, &epoch).is_some();
            self.destinations[id.0 as usize] = is_open;
        }
        if let Some(delay_ms) = directory.snapshot().delay_ms_max(epoch.epoch) {
            let limit = facts.delay_limit();
            let delay = Duration::from_millis(delay_ms);
            self.delay_max = if delay.is_zero() { limit } else { delay.min(limit) };
        }
    }
}
