//! Single-use reply blocks (sphinx.md 5.3, 8).

use crate::commands::RoutingCommand;
use crate::create::{CreateError, Sphinx};
use crate::geometry::Geometry;
use crate::keys::{SPRP_MATERIAL_BYTES, SprpRef};
use crate::path::PathHop;
use crate::{NODE_ID_BYTES, PAYLOAD_TAG_BYTES};
use crypto_simd::random::Random;
use crypto_simd::symmetric::equal;
use zeroize::{Zeroize, Zeroizing};

/// A reply block for the correspondent, and the keys that open the reply.
#[derive(Clone)]
pub struct Surb {
    /// What the correspondent gets.
    pub bytes: Vec<u8>,
    /// What its maker keeps: 64 bytes for each hop and 64 more.
    pub keys: Zeroizing<Vec<u8>>,
}

/// Why a reply cannot be opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SurbError {
    /// The keys are not a positive multiple of 64 bytes.
    #[error("reply block keys of {0} bytes")]
    KeyLength(usize),
    /// The payload is shorter than its tag.
    #[error("truncated payload")]
    Truncated,
    /// The tag is wrong: not a reply to this block, or changed on the way.
    #[error("payload authentication failed")]
    Authentication,
}

impl Sphinx {
    /// A reply block for `path`, whose last hop has recipient and surb_reply.
    ///
    /// Draws from `random` 64 bytes of key material, then what [`Sphinx::new_packet`] draws.
    pub fn new_surb(&self, path: &[PathHop], random: &mut dyn Random) -> Result<Surb, CreateError> {
        if !is_reply_path(path) {
            return Err(CreateError::NotAReplyPath);
        }
        let mut material = Zeroizing::new([0; SPRP_MATERIAL_BYTES]);
        random.fill(&mut *material);
        let header = self.new_header(path, random)?;
        let mut bytes = Vec::with_capacity(self.layout.surb_bytes);
        bytes.extend_from_slice(&header.bytes);
        bytes.extend_from_slice(&path[0].id);
        bytes.extend_from_slice(&*material);
        let mut keys = Zeroizing::new(Vec::with_capacity((path.len() + 1) * SPRP_MATERIAL_BYTES));
        for hop in header.keys.iter().rev() {
            hop.sprp().append_to(&mut keys);
        }
        keys.extend_from_slice(&*material);
        Ok(Surb { bytes, keys })
    }

    /// A reply packet and the id of the node that gets it first. The payload's length is not checked: callers pad
    /// replies with zeros to `ForwardPayloadLength` ([`crate::plaintext::pad_reply`]).
    pub fn new_packet_from_surb(
        &self,
        surb: &[u8],
        payload: &[u8],
    ) -> Result<(Vec<u8>, [u8; NODE_ID_BYTES]), CreateError> {
        let wrong_length = CreateError::SurbLength { found: surb.len(), expected: self.layout.surb_bytes };
        if surb.len() != self.layout.surb_bytes {
            return Err(wrong_length);
        }
        let (header, rest) = surb.split_at(self.layout.header_bytes);
        let (id, material) = rest.split_first_chunk().ok_or(wrong_length)?;
        let material = material.first_chunk().ok_or(wrong_length)?;
        let mut packet = Vec::with_capacity(header.len() + PAYLOAD_TAG_BYTES + payload.len());
        packet.extend_from_slice(header);
        packet.extend_from_slice(&[0; PAYLOAD_TAG_BYTES]);
        packet.extend_from_slice(payload);
        SprpRef::from_material(material).encrypt(&mut packet[header.len()..]);
        Ok((packet, *id))
    }
}

/// Turns a buffer of a packet's length into the reply packet of a reply block, in place: the last `ForwardPayloadLength`
/// bytes of `packet` are the reply with its padding, everything before them is overwritten. Gives the id of the node
/// that gets it first.
pub fn write_reply(geometry: &Geometry, surb: &[u8], packet: &mut [u8]) -> Result<[u8; NODE_ID_BYTES], CreateError> {
    let wrong_length = CreateError::SurbLength { found: surb.len(), expected: geometry.surb_length };
    let header_bytes = geometry.header_length;
    let Some((header, rest)) = surb.split_at_checked(header_bytes) else { return Err(wrong_length) };
    let Some((id, rest)) = rest.split_first_chunk() else { return Err(wrong_length) };
    let Ok(material) = <&[u8; SPRP_MATERIAL_BYTES]>::try_from(rest) else { return Err(wrong_length) };
    let expected = header_bytes + PAYLOAD_TAG_BYTES + geometry.forward_payload_length;
    if packet.len() != expected {
        return Err(CreateError::PayloadLength { found: packet.len(), expected });
    }
    packet[..header_bytes].copy_from_slice(header);
    packet[header_bytes..][..PAYLOAD_TAG_BYTES].fill(0);
    SprpRef::from_material(material).encrypt(&mut packet[header_bytes..]);
    Ok(*id)
}

/// Opens a reply in place: `payload` is what the last hop delivered, tag bytes included. Gives the plaintext. The keys
/// serve once and are wiped in every case.
pub fn decrypt_surb_payload<'p>(payload: &'p mut [u8], keys: &mut [u8]) -> Result<&'p [u8], SurbError> {
    let opened = decrypt(payload, keys);
    keys.zeroize();
    opened.map(|()| &payload[PAYLOAD_TAG_BYTES..])
}

fn decrypt(payload: &mut [u8], keys: &[u8]) -> Result<(), SurbError> {
    let (blocks, rest) = keys.as_chunks::<SPRP_MATERIAL_BYTES>();
    let (Some((last, hops)), []) = (blocks.split_last(), rest) else {
        return Err(SurbError::KeyLength(keys.len()));
    };
    if payload.len() < PAYLOAD_TAG_BYTES {
        return Err(SurbError::Truncated);
    }
    // Every hop deciphered; enciphering undoes that, last hop first.
    for hop in hops {
        SprpRef::from_material(hop).encrypt(payload);
    }
    SprpRef::from_material(last).decrypt(payload);
    let tag_is_zero = equal(&payload[..PAYLOAD_TAG_BYTES], &[0; PAYLOAD_TAG_BYTES]);
    if tag_is_zero { Ok(()) } else { Err(SurbError::Authentication) }
}

fn is_reply_path(path: &[PathHop]) -> bool {
    let Some(last) = path.last() else { return false };
    let has = |wanted: fn(&RoutingCommand) -> bool| last.commands.iter().any(wanted);
    has(|command| matches!(command, RoutingCommand::Recipient(_)))
        && has(|command| matches!(command, RoutingCommand::SurbReply(_)))
}
