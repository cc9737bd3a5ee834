//! What does not change while an authority runs.

use super::message::Peer;
use crate::authority::Authorities;
use crate::identity::{NodeId, VerifyingKey, same_scheme_name};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// The voted rates, per millisecond.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Parameters {
    /// Delays at a hop.
    pub mu: f64,
    /// Clients' sending.
    pub lambda_p: f64,
    /// Clients' loops.
    pub lambda_l: f64,
    /// Mixes' loops.
    pub lambda_m: f64,
    /// Couriers' and replicas' decoys.
    pub lambda_r: f64,
}

/// A mix, gateway or service node that may upload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// The pinned name, normalised.
    pub name: String,
    /// The pinned identity key.
    pub identity: VerifyingKey,
}

/// A storage replica that may upload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReplicaMember {
    /// The pinned name, normalised.
    pub name: String,
    /// The pinned identity key.
    pub identity: VerifyingKey,
    /// The pinned number.
    pub replica_id: u8,
}

/// How mixes are put into layers (pki.md 10.9).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Topology {
    /// By configuration: the ids of each layer's mixes in the file's order. The only one that the reference can run.
    Fixed(Vec<Vec<NodeId>>),
    /// By the shared random, into this many layers: for networks whose authorities are all ours.
    Dynamic {
        /// How many.
        layers: usize,
    },
}

/// What does not change while an authority runs. All that goes into documents has to be the same at all authorities.
#[derive(Clone, Debug)]
pub struct Configuration {
    /// All authorities, this one included.
    pub authorities: Arc<Authorities>,
    /// This authority's number among them.
    pub own: usize,
    /// The signature scheme's name as it goes into documents: the canonical spelling (pki.md 5.2).
    pub scheme_text: String,
    /// The rates to vote for.
    pub parameters: Parameters,
    /// Mixes.
    pub mixes: Vec<Member>,
    /// Gateways.
    pub gateways: Vec<Member>,
    /// Service nodes.
    pub service_nodes: Vec<Member>,
    /// Storage replicas.
    pub replicas: Vec<ReplicaMember>,
    /// Layers.
    pub topology: Topology,
    /// The hash of the Sphinx geometry.
    pub geometry_hash: [u8; 32],
    /// Bytes of a mix key in that geometry. A descriptor with others is refused: it is for another geometry. `None`
    /// where the scheme is not known.
    pub mix_key_bytes: Option<usize>,
}
