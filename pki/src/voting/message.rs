//! Who may send what, and the answers (pki.md 7, 8.2 to 8.9).

use crate::authority::ConsensusCode;
use crate::epoch::Epoch;
use crate::identity::NodeId;
use std::fmt;
use std::sync::Arc;

/// Who is at the other end of a connection that a peer opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Peer {
    /// Somebody without additional data.
    Client,
    /// Claims to be this configured mix, gateway or service node.
    Node(NodeId),
    /// The authority with this number; its link key has been compared.
    Authority(usize),
    /// Claims to be this configured replica.
    Replica(NodeId),
}

impl Peer {
    /// Whether a request of this peer is answered at all; if not, the connection is closed (pki.md 8.3).
    pub fn may_send(&self, request: &Request) -> bool {
        match request {
            Request::GetConsensus { .. } => !matches!(self, Self::Replica(_)),
            Request::PostDescriptor { .. } => matches!(self, Self::Node(_)),
            Request::PostReplicaDescriptor { .. } => matches!(self, Self::Replica(_)),
            Request::Message(_) => matches!(self, Self::Authority(_)),
        }
    }
}

/// What authorities send to each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum MessageKind {
    /// Command 22, answered by 23.
    Vote,
    /// Command 25, answered by 26.
    Reveal,
    /// Command 29, answered by 30.
    Certificate,
    /// Command 27, answered by 28.
    Signature,
}

impl MessageKind {
    /// In the order of a round.
    pub const ALL: [Self; 4] = [Self::Vote, Self::Reveal, Self::Certificate, Self::Signature];

    /// The code of a status in this command's answer (pki.md 7.2).
    fn code(self, status: Status) -> u8 {
        use Status::{AlreadyReceived, Malformed, NotAuthorized, NotSigned, Ok, TooEarly, TooLate};
        let codes = match self {
            Self::Vote => [(Ok, 0), (TooLate, 1), (TooEarly, 2), (NotAuthorized, 3), (NotSigned, 4)],
            Self::Reveal => [(Ok, 8), (TooLate, 13), (TooEarly, 9), (NotAuthorized, 10), (NotSigned, 11)],
            Self::Certificate => [(Ok, 14), (TooLate, 19), (TooEarly, 15), (NotAuthorized, 16), (NotSigned, 17)],
            Self::Signature => [(Ok, 20), (TooLate, 24), (TooEarly, 23), (NotAuthorized, 21), (NotSigned, 22)],
        };
        match (status, self) {
            (AlreadyReceived, Self::Vote) => 6,
            (AlreadyReceived, Self::Reveal) => 12,
            (AlreadyReceived, Self::Certificate) => 18,
            (AlreadyReceived, Self::Signature) => 25,
            (Malformed, Self::Vote) => 5,
            (Malformed, Self::Reveal) => 11,
            (Malformed, Self::Certificate) => 17,
            (Malformed, Self::Signature) => 26,
            _ => codes.into_iter().find_map(|(named, code)| (named == status).then_some(code)).unwrap_or_default(),
        }
    }

    /// The meaning of a code in an answer to this command.
    pub fn status(self, code: u8) -> Option<Status> {
        // Where two meanings share a code, the earlier one is the code's name in pki.md 7.2.
        Status::ALL.into_iter().find(|status| self.code(*status) == code)
    }
}

impl fmt::Display for MessageKind {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Vote => "vote",
            Self::Reveal => "reveal",
            Self::Certificate => "certificate",
            Self::Signature => "signature",
        })
    }
}

/// What an authority says to a message of another. Too early and too late are the codes' names: to votes, certificates
/// and signatures the reference says the one where it means the other (pki.md 8.6).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Status {
    /// Stored.
    Ok,
    /// Not of a configured authority.
    NotAuthorized,
    /// The certificate does not verify.
    NotSigned,
    /// See the type.
    TooEarly,
    /// See the type.
    TooLate,
    /// There is one of this authority.
    AlreadyReceived,
    /// Signed, but senseless.
    Malformed,
}

impl Status {
    const ALL: [Self; 7] = [
        Self::Ok,
        Self::NotAuthorized,
        Self::NotSigned,
        Self::TooEarly,
        Self::TooLate,
        Self::AlreadyReceived,
        Self::Malformed,
    ];

    /// Its label in metrics (pki.md 13.4).
    pub fn label(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::NotAuthorized => "not_authorized",
            Self::NotSigned => "not_signed",
            Self::TooEarly => "too_early",
            Self::TooLate => "too_late",
            Self::AlreadyReceived => "already_received",
            Self::Malformed => "malformed",
        }
    }
}

/// One message between authorities: the body of a Vote, Reveal, Cert or Sig command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// Which command.
    pub kind: MessageKind,
    /// The command's epoch.
    pub epoch: Epoch,
    /// The author's identity key.
    pub public_key: Vec<u8>,
    /// The payload.
    pub payload: Arc<[u8]>,
}

/// What a peer asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Request {
    /// Command 18. Better answered from [`super::Documents`] directly.
    GetConsensus {
        /// The document's epoch.
        epoch: Epoch,
    },
    /// Command 20.
    PostDescriptor {
        /// The command's epoch.
        epoch: Epoch,
        /// The signed upload.
        payload: Arc<[u8]>,
    },
    /// Command 11.
    PostReplicaDescriptor {
        /// The command's epoch.
        epoch: Epoch,
        /// The signed upload.
        payload: Arc<[u8]>,
    },
    /// Commands 22, 25, 27 and 29.
    Message(Message),
}

/// The answer to a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    /// Command 19.
    Consensus {
        /// The code.
        code: ConsensusCode,
        /// The document's certificate, empty unless the code is `Ok`.
        payload: Arc<[u8]>,
    },
    /// Command 21.
    PostDescriptorStatus(PostStatus),
    /// Command 10.
    PostReplicaDescriptorStatus(PostStatus),
    /// Commands 23, 26, 28 and 30: the status that belongs to the kind.
    MessageStatus {
        /// What was sent.
        kind: MessageKind,
        /// What is said to it.
        status: Status,
    },
}

impl Reply {
    /// The code on the wire.
    pub fn code(&self) -> u8 {
        match self {
            Self::Consensus { code: ConsensusCode::Ok, .. } => 0,
            Self::Consensus { code: ConsensusCode::NotFound, .. } => 1,
            Self::Consensus { code: ConsensusCode::Gone, .. } => 2,
            Self::PostDescriptorStatus(status) | Self::PostReplicaDescriptorStatus(status) => status.code(),
            Self::MessageStatus { kind, status } => kind.code(*status),
        }
    }
}

/// What an authority says to an upload, in the order of the checks (pki.md 8.5).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PostStatus {
    /// Stored, or the same descriptor has been stored before.
    Ok,
    /// The command or the descriptor is for an epoch that is not voted on around now.
    InvalidEpoch,
    /// Not an upload.
    DeserializeFailed,
    /// An upload without a descriptor.
    NilDescriptor,
    /// Another identity than the session's.
    IdentityMismatch,
    /// Not a key of the configured signature scheme.
    IdentityUnmarshalFailed,
    /// The signature is missing or wrong.
    SignatureInvalid,
    /// Not configured with this role and name.
    Unauthorized,
    /// Not well formed, or for another Sphinx geometry.
    Malformed,
    /// There is another descriptor for this epoch, or its consensus exists.
    Conflict,
}

impl PostStatus {
    /// Its label in metrics (pki.md 13.4).
    pub fn label(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::InvalidEpoch => "invalid_epoch",
            Self::DeserializeFailed => "deserialize_failed",
            Self::NilDescriptor => "nil_descriptor",
            Self::IdentityMismatch => "identity_mismatch",
            Self::IdentityUnmarshalFailed => "identity_unmarshal_failed",
            Self::SignatureInvalid => "signature_invalid",
            Self::Unauthorized => "unauthorized",
            Self::Malformed => "malformed",
            Self::Conflict => "conflict",
        }
    }

    /// The code on the wire.
    pub fn code(self) -> u8 {
        match self {
            Self::Ok => 0,
            Self::InvalidEpoch | Self::DeserializeFailed | Self::NilDescriptor | Self::Malformed => 1,
            Self::Conflict => 2,
            Self::IdentityMismatch | Self::IdentityUnmarshalFailed | Self::SignatureInvalid | Self::Unauthorized => 3,
        }
    }
}
