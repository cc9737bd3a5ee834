//! Why a session ended, with the state names that metrics use (wire.md 9.1) and two renderings: `Display` is short and
//! free of addresses and key material; [`HandshakeError::detailed`] is for debug logs only.

use crate::command::CommandError;
use crate::handshake::PeerCredentials;
use crate::session::Role;
use crypto_simd::schemes::SchemeError;
use std::fmt;

/// Any failure of a session.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The handshake failed. Boxed because it carries what a debug log wants to know.
    #[error(transparent)]
    Handshake(#[from] Box<HandshakeError>),
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

    /// The number of the Noise message, if the state belongs to one.
    pub fn message_number(self) -> Option<u8> {
        match self {
            Self::Message1Send | Self::Message1Receive => Some(1),
            Self::Message2Send | Self::Message2Receive => Some(2),
            Self::Message3Send | Self::Message3Receive => Some(3),
            Self::Message4Send | Self::Message4Receive => Some(4),
            _ => None,
        }
    }
}

/// What went wrong in the handshake. The last five are the driver's to report, through
/// [`Handshake::failed`](crate::Handshake::failed).
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
    /// The transport failed.
    #[error("transport: {0}")]
    Transport(std::io::ErrorKind),
    /// The first frame was no NoOp.
    #[error("first command is not the finalization NoOp")]
    Finalization,
}

/// Addresses of a connection; only the detailed rendering shows them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ConnectionInfo {
    /// Transport protocol, such as "tcp".
    pub protocol: &'static str,
    /// Our end.
    pub local: Option<std::net::SocketAddr>,
    /// The peer's end.
    pub remote: Option<std::net::SocketAddr>,
    /// The peer's name, where the caller knows it (outgoing connections).
    pub peer_name: Option<String>,
}

/// A failed handshake with its circumstances.
#[derive(Clone, Debug)]
pub struct HandshakeError {
    /// Where.
    pub state: HandshakeState,
    /// What.
    pub reason: HandshakeReason,
    /// This end.
    pub role: Role,
    /// Canonical name of the KEM.
    pub kem: &'static str,
    /// Our link public key.
    pub local_public_key: Vec<u8>,
    /// What we called ourselves.
    pub local_additional_data: Vec<u8>,
    /// The peer, if it got as far as telling.
    pub peer: Option<PeerCredentials>,
    /// The connection, if the caller filled it in.
    pub connection: Option<ConnectionInfo>,
}

impl HandshakeError {
    /// The value of the `state` label of `katzenpost_handshake_failures_total` (wire.md 9.2). As in the reference,
    /// rejections and version mismatches count as `other`, port probes as `premature_close`.
    pub fn label(&self) -> &'static str {
        match self.reason {
            HandshakeReason::Version { .. } | HandshakeReason::Rejected => "other",
            HandshakeReason::ClosedBeforeFirstByte => "premature_close",
            _ => self.state.label(),
        }
    }

    /// Whether it is a mere port probe, to be logged at debug level only.
    pub fn is_port_probe(&self) -> bool {
        self.reason == HandshakeReason::ClosedBeforeFirstByte
    }

    /// Many lines with addresses and abbreviated keys, for debug logs.
    pub fn detailed(&self) -> String {
        use fmt::Write;
        let mut text = format!("{self}\n  pattern: pqXX, KEM: {}", self.kem);
        // Writing to a string cannot fail.
        if let Some(number) = self.state.message_number() {
            let _ = write!(text, "\n  message: {number}");
        }
        if let HandshakeReason::Size { expected, actual } = self.reason {
            let _ = write!(text, "\n  bytes: {actual}, expected: {expected}");
        }
        let _ = write!(
            text,
            "\n  local key: {}, additional data: {}",
            Abbreviated(&self.local_public_key),
            Abbreviated(&self.local_additional_data)
        );
        if let Some(peer) = &self.peer {
            let _ = write!(
                text,
                "\n  peer key: {}, additional data: {}",
                Abbreviated(&peer.public_key),
                Abbreviated(&peer.additional_data)
            );
        }
        if let Some(connection) = &self.connection {
            let _ = write!(text, "\n  transport: {}", connection.protocol);
            if let Some(local) = connection.local {
                let _ = write!(text, ", local: {local}");
            }
            if let Some(remote) = connection.remote {
                let _ = write!(text, ", remote: {remote}");
            }
        }
        text
    }
}

impl fmt::Display for HandshakeError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(name) = self.connection.as_ref().and_then(|connection| connection.peer_name.as_ref()) {
            write!(formatter, "peer {name}: ")?;
        }
        write!(formatter, "handshake failed at {} ({}): {}", self.state.label(), self.role.label(), self.reason)
    }
}

impl std::error::Error for HandshakeError {}

/// The first bytes in hex and the length.
struct Abbreviated<'a>(&'a [u8]);

impl fmt::Display for Abbreviated<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for byte in self.0.iter().take(8) {
            write!(formatter, "{byte:02x}")?;
        }
        if self.0.len() > 8 { write!(formatter, "... ({} bytes)", self.0.len()) } else { Ok(()) }
    }
}
