//! What everything else is measured by: session kinds, roles, and the sizes of tags, messages and commands (wire.md 1,
//! 3.5, 6.1, 6.4).

use crypto_simd::schemes::kem::KemInfo;

/// Bytes of an authentication tag.
pub(crate) const TAG_BYTES: usize = 16;

/// Bytes of a command's header: id, reserved byte, length.
pub const COMMAND_HEADER_BYTES: usize = 6;

/// The most additional data an end can send.
pub const ADDITIONAL_DATA_BYTES_MAX: usize = 255;

/// Bytes of the authenticate message: length, additional data, clock (wire.md 3.6).
pub(crate) const AUTHENTICATE_BYTES: usize = 1 + ADDITIONAL_DATA_BYTES_MAX + 4;

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

/// Sizes of the four messages (wire.md 3.5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MessageSizes([usize; 4]);

impl MessageSizes {
    /// Sizes with this KEM.
    pub fn of(kem: &KemInfo) -> Self {
        let (key, ciphertext) = (kem.public_key_bytes, kem.ciphertext_bytes);
        Self([
            1 + key,
            ciphertext + key + 2 * TAG_BYTES + AUTHENTICATE_BYTES,
            ciphertext + key + 3 * TAG_BYTES + AUTHENTICATE_BYTES,
            ciphertext + 2 * TAG_BYTES,
        ])
    }

    /// Bytes of message 1 to 4.
    pub fn message(&self, number: Message) -> usize {
        self.0[number as usize]
    }

    /// Bytes of the largest message.
    pub fn largest(&self) -> usize {
        self.0.into_iter().max().unwrap_or(0)
    }
}

/// The four messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Message {
    /// `-> e`
    One,
    /// `<- ekem, s`
    Two,
    /// `-> skem, s`
    Three,
    /// `<- skem`
    Four,
}
