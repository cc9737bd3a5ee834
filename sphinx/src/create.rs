//! Making packets (sphinx.md 6.1, 6.2, 7.1).

mod header;
mod load;
mod secrets;
#[cfg(test)]
mod tests;

pub use load::{LoadCommand, LoadMaker};

use crate::PAYLOAD_TAG_BYTES;
use crate::commands::CommandError;
use crate::geometry::Geometry;
use crate::keys::PacketKeys;
use crate::layout::Layout;
use crate::path::PathHop;
use crate::scheme::{Scheme, SetupError};
use crypto_simd::random::Random;
use crypto_simd::schemes::SchemeError;

/// Why no packet can be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CreateError {
    /// No hops, or more than the geometry has.
    #[error("a path of {hops} hops; 1 to {max} are possible")]
    PathLength {
        /// Hops of the path.
        hops: usize,
        /// The geometry's number of hops.
        max: usize,
    },
    /// The caller's commands contain a next_node.
    #[error("hop {hop}: next_node is added when the packet is made and must not be given")]
    NextNodeGiven {
        /// Index of the hop.
        hop: usize,
    },
    /// The commands do not fit.
    #[error("hop {hop}: {found} bytes of commands, at most {max} fit")]
    CommandsTooLong {
        /// Index of the hop.
        hop: usize,
        /// Bytes of the caller's commands.
        found: usize,
        /// Bytes that fit.
        max: usize,
    },
    /// The commands would be refused by the hop.
    #[error("hop {hop}: {source}")]
    Commands {
        /// Index of the hop.
        hop: usize,
        /// What the hop would say.
        source: CommandError,
    },
    /// A reply path must end with recipient and surb_reply.
    #[error("the last hop of a reply path needs recipient and surb_reply")]
    NotAReplyPath,
    /// A hop's public key is refused or degenerate.
    #[error("hop {hop}: public key: {source}")]
    PublicKey {
        /// Index of the hop.
        hop: usize,
        /// What the scheme says.
        source: SchemeError,
    },
    /// The scheme refuses the ephemeral key that it made.
    #[error("ephemeral key: {0}")]
    EphemeralKey(SchemeError),
    /// The payload has the wrong length.
    #[error("a payload of {found} bytes, must be {expected}")]
    PayloadLength {
        /// Bytes given.
        found: usize,
        /// The geometry's `ForwardPayloadLength`.
        expected: usize,
    },
    /// The reply block has the wrong length.
    #[error("a reply block of {found} bytes, must be {expected}")]
    SurbLength {
        /// Bytes given.
        found: usize,
        /// The geometry's `SURBLength`.
        expected: usize,
    },
}

/// Makes packets and reply blocks of one geometry.
#[derive(Clone)]
pub struct Sphinx {
    geometry: Geometry,
    pub(crate) layout: Layout,
    scheme: Scheme,
}

impl Sphinx {
    /// Validates the geometry and looks its scheme up.
    pub fn new(geometry: Geometry) -> Result<Self, SetupError> {
        let layout = Layout::new(&geometry)?;
        let scheme = Scheme::of(&geometry)?;
        Ok(Self { geometry, layout, scheme })
    }

    /// The geometry.
    pub fn geometry(&self) -> &Geometry {
        &self.geometry
    }

    /// A forward packet. `payload` has exactly `ForwardPayloadLength` bytes.
    ///
    /// What is drawn from `random`, in this order, determines every byte: in NIKE networks the ephemeral private key, in
    /// KEM networks the encapsulation for each hop; then the filler of paths shorter than the longest.
    pub fn new_packet(
        &self,
        path: &[PathHop],
        payload: &[u8],
        random: &mut dyn Random,
    ) -> Result<Vec<u8>, CreateError> {
        let expected = self.layout.forward_payload_bytes;
        if payload.len() != expected {
            return Err(CreateError::PayloadLength { found: payload.len(), expected });
        }
        let header = self.new_header(path, random)?;
        let mut packet = Vec::with_capacity(header.bytes.len() + PAYLOAD_TAG_BYTES + payload.len());
        packet.extend_from_slice(&header.bytes);
        packet.extend_from_slice(&[0; PAYLOAD_TAG_BYTES]);
        packet.extend_from_slice(payload);
        for keys in header.keys.iter().rev() {
            keys.sprp().encrypt(&mut packet[self.layout.header_bytes..]);
        }
        Ok(packet)
    }

    pub(crate) fn new_header(&self, path: &[PathHop], random: &mut dyn Random) -> Result<Header, CreateError> {
        let max = self.layout.nr_hops;
        if path.is_empty() || path.len() > max {
            return Err(CreateError::PathLength { hops: path.len(), max });
        }
        let commands = header::check_commands(&self.layout, path)?;
        let hops = match self.scheme {
            Scheme::Nike(nike) => secrets::by_nike(nike, path, random)?,
            Scheme::Kem(kem) => secrets::by_kem(kem, path, random)?,
        };
        let bytes = header::assemble(&self.layout, path, commands, &hops, random);
        Ok(Header { bytes, keys: hops.into_iter().map(|hop| hop.keys).collect() })
    }
}

/// A header and the keys of its hops.
pub(crate) struct Header {
    pub bytes: Vec<u8>,
    pub keys: Vec<PacketKeys>,
}
