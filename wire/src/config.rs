//! What both ends of a session have to agree on: its kind, the KEM, and the sizes that follow from the network's
//! geometry (wire.md 1, 4.4).

use crate::command::CommandSet;
use crate::sizes::{CommandSizes, MessageSizes, Role, SessionKind, TAG_BYTES};
use crypto_simd::schemes::Kem;

/// The frame limit of mixnet and PKI sessions: bytes of body ciphertext, tag included (wire.md 4.4).
pub const MESSAGE_BYTES_MAX: usize = 500_000_000;

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
