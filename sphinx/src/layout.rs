//! Where the parts of a packet lie (sphinx.md 5.1, 5.2).

use crate::geometry::{Geometry, GeometryError};
use crate::{AD, MAC_BYTES};
use std::ops::Range;

/// Offsets of a validated geometry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Layout {
    pub nr_hops: usize,
    /// Group element or ciphertext.
    pub element_bytes: usize,
    /// One hop's fragment.
    pub per_hop_bytes: usize,
    /// The part of a fragment that holds commands; in KEM packets the next ciphertext follows.
    pub command_bytes: usize,
    pub routing_info_bytes: usize,
    pub header_bytes: usize,
    pub forward_payload_bytes: usize,
    pub surb_bytes: usize,
}

impl Layout {
    pub fn new(geometry: &Geometry) -> Result<Self, Vec<GeometryError>> {
        geometry.validate()?;
        // Validation has recomputed these sums, so that nothing underflows.
        let element_bytes = geometry.header_length - AD.len() - geometry.routing_info_length - MAC_BYTES;
        let ciphertext_bytes = if geometry.kem_name.is_empty() { 0 } else { element_bytes };
        Ok(Self {
            nr_hops: geometry.nr_hops,
            element_bytes,
            per_hop_bytes: geometry.per_hop_routing_info_length,
            command_bytes: geometry.per_hop_routing_info_length - ciphertext_bytes,
            routing_info_bytes: geometry.routing_info_length,
            header_bytes: geometry.header_length,
            forward_payload_bytes: geometry.forward_payload_length,
            surb_bytes: geometry.surb_length,
        })
    }

    pub fn element(&self) -> Range<usize> {
        AD.len()..AD.len() + self.element_bytes
    }

    pub fn routing_info(&self) -> Range<usize> {
        let start = self.element().end;
        start..start + self.routing_info_bytes
    }

    /// What the header MAC covers.
    pub fn authenticated(&self) -> Range<usize> {
        0..self.routing_info().end
    }

    pub fn mac(&self) -> Range<usize> {
        self.routing_info().end..self.header_bytes
    }
}
