//! How a shard sleeps, and when what woke it came.

use super::ring::Sleep;
use crate::delay::TICK_NS;
use crate::time::Instant;
use std::time::Duration;

/// No sleep.
pub const AT_ONCE: Instant = Instant(0);
/// Who sleeps for less is under load: packets become due, or wait for their batch.
const UNDER_LOAD: Duration = Duration::from_millis(1);
/// A thread whose timers are sharp has its processor so long after the end of its sleep, mostly. So much a packet may
/// leave too early, less what its way out takes: soaks have shown none.
const AWAKE: Duration = Duration::from_micros(25);

/// A sleep. Under load, what happens gathers until the next slot of the delay queue begins: no delayed packet can leave
/// before, and a turn for each costs more. Whatever else comes, handshakes, messages of other shards, answers for clients,
/// waits for the slot too, a quarter of a millisecond at most.
pub struct Nap {
    /// For the ring.
    pub sleep: Sleep,
    /// Until then things gather.
    gathered: Option<Instant>,
}

impl Nap {
    /// From `now` until `until`.
    pub fn new(now: Instant, until: Instant) -> Self {
        let most = until.since(now);
        let gathered =
            (!most.is_zero() && most < UNDER_LOAD).then(|| until.min(Instant((now.0 / TICK_NS + 1) * TICK_NS)));
        let gather = gathered.map_or(Duration::ZERO, |gathered| gathered.since(now));
        Self { sleep: Sleep { most, gather }, gathered }
    }

    /// When what had happened by `now` came: what gathered counts from the slot that begins then, and not from when the
    /// processor was had again. Delays are whole slots, so that they too end where a slot begins. What came between the
    /// slot's beginning and `now` leaves so much too early, 25 us at most, less what its way out takes: nothing tells it
    /// from the rest.
    pub fn came_at(&self, now: Instant) -> Instant {
        self.gathered.filter(|gathered| now.since(*gathered) < AWAKE).map_or(now, |gathered| gathered.min(now))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_gathers_counts_from_the_slot_before_which_it_came() {
        let (start, slot) = (Instant(4 * TICK_NS + 7), Instant(5 * TICK_NS));
        let nap = Nap::new(start, Instant(6 * TICK_NS));
        assert_eq!(nap.sleep.gather, slot.since(start));
        assert_eq!(nap.sleep.most, Instant(6 * TICK_NS).since(start));
        let early = Instant(slot.0 - 1);
        assert_eq!(nap.came_at(early), early, "many came, and ended the sleep");
        assert_eq!(nap.came_at(slot + Duration::from_micros(20)), slot);
        let late = slot + AWAKE;
        assert_eq!(nap.came_at(late), late, "it may have come since");
        assert_eq!(Nap::new(start, Instant(start.0 + 9)).sleep.gather, Duration::from_nanos(9));
    }

    #[test]
    fn without_load_nothing_gathers() {
        let start = Instant(4 * TICK_NS + 7);
        for until in [start + UNDER_LOAD, Instant::NEVER, start, AT_ONCE] {
            let nap = Nap::new(start, until);
            assert_eq!((nap.sleep.gather, nap.came_at(Instant(9 * TICK_NS))), (Duration::ZERO, Instant(9 * TICK_NS)));
        }
    }
}
