//! Which component accepts which command (wire.md 5.8, 6.10), as data.

use super::CommandId;

/// A component at its end of an established session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Acceptor {
    /// A client, from its gateway.
    Client,
    /// A gateway, from a client.
    GatewayFromClient,
    /// A gateway, mix or service node, on a connection that another node opened.
    NodeIncoming,
    /// A gateway, mix or service node, on a connection that it opened to another node.
    NodeOutgoing,
    /// A directory authority, from somebody without additional data.
    AuthorityFromAnonymous,
    /// A directory authority, from a listed mix, gateway or service node.
    AuthorityFromNode,
    /// A directory authority, from another one.
    AuthorityFromAuthority,
    /// A directory authority, from a listed replica.
    AuthorityFromReplica,
    /// A courier, from a replica.
    Courier,
    /// A replica, on a connection that it opened to another replica.
    ReplicaOutgoing,
    /// A replica, on a connection that a courier or replica opened.
    ReplicaIncoming,
}

/// What to do with a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Handle it.
    Accept,
    /// Drop it and go on, so that newer peers can send what older ones do not know.
    Ignore,
    /// Close the connection, without an answer.
    Close,
}

impl Acceptor {
    /// The commands that are handled.
    pub fn accepted(self) -> &'static [CommandId] {
        use CommandId as Id;
        match self {
            Self::Client => &[Id::NoOp, Id::Message, Id::Consensus2],
            Self::GatewayFromClient => &[
                Id::SendPacket,
                Id::MessageDelivered,
                Id::GetConsensus2,
                Id::GetConsensus,
                Id::SendRetrievePacket,
                Id::NoOp,
            ],
            Self::NodeIncoming => &[Id::SendPacket, Id::NoOp],
            // After the finalization NoOp the responder stays silent.
            Self::NodeOutgoing => &[],
            Self::AuthorityFromAnonymous => &[Id::GetConsensus],
            Self::AuthorityFromNode => &[Id::GetConsensus, Id::PostDescriptor],
            Self::AuthorityFromAuthority => &[Id::GetConsensus, Id::Vote, Id::Cert, Id::Reveal, Id::Sig],
            Self::AuthorityFromReplica => &[Id::PostReplicaDescriptor],
            Self::Courier => &[Id::ReplicaMessageReply, Id::ReplicaDecoy, Id::NoOp],
            Self::ReplicaOutgoing => &[Id::ReplicaWriteReply, Id::ReplicaMessageReply, Id::ReplicaDecoy, Id::NoOp],
            Self::ReplicaIncoming => &[Id::ReplicaMessage, Id::ReplicaWrite, Id::ReplicaDecoy, Id::NoOp],
        }
    }

    /// Whether the command is handled.
    pub fn may_accept(self, id: CommandId) -> bool {
        self.accepted().contains(&id)
    }

    /// What to do with a command that has parsed.
    pub fn verdict(self, id: CommandId) -> Verdict {
        let tolerant = matches!(self, Self::Courier | Self::ReplicaOutgoing | Self::ReplicaIncoming);
        match id {
            _ if self.may_accept(id) => Verdict::Accept,
            CommandId::Disconnect => Verdict::Close,
            _ if tolerant => Verdict::Ignore,
            _ => Verdict::Close,
        }
    }
}
