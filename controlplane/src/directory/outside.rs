//! What the directory worker reaches outside of its process: the wall clock and the authorities.

use super::session::{Caller, Dialler, ExchangeError};
use pki::Epoch;
use pki::authority::{Authority, ConsensusCode, DescriptorCode};
use std::sync::Arc;
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
    /// A caller that says nothing of itself.
    fn anonymous(&self) -> Result<Caller, crypto_simd::schemes::SchemeError>;
}

/// The real one.
#[derive(Clone)]
pub struct Internet {
    dialler: Dialler,
    node: Arc<Caller>,
}

impl Internet {
    /// With the node's own link key and id.
    pub fn new(dialler: Dialler, node: Caller) -> Self {
        Self { dialler, node: Arc::new(node) }
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
        self.dialler.exchange(authority, &self.node, &command, take).await
    }

    async fn fetch(&self, authority: &Authority, caller: &Caller, epoch: Epoch) -> Result<Document, ExchangeError> {
        let command = Command::GetConsensus { epoch: epoch.0, padded: false };
        self.dialler.exchange(authority, caller, &command, consensus_of).await
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
