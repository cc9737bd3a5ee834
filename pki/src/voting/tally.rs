//! From votes to what a majority of them says (pki.md 10.3).

use super::configuration::{Configuration, Parameters};
use crate::descriptor::{MixDescriptor, ReplicaDescriptor};
use crate::document::Document;
use crate::identity::NodeId;
use std::collections::{BTreeMap, BTreeSet};

/// Nodes by role, each list sorted by id.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Nodes {
    pub(super) mixes: Vec<MixDescriptor>,
    pub(super) gateways: Vec<MixDescriptor>,
    pub(super) service_nodes: Vec<MixDescriptor>,
    pub(super) replicas: Vec<ReplicaDescriptor>,
}

impl Nodes {
    pub(super) fn new(descriptors: Vec<MixDescriptor>, mut replicas: Vec<ReplicaDescriptor>) -> Self {
        let mut descriptors: Vec<_> = descriptors.into_iter().map(|descriptor| (descriptor.id(), descriptor)).collect();
        descriptors.sort_by_key(|(id, _)| *id);
        replicas.sort_by_cached_key(ReplicaDescriptor::id);
        let mut nodes = Self { replicas, ..Self::default() };
        for (_, descriptor) in descriptors {
            match (descriptor.is_gateway_node, descriptor.is_service_node) {
                (true, _) => nodes.gateways.push(descriptor),
                (false, true) => nodes.service_nodes.push(descriptor),
                (false, false) => nodes.mixes.push(descriptor),
            }
        }
        nodes
    }

    /// How many nodes and replicas there are.
    pub(super) fn counts(&self) -> (usize, usize) {
        (self.mixes.len() + self.gateways.len() + self.service_nodes.len(), self.replicas.len())
    }
}

/// What a majority says.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Tally {
    pub(super) nodes: Nodes,
    pub(super) parameters: Parameters,
    /// Nodes and replicas that some votes list, but no majority with the same bytes.
    pub(super) left_out: BTreeSet<NodeId>,
}

/// Why there is no majority.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TallyError {
    /// Too few votes.
    #[error("{held} votes are held, {needed} are needed")]
    Votes {
        /// Votes held, the own one included.
        held: usize,
        /// The threshold.
        needed: usize,
    },
    /// No majority for one set of parameters.
    #[error("no {needed} votes have the same parameters: compare [Parameters] of all authorities")]
    Parameters {
        /// The threshold.
        needed: usize,
    },
}

/// Counts `votes`, each of them once.
pub(super) fn tally(votes: &BTreeMap<NodeId, Document>, configuration: &Configuration) -> Result<Tally, TallyError> {
    let needed = configuration.authorities.threshold();
    if votes.len() < needed {
        return Err(TallyError::Votes { held: votes.len(), needed });
    }
    let parameters = majority_parameters(votes.values(), needed).ok_or(TallyError::Parameters { needed })?;
    let mut nodes = Count::default();
    let mut replicas = Count::default();
    for vote in votes.values() {
        nodes.add(vote.nodes().map(|(_, node)| (node.id(), node.encode(), node)));
        replicas.add(vote.storage_replicas.iter().map(|replica| (replica.id(), replica.encode(), replica)));
    }
    let (nodes, mut left_out) = nodes.split(needed);
    let (replicas, replicas_left_out) = replicas.split(needed);
    left_out.extend(replicas_left_out);
    let nodes = nodes.into_iter().filter(|node| configuration.allows(node)).cloned().collect();
    let replicas = replicas.into_iter().filter(|replica| configuration.allows_replica(replica)).cloned().collect();
    Ok(Tally { nodes: Nodes::new(nodes, replicas), parameters, left_out })
}

/// Votes by the descriptor's bytes.
struct Count<'a, D>(BTreeMap<(NodeId, Vec<u8>), (usize, &'a D)>);

impl<D> Default for Count<'_, D> {
    fn default() -> Self {
        Self(BTreeMap::new())
    }
}

impl<'a, D> Count<'a, D> {
    /// Adds one vote. If it lists a node with different bytes it counts for none of them, so that no descriptors of one
    /// node can both have a majority; an honest vote lists every node once.
    fn add(&mut self, listed: impl Iterator<Item = (NodeId, Vec<u8>, &'a D)>) {
        let mut by_node: BTreeMap<NodeId, Option<(Vec<u8>, &'a D)>> = BTreeMap::new();
        for (id, bytes, descriptor) in listed {
            let is_other = |first: &Option<(Vec<u8>, &D)>| first.as_ref().is_none_or(|(first, _)| *first != bytes);
            match by_node.get_mut(&id) {
                Some(first) if is_other(first) => *first = None,
                Some(_) => {}
                None => {
                    by_node.insert(id, Some((bytes, descriptor)));
                }
            }
        }
        for (id, listed) in by_node {
            if let Some((bytes, descriptor)) = listed {
                self.0.entry((id, bytes)).or_insert((0, descriptor)).0 += 1;
            }
        }
    }

    /// Those with a majority, and the nodes that were listed without one.
    fn split(self, needed: usize) -> (Vec<&'a D>, BTreeSet<NodeId>) {
        let (mut won, mut ids, mut listed) = (Vec::new(), BTreeSet::new(), BTreeSet::new());
        for ((id, _), (count, descriptor)) in self.0 {
            listed.insert(id);
            if count >= needed {
                ids.insert(id);
                won.push(descriptor);
            }
        }
        (won, listed.difference(&ids).copied().collect())
    }
}

fn majority_parameters<'a>(votes: impl Iterator<Item = &'a Document>, needed: usize) -> Option<Parameters> {
    let mut counts: BTreeMap<[u64; 5], usize> = BTreeMap::new();
    for vote in votes {
        let parameters = [vote.mu, vote.lambda_p, vote.lambda_l, vote.lambda_m, vote.lambda_r];
        // Adding zero makes -0 the same as +0.
        *counts.entry(parameters.map(|rate| (rate + 0.0).to_bits())).or_default() += 1;
    }
    let (won, _) = counts.into_iter().find(|(_, count)| *count >= needed)?;
    let [mu, lambda_p, lambda_l, lambda_m, lambda_r] = won.map(f64::from_bits);
    Some(Parameters { mu, lambda_p, lambda_l, lambda_m, lambda_r })
}
