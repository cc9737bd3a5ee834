//! What a node does with packets (sphinx.md 6.3, 7.2): mix keys, replay tags and unwrapping in place.

mod batch;
mod open;
#[cfg(test)]
mod tests;

pub use crate::keys::BATCH_MAX;
pub use batch::Unwrapper;

use crate::REPLAY_TAG_BYTES;
use crate::commands::{CommandError, Commands};
use crate::geometry::Geometry;
use crate::layout::Layout;
use crate::scheme::{Scheme, SetupError};
use crypto_simd::schemes::{KemDecapsulationKey, NikePrivateKey, SchemeError};
use crypto_simd::symmetric::sha512_256_batch;

/// A node's private key for one epoch, prepared once: nothing that stays the same is computed per packet.
pub struct MixKey {
    layout: Layout,
    private: Private,
}

enum Private {
    Nike(Box<dyn NikePrivateKey>),
    Kem(Box<dyn KemDecapsulationKey>),
}

impl MixKey {
    /// Loads a serialised private key of the geometry's scheme.
    pub fn new(geometry: &Geometry, private: &[u8]) -> Result<Self, SetupError> {
        let layout = Layout::new(geometry)?;
        let private = match Scheme::of(geometry)? {
            Scheme::Nike(nike) => Private::Nike(nike.load(private)?),
            Scheme::Kem(kem) => Private::Kem(kem.load(private)?),
        };
        Ok(Self { layout, private })
    }

    /// The public key that the node publishes.
    pub fn public_key(&self) -> &[u8] {
        match &self.private {
            Private::Nike(key) => key.public_key(),
            Private::Kem(key) => key.public_key(),
        }
    }
}

/// A packet that was unwrapped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unwrapped {
    /// The replay tag. It is to be recorded only now that the packet is known to be good.
    pub tag: [u8; REPLAY_TAG_BYTES],
    /// What the packet tells this node.
    pub commands: Commands,
    /// What is in the buffer.
    pub kind: UnwrappedKind,
}

/// What the buffer of an unwrapped packet holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UnwrappedKind {
    /// The packet for `commands.next_node`, in place.
    Forward,
    /// A payload for this node, its tag checked and left out.
    Deliver {
        /// Where the payload starts in the buffer.
        payload_offset: usize,
        /// Its length in bytes.
        payload_len: usize,
    },
    /// A payload for the owner of the reply block `commands.surb_reply`, tag bytes included: only the owner can check
    /// them.
    SurbReply {
        /// Where the payload starts in the buffer.
        payload_offset: usize,
        /// Its length in bytes.
        payload_len: usize,
    },
}

/// Why a packet is refused, in the order in which it is checked (sphinx.md 6.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, thiserror::Error)]
pub enum UnwrapErrorReason {
    /// Shorter than a header.
    #[error("truncated packet")]
    Truncated,
    /// The associated data is not that of this format.
    #[error("unknown version")]
    UnknownVersion,
    /// Not the encoding of a group element or ciphertext.
    #[error("bad group element")]
    BadElement,
    /// A low-order point: the shared secret or the blinded element would be known to everybody.
    #[error("degenerate group element")]
    DegenerateElement,
    /// Not for this key, or changed on the way. The packet is as it was.
    #[error("header MAC mismatch")]
    MacMismatch,
    /// A routing command that does not parse.
    #[error("invalid routing command")]
    InvalidCommand,
    /// More than one next_node.
    #[error("duplicate next_node command")]
    DuplicateNextNode,
    /// More than one surb_reply.
    #[error("duplicate surb_reply command")]
    DuplicateSurbReply,
    /// The payload is shorter than its tag.
    #[error("truncated payload")]
    TruncatedPayload,
    /// The payload was changed on the way.
    #[error("payload tag invalid")]
    PayloadTagInvalid,
}

/// A packet that was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub struct UnwrapError {
    /// The first check that failed.
    pub reason: UnwrapErrorReason,
    /// The replay tag, once it is known. It must not be recorded.
    pub tag: Option<[u8; REPLAY_TAG_BYTES]>,
}

impl From<CommandError> for UnwrapErrorReason {
    fn from(error: CommandError) -> Self {
        match error {
            CommandError::Invalid => Self::InvalidCommand,
            CommandError::DuplicateNextNode => Self::DuplicateNextNode,
            CommandError::DuplicateSurbReply => Self::DuplicateSurbReply,
        }
    }
}

impl From<SchemeError> for UnwrapErrorReason {
    fn from(error: SchemeError) -> Self {
        match error {
            SchemeError::Degenerate => Self::DegenerateElement,
            _ => Self::BadElement,
        }
    }
}

/// The replay tags of a batch, before anything is known about the packets: a packet whose tag is already recorded need
/// not be unwrapped. A packet too short to hold an element gets the tag of no bytes.
///
/// # Panics
///
/// If the slices differ in length.
pub fn replay_tags(geometry: &Geometry, packets: &[&[u8]], tags: &mut [[u8; REPLAY_TAG_BYTES]]) {
    assert_eq!(packets.len(), tags.len(), "one tag for each packet");
    let fixed = geometry.routing_info_length.saturating_add(crate::AD.len() + crate::MAC_BYTES);
    let end = geometry.header_length.saturating_sub(fixed).saturating_add(crate::AD.len());
    let mut elements: [&[u8]; BATCH_MAX] = [&[]; BATCH_MAX];
    for (packets, tags) in packets.chunks(BATCH_MAX).zip(tags.chunks_mut(BATCH_MAX)) {
        for (element, packet) in elements.iter_mut().zip(packets) {
            *element = packet.get(crate::AD.len()..end).unwrap_or_default();
        }
        sha512_256_batch(&elements[..packets.len()], tags);
    }
}
