//! The formulas of sphinx.md 3.

use super::{Element, Geometry, GeometryError, NR_HOPS_MAX, USER_FORWARD_PAYLOAD_BYTES_MAX};
use crate::commands::{NEXT_NODE_BYTES, SURB_REPLY_BYTES};
use crate::keys::SPRP_MATERIAL_BYTES;
use crate::{AD, MAC_BYTES, NODE_ID_BYTES, PAYLOAD_TAG_BYTES};

/// Bytes of flags before the content of a forward payload.
pub(crate) const PLAINTEXT_HEADER_BYTES: usize = 2;

/// Refuses what would leave the range of sizes.
pub(super) fn check_inputs(user_bytes: usize, nr_hops: usize) -> Result<(), GeometryError> {
    if nr_hops == 0 {
        return Err(GeometryError::Zero { field: "NrHops" });
    }
    if nr_hops > NR_HOPS_MAX {
        return Err(GeometryError::TooLarge { field: "NrHops", found: nr_hops, max: NR_HOPS_MAX });
    }
    if user_bytes > USER_FORWARD_PAYLOAD_BYTES_MAX {
        let max = USER_FORWARD_PAYLOAD_BYTES_MAX;
        return Err(GeometryError::TooLarge { field: "UserForwardPayloadLength", found: user_bytes, max });
    }
    Ok(())
}

/// All sizes, without names. The inputs have passed [`check_inputs`].
pub(super) fn compute(element: Element, user_bytes: usize, nr_hops: usize, with_surb: bool) -> Geometry {
    let commands = NEXT_NODE_BYTES + SURB_REPLY_BYTES;
    let (element_bytes, per_hop) = match element {
        Element::Nike(info) => (info.public_key_bytes, commands),
        // The ciphertext for the next hop travels beside the commands.
        Element::Kem(info) => (info.ciphertext_bytes, commands + info.ciphertext_bytes),
    };
    let routing_info = per_hop * nr_hops;
    let header = AD.len() + element_bytes + routing_info + MAC_BYTES;
    let surb = header + NODE_ID_BYTES + SPRP_MATERIAL_BYTES;
    let forward_payload = if with_surb { user_bytes + PLAINTEXT_HEADER_BYTES + surb } else { user_bytes };
    Geometry {
        packet_length: header + PAYLOAD_TAG_BYTES + forward_payload,
        nr_hops,
        header_length: header,
        routing_info_length: routing_info,
        per_hop_routing_info_length: per_hop,
        surb_length: surb,
        sphinx_plaintext_header_length: PLAINTEXT_HEADER_BYTES,
        payload_tag_length: PAYLOAD_TAG_BYTES,
        forward_payload_length: forward_payload,
        user_forward_payload_length: user_bytes,
        next_node_hop_length: NEXT_NODE_BYTES,
        sprp_key_material_length: SPRP_MATERIAL_BYTES,
        nike_name: String::new(),
        kem_name: String::new(),
    }
}
