//! The documents that are held, and what is said when one is missing.

use super::clients::{Held, pack};
use super::fetch::Fetch;
use super::{Directory, EpochCounts, MODULE, Nodes, Outside, Plane, Report, Verified};
use crypto_simd::random::OsRandom;
use pki::Epoch;
use pki::authority::Answers;
use pki::document::Consensus;
use pki::neighbours::NeighbourMap;
use pki::policy::View;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::spawn_blocking;

/// Epochs for which the metrics keep a series of their own.
const SERIES_EPOCHS: u64 = 4;

impl<P: Plane, O: Outside> Directory<P, O> {
    pub(super) fn fetch(&self, epoch: Epoch, limit: Duration) {
        let options = self.options.clone();
        let (clock, outside, verifier) = (options.clock, self.outside.clone(), self.verifier.clone());
        let take = move |consensus: Consensus| Verified {
            raw: consensus.raw().clone(),
            left_out: consensus.left_out().to_vec(),
            packed: pack(consensus.raw(), options.client_chunk_bytes),
            map: NeighbourMap::new(&consensus, &options.own).map_err(|error| error.to_string()),
        };
        let work = Fetch { clock, outside, verifier, epoch, limit }.run(take, self.log.clone());
        self.beside(async move { Report::Fetched { epoch, fetched: work.await } });
    }

    pub(super) fn take_document(&mut self, epoch: Epoch, document: Verified) {
        if let Some(first) = document.left_out.first() {
            let (epoch, number) = (epoch.0, document.left_out.len());
            let what = format!("the document of epoch {epoch} lists {number} nodes that nothing can be made of");
            let remedy = "they are left out; tell the authorities' operators";
            self.log.warning(MODULE, format_args!("{what}, the first of them {first}: {remedy}"));
        }
        match document.map {
            Ok(map) => {
                self.count(epoch, |counts| counts.fetched += 1);
                self.documents.insert(epoch, Held { raw: document.raw, map, packed: document.packed });
                self.schedule.handle_document(epoch);
                self.log.info(MODULE, format_args!("holding the document of epoch {}", epoch.0));
                self.documents_changed();
            }
            Err(error) => {
                self.count(epoch, |counts| counts.invalid += 1);
                self.schedule.handle_unusable(epoch);
                let epoch = epoch.0;
                self.log
                    .warning(MODULE, format_args!("the document of epoch {epoch} is of no use to this node: {error}"));
                self.tell_clients_of_failure(Epoch(epoch));
            }
        }
    }

    /// Once per epoch it is said that there is no document, and why: without one no peer is let in.
    pub(super) fn take_nothing(&mut self, epoch: Epoch, answers: Answers, said: &BTreeMap<usize, String>) {
        let now = self.now();
        self.count(epoch, |counts| counts.failed_fetch += 1);
        self.schedule.handle_fetch_failed(epoch, answers, &now, &mut OsRandom);
        self.tell_clients_of_failure(epoch);
        if epoch == now.epoch && !self.documents.contains_key(&epoch) && self.missing_told != Some(epoch) {
            self.missing_told = Some(epoch);
            self.log.warning(
                MODULE,
                format_args!("no document of the current epoch {}, so no packets: {}", epoch.0, self.by_name(said)),
            );
        }
    }

    /// Documents that the data plane kept are verified like fetched ones.
    pub(super) async fn take_over_documents(&mut self) {
        let (now, verifier, options) = (self.now(), self.verifier.clone(), self.options.clone());
        let kept = std::mem::take(&mut self.stored.documents);
        let verify = move || {
            let verified = kept.into_iter().filter_map(|(epoch, raw)| {
                let consensus = verifier.verify(Arc::from(raw), Epoch(epoch), now.epoch).ok()?;
                let map = NeighbourMap::new(&consensus, &options.own).ok()?;
                let packed = pack(consensus.raw(), options.client_chunk_bytes);
                Some((Epoch(epoch), Held { raw: consensus.raw().clone(), map, packed }))
            });
            verified.collect()
        };
        // It fails only where the runtime ends.
        self.documents = spawn_blocking(verify).await.unwrap_or_default();
        for epoch in self.documents.keys() {
            self.schedule.handle_document(*epoch);
        }
        if !self.documents.is_empty() {
            self.documents_changed();
        }
    }

    pub(super) fn prune_documents(&mut self, before: Epoch) {
        let held = self.documents.len();
        self.documents.retain(|epoch, _| *epoch >= before);
        if self.documents.len() != held {
            self.documents_changed();
        }
        self.status().counts.retain(|&epoch, _| epoch.saturating_add(SERIES_EPOCHS) >= before.0);
    }

    pub(super) fn documents_changed(&mut self) {
        let maps = self.documents.values().map(|held| held.map.clone()).collect();
        // Given until they are taken; nobody has to wait.
        drop(self.plane.publish(&View::new(self.options.own.role, maps), self.client_documents()));
        self.stored.documents = self.documents.iter().map(|(epoch, held)| (epoch.0, held.raw.to_vec())).collect();
        self.plane.remember(&self.stored);
        let (epochs, nodes) = (self.documents.keys().map(|epoch| epoch.0).collect(), Nodes::of(&self.documents));
        let mut status = self.status();
        (status.documents, status.nodes) = (epochs, Arc::new(nodes));
    }

    fn count(&self, epoch: Epoch, change: impl FnOnce(&mut EpochCounts)) {
        change(self.status().counts.entry(epoch.0).or_default());
    }
}
