//! Watches the shards from outside: wakes those that stand still or sleep past their time, and finds those that are
//! beyond help.
//!
//! A backend can lose a wake-up or a timer, as glommio's executor does now and then (see [`crate::io::glommio`]): it
//! stands still with something to do. Most of all this strikes a shard that is being woken from a park, whose flag still
//! says "parked"; so what counts is not the flag but the moment until which the shard said that it would sleep.

#[cfg(test)]
mod tests;

use crate::io::{Driver, DriverError};
use crate::shared::Shared;
use crate::time::Instant;
use interplane::counter::{Counter, Counters, ShardCounters};
use interplane::event::Event;
use interplane::ring::EventWriter;
use std::time::Duration;

/// A round takes well under a millisecond; a shard whose heartbeat is that old, or that is that late, is not running.
const STILL: Duration = Duration::from_millis(20);

/// A shard that has not moved for so long although it was woken again and again will not move any more.
const STUCK: Duration = Duration::from_secs(4);

/// Pause between two looks while a shard is awake, and while all are parked.
const PAUSE_AWAKE: Duration = Duration::from_millis(10);
const PAUSE_PARKED: Duration = Duration::from_millis(250);

/// After so long without a look nothing is known of what the shards did: the whole process may have been stopped.
const BLIND: Duration = Duration::from_secs(1);

/// What was seen of one shard.
#[derive(Clone, Copy)]
struct Seen {
    heartbeat: u64,
    /// When it last moved, or had no reason to.
    moved_at: Instant,
    woken_at: Instant,
}

/// The guard's memory.
pub struct Guard {
    seen: Vec<Seen>,
    looked_at: Instant,
    counters: ShardCounters,
    events: EventWriter,
}

impl Guard {
    /// For that many shards; rescues are counted and told through the process's own row and ring.
    pub fn new(shards: usize, counters: ShardCounters, events: EventWriter) -> Self {
        let seen = Seen { heartbeat: 0, moved_at: Instant::default(), woken_at: Instant::default() };
        Self { seen: vec![seen; shards], looked_at: Instant::default(), counters, events }
    }

    /// Tells the log what the attach thread has found. A full ring drops the event, which it counts itself.
    pub fn tell(&mut self, event: &Event) {
        self.events.write(event);
    }

    /// Looks at all shards once; gives the time until the next look, or the shard that is beyond help.
    pub fn look(&mut self, shared: &Shared, counters: &Counters, driver: &Driver) -> Result<Duration, DriverError> {
        driver.check()?;
        let now = driver.now();
        let was_blind = now.since(std::mem::replace(&mut self.looked_at, now)) > BLIND;
        let mut pause = PAUSE_PARKED;
        for (shard, seen) in self.seen.iter_mut().enumerate() {
            let heartbeat = counters.get(shard, Counter::HEARTBEAT);
            let until = shared.parked_until(shard);
            if heartbeat != seen.heartbeat || was_blind || until.is_some_and(|until| until > now) {
                // It moves, or sleeps and is not late.
                *seen = Seen { heartbeat, moved_at: until.map_or(now, |until| until.max(now)), ..*seen };
            }
            if until.is_none() {
                // Somebody took its flag down: it is to wake up now.
                seen.moved_at = seen.moved_at.min(now);
            }
            let late = now.since(seen.moved_at);
            if late >= STUCK {
                return Err(DriverError::Stuck { shard, seconds: STUCK.as_secs() });
            }
            if late >= STILL && now.since(seen.woken_at) >= STILL {
                driver.wake(shard);
                seen.woken_at = now;
                self.counters.increment(Counter::RESCUES);
                self.events.write(&Event::ShardRescued { shard: u16::try_from(shard).unwrap_or(u16::MAX) });
            }
            // Not before it can be called late.
            let next = if until.is_some() { (seen.moved_at + STILL).since(now).max(PAUSE_AWAKE) } else { PAUSE_AWAKE };
            pause = pause.min(next);
        }
        Ok(pause)
    }
}
