//! The configuration of a client from the reference's `client.toml` (client.md 3.2): what a client needs that connects
//! by itself. What is only there for the daemon and its applications is known, and not used.

mod gateways;
pub mod raw;
pub(crate) mod removed;
#[cfg(test)]
mod tests;

pub use gateways::PinnedGateway;

use crate::finding::{Finding, Findings, Place, Severity};
use crate::program::Program;
use crate::reader::{At, Reader, Strictness};
use crate::schemes::{KemScheme, SignatureScheme, kem_scheme, signature_scheme};
use crate::server::{Authority, geometry, load, logging, network, node};
use std::path::Path;

/// Transports that a client of ours dials, in the order in which it does.
pub const TRANSPORTS: [&str; 4] = ["tcp", "tcp4", "tcp6", "quic"];
/// Transports of the reference that it does not.
const OTHER_TRANSPORTS: [&str; 2] = ["ws", "onion"];

/// What the file says.
#[derive(Clone, Debug)]
pub struct ClientConfig {
    /// KEM of the link protocol.
    pub wire_kem: KemScheme,
    /// Signature scheme of the directory.
    pub pki_signature_scheme: SignatureScheme,
    /// Sizes of the network's packets, checked.
    pub geometry: sphinx::Geometry,
    /// Transports in the order in which a gateway's addresses are tried, at least one of [`TRANSPORTS`].
    pub transports: Vec<String>,
    /// Gateways that are dialled before there is a document, at least one.
    pub gateways: Vec<PinnedGateway>,
    /// The directory authorities, at least one.
    pub authorities: Vec<Authority>,
    /// Whether idle slots stay empty and no loops are sent.
    pub is_decoy_traffic_disabled: bool,
}

/// A usable configuration and what is worth telling about it.
#[derive(Clone, Debug)]
pub struct LoadedClient {
    /// The checked configuration, defaults filled in.
    pub config: ClientConfig,
    /// What is worth telling the user and stops nothing.
    pub findings: Vec<Finding>,
}

impl ClientConfig {
    /// Reads the file at `path`. `Err` holds all findings, at least one of them an error.
    pub fn load(path: &Path, strictness: Strictness) -> Result<LoadedClient, Vec<Finding>> {
        Self::parse(path, &load::read_text(path)?, strictness)
    }

    /// The configuration that `text` gives; `path` is for findings only.
    pub fn parse(path: &Path, text: &str, strictness: Strictness) -> Result<LoadedClient, Vec<Finding>> {
        let mut findings = Findings::of(path, strictness == Strictness::Strict);
        let config = parse(text, strictness, &mut findings);
        let listed = findings.into_sorted();
        let failed = listed.iter().any(|finding| finding.severity == Severity::Error);
        match config {
            Some(config) if !failed => Ok(LoadedClient { config, findings: listed }),
            _ => Err(listed),
        }
    }
}

/// None only together with an error among the findings.
fn parse(text: &str, strictness: Strictness, findings: &mut Findings) -> Option<ClientConfig> {
    let mut reader = Reader::new::<raw::Root>(text, strictness, removed::hint, findings);
    let tree = reader.parse(text)?;
    if let Some(other) = Program::of(tree.get_ref()).filter(|program| *program != Program::ClientDaemon) {
        let problem = format!("this is {} configuration, not a client's", other.file_kind());
        reader.findings.error("other-program", &Place::default(), problem, "give the network's client.toml");
        return None;
    }
    let root: raw::Root = reader.read_root(tree.get_ref());
    refuse_what_cannot_be(&root, findings);
    let names = network::host_names(root.allow_hostname_addresses.as_ref(), "AllowHostnameAddresses", findings);
    // Each is checked even when an earlier one fails: all findings at once.
    let wire_kem = node::required(root.wire_kem_scheme, "WireKEMScheme", "is not set", findings)
        .and_then(|name| kem_scheme(&name, findings));
    let pki_signature_scheme = node::required(root.pki_signature_scheme, "PKISignatureScheme", "is not set", findings)
        .and_then(|name| signature_scheme(&name, findings));
    let geometry = geometry::required(root.sphinx_geometry.as_ref(), findings)
        .zip(root.sphinx_geometry.as_ref())
        .and_then(|(geometry, raw)| has_surb(&geometry, raw, findings).then_some(geometry));
    let transports = transports(root.prefered_transports.as_ref(), findings);
    let gateways = match &root.pinned_gateways {
        Some(raw) => gateways::pinned(&raw.value, wire_kem, names, findings),
        None => missing("PinnedGateways", findings),
    };
    let authorities = match &root.voting_authority {
        Some(raw) => gateways::authorities(&raw.value, names, findings),
        None => missing("VotingAuthority", findings),
    };
    let debug = root.debug.map(|at| at.value).unwrap_or_default();
    if let Some(at) = debug.enable_time_sync.filter(|at| at.value) {
        findings.warning("without-effect", &at.place, "has no effect", "keep the host's clock right");
    }
    Some(ClientConfig {
        wire_kem: wire_kem?,
        pki_signature_scheme: pki_signature_scheme?,
        geometry: geometry?,
        transports: transports?,
        gateways: gateways?,
        authorities: authorities?,
        is_decoy_traffic_disabled: debug.disable_decoy_traffic.is_some_and(|at| at.value),
    })
}

fn missing<T>(block: &str, findings: &mut Findings) -> Option<T> {
    findings.missing_block(block);
    None
}

fn refuse_what_cannot_be(root: &raw::Root, findings: &mut Findings) {
    if let Some(at) = &root.pigeonhole_geometry {
        let problem = "is not read: it follows from [SphinxGeometry]";
        findings.error("pigeonhole-geometry", &at.place, problem, "remove the table");
    }
    let proxy = root.upstream_proxy.as_ref().and_then(|proxy| proxy.value.kind.as_ref());
    if let Some(at) = proxy.filter(|at| !matches!(at.value.to_ascii_lowercase().as_str(), "" | "none")) {
        // Going on without it would show the gateway an address that was to stay hidden.
        let problem = format!("a proxy of type '{}' is not supported in this version", at.value);
        findings.error("not-in-this-version", &at.place, problem, "write \"none\" if a direct connection will do");
    }
    if let Some(at) = root.logging.as_ref().and_then(|logging| logging.value.level.as_ref()) {
        let _for_the_daemon_only = logging::level(at, findings);
    }
    // The reference's daemon does not start without these two; who connects by itself needs neither.
    let listens = |listen: &At<raw::Listen>| {
        let raw::Listen { unix, tcp, ws, .. } = &listen.value;
        unix.is_some() || tcp.is_some() || ws.is_some()
    };
    if !root.listen.as_ref().is_some_and(listens) {
        let place = root.listen.as_ref().map_or_else(|| Place::absent("Listen"), |at| at.place.clone());
        let problem = "transport: no listen transport configured: the reference's daemon does not start";
        findings.doubt("no-listen", &place, problem, "add [Listen.Tcp] with Address = \"127.0.0.1:64331\"");
    }
    if root.upstream_proxy.is_none() {
        let problem = "is not there: the reference's daemon does not start";
        let remedy = "add [UpstreamProxy] with Type = \"none\"";
        findings.doubt("no-proxy-table", &Place::absent("UpstreamProxy"), problem, remedy);
    }
}

fn has_surb(geometry: &sphinx::Geometry, raw: &At<crate::server::raw::Geometry>, findings: &mut Findings) -> bool {
    if !geometry.has_surb() {
        let problem = "its packets have no room for a reply block, without which nothing is answered";
        findings.error("no-surb", &raw.place, problem, "copy [SphinxGeometry] from the network's configuration");
    }
    geometry.has_surb()
}

fn transports(written: Option<&At<Vec<At<String>>>>, findings: &mut Findings) -> Option<Vec<String>> {
    let Some(written) = written.filter(|at| !at.value.is_empty()) else {
        return Some(TRANSPORTS.map(str::to_owned).to_vec());
    };
    let known = TRANSPORTS.iter().chain(&OTHER_TRANSPORTS);
    let mut dialled = Vec::new();
    for at in &written.value {
        let name = at.value.to_ascii_lowercase();
        if TRANSPORTS.contains(&name.as_str()) {
            dialled.push(name);
        } else if OTHER_TRANSPORTS.contains(&name.as_str()) {
            let problem = format!("'{name}' is not dialled in this version");
            findings.warning("not-in-this-version", &at.place, problem, "have tcp or quic in the list too");
        } else {
            let known: Vec<_> = known.clone().copied().collect();
            let problem = format!("unknown transport '{}'", at.value);
            findings.error("transport", &at.place, problem, format!("known are: {}", known.join(", ")));
        }
    }
    if dialled.is_empty() {
        let problem = "names no transport that this version dials";
        findings.error("transport", &written.place, problem, "add \"tcp\" or \"quic\", or remove the key");
    }
    Some(dialled).filter(|dialled| !dialled.is_empty())
}
