//! What operators want of a shard while it works: that it goes by other values, and tells of its links.

use super::Shard;
use crate::io::Io;
use crate::shared::Shared;
use std::sync::atomic::Ordering;

/// Up to which wish the shard has heard.
#[derive(Default)]
pub struct Wishes {
    adjustment: u64,
    roll: u64,
}

impl Wishes {
    /// Whether something is wanted that was not heard yet.
    pub fn has_news(&self, shared: &Shared) -> bool {
        shared.facts().live.number() != self.adjustment || shared.roll_called() != self.roll
    }
}

impl Shard {
    /// Begins with what is wanted. Values are looked at anew each time; what follows from some of them is not.
    pub(super) fn hear_wishes(&mut self) {
        let shared = &self.context.shared;
        let (adjustment, roll) = (shared.facts().live.number(), shared.roll_called());
        if std::mem::replace(&mut self.wishes.adjustment, adjustment) != adjustment {
            self.reauthenticate_at =
                self.reauthenticate_at.min(self.context.now + shared.facts().live.reauth_interval.get());
            self.context.client_rate = shared.facts().live.client_rate();
            // Clients get it with this.
            self.incoming.reauthenticate();
        }
        if std::mem::replace(&mut self.wishes.roll, roll) != roll {
            self.incoming.call_roll();
        }
    }

    /// Goes on with it, and says what is done.
    pub(super) fn grant_wishes(&mut self, io: &mut impl Io) {
        let number = self.wishes.roll;
        let (round, incoming, outgoing) = self.split(io);
        if let Some(mut reports) = incoming.go_on_with_roll(&round) {
            let (index, now) = (round.context.index, round.context.now);
            reports.extend(outgoing.peers().map(|peer| peer.report(index, round.io, now)));
            round.context.port().answer_roll(number, reports);
        }
        let port = self.context.port();
        if !self.incoming.is_asking() && port.applied_adjustment.load(Ordering::Relaxed) != self.wishes.adjustment {
            port.applied_adjustment.store(self.wishes.adjustment, Ordering::Release);
        }
    }
}
