//! The list of drop reasons. Labels that the reference has are kept (server.md 3.10).

use super::Also;
use serde::{Deserialize, Serialize};

macro_rules! also {
    (T) => {
        Also::Packets
    };
    (O) => {
        Also::Outgoing
    };
    (I) => {
        Also::Invalid
    };
    (D) => {
        Also::DeadlineBlown
    };
    (M) => {
        Also::MixPackets
    };
    (K) => {
        Also::KaetzchenPackets
    };
    (R) => {
        Also::KaetzchenRequests
    };
    (F) => {
        Also::KaetzchenFailed
    };
    (L) => {
        Also::RateLimit
    };
    (P) => {
        Also::Replayed
    };
}

macro_rules! drop_reasons {
    ($( $variant:ident, $label:literal, [$($also:ident)+], $meaning:literal, $remedy:literal; )+) => {
        /// Why a packet was dropped.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[repr(u8)]
        pub enum DropReason {
            $( #[doc = $meaning] $variant, )+
        }

        impl DropReason {
            /// Every reason, in the order of the declaration.
            pub const ALL: &'static [Self] = &[ $( Self::$variant, )+ ];

            /// The labels, in the same order.
            pub const LABELS: &'static [&'static str] = &[ $( $label, )+ ];

            /// The stable name: metric label, log field and heading in the documentation.
            pub const fn label(self) -> &'static str {
                match self { $( Self::$variant => $label, )+ }
            }

            /// What happened.
            pub const fn meaning(self) -> &'static str {
                match self { $( Self::$variant => $meaning, )+ }
            }

            /// What an operator can do about it.
            pub const fn remedy(self) -> &'static str {
                match self { $( Self::$variant => $remedy, )+ }
            }

            /// The reference counters that are incremented besides.
            pub const fn also(self) -> &'static [Also] {
                match self { $( Self::$variant => &[ $( also!($also), )+ ], )+ }
            }
        }
    };
}

drop_reasons! {
    // On the way in.
    IncomingOutOfEpoch, "incoming_out_of_epoch", [T],
        "The peer is listed for the next epoch only and sent a packet before it may.",
        "Compare this host's clock with the peer's; a few around an epoch's end are harmless.";
    GatewayRateLimited, "gateway_rate_limited", [T L],
        "A client sent more packets than the network's rate allows.",
        "Nothing: the client is at fault. Many of them at once point to a flood. A mix that no document of this node lists now counts as a client: if client_to_local_user grows too, compare clocks and documents.";
    PoolExhausted, "pool_exhausted", [T],
        "No free packet slot was left when a packet had to be made.",
        "Give the node more slots per shard, or find the peer that does not take its packets.";
    PoisonPacket, "poison_packet", [T],
        "The packet was in flight at two crashes of the data plane, and is refused since.",
        "Report the crash; the log holds the back trace. The node protects itself.";

    // Unwrapping.
    UnwrapDwellExceeded, "unwrap_dwell_exceeded", [T],
        "The packet waited longer than UnwrapDelay before it was unwrapped.",
        "The node is overloaded: give it more cores, or raise Debug.UnwrapDelay.";
    UnwrapFailed, "unwrap_failed", [T],
        "No mix key of this node opens the packet, or its content is malformed.",
        "Some are normal around an epoch's end; many mean that a peer has an old document or sends garbage.";
    LowOrderPoint, "low_order_point", [T],
        "The group element in the packet gives an all-zero shared secret.",
        "Nothing: only a broken or hostile sender makes such packets.";
    Replay, "replay", [T P],
        "The packet was seen before.",
        "Nothing: replays are refused. A steady stream of them is an attack worth reporting.";
    ReplaySetFull, "replay_set_full", [T],
        "The replay set of the packet's key has no room, so whether the packet is new cannot be known.",
        "Raise the configured line rate, from which replay sets are sized.";
    ReplayEarlyQuota, "replay_early_quota", [T],
        "The packet came before the epoch of its key, and such packets have used up their part of the key's replay set.",
        "Some clock is wrong, or somebody floods the node ahead of the epoch: compare this host's clock with its peers'.";
    UnwrapPayloadUnexpected, "unwrap_payload_unexpected", [T],
        "A packet that is to be forwarded came with a payload.",
        "Report it: this cannot happen.";

    // Routing.
    ProviderForwardFromMix, "provider_forward_from_mix", [T],
        "A mix sent this service node a packet that is to be forwarded.",
        "Nothing: paths end at service nodes, so the sender is at fault.";
    DelayImpossible, "delay_impossible", [T],
        "The requested delay is longer than three epochs.",
        "Nothing: the sender is at fault.";
    ZeroDelayExcessiveDwell, "zero_delay_excessive_dwell", [T],
        "The packet asked for no delay and had already waited a millisecond.",
        "The node is busy; more cores help.";
    MixReceivedNonForward, "mix_received_non_forward", [T],
        "A packet ends at this mix, which delivers nothing.",
        "Nothing: the sender is at fault, or uses an old document in which this node had another role.";
    ClientToLocalUser, "client_to_local_user", [T],
        "A client sent a packet that ends at its own gateway, or a mix that no document of this node lists now, and so counts as a client, sent a reply.",
        "Compare this host's clock with the mixes', and see whether it has the current document; else the client is at fault.";
    InvalidPacket, "invalid_packet", [T],
        "The packet's routing commands are none of the four allowed sets.",
        "Nothing: the sender is at fault.";

    // Delaying.
    SchedulerDelayExceedsMax, "scheduler_delay_exceeds_max", [T M],
        "The requested delay is longer than the document's parameters allow.",
        "Nothing: the sender is at fault, or uses an old document.";
    SchedulerNextHopInvalid, "scheduler_next_hop_invalid", [T M],
        "The next hop is no destination of this node.",
        "Check that this node holds the current document; else the sender is at fault.";
    SchedulerDeadlineBlown, "scheduler_deadline_blown", [T M],
        "The packet became due more than SchedulerSlack ago.",
        "The node is overloaded or was suspended: give it more cores.";
    SchedulerQueueOverflow, "scheduler_queue_overflow", [T M],
        "The delay queue is at SchedulerQueueSize, or nearly all packet slots are in use, and this packet was chosen at random.",
        "Raise Debug.SchedulerQueueSize if it is set, else dataplane.line_rate_packets_per_second or dataplane.slots.";
    BoltPopDeadlineBlown, "bolt_pop_deadline_blown", [T O D],
        "A packet from the delay queue on disk became due more than SchedulerSlack ago.",
        "The disk or the node is too slow; turn Debug.SchedulerExternalMemoryQueue off.";
    BoltPopS11nFailure, "bolt_pop_s11n_failure", [T O I],
        "A packet in the delay queue on disk could not be read back.",
        "Check the disk.";
    BoltEnqueueFailed, "bolt_enqueue_failed", [T O],
        "A packet could not be put into the delay queue on disk.",
        "Check that DataDir is writable and has room.";

    // On the way out.
    DispatchNilPacket, "dispatch_nil_packet", [T I],
        "There was no packet to send.",
        "Report it: this cannot happen.";
    DispatchNilNextHop, "dispatch_nil_next_hop", [T I],
        "The packet has no next hop.",
        "Report it: this cannot happen.";
    DispatchNoConnection, "dispatch_no_connection", [T O],
        "The next hop left the table of destinations while the packet was delayed.",
        "Some are normal at a change of documents.";
    OutgoingQueueFull, "outgoing_queue_full", [T O],
        "The queue of the link to the next hop is full.",
        "The peer or the way to it is slow or down; look at the link's state.";
    OutgoingSendDeadlineBlown, "outgoing_send_deadline_blown", [T O D],
        "The packet waited longer than SendSlack for its link.",
        "The peer or the way to it is slow or was down; look at the link's state.";
    OutgoingPeerNotConnected, "outgoing_peer_not_connected", [T O],
        "The link is up for the next epoch only and may not carry packets yet.",
        "Compare this host's clock with the peer's; a few around an epoch's end are harmless.";
    OutgoingSendCommandFailed, "outgoing_send_command_failed", [T O],
        "The link failed while the packet was being sent.",
        "Look at the link's state and at the network.";
    OutgoingLinkClosed, "outgoing_link_closed", [T O],
        "The link was removed while the packet waited in its queue.",
        "Some are normal when a peer leaves the network.";
    Shutdown, "shutdown", [T O],
        "The node stopped while it held the packet.",
        "Nothing: withdraw the node from the directory before stopping it to lose fewer.";

    // Ending at a gateway.
    GatewayDwellExceeded, "gateway_dwell_exceeded", [T],
        "The packet waited longer than GatewayDelay before it was delivered.",
        "The node is overloaded: give it more cores.";
    GatewayParseForwardFailed, "gateway_parse_forward_failed", [T],
        "The payload for a user is malformed.",
        "Nothing: the sender is at fault.";
    GatewayNotAReply, "gateway_not_a_reply", [T],
        "A packet for a user answers no reply block; clients have no other way to be reached.",
        "Nothing: the sender is at fault.";
    GatewayInvalidRecipient, "gateway_invalid_recipient", [T],
        "The recipient is no client of this gateway, or has been gone for longer than an epoch.",
        "Nothing: clients take a new name with each connection, so replies on their way at its end come too late.";
    GatewayMailboxFull, "gateway_mailbox_full", [T],
        "The client has as many messages waiting as it may have.",
        "Nothing: the client does not take its mail, or asks for more than it takes. See dataplane.mailbox_messages.";
    GatewaySpoolFull, "gateway_spool_full", [T],
        "The messages of all clients take as much memory as they may.",
        "Raise dataplane.spool_mib if there are many honest clients; else some ask for replies that they do not take.";
    GatewaySpoolFailed, "gateway_spool_failed", [T],
        "The spool did not take the message.",
        "Look at the spool's disk or server.";
    GatewaySurbReplySize, "gateway_surb_reply_size", [T],
        "A reply for a user has the wrong size.",
        "Nothing: the sender is at fault.";

    // Ending at a service node.
    ServiceDwellExceeded, "service_dwell_exceeded", [T],
        "The packet waited longer than ServiceDelay before it reached its service.",
        "The node is overloaded: give it more cores.";
    ServiceKaetzchenSurbReply, "service_kaetzchen_surb_reply", [T],
        "A reply was addressed to a built-in service.",
        "Nothing: the sender is at fault.";
    ServiceCborKaetzchenSurbReply, "service_cbor_kaetzchen_surb_reply", [T],
        "A reply was addressed to a plugin.",
        "Nothing: the sender is at fault.";
    ServiceUnknownRecipient, "service_unknown_recipient", [T],
        "No service of this node has the recipient's name.",
        "Check that every advertised service is configured.";
    ServiceRingFull, "service_ring_full", [T],
        "The ring that carries requests to the plugins was full.",
        "A plugin is too slow: give it more processes.";
    ServiceAnswerTooLate, "service_answer_too_late", [T],
        "A plugin answered a request for which this node does not wait any more, or a second time.",
        "The plugin is slower than its requests come, or answers twice: report it to its author.";
    ServiceSurbFailed, "service_surb_failed", [T],
        "The reply could not be built from the reply block of the request.",
        "Nothing: the sender is at fault.";
    KaetzchenDwellExceeded, "kaetzchen_dwell_exceeded", [T K],
        "The request waited longer than KaetzchenDelay for a built-in service.",
        "The node is overloaded: give it more cores.";
    KaetzchenParseForwardFailed, "kaetzchen_parse_forward_failed", [R],
        "The payload for a built-in service is malformed.",
        "Nothing: the sender is at fault.";
    KaetzchenUnknownRecipient, "kaetzchen_unknown_recipient", [R],
        "No built-in service has the recipient's name.",
        "Nothing: the sender is at fault.";
    KaetzchenHandlerFailed, "kaetzchen_handler_failed", [F],
        "A built-in service refused the request.",
        "Nothing: the sender is at fault.";
    CborKaetzchenNoHandler, "cbor_kaetzchen_no_handler", [R],
        "No plugin has the recipient's name.",
        "Check that every advertised plugin is configured and runs.";
    CborKaetzchenDwellExceeded, "cbor_kaetzchen_dwell_exceeded", [T],
        "The request waited longer than KaetzchenDelay for a plugin.",
        "The plugin is too slow: give it more processes.";
    CborKaetzchenParseForwardFailed, "cbor_kaetzchen_parse_forward_failed", [R],
        "The payload for a plugin is malformed.",
        "Nothing: the sender is at fault.";
    CborKaetzchenResponseTooLong, "cbor_kaetzchen_response_too_long", [R],
        "A plugin's answer does not fit a packet.",
        "Report it to the plugin's author.";
    CborKaetzchenUnknownResponseType, "cbor_kaetzchen_unknown_response_type", [R],
        "A plugin's answer is malformed.",
        "Report it to the plugin's author.";

    // Ending as decoys of this node.
    DecoyInvalidRecipient, "decoy_invalid_recipient", [T],
        "A reply for this node's decoys has another recipient.",
        "Nothing: the sender is at fault.";
    DecoyInvalidSurbIdBase, "decoy_invalid_surb_id_base", [T],
        "A reply for this node's decoys has an id that this node does not make.",
        "Nothing: the sender is at fault, or the reply is older than the node's last restart.";
    DecoyUnknownSurbId, "decoy_unknown_surb_id", [T],
        "A reply for this node's decoys came twice or too late.",
        "Nothing: some are normal in a slow network.";
    DecoySurbDecryptFailed, "decoy_surb_decrypt_failed", [T],
        "A reply for this node's decoys was damaged on its way.",
        "Nothing here: some node on the path is broken or hostile.";
}
