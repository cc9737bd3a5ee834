//! `[SphinxGeometry]`: the file's numbers into [`sphinx::Geometry`], which recomputes them.

use crate::finding::{Findings, Place};
use crate::reader::At;
use crate::server::raw;
use sphinx::{Geometry, GeometryError};

/// The geometry of a file that must have one, or none after findings.
pub fn required(raw: Option<&At<raw::Geometry>>, findings: &mut Findings) -> Option<Geometry> {
    let Some(raw) = raw else {
        findings.missing_block("SphinxGeometry");
        return None;
    };
    check(&raw.value, findings)
}

fn check(raw: &raw::Geometry, findings: &mut Findings) -> Option<Geometry> {
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
            let only_mismatches = errors.iter().all(|error| matches!(error, GeometryError::Mismatch { .. }));
            match only_mismatches.then(|| the_one_that_is_off(&geometry)).flatten() {
                Some((field, problem)) => {
                    let problem = format!("geometry {problem}: all other sizes follow from that");
                    findings.error("geometry-mismatch", &place_of(raw, field), problem, COPY_IT);
                }
                None => errors.into_iter().for_each(|error| report(error, raw, findings)),
            }
            None
        }
    }
}

const COPY_IT: &str = "copy [SphinxGeometry] from the network's configuration";

/// The one of the values that others depend on which, put right, makes all of them right.
fn the_one_that_is_off(geometry: &Geometry) -> Option<(&'static str, String)> {
    let is_kem = !geometry.kem_name.is_empty();
    let name = if is_kem { &geometry.kem_name } else { &geometry.nike_name };
    let (user, hops) = (geometry.user_forward_payload_length, geometry.nr_hops);
    let reply = geometry.surb_length.saturating_add(geometry.sphinx_plaintext_header_length);
    let mut users =
        [geometry.forward_payload_length.saturating_sub(reply), geometry.forward_payload_length].into_iter();
    if let Some(right) = users.find(|&right| {
        let changed = |sized| Geometry { user_forward_payload_length: user, ..sized };
        sized(is_kem, name, right, hops).any(|sized| *geometry == changed(sized))
    }) {
        return Some(("UserForwardPayloadLength", format!("has UserForwardPayloadLength of {user}, must be {right}")));
    }
    if let Some(right) = (1..=HOPS_TRIED)
        .find(|&right| sized(is_kem, name, user, right).any(|sized| *geometry == Geometry { nr_hops: hops, ..sized }))
    {
        return Some(("NrHops", format!("has NrHops of {hops}, must be {right}")));
    }
    let kems = crypto_simd::schemes::kem::registered().iter().map(|info| info.name);
    let nikes = crypto_simd::schemes::nike::registered().iter().map(|info| info.name);
    let mut names: Box<dyn Iterator<Item = &str>> = if is_kem { Box::new(kems) } else { Box::new(nikes) };
    let right = names.find(|other| {
        let (nike_name, kem_name) = (&geometry.nike_name, &geometry.kem_name);
        let changed = |sized| Geometry { nike_name: nike_name.clone(), kem_name: kem_name.clone(), ..sized };
        sized(is_kem, other, user, hops).any(|sized| *geometry == changed(sized))
    })?;
    let field = if is_kem { "KEMName" } else { "NIKEName" };
    Some((field, format!("has {field} '{name}', must be '{right}' or one with keys of the same length")))
}

/// The geometries of a scheme, with and without reply blocks.
fn sized(is_kem: bool, name: &str, user: usize, hops: usize) -> impl Iterator<Item = Geometry> {
    let make = if is_kem { Geometry::kem } else { Geometry::nike };
    [true, false].into_iter().filter_map(move |with_surb| make(name, user, hops, with_surb).ok())
}

/// More hops than any packet has.
const HOPS_TRIED: usize = 20;

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
        GeometryError::Zero { field } if written_at(raw, field).is_none() => {
            format!("is missing: geometry has {field} of 0")
        }
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
    written_at(raw, field).unwrap_or_else(|| Place { line: raw.place.line, key: format!("SphinxGeometry.{field}") })
}

fn written_at(raw: &raw::Geometry, field: &str) -> Option<Place> {
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
    place.cloned()
}
