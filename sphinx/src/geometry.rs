//! Geometry: every size of a network's packets (sphinx.md 3).

mod hash;
mod size;
#[cfg(test)]
mod tests;

use crypto_simd::schemes::{LookupError, kem, nike};
use serde::{Deserialize, Serialize};

/// Hops that a geometry may have. The reference has no limit; this one keeps sizes in range.
pub const NR_HOPS_MAX: usize = 64;
/// Bytes of user payload that a geometry may have; keeps sizes in range.
pub const USER_FORWARD_PAYLOAD_BYTES_MAX: usize = 1 << 26;

/// The sizes of a network's packets, in bytes, under the reference's names. All numbers stand in the configuration
/// file; [`Geometry::validate`] recomputes them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Geometry {
    /// Bytes of a whole packet.
    #[serde(rename = "PacketLength")]
    pub packet_length: usize,
    /// Hops of the longest path.
    #[serde(rename = "NrHops")]
    pub nr_hops: usize,
    /// Bytes of the header.
    #[serde(rename = "HeaderLength")]
    pub header_length: usize,
    /// Bytes of the encrypted routing information.
    #[serde(rename = "RoutingInfoLength")]
    pub routing_info_length: usize,
    /// Bytes of routing information that one hop consumes.
    #[serde(rename = "PerHopRoutingInfoLength")]
    pub per_hop_routing_info_length: usize,
    /// Bytes of a single-use reply block.
    #[serde(rename = "SURBLength")]
    pub surb_length: usize,
    /// Bytes of flags before the content of a forward payload.
    #[serde(rename = "SphinxPlaintextHeaderLength")]
    pub sphinx_plaintext_header_length: usize,
    /// Bytes of the zero tag before the payload.
    #[serde(rename = "PayloadTagLength")]
    pub payload_tag_length: usize,
    /// Bytes of a forward payload: user payload and, in networks with replies, flags and reply block.
    #[serde(rename = "ForwardPayloadLength")]
    pub forward_payload_length: usize,
    /// Bytes that a user may send in one packet.
    #[serde(rename = "UserForwardPayloadLength")]
    pub user_forward_payload_length: usize,
    /// Bytes of a next_node command.
    #[serde(rename = "NextNodeHopLength")]
    pub next_node_hop_length: usize,
    /// Bytes of key and IV of the payload cipher.
    #[serde(rename = "SPRPKeyMaterialLength")]
    pub sprp_key_material_length: usize,
    /// Name of the NIKE, empty in KEM networks. Its spelling enters the hash.
    #[serde(rename = "NIKEName")]
    pub nike_name: String,
    /// Name of the KEM, empty in NIKE networks. Its spelling enters the hash.
    #[serde(rename = "KEMName")]
    pub kem_name: String,
}

/// What is wrong with a geometry.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum GeometryError {
    /// Neither a NIKE nor a KEM is named.
    #[error("NIKEName and KEMName are both empty; name one scheme")]
    NoScheme,
    /// Both a NIKE and a KEM are named.
    #[error("NIKEName and KEMName are both set; name one scheme")]
    TwoSchemes,
    /// The name is not registered.
    #[error("{field}: {source}")]
    UnknownScheme {
        /// The reference's name of the field.
        field: &'static str,
        /// What the registry says.
        source: LookupError,
    },
    /// A size that must be positive is zero or missing.
    #[error("{field} is 0 or missing")]
    Zero {
        /// The reference's name of the field.
        field: &'static str,
    },
    /// A size is beyond what this implementation accepts.
    #[error("{field} is {found}, more than {max}")]
    TooLarge {
        /// The reference's name of the field.
        field: &'static str,
        /// The value in the geometry.
        found: usize,
        /// The largest accepted value.
        max: usize,
    },
    /// A size does not follow from scheme, hops and user payload.
    #[error("{field} is {found}, must be {expected}")]
    Mismatch {
        /// The reference's name of the field.
        field: &'static str,
        /// The value in the geometry.
        found: usize,
        /// The recomputed value.
        expected: usize,
    },
}

impl Geometry {
    /// The geometry of a NIKE network. `with_surb` leaves room for a reply block in every forward payload.
    pub fn nike(
        name: &str,
        user_forward_payload_bytes: usize,
        nr_hops: usize,
        with_surb: bool,
    ) -> Result<Self, GeometryError> {
        let names = Self { nike_name: name.into(), ..Self::default() };
        names.sized(user_forward_payload_bytes, nr_hops, with_surb)
    }

    /// The geometry of a KEM network.
    pub fn kem(
        name: &str,
        user_forward_payload_bytes: usize,
        nr_hops: usize,
        with_surb: bool,
    ) -> Result<Self, GeometryError> {
        let names = Self { kem_name: name.into(), ..Self::default() };
        names.sized(user_forward_payload_bytes, nr_hops, with_surb)
    }

    fn sized(self, user_bytes: usize, nr_hops: usize, with_surb: bool) -> Result<Self, GeometryError> {
        size::check_inputs(user_bytes, nr_hops)?;
        let element = self.element()?;
        let mut geometry = size::compute(element, user_bytes, nr_hops, with_surb);
        match element {
            Element::Nike(info) => geometry.nike_name = info.name.into(),
            Element::Kem(info) => geometry.kem_name = info.name.into(),
        }
        Ok(geometry)
    }

    /// Recomputes every derived field from scheme, hops and user payload. Lists everything that is wrong.
    pub fn validate(&self) -> Result<(), Vec<GeometryError>> {
        let mut errors = Vec::new();
        let element = self.element().map_err(|error| errors.push(error)).ok();
        errors.extend(self.zero_fields());
        errors.extend(size::check_inputs(self.user_forward_payload_length, self.nr_hops).err().filter(|error| {
            // A zero is already in the list.
            !matches!(error, GeometryError::Zero { .. })
        }));
        if let (Some(element), true) = (element, errors.is_empty()) {
            errors.extend(self.mismatches(element));
        }
        if errors.is_empty() { Ok(()) } else { Err(errors) }
    }

    fn zero_fields(&self) -> impl Iterator<Item = GeometryError> {
        [
            ("PacketLength", self.packet_length),
            ("NrHops", self.nr_hops),
            ("HeaderLength", self.header_length),
            ("RoutingInfoLength", self.routing_info_length),
            ("PerHopRoutingInfoLength", self.per_hop_routing_info_length),
        ]
        .into_iter()
        .filter(|(_, value)| *value == 0)
        .map(|(field, _)| GeometryError::Zero { field })
    }

    fn mismatches(&self, element: Element) -> Vec<GeometryError> {
        let with_surb = self.forward_payload_length != self.user_forward_payload_length;
        let expected = size::compute(element, self.user_forward_payload_length, self.nr_hops, with_surb);
        self.numbers()
            .into_iter()
            .zip(expected.numbers())
            .filter(|((_, found), (_, expected))| found != expected)
            .map(|((field, found), (_, expected))| GeometryError::Mismatch { field, found, expected })
            .collect()
    }

    /// The table `[SphinxGeometry]` as the reference writes it.
    pub fn to_toml(&self) -> String {
        let mut text = String::from("[SphinxGeometry]\n");
        for (field, value) in self.numbers() {
            text.push_str(&format!("  {field} = {value}\n"));
        }
        for (field, name) in [("NIKEName", &self.nike_name), ("KEMName", &self.kem_name)] {
            // Names of registered schemes need no escaping beyond what a debug string gives.
            text.push_str(&format!("  {field} = {name:?}\n"));
        }
        text
    }

    /// Whether forward payloads have room for a reply block.
    pub fn has_surb(&self) -> bool {
        self.forward_payload_length != self.user_forward_payload_length
    }

    /// Fields in the order in which the reference writes them.
    fn numbers(&self) -> [(&'static str, usize); 12] {
        [
            ("PacketLength", self.packet_length),
            ("NrHops", self.nr_hops),
            ("HeaderLength", self.header_length),
            ("RoutingInfoLength", self.routing_info_length),
            ("PerHopRoutingInfoLength", self.per_hop_routing_info_length),
            ("SURBLength", self.surb_length),
            ("SphinxPlaintextHeaderLength", self.sphinx_plaintext_header_length),
            ("PayloadTagLength", self.payload_tag_length),
            ("ForwardPayloadLength", self.forward_payload_length),
            ("UserForwardPayloadLength", self.user_forward_payload_length),
            ("NextNodeHopLength", self.next_node_hop_length),
            ("SPRPKeyMaterialLength", self.sprp_key_material_length),
        ]
    }

    /// The registered scheme, built in or not.
    fn element(&self) -> Result<Element, GeometryError> {
        match (self.nike_name.as_str(), self.kem_name.as_str()) {
            ("", "") => Err(GeometryError::NoScheme),
            (name, "") => nike::registered()
                .iter()
                .find(|info| info.name.eq_ignore_ascii_case(name))
                .map(Element::Nike)
                .ok_or_else(|| unknown_scheme("NIKEName", nike::by_name(name).err())),
            ("", name) => kem::registered()
                .iter()
                .find(|info| info.name.eq_ignore_ascii_case(name))
                .map(Element::Kem)
                .ok_or_else(|| unknown_scheme("KEMName", kem::by_name(name).err())),
            _ => Err(GeometryError::TwoSchemes),
        }
    }
}

fn unknown_scheme(field: &'static str, source: Option<LookupError>) -> GeometryError {
    match source {
        Some(source) => GeometryError::UnknownScheme { field, source },
        // Registered under another spelling only; the registry and the look-up disagree.
        None => GeometryError::NoScheme,
    }
}

/// What fills the element's place in a packet.
#[derive(Clone, Copy)]
enum Element {
    Nike(&'static nike::NikeInfo),
    Kem(&'static kem::KemInfo),
}
