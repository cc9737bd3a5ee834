//! The list of counters: each family has a name, a kind, a meaning and labels, and stands for one or more cells.

use super::label::{
    AcceptFailure, AdmissionRefusal, Destination, DialFailure, Dimension, Direction, DocumentRefusal, HandshakeState,
    KeyEpoch, LaneEvent, Letter, LinkEnd, Origin, Outcome, PacketStage, PeerClass, PeerRefusal, Queue, QuicArrival,
    Request,
};
use crate::reason::DropReason;

/// How a family's cells behave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Only grows.
    Counter,
    /// Goes up and down; set to zero when a data plane starts.
    Gauge,
    /// Per combination of labels: one cell per bucket (not cumulative), one above the last bound, and the sum. Without
    /// bounds it is a summary: count and sum.
    Histogram {
        /// The buckets' upper bounds, inclusive, in the unit in which values are observed.
        bounds: &'static [u64],
        /// How many of these units make one of the exported unit.
        per_unit: u64,
    },
}

/// 16 us to 8.4 s in powers of two.
#[rustfmt::skip]
const MICROSECOND_BOUNDS: &[u64] = &[
    16, 32, 64, 128, 256, 512, 1 << 10, 1 << 11, 1 << 12, 1 << 13, 1 << 14, 1 << 15, 1 << 16, 1 << 17, 1 << 18,
    1 << 19, 1 << 20, 1 << 21, 1 << 22, 1 << 23,
];
/// 0.05 s to 102.4 s in powers of two, in microseconds (server.md 10.3).
#[rustfmt::skip]
const HANDSHAKE_BOUNDS: &[u64] = &[
    50_000, 100_000, 200_000, 400_000, 800_000, 1_600_000, 3_200_000, 6_400_000, 12_800_000, 25_600_000, 51_200_000,
    102_400_000,
];
/// 64 ns to 1 ms in powers of two.
#[rustfmt::skip]
const NANOSECOND_BOUNDS: &[u64] = &[
    1 << 6, 1 << 7, 1 << 8, 1 << 9, 1 << 10, 1 << 11, 1 << 12, 1 << 13, 1 << 14, 1 << 15, 1 << 16, 1 << 17, 1 << 18,
    1 << 19, 1 << 20,
];
const NANOSECONDS: Kind = Kind::Histogram { bounds: NANOSECOND_BOUNDS, per_unit: 1_000_000_000 };
const MICROSECONDS: Kind = Kind::Histogram { bounds: MICROSECOND_BOUNDS, per_unit: 1_000_000 };
const HANDSHAKE: Kind = Kind::Histogram { bounds: HANDSHAKE_BOUNDS, per_unit: 1_000_000 };
const BATCH: Kind = Kind::Histogram { bounds: &[1, 2, 4, 8, 12, 16, 20, 24, 28, 31, 32], per_unit: 1 };
const SUMMARY: Kind = Kind::Histogram { bounds: &[], per_unit: 1 };
const REASON: Dimension = Dimension { name: "reason", values: DropReason::LABELS };

macro_rules! families {
    ($( $variant:ident, $name:literal, $kind:expr, [$($dimension:expr),*], $help:literal; )+) => {
        /// Counters that belong together: one name, and a cell for each combination of labels.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr(u8)]
        pub enum Family {
            $( #[doc = $help] $variant, )+
        }

        impl Family {
            /// Every family, in the order of the cells.
            pub const ALL: &'static [Self] = &[ $( Self::$variant, )+ ];

            /// The name under which Prometheus sees it.
            pub const fn name(self) -> &'static str {
                match self { $( Self::$variant => $name, )+ }
            }

            /// How its cells behave.
            pub const fn kind(self) -> Kind {
                match self { $( Self::$variant => $kind, )+ }
            }

            /// Its labels; the last one varies fastest.
            pub const fn dimensions(self) -> &'static [Dimension] {
                match self { $( Self::$variant => &[ $( $dimension, )* ], )+ }
            }

            /// What it counts.
            pub const fn help(self) -> &'static str {
                match self { $( Self::$variant => $help, )+ }
            }
        }
    };
}

families! {
    // The account: received + originated = sent + delivered + dropped + held + lost_in_restart.
    Received, "katzensprung_packets_received_total", Kind::Counter, [],
        "Packets that peers sent.";
    Originated, "katzensprung_packets_originated_total", Kind::Counter, [Origin::DIMENSION],
        "Packets that this node made.";
    Sent, "katzensprung_packets_sent_total", Kind::Counter, [],
        "Packets sent to their next hop.";
    Delivered, "katzensprung_packets_delivered_total", Kind::Counter, [Destination::DIMENSION],
        "Packets that ended here as they should.";
    Dropped, "katzenpost_dropped_reason_total", Kind::Counter, [REASON],
        "Packets dropped, by reason.";
    Held, "katzensprung_packets_held", Kind::Gauge, [],
        "Packets that this node holds now.";
    LostInRestart, "katzensprung_packets_lost_in_restart_total", Kind::Counter, [],
        "Packets that a data plane held when it ended unexpectedly.";

    // Work.
    Unwraps, "katzenpost_sphinx_unwraps_total", Kind::Counter, [],
        "Packets unwrapped and found new.";
    UnwrapBatch, "katzensprung_unwrap_batch_packets", BATCH, [],
        "Packets per unwrapped batch.";
    Unwrap, "katzensprung_unwrap_seconds", MICROSECONDS, [],
        "Time that a batch takes to unwrap.";
    Dwell, "katzensprung_dwell_seconds", MICROSECONDS, [],
        "Time between a packet's arrival and its unwrap.";
    DelaysOverrun, "katzensprung_delays_overrun_total", Kind::Counter, [],
        "Packets whose delay was over before they were unwrapped: they leave soon after it, at a moment that can be seen.";
    Lateness, "katzensprung_lateness_seconds", MICROSECONDS, [],
        "Time between the moment at which a packet was due and its dispatch.";
    Stages, "katzensprung_stage_seconds", NANOSECONDS, [PacketStage::DIMENSION],
        "Time of a shard per packet, by stage of its way; each packet of a batch counts with its share.";
    SurplusBatches, "katzensprung_surplus_batches_total", Kind::Counter, [],
        "Batches offered to other shards.";
    PulledBatches, "katzensprung_pulled_batches_total", Kind::Counter, [],
        "Batches taken from other shards.";
    OpenedFull, "katzensprung_opened_full_total", Kind::Counter, [],
        "Times that reading stopped because too many opened packets waited.";
    Queued, "katzensprung_queue_packets", Kind::Gauge, [Queue::DIMENSION],
        "Packets that wait, by place.";
    PoolFree, "katzensprung_pool_free_slots", Kind::Gauge, [],
        "Packet slots that are free.";
    ReplayTags, "katzensprung_replay_set_tags", Kind::Gauge, [KeyEpoch::DIMENSION],
        "Packets that the replay set of a mix key holds.";
    ReplaySlots, "katzensprung_replay_set_slots", Kind::Gauge, [KeyEpoch::DIMENSION],
        "Packets that there are slots for in the replay set of a mix key; the first are refused at 84 % of it.";
    BytesReceived, "katzensprung_bytes_received_total", Kind::Counter, [],
        "Bytes received over links.";
    BytesSent, "katzensprung_bytes_sent_total", Kind::Counter, [],
        "Bytes sent over links.";

    // Connections.
    Requests, "katzenpost_incoming_requests_total", Kind::Counter, [Request::DIMENSION],
        "Commands of incoming peers.";
    ConnectionsAccepted, "katzensprung_connections_accepted_total", Kind::Counter, [],
        "Connections accepted.";
    AcceptFailures, "katzensprung_accept_errors_total", Kind::Counter, [AcceptFailure::DIMENSION],
        "Connections that the operating system did not give.";
    ConnectionsMade, "katzenpost_outgoing_connections_total", Kind::Counter, [],
        "Outgoing connections made.";
    ConnectionsCancelled, "katzenpost_cancelled_outgoing_connections_total", Kind::Counter, [],
        "Live outgoing connections ended by a shutdown.";
    Connections, "katzensprung_connections", Kind::Gauge, [PeerClass::DIMENSION],
        "Open connections.";
    LinksSlow, "katzensprung_links_slow", Kind::Gauge, [],
        "Links to nodes that take packets more slowly than they come: 1 % and more of the last minute's were too late, or nothing was taken for a second.";
    LinksEnded, "katzensprung_links_ended_total", Kind::Counter, [LinkEnd::DIMENSION],
        "Established links that ended.";
    RefusedNoPkiDoc, "katzenpost_incoming_refused_no_pki_doc_total", Kind::Counter, [],
        "Connections closed because this node has no usable document.";
    AdmissionRefused, "katzensprung_incoming_refused_total", Kind::Counter, [AdmissionRefusal::DIMENSION],
        "Connections closed before their handshake.";
    HandshakeFailures, "katzenpost_handshake_failures_total", Kind::Counter,
        [Direction::DIMENSION, HandshakeState::DIMENSION],
        "Link handshakes that failed.";
    HandshakeDuration, "katzenpost_handshake_duration_seconds", HANDSHAKE, [Direction::DIMENSION, Outcome::DIMENSION],
        "Time that link handshakes take.";
    PeerValidationFailures, "katzenpost_incoming_peer_validation_failures_total", Kind::Counter,
        [PeerRefusal::DIMENSION],
        "Peers refused by their identity, at the handshake or later.";
    LaneEvents, "katzensprung_xdp_datagrams_total", Kind::Counter, [LaneEvent::DIMENSION],
        "Datagrams past the kernel (AF_XDP), and trains of them that went through it all the same.";
    QuicArrivals, "katzensprung_quic_arrivals_total", Kind::Counter, [QuicArrival::DIMENSION],
        "What became of those who came over QUIC, and of datagrams of strangers.";
    QuicConnections, "katzensprung_quic_connections", Kind::Gauge, [],
        "Connections over QUIC in both directions, those that are being made or closed included.";
    DialFailures, "katzenpost_outgoing_dial_failures_total", Kind::Counter, [DialFailure::DIMENSION],
        "Dials that failed.";

    // Names that dashboards of the reference know.
    KaetzchenRequests, "katzenpost_kaetzchen_requests_total", Kind::Counter, [],
        "Requests to services.";
    KaetzchenDuration, "katzenpost_kaetzchen_requests_duration_seconds", MICROSECONDS, [],
        "Time from a request's arrival until its service has answered.";
    IngressQueue, "katzenpost_ingress_queue_size", SUMMARY, [],
        "Whether a message waited when one was pushed to a client.";
    MixQueue, "katzenpost_mix_queue_size", SUMMARY, [],
        "Position of each packet within the batch that entered the delay queue.";

    // A gateway's clients.
    Letters, "katzensprung_spool_messages_total", Kind::Counter, [Letter::DIMENSION],
        "Messages for clients, by what became of them.";
    LettersWaiting, "katzensprung_spool_messages", Kind::Gauge, [],
        "Messages that wait for clients or for their acknowledgement.";
    SpoolBytes, "katzensprung_spool_bytes", Kind::Gauge, [],
        "Memory that they take.";
    Mailboxes, "katzensprung_spool_mailboxes", Kind::Gauge, [],
        "Mailboxes, those of clients that are gone included.";

    DocumentsRefused, "katzensprung_documents_refused_total", Kind::Counter, [DocumentRefusal::DIMENSION],
        "Requests of clients for a document that is held, but was not sent.";

    // The shard itself.
    Heartbeat, "katzensprung_shard_heartbeat", Kind::Gauge, [],
        "Changes with every round of the shard's loop.";
    Parked, "katzensprung_shard_parked", Kind::Gauge, [],
        "1 while the shard sleeps.";
    Wakes, "katzensprung_shard_wakes_total", Kind::Counter, [],
        "Times that another thread woke the shard.";
    Rescues, "katzensprung_shard_rescues_total", Kind::Counter, [],
        "Times that the guard woke a shard that stood still.";
    SnapshotSerial, "katzensprung_snapshot_serial", Kind::Gauge, [],
        "The snapshot that the shard goes by.";
}

impl Family {
    /// Combinations of labels.
    pub const fn combinations(self) -> usize {
        let dimensions = self.dimensions();
        let mut product = 1;
        let mut at = 0;
        while at < dimensions.len() {
            product *= dimensions[at].values.len();
            at += 1;
        }
        product
    }

    /// Cells of one combination of labels.
    pub const fn cells_each(self) -> usize {
        match self.kind() {
            Kind::Counter | Kind::Gauge => 1,
            Kind::Histogram { bounds, .. } => bounds.len() + 2,
        }
    }

    /// The first cell of the family in a row.
    pub const fn first(self) -> usize {
        cells_before(self as usize)
    }

    /// The values of the labels of one combination, in the order of [`Family::dimensions`].
    pub fn label_values(self, combination: usize) -> Vec<&'static str> {
        let mut rest = combination;
        let mut values = Vec::with_capacity(2);
        for dimension in self.dimensions().iter().rev() {
            values.push(dimension.values[rest % dimension.values.len()]);
            rest /= dimension.values.len();
        }
        values.reverse();
        values
    }
}

/// Cells of a row.
pub const CELLS: usize = cells_before(Family::ALL.len());

const fn cells_before(families: usize) -> usize {
    let mut sum = 0;
    let mut at = 0;
    while at < families {
        sum += Family::ALL[at].combinations() * Family::ALL[at].cells_each();
        at += 1;
    }
    sum
}
