//! Commands (wire.md 6): what the frames carry.
//!
//! | module | what it holds |
//! |---|---|
//! | [`id`] | ids, and which session kinds know them |
//! | `parse` | the borrowing parser |
//! | `encode` | encoding and padding |
//! | [`roles`] | which component accepts what |
//! | [`codes`] | error codes of replies |

pub mod codes;
mod encode;
pub mod id;
mod parse;
pub mod roles;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod vector_tests;

pub use crate::sizes::COMMAND_HEADER_BYTES;
pub use encode::write_header;
pub use id::CommandId;
pub use roles::{Acceptor, Verdict};

use crate::sizes::{CommandSizes, SessionKind};

/// Bytes of a SURB id.
pub const SURB_ID_BYTES: usize = 16;

/// Bytes of a ReplicaMessage's data encapsulation key.
pub const DEK_BYTES: usize = 60;

/// Bytes of the header of a Consensus2 body.
pub const CONSENSUS2_HEADER_BYTES: usize = 9;

/// Why bytes are no command, or a command has no bytes, in this session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CommandError {
    /// Shorter than a header.
    #[error("command of {bytes} bytes is shorter than its header")]
    Short {
        /// Bytes that the command would have with its padding.
        bytes: usize,
    },
    /// The reserved byte is set.
    #[error("reserved byte of a command is {byte:#04x}")]
    Reserved {
        /// The byte that was found.
        byte: u8,
    },
    /// The header announces more than there is.
    #[error("command announces {announced} bytes of body, {actual} are there")]
    Truncated {
        /// What the header says.
        announced: usize,
        /// What follows the header.
        actual: usize,
    },
    /// A byte behind the body is not zero.
    #[error("command padding is not zero")]
    Padding,
    /// No command has this id, or it belongs to another kind of session.
    #[error("command id {id} does not belong to this session")]
    ForeignId {
        /// The id that was found.
        id: u8,
    },
    /// The body has a length that this command cannot have.
    #[error("body of {bytes} bytes is impossible for {id:?}")]
    BodyLength {
        /// Which command it was.
        id: CommandId,
        /// The length of its body.
        bytes: usize,
    },
}

/// A command, borrowing its variable parts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Command<'a> {
    /// Heartbeat and finalization.
    NoOp,
    /// The peer is closing.
    Disconnect,
    /// A Sphinx packet. The parser takes any non-empty length; the receiver checks it.
    SendPacket {
        /// The packet, of exactly `PacketLength` bytes when it is well made.
        packet: &'a [u8],
    },
    /// A Sphinx packet, answered with SendRetrievePacketReply.
    SendRetrievePacket {
        /// The packet, of exactly `PacketLength` bytes when it is well made.
        packet: &'a [u8],
    },
    /// One entry of the client's spool, or all zero and empty.
    SendRetrievePacketReply {
        /// The id of the SURB that made the reply.
        surb_id: &'a [u8; SURB_ID_BYTES],
        /// The reply, still under the keys of the SURB.
        payload: &'a [u8],
    },
    /// Acknowledges a Message.
    MessageDelivered {
        /// The Message's sequence number.
        sequence: u32,
    },
    /// A request to a replica.
    ReplicaMessage {
        /// The sender's ephemeral public key of the replica NIKE.
        sender_public_key: &'a [u8],
        /// The encrypted data encapsulation key.
        dek: &'a [u8; DEK_BYTES],
        /// The request, for one replica's eyes.
        ciphertext: &'a [u8],
    },
    /// A replica's answer.
    ReplicaMessageReply {
        /// One of [`codes::replica`].
        error_code: u8,
        /// Which request is answered.
        envelope_hash: &'a [u8; 32],
        /// The number of the replica that answers.
        replica_id: u8,
        /// The answer; may be empty.
        envelope_reply: &'a [u8],
    },
    /// Answers PostReplicaDescriptor.
    PostReplicaDescriptorStatus {
        /// One of [`codes::post`].
        error_code: u8,
    },
    /// A replica's descriptor.
    PostReplicaDescriptor {
        /// The epoch that the descriptor is for.
        epoch: u64,
        /// The descriptor in its signed upload (pki.md 4.5).
        payload: &'a [u8],
    },
    /// A box to be stored.
    ReplicaWrite {
        /// The id of the box, a blinded public key.
        box_id: &'a [u8; 32],
        /// The signature under that key.
        signature: &'a [u8; 64],
        /// Its contents; empty for a tombstone.
        payload: &'a [u8],
    },
    /// Answers ReplicaWrite.
    ReplicaWriteReply {
        /// One of [`codes::replica`].
        error_code: u8,
    },
    /// Obsolete polling.
    RetrieveMessage {
        /// The number that the client counts.
        sequence: u32,
    },
    /// A SURB reply pushed to a client.
    Message {
        /// Numbered from 1 per connection.
        sequence: u32,
        /// The id of the SURB that made the reply.
        surb_id: &'a [u8; SURB_ID_BYTES],
        /// The reply, still encrypted.
        payload: &'a [u8],
    },
    /// Asks for a consensus.
    GetConsensus {
        /// The epoch of the document.
        epoch: u64,
        /// Whether it is padded like other client-to-server commands (mixnet sessions only).
        padded: bool,
    },
    /// A consensus in one piece.
    Consensus {
        /// One of [`codes::consensus`].
        error_code: u8,
        /// The document with its signatures; empty with an error.
        payload: &'a [u8],
    },
    /// A node's descriptor.
    PostDescriptor {
        /// The epoch that the descriptor is for.
        epoch: u64,
        /// The descriptor in its signed upload (pki.md 4.5).
        payload: &'a [u8],
    },
    /// Answers PostDescriptor.
    PostDescriptorStatus {
        /// One of [`codes::post`].
        error_code: u8,
    },
    /// An authority's vote.
    Vote(Certified<'a>),
    /// Answers Vote.
    VoteStatus {
        /// One of [`codes::vote`].
        error_code: u8,
    },
    /// Asks for a vote; never sent.
    GetVote {
        /// The epoch of the document.
        epoch: u64,
        /// The identity key of the authority that is asked.
        public_key: &'a [u8],
    },
    /// An authority's reveal.
    Reveal(Certified<'a>),
    /// Answers Reveal.
    RevealStatus {
        /// One of [`codes::reveal`].
        error_code: u8,
    },
    /// An authority's signature.
    Sig(Certified<'a>),
    /// Answers Sig.
    SigStatus {
        /// One of [`codes::sig`].
        error_code: u8,
    },
    /// An authority's certificate.
    Cert(Certified<'a>),
    /// Answers Cert.
    CertStatus {
        /// One of [`codes::cert`].
        error_code: u8,
    },
    /// A piece of a compressed consensus; see [`crate::consensus2`].
    Consensus2 {
        /// One of [`codes::consensus`].
        error_code: u8,
        /// The number of this piece, from 0.
        chunk: u32,
        /// How many there are.
        chunks: u32,
        /// A piece of the compressed document.
        payload: &'a [u8],
    },
    /// Asks for a consensus in pieces.
    GetConsensus2 {
        /// The epoch of the document.
        epoch: u64,
    },
    /// Cover traffic of replicas.
    ReplicaDecoy,
}

/// What an authority sends to another: a certificate, with its epoch and author.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Certified<'a> {
    /// The epoch voted on.
    pub epoch: u64,
    /// The authority's identity key.
    pub public_key: &'a [u8],
    /// The certificate.
    pub payload: &'a [u8],
}

impl Command<'_> {
    /// The id under which it is sent.
    pub fn id(&self) -> CommandId {
        match self {
            Self::NoOp => CommandId::NoOp,
            Self::Disconnect => CommandId::Disconnect,
            Self::SendPacket { .. } => CommandId::SendPacket,
            Self::SendRetrievePacket { .. } => CommandId::SendRetrievePacket,
            Self::SendRetrievePacketReply { .. } => CommandId::SendRetrievePacketReply,
            Self::MessageDelivered { .. } => CommandId::MessageDelivered,
            Self::ReplicaMessage { .. } => CommandId::ReplicaMessage,
            Self::ReplicaMessageReply { .. } => CommandId::ReplicaMessageReply,
            Self::PostReplicaDescriptorStatus { .. } => CommandId::PostReplicaDescriptorStatus,
            Self::PostReplicaDescriptor { .. } => CommandId::PostReplicaDescriptor,
            Self::ReplicaWrite { .. } => CommandId::ReplicaWrite,
            Self::ReplicaWriteReply { .. } => CommandId::ReplicaWriteReply,
            Self::RetrieveMessage { .. } => CommandId::RetrieveMessage,
            Self::Message { .. } => CommandId::Message,
            Self::GetConsensus { .. } => CommandId::GetConsensus,
            Self::Consensus { .. } => CommandId::Consensus,
            Self::PostDescriptor { .. } => CommandId::PostDescriptor,
            Self::PostDescriptorStatus { .. } => CommandId::PostDescriptorStatus,
            Self::Vote(_) => CommandId::Vote,
            Self::VoteStatus { .. } => CommandId::VoteStatus,
            Self::GetVote { .. } => CommandId::GetVote,
            Self::Reveal(_) => CommandId::Reveal,
            Self::RevealStatus { .. } => CommandId::RevealStatus,
            Self::Sig(_) => CommandId::Sig,
            Self::SigStatus { .. } => CommandId::SigStatus,
            Self::Cert(_) => CommandId::Cert,
            Self::CertStatus { .. } => CommandId::CertStatus,
            Self::Consensus2 { .. } => CommandId::Consensus2,
            Self::GetConsensus2 { .. } => CommandId::GetConsensus2,
            Self::ReplicaDecoy => CommandId::ReplicaDecoy,
        }
    }
}

/// The commands of one session: which ids there are, how long bodies are, how they are padded. Everything outside is
/// an error, in both directions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CommandSet {
    kind: SessionKind,
    sizes: CommandSizes,
}

impl CommandSet {
    /// The set of a session kind.
    pub fn new(kind: SessionKind, sizes: CommandSizes) -> Self {
        Self { kind, sizes }
    }

    /// The session kind.
    pub fn kind(&self) -> SessionKind {
        self.kind
    }

    /// The sizes to which commands are padded.
    pub fn sizes(&self) -> &CommandSizes {
        &self.sizes
    }

    /// Whether the set has this command.
    pub fn contains(&self, id: CommandId) -> bool {
        id.is_in(self.kind)
    }
}
