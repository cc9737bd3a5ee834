//! What the directory worker reaches outside of its process: the wall clock and the authorities.

use super::session::{Caller, Dialler, ExchangeError};
use pki::Epoch;
use pki::authority::{Authority, ConsensusCode, DescriptorCode};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use wire::Command;

/// An authority's answer to a request for a document.
pub type Document = (Option<ConsensusCode>, Vec<u8>);

/// The outside.
pub trait Outside: Clone + Send + Sync + 'static {
    /// Wall-clock time since the Unix epoch.
    fn unix(&self) -> Duration;
    /// Posts an upload under the node's own identity.
    fn post(
        &self,
        authority: &Authority,
        epoch: Epoch,
        payload: &[u8],
    ) -> impl Future<Output = Result<DescriptorCode, ExchangeError>> + Send;
    /// Asks for a document without saying who asks. Whoever asks twice in one pass uses the same `caller`.
    fn fetch(
        &self,
        authority: &Authority,
        caller: &Caller,
        epoch: Epoch,
    ) -> impl Future<Output = Result<Document, ExchangeError>> + Send;
    /// How far this host's clock is ahead of each authority's, as far as that is known.
    fn seconds_ahead(&self) -> BTreeMap<String, i64>;
    /// A caller that says nothing of itself.
    fn anonymous(&self) -> Result<Caller, crypto_simd::schemes::SchemeError>;
}

/// Whether each authority answered when it was asked last, by its name.
#[derive(Clone, Debug, Default)]
pub struct Reached(Arc<Mutex<BTreeMap<String, bool>>>);

impl Reached {
    fn note(&self, authority: &Authority, answered: bool) {
        // A map is whole after every insertion, so a panic elsewhere cannot have torn it.
        let mut reached = self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        match reached.get_mut(&authority.name) {
            Some(known) => *known = answered,
            None => drop(reached.insert(authority.name.clone(), answered)),
        }
    }

    /// What is known; authorities that were not asked yet are not there.
    pub fn by_name(&self) -> BTreeMap<String, bool> {
        self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner).clone()
    }
}

/// The real one.
#[derive(Clone)]
pub struct Internet {
    dialler: Dialler,
    node: Arc<Caller>,
    reached: Reached,
}

impl Internet {
    /// With the node's own link key and id.
    pub fn new(dialler: Dialler, node: Caller) -> Self {
        Self { dialler, node: Arc::new(node), reached: Reached::default() }
    }

    /// Who answered; shared with everything that this does.
    pub fn reached(&self) -> Reached {
        self.reached.clone()
    }
}

impl Outside for Internet {
    fn unix(&self) -> Duration {
        SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
    }

    async fn post(&self, authority: &Authority, epoch: Epoch, payload: &[u8]) -> Result<DescriptorCode, ExchangeError> {
        let command = Command::PostDescriptor { epoch: epoch.0, payload };
        let take = |answer: &Command<'_>| match answer {
            Command::PostDescriptorStatus { error_code } => DescriptorCode::from_wire(*error_code),
            _ => None,
        };
        let outcome = self.dialler.exchange(authority, &self.node, &command, take).await;
        self.reached.note(authority, outcome.is_ok());
        outcome
    }

    async fn fetch(&self, authority: &Authority, caller: &Caller, epoch: Epoch) -> Result<Document, ExchangeError> {
        let command = Command::GetConsensus { epoch: epoch.0, padded: false };
        let outcome = self.dialler.exchange(authority, caller, &command, consensus_of).await;
        self.reached.note(authority, outcome.is_ok());
        outcome
    }

    fn seconds_ahead(&self) -> BTreeMap<String, i64> {
        self.dialler.clocks.seconds_ahead()
    }

    fn anonymous(&self) -> Result<Caller, crypto_simd::schemes::SchemeError> {
        Caller::anonymous(self.dialler.kem)
    }
}

pub(super) fn consensus_of(answer: &Command<'_>) -> Option<Document> {
    match answer {
        Command::Consensus { error_code, payload } => Some((ConsensusCode::from_wire(*error_code), payload.to_vec())),
        _ => None,
    }
}
