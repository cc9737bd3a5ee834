//! What others may see of the directory worker.

use std::collections::BTreeMap;

/// Counters of the directory worker by epoch (server.md 10.2).
#[derive(Clone, Copy, Debug, Default)]
pub struct EpochCounts {
    /// Documents fetched and cached.
    pub fetched: u64,
    /// Fetches that brought nothing.
    pub failed_fetch: u64,
    /// Documents that this node cannot go by.
    pub invalid: u64,
}

/// A copy of its state.
#[derive(Clone, Debug, Default)]
pub struct DirectoryStatus {
    /// Counters by epoch, of a few epochs.
    pub counts: BTreeMap<u64, EpochCounts>,
    /// Epochs whose documents are held.
    pub documents: Vec<u64>,
    /// The last epoch for which an upload was attempted.
    pub attempted: Option<u64>,
    /// The last epoch whose upload enough authorities accepted.
    pub published: Option<u64>,
}

impl DirectoryStatus {
    /// The last epoch in which the node may be advertised.
    pub fn last_advertised(&self) -> Option<u64> {
        self.attempted.max(self.documents.last().copied())
    }
}
