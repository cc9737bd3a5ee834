//! `[SphinxGeometry]`: the file's numbers into [`sphinx::Geometry`], which recomputes them.

use crate::finding::{Findings, Place};
use crate::reader::At;
use crate::server::raw;
use sphinx::{Geometry, GeometryError};

/// The geometry, or none after findings.
pub fn check(raw: &raw::Geometry, findings: &mut Findings) -> Option<Geometry> {
    let mut negative = false;
    let mut number = |value: &Option<At<i64>>| match value {
        None => 0,
        Some(at) => usize::try_from(at.value).unwrap_or_else(|_| {
            negative = true;
            findings.error("geometry-negative", &at.place, "is negative", COPY_IT);
            0
        }),
    };
    let text = |value: &Option<At<String>>| value.as_ref().map(|at| at.value.clone()).unwrap_or_default();
    let geometry = Geometry {
        packet_length: number(&raw.packet_length),
        nr_hops: number(&raw.nr_hops),
        header_length: number(&raw.header_length),
        routing_info_length: number(&raw.routing_info_length),
        per_hop_routing_info_length: number(&raw.per_hop_routing_info_length),
        surb_length: number(&raw.surb_length),
        sphinx_plaintext_header_length: number(&raw.sphinx_plaintext_header_length),
        payload_tag_length: number(&raw.payload_tag_length),
        forward_payload_length: number(&raw.forward_payload_length),
        user_forward_payload_length: number(&raw.user_forward_payload_length),
        next_node_hop_length: number(&raw.next_node_hop_length),
        sprp_key_material_length: number(&raw.sprp_key_material_length),
        nike_name: text(&raw.nike_name),
        kem_name: text(&raw.kem_name),
    };
    if negative || findings.has_unreadable("SphinxGeometry") {
        return None;
    }
    match geometry.validate() {
        Ok(()) => {
            warn_of_spelling(&geometry, raw, findings);
            Some(geometry)
        }
        Err(errors) => {
            for error in errors {
                report(error, raw, findings);
            }
            None
        }
    }
}

const COPY_IT: &str = "copy [SphinxGeometry] from the network's configuration";

fn report(error: GeometryError, raw: &raw::Geometry, findings: &mut Findings) {
    let whole = raw.place.clone();
    let (code, place) = match &error {
        GeometryError::NoScheme | GeometryError::TwoSchemes => ("geometry-scheme", whole),
        GeometryError::UnknownScheme { field, .. } => ("unknown-scheme", place_of(raw, field)),
        GeometryError::Zero { field } => ("geometry-zero", place_of(raw, field)),
        GeometryError::TooLarge { field, .. } => ("geometry-too-large", place_of(raw, field)),
        GeometryError::Mismatch { field, .. } => ("geometry-mismatch", place_of(raw, field)),
    };
    let problem = match &error {
        GeometryError::NoScheme => "geometry NIKEName or KEMName must be set".into(),
        GeometryError::TwoSchemes => "geometry NIKEName and KEMName must not both be set".into(),
        GeometryError::Zero { field } => format!("geometry has {field} of 0"),
        other => other.to_string(),
    };
    findings.error(code, &place, problem, COPY_IT);
}

/// The name's spelling enters the hash that the consensus carries (sphinx.md 3.3).
fn warn_of_spelling(geometry: &Geometry, raw: &raw::Geometry, findings: &mut Findings) {
    let nike = crypto_simd::schemes::nike::registered().iter().map(|info| info.name);
    let kem = crypto_simd::schemes::kem::registered().iter().map(|info| info.name);
    let (field, written, mut names): (_, _, Box<dyn Iterator<Item = &str>>) = if geometry.kem_name.is_empty() {
        ("NIKEName", &geometry.nike_name, Box::new(nike))
    } else {
        ("KEMName", &geometry.kem_name, Box::new(kem))
    };
    if let Some(canonical) = names.find(|name| name.eq_ignore_ascii_case(written)).filter(|name| name != written) {
        findings.warning(
            "geometry-spelling",
            &place_of(raw, field),
            format!("'{written}' is not the usual spelling, and the spelling enters the geometry's hash"),
            format!("write '{canonical}' unless the whole network writes '{written}'"),
        );
    }
}

fn place_of(raw: &raw::Geometry, field: &str) -> Place {
    let number = match field {
        "PacketLength" => &raw.packet_length,
        "NrHops" => &raw.nr_hops,
        "HeaderLength" => &raw.header_length,
        "RoutingInfoLength" => &raw.routing_info_length,
        "PerHopRoutingInfoLength" => &raw.per_hop_routing_info_length,
        "SURBLength" => &raw.surb_length,
        "SphinxPlaintextHeaderLength" => &raw.sphinx_plaintext_header_length,
        "PayloadTagLength" => &raw.payload_tag_length,
        "ForwardPayloadLength" => &raw.forward_payload_length,
        "UserForwardPayloadLength" => &raw.user_forward_payload_length,
        "NextNodeHopLength" => &raw.next_node_hop_length,
        "SPRPKeyMaterialLength" => &raw.sprp_key_material_length,
        _ => &None,
    };
    let name = match field {
        "NIKEName" => &raw.nike_name,
        "KEMName" => &raw.kem_name,
        _ => &None,
    };
    let place = number.as_ref().map(|at| &at.place).or(name.as_ref().map(|at| &at.place));
    place.cloned().unwrap_or_else(|| Place { line: raw.place.line, key: format!("SphinxGeometry.{field}") })
}
