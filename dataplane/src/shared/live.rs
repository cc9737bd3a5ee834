//! What may change while the data plane works ([`Adjustable`]): each value is looked at anew each time, so that no shard
//! has to be told.

use super::lock;
use interplane::setup::{Adjustable, ClientRate};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

/// Such values, of all shards.
#[derive(Debug)]
pub struct Live {
    /// Grows with each change.
    number: AtomicU64,
    /// Longest dwell before an unwrap.
    pub unwrap_delay: Time,
    /// Longest time between arrival and service at a service node.
    pub service_delay: Time,
    /// Longest time between arrival and a service's work.
    pub kaetzchen_delay: Time,
    /// How much later than its delays say a loop of this node may come back.
    pub decoy_slack: Time,
    /// Latest dispatch after a packet is due.
    pub scheduler_slack: Time,
    /// Longest wait for a link.
    pub send_slack: Time,
    /// Longest time between arrival and delivery at a gateway.
    pub gateway_delay: Time,
    /// Longest dial.
    pub connect_timeout: Time,
    /// Longest handshake.
    pub handshake_timeout: Time,
    /// Time between two authentications of a live link.
    pub reauth_interval: Time,
    /// Packets in one shard's delay queue; the greatest number is no limit.
    delayed_max: AtomicUsize,
    /// Each shard keeps a copy, and takes another one when it hears of a change.
    client_rate: Mutex<ClientRate>,
}

/// A time that may change. On the packet path it costs a plain load.
#[derive(Debug)]
pub struct Time(AtomicU64);

impl Time {
    /// The time as it is now.
    #[inline]
    pub fn get(&self) -> Duration {
        Duration::from_millis(self.0.load(Ordering::Relaxed))
    }

    fn set(&self, ms: u64) {
        self.0.store(ms, Ordering::Relaxed);
    }
}

impl Live {
    /// The values of a start.
    pub fn new(values: &Adjustable, shards: usize) -> Self {
        let time = || Time(AtomicU64::default());
        let live = Self {
            number: AtomicU64::default(),
            unwrap_delay: time(),
            service_delay: time(),
            kaetzchen_delay: time(),
            decoy_slack: time(),
            scheduler_slack: time(),
            send_slack: time(),
            gateway_delay: time(),
            connect_timeout: time(),
            handshake_timeout: time(),
            reauth_interval: time(),
            delayed_max: AtomicUsize::default(),
            client_rate: Mutex::default(),
        };
        live.store(values, shards);
        live
    }

    /// Has all shards go by other values; gives the number by which they say that they do.
    pub fn adjust(&self, to: &Adjustable, shards: usize) -> u64 {
        self.store(to, shards);
        self.number.fetch_add(1, Ordering::Release) + 1
    }

    fn store(&self, to: &Adjustable, shards: usize) {
        let times = &to.times;
        for (time, ms) in [
            (&self.unwrap_delay, times.unwrap_delay_ms),
            (&self.service_delay, times.service_delay_ms),
            (&self.kaetzchen_delay, times.kaetzchen_delay_ms),
            (&self.decoy_slack, times.decoy_slack_ms),
            (&self.scheduler_slack, times.scheduler_slack_ms),
            (&self.send_slack, times.send_slack_ms),
            (&self.gateway_delay, times.gateway_delay_ms),
            (&self.connect_timeout, times.connect_timeout_ms),
            (&self.handshake_timeout, times.handshake_timeout_ms),
            (&self.reauth_interval, times.reauth_interval_ms),
        ] {
            time.set(ms);
        }
        let queue_packets = usize::try_from(to.scheduler_queue_packets).unwrap_or(usize::MAX);
        let delayed_max = if queue_packets == 0 { usize::MAX } else { queue_packets.div_ceil(shards.max(1)) };
        self.delayed_max.store(delayed_max, Ordering::Relaxed);
        *lock(&self.client_rate) = to.client_rate;
    }

    /// The number of the last change; 0 before the first.
    pub fn number(&self) -> u64 {
        self.number.load(Ordering::Acquire)
    }

    /// Packets in one shard's delay queue.
    #[inline]
    pub fn delayed_max(&self) -> usize {
        self.delayed_max.load(Ordering::Relaxed)
    }

    /// How fast clients may send.
    pub fn client_rate(&self) -> ClientRate {
        *lock(&self.client_rate)
    }
}
