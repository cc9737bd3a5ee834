//! Roles, and `[ServiceNode]` (server.md 2.11); `[Gateway]` is in `gateway`.

use super::gateway::{self, Gateway};
use super::node::{self, absolute};
use crate::finding::{Findings, Place};
use crate::names::check_endpoint;
use crate::reader::{At, Value};
use crate::server::raw;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// What the node does besides mixing.
#[derive(Clone, Debug, PartialEq)]
pub enum Role {
    /// Nothing: it stands in a mix layer.
    Mix,
    /// Clients connect to it.
    Gateway(Gateway),
    /// Services answer on it.
    ServiceNode(ServiceNode),
}

/// Service role, without the entries that the file disables.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ServiceNode {
    /// Services that are built in.
    pub built_in: Vec<BuiltIn>,
    /// Services that are programs of their own.
    pub plugins: Vec<PluginService>,
    /// The one that tells identity keys, if it is there.
    pub keyserver: Option<Keyserver>,
}

/// The service that tells identity keys (server.md D.4).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Keyserver {
    /// Recipient to which clients write.
    pub endpoint: String,
    /// Absolute path of the file with the keys.
    pub identity_keys: PathBuf,
}

/// A service of the list of those that are built in.
enum Listed {
    BuiltIn(BuiltIn),
    Keyserver(Keyserver),
}

/// A service that is built in, with its endpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BuiltIn {
    /// Kind of service.
    pub service: BuiltInService,
    /// Recipient to which clients write.
    pub endpoint: String,
}

/// Kinds of built-in services (server.md 6.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BuiltInService {
    /// Sends the payload back.
    Echo,
    /// Sends it back too.
    TestDest,
    /// Sends an empty reply (server.md D.4).
    Loop,
}

impl BuiltInService {
    /// Its capability in descriptors.
    pub fn capability(self) -> &'static str {
        match self {
            Self::Echo => "echo",
            Self::TestDest => "testdest",
            Self::Loop => "loop",
        }
    }
}

/// A service that is a program of its own (server.md 6.4).
#[derive(Clone, Debug, PartialEq)]
pub struct PluginService {
    /// Name under which clients find it.
    pub capability: String,
    /// Recipient to which clients write.
    pub endpoint: String,
    /// Path of the program.
    pub command: PathBuf,
    /// Keys and values of its arguments `-<key> <value>`, in the order of the file.
    pub arguments: Vec<(String, String)>,
    /// Data for the descriptor.
    pub advertised: Option<BTreeMap<String, Value>>,
    /// How it is spoken to.
    pub protocol: PluginProtocol,
}

/// Forms of plugins (server.md 6.5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PluginProtocol {
    /// CBOR items over one connection to one process (server.md 6.4).
    Stream {
        /// Whether it is asked for parameters to be published, which the reference never does.
        asks_parameters: bool,
    },
    /// A POST for each request (server.md D.3).
    Http {
        /// So many processes, each with one request at a time.
        processes: u16,
    },
}

/// Most processes of one plugin.
const PROCESSES_MAX: i64 = 64;

/// The role, or none after findings.
pub fn check(
    server: &raw::Server,
    gateway: Option<At<raw::Gateway>>,
    service_node: Option<At<raw::ServiceNode>>,
    data_dir: &Path,
    findings: &mut Findings,
) -> Option<Role> {
    let set = |flag: &Option<At<bool>>| flag.as_ref().is_some_and(|at| at.value);
    let (is_gateway, is_service_node) = (set(&server.is_gateway_node), set(&server.is_service_node));
    let (gateway_known, service_known) =
        (!findings.is_unreadable("Server.IsGatewayNode"), !findings.is_unreadable("Server.IsServiceNode"));
    if let (false, true, Some(at)) = (is_gateway, gateway_known, &gateway) {
        let problem = "config: Gateway block set when not a Gateway";
        findings.error("role-block", &at.place, problem, "set Server.IsGatewayNode = true, or remove [Gateway]");
    }
    if let (false, true, Some(at)) = (is_service_node, service_known, &service_node) {
        let problem = "config: Service node block set when not a Service node";
        findings.error("role-block", &at.place, problem, "set Server.IsServiceNode = true, or remove [ServiceNode]");
    }
    match (is_gateway, is_service_node) {
        (true, true) => {
            let place = server.is_service_node.as_ref().map(|at| at.place.clone()).unwrap_or_default();
            let problem = "the node is both gateway and service node, which no consensus document accepts";
            findings.error("two-roles", &place, problem, "set one of IsGatewayNode and IsServiceNode to false");
            None
        }
        (true, false) => gateway::check(gateway.map(|at| at.value), data_dir, findings).map(Role::Gateway),
        (false, true) => {
            check_services(service_node.map(|at| at.value).unwrap_or_default(), findings).map(Role::ServiceNode)
        }
        (false, false) => Some(Role::Mix),
    }
}

/// What may appear once.
#[derive(Default)]
struct Seen {
    capabilities: BTreeSet<String>,
    endpoints: BTreeSet<String>,
}

/// `Ok(None)` is an entry that the file disables: its names are checked, as the reference checks them.
type Entry<T> = Result<Option<T>, Unusable>;

/// There are findings about the entry.
struct Unusable;

fn check_services(raw: raw::ServiceNode, findings: &mut Findings) -> Option<ServiceNode> {
    let mut seen = Seen::default();
    let built_in: Vec<_> = raw.kaetzchen.map(|at| at.value).unwrap_or_default();
    let listed: Vec<_> = built_in.iter().map(|entry| check_built_in(entry, &mut seen, findings)).collect();
    // Capabilities are unique over both lists, endpoints in each.
    seen.endpoints.clear();
    let plugins = raw.cbor_plugin_kaetzchen.map(|at| at.value).unwrap_or_default();
    let plugins: Vec<_> = plugins.into_iter().map(|entry| check_plugin(entry, &mut seen, findings)).collect();
    let mut node = ServiceNode { plugins: usable(plugins)?, ..ServiceNode::default() };
    for listed in usable(listed)? {
        match listed {
            Listed::BuiltIn(built_in) => node.built_in.push(built_in),
            Listed::Keyserver(keyserver) => node.keyserver = Some(keyserver),
        }
    }
    Some(node)
}

/// The entries that are not disabled; none when one of all is unusable.
fn usable<T>(entries: Vec<Entry<T>>) -> Option<Vec<T>> {
    entries.into_iter().filter_map(Result::transpose).collect::<Result<_, _>>().ok()
}

fn is_set(flag: &Option<At<bool>>) -> bool {
    flag.as_ref().is_some_and(|at| at.value)
}

fn check_built_in(raw: &raw::Kaetzchen, seen: &mut Seen, findings: &mut Findings) -> Entry<Listed> {
    let disabled = is_set(&raw.disable);
    let capability = capability(&raw.capability, &raw.place, seen, findings);
    let endpoint = endpoint(&raw.endpoint, &raw.place, disabled, seen, findings);
    let capability = capability.ok_or(Unusable)?;
    let service = match capability.value.as_str() {
        _ if disabled => return endpoint.map(|_| None).ok_or(Unusable),
        "echo" => BuiltInService::Echo,
        "testdest" => BuiltInService::TestDest,
        "loop" => BuiltInService::Loop,
        "keyserver" => {
            let identity_keys = identity_keys(raw, findings);
            let (Some(endpoint), Some(identity_keys)) = (endpoint, identity_keys) else { return Err(Unusable) };
            return Ok(Some(Listed::Keyserver(Keyserver { endpoint, identity_keys })));
        }
        other => {
            let problem = format!("provider: Kaetzchen: Unsupported capability: '{other}'");
            findings.error(
                "capability-unsupported",
                &capability.place,
                problem,
                "use echo, testdest, loop or keyserver",
            );
            return Err(Unusable);
        }
    };
    Ok(Some(Listed::BuiltIn(BuiltIn { service, endpoint: endpoint.ok_or(Unusable)? })))
}

/// Where the keyserver has its keys.
fn identity_keys(raw: &raw::Kaetzchen, findings: &mut Findings) -> Option<PathBuf> {
    let key = "IdentityKeys";
    let written = raw.config.as_ref().and_then(|at| at.value.get(key));
    match written.map(|at| (&at.value, &at.place)) {
        Some((Value::Text(path), place)) => {
            absolute(path, place, "config: Kaetzchen: keyserver: IdentityKeys", findings)
        }
        Some((_, place)) => {
            findings.error("keyserver-keys", place, "is not a string", "write the path of the file with the keys");
            None
        }
        None => {
            let place = Place { line: raw.place.line, key: format!("{}.Config.{key}", raw.place.key) };
            let problem = "is not set: the keyserver has no keys to tell";
            let remedy = "write the path of a file with a name and a key in each line";
            findings.error("keyserver-keys", &place, problem, remedy);
            None
        }
    }
}

fn check_plugin(raw: raw::CborPluginKaetzchen, seen: &mut Seen, findings: &mut Findings) -> Entry<PluginService> {
    let disabled = is_set(&raw.disable);
    let capability = capability(&raw.capability, &raw.place, seen, findings);
    let endpoint = endpoint(&raw.endpoint, &raw.place, disabled, seen, findings);
    let key = format!("{}.Command", raw.place.key);
    let command = node::required(raw.command, &key, "config: Kaetzchen: Command is invalid", findings);
    let (Some(capability), Some(endpoint), Some(command)) = (capability, endpoint, command) else {
        return Err(Unusable);
    };
    if disabled {
        return Ok(None);
    }
    let advertised = raw.pki_advertized_data.and_then(|at| advertised(at.value, &capability.value, findings));
    let arguments = raw.config.map_or(Some(Vec::new()), |at| arguments(at.value, findings));
    let protocol = protocol(raw.protocol, raw.max_concurrency, raw.ask_parameters, findings);
    Ok(Some(PluginService {
        capability: capability.value,
        endpoint,
        command: command.value.into(),
        arguments: arguments.ok_or(Unusable)?,
        advertised,
        protocol: protocol.ok_or(Unusable)?,
    }))
}

fn protocol(
    name: Option<At<String>>,
    max_concurrency: Option<At<i64>>,
    ask_parameters: Option<At<bool>>,
    findings: &mut Findings,
) -> Option<PluginProtocol> {
    let (place, name) = name.map(|at| (at.place, at.value)).unwrap_or_default();
    match name.as_str() {
        "" | "stream" => Some(PluginProtocol::Stream { asks_parameters: ask_parameters.is_some_and(|at| at.value) }),
        "http" => {
            if let Some(at) = ask_parameters.filter(|at| !at.value) {
                let problem = "has no effect: a plugin that speaks HTTP is always asked for its parameters";
                findings.warning("plugin-parameters", &at.place, problem, "remove it");
            }
            let Some(at) = max_concurrency.filter(|at| at.value != 0) else {
                return Some(PluginProtocol::Http { processes: 1 });
            };
            let processes = u16::try_from(at.value).ok().filter(|_| at.value <= PROCESSES_MAX);
            if processes.is_none() {
                let problem = format!("{} processes of one plugin", at.value);
                let remedy = format!("use a number from 1 to {PROCESSES_MAX}");
                findings.error("plugin-processes", &at.place, problem, remedy);
            }
            processes.map(|processes| PluginProtocol::Http { processes })
        }
        other => {
            let problem = format!("'{other}' is no protocol of plugins");
            findings.error("plugin-protocol", &place, problem, "use stream or http, or remove the key");
            None
        }
    }
}

/// The data under the entry's own capability; the rest is never published.
fn advertised(
    mut by_capability: BTreeMap<String, At<BTreeMap<String, At<Value>>>>,
    capability: &str,
    findings: &mut Findings,
) -> Option<BTreeMap<String, Value>> {
    let own = by_capability.remove(capability);
    for other in by_capability.values() {
        let problem = format!("is not published: it is not under the capability '{capability}'");
        findings.warning("advertised-data-unused", &other.place, problem, "rename or remove it");
    }
    own.map(|own| own.value.into_iter().map(|(key, at)| (key, at.value)).collect())
}

fn capability(
    value: &Option<At<String>>,
    entry: &Place,
    seen: &mut Seen,
    findings: &mut Findings,
) -> Option<At<String>> {
    let key = format!("{}.Capability", entry.key);
    let at = node::required(value.clone(), &key, "config: Kaetzchen: Capability is invalid", findings)?;
    if !seen.capabilities.insert(at.value.clone()) {
        let problem = format!("config: Kaetzchen: '{}' configured multiple times", at.value);
        findings.error("capability-doubled", &at.place, problem, "keep one entry for each capability");
        return None;
    }
    Some(at)
}

fn endpoint(
    value: &Option<At<String>>,
    entry: &Place,
    disabled: bool,
    seen: &mut Seen,
    findings: &mut Findings,
) -> Option<String> {
    let key = format!("{}.Endpoint", entry.key);
    let at = node::required(value.clone(), &key, "config: Kaetzchen: Endpoint is not set", findings)?;
    if let Err(error) = check_endpoint(&at.value) {
        let problem = format!("config: Kaetzchen: Endpoint '{}' {error}", at.value);
        findings.error("endpoint", &at.place, problem, "use lower-case letters and digits, for example +echo");
        return None;
    }
    if !disabled && !seen.endpoints.insert(at.value.clone()) {
        let problem = format!("config: Kaetzchen: Endpoint '{}' configured multiple times", at.value);
        findings.error("endpoint-doubled", &at.place, problem, "give each service an endpoint of its own");
        return None;
    }
    Some(at.value)
}

fn arguments(config: BTreeMap<String, At<Value>>, findings: &mut Findings) -> Option<Vec<(String, String)>> {
    let mut in_file_order: Vec<_> = config.into_iter().collect();
    in_file_order.sort_by_key(|(_, at)| at.place.line);
    let mut arguments = Vec::new();
    let mut complete = true;
    for (key, at) in in_file_order {
        match at.value {
            Value::Text(text) if !text.contains('\0') && !key.contains('\0') => arguments.push((key, text)),
            _ => {
                complete = false;
                findings.error("plugin-argument", &at.place, "is not a string", "put the value in quotes");
            }
        }
    }
    complete.then_some(arguments)
}
