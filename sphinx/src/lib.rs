//! The Sphinx packet format of Katzenpost: sizes, creation, reply blocks and unwrapping, one packet or a batch.
//!
//! It never does I/O, reads no clock, keeps no replay set and makes no routing decision: bytes, keys and randomness
//! come in as arguments, packets and commands go out.
//!
//! | module | what lives there |
//! |---|---|
//! | [`geometry`] | every size of a network's packets, its validation, hash and TOML |
//! | [`commands`] | what a packet tells one hop |
//! | [`path`] | the hops that a packet is made for |
//! | [`create`] | headers and forward packets |
//! | [`surb`] | single-use reply blocks: making, using, opening the reply |
//! | [`unwrap`] | what a node does: mix keys, replay tags, unwrapping in place |
//! | [`plaintext`] | the content of a forward payload |
//! | `keys`, `layout`, `scheme` | what a shared secret becomes; offsets in a packet; NIKE or KEM by name |
//!
//! A packet for a path of one node, and that node:
//!
//! ```
//! use crypto_simd::{random::OsRandom, schemes::nike};
//! use sphinx::{Geometry, MixKey, PathHop, RoutingCommand, Sphinx, UnwrappedKind, Unwrapper};
//!
//! let sphinx = Sphinx::new(Geometry::nike("x25519", 2000, 5, true)?)?;
//! let key = MixKey::new(sphinx.geometry(), &nike::by_name("x25519")?.generate(&mut OsRandom))?;
//! let commands = vec![RoutingCommand::Recipient([7; sphinx::RECIPIENT_ID_BYTES])];
//! let node = PathHop { id: [1; sphinx::NODE_ID_BYTES], public_key: key.public_key().to_vec(), commands };
//! let payload = vec![42; sphinx.geometry().forward_payload_length];
//! let mut packet = sphinx.new_packet(&[node], &payload, &mut OsRandom)?;
//!
//! let unwrapped = Unwrapper::new(sphinx.geometry(), 1)?.unwrap(&key, &mut packet)?;
//! let UnwrappedKind::Deliver { payload_offset, payload_len } = unwrapped.kind else { panic!("it ends here") };
//! assert_eq!(packet[payload_offset..payload_offset + payload_len], payload);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
#![forbid(unsafe_code)]

pub mod commands;
pub mod create;
pub mod geometry;
mod keys;
mod layout;
pub mod path;
pub mod plaintext;
mod scheme;
pub mod surb;
#[cfg(test)]
mod testing;
pub mod unwrap;

pub use commands::{Commands, NextNode, RoutingCommand};
pub use create::{CreateError, Sphinx};
pub use geometry::{Geometry, GeometryError};
pub use path::PathHop;
pub use scheme::{Scheme, SetupError};
pub use surb::{SurbError, decrypt_surb_payload, write_reply};
pub use unwrap::{MixKey, UnwrapError, UnwrapErrorReason, Unwrapped, UnwrappedKind, Unwrapper, replay_tags};

/// Bytes of a node id: BLAKE2b-256 of the node's identity key.
pub const NODE_ID_BYTES: usize = 32;
/// Bytes of a recipient id: opaque, zero padded by the caller.
pub const RECIPIENT_ID_BYTES: usize = 32;
/// Bytes of the id of a reply block.
pub const SURB_ID_BYTES: usize = 16;
/// Bytes of a replay tag.
pub const REPLAY_TAG_BYTES: usize = 32;
/// Bytes of the header MAC.
pub const MAC_BYTES: usize = 32;
/// Bytes of the zero tag before every payload.
pub const PAYLOAD_TAG_BYTES: usize = 32;

/// The associated data that opens every packet (sphinx.md 2.1).
pub(crate) const AD: [u8; 2] = [0, 0];
