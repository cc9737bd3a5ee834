//! Who may take part: the listed nodes and replicas with their key files, and the layers (pki.md 13.1).

use super::numbers::Layout;
use super::raw;
use crate::finding::{Findings, Place};
use crate::keys::read_public_key;
use crate::names::{NAME_BYTES_MAX, normalise_identifier};
use crate::reader::At;
use crate::schemes::SignatureScheme;
use crate::server::node::required;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// A node that may take part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListedNode {
    /// Its name, as its descriptors must say it.
    pub identifier: String,
    /// Its identity key.
    pub identity_key: Vec<u8>,
}

/// A replica that may take part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListedReplica {
    /// Its name, as its descriptors must say it.
    pub identifier: String,
    /// Its identity key.
    pub identity_key: Vec<u8>,
    /// Its number.
    pub id: u8,
}

/// Who may take part, and in which layer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Members {
    /// The mixes.
    pub mixes: Vec<ListedNode>,
    /// The gateways.
    pub gateways: Vec<ListedNode>,
    /// The service nodes.
    pub service_nodes: Vec<ListedNode>,
    /// The replicas.
    pub replicas: Vec<ListedReplica>,
    /// Identity keys by layer, in the order of the file; none where layers are drawn.
    pub topology: Option<Vec<Vec<Vec<u8>>>>,
}

/// What all of it is checked against.
pub struct Context<'a> {
    /// Where relative paths start.
    pub data_dir: &'a Path,
    /// The scheme of identity keys.
    pub scheme: SignatureScheme,
    /// How many mixes there must be.
    pub layout: Layout,
}

/// The members, or none after findings.
pub fn check(raw: &raw::Root, context: &Context<'_>, findings: &mut Findings) -> Option<Members> {
    let mut seen = Seen::default();
    let mut nodes = |written: &Option<At<Vec<raw::Node>>>, findings: &mut Findings| {
        let written = written.as_ref().map(|at| at.value.as_slice()).unwrap_or_default();
        let all: Vec<_> = written.iter().map(|node| check_node(node, context, &mut seen, findings)).collect();
        all.into_iter().collect::<Option<Vec<_>>>()
    };
    let mixes = nodes(&raw.mixes, findings);
    let gateways = nodes(&raw.gateway_nodes, findings);
    let service_nodes = nodes(&raw.service_nodes, findings);
    let lists = [("GatewayNodes", &raw.gateway_nodes, "gateway"), ("ServiceNodes", &raw.service_nodes, "service node")];
    for (key, written, kind) in lists {
        if written.as_ref().is_none_or(|at| at.value.is_empty()) {
            let place = written.as_ref().map_or_else(|| Place::absent(key), |at| at.place.clone());
            findings.error("no-member", &place, format!("lists no {kind}"), format!("list one as [[{key}]]"));
        }
    }
    check_count(raw, context.layout, findings);
    let replicas = check_replicas(raw, context, findings);
    let topology = match &raw.topology {
        None => Some(None),
        Some(at) => check_topology(&at.value, mixes.as_deref(), context, findings).map(Some),
    };
    Some(Members {
        mixes: mixes?,
        gateways: gateways?,
        service_nodes: service_nodes?,
        replicas: replicas?,
        topology: topology?,
    })
}

fn check_count(raw: &raw::Root, layout: Layout, findings: &mut Findings) {
    let (mixes, place) = match &raw.mixes {
        Some(at) => (at.value.len(), at.place.clone()),
        None => (0, Place::absent("Mixes")),
    };
    let least = layout.layers.saturating_mul(layout.nodes_per_layer_min);
    if mixes < least {
        let problem = format!(
            "lists {mixes} mixes; {} layers of at least {} need {least}",
            layout.layers, layout.nodes_per_layer_min
        );
        findings.error("too-few-mixes", &place, problem, "list more, or lower Debug.Layers or Debug.MinNodesPerLayer");
    }
}

/// Names and keys that are taken, with where.
#[derive(Default)]
struct Seen {
    names: BTreeMap<String, String>,
    keys: BTreeMap<Vec<u8>, String>,
}

impl Seen {
    fn note(&mut self, node: &ListedNode, place: &Place, findings: &mut Findings) {
        if let Some(other) = self.names.insert(node.identifier.clone(), place.key.clone()) {
            let problem = format!("has the name '{}' of {other}", node.identifier);
            findings.error("member-doubled", place, problem, "list each node once, under its own name");
        }
        if let Some(other) = self.keys.insert(node.identity_key.clone(), place.key.clone()) {
            let problem = format!("has the identity key of {other}");
            findings.error("member-doubled", place, problem, "list each node once, with its own key");
        }
    }
}

fn check_node(raw: &raw::Node, context: &Context<'_>, seen: &mut Seen, findings: &mut Findings) -> Option<ListedNode> {
    let name = identifier(&raw.identifier, &raw.place, findings);
    let key = identity_key(&raw.identity_public_key_pem, &raw.place, context, findings);
    let node = ListedNode { identifier: name?, identity_key: key? };
    seen.note(&node, &raw.place, findings);
    Some(node)
}

fn check_replicas(raw: &raw::Root, context: &Context<'_>, findings: &mut Findings) -> Option<Vec<ListedReplica>> {
    let written = raw.storage_replicas.as_ref().map(|at| at.value.as_slice()).unwrap_or_default();
    let (mut seen, mut ids) = (Seen::default(), BTreeMap::new());
    let mut check_one = |raw: &raw::Replica| {
        let name = identifier(&raw.identifier, &raw.place, findings);
        let key = identity_key(&raw.identity_public_key_pem, &raw.place, context, findings);
        let (id, place) = match &raw.replica_id {
            Some(at) => (at.value, &at.place),
            None => (0, &raw.place),
        };
        let Ok(id) = u8::try_from(id) else {
            findings.error("replica-id", place, format!("{id} is out of range"), "write a number from 0 to 255");
            return None;
        };
        if let Some(other) = ids.insert(id, raw.place.key.clone()) {
            findings.error(
                "member-doubled",
                place,
                format!("has the ReplicaID {id} of {other}"),
                "give each replica a number of its own",
            );
        }
        let node = ListedNode { identifier: name?, identity_key: key? };
        seen.note(&node, &raw.place, findings);
        Some(ListedReplica { identifier: node.identifier, identity_key: node.identity_key, id })
    };
    let all: Vec<_> = written.iter().map(&mut check_one).collect();
    all.into_iter().collect()
}

fn identifier(written: &Option<At<String>>, owner: &Place, findings: &mut Findings) -> Option<String> {
    let key = format!("{}.Identifier", owner.key);
    let written = required(written.clone(), &key, "is not set", findings)?;
    let normal = normalise_identifier(&written.value).filter(|name| (1..=NAME_BYTES_MAX).contains(&name.len()));
    let Some(name) = normal else {
        let problem = format!("'{}' cannot be the name of a node", written.value);
        let remedy = format!("use letters, digits and single hyphens inside, at most {NAME_BYTES_MAX} bytes");
        findings.error("identifier", &written.place, problem, remedy);
        return None;
    };
    if name != written.value {
        let problem = format!("'{}' is used as '{name}'", written.value);
        findings.warning("identifier-mapped", &written.place, problem, format!("write '{name}'"));
    }
    Some(name)
}

fn identity_key(
    written: &Option<At<String>>,
    owner: &Place,
    context: &Context<'_>,
    findings: &mut Findings,
) -> Option<Vec<u8>> {
    let key = format!("{}.IdentityPublicKeyPem", owner.key);
    let written = required(written.clone(), &key, "is not set", findings)?;
    if written.value.contains('\0') {
        findings.error("path", &written.place, "has a NUL character, which no path has", "remove it");
        return None;
    }
    // As the reference's check: a path that begins with / starts at DataDir too. Ours takes it as absolute.
    let path = context.data_dir.join(&written.value);
    read_public_key(&path, context.scheme)
        .map_err(|problem| {
            let remedy = "put the node's identity.public.pem there; relative paths start at DataDir";
            findings.error("node-key", &written.place, problem, remedy);
        })
        .ok()
}

/// The layers, or none after findings.
fn check_topology(
    raw: &raw::Topology,
    mixes: Option<&[ListedNode]>,
    context: &Context<'_>,
    findings: &mut Findings,
) -> Option<Vec<Vec<Vec<u8>>>> {
    let written = raw.layers.as_ref().map(|at| at.value.as_slice()).unwrap_or_default();
    if written.is_empty() {
        findings.error(
            "no-layer",
            &raw.place,
            "has no layer",
            "list them as [[Topology.Layers]], or remove [Topology]",
        );
        return None;
    }
    let (mut placed, mut layers, mut is_whole) = (BTreeSet::new(), Vec::new(), true);
    for layer in written {
        let nodes = layer.nodes.as_ref().map(|at| at.value.as_slice()).unwrap_or_default();
        if nodes.is_empty() {
            let problem = "has no node: no document with an empty layer is ever valid";
            findings.error("empty-layer", &layer.place, problem, "list its mixes, or remove the layer");
            is_whole = false;
        }
        let mut keys = Vec::new();
        for node in nodes {
            let Some(key) = identity_key(&node.identity_public_key_pem, &node.place, context, findings) else {
                is_whole = false;
                continue;
            };
            if !placed.insert(key.clone()) {
                let problem = "is in the topology twice: no such document is ever valid";
                findings.error("placed-twice", &node.place, problem, "leave each mix in one layer");
                is_whole = false;
            }
            if mixes.is_some_and(|mixes| !mixes.iter().any(|mix| mix.identity_key == key)) {
                let problem = "is not the key of any of [[Mixes]], so that its descriptors are refused";
                findings.warning("not-a-mix", &node.place, problem, "list it under [[Mixes]] too");
            }
            keys.push(key);
        }
        layers.push(keys);
    }
    for mix in mixes.unwrap_or_default().iter().filter(|mix| !placed.contains(&mix.identity_key)) {
        let problem = format!("the mix '{}' is in no layer, and so in no document", mix.identifier);
        findings.warning("not-placed", &raw.place, problem, "add it to a layer, on all authorities alike");
    }
    is_whole.then_some(layers)
}
