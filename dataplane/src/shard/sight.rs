//! What this shard sees of the network and of its own keys, and what it means at this moment.

use super::epoch_view::EpochView;
use crate::link::outgoing::Judge;
use crate::packet::route::Routes;
use crate::shared::{Directory, KeyRing, Shared};
use crate::time::Instant;
use crypto_simd::schemes::KemDecapsulationKey;
use pki::policy::{self, IncomingPeer, PeerCredentials};
use std::sync::Arc;
use std::time::Duration;

/// Documents, keys, and the view of the epoch that follows from them.
pub struct Sight {
    directory: Arc<Directory>,
    directory_seen: u64,
    keys: Arc<KeyRing>,
    keys_seen: u64,
    view: EpochView,
}

/// What a change means for links.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct News {
    /// There is a new document or a new epoch: who could not be reached before may be now.
    pub may_reach_others: bool,
}

impl Sight {
    /// Nothing is seen yet; what is there already is taken over in the first round, like everything that comes later.
    pub fn new(shared: &Shared) -> Self {
        let facts = shared.facts();
        Self {
            directory: Arc::new(Directory::empty(facts.role)),
            directory_seen: u64::MAX,
            keys: Arc::default(),
            keys_seen: u64::MAX,
            view: EpochView::new(facts),
        }
    }

    /// Takes over what was published since the last round, and works out anew what it means when it is time to; none if
    /// nothing has changed.
    pub fn take_over(&mut self, shared: &Shared, unix: Duration) -> Option<News> {
        let directory = shared.directory().newer(&mut self.directory_seen);
        let keys = shared.keys().newer(&mut self.keys_seen);
        if directory.is_none() && keys.is_none() && self.view.holds(unix) {
            return None;
        }
        let (is_new_document, epoch) = (directory.is_some(), self.view.epoch.epoch);
        if let Some(directory) = directory {
            self.directory = directory;
        }
        if let Some(keys) = keys {
            self.keys = keys;
        }
        self.view.renew(shared.facts(), &self.directory, &self.keys, unix);
        Some(News { may_reach_others: is_new_document || self.view.epoch.epoch != epoch })
    }

    /// Whether something was published since [`Sight::take_over`].
    pub fn has_news(&self, shared: &Shared) -> bool {
        shared.directory().is_newer(self.directory_seen) || shared.keys().is_newer(self.keys_seen)
    }

    /// The number of the keys that are used.
    pub fn keys_seen(&self) -> u64 {
        self.keys_seen
    }

    /// Documents and destinations.
    pub fn directory(&self) -> &Directory {
        &self.directory
    }

    /// The same, to be kept for longer than a round.
    pub fn shared_directory(&self) -> &Arc<Directory> {
        &self.directory
    }

    /// The link key; without one there are no handshakes.
    pub fn link_key(&self) -> Option<&Arc<dyn KemDecapsulationKey>> {
        self.keys.link_key.as_ref()
    }

    /// What holds in this part of the epoch.
    pub fn view(&self) -> &EpochView {
        &self.view
    }

    /// When that may change by the clock alone.
    pub fn next_change(&self, now: Instant, unix: Duration) -> Instant {
        now + self.view.until.saturating_sub(unix)
    }

    /// What decides about peers.
    pub fn judge(&self) -> Judge<'_> {
        Judge { view: self.directory.view(), epoch: &self.view.epoch }
    }

    /// The policy's answer about a peer that connected.
    pub fn classify(&self, peer: &wire::PeerCredentials) -> IncomingPeer {
        let peer = PeerCredentials { additional_data: &peer.additional_data, link_key: &peer.public_key };
        policy::classify_incoming(self.directory.view(), peer, &self.view.epoch)
    }

    /// By what packets are routed.
    pub fn routes<'a>(&'a self, shared: &'a Shared) -> Routes<'a> {
        let facts = shared.facts();
        Routes {
            role: facts.role,
            delay_limit: facts.delay_limit(),
            delay_max: self.view.delay_max,
            own_decoys: shared.own_decoys(),
            directory: &self.directory,
            is_open: &self.view.destinations,
        }
    }
}
