//! Reading the files, and the order of the checks.

use super::{ServerConfig, Shutdown, Written, authorities, debug, geometry, logging, network, node, roles};
use crate::finding::{Finding, Findings, Place, Severity};
use crate::program::Program;
use crate::reader::{Reader, Strictness};
use crate::schemes::{kem_scheme, signature_scheme};
use crate::server::own::{self, OwnConfig, Seal};
use crate::server::raw;
use crate::server::removed;
use std::fs::File;
use std::io::Read;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

/// Name of our own file, beside the main one.
pub const OWN_FILE_NAME: &str = "katzensprung.toml";
/// Bytes of the largest file that is read: room for several McEliece keys.
const FILE_BYTES_MAX: u64 = 64 << 20;

/// A usable configuration and what is worth telling about it.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// The checked configuration, defaults filled in.
    pub config: ServerConfig,
    /// What is worth telling the operator and does not stop the start.
    pub findings: Vec<Finding>,
}

/// What the configuration depends on.
#[derive(Clone, Debug, Default)]
pub struct Sources {
    /// Path of the main file, for findings.
    pub path: PathBuf,
    /// Its text.
    pub text: String,
    /// Path and text of our own file.
    pub own: Option<(PathBuf, String)>,
    /// Addresses of the host's interfaces, for absent `Addresses`.
    pub interfaces: Vec<IpAddr>,
}

impl Sources {
    /// Reads both files and lists the interfaces.
    pub fn read(path: &Path) -> Result<Self, Vec<Finding>> {
        let text = read_text(path)?;
        let own_path = path.with_file_name(OWN_FILE_NAME);
        let own = match own_path.symlink_metadata() {
            Ok(_) => {
                let text = read_text(&own_path)?;
                Some((own_path, text))
            }
            Err(_) => None,
        };
        Ok(Self { path: path.to_path_buf(), text, own, interfaces: interface_addresses() })
    }

    fn files(&self) -> Vec<&Path> {
        let own = self.own.iter().map(|(path, _)| path.as_path());
        own.chain([self.path.as_path()]).collect()
    }
}

/// The text of a configuration file, or the finding that there is none.
pub fn read_text(path: &Path) -> Result<String, Vec<Finding>> {
    let finding = |code, problem: String, remedy: &str| Finding {
        severity: Severity::Error,
        code,
        file: path.to_path_buf(),
        line: None,
        key: String::new(),
        problem,
        remedy: remedy.into(),
    };
    let unreadable = |error: std::io::Error| {
        vec![finding("unreadable", format!("cannot be read: {error}"), "check the path and its permissions")]
    };
    let mut bytes = Vec::new();
    // Bounded, because a device has no end.
    let read = File::open(path).and_then(|file| file.take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes));
    read.map_err(unreadable)?;
    if bytes.len() as u64 > FILE_BYTES_MAX {
        let problem = format!("is longer than {FILE_BYTES_MAX} bytes");
        return Err(vec![finding("too-large", problem, "check that it is a configuration file")]);
    }
    String::from_utf8(bytes).map_err(|error| {
        let line = 1 + error.as_bytes()[..error.utf8_error().valid_up_to()].iter().filter(|b| **b == b'\n').count();
        vec![Finding { line: Some(line), ..finding("not-utf8", "is not UTF-8 text".into(), "save it as UTF-8") }]
    })
}

/// Addresses of the host's interfaces.
pub fn interface_addresses() -> Vec<IpAddr> {
    let Ok(interfaces) = nix::ifaddrs::getifaddrs() else { return Vec::new() };
    interfaces
        .filter_map(|interface| {
            let address = interface.address?;
            let v4 = address.as_sockaddr_in().map(|v4| IpAddr::V4(v4.ip()));
            v4.or_else(|| address.as_sockaddr_in6().map(|v6| IpAddr::V6(v6.ip())))
        })
        .collect()
}

/// The configuration that the sources give, or everything that is wrong with them.
pub fn parse(sources: &Sources, strictness: Strictness) -> Result<Loaded, Vec<Finding>> {
    let mut findings = Findings::of(&sources.path, strictness == Strictness::Strict);
    let mut main = parse_main(sources, strictness, &mut findings);
    let mut listed = findings.into_sorted();
    if let Some((path, text)) = &sources.own {
        let mut findings = Findings::new(path);
        let own = own::parse(text, &mut findings);
        if let Some(config) = &mut main {
            override_shutdown(&mut config.shutdown, &own, &mut findings);
            check_seal(&config.shutdown, &own, &mut findings);
            config.own = own;
        }
        listed.extend(findings.into_sorted());
    }
    let failed = listed.iter().any(|finding| finding.severity == Severity::Error);
    match main {
        Some(config) if !failed => Ok(Loaded { config, findings: listed }),
        _ => Err(listed),
    }
}

/// `controlplane.shutdown_withdraw` of our own file goes before `Server.WaitForConsensusExitOnShutdown`.
fn override_shutdown(shutdown: &mut Shutdown, own: &OwnConfig, findings: &mut Findings) {
    match (own.controlplane.shutdown_withdraw, &shutdown) {
        (Some(true), Shutdown::PersistMixKeys(_)) => {
            let problem = "is exclusive with Server.PersistMixKeysOnShutdown = true";
            let place = Place::absent("controlplane.shutdown_withdraw");
            findings.error("exclusive", &place, problem, "set one of the two to false");
        }
        (Some(true), _) => *shutdown = Shutdown::WithdrawFirst,
        (Some(false), Shutdown::WithdrawFirst) => *shutdown = Shutdown::Immediate,
        (Some(false) | None, _) => {}
    }
}

/// What no stop keeps cannot be sealed.
fn check_seal(shutdown: &Shutdown, own: &OwnConfig, findings: &mut Findings) {
    if own.keys.seal != Seal::Off && !matches!(shutdown, Shutdown::PersistMixKeys(_)) {
        let problem = "has no effect: no stop keeps mix keys (Server.PersistMixKeysOnShutdown)";
        let remedy = "set Server.PersistMixKeysOnShutdown = true, or remove it";
        findings.warning("without-effect", &Place::absent("keys.seal"), problem, remedy);
    }
}

/// The main file. None only together with an error among the findings.
fn parse_main(sources: &Sources, strictness: Strictness, findings: &mut Findings) -> Option<ServerConfig> {
    let mut reader = Reader::new::<raw::Root>(&sources.text, strictness, removed::hint, findings);
    let tree = reader.parse(&sources.text)?;
    if let Some(other) = Program::of(tree.get_ref()).filter(|program| *program != Program::Server) {
        let problem = format!("this is {} configuration, not a server's", other.file_kind());
        reader.findings.error("other-program", &Place::default(), problem, "give the node's katzenpost.toml");
        return None;
    }
    let root: raw::Root = reader.read_root(tree.get_ref());
    let geometry = geometry::required(root.sphinx_geometry.as_ref(), findings);
    let written = root.server.as_ref().and_then(|server| server.value.allow_hostname_addresses.as_ref());
    let allow_names = network::host_names(written, network::HOST_NAMES_KEY, findings);
    let authorities = match &root.pki {
        Some(raw) => authorities::check(&raw.value, allow_names, findings),
        None => {
            findings.missing_block("PKI");
            None
        }
    };
    let debug = debug::check(root.debug.map(|raw| raw.value).unwrap_or_default(), findings);
    let Some(server) = root.server else {
        findings.missing_block("Server");
        return None;
    };
    let server = server.value;
    // Each is checked even when an earlier one fails: all findings at once.
    let identifier = node::identifier(&server, findings);
    let data_dir = node::data_dir(&server, findings);
    let network = network::check(&server, &sources.interfaces, findings);
    let shutdown = node::shutdown(&server, findings);
    let dir = data_dir.clone().unwrap_or_default();
    let logging = logging::logging(root.logging.map(|raw| raw.value), &dir, &sources.files(), findings);
    let management = node::management(root.management.map(|raw| raw.value), &dir, &logging, findings);
    let role = roles::check(&server, root.gateway, root.service_node, &dir, findings);
    let wire_kem = node::required(server.wire_kem, "Server.WireKEM", "config: Server: WireKEM is not set", findings)
        .and_then(|name| kem_scheme(&name, findings));
    let pki_signature_scheme = node::required(
        server.pki_signature_scheme,
        "Server.PKISignatureScheme",
        "config: Server: PKISignatureScheme is not set",
        findings,
    )
    .and_then(|name| signature_scheme(&name, findings));
    Some(ServerConfig {
        identifier: identifier?,
        role: role?,
        wire_kem: wire_kem?,
        pki_signature_scheme: pki_signature_scheme?,
        geometry: geometry?,
        network: network?,
        data_dir: data_dir?,
        shutdown,
        logging,
        management,
        authorities: authorities?,
        debug,
        own: OwnConfig::default(),
        own_file: sources.own.as_ref().map(|(path, _)| path.clone()),
        file: sources.path.clone(),
        written: Written::of(&sources.text, sources.own.as_ref().map(|(_, text)| text.as_str())),
    })
}
