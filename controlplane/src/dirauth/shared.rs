//! What listeners and scrapes see of the state machine, renewed by its thread after each step.

use super::metrics::Metrics;
use super::seen::Seen;
use crate::directory::epoch_time;
use crate::metrics::Page;
use pki::voting::{Documents, RoundStatus, State};
use pki::{Epoch, EpochClock};
use std::sync::{Arc, PoisonError, RwLock};

/// What is shared.
pub struct Shared {
    /// Epochs.
    pub clock: EpochClock,
    /// Counters.
    pub metrics: Metrics,
    seen: RwLock<Seen>,
}

impl Shared {
    /// With the documents that were restored.
    pub fn new(clock: EpochClock, metrics: Metrics, documents: Documents) -> Self {
        let seen = Seen { documents, state: None, voting_epoch: Epoch(0), round: RoundStatus::default() };
        Self { clock, metrics, seen: RwLock::new(seen) }
    }

    /// Renews it.
    pub fn show(&self, documents: Documents, state: State, voting_epoch: Epoch, round: RoundStatus) {
        let seen = Seen { documents, state: Some(state), voting_epoch, round };
        *self.seen.write().unwrap_or_else(PoisonError::into_inner) = seen;
    }

    /// A copy. It is whole after every statement, so that a panic elsewhere cannot have torn it.
    pub fn seen(&self) -> Seen {
        self.seen.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// Metrics and probes.
#[derive(Clone)]
pub struct Scraped(pub Arc<Shared>);

impl Page for Scraped {
    fn metrics(&self) -> String {
        self.0.metrics.render(&self.0.seen(), epoch_time(&self.0.clock).epoch)
    }

    fn health(&self) -> Result<(), &'static str> {
        if self.0.seen().state.is_some() { Ok(()) } else { Err("the voting has not begun") }
    }

    fn readiness(&self) -> Result<(), &'static str> {
        let current = epoch_time(&self.0.clock).epoch;
        let is_held = self.0.seen().documents.epochs().any(|epoch| epoch == current);
        if is_held { Ok(()) } else { Err("there is no document for the current epoch") }
    }
}
