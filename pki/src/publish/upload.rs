//! Publishing: one upload per epoch, the same bytes to every authority, within the window of the epoch before.

use super::{Action, PrepareError, StoredUpload};
use crate::MIX_KEY_EPOCHS;
use crate::authority::{DescriptorCode, post_retry_delay, spread};
use crate::epoch::{Epoch, EpochTime};
use crypto_simd::random::Random;
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

/// Uploads for epochs farther than this from the target are forgotten.
const STORED_EPOCHS: u64 = 4;

/// What came of posting to one authority.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UploadAnswer {
    /// It answered.
    Status(DescriptorCode),
    /// It could not be reached, or answered something else.
    Failed,
}

/// How an epoch's upload ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UploadOutcome {
    /// Accepted by enough authorities.
    Published {
        /// How many accepted.
        accepted: usize,
        /// How many had a descriptor already.
        conflicts: usize,
    },
    /// Enough authorities had a descriptor already.
    Conflict {
        /// These bytes had been uploaded by an earlier process. The reference's authorities answer a conflict even to
        /// identical bytes, so the node is very likely published; otherwise it stays out of the epoch.
        reupload: bool,
    },
    /// Neither before the window closed.
    Failed {
        /// How many accepted.
        accepted: usize,
        /// How many had a descriptor already.
        conflicts: usize,
    },
    /// The window had closed before anything was tried; the node waits for the next epoch.
    WindowClosed,
}

#[derive(Debug)]
enum Phase {
    /// Nothing to do until the next epoch.
    Idle,
    /// The upload has to be prepared at this time.
    Unprepared { at: Duration, failures: u32 },
    /// The owner prepares it.
    Preparing { failures: u32 },
    /// It is being sent.
    Sending { payload: Arc<[u8]>, posts: Vec<Post>, announced: bool, reupload: bool },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Post {
    Waiting { at: Duration, failures: u32 },
    InFlight { failures: u32 },
    Accepted,
    Conflict,
}

#[derive(Debug)]
pub(super) struct UploadSchedule {
    authorities: usize,
    threshold: usize,
    /// What was prepared for the target and epochs near it: a clock that goes back and forth finds the same bytes again.
    stored: BTreeMap<Epoch, StoredUpload>,
    advertising: bool,
    /// Whether an epoch has been entered before.
    started: bool,
    target: Epoch,
    phase: Phase,
}

/// The end of the upload window: an eighth of the epoch less a margin of a 48th (server.md 8.1).
fn window_end(now: &EpochTime) -> Duration {
    now.at(5, 48)
}

/// How long after its epoch's begin a node posts: at another moment each time, so that not all nodes do at that instant
/// and none is known by it. A node that has just started is not in step with others.
fn jitter(now: &EpochTime, is_boundary: bool, random: &mut dyn Random) -> Duration {
    let room = window_end(now).saturating_sub(now.unix) / 4;
    if is_boundary { spread(now.fraction(1, 256), 1.0, random).min(room) } else { Duration::ZERO }
}

impl UploadSchedule {
    pub(super) fn new(authorities: usize, threshold: usize, stored: Option<StoredUpload>) -> Self {
        let stored = stored.into_iter().map(|stored| (stored.epoch, stored)).collect();
        let (advertising, started, target) = (true, false, Epoch(0));
        Self { authorities, threshold, stored, advertising, started, target, phase: Phase::Idle }
    }

    pub(super) fn set_advertising(&mut self, on: bool) {
        self.advertising = on;
        if !on {
            self.phase = Phase::Idle;
        }
    }

    /// Starts over for the epoch after the current one, with the stored upload if there is one for that. What a clock
    /// that was ahead has led to is dropped.
    pub(super) fn enter_epoch(&mut self, now: &EpochTime, queue: &mut VecDeque<Action>, random: &mut dyn Random) {
        self.target = now.epoch.after(1);
        let near = self.target.before(STORED_EPOCHS)..=self.target.after(STORED_EPOCHS);
        self.stored.retain(|epoch, _| near.contains(epoch));
        let is_boundary = std::mem::replace(&mut self.started, true);
        self.phase = match self.stored.get(&self.target) {
            _ if !self.advertising => Phase::Idle,
            Some(stored) if stored.published => Phase::Idle,
            _ if now.unix >= window_end(now) => {
                queue.push_back(Action::UploadEnded { epoch: self.target, outcome: UploadOutcome::WindowClosed });
                Phase::Idle
            }
            Some(stored) => self.sending(stored.payload.clone(), true, now),
            None => Phase::Unprepared { at: now.unix + jitter(now, is_boundary, random), failures: 0 },
        };
    }

    /// The wall clock was set back: what is due in so much time stays due in so much time.
    pub(super) fn handle_clock_back(&mut self, by: Duration) {
        let back = |at: &mut Duration| *at = at.saturating_sub(by);
        match &mut self.phase {
            Phase::Unprepared { at, .. } => back(at),
            Phase::Sending { posts, .. } => posts.iter_mut().for_each(|post| {
                if let Post::Waiting { at, .. } = post {
                    back(at);
                }
            }),
            Phase::Idle | Phase::Preparing { .. } => {}
        }
    }

    fn sending(&self, payload: Arc<[u8]>, reupload: bool, now: &EpochTime) -> Phase {
        let posts = vec![Post::Waiting { at: now.unix, failures: 0 }; self.authorities];
        Phase::Sending { payload, posts, announced: false, reupload }
    }

    pub(super) fn poll(&mut self, now: &EpochTime, queue: &mut VecDeque<Action>) {
        let (epoch, deadline) = (self.target, window_end(now));
        let is_open = now.unix < deadline;
        match &mut self.phase {
            Phase::Idle => {}
            Phase::Unprepared { at, failures } if is_open => {
                if *at <= now.unix {
                    self.phase = Phase::Preparing { failures: *failures };
                    queue.push_back(Action::MakeMixKeys { first: epoch, last: epoch.after(MIX_KEY_EPOCHS - 1) });
                    queue.push_back(Action::PrepareUpload { epoch });
                }
            }
            Phase::Preparing { .. } if is_open => {}
            Phase::Unprepared { .. } | Phase::Preparing { .. } => {
                self.end(UploadOutcome::Failed { accepted: 0, conflicts: 0 }, queue);
            }
            Phase::Sending { payload, posts, announced, reupload } => {
                let accepted = count(posts, Post::Accepted);
                let conflicts = count(posts, Post::Conflict);
                if accepted >= self.threshold && !*announced {
                    *announced = true;
                    if let Some(stored) = self.stored.get_mut(&epoch) {
                        stored.published = true;
                    }
                    queue.push_back(Action::Published { epoch });
                }
                let outcome = outcome(accepted, conflicts, self.threshold, *reupload);
                let undecided = self.authorities - accepted - conflicts;
                let is_hopeless = accepted + undecided < self.threshold;
                if !is_open || undecided == 0 || conflicts >= self.threshold || is_hopeless {
                    self.end(outcome, queue);
                    return;
                }
                for (authority, post) in posts.iter_mut().enumerate() {
                    if let Post::Waiting { at, failures } = *post
                        && at <= now.unix
                    {
                        *post = Post::InFlight { failures };
                        queue.push_back(Action::Upload { epoch, authority, payload: payload.clone(), deadline });
                    }
                }
            }
        }
    }

    fn end(&mut self, outcome: UploadOutcome, queue: &mut VecDeque<Action>) {
        self.phase = Phase::Idle;
        queue.push_back(Action::UploadEnded { epoch: self.target, outcome });
    }

    pub(super) fn handle_prepared(
        &mut self,
        epoch: Epoch,
        payload: Arc<[u8]>,
        now: &EpochTime,
    ) -> Result<(), PrepareError> {
        if epoch != self.target || !matches!(self.phase, Phase::Preparing { .. }) {
            return Err(PrepareError::NotWanted(epoch));
        }
        self.stored.insert(epoch, StoredUpload { epoch, payload: payload.clone(), published: false });
        self.phase = self.sending(payload, false, now);
        Ok(())
    }

    pub(super) fn handle_prepare_failed(&mut self, epoch: Epoch, now: &EpochTime) {
        if let Phase::Preparing { failures } = self.phase
            && epoch == self.target
        {
            let failures = failures + 1;
            self.phase = Phase::Unprepared { at: now.unix + post_retry_delay(failures), failures };
        }
    }

    pub(super) fn handle_answer(&mut self, epoch: Epoch, authority: usize, answer: UploadAnswer, now: &EpochTime) {
        let Phase::Sending { posts, .. } = &mut self.phase else { return };
        let Some(post) = posts.get_mut(authority).filter(|_| epoch == self.target) else { return };
        let Post::InFlight { failures } = *post else { return };
        *post = match answer {
            UploadAnswer::Status(DescriptorCode::Ok) => Post::Accepted,
            UploadAnswer::Status(DescriptorCode::Conflict) => Post::Conflict,
            UploadAnswer::Status(DescriptorCode::Invalid | DescriptorCode::Forbidden) | UploadAnswer::Failed => {
                let failures = failures.saturating_add(1);
                Post::Waiting { at: now.unix + post_retry_delay(failures), failures }
            }
        };
    }

    pub(super) fn next_deadline(&self, now: &EpochTime) -> Option<Duration> {
        let window_end = window_end(now);
        match &self.phase {
            Phase::Idle => None,
            Phase::Unprepared { at, .. } => Some(window_end.min(*at)),
            Phase::Preparing { .. } => Some(window_end),
            Phase::Sending { posts, .. } => {
                let due = posts.iter().filter_map(|post| match post {
                    Post::Waiting { at, .. } => Some(*at),
                    _ => None,
                });
                Some(due.fold(window_end, Duration::min))
            }
        }
    }
}

fn count(posts: &[Post], of: Post) -> usize {
    posts.iter().filter(|post| **post == of).count()
}

fn outcome(accepted: usize, conflicts: usize, threshold: usize, reupload: bool) -> UploadOutcome {
    if accepted >= threshold {
        UploadOutcome::Published { accepted, conflicts }
    } else if conflicts >= threshold {
        UploadOutcome::Conflict { reupload }
    } else {
        UploadOutcome::Failed { accepted, conflicts }
    }
}
