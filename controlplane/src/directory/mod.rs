//! The directory worker: carries out what `pki::publish` decides. It makes and prunes mix keys, uploads the
//! descriptor, fetches documents, and tells the data plane of each change.
//!
//! One task owns all state; uploads and fetches run beside it and report back over a channel.

mod codes;
pub mod fetch;
pub mod session;

use crate::keys::MixKeys;
use crate::logging::Log;
use crypto_simd::random::OsRandom;
use crypto_simd::schemes::SignatureSigningKey;
use fetch::Fetched;
use pki::authority::{Authorities, DocumentVerifier};
use pki::descriptor::{LoopStats, MixDescriptor, OwnProfile, SignedUpload};
use pki::document::Consensus;
use pki::neighbours::{NeighbourMap, OwnNode};
use pki::policy::View;
use pki::publish::{Action, StoredUpload, UploadAnswer, UploadOutcome, Worker};
use pki::{Epoch, EpochClock, EpochTime};
use secret_memory::within;
use serde::{Deserialize, Serialize};
use session::{Caller, Dialler};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::sync::{mpsc, watch};
use wire::Command;

const MODULE: &str = "pki";

/// Epochs for which the metrics keep a series of their own.
const SERIES_EPOCHS: u64 = 4;

/// What the data plane is told; both calls come in the order in which the state changes.
pub trait Plane: Send + 'static {
    /// The live mix keys have changed.
    fn set_keys(&mut self, keys: &MixKeys);
    /// The documents have changed.
    fn publish(&mut self, view: &View);
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

/// What others may see of the directory worker.
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

/// What the worker goes by.
pub struct DirectoryOptions {
    /// Epochs.
    pub clock: EpochClock,
    /// Whom to ask.
    pub authorities: Arc<Authorities>,
    /// The hash of the configured geometry.
    pub geometry_hash: [u8; 32],
    /// How to reach them.
    pub dialler: Dialler,
    /// This node as documents must list it.
    pub own: OwnNode,
    /// What its descriptors say besides.
    pub profile: OwnProfile,
    /// The key that signs uploads.
    pub identity: Arc<dyn SignatureSigningKey>,
    /// The node's own link key and id.
    pub caller: Caller,
}

enum Report {
    Uploaded { epoch: Epoch, authority: usize, answer: UploadAnswer },
    Fetched { epoch: Epoch, fetched: Fetched },
}

/// The worker.
pub struct Directory<P> {
    options: Arc<DirectoryOptions>,
    verifier: DocumentVerifier,
    schedule: Worker,
    keys: MixKeys,
    documents: BTreeMap<Epoch, (Arc<[u8]>, NeighbourMap)>,
    stored: Stored,
    status: Arc<Mutex<DirectoryStatus>>,
    plane: P,
    log: Log,
}

impl<P: Plane> Directory<P> {
    /// A worker that goes on from what an earlier one stored, if the keys are still those of then.
    pub fn new(
        options: DirectoryOptions,
        keys: MixKeys,
        stored: Stored,
        status: Arc<Mutex<DirectoryStatus>>,
        plane: P,
        log: Log,
    ) -> Self {
        let upload = stored.upload.as_ref().map(|(epoch, payload, published)| StoredUpload {
            epoch: Epoch(*epoch),
            payload: Arc::from(payload.as_slice()),
            published: *published,
        });
        Self {
            verifier: DocumentVerifier {
                authorities: options.authorities.clone(),
                geometry_hash: options.geometry_hash,
            },
            schedule: Worker::new(options.authorities.list().len(), upload),
            options: Arc::new(options),
            keys,
            documents: BTreeMap::new(),
            stored,
            status,
            plane,
            log,
        }
    }

    /// Works until the future is dropped. `advertising` says whether the node publishes at all.
    pub async fn run(mut self, mut advertising: watch::Receiver<bool>) {
        let (reports, mut reported) = mpsc::unbounded_channel();
        self.take_over_documents();
        loop {
            self.schedule.set_advertising(*advertising.borrow_and_update());
            let now = self.now();
            while let Some(action) = self.schedule.poll(&now, &mut OsRandom) {
                self.act(action, &now, &reports);
            }
            let sleep = self.schedule.next_deadline(&now).saturating_sub(now.unix).max(Duration::from_millis(1));
            tokio::select! {
                () = tokio::time::sleep(sleep) => {}
                Some(report) = reported.recv() => self.take(report),
                changed = advertising.changed() => if changed.is_err() { return },
            }
        }
    }

    fn now(&self) -> EpochTime {
        epoch_time(&self.options.clock)
    }

    fn act(&mut self, action: Action, now: &EpochTime, reports: &mpsc::UnboundedSender<Report>) {
        match action {
            Action::MakeMixKeys { first, .. } => self.make_keys(first),
            Action::PruneMixKeys { before } => {
                if self.keys.prune(before.after(1).0) {
                    self.plane.set_keys(&self.keys);
                }
            }
            Action::PrepareUpload { epoch } => self.prepare(epoch, now),
            Action::Upload { epoch, authority, payload, deadline } => {
                self.upload(epoch, authority, payload, deadline.saturating_sub(now.unix), reports.clone());
            }
            Action::Published { epoch } => {
                if let Some((_, _, published)) = &mut self.stored.upload {
                    *published = true;
                }
                self.plane.remember(&self.stored);
                self.status().published = Some(epoch.0);
                self.log.notice(MODULE, format_args!("Posted descriptor for epoch {}.", epoch.0));
            }
            Action::UploadEnded { epoch, outcome } => self.report_upload(epoch, outcome),
            Action::Fetch { epoch, deadline } => {
                let limit = deadline.saturating_sub(now.unix);
                let work = fetch::fetch(self.options.clone(), self.verifier.clone(), epoch, limit, self.log.clone());
                let reports = reports.clone();
                // The worker may be gone by then; nobody waits for the report.
                tokio::spawn(async move {
                    let fetched = work.await;
                    let _unheard = reports.send(Report::Fetched { epoch, fetched });
                });
            }
            Action::PruneDocuments { before } => self.prune_documents(before),
            Action::Announce { epoch } => {
                self.log.notice(MODULE, format_args!("Going by the document of epoch {}.", epoch.0));
            }
        }
    }

    fn take(&mut self, report: Report) {
        let now = self.now();
        match report {
            Report::Uploaded { epoch, authority, answer } => {
                self.schedule.handle_upload(epoch, authority, answer, &now);
            }
            Report::Fetched { epoch, fetched: Fetched::Document(consensus) } => self.take_document(epoch, &consensus),
            Report::Fetched { epoch, fetched: Fetched::Nothing(answers) } => {
                self.count(epoch, |counts| counts.failed_fetch += 1);
                self.schedule.handle_fetch_failed(epoch, answers, &now, &mut OsRandom);
            }
        }
    }

    fn make_keys(&mut self, first: Epoch) {
        match self.keys.make(first.0, &mut OsRandom) {
            Ok(false) => {}
            Ok(true) => self.plane.set_keys(&self.keys),
            Err(error) => self.log.error(MODULE, format_args!("cannot make mix keys: {error}")),
        }
    }

    fn prepare(&mut self, epoch: Epoch, now: &EpochTime) {
        self.make_keys(epoch);
        self.status().attempted = Some(epoch.0);
        let prepared = self.build_upload(epoch).and_then(|payload| {
            self.stored.upload = Some((epoch.0, payload.to_vec(), false));
            self.plane.remember(&self.stored);
            self.schedule.handle_prepared(epoch, payload, now).map_err(|error| error.to_string())
        });
        if let Err(error) = prepared {
            self.schedule.handle_prepare_failed(epoch, now);
            self.log.error(MODULE, format_args!("cannot publish for epoch {}: {error}", epoch.0));
        }
    }

    fn build_upload(&self, epoch: Epoch) -> Result<Arc<[u8]>, String> {
        let (own, profile) = (&self.options.own, &self.options.profile);
        let mix_keys = self.keys.public_keys(epoch.0).ok_or("a mix key is missing")?;
        let mix_keys = mix_keys.into_iter().map(|(epoch, key)| (Epoch(epoch), key)).collect();
        let descriptor = MixDescriptor::of_node(own, profile, epoch, &mix_keys).map_err(|error| error.to_string())?;
        let stats = LoopStats { epoch, mix_identity_hash: Some(descriptor.id()), segment_ratios: None };
        within(|| SignedUpload::sign(descriptor, stats, self.options.identity.as_ref(), &mut OsRandom))
            .map(|upload| Arc::from(upload.encode()))
            .map_err(|error| error.to_string())
    }

    fn upload(
        &self,
        epoch: Epoch,
        authority: usize,
        payload: Arc<[u8]>,
        limit: Duration,
        reports: mpsc::UnboundedSender<Report>,
    ) {
        let (options, log) = (self.options.clone(), self.log.clone());
        tokio::spawn(async move {
            let command = Command::PostDescriptor { epoch: epoch.0, payload: &payload };
            let target = &options.authorities.list()[authority];
            let take = |answer: &Command<'_>| match answer {
                Command::PostDescriptorStatus { error_code } => codes::of_post(*error_code),
                _ => None,
            };
            let exchange = options.dialler.exchange(target, &options.caller, &command, take);
            let answer = match tokio::time::timeout(limit, exchange).await {
                Ok(Ok(code)) => UploadAnswer::Status(code),
                Ok(Err(error)) => {
                    log.info(MODULE, format_args!("posting to authority {}: {error}", target.name));
                    UploadAnswer::Failed
                }
                Err(_) => UploadAnswer::Failed,
            };
            // The worker may be gone by then; nobody waits for the report.
            let _unheard = reports.send(Report::Uploaded { epoch, authority, answer });
        });
    }

    fn report_upload(&self, epoch: Epoch, outcome: UploadOutcome) {
        let epoch = epoch.0;
        match outcome {
            UploadOutcome::WindowClosed => {
                self.log.notice(MODULE, "the upload window of this epoch is closed; waiting for the next epoch");
            }
            UploadOutcome::Published { .. } | UploadOutcome::Conflict { reupload: true } => {
                self.log.info(MODULE, format_args!("upload for epoch {epoch} ended: {outcome:?}"));
            }
            UploadOutcome::Conflict { reupload: false } => self.log.error(
                MODULE,
                format_args!(
                    "the authorities hold another descriptor of this node for epoch {epoch}: it stays out of that epoch"
                ),
            ),
            UploadOutcome::Failed { .. } => {
                self.log.error(MODULE, format_args!("could not publish for epoch {epoch}: {outcome:?}"));
            }
        }
    }

    fn take_document(&mut self, epoch: Epoch, consensus: &Consensus) {
        match NeighbourMap::new(consensus, &self.options.own) {
            Ok(map) => {
                self.count(epoch, |counts| counts.fetched += 1);
                self.documents.insert(epoch, (consensus.raw().clone(), map));
                self.schedule.handle_document(epoch);
                self.log.info(MODULE, format_args!("holding the document of epoch {}", epoch.0));
                self.documents_changed();
            }
            Err(error) => {
                self.count(epoch, |counts| counts.invalid += 1);
                self.schedule.handle_unusable(epoch);
                self.log.info(MODULE, format_args!("the document of epoch {} is of no use: {error}", epoch.0));
            }
        }
    }

    /// Documents that the data plane kept are verified like fetched ones.
    fn take_over_documents(&mut self) {
        let now = self.now();
        for (epoch, raw) in std::mem::take(&mut self.stored.documents) {
            let verified = self.verifier.verify(Arc::from(raw), Epoch(epoch), now.epoch);
            if let Ok(consensus) = verified
                && let Ok(map) = NeighbourMap::new(&consensus, &self.options.own)
            {
                self.documents.insert(Epoch(epoch), (consensus.raw().clone(), map));
                self.schedule.handle_document(Epoch(epoch));
            }
        }
        if !self.documents.is_empty() {
            self.documents_changed();
        }
    }

    fn prune_documents(&mut self, before: Epoch) {
        let held = self.documents.len();
        self.documents.retain(|epoch, _| *epoch >= before);
        if self.documents.len() != held {
            self.documents_changed();
        }
        self.status().counts.retain(|&epoch, _| epoch.saturating_add(SERIES_EPOCHS) >= before.0);
    }

    fn documents_changed(&mut self) {
        let maps = self.documents.values().map(|(_, map)| map.clone()).collect();
        self.plane.publish(&View::new(self.options.own.role, maps));
        self.stored.documents = self.documents.iter().map(|(epoch, (raw, _))| (epoch.0, raw.to_vec())).collect();
        self.plane.remember(&self.stored);
        self.status().documents = self.documents.keys().map(|epoch| epoch.0).collect();
    }

    fn count(&self, epoch: Epoch, change: impl FnOnce(&mut EpochCounts)) {
        change(self.status().counts.entry(epoch.0).or_default());
    }

    // The status is whole after every statement, so a panic elsewhere cannot have torn it.
    fn status(&self) -> std::sync::MutexGuard<'_, DirectoryStatus> {
        self.status.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

/// The present moment by an epoch clock; before the first epoch began it counts as that.
pub fn epoch_time(clock: &EpochClock) -> EpochTime {
    let unix = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    clock.now(unix).unwrap_or(EpochTime {
        unix,
        epoch: Epoch(0),
        elapsed: Duration::ZERO,
        till: clock.period(),
        period: clock.period(),
    })
}
