//! The data plane as the directory worker sees it.

use crate::keys::MixKeys;
use interplane::snapshot::ClientDocument;
use pki::policy::View;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::pin::Pin;

/// Done once all shards of the data plane go by what they were given; an error says why they do not.
pub type Held = Pin<Box<dyn Future<Output = Result<(), String>> + Send>>;

/// What the data plane is told; the calls come in the order in which the state changes. Nobody has to wait for what they
/// give: what is not held yet is given until it is.
pub trait Plane: Send + 'static {
    /// The live mix keys have changed.
    fn set_keys(&mut self, keys: &MixKeys) -> Held;
    /// The documents have changed, or what clients are told about them.
    fn publish(&mut self, view: &View, for_clients: Vec<ClientDocument>) -> Held;
    /// What a later control plane needs so that it uploads the same bytes and need not fetch again.
    fn remember(&mut self, stored: &Stored);
}

/// What the data plane keeps for the control plane while there is none.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stored {
    /// The last prepared upload: its epoch, its exact bytes, whether enough authorities had accepted it.
    pub upload: Option<(u64, Vec<u8>, bool)>,
    /// Raw documents by epoch.
    pub documents: BTreeMap<u64, Vec<u8>>,
}
