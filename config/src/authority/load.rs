//! Reading the file, and the order of the checks.

use super::members::{self, Context, Members};
use super::{AuthorityConfig, STORE_FILE, network, numbers, raw, removed};
use crate::finding::{Finding, Findings, Place, Severity};
use crate::keys::{IDENTITY_PUBLIC_FILE, read_public_key};
use crate::program::Program;
use crate::reader::{Reader, Strictness};
use crate::schemes::{KemScheme, SignatureScheme, kem_scheme, signature_scheme};
use crate::server::authorities::Undiallable;
use crate::server::load::{interface_addresses, read_text};
use crate::server::{Authority, LogDestination, authorities, geometry, logging, network as server_network, node};
use std::net::IpAddr;
use std::path::{Path, PathBuf};

/// A usable configuration and what is worth telling about it.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// The checked configuration, defaults filled in.
    pub config: AuthorityConfig,
    /// What is worth telling the operator and does not stop the start.
    pub findings: Vec<Finding>,
}

/// What the configuration is read for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// To run: the keys of all members must be there, and this authority's own.
    Run,
    /// To make this authority's keys: what others have yet to give is not asked for.
    GenerateOnly,
}

/// What the configuration depends on, key files left out.
#[derive(Clone, Debug, Default)]
pub struct Sources {
    /// Path of the file, for findings.
    pub path: PathBuf,
    /// Its text.
    pub text: String,
    /// Addresses of the host's interfaces, for absent `Addresses`.
    pub interfaces: Vec<IpAddr>,
}

impl Sources {
    /// Reads the file and lists the interfaces.
    pub fn read(path: &Path) -> Result<Self, Vec<Finding>> {
        Ok(Self { path: path.to_path_buf(), text: read_text(path)?, interfaces: interface_addresses() })
    }
}

/// The configuration that the sources give, or everything that is wrong with them.
pub fn parse(sources: &Sources, strictness: Strictness, purpose: Purpose) -> Result<Loaded, Vec<Finding>> {
    let mut findings = Findings::of(&sources.path, strictness == Strictness::Strict);
    let config = parse_file(sources, strictness, purpose, &mut findings);
    let findings = findings.into_sorted();
    let failed = findings.iter().any(|finding| finding.severity == Severity::Error);
    match config {
        Some(config) if !failed => Ok(Loaded { config, findings }),
        _ => Err(findings),
    }
}

/// None only together with an error among the findings.
fn parse_file(
    sources: &Sources,
    strictness: Strictness,
    purpose: Purpose,
    findings: &mut Findings,
) -> Option<AuthorityConfig> {
    let root = read(sources, strictness, findings)?;
    let geometry = geometry::required(root.sphinx_geometry.as_ref(), findings);
    let written = root.server.as_ref().and_then(|server| server.value.allow_hostname_addresses.as_ref());
    let names = server_network::host_names(written, server_network::HOST_NAMES_KEY, findings);
    let authorities = check_authorities(&root, names, purpose, findings);
    let debug = root.debug.as_ref().map(|raw| raw.value.clone()).unwrap_or_default();
    let layout = numbers::layout(&debug, findings);
    let parameters = numbers::parameters(root.parameters.as_ref().map(|raw| raw.value.clone()), findings);
    let Some(server) = root.server.as_ref().map(|at| at.value.clone()) else {
        findings.missing_block("Server");
        return None;
    };
    // Each is checked even when an earlier one fails: all findings at once.
    let data_dir = data_dir(&server, findings);
    let network = network::check(&server, &sources.interfaces, findings);
    let (timeouts, peer_retry) = (numbers::timeouts(&server, findings), numbers::peer_retry(&server, findings));
    let dir = data_dir.clone().unwrap_or_default();
    let logging = logging::logging(root.logging.clone().map(|raw| raw.value), &dir, &[&sources.path], findings);
    check_log_file(&root, &logging.destination, &dir, findings);
    let (wire_kem, scheme) = schemes(&server, findings);
    let generate_only =
        purpose == Purpose::GenerateOnly || debug.generate_only.as_ref().is_some_and(|switch| switch.value);
    let members = match (generate_only, &data_dir, scheme) {
        (true, ..) => Some(Members::default()),
        (false, Some(data_dir), Some(scheme)) => {
            let members = members::check(&root, &Context { data_dir, scheme, layout }, findings);
            if let Some(authorities) = &authorities {
                check_self(data_dir, scheme, authorities, findings);
            }
            members
        }
        _ => None,
    };
    if let (Some(members), Some(geometry)) = (&members, &geometry) {
        check_hops(&root, members, layout, geometry, findings);
    }
    Some(AuthorityConfig {
        identifier: server.identifier.map(|at| at.value).unwrap_or_default(),
        wire_kem: wire_kem?,
        pki_signature_scheme: scheme?,
        network: network?,
        data_dir: data_dir?,
        timeouts,
        peer_retry,
        authorities: authorities?,
        logging,
        parameters,
        layout,
        members: members?,
        geometry: geometry?,
        generate_only,
    })
}

/// The tables of the file, or none after findings.
fn read(sources: &Sources, strictness: Strictness, findings: &mut Findings) -> Option<raw::Root> {
    let mut reader = Reader::new::<raw::Root>(&sources.text, strictness, removed::hint, findings);
    let tree = reader.parse(&sources.text)?;
    let is_for_another = |program: &Program| match program {
        Program::Authority => false,
        // An authority's file without its lists looks like a server's.
        Program::Server => tree.get_ref().keys().any(|key| key.get_ref().eq_ignore_ascii_case("PKI")),
        _ => true,
    };
    if let Some(other) = Program::of(tree.get_ref()).filter(is_for_another) {
        let problem = format!("this is {} configuration, not a directory authority's", other.file_kind());
        reader.findings.error("other-program", &Place::default(), problem, "give the authority's authority.toml");
        return None;
    }
    Some(reader.read_root(tree.get_ref()))
}

fn schemes(server: &raw::Server, findings: &mut Findings) -> (Option<KemScheme>, Option<SignatureScheme>) {
    let kem = node::required(server.wire_kem_scheme.clone(), "Server.WireKEMScheme", "is not set", findings);
    let name = server.pki_signature_scheme.clone();
    let signature = node::required(name, "Server.PKISignatureScheme", "is not set", findings);
    if let Some(at) = &signature {
        warn_of_spelling(at, findings);
    }
    (kem.and_then(|name| kem_scheme(&name, findings)), signature.and_then(|name| signature_scheme(&name, findings)))
}

fn check_authorities(
    root: &raw::Root,
    names: crate::address::HostNames,
    purpose: Purpose,
    findings: &mut Findings,
) -> Option<Vec<Authority>> {
    match root.authorities.as_ref().filter(|at| !at.value.is_empty()) {
        Some(written) if written.value.len() == 1 && purpose == Purpose::Run => {
            let problem = "lists one authority, which cannot vote: the protocol needs at least two (pki.md 5.4)";
            findings.error("one-authority", &written.place, problem, "list all authorities of the network");
            None
        }
        Some(written) => authorities::check_list(&written.value, names, Undiallable::Refused, findings),
        None => {
            let place = root.authorities.as_ref().map_or_else(|| Place::absent("Authorities"), |at| at.place.clone());
            let remedy = "list all authorities as [[Authorities]], this one included";
            findings.error("no-authority", &place, "lists no authority", remedy);
            None
        }
    }
}

fn data_dir(server: &raw::Server, findings: &mut Findings) -> Option<PathBuf> {
    let (written, place) = match &server.data_dir {
        Some(at) => (at.value.as_str(), at.place.clone()),
        None => ("", Place::absent("Server.DataDir")),
    };
    node::absolute(written, &place, "config: Authority: DataDir", findings)
}

fn check_log_file(root: &raw::Root, destination: &LogDestination, data_dir: &Path, findings: &mut Findings) {
    let Some(file) = root.logging.as_ref().and_then(|logging| logging.value.file.as_ref()) else { return };
    let own = [STORE_FILE, super::REFERENCE_STORE_FILE].map(|name| data_dir.join(name));
    if matches!(destination, LogDestination::File(path) if own.contains(path)) {
        let problem = format!("'{}' is an authority's store", file.value);
        findings.error("own-file", &file.place, problem, "give another name");
    }
}

/// Documents carry the canonical name, and the reference ends where its own file has another spelling (pki.md 5.2).
fn warn_of_spelling(at: &crate::reader::At<String>, findings: &mut Findings) {
    let Ok(scheme) = crypto_simd::schemes::signature::by_name(&at.value) else { return };
    let canonical = scheme.info().name;
    if canonical != at.value {
        let problem = format!("'{}' is used as '{canonical}', which is what is signed", at.value);
        findings.warning("scheme-spelling", &at.place, problem, format!("write '{canonical}'"));
    }
}

/// This authority's own key must be one of those that are listed.
fn check_self(data_dir: &Path, scheme: SignatureScheme, authorities: &[Authority], findings: &mut Findings) {
    let path = data_dir.join(IDENTITY_PUBLIC_FILE);
    let place = Place::absent("Server.DataDir");
    match read_public_key(&path, scheme) {
        Err(problem) => {
            let remedy = "make this authority's keys with dirauth --generate-only, and list its public keys in a \
                          block [[Authorities]] here and in the files of the others";
            findings.error("own-key", &place, problem, remedy);
        }
        Ok(key) if !authorities.iter().any(|authority| authority.identity_public_key == key) => {
            let problem = format!("the key in {} is not that of any of [[Authorities]]", path.display());
            let remedy = "list this authority too, or give DataDir the folder that has its keys";
            findings.error("own-key", &place, problem, remedy);
        }
        Ok(_) => {}
    }
}

/// A path goes through a gateway, all layers and a service node.
fn check_hops(
    root: &raw::Root,
    members: &Members,
    layout: numbers::Layout,
    geometry: &sphinx::Geometry,
    findings: &mut Findings,
) {
    let (layers, place) = match (&members.topology, &root.topology) {
        (Some(layers), Some(at)) => (layers.len(), at.place.clone()),
        _ => (layout.layers, Place::absent("Debug.Layers")),
    };
    if layers + 2 > geometry.nr_hops {
        let problem = format!(
            "{layers} layers, a gateway and a service node are {} hops; packets have {} (SphinxGeometry.NrHops)",
            layers + 2,
            geometry.nr_hops
        );
        findings.error("too-many-layers", &place, problem, "use fewer layers, or the geometry of a longer path");
    }
}
