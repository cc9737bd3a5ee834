//! `[PinnedGateways]` and `[VotingAuthority]`.

use super::raw;
use crate::address::{Address, HostNames};
use crate::finding::{Findings, Place};
use crate::reader::At;
use crate::schemes::{KemScheme, SignatureScheme, kem_scheme, signature_scheme};
use crate::server::authorities::{Undiallable, check_addresses, check_list, public_key};
use crate::server::{self, Authority, node};

/// A gateway that the file names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PinnedGateway {
    /// Its name.
    pub name: String,
    /// Scheme of its identity key.
    pub pki_signature_scheme: SignatureScheme,
    /// Its identity key, whose hash it must send in the handshake.
    pub identity_public_key: Vec<u8>,
    /// Its link key, which it must prove to have.
    pub link_public_key: Vec<u8>,
    /// Where it is reached.
    pub addresses: Vec<Address>,
}

/// The gateways, or none after findings.
pub fn pinned(
    raw: &raw::PinnedGateways,
    wire_kem: Option<KemScheme>,
    names: HostNames,
    findings: &mut Findings,
) -> Option<Vec<PinnedGateway>> {
    let written = raw.gateways.as_ref().map(|at| at.value.as_slice()).unwrap_or_default();
    if written.is_empty() {
        let place = Place { line: raw.place.line, key: "PinnedGateways.Gateways".into() };
        findings.error("no-gateway", &place, "lists no gateway", "list at least one of the network's gateways");
        return None;
    }
    let gateways: Vec<_> = written.iter().map(|raw| check_one(raw, wire_kem, names, findings)).collect();
    gateways.into_iter().collect()
}

fn check_one(
    raw: &raw::PinnedGateway,
    wire_kem: Option<KemScheme>,
    names: HostNames,
    findings: &mut Findings,
) -> Option<PinnedGateway> {
    let key = |name: &str| format!("{}.{name}", raw.place.key);
    let mut text =
        |value: &Option<At<String>>, name: &str| node::required(value.clone(), &key(name), "is not set", findings);
    let name = text(&raw.name, "Name");
    let (signature, identity) =
        (text(&raw.pki_signature_scheme, "PKISignatureScheme"), text(&raw.identity_key, "IdentityKey"));
    let (kem, link) = (text(&raw.wire_kem_scheme, "WireKEMScheme"), text(&raw.link_key, "LinkKey"));
    let signature = signature.and_then(|name| signature_scheme(&name, findings));
    let written_kem = kem;
    let kem = written_kem.as_ref().and_then(|name| kem_scheme(name, findings));
    if let (Some(written), Some(kem), Some(network)) = (&written_kem, kem, wire_kem)
        && kem != network
    {
        let problem = format!("'{}' is another KEM than the network's '{}'", written.value, network.info().name);
        findings.error("kem-mismatch", &written.place, problem, "all links of a network have one KEM");
    }
    let identity = signature
        .zip(identity)
        .and_then(|(scheme, text)| public_key(&text, scheme.info().name, |key| scheme.check_public_key(key), findings));
    let link = kem
        .zip(link)
        .and_then(|(scheme, text)| public_key(&text, scheme.info().name, |key| scheme.check_public_key(key), findings));
    let addresses = match &raw.addresses {
        Some(written) if !written.value.is_empty() => {
            Some(check_addresses(&written.value, names, Undiallable::Refused, findings))
        }
        written => {
            let place = written.as_ref().map_or_else(|| Place::absent(key("Addresses")), |at| at.place.clone());
            findings.error("no-address", &place, "lists no address", "list where the gateway is reached");
            None
        }
    };
    Some(PinnedGateway {
        name: name?.value,
        pki_signature_scheme: signature?,
        identity_public_key: identity?,
        link_public_key: link?,
        addresses: addresses?,
    })
}

/// The authorities, or none after findings: as in a node's file, but for a key that only an authority itself reads.
pub fn authorities(raw: &raw::VotingAuthority, names: HostNames, findings: &mut Findings) -> Option<Vec<Authority>> {
    let peer = |peer: &raw::Peer| server::raw::Authority {
        place: peer.place.clone(),
        identifier: peer.identifier.clone(),
        identity_public_key: peer.identity_public_key.clone(),
        pki_signature_scheme: peer.pki_signature_scheme.clone(),
        link_public_key: peer.link_public_key.clone(),
        wire_kem_scheme: peer.wire_kem_scheme.clone(),
        addresses: peer.addresses.clone(),
    };
    let written: Vec<_> = raw.peers.iter().flat_map(|at| &at.value).map(peer).collect();
    if written.is_empty() {
        let place = Place { line: raw.place.line, key: "VotingAuthority.Peers".into() };
        findings.error("no-authority", &place, "lists no authority", "list the network's authorities");
        return None;
    }
    check_list(&written, names, Undiallable::LeftOut, findings)
}
