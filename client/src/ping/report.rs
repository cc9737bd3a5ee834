//! What came of a run of pings.

use pki::Epoch;
use std::time::Duration;

/// One node on a ping's way, and how long the packet was told to wait there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stop {
    /// The node's name.
    pub node: String,
    /// The delay that was chosen for it; none at the gateway at the end.
    pub delay: Option<Duration>,
}

/// One ping.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ping {
    /// Its number in the run, from 0.
    pub number: u64,
    /// The epoch of the document that its ways were chosen from; none if it was never sent.
    pub epoch: Option<Epoch>,
    /// When it was sent, since the Unix epoch; none if it never was.
    pub sent_unix: Option<Duration>,
    /// The way there: gateway, one mix of each layer, service node. Empty if it was never sent.
    pub forward: Vec<Stop>,
    /// The way back: one mix of each layer, gateway. Empty if it was never sent.
    pub reply: Vec<Stop>,
    /// What came of it.
    pub outcome: Outcome,
}

/// What came of a ping.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The answer came and was what had been sent.
    Answered {
        /// From when the packet was handed to the link until the answer was there.
        rtt: Duration,
    },
    /// An answer came that was something else.
    WrongAnswer {
        /// As above.
        rtt: Duration,
        /// What had been sent.
        sent: Vec<u8>,
        /// As many bytes of the answer.
        got: Vec<u8>,
    },
    /// An answer came that the keys of its reply block do not open.
    Unopened {
        /// From when the packet was handed to the link until it came.
        after: Duration,
    },
    /// No answer within the time that all delays at their longest would take.
    TimedOut {
        /// How long it was waited for.
        after: Duration,
    },
    /// The link was lost while the answer was under way: it cannot come over another one (client.md 11.3).
    LinkLost {
        /// How long the ping had been under way.
        after: Duration,
        /// Why the link ended.
        reason: String,
    },
    /// It was never sent.
    NotSent {
        /// Why.
        reason: String,
    },
}

impl Ping {
    /// The time from sending to the answer, if the right one came.
    pub fn rtt(&self) -> Option<Duration> {
        match self.outcome {
            Outcome::Answered { rtt } => Some(rtt),
            _ => None,
        }
    }

    /// The sum of all delays that nodes wait for on the way there and back: no round trip takes less. What the service
    /// node is told is not in it, because not every service node waits (server.md 6.2).
    pub fn delay(&self) -> Duration {
        let way_there = self.forward.split_last().map(|(_, before)| before).unwrap_or_default();
        way_there.iter().chain(&self.reply).filter_map(|stop| stop.delay).sum()
    }

    /// What the service node is told to wait before it answers.
    pub fn service_delay(&self) -> Duration {
        self.forward.last().and_then(|stop| stop.delay).unwrap_or_default()
    }
}

/// All pings of a run, in the order of their numbers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// The pings.
    pub pings: Vec<Ping>,
}

impl Report {
    /// How many were sent.
    pub fn sent(&self) -> usize {
        self.pings.iter().filter(|ping| ping.sent_unix.is_some()).count()
    }

    /// How many were answered.
    pub fn received(&self) -> usize {
        self.pings.iter().filter_map(Ping::rtt).count()
    }

    /// Those without an answer, with what is known about each.
    pub fn lost(&self) -> impl Iterator<Item = &Ping> {
        self.pings.iter().filter(|ping| ping.rtt().is_none())
    }

    /// The round trip that this part of the answered pings did not exceed: 0.5 is the median, 0 the shortest, 1 the
    /// longest (nearest rank). None without an answer.
    pub fn rtt(&self, part: f64) -> Option<Duration> {
        quantile(self.pings.iter().filter_map(Ping::rtt).collect(), part)
    }

    /// The same of [`Ping::delay`], of answered pings.
    pub fn delay(&self, part: f64) -> Option<Duration> {
        quantile(self.pings.iter().filter(|ping| ping.rtt().is_some()).map(Ping::delay).collect(), part)
    }
}

fn quantile(mut times: Vec<Duration>, part: f64) -> Option<Duration> {
    times.sort_unstable();
    let rank = (part.clamp(0.0, 1.0) * times.len() as f64).ceil() as usize;
    times.get(rank.saturating_sub(1)).copied()
}
