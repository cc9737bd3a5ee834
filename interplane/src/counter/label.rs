//! The values of the counters' labels, declared once: each is an enum, and its names are what Prometheus sees.

use serde::{Deserialize, Serialize};

/// A label and all its values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Dimension {
    /// The label.
    pub name: &'static str,
    /// Its values, in the order of the cells.
    pub values: &'static [&'static str],
}

macro_rules! labels {
    ($( $(#[$doc:meta])* $name:ident $dimension:literal { $( $variant:ident $label:literal $meaning:literal, )+ } )+) => { $(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub enum $name {
            $( #[doc = $meaning] $variant, )+
        }

        impl $name {
            /// Every value.
            pub const ALL: &'static [Self] = &[ $( Self::$variant, )+ ];
            /// The label and its values.
            pub const DIMENSION: Dimension = Dimension { name: $dimension, values: &[ $( $label, )+ ] };

            /// The stable name.
            pub const fn label(self) -> &'static str {
                match self { $( Self::$variant => $label, )+ }
            }

            pub(super) const fn index(self) -> usize {
                self as usize
            }
        }
    )+ };
}

labels! {
    /// What kind of packet this node made itself.
    Origin "kind" {
        Decoy "decoy" "A loop of this node's own.",
        SurbReply "surb_reply" "A service's reply.",
        Ack "ack" "A gateway's acknowledgement.",
    }

    /// Who took a packet that ended here.
    Destination "to" {
        Client "client" "A user: pushed or spooled.",
        Service "service" "A built-in service or plugin.",
        Decoy "decoy" "This node's own loop, back home.",
    }

    /// A command of an incoming peer, under the reference's names (server.md 10.2).
    Request "command" {
        NoOp "*commands.NoOp" "Keeps the link alive.",
        Disconnect "*commands.Disconnect" "Ends the link.",
        SendPacket "*commands.SendPacket" "Brings a packet.",
        SendRetrievePacket "*commands.SendRetrievePacket" "An old way to ask for a message.",
        RetrieveMessage "*commands.RetrieveMessage" "The oldest way to ask for a message.",
        MessageDelivered "*commands.MessageDelivered" "Acknowledges a pushed message.",
        GetConsensus "*commands.GetConsensus" "Asks for a document.",
        GetConsensus2 "*commands.GetConsensus2" "Asks for a document in chunks.",
        Other "other" "Anything else.",
    }

    /// Which side began a connection.
    Direction "direction" {
        Incoming "incoming" "The peer.",
        Outgoing "outgoing" "This node.",
    }

    /// Where a link handshake failed (server.md 10.3).
    HandshakeState "state" {
        Initialization "initialization" "Before the first message.",
        Message1Send "message_1_send" "Sending message 1.",
        Message1Receive "message_1_receive" "Waiting for message 1.",
        Message2Send "message_2_send" "Sending message 2.",
        Message2Receive "message_2_receive" "Waiting for message 2.",
        Message3Send "message_3_send" "Sending message 3.",
        Message3Receive "message_3_receive" "Waiting for message 3.",
        Message4Send "message_4_send" "Sending message 4.",
        Message4Receive "message_4_receive" "Waiting for message 4.",
        PeerAuthentication "peer_authentication" "The peer is not who it must be.",
        Finalization "finalization" "The first command after the handshake.",
        Other "other" "Anything else, such as another protocol version.",
    }

    /// How a handshake ended.
    Outcome "result" {
        Success "success" "The link is up.",
        Failure "failure" "It is not.",
    }

    /// A mix key under which packets are accepted, by its epoch.
    KeyEpoch "epoch" {
        Previous "previous" "The last epoch's.",
        Current "current" "This epoch's.",
        Next "next" "The next epoch's.",
    }

    /// Why a peer was refused by its identity.
    PeerRefusal "reason" {
        UnknownMix "unknown_mix" "No document lists it as a peer of this node.",
        ClientDroppedFromUserdb "client_dropped_from_userdb" "The user database does not have it, or no longer.",
        UserdbAway "userdb_away" "The user database does not answer, and nobody remembers the client.",
        NameTaken "name_taken" "A client with another link key has its name.",
    }

    /// Why a connection was closed before its handshake.
    AdmissionRefusal "reason" {
        ConnectionLimit "connection_limit" "The node has as many connections as it may have.",
        HandshakeLimit "handshake_limit" "There are as many unfinished handshakes of neighbours, or of strangers, as there may be; also of a silent one that made room for a newer one.",
        AddressConnections "address_connections" "The source address has as many connections as it may have.",
        AddressLimit "address_limit" "The source address has as many unfinished handshakes as it may have; also of a silent one that made room for a newer one.",
        ShuttingDown "shutting_down" "The node is stopping.",
    }

    /// Why a client that asked for a document that is held was told that it is not there yet.
    DocumentRefusal "reason" {
        RateLimited "rate_limited" "The client has taken as many documents as it may take in that time.",
        WholeLimit "whole_limit" "As many documents in one piece are on their way as there may be.",
    }

    /// Why the operating system gave no connection although somebody may have connected.
    AcceptFailure "reason" {
        ProcessDescriptors "process_descriptors" "The process has as many open descriptors as it may have.",
        SystemDescriptors "system_descriptors" "The whole system has.",
        Memory "memory" "There is no memory for another connection.",
        Other "other" "Anything else.",
    }

    /// Why a dial failed.
    DialFailure "reason" {
        Refused "refused" "Nobody listens there.",
        Timeout "timeout" "No answer.",
        NoRoute "no_route" "The network does not lead there.",
        Dns "dns" "The name does not resolve.",
        NoTransport "no_transport" "The peer lists no address over a transport that this node has.",
        Other "other" "Anything else.",
    }

    /// Why an established link ended.
    LinkEnd "reason" {
        Replaced "replaced" "The peer made a newer connection.",
        NoLongerValid "no_longer_valid" "The documents no longer allow it.",
        PeerClosed "peer_closed" "The peer closed it.",
        Idle "idle" "The peer was silent for too long.",
        Frame "frame" "A frame did not open: its bytes were damaged or lost on the way, or are not the peer's.",
        Command "command" "A frame held nothing that is a command of this session.",
        Unexpected "unexpected" "The peer sent a command that it has no business to send, or spoke where it has nothing to say.",
        Stalled "stalled" "The peer took nothing of what was sent for too long.",
        Failed "failed" "The connection broke.",
        Shutdown "shutdown" "This node is stopping.",
    }

    /// Kinds of open connections.
    PeerClass "class" {
        Handshaking "handshaking" "Not known yet.",
        Incoming "incoming" "A node that sends packets here.",
        Outgoing "outgoing" "A node that packets are sent to.",
        Client "client" "A client of this gateway.",
    }

    /// What became of datagrams past the kernel.
    LaneEvent "event" {
        Arrived "arrived" "A datagram has come in a frame.",
        Left "left" "A datagram has left in a frame.",
        Kernel "kernel" "A train went through the kernel's sockets: to a neighbour not known yet, or by another interface.",
        Refused "refused" "A frame was no datagram for this shard.",
        Dropped "dropped" "The kernel had a frame for this shard and no room for it.",
        NoFrame "no_frame" "A datagram found no frame to leave in.",
    }

    /// What became of who came over QUIC, or of a datagram of one who is not known yet.
    QuicArrival "outcome" {
        Accepted "accepted" "A connection: the peer has opened its stream.",
        Retried "retried" "A newcomer was asked to show that it can be reached where it says (Retry), as many were unfinished.",
        Refused "refused" "A newcomer was refused, as there are as many connections as there may be.",
        Ignored "ignored" "A first datagram was ignored, as too many waited, or it had waited for too long.",
        Skipped "skipped" "A datagram of a handshake was not looked at, as there were too many at once.",
        Failed "failed" "A handshake failed, or took too long.",
        Silent "silent" "A peer did not open its stream in time.",
        Displaced "displaced" "An unfinished connection made room for a newer one.",
        Unanswered "unanswered" "An answer to a stranger found no room.",
    }

    /// What became of a message in a gateway's spool.
    Letter "event" {
        Stored "stored" "It was taken.",
        Acknowledged "acknowledged" "Its client has it.",
        Expired "expired" "Its client did not come back within an epoch.",
        Undeliverable "undeliverable" "Its client has not acknowledged it on any of three connections.",
        Displaced "displaced" "The spool was full and its mailbox the fullest: it made room for another client's.",
        NotKept "not_kept" "A registered client's is in memory alone: the ring to the store of mail was full.",
    }

    /// What a packet's way through a shard is made of.
    PacketStage "stage" {
        Poll "poll" "Looking for events and handling them, and on io_uring all that the kernel does with what is received.",
        Receive "receive" "Receiving bytes, where that is a call of its own.",
        Open "open" "Opening frames in the slots of their packets.",
        LookUp "look_up" "Replay tags, and looking them up.",
        Unwrap "unwrap" "Unwrapping, and recording the tags.",
        Route "route" "Routing, services, putting into the delay queue.",
        Delay "delay" "Taking out of the delay queue what is due.",
        Seal "seal" "Sealing frames.",
        Send "send" "Handing frames to the kernel, and the events that come of it or meanwhile.",
    }

    /// Places in which packets wait.
    Queue "queue" {
        Opened "opened" "Opened, waiting for a batch.",
        Surplus "surplus" "In full batches that idle shards may take.",
        Inbox "inbox" "From other shards, on their way to the wheel.",
        Wheel "wheel" "Delayed.",
        Outgoing "outgoing" "Waiting for their link.",
        Gateway "gateway" "Waiting to be delivered to a user.",
        Service "service" "Waiting for a service.",
    }
}
