//! From the keys to the authorities' answers. Nothing is posted before the data plane holds the keys that it promises.

use super::{Directory, MODULE, Outside, Plane, Report};
use crate::plugins::Offer;
use crypto_simd::random::OsRandom;
use pki::Epoch;
use pki::authority::DescriptorCode;
use pki::descriptor::{LoopStats, MixDescriptor, OwnProfile, Segment, SignedUpload};
use pki::publish::{UploadAnswer, UploadOutcome};
use secret_memory::{protect_stack, within};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::spawn_blocking;

/// How long the data plane may take to hold new keys before the preparation is begun again.
const HELD_LIMIT: Duration = Duration::from_secs(10);

impl<P: Plane, O: Outside> Directory<P, O> {
    /// Makes those keys for `first` and the epochs after it that are missing.
    pub(super) fn make_keys(&mut self, first: Epoch) {
        match self.keys.make(first.0, &mut OsRandom) {
            Ok(false) => {}
            Ok(true) => self.give_keys(),
            Err(error) => self.error(format_args!("cannot make mix keys: {error}")),
        }
    }

    /// Gives the data plane the keys as they are now, without waiting: it is given them until it holds them.
    pub(super) fn give_keys(&mut self) {
        drop(self.plane.set_keys(&self.keys));
    }

    /// Begins to prepare the upload: first the data plane takes the keys, then another thread signs, which takes seconds
    /// with some schemes.
    pub(super) fn prepare(&mut self, epoch: Epoch) {
        self.make_keys(epoch);
        self.status().attempted = Some(epoch.0);
        self.upload_said.clear();
        let descriptor = self.descriptor(epoch);
        let (held, identity) = (self.plane.set_keys(&self.keys), self.options.identity.clone());
        let segment_ratios = self.segment_ratios();
        self.beside(async move {
            let work = async {
                let descriptor = descriptor?;
                let held = tokio::time::timeout(HELD_LIMIT, held).await;
                held.unwrap_or_else(|_| {
                    Err(format!("the data plane has not taken the mix keys within {HELD_LIMIT:?}"))
                })?;
                let stats = LoopStats { epoch, mix_identity_hash: Some(descriptor.id()), segment_ratios };
                let sign = move || {
                    protect_stack();
                    within(|| SignedUpload::sign(descriptor, stats, identity.as_ref(), &mut OsRandom))
                };
                let signed = spawn_blocking(sign).await.map_err(|error| error.to_string())?;
                signed.map(|upload| Arc::from(upload.encode())).map_err(|error| error.to_string())
            };
            Report::Prepared { epoch, payload: work.await }
        });
    }

    /// How the loops of the epoch that is over have fared (server.md 7.4); none if the node has sent none.
    fn segment_ratios(&self) -> Option<BTreeMap<Segment, f64>> {
        let counts = self.options.loops.read(self.now().epoch.before(1));
        (!counts.is_empty()).then(|| counts.iter().map(|count| (count.segment, count.ratio())).collect())
    }

    fn descriptor(&self, epoch: Epoch) -> Result<MixDescriptor, String> {
        let mix_keys = self.keys.public_keys(epoch.0).ok_or("a mix key is missing")?;
        let mix_keys = mix_keys.into_iter().map(|(epoch, key)| (Epoch(epoch), key)).collect();
        let Offer { services, advertized_data } = self.options.offer.borrow().clone();
        let profile = OwnProfile { services, advertized_data, ..self.options.profile.clone() };
        MixDescriptor::of_node(&self.options.own, &profile, epoch, &mix_keys).map_err(|error| error.to_string())
    }

    pub(super) fn prepared(&mut self, epoch: Epoch, payload: Result<Arc<[u8]>, String>) {
        let now = self.now();
        let accepted = payload.and_then(|payload| {
            let accepted = self.schedule.handle_prepared(epoch, payload.clone(), &now);
            accepted.map(|()| payload).map_err(|error| error.to_string())
        });
        match accepted {
            Ok(payload) => {
                // Before it is posted, so that a later control plane posts the same bytes.
                self.stored.upload = Some((epoch.0, payload.to_vec(), false));
                self.plane.remember(&self.stored);
            }
            Err(error) => {
                self.schedule.handle_prepare_failed(epoch, &now);
                self.error(format_args!("cannot publish for epoch {} yet: {error}", epoch.0));
            }
        }
    }

    pub(super) fn upload(&self, epoch: Epoch, authority: usize, payload: Arc<[u8]>, limit: Duration) {
        let (options, outside, log) = (self.options.clone(), self.outside.clone(), self.log.clone());
        self.beside(async move {
            let target = &options.authorities.list()[authority];
            let answer = match tokio::time::timeout(limit, outside.post(target, epoch, &payload)).await {
                Ok(answer) => answer.map_err(|error| error.to_string()),
                Err(_) => Err("no answer before the upload window closed".into()),
            };
            if let Err(error) = &answer {
                log.info(MODULE, format_args!("posting to authority {}: {error}", target.name));
            }
            Report::Uploaded { epoch, authority, answer }
        });
    }

    pub(super) fn uploaded(&mut self, epoch: Epoch, authority: usize, answer: Result<DescriptorCode, String>) {
        let said = match &answer {
            Ok(DescriptorCode::Ok) => "accepted",
            Ok(DescriptorCode::Conflict) => "it holds another descriptor of this node for that epoch",
            Ok(DescriptorCode::Invalid) => "it says that the descriptor is invalid",
            Ok(DescriptorCode::Forbidden) => "it does not know this node (is its identity key listed there?)",
            Err(error) => error,
        };
        self.upload_said.insert(authority, said.into());
        let answer = answer.map_or(UploadAnswer::Failed, UploadAnswer::Status);
        let now = self.now();
        self.schedule.handle_upload(epoch, authority, answer, &now);
    }

    pub(super) fn published(&mut self, epoch: Epoch) {
        if let Some((stored, _, published)) = &mut self.stored.upload
            && *stored == epoch.0
        {
            *published = true;
        }
        self.plane.remember(&self.stored);
        self.status().published = Some(epoch.0);
        self.log.notice(MODULE, format_args!("Posted descriptor for epoch {}.", epoch.0));
    }

    pub(super) fn report_upload(&self, epoch: Epoch, outcome: UploadOutcome) {
        let (epoch, said) = (epoch.0, self.by_name(&self.upload_said));
        match outcome {
            UploadOutcome::WindowClosed => {
                self.log.notice(MODULE, "the upload window of this epoch is closed; waiting for the next epoch");
            }
            UploadOutcome::Published { .. } | UploadOutcome::Conflict { reupload: true } => {
                self.log.info(MODULE, format_args!("upload for epoch {epoch} ended: {said}"));
            }
            UploadOutcome::Conflict { reupload: false } => self.error(format_args!(
                "the authorities hold another descriptor of this node for epoch {epoch}: it stays out of that epoch"
            )),
            UploadOutcome::Failed { .. } if said.is_empty() => self.error(format_args!(
                "could not publish for epoch {epoch}: no upload was ready before the window closed"
            )),
            UploadOutcome::Failed { accepted, .. } => self.error(format_args!(
                "could not publish for epoch {epoch}: {accepted} of {} authorities accepted; {said}",
                self.options.authorities.list().len()
            )),
        }
    }
}
