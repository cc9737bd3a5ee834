//! Where every packet of a shard went, and everything else that a shard counts or tells the log.
//!
//! `received + originated = sent + delivered + dropped + held + lost_in_restart`, for all shards together at every
//! moment between two rounds. Every packet ends in exactly one of [`Account::sent`], [`Account::dropped`] and a
//! delivery; [`Shard::held`](crate::shard::Shard::held) counts the rest where they are.

use crate::link::counted;
use crate::time::Instant;
use interplane::counter::{AcceptFailure, Destination, Direction, HandshakeState, Outcome, PacketStage, PeerRefusal};
use interplane::event::{Detail, Event, Peer};
use interplane::ring::EventWriter;
use interplane::{Counter, DropReason, Histogram, ShardCounters};
use std::net::SocketAddr;
use std::time::Duration;
use wire::link::End;

/// Between two log events about single packets, which peers can cause at will.
const PACKET_EVENT_INTERVAL: Duration = Duration::from_secs(1);

/// Between two log events about connections that cannot be accepted.
const ACCEPT_EVENT_INTERVAL: Duration = Duration::from_secs(60);

/// One shard's books. Counters are plain adds into the shard's row of shared memory.
pub struct Account {
    counters: ShardCounters,
    events: EventWriter,
    packet_event_at: Instant,
    accept_event_at: Instant,
    /// Time of each stage in which no packet got through it, until one does.
    unshared: [Duration; PacketStage::ALL.len()],
}

impl Account {
    /// Books that go on where the row stands.
    pub fn new(counters: ShardCounters, events: EventWriter) -> Self {
        Self {
            counters,
            events,
            packet_event_at: Instant::default(),
            accept_event_at: Instant::default(),
            unshared: [Duration::ZERO; PacketStage::ALL.len()],
        }
    }

    /// The shard's row.
    pub fn counters(&self) -> &ShardCounters {
        &self.counters
    }

    /// A peer sent a packet.
    pub fn received(&self) {
        self.counters.increment(Counter::RECEIVED);
    }

    /// The last byte of so many packets went to the next hop.
    pub fn sent(&self, packets: u64) {
        self.counters.add(Counter::SENT, packets);
    }

    /// A packet was dropped, for one reason.
    pub fn dropped(&mut self, reason: DropReason, now: Instant) {
        self.counters.dropped(reason);
        let is_news = matches!(
            reason,
            DropReason::MixReceivedNonForward | DropReason::UnwrapPayloadUnexpected | DropReason::PoisonPacket
        );
        if is_news && now >= self.packet_event_at {
            self.packet_event_at = now + PACKET_EVENT_INTERVAL;
            self.tell(Event::PacketDropped { reason });
        }
    }

    /// There is no connection where there should be one: counted each time, told now and then.
    pub fn accept_failed(&mut self, failure: AcceptFailure, code: i32, now: Instant) {
        self.count(Counter::accept_failure(failure));
        if now >= self.accept_event_at {
            self.accept_event_at = now + ACCEPT_EVENT_INTERVAL;
            let remedy = match failure {
                AcceptFailure::ProcessDescriptors => ": raise LimitNOFILE= (ulimit -n)",
                AcceptFailure::SystemDescriptors => ": raise fs.file-max",
                AcceptFailure::Memory => ": give the node more memory",
                AcceptFailure::Other => "",
            };
            let error = std::io::Error::from_raw_os_error(code);
            self.tell(Event::AcceptFailed { detail: Detail::new(format_args!("{error}{remedy}")) });
        }
    }

    /// Counts one.
    pub fn count(&self, counter: Counter) {
        self.counters.increment(counter);
    }

    /// Counts many.
    pub fn add(&self, counter: Counter, amount: u64) {
        self.counters.add(counter, amount);
    }

    /// Reads a counter back.
    pub fn get(&self, counter: Counter) -> u64 {
        self.counters.get(counter)
    }

    /// Sets a gauge.
    pub fn set(&self, gauge: Counter, value: u64) {
        self.counters.set(gauge, value);
    }

    /// Enters a time into a histogram.
    pub fn observe_us(&self, histogram: Histogram, time: Duration) {
        self.counters.observe(histogram, u64::try_from(time.as_micros()).unwrap_or(u64::MAX));
    }

    /// A stage took so long for so many packets, perhaps for none.
    pub fn spent(&mut self, stage: PacketStage, time: Duration, packets: u64) {
        let unshared = &mut self.unshared[stage as usize];
        *unshared += time;
        if packets > 0 {
            let nanoseconds = u64::try_from(std::mem::take(unshared).as_nanos()).unwrap_or(u64::MAX);
            self.counters.observe_shares(Histogram::stage_ns(stage), nanoseconds, packets);
        }
    }

    /// The shard sleeps: time in which no packet came is nobody's.
    pub fn forget_unshared(&mut self) {
        self.unshared = Default::default();
    }

    /// Enters a number into a histogram.
    pub fn observe(&self, histogram: Histogram, value: u64) {
        self.counters.observe(histogram, value);
    }

    /// Tells the log. A full ring drops the event, which it counts itself.
    pub fn tell(&mut self, event: Event) {
        self.events.write(&event);
    }

    /// A handshake ended well. Without a peer it was a client's, of which the log is told nothing.
    pub fn link_up(&mut self, direction: Direction, peer: Option<Peer>, took: Duration) {
        self.observe_us(Histogram::handshake_us(direction, Outcome::Success), took);
        if let Some(peer) = peer {
            self.tell(Event::LinkUp { direction, peer });
        }
    }

    /// An established link ended; without a peer a client's, of which the log is told only what it did wrong, and not who
    /// it was.
    pub fn link_down(&mut self, direction: Direction, peer: Option<Peer>, end: End) {
        let counted = counted(end);
        self.count(Counter::link_ended(counted));
        let is_fault = matches!(end, End::Frame(_) | End::Command(_) | End::Unexpected(_));
        if let Some(peer) = peer.or(is_fault.then(|| self::peer(None, None))) {
            let detail = if is_fault { Detail::new(end) } else { Detail::default() };
            self.tell(Event::LinkDown { direction, peer, end: counted, detail });
        }
    }

    /// A handshake failed; without a peer that of somebody who may be a client.
    pub fn handshake_failed(
        &mut self,
        direction: Direction,
        failure: &wire::HandshakeError,
        peer: Option<Peer>,
        took: Duration,
    ) {
        let state = counted_state(failure);
        self.count(Counter::handshake_failure(direction, state));
        self.observe_us(Histogram::handshake_us(direction, Outcome::Failure), took);
        if let Some(peer) = peer {
            self.tell(Event::HandshakeFailed { direction, state, peer, detail: Detail::new(failure) });
        }
    }

    /// A peer is none that may connect.
    pub fn peer_refused(&mut self, peer: Peer) {
        let reason = PeerRefusal::UnknownMix;
        self.count(Counter::peer_validation_failure(reason));
        self.tell(Event::PeerRefused { reason, peer });
    }

    /// A client may not, or no longer, be one.
    pub fn client_refused(&self, reason: PeerRefusal) {
        self.count(Counter::peer_validation_failure(reason));
    }

    /// A packet is with the user for whom it was: in its mailbox.
    pub fn delivered_to_client(&self) {
        self.count(Counter::delivered(Destination::Client));
    }
}

/// The peer of an event.
pub fn peer(id: Option<&[u8]>, address: Option<SocketAddr>) -> Peer {
    Peer { id: id.and_then(|id| id.try_into().ok()), address }
}

/// The state under which a failure is counted: the one that has its label (server.md 10.3).
fn counted_state(failure: &wire::HandshakeError) -> HandshakeState {
    let label = failure.label();
    HandshakeState::ALL.iter().copied().find(|state| state.label() == label).unwrap_or(HandshakeState::Other)
}

#[cfg(test)]
mod tests {
    use super::*;
    use wire::{HandshakeError, HandshakeReason, HandshakeState as At, Role};

    #[test]
    fn every_failure_has_a_row_with_its_label() {
        for state in At::ALL {
            for reason in [HandshakeReason::Closed, HandshakeReason::Rejected, HandshakeReason::ClosedBeforeFirstByte] {
                let failure = HandshakeError { state, reason, role: Role::Responder };
                assert_eq!(counted_state(&failure).label(), failure.label());
            }
        }
    }
}
