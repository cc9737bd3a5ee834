//! What both ends of a session have to agree on: its kind, the KEM, and the sizes that follow from the network's
//! geometry (wire.md 1, 3.5, 4.4, 6.4).

use crate::command::{COMMAND_HEADER_BYTES, CommandSet};
use crate::handshake::MessageSizes;
use crypto_simd::schemes::Kem;

/// The frame limit of mixnet and PKI sessions: bytes of body ciphertext, tag included (wire.md 4.4).
pub const MESSAGE_BYTES_MAX: usize = 500_000_000;

/// Bytes of an authentication tag.
pub(crate) const TAG_BYTES: usize = 16;

/// Which of the three command sets a session speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SessionKind {
    /// Clients, gateways, mixes and service nodes among each other.
    Mixnet,
    /// Anybody to a directory authority.
    Pki,
    /// Couriers and replicas to replicas.
    Replica,
}

/// Which side of the handshake this end is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Role {
    /// The side that dials.
    Initiator,
    /// The side that listens.
    Responder,
}

impl Role {
    /// "initiator" or "responder".
    pub fn label(self) -> &'static str {
        match self {
            Self::Initiator => "initiator",
            Self::Responder => "responder",
        }
    }
}

/// The sizes that decide about lengths and padding of commands. Fields that a session kind does not use are zero.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CommandSizes {
    /// Mixnet: bytes of a Sphinx packet.
    pub packet_bytes: usize,
    /// Mixnet: bytes of a SURB reply as a Message carries it, payload tag (32) and forward payload.
    pub surb_reply_bytes: usize,
    /// PKI: bytes of a public key of the PKI signature scheme.
    pub pki_public_key_bytes: usize,
    /// Replica: bytes of a user's forward payload.
    pub user_forward_payload_bytes: usize,
    /// Replica: bytes of a public key of the replica NIKE.
    pub replica_public_key_bytes: usize,
}

impl CommandSizes {
    /// Sizes of mixnet sessions.
    pub fn mixnet(packet_bytes: usize, surb_reply_bytes: usize) -> Self {
        Self { packet_bytes, surb_reply_bytes, ..Self::default() }
    }

    /// Sizes of PKI sessions.
    pub fn pki(pki_public_key_bytes: usize) -> Self {
        Self { pki_public_key_bytes, ..Self::default() }
    }

    /// Sizes of replica sessions.
    pub fn replica(user_forward_payload_bytes: usize, replica_public_key_bytes: usize) -> Self {
        Self { user_forward_payload_bytes, replica_public_key_bytes, ..Self::default() }
    }

    /// Mixnet: the padded size of client-to-server commands.
    pub fn client_to_server_bytes(&self) -> usize {
        COMMAND_HEADER_BYTES + self.packet_bytes
    }

    /// Mixnet: the padded size of server-to-client commands, also the size of a Consensus2 chunk.
    pub fn server_to_client_bytes(&self) -> usize {
        COMMAND_HEADER_BYTES + 4 + 16 + self.packet_bytes
    }

    /// Replica: the one size of all commands (wire.md 6.4): the largest is ReplicaMessage, whose NIKE key cancels out.
    pub fn replica_command_bytes(&self) -> usize {
        self.user_forward_payload_bytes.saturating_sub(72)
    }
}

/// What one session needs to know before its first byte.
#[derive(Clone, Copy)]
pub struct SessionConfig {
    /// The command set.
    pub kind: SessionKind,
    /// This end.
    pub role: Role,
    /// The network's wire KEM; its canonical name enters the handshake.
    pub kem: &'static dyn Kem,
    /// Sizes of commands.
    pub sizes: CommandSizes,
    /// The protocol's limit for body ciphertexts (wire.md 4.4); what is sent obeys it.
    pub message_bytes_max: usize,
    /// The largest body ciphertext that is accepted; lower where the peer's commands are bounded.
    pub receive_bytes_max: usize,
}

impl SessionConfig {
    /// A mixnet session with the protocol's frame limit.
    pub fn mixnet(role: Role, kem: &'static dyn Kem, sizes: CommandSizes) -> Self {
        Self::new(SessionKind::Mixnet, role, kem, sizes, MESSAGE_BYTES_MAX)
    }

    /// A PKI session with the protocol's frame limit.
    pub fn pki(role: Role, kem: &'static dyn Kem, sizes: CommandSizes) -> Self {
        Self::new(SessionKind::Pki, role, kem, sizes, MESSAGE_BYTES_MAX)
    }

    /// A replica session, whose frame limit follows from its sizes (wire.md 4.4).
    pub fn replica(role: Role, kem: &'static dyn Kem, sizes: CommandSizes) -> Self {
        let largest_handshake = MessageSizes::of(kem.info()).largest();
        let message_bytes_max = largest_handshake.max(sizes.replica_command_bytes() + TAG_BYTES);
        Self::new(SessionKind::Replica, role, kem, sizes, message_bytes_max)
    }

    /// The same session, accepting nothing larger than a padded client-to-server command: all that a mix or a gateway
    /// ever gets, from nodes and clients.
    pub fn receive_client_to_server(self) -> Self {
        Self { receive_bytes_max: self.sizes.client_to_server_bytes() + TAG_BYTES, ..self }
    }

    fn new(
        kind: SessionKind,
        role: Role,
        kem: &'static dyn Kem,
        sizes: CommandSizes,
        message_bytes_max: usize,
    ) -> Self {
        Self { kind, role, kem, sizes, message_bytes_max, receive_bytes_max: message_bytes_max }
    }

    /// The commands of this session.
    pub fn command_set(&self) -> CommandSet {
        CommandSet::new(self.kind, self.sizes)
    }
}

impl std::fmt::Debug for SessionConfig {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("SessionConfig")
            .field("kind", &self.kind)
            .field("role", &self.role)
            .field("kem", &self.kem.info().name)
            .field("sizes", &self.sizes)
            .field("message_bytes_max", &self.message_bytes_max)
            .field("receive_bytes_max", &self.receive_bytes_max)
            .finish()
    }
}
