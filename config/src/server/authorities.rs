//! `[PKI]` (server.md 2.8).

use super::{network, node};
use crate::address::{Address, HostNames, Transport};
use crate::finding::{Findings, Place};
use crate::reader::At;
use crate::schemes::{KemScheme, SignatureScheme, kem_scheme, signature_scheme};
use crate::server::raw;
use crypto_simd::pem;
use crypto_simd::schemes::SchemeError;
use pki::VerifyingKey;

/// What becomes of an address of another that nobody can dial.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Undiallable {
    /// It is an error.
    Refused,
    /// It is left out, as the reference goes on without it; an error under the strict check.
    LeftOut,
}

/// A directory authority.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Authority {
    /// Its name, for logs.
    pub identifier: String,
    /// Scheme of its identity key.
    pub pki_signature_scheme: SignatureScheme,
    /// Its identity key: what its signatures are verified with.
    pub identity_public_key: Vec<u8>,
    /// KEM of its link key.
    pub wire_kem: KemScheme,
    /// Its link key: what a session with it must prove.
    pub link_public_key: Vec<u8>,
    /// Where it is reached.
    pub addresses: Vec<Address>,
}

impl Authority {
    /// What those go by who talk to it.
    pub fn listed(&self) -> Result<pki::authority::Authority, SchemeError> {
        Ok(pki::authority::Authority {
            name: self.identifier.clone(),
            identity: VerifyingKey::new(self.pki_signature_scheme.0, &self.identity_public_key)?,
            link_key: self.link_public_key.clone(),
            addresses: self.addresses.iter().map(|address| address.url().into()).collect(),
        })
    }
}

/// The authorities, or none after findings.
pub fn check(raw: &raw::Pki, names: HostNames, findings: &mut Findings) -> Option<Vec<Authority>> {
    let Some(voting) = &raw.voting else {
        let place = Place { line: raw.place.line, key: "PKI.Voting".into() };
        findings.error("missing-block", &place, "Voting is nil", "list the authorities as [[PKI.Voting.Authorities]]");
        return None;
    };
    let written = voting.value.authorities.as_ref().map(|at| at.value.as_slice()).unwrap_or_default();
    if written.is_empty() {
        let place = Place { line: voting.place.line, key: "PKI.Voting.Authorities".into() };
        findings.error("no-authority", &place, "lists no authority", "list the network's authorities");
        return None;
    }
    check_list(written, names, Undiallable::LeftOut, findings)
}

/// All of them, or none after findings.
pub fn check_list(
    written: &[raw::Authority],
    names: HostNames,
    undiallable: Undiallable,
    findings: &mut Findings,
) -> Option<Vec<Authority>> {
    let authorities: Vec<_> = written.iter().map(|raw| check_one(raw, names, undiallable, findings)).collect();
    report_doubles(written, &authorities, findings);
    authorities.into_iter().collect()
}

fn check_one(
    raw: &raw::Authority,
    names: HostNames,
    undiallable: Undiallable,
    findings: &mut Findings,
) -> Option<Authority> {
    let missing = |name: &str, findings: &mut Findings| {
        let place = Place { line: raw.place.line, key: format!("{}.{name}", raw.place.key) };
        findings.error("required", &place, "is missing", "set it; key names have exact letter case here");
    };
    let mut text = |value: &Option<At<String>>, name: &str| {
        if value.is_none() {
            missing(name, findings);
        }
        value.clone()
    };
    let identifier = text(&raw.identifier, "Identifier");
    let identity = text(&raw.identity_public_key, "IdentityPublicKey");
    let signature = text(&raw.pki_signature_scheme, "PKISignatureScheme");
    let link = text(&raw.link_public_key, "LinkPublicKey");
    let kem = text(&raw.wire_kem_scheme, "WireKEMScheme");
    let addresses = match &raw.addresses {
        None => {
            missing("Addresses", findings);
            None
        }
        Some(written) => Some(check_addresses(&written.value, names, undiallable, findings)),
    };
    let signature = signature.and_then(|name| signature_scheme(&name, findings));
    let kem = kem.and_then(|name| kem_scheme(&name, findings));
    let identity = signature
        .zip(identity)
        .and_then(|(scheme, text)| public_key(&text, scheme.info().name, |key| scheme.check_public_key(key), findings));
    let link = kem
        .zip(link)
        .and_then(|(scheme, text)| public_key(&text, scheme.info().name, |key| scheme.check_public_key(key), findings));
    let identifier = identifier.and_then(|at| node::required(Some(at), "Identifier", "is empty", findings));
    Some(Authority {
        identifier: identifier?.value,
        pki_signature_scheme: signature?,
        identity_public_key: identity?,
        wire_kem: kem?,
        link_public_key: link?,
        addresses: addresses?,
    })
}

/// Addresses to dial: those that can be dialled.
pub(crate) fn check_addresses(
    written: &[At<String>],
    names: HostNames,
    undiallable: Undiallable,
    findings: &mut Findings,
) -> Vec<Address> {
    let mut addresses = Vec::new();
    for at in written {
        let parsed = match undiallable {
            Undiallable::Refused => network::parse(at, names, findings),
            Undiallable::LeftOut => network::parse_of_another(at, names, findings),
        };
        let Some(address) = parsed else { continue };
        if matches!(address.value.transport, Transport::Tcp4 | Transport::Tcp6) {
            let problem = format!("'{}' cannot be dialled by the reference", at.value);
            findings.warning("address-family-scheme", &at.place, problem, "use tcp://");
        }
        if address.value.port == 0 {
            let problem = format!("address '{}' has port 0", at.value);
            match undiallable {
                Undiallable::Refused => findings.error("address", &at.place, problem, "write its port"),
                Undiallable::LeftOut => findings.doubt("address", &at.place, problem, "write its port"),
            }
            continue;
        }
        addresses.push(address.value);
    }
    addresses
}

/// A public key in PEM, or none after a finding.
pub(crate) fn public_key(
    text: &At<String>,
    scheme_name: &str,
    check: impl Fn(&[u8]) -> Result<(), SchemeError>,
    findings: &mut Findings,
) -> Option<Vec<u8>> {
    const REMEDY: &str = "copy the PEM text as a whole";
    match pem::decode(&text.value, &pem::public_key_type(scheme_name)) {
        Err(error) => {
            findings.error("public-key", &text.place, error.to_string(), REMEDY);
            None
        }
        Ok(key) => match check(&key) {
            Ok(()) => Some(key),
            Err(error) => {
                findings.error("public-key", &text.place, format!("not a {scheme_name} public key: {error}"), REMEDY);
                None
            }
        },
    }
}

/// Two entries with one identity key would let one signature count twice.
fn report_doubles(written: &[raw::Authority], authorities: &[Option<Authority>], findings: &mut Findings) {
    for (at, authority) in authorities.iter().enumerate() {
        let Some(authority) = authority else { continue };
        let place = &written[at].place;
        let earlier = authorities[..at].iter().flatten();
        for other in earlier {
            if other.identity_public_key == authority.identity_public_key {
                let problem = format!("has the identity key of authority '{}'", other.identifier);
                findings.error("authority-doubled", place, problem, "list each authority once");
            } else if other.identifier == authority.identifier {
                let problem = format!("has the name of another authority, '{}'", other.identifier);
                findings.warning("authority-name-doubled", place, problem, "check that each is listed once");
            }
        }
    }
}
