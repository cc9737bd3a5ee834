//! The directory worker's schedule (server.md 8.1 to 8.5, with the required behaviour of 8.2): when to make mix keys,
//! upload, fetch, announce and prune. Publishing and fetching are independent of each other.
//!
//! A [`Worker`] owns no connection, key or document. Its owner calls [`Worker::poll`] until it gives `None`, does what
//! each [`Action`] says (uploads and fetches in the background), reports results by the `handle_*` methods, and polls
//! again after each of them and at [`Worker::next_deadline`] at the latest.

mod fetch;
#[cfg(test)]
mod tests;
mod upload;

pub use upload::{UploadAnswer, UploadOutcome};

use crate::MIX_KEY_EPOCHS;
use crate::authority::{Answers, threshold};
use crate::descriptor::{DescriptorError, SignedUpload, UploadError};
use crate::epoch::{Epoch, EpochTime};
use crypto_simd::random::Random;
use fetch::FetchSchedule;
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;
use upload::UploadSchedule;

/// Something for the worker's owner to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Make those mix keys that do not exist yet. Existing keys must stay as they are.
    MakeMixKeys {
        /// The first epoch.
        first: Epoch,
        /// The last epoch.
        last: Epoch,
    },
    /// Wipe the mix keys of earlier epochs, and those that a clock which was ahead has led to.
    PruneMixKeys {
        /// The first epoch to keep.
        before: Epoch,
        /// The last epoch to keep. Not said while the clock may yet turn out to have been right.
        after: Option<Epoch>,
    },
    /// Build, sign and store the upload for this epoch, then call [`Worker::handle_prepared`]. Asked once per epoch
    /// (again only after [`Worker::handle_prepare_failed`]), so that every authority gets the same bytes.
    PrepareUpload {
        /// The epoch, always the next one.
        epoch: Epoch,
    },
    /// Post the upload to one authority, then call [`Worker::handle_upload`].
    Upload {
        /// The epoch.
        epoch: Epoch,
        /// The authority's number.
        authority: usize,
        /// The exact payload.
        payload: Arc<[u8]>,
        /// When to give up.
        deadline: Duration,
    },
    /// Enough authorities have accepted; store that, so that a restart does not upload again. The upload goes on for the
    /// others.
    Published {
        /// The epoch.
        epoch: Epoch,
    },
    /// Nothing more is uploaded for this epoch.
    UploadEnded {
        /// The epoch.
        epoch: Epoch,
        /// How it went.
        outcome: UploadOutcome,
    },
    /// Ask all authorities for a document ([`crate::authority::FetchPass`]), then call [`Worker::handle_document`],
    /// [`Worker::handle_unusable`] or [`Worker::handle_fetch_failed`].
    Fetch {
        /// The document's epoch.
        epoch: Epoch,
        /// When to give up.
        deadline: Duration,
    },
    /// Let go of the documents of earlier epochs.
    PruneDocuments {
        /// The first epoch to keep.
        before: Epoch,
    },
    /// The current epoch's document is held: put its rates into force. Once per epoch.
    Announce {
        /// The epoch.
        epoch: Epoch,
    },
}

/// An upload that an earlier process prepared. To be given only while the mix keys that it names are still held:
/// with new keys the node has to stay out of the epoch (server.md 8.3).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredUpload {
    /// The epoch it is for.
    pub epoch: Epoch,
    /// The exact payload.
    pub payload: Arc<[u8]>,
    /// Whether enough authorities had accepted it.
    pub published: bool,
}

/// Why a prepared upload is not sent.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PrepareError {
    /// Not an upload, or without descriptor or signature.
    #[error(transparent)]
    Upload(#[from] UploadError),
    /// The descriptor is not well formed for the epoch.
    #[error(transparent)]
    Descriptor(#[from] DescriptorError),
    /// Nobody asked for it.
    #[error("no upload is wanted for epoch {0}")]
    NotWanted(Epoch),
}

/// The schedule.
#[derive(Debug)]
pub struct Worker {
    upload: UploadSchedule,
    fetch: FetchSchedule,
    current: Option<Epoch>,
    announced: Option<Epoch>,
    /// The wall clock at the last poll.
    polled: Duration,
    queue: VecDeque<Action>,
}

impl Worker {
    /// A worker that publishes to and fetches from `authorities` authorities, with what an earlier process stored.
    pub fn new(authorities: usize, stored: Option<StoredUpload>) -> Self {
        let threshold = threshold(authorities);
        Self {
            upload: UploadSchedule::new(authorities, threshold, stored),
            fetch: FetchSchedule::new(threshold),
            current: None,
            announced: None,
            polled: Duration::ZERO,
            queue: VecDeque::new(),
        }
    }

    /// The next thing to do, if any is due.
    pub fn poll(&mut self, now: &EpochTime, random: &mut dyn Random) -> Option<Action> {
        let back = self.polled.saturating_sub(now.unix);
        self.polled = now.unix;
        if !back.is_zero() {
            self.upload.handle_clock_back(back);
            self.fetch.handle_clock_back(back);
        }
        if self.current != Some(now.epoch) {
            self.enter_epoch(now, random);
        }
        if self.queue.is_empty() {
            self.upload.poll(now, &mut self.queue);
        }
        if let Some(action) = self.queue.pop_front() {
            return Some(action);
        }
        if let Some(action) = self.fetch.poll(now, random) {
            return Some(action);
        }
        if self.announced != Some(now.epoch) && self.fetch.is_held(now.epoch) {
            self.announced = Some(now.epoch);
            return Some(Action::Announce { epoch: now.epoch });
        }
        None
    }

    /// When to poll again at the latest, since the Unix epoch.
    pub fn next_deadline(&self, now: &EpochTime) -> Duration {
        let next_epoch = now.unix + now.till;
        let due = [self.upload.next_deadline(now), self.fetch.next_deadline()];
        due.into_iter().flatten().fold(next_epoch, Duration::min)
    }

    /// The upload for `epoch` is prepared and stored. It is checked once more: nothing ill-formed leaves the node.
    pub fn handle_prepared(&mut self, epoch: Epoch, payload: Arc<[u8]>, now: &EpochTime) -> Result<(), PrepareError> {
        match check_upload(epoch, &payload) {
            Ok(()) => self.upload.handle_prepared(epoch, payload, now),
            Err(error) => {
                self.upload.handle_prepare_failed(epoch, now);
                Err(error)
            }
        }
    }

    /// The upload could not be prepared; asked for again later.
    pub fn handle_prepare_failed(&mut self, epoch: Epoch, now: &EpochTime) {
        self.upload.handle_prepare_failed(epoch, now);
    }

    /// One authority's answer to an upload.
    pub fn handle_upload(&mut self, epoch: Epoch, authority: usize, answer: UploadAnswer, now: &EpochTime) {
        self.upload.handle_answer(epoch, authority, answer, now);
    }

    /// A document is held: fetched and found good, or taken over from an earlier process.
    pub fn handle_document(&mut self, epoch: Epoch) {
        self.fetch.handle_document(epoch);
    }

    /// A verified document that is of no use to this node (another geometry, or the node is not in it as configured):
    /// final for its epoch.
    pub fn handle_unusable(&mut self, epoch: Epoch) {
        self.fetch.handle_unusable(epoch);
    }

    /// A fetch brought no document.
    pub fn handle_fetch_failed(&mut self, epoch: Epoch, answers: Answers, now: &EpochTime, random: &mut dyn Random) {
        self.fetch.handle_failed(epoch, answers, now, random);
    }

    /// Whether the node publishes at all from now on.
    pub fn set_advertising(&mut self, on: bool) {
        self.upload.set_advertising(on);
    }

    /// Whether the authorities have said that there will never be a document for `epoch`, or it was found unusable.
    pub fn is_failed(&self, epoch: Epoch) -> bool {
        self.fetch.is_failed(epoch)
    }

    fn enter_epoch(&mut self, now: &EpochTime, random: &mut dyn Random) {
        if self.current.is_none() {
            let last = now.epoch.after(MIX_KEY_EPOCHS - 1);
            self.queue.push_back(Action::MakeMixKeys { first: now.epoch, last });
        }
        // A clock that came here step by step is right: no node has keys for epochs farther ahead than this. After a jump
        // back they are kept for an epoch, because they may be published if it was the jump that is wrong.
        let is_next = self.current.is_some_and(|before| before.after(1) == now.epoch);
        let after = is_next.then(|| now.epoch.after(MIX_KEY_EPOCHS));
        self.current = Some(now.epoch);
        self.upload.enter_epoch(now, &mut self.queue, random);
        self.queue.push_back(Action::PruneMixKeys { before: now.epoch.before(1), after });
        self.queue.push_back(Action::PruneDocuments { before: now.epoch.before(MIX_KEY_EPOCHS - 1) });
        self.fetch.enter_epoch(now, random);
    }
}

fn check_upload(epoch: Epoch, payload: &[u8]) -> Result<(), PrepareError> {
    let upload = SignedUpload::decode(payload)?;
    if upload.signature.is_none() {
        return Err(UploadError::NotSigned.into());
    }
    let descriptor = upload.descriptor.ok_or(UploadError::NoDescriptor)?;
    descriptor.check(epoch).map_err(|reason| DescriptorError::IllFormed(reason).into())
}
