//! Wakes shards that stand still although they have not parked.

use crate::io::glommio::Fabric;
use crate::shared::Shared;
use interplane::counter::{Counter, Counters, ShardCounters};
use interplane::event::Event;
use interplane::ring::EventWriter;
use std::time::{Duration, Instant};

/// A round takes well under a millisecond; a shard whose heartbeat is that old is no longer running.
const STILL: Duration = Duration::from_millis(20);

/// Pause between two looks while a shard is awake, and while all are parked.
const PAUSE_AWAKE: Duration = Duration::from_millis(10);
const PAUSE_PARKED: Duration = Duration::from_millis(250);

/// What was seen of one shard.
#[derive(Clone, Copy)]
struct Seen {
    heartbeat: u64,
    since: Instant,
}

/// The guard's memory.
pub struct Guard {
    seen: Vec<Seen>,
    counters: ShardCounters,
    events: EventWriter,
}

impl Guard {
    /// For that many shards; rescues are counted and told through the process's own row and ring.
    pub fn new(shards: usize, counters: ShardCounters, events: EventWriter) -> Self {
        Self { seen: vec![Seen { heartbeat: 0, since: Instant::now() }; shards], counters, events }
    }

    /// Tells the log what the attach thread has found. A full ring drops the event, which it counts itself.
    pub fn tell(&mut self, event: &Event) {
        self.events.write(event);
    }

    /// Looks at all shards once; gives the time until the next look.
    pub fn look(&mut self, shared: &Shared, counters: &Counters, fabric: &Fabric) -> Duration {
        let now = Instant::now();
        let mut pause = PAUSE_PARKED;
        for (shard, seen) in self.seen.iter_mut().enumerate() {
            let heartbeat = counters.get(shard, Counter::HEARTBEAT);
            if shared.is_parked(shard) || heartbeat != seen.heartbeat {
                *seen = Seen { heartbeat, since: now };
            } else if now.duration_since(seen.since) >= STILL {
                fabric.wake(shard);
                self.counters.increment(Counter::RESCUES);
                self.events.write(&Event::ShardRescued { shard: u16::try_from(shard).unwrap_or(u16::MAX) });
                seen.since = now;
            }
            if !shared.is_parked(shard) {
                pause = PAUSE_AWAKE;
            }
        }
        pause
    }
}
