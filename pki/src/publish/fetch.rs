//! Fetching: the next document as soon as it may exist, the current one until it is there, older ones while packets
//! for their keys may still arrive. Epochs do not wait for each other.

use super::Action;
use crate::MIX_KEY_EPOCHS;
use crate::authority::{Answers, spread};
use crate::epoch::{Epoch, EpochTime};
use crypto_simd::random::Random;
use std::collections::BTreeMap;
use std::time::Duration;

/// One pass over the authorities takes no longer than this (server.md 8.1), nor than an eighth of the period.
const PASS_MAX: Duration = Duration::from_secs(180);
/// A pass that ends at its deadline may report a little later; one that never reports counts as failed after this.
const REPORT_GRACE: Duration = Duration::from_secs(5);
/// The first delay after a failed fetch of the current document, before the random factor.
const FIRST_DELAY: Duration = Duration::from_millis(1500);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Want {
    Waiting {
        at: Duration,
        failures: u32,
    },
    InFlight {
        overdue: Duration,
        failures: u32,
    },
    Held,
    /// Enough authorities said that it will never exist, or it is of no use to this node.
    Failed,
}

#[derive(Debug)]
pub(super) struct FetchSchedule {
    /// How many authorities must say that a document is gone.
    threshold: usize,
    wants: BTreeMap<Epoch, Want>,
}

impl FetchSchedule {
    pub(super) fn new(threshold: usize) -> Self {
        Self { threshold, wants: BTreeMap::new() }
    }

    /// Forgets epochs outside the window, wants those inside it. A document that was not there while it was the next
    /// one is asked for at once now that it is the current one.
    pub(super) fn enter_epoch(&mut self, now: &EpochTime, random: &mut dyn Random) {
        let (oldest, next) = (now.epoch.before(MIX_KEY_EPOCHS - 1), now.epoch.after(1));
        self.wants.retain(|epoch, _| (oldest..=next).contains(epoch));
        for epoch in oldest.0..=now.epoch.0 {
            let want = self.wants.entry(Epoch(epoch)).or_insert(Want::Waiting { at: now.unix, failures: 0 });
            if let Want::Waiting { at, failures } = want {
                (*at, *failures) = (now.unix, 0);
            }
        }
        // Published at 5/8 (pki.md 9.1); spread, so that not every node asks at that instant.
        let at = now.at(5, 8) + spread(now.fraction(1, 128), 1.0, random);
        self.wants.entry(next).or_insert(Want::Waiting { at, failures: 0 });
    }

    /// The wall clock was set back: what is due in so much time stays due in so much time.
    pub(super) fn handle_clock_back(&mut self, by: Duration) {
        for want in self.wants.values_mut() {
            if let Want::Waiting { at, .. } | Want::InFlight { overdue: at, .. } = want {
                *at = at.saturating_sub(by);
            }
        }
    }

    pub(super) fn poll(&mut self, now: &EpochTime, random: &mut dyn Random) -> Option<Action> {
        let overdue = |want: &Want| matches!(want, Want::InFlight { overdue, .. } if *overdue <= now.unix);
        let lost: Vec<Epoch> = self.wants.iter().filter(|(_, want)| overdue(want)).map(|(epoch, _)| *epoch).collect();
        for epoch in lost {
            self.handle_failed(epoch, Answers::default(), now, random);
        }
        // The current document first, then the next one, then older ones.
        let order = [now.epoch, now.epoch.after(1)].into_iter().chain((1..MIX_KEY_EPOCHS).map(|n| now.epoch.before(n)));
        for epoch in order {
            if let Some(want) = self.wants.get_mut(&epoch)
                && let Want::Waiting { at, failures } = *want
                && at <= now.unix
            {
                let deadline = now.unix + PASS_MAX.min(now.fraction(1, 8));
                *want = Want::InFlight { overdue: deadline + REPORT_GRACE.min(now.fraction(1, 64)), failures };
                return Some(Action::Fetch { epoch, deadline });
            }
        }
        None
    }

    pub(super) fn next_deadline(&self) -> Option<Duration> {
        let due = self.wants.values().filter_map(|want| match want {
            Want::Waiting { at, .. } => Some(*at),
            Want::InFlight { overdue, .. } => Some(*overdue),
            Want::Held | Want::Failed => None,
        });
        due.min()
    }

    pub(super) fn handle_document(&mut self, epoch: Epoch) {
        self.wants.insert(epoch, Want::Held);
    }

    pub(super) fn handle_unusable(&mut self, epoch: Epoch) {
        if let Some(want) = self.wants.get_mut(&epoch) {
            *want = Want::Failed;
        }
    }

    pub(super) fn handle_failed(&mut self, epoch: Epoch, answers: Answers, now: &EpochTime, random: &mut dyn Random) {
        let Some(want) = self.wants.get_mut(&epoch) else { return };
        let Want::InFlight { failures, .. } = *want else { return };
        *want = if answers.gone >= self.threshold {
            Want::Failed
        } else {
            let delay = if epoch > now.epoch { recheck(now, random) } else { back_off(failures, now, random) };
            Want::Waiting { at: now.unix + delay, failures: failures.saturating_add(1) }
        };
    }

    pub(super) fn is_held(&self, epoch: Epoch) -> bool {
        self.wants.get(&epoch) == Some(&Want::Held)
    }

    pub(super) fn is_failed(&self, epoch: Epoch) -> bool {
        self.wants.get(&epoch) == Some(&Want::Failed)
    }
}

/// Between two tries for the next document: a 16th of the period, by a quarter more or less.
fn recheck(now: &EpochTime, random: &mut dyn Random) -> Duration {
    spread(now.fraction(1, 16), 0.25, random)
}

/// Between two tries for a missing document: 1 to 2 s, doubling up to a 32nd of the period.
fn back_off(failures: u32, now: &EpochTime, random: &mut dyn Random) -> Duration {
    let longest = now.fraction(1, 32);
    let delay = spread(FIRST_DELAY.saturating_mul(1 << failures.min(16)), 1.0 / 3.0, random);
    // Below the cap by a random part too, so that nodes that wait for one authority do not move in step.
    delay.min(spread(longest.mul_f64(0.875), 0.125, random))
}
