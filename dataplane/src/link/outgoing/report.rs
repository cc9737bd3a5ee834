//! What is said of a link when people ask.

use super::{Peer, Stage};
use crate::io::{ConnId, Io, Transport};
use crate::time::Instant;
use interplane::counter::Direction;
use interplane::roll::{LinkReport, LinkState, is_slow};
use std::time::Duration;

impl Peer {
    /// How it fares.
    pub fn report(&self, shard: usize, io: &impl Io, now: Instant) -> LinkReport {
        let state = match &self.stage {
            Stage::Waiting { .. } => LinkState::Waiting,
            Stage::Connecting { .. } => LinkState::Dialling,
            Stage::Linked { link, .. } if link.is_up() => LinkState::Up,
            Stage::Connected { .. } | Stage::Linked { .. } => LinkState::Handshaking,
        };
        LinkReport {
            node: self.node,
            direction: Direction::Outgoing,
            shard: u16::try_from(shard).unwrap_or(u16::MAX),
            transport: self.conn().map(|conn| carrier(io, conn)),
            state,
            may_send: self.may_send,
            state_ms: ms(now.since(self.since)),
            last_packet_ms: self.tally.last_packet(now).map(ms),
            queued: self.queued() as u64,
            sealed: self.sealed(),
            stalled_ms: self.stalled(io, now).map(ms),
            failures: self.failures,
            all: self.tally.all(),
            lately: self.tally.lately(now),
        }
    }

    /// Whether it takes packets more slowly than they come.
    pub fn is_slow(&self, io: &impl Io, now: Instant) -> bool {
        self.is_up() && is_slow(self.tally.lately(now), self.stalled(io, now).map(ms))
    }

    /// How long the connection has taken nothing of what is under way.
    fn stalled(&self, io: &impl Io, now: Instant) -> Option<Duration> {
        io.sending(self.conn()?).map(|sending| now.since(sending.progress_at))
    }
}

/// What carries a connection, as reports have it.
pub(in crate::link) fn carrier(io: &impl Io, conn: ConnId) -> interplane::message::Transport {
    match io.transport(conn) {
        Transport::Tcp => interplane::message::Transport::Tcp,
        Transport::Quic => interplane::message::Transport::Quic,
    }
}

/// As reports have times.
pub(in crate::link) fn ms(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
