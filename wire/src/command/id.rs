//! Command ids and the sets they belong to (wire.md 6.3).

use crate::sizes::SessionKind;

/// The first byte of a command (wire.md 6.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
#[allow(missing_docs, reason = "the names of the specification; Command describes them")]
pub enum CommandId {
    NoOp = 0,
    Disconnect = 1,
    SendPacket = 2,
    SendRetrievePacket = 3,
    SendRetrievePacketReply = 4,
    MessageDelivered = 5,
    ReplicaMessage = 8,
    ReplicaMessageReply = 9,
    PostReplicaDescriptorStatus = 10,
    PostReplicaDescriptor = 11,
    ReplicaWrite = 12,
    ReplicaWriteReply = 13,
    RetrieveMessage = 16,
    Message = 17,
    GetConsensus = 18,
    Consensus = 19,
    PostDescriptor = 20,
    PostDescriptorStatus = 21,
    Vote = 22,
    VoteStatus = 23,
    GetVote = 24,
    Reveal = 25,
    RevealStatus = 26,
    Sig = 27,
    SigStatus = 28,
    Cert = 29,
    CertStatus = 30,
    Consensus2 = 31,
    GetConsensus2 = 32,
    ReplicaDecoy = 33,
}

use SessionKind::{Mixnet, Pki, Replica};

/// Every command and the session kinds that know it.
const SETS: [(CommandId, &[SessionKind]); 30] = [
    (CommandId::NoOp, &[Mixnet, Pki, Replica]),
    (CommandId::Disconnect, &[Mixnet, Pki, Replica]),
    (CommandId::SendPacket, &[Mixnet]),
    (CommandId::SendRetrievePacket, &[Mixnet]),
    (CommandId::SendRetrievePacketReply, &[Mixnet]),
    (CommandId::MessageDelivered, &[Mixnet]),
    (CommandId::ReplicaMessage, &[Replica]),
    (CommandId::ReplicaMessageReply, &[Replica]),
    (CommandId::PostReplicaDescriptorStatus, &[Pki]),
    (CommandId::PostReplicaDescriptor, &[Pki]),
    (CommandId::ReplicaWrite, &[Replica]),
    (CommandId::ReplicaWriteReply, &[Replica]),
    (CommandId::RetrieveMessage, &[Mixnet]),
    (CommandId::Message, &[Mixnet]),
    (CommandId::GetConsensus, &[Mixnet, Pki]),
    (CommandId::Consensus, &[Mixnet, Pki]),
    (CommandId::PostDescriptor, &[Pki]),
    (CommandId::PostDescriptorStatus, &[Pki]),
    (CommandId::Vote, &[Pki]),
    (CommandId::VoteStatus, &[Pki]),
    (CommandId::GetVote, &[Pki]),
    (CommandId::Reveal, &[Pki]),
    (CommandId::RevealStatus, &[Pki]),
    (CommandId::Sig, &[Pki]),
    (CommandId::SigStatus, &[Pki]),
    (CommandId::Cert, &[Pki]),
    (CommandId::CertStatus, &[Pki]),
    (CommandId::Consensus2, &[Mixnet]),
    (CommandId::GetConsensus2, &[Mixnet]),
    (CommandId::ReplicaDecoy, &[Replica]),
];

impl CommandId {
    /// All ids, ascending.
    pub fn all() -> impl Iterator<Item = Self> {
        SETS.iter().map(|&(id, _)| id)
    }

    /// The command with that number.
    pub fn from_byte(byte: u8) -> Option<Self> {
        Self::all().find(|id| id.byte() == byte)
    }

    /// The byte on the wire.
    pub const fn byte(self) -> u8 {
        self as u8
    }

    /// Whether sessions of this kind know it.
    pub fn is_in(self, kind: SessionKind) -> bool {
        SETS.iter().any(|(id, kinds)| *id == self && kinds.contains(&kind))
    }
}
