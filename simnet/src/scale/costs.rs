//! What each stage of a packet's way costs a processor, and what a shard has spent.

use serde::Serialize;
use std::ops::{Add, Sub};
use std::time::Duration;

/// Nanoseconds per packet, by stage (`katzensprung_stage_seconds`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Costs {
    /// Looking for events.
    pub poll_ns: u64,
    /// Receiving bytes.
    pub receive_ns: u64,
    /// Opening its frame.
    pub open_ns: u64,
    /// Its replay tag, and looking that up.
    pub look_up_ns: u64,
    /// Its unwrap in a full group of lanes; a group that is not full takes as long.
    pub unwrap_ns: u64,
    /// Routing.
    pub route_ns: u64,
    /// Taking it out of the delay queue.
    pub delay_ns: u64,
    /// Sealing its frame.
    pub seal_ns: u64,
    /// Sending that.
    pub send_ns: u64,
    /// What its bytes cost each time that another processor had them last: once for an unwrap on another shard than the
    /// link's, once for sending what another shard has unwrapped.
    pub hand_over_ns: u64,
    /// Packets that the kernels unwrap together.
    pub lanes: usize,
}

/// Time that went into work.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Work {
    /// Polling, receiving, opening: of the shard that has the link to read.
    pub reading: Duration,
    /// Looking up, unwrapping, routing: of any shard.
    pub unwrapping: Duration,
    /// Delay queue, sealing, sending: of the shard that has the link to write.
    pub sending: Duration,
    /// Getting the bytes from other processors.
    pub handing_over: Duration,
}

impl Costs {
    /// Of a part of the frames that a link brings.
    pub fn reading(&self, frames: f64) -> Duration {
        ns((self.poll_ns + self.receive_ns + self.open_ns) as f64 * frames)
    }

    /// Of a batch.
    pub fn unwrapping(&self, packets: u64) -> Duration {
        let lanes = self.lanes.max(1) as u64;
        let in_lanes = packets.div_ceil(lanes) * lanes;
        Duration::from_nanos(packets * (self.look_up_ns + self.route_ns) + in_lanes * self.unwrap_ns)
    }

    /// Of a part of the frames that a link gets.
    pub fn sending(&self, frames: f64) -> Duration {
        ns((self.delay_ns + self.seal_ns + self.send_ns) as f64 * frames)
    }

    /// Of a number of packets.
    pub fn handing_over(&self, packets: f64) -> Duration {
        ns(self.hand_over_ns as f64 * packets)
    }
}

impl Work {
    /// All of it.
    pub fn total(&self) -> Duration {
        self.reading + self.unwrapping + self.sending + self.handing_over
    }
}

impl Add for Work {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            reading: self.reading + other.reading,
            unwrapping: self.unwrapping + other.unwrapping,
            sending: self.sending + other.sending,
            handing_over: self.handing_over + other.handing_over,
        }
    }
}

impl Sub for Work {
    type Output = Self;

    fn sub(self, earlier: Self) -> Self {
        Self {
            reading: self.reading.saturating_sub(earlier.reading),
            unwrapping: self.unwrapping.saturating_sub(earlier.unwrapping),
            sending: self.sending.saturating_sub(earlier.sending),
            handing_over: self.handing_over.saturating_sub(earlier.handing_over),
        }
    }
}

fn ns(nanoseconds: f64) -> Duration {
    Duration::from_nanos(nanoseconds as u64)
}
