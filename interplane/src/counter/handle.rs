//! Handles of cells, each made from typed labels: a cell outside a row cannot be named.

use super::label::{
    AcceptFailure, AdmissionRefusal, Destination, DialFailure, Direction, DocumentRefusal, HandshakeState, KeyEpoch,
    LaneEvent, Letter, LinkEnd, Origin, Outcome, PacketStage, PeerClass, PeerRefusal, Queue, QuicArrival, Request,
};
use super::registry::{Family, Kind};
use crate::reason::DropReason;

/// One cell of a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Counter(u16);

macro_rules! plain {
    ($( $name:ident $family:ident, )+) => {
        impl Counter {
            $( #[doc = concat!("See [`Family::", stringify!($family), "`].")]
               pub const $name: Self = Self(Family::$family.first() as u16); )+
        }
    };
}

plain! {
    RECEIVED Received,
    SENT Sent,
    HELD Held,
    LOST_IN_RESTART LostInRestart,
    UNWRAPS Unwraps,
    DELAYS_OVERRUN DelaysOverrun,
    SURPLUS_BATCHES SurplusBatches,
    PULLED_BATCHES PulledBatches,
    OPENED_FULL OpenedFull,
    POOL_FREE PoolFree,
    BYTES_RECEIVED BytesReceived,
    BYTES_SENT BytesSent,
    CONNECTIONS_ACCEPTED ConnectionsAccepted,
    CONNECTIONS_MADE ConnectionsMade,
    CONNECTIONS_CANCELLED ConnectionsCancelled,
    REFUSED_NO_PKI_DOC RefusedNoPkiDoc,
    LINKS_SLOW LinksSlow,
    QUIC_CONNECTIONS QuicConnections,
    KAETZCHEN_REQUESTS KaetzchenRequests,
    LETTERS_WAITING LettersWaiting,
    SPOOL_BYTES SpoolBytes,
    MAILBOXES Mailboxes,
    HEARTBEAT Heartbeat,
    PARKED Parked,
    WAKES Wakes,
    RESCUES Rescues,
    SNAPSHOT_SERIAL SnapshotSerial,
}

macro_rules! labelled {
    ($( $name:ident($label:ident) $family:ident, )+) => {
        impl Counter {
            $( #[doc = concat!("See [`Family::", stringify!($family), "`].")]
               #[inline]
               pub const fn $name(label: $label) -> Self {
                   const FIRST: u16 = Family::$family.first() as u16;
                   Self(FIRST + label.index() as u16)
               } )+
        }
    };
}

labelled! {
    originated(Origin) Originated,
    delivered(Destination) Delivered,
    dropped(DropReason) Dropped,
    queued(Queue) Queued,
    request(Request) Requests,
    replay_tags(KeyEpoch) ReplayTags,
    replay_slots(KeyEpoch) ReplaySlots,
    connections(PeerClass) Connections,
    link_ended(LinkEnd) LinksEnded,
    letters(Letter) Letters,
    document_refused(DocumentRefusal) DocumentsRefused,
    accept_failure(AcceptFailure) AcceptFailures,
    admission_refused(AdmissionRefusal) AdmissionRefused,
    peer_validation_failure(PeerRefusal) PeerValidationFailures,
    dial_failure(DialFailure) DialFailures,
    lane_event(LaneEvent) LaneEvents,
    quic_arrival(QuicArrival) QuicArrivals,
}

impl Counter {
    /// See [`Family::HandshakeFailures`].
    pub const fn handshake_failure(direction: Direction, state: HandshakeState) -> Self {
        const FIRST: usize = Family::HandshakeFailures.first();
        Self((FIRST + direction.index() * HandshakeState::ALL.len() + state.index()) as u16)
    }

    /// The cells of one combination of labels of a family, as readers need them: one, or a histogram's buckets and sum.
    pub fn of(family: Family, combination: usize) -> impl Iterator<Item = Self> {
        let each = family.cells_each();
        let cells = if combination < family.combinations() { each } else { 0 };
        let first = family.first() + combination.min(family.combinations()) * each;
        (first..first + cells).map(|cell| Self(cell as u16))
    }

    pub(super) const fn cell(self) -> usize {
        self.0 as usize
    }
}

/// The buckets of one combination of labels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Histogram {
    first: u16,
    bounds: &'static [u64],
}

impl Histogram {
    /// See [`Family::UnwrapBatch`].
    pub const UNWRAP_BATCH_PACKETS: Self = Self::at(Family::UnwrapBatch, 0);
    /// See [`Family::Unwrap`].
    pub const UNWRAP_US: Self = Self::at(Family::Unwrap, 0);
    /// See [`Family::Dwell`].
    pub const DWELL_US: Self = Self::at(Family::Dwell, 0);
    /// See [`Family::Lateness`].
    pub const LATENESS_US: Self = Self::at(Family::Lateness, 0);
    /// See [`Family::IngressQueue`].
    pub const INGRESS_QUEUE: Self = Self::at(Family::IngressQueue, 0);
    /// See [`Family::KaetzchenDuration`].
    pub const KAETZCHEN_US: Self = Self::at(Family::KaetzchenDuration, 0);
    /// See [`Family::MixQueue`].
    pub const MIX_QUEUE: Self = Self::at(Family::MixQueue, 0);

    /// See [`Family::HandshakeDuration`].
    pub const fn handshake_us(direction: Direction, outcome: Outcome) -> Self {
        Self::at(Family::HandshakeDuration, direction.index() * Outcome::ALL.len() + outcome.index())
    }

    /// See [`Family::Stages`].
    pub const fn stage_ns(stage: PacketStage) -> Self {
        Self::at(Family::Stages, stage.index())
    }

    const fn at(family: Family, combination: usize) -> Self {
        let bounds: &[u64] = match family.kind() {
            Kind::Histogram { bounds, .. } => bounds,
            Kind::Counter | Kind::Gauge => panic!("the family is no histogram"),
        };
        Self { first: (family.first() + combination * family.cells_each()) as u16, bounds }
    }

    /// The bucket of a value, and the sum.
    #[inline]
    pub(super) fn cells(self, value: u64) -> (Counter, Counter) {
        let bucket = self.bounds.partition_point(|bound| *bound < value) as u16;
        (Counter(self.first + bucket), Counter(self.first + self.bounds.len() as u16 + 1))
    }
}
