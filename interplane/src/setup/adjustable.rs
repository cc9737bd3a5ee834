//! What of a setup may change while a data plane works: values that are looked at anew each time, and on which no size of
//! anything depends.

use super::{Setup, Times};
use pki::Epoch;
use serde::{Deserialize, Serialize};

/// These values.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Adjustable {
    /// See [`Setup::times`].
    pub times: Times,
    /// See [`Limits::scheduler_queue_packets`](super::Limits::scheduler_queue_packets).
    pub scheduler_queue_packets: u64,
    /// See [`Clients::rate`](super::Clients::rate).
    pub client_rate: ClientRate,
}

/// How fast clients may send.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClientRate {
    /// As fast as they like, whatever else is said here (`DisableRateLimit`).
    pub is_unlimited: bool,
    /// What an operator has ordered in place of what the document says.
    pub ordered: Option<OrderedRate>,
    /// Packets that a client may save up; none is the reference's number.
    pub burst_packets: Option<u32>,
}

/// A rate that holds until the document of another epoch is gone by (server.md D.5).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrderedRate {
    /// Packets of one client; 0 is no limit.
    pub per_minute: u32,
    /// The epoch of the document that says something else.
    pub epoch: Epoch,
}

impl Setup {
    /// These values of a setup.
    pub fn adjustable(&self) -> Adjustable {
        Adjustable {
            times: self.times,
            scheduler_queue_packets: self.limits.scheduler_queue_packets,
            client_rate: self.clients.rate,
        }
    }

    /// Takes over such values.
    pub fn adjust(&mut self, to: &Adjustable) {
        self.times = to.times;
        self.limits.scheduler_queue_packets = to.scheduler_queue_packets;
        self.clients.rate = to.client_rate;
    }

    /// Whether a data plane with this setup becomes one with the other by taking over such values.
    pub fn can_become(&self, other: &Self) -> bool {
        let mut adjusted = self.clone();
        adjusted.adjust(&other.adjustable());
        adjusted == *other
    }
}
