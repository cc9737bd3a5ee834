//! What can go wrong, with the state names that metrics use (wire.md 9.1). No text holds addresses or key material.

use crate::command::CommandError;
use crate::sizes::Role;
use crypto_simd::schemes::SchemeError;

/// Any failure of a session.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The handshake failed.
    #[error(transparent)]
    Handshake(#[from] HandshakeError),
    /// A frame could not be sealed or opened.
    #[error(transparent)]
    Frame(#[from] FrameError),
    /// A frame holds something that is no command of this session.
    #[error(transparent)]
    Command(#[from] CommandError),
}

/// Why a frame could not be sealed or opened. Except for [`FrameError::TooLarge`] on sealing, the session is dead.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FrameError {
    /// Larger than this session's limit.
    #[error("frame body of {bytes} bytes exceeds the limit of {bytes_max}")]
    TooLarge {
        /// Bytes of body ciphertext.
        bytes: usize,
        /// The limit.
        bytes_max: usize,
    },
    /// Too short to hold its tags, or not the length that the header announced.
    #[error("frame part of {actual} bytes where {expected} were due")]
    Length {
        /// Bytes that were due (at least, for a header's announcement).
        expected: usize,
        /// Bytes that came.
        actual: usize,
    },
    /// The tag does not verify: tampered with, or the keys are out of step.
    #[error("frame does not authenticate")]
    Tag,
    /// 2^64 - 1 operations under one direction.
    #[error("nonces are exhausted")]
    NonceExhausted,
    /// Header and body called out of turn, or used after a failure.
    #[error("session is not established")]
    InvalidState,
}

/// Where in the handshake something happened; [`HandshakeState::label`] is the metrics' label value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum HandshakeState {
    /// Before message 1.
    Initialization,
    /// Initiator sends message 1.
    Message1Send,
    /// Responder awaits message 1.
    Message1Receive,
    /// Responder sends message 2.
    Message2Send,
    /// Initiator awaits message 2.
    Message2Receive,
    /// Initiator sends message 3.
    Message3Send,
    /// Responder awaits message 3.
    Message3Receive,
    /// Responder sends message 4.
    Message4Send,
    /// Initiator awaits message 4.
    Message4Receive,
    /// The caller decides about the peer.
    PeerAuthentication,
    /// The first NoOp frame.
    Finalization,
}

impl HandshakeState {
    /// All states, in order.
    pub const ALL: [Self; 11] = [
        Self::Initialization,
        Self::Message1Send,
        Self::Message1Receive,
        Self::Message2Send,
        Self::Message2Receive,
        Self::Message3Send,
        Self::Message3Receive,
        Self::Message4Send,
        Self::Message4Receive,
        Self::PeerAuthentication,
        Self::Finalization,
    ];

    /// The name used in metrics and logs.
    pub fn label(self) -> &'static str {
        match self {
            Self::Initialization => "initialization",
            Self::Message1Send => "message_1_send",
            Self::Message1Receive => "message_1_receive",
            Self::Message2Send => "message_2_send",
            Self::Message2Receive => "message_2_receive",
            Self::Message3Send => "message_3_send",
            Self::Message3Receive => "message_3_receive",
            Self::Message4Send => "message_4_send",
            Self::Message4Receive => "message_4_receive",
            Self::PeerAuthentication => "peer_authentication",
            Self::Finalization => "finalization",
        }
    }
}

/// What went wrong in the handshake. Those from [`HandshakeReason::Closed`] on are known to who drives it, not to the
/// handshake itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum HandshakeReason {
    /// The peer speaks another version.
    #[error("protocol version {received:#04x} where {expected:#04x} was due")]
    Version {
        /// Our version.
        expected: u8,
        /// What the peer sent.
        received: u8,
    },
    /// A message of the wrong size.
    #[error("message of {actual} bytes where {expected} were due")]
    Size {
        /// Bytes that were due.
        expected: usize,
        /// Bytes that came.
        actual: usize,
    },
    /// A tag does not verify.
    #[error("message does not authenticate")]
    Tag,
    /// A public key or ciphertext of the peer is not acceptable.
    #[error("key exchange failed: {0}")]
    Kem(SchemeError),
    /// Additional data of more than 255 bytes, or a static key of another scheme.
    #[error("unusable local key or additional data")]
    Configuration,
    /// Called out of turn.
    #[error("called out of turn")]
    InvalidState,
    /// The policy does not accept the peer.
    #[error("peer is not acceptable")]
    Rejected,
    /// The peer closed the connection.
    #[error("connection closed by the peer")]
    Closed,
    /// The peer closed the connection before its first byte: a port probe.
    #[error("connection closed before the first byte")]
    ClosedBeforeFirstByte,
    /// The handshake's deadline passed.
    #[error("timed out")]
    TimedOut,
    /// More bytes came than the peer can have to say before it gets an answer.
    #[error("bytes out of turn")]
    Surplus,
    /// The first frame was no NoOp.
    #[error("first command is not the finalization NoOp")]
    Finalization,
}

/// A failed handshake.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("handshake failed at {} ({}): {reason}", state.label(), role.label())]
pub struct HandshakeError {
    /// Where.
    pub state: HandshakeState,
    /// What.
    pub reason: HandshakeReason,
    /// This end.
    pub role: Role,
}

impl HandshakeError {
    /// The value of the `state` label of `katzenpost_handshake_failures_total` (server.md 10.3): refused peers and other
    /// versions are `other`, and a port probe shows as `message_1_receive`.
    pub fn label(&self) -> &'static str {
        match self.reason {
            HandshakeReason::Version { .. } | HandshakeReason::Rejected => "other",
            _ => self.state.label(),
        }
    }
}
