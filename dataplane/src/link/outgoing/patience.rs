//! How long to wait before the next dial (server.md 3.9).

use std::time::Duration;

/// Between two addresses of one descriptor, and after a failure that no longer means anything.
const PAUSE: Duration = Duration::from_millis(250);

/// Grows with every round of addresses that failed.
#[derive(Debug, Default)]
pub struct Patience {
    delay: Duration,
    /// The first waits are short: clocks of nodes differ a little, and so do the moments at which they hear of documents.
    is_renewed: bool,
    /// What is under way was begun before something changed, and tells nothing about what holds now.
    is_outdated: bool,
}

impl Patience {
    /// Something has changed that may let the next dial succeed: a document, the epoch. `is_dialling`: one is under way.
    pub fn renew(&mut self, is_dialling: bool) {
        *self = Self { delay: Duration::ZERO, is_renewed: true, is_outdated: is_dialling };
    }

    /// The wait after a failed dial or handshake: longer each time, unless there is another address to try. A node of
    /// the next epoch that does not take this one yet is not asked again before its epoch, which renews this.
    pub fn after_a_failure(&mut self, has_another_address: bool, is_early: bool, period: Duration) -> Duration {
        if std::mem::take(&mut self.is_outdated) || has_another_address {
            return PAUSE;
        }
        if is_early {
            return beyond_the_boundary(period);
        }
        let short = (self.delay * 4).max(period / 1024);
        self.is_renewed &= short < increment(period);
        self.delay = if self.is_renewed { short } else { (self.delay + increment(period)).min(longest(period)) };
        self.delay
    }

    /// The wait after an established link: none if it lived for long.
    pub fn after_a_link_of(&mut self, lived: Duration, period: Duration) -> Duration {
        *self = Self::default();
        self.delay = if lived < increment(period) { increment(period) } else { Duration::ZERO };
        self.delay
    }

    /// A link is established.
    pub fn reward(&mut self) {
        *self = Self::default();
    }
}

/// Longer than a node of the next epoch is known before that epoch (server.md 8.6), whatever the jitter.
pub fn beyond_the_boundary(period: Duration) -> Duration {
    period / 4
}

/// The longest wait.
pub fn longest(period: Duration) -> Duration {
    period / 8
}

fn increment(period: Duration) -> Duration {
    period / 64
}

#[cfg(test)]
mod tests {
    use super::*;

    const PERIOD: Duration = Duration::from_secs(1280);

    fn failures(patience: &mut Patience, count: usize) -> Vec<u64> {
        (0..count).map(|_| patience.after_a_failure(false, false, PERIOD).as_secs()).collect()
    }

    #[test]
    fn waits_grow_to_an_eighth_of_an_epoch() {
        let mut patience = Patience::default();
        assert_eq!(failures(&mut patience, 10), [20, 40, 60, 80, 100, 120, 140, 160, 160, 160]);
        patience.reward();
        assert_eq!(failures(&mut patience, 1), [20]);
    }

    #[test]
    fn other_addresses_are_tried_soon() {
        let mut patience = Patience::default();
        assert_eq!(patience.after_a_failure(true, false, PERIOD), PAUSE);
        assert_eq!(failures(&mut patience, 2), [20, 40]);
    }

    #[test]
    fn a_node_of_the_next_epoch_is_not_pressed() {
        let mut patience = Patience::default();
        assert_eq!(patience.after_a_failure(false, true, PERIOD).as_secs(), 320);
        assert_eq!(failures(&mut patience, 1), [20]);
    }

    #[test]
    fn a_dial_from_before_a_change_does_not_count() {
        let mut patience = Patience::default();
        failures(&mut patience, 5);
        patience.renew(true);
        assert_eq!(patience.after_a_failure(false, false, PERIOD), PAUSE);
        assert_eq!(patience.after_a_failure(false, false, PERIOD), PERIOD / 1024);
    }

    #[test]
    fn the_first_waits_after_a_change_are_short() {
        let mut patience = Patience::default();
        failures(&mut patience, 5);
        patience.renew(false);
        assert_eq!(failures(&mut patience, 5), [1, 5, 25, 45, 65]);
    }

    #[test]
    fn a_link_that_lived_is_made_again_at_once() {
        let mut patience = Patience::default();
        assert_eq!(patience.after_a_link_of(Duration::from_secs(19), PERIOD).as_secs(), 20);
        assert_eq!(patience.after_a_link_of(Duration::from_secs(21), PERIOD).as_secs(), 0);
        assert_eq!(failures(&mut patience, 1), [20]);
    }
}
