//! What a network is to be like: sizes of packets, schemes, rates.

use crypto_simd::schemes::{Kem, LookupError, Signature, kem, nike};
use pki::voting::Parameters;
use sphinx::Geometry;

/// Everything that the files of a network say besides names, addresses and keys.
#[derive(Clone)]
pub struct Settings {
    /// Sizes of packets.
    pub geometry: Geometry,
    /// KEM of all links.
    pub wire_kem: &'static dyn Kem,
    /// Signatures of the directory.
    pub signature: &'static dyn Signature,
    /// Rates that the authorities put into documents.
    pub rates: Parameters,
    /// Whether authorities place mixes as their files say, instead of dealing them out by lot.
    pub is_topology_fixed: bool,
    /// Loops of the network's own.
    pub decoys: Decoys,
    /// How much is written into logs.
    pub log_level: String,
    /// Whether members are named by hosts, which then need not be addresses.
    pub allow_hostnames: bool,
    /// How late packets may be before a node drops them, in milliseconds; 0 leaves it to each node.
    pub lateness_ms_max: u32,
    /// Whether nodes keep their mix keys over a stop, in their own folders.
    pub keeps_mix_keys: bool,
    /// What stands beside each node's file as `katzensprung.toml`, if anything.
    pub own_file: Option<&'static str>,
}

/// Who sends loops.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Decoys {
    /// Clients.
    pub clients: bool,
    /// Mixes.
    pub mixes: bool,
    /// Gateways.
    pub gateways: bool,
}

/// For nodes that share processors.
pub const SHARED_PROFILE: &str = include_str!("../../hw-profiles/shared.toml");

/// Bytes of the largest payload that a network is made for.
pub const PAYLOAD_BYTES_MAX: usize = 100_000;

/// The geometry for a NIKE or KEM by name, `nike:` or `kem:` before it where both have the name.
pub fn geometry(name: &str, payload_bytes: usize, layers: usize) -> Result<Geometry, String> {
    if !(1..=PAYLOAD_BYTES_MAX).contains(&payload_bytes) {
        return Err(format!("a payload of {payload_bytes} bytes; 1 to {PAYLOAD_BYTES_MAX} can be had"));
    }
    // Gateway and service node are hops too.
    geometry_of_hops(name, payload_bytes, layers + 2)
}

/// The same with so many hops, and any payload.
pub fn geometry_of_hops(name: &str, payload_bytes: usize, hops: usize) -> Result<Geometry, String> {
    let (kind, name) = name.split_once(':').unwrap_or(("", name));
    let is_nike = match kind {
        "nike" => true,
        "kem" => false,
        "" => match (nike::by_name(name), kem::by_name(name)) {
            (Err(LookupError::Unknown { built_in: nikes, .. }), Err(LookupError::Unknown { built_in: kems, .. })) => {
                return Err(format!(
                    "neither a NIKE nor a KEM is called {name:?}; built in are the NIKEs {nikes} and the KEMs {kems}"
                ));
            }
            (nike, _) => !matches!(nike, Err(LookupError::Unknown { .. })),
        },
        other => return Err(format!("'{other}:' is neither nike: nor kem:")),
    };
    let geometry = match is_nike {
        true => Geometry::nike(name, payload_bytes, hops, true),
        false => Geometry::kem(name, payload_bytes, hops, true),
    };
    geometry.map_err(|error| error.to_string())
}
