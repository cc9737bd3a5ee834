//! How a shard sleeps.

use super::ring::Sleep;
use crate::delay::TICK_NS;
use crate::time::Instant;
use std::time::Duration;

/// No sleep.
pub const AT_ONCE: Instant = Instant(0);
/// Who sleeps for less is under load: packets become due, or wait for their batch.
const UNDER_LOAD: Duration = Duration::from_millis(1);

/// A sleep from `now` until `until`. Under load, what happens gathers until the next slot of the delay queue begins: no
/// delayed packet can leave before, and a turn for each costs more. Whatever else comes, handshakes, messages of other
/// shards, answers for clients, waits for the slot too, a quarter of a millisecond at most.
pub fn nap(now: Instant, until: Instant) -> Sleep {
    let most = until.since(now);
    let slot = Instant((now.0 / TICK_NS + 1) * TICK_NS);
    let gather = if most < UNDER_LOAD { until.min(slot).since(now) } else { Duration::ZERO };
    Sleep { most, gather }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn under_load_things_gather_until_the_slot_begins() {
        let (start, slot) = (Instant(4 * TICK_NS + 7), Instant(5 * TICK_NS));
        let slept = nap(start, Instant(6 * TICK_NS));
        assert_eq!((slept.gather, slept.most), (slot.since(start), Instant(6 * TICK_NS).since(start)));
        assert_eq!(nap(start, Instant(start.0 + 9)).gather, Duration::from_nanos(9), "no longer than the sleep");
    }

    #[test]
    fn without_load_nothing_gathers() {
        let start = Instant(4 * TICK_NS + 7);
        for until in [start + UNDER_LOAD, Instant::NEVER, start, AT_ONCE] {
            assert_eq!(nap(start, until).gather, Duration::ZERO);
        }
    }
}
