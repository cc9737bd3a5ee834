//! What the tests of several modules share.

use crate::commands::RoutingCommand;
use crate::geometry::Geometry;
use crate::path::PathHop;
use crypto_simd::random::Random;
use serde_json::Value;
use vectors::hex;

/// Randomness that a recorded case prescribes. Draws beyond it fail the test.
pub struct Script(pub Vec<u8>);

impl Random for Script {
    fn fill(&mut self, bytes: &mut [u8]) {
        assert!(self.0.len() >= bytes.len(), "more randomness was drawn than the case has");
        bytes.copy_from_slice(&self.0[..bytes.len()]);
        self.0.drain(..bytes.len());
    }
}

/// The derived files of created packets (sphinx.md 16.3).
pub const DERIVED: [&str; 6] = [
    "derived/sphinx_nike_x25519.json",
    "derived/sphinx_nike_x448.json",
    "derived/sphinx_nike_ctidh1024_x25519.json",
    "derived/sphinx_kem_x25519.json",
    "derived/sphinx_kem_xwing.json",
    "derived/sphinx_kem_mlkem768_x25519.json",
];

/// The geometry of a derived file, computed and compared with what the file records.
pub fn geometry(file: &Value) -> Result<Geometry, String> {
    let recorded = &file["geometry"];
    let number = |field: &str| recorded[field].as_u64().map(|number| number as usize).ok_or("not a number");
    let (name, user_bytes, hops) = (text(&file["scheme"]), number("ForwardPayloadLength")?, number("NrHops")?);
    let geometry = match text(&file["kind"]) {
        "NIKE" => Geometry::nike(name, user_bytes, hops, false),
        _ => Geometry::kem(name, user_bytes, hops, false),
    }
    .map_err(|error| error.to_string())?;
    let computed = serde_json::to_value(&geometry).map_err(|error| error.to_string())?;
    for (field, value) in recorded.as_object().into_iter().flatten() {
        same(field, &computed[field], value)?;
    }
    Ok(geometry)
}

/// The path of a derived case.
pub fn path(case: &Value) -> Vec<PathHop> {
    items(&case["hops"])
        .iter()
        .map(|hop| PathHop {
            id: array(&hop["node_id"]),
            public_key: hex(&hop["public"]),
            commands: RoutingCommand::parse_list(&hex(&hop["commands"])).expect("recorded commands parse"),
        })
        .collect()
}

pub fn same<T: PartialEq + std::fmt::Debug>(what: &str, found: &T, expected: &T) -> Result<(), String> {
    if found == expected { Ok(()) } else { Err(format!("{what}: {found:02x?}, expected {expected:02x?}")) }
}

pub fn array<const N: usize>(value: &Value) -> [u8; N] {
    hex(value).try_into().expect("a recorded value has its length")
}

pub fn items(value: &Value) -> &[Value] {
    value.as_array().map(Vec::as_slice).unwrap_or_default()
}

pub fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}
