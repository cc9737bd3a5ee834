//! From opened packets to their commands (server.md 3.6): what need not be unwrapped is sorted out first, the rest goes
//! through the kernel key by key.
//!
//! The read-only look-up in the replay sets saves the public-key work; whether a packet is new is decided only by the
//! test-and-set after its MAC has held, because the same packet can sit twice in one batch or on two shards.

#[cfg(debug_assertions)]
mod provoked;

use super::batch::Batch;
use super::pool::KeyHint;
use crate::shared::keys::{Candidates, EpochKey};
use crate::shared::{Facts, Live};
use crate::time::Instant;
use interplane::poison::ShardInFlight;
use interplane::replay::Place;
use interplane::setup::BATCH_PACKETS_MAX;
use interplane::{DropReason, Insert};
use sphinx::{REPLAY_TAG_BYTES, SetupError, UnwrapError, UnwrapErrorReason, Unwrapped, Unwrapper};
use std::collections::HashSet;
use std::sync::Arc;

type Tag = [u8; REPLAY_TAG_BYTES];
type UnwrapResult = Result<Unwrapped, UnwrapError>;

/// What became of one packet of a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Unwrapped and new.
    New {
        /// What the packet says.
        unwrapped: Unwrapped,
        /// The key that it was for.
        key: KeyHint,
    },
    /// To be dropped.
    Drop(DropReason),
}

/// What is known about a packet while its batch is worked on.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Progress {
    /// Keys that have failed, as a bit set.
    Tried(u8),
    Finished,
}

/// Scratch of one shard for unwrapping. Allocates nothing after it is made.
pub struct UnwrapStage {
    unwrapper: Unwrapper,
    geometry: sphinx::Geometry,
    live: Arc<Live>,
    tags: [Tag; BATCH_PACKETS_MAX],
    places: [[Option<Place>; BATCH_PACKETS_MAX]; 3],
    progress: [Progress; BATCH_PACKETS_MAX],
    results: [UnwrapResult; BATCH_PACKETS_MAX],
    outcomes: [Outcome; BATCH_PACKETS_MAX],
}

/// What a batch is judged by.
pub struct BatchContext<'a> {
    /// The keys.
    pub keys: &'a Candidates,
    /// Tags of poison packets.
    pub refused: &'a HashSet<Tag>,
    /// Where tags in flight are noted.
    pub in_flight: &'a mut ShardInFlight,
}

impl BatchContext<'_> {
    /// Without a key for this epoch nothing is unwrapped.
    fn has_keys(&self) -> bool {
        self.keys.0[KeyHint::Current.index()].is_some()
    }
}

const NOTHING: UnwrapResult = Err(UnwrapError { reason: UnwrapErrorReason::Truncated, tag: None });

impl UnwrapStage {
    /// Scratch for batches.
    pub fn new(facts: &Facts) -> Result<Self, SetupError> {
        Ok(Self {
            unwrapper: Unwrapper::new(&facts.geometry, BATCH_PACKETS_MAX)?,
            geometry: facts.geometry.clone(),
            live: Arc::clone(&facts.live),
            tags: [[0; REPLAY_TAG_BYTES]; BATCH_PACKETS_MAX],
            places: [[None; BATCH_PACKETS_MAX]; 3],
            progress: [Progress::Finished; BATCH_PACKETS_MAX],
            results: [NOTHING; BATCH_PACKETS_MAX],
            outcomes: [Outcome::Drop(DropReason::UnwrapFailed); BATCH_PACKETS_MAX],
        })
    }

    /// Sorts out what need not be unwrapped.
    pub fn look_up(&mut self, batch: &Batch, context: &BatchContext<'_>, now: Instant) {
        let count = batch.len();
        self.outcomes[..count].fill(Outcome::Drop(DropReason::UnwrapFailed));
        self.progress[..count].fill(Progress::Tried(0));
        self.check_dwell(batch, now);
        if context.has_keys() {
            self.compute_tags(batch);
            self.find(count, context);
        }
    }

    /// Unwraps in place what is left of a batch that was looked up. What became of each packet is then told by
    /// [`UnwrapStage::outcome`]. `between` is called after each piece of work that takes long.
    pub fn unwrap(&mut self, batch: &mut Batch, context: BatchContext<'_>, between: &mut dyn FnMut()) {
        if !context.has_keys() {
            return;
        }
        let count = batch.len();
        context.in_flight.begin(live(&self.progress[..count]).map(|at| &self.tags[at]));
        #[cfg(debug_assertions)]
        provoked::provoke(live(&self.progress[..count]).map(|at| &self.tags[at]));
        self.try_keys(batch, context.keys, between);
        context.in_flight.end();
    }

    /// What became of the packet at a position of the last batch.
    pub fn outcome(&self, at: usize) -> Outcome {
        self.outcomes[at]
    }

    fn finish(&mut self, at: usize, outcome: Outcome) {
        self.progress[at] = Progress::Finished;
        self.outcomes[at] = outcome;
    }

    fn check_dwell(&mut self, batch: &Batch, now: Instant) {
        let dwell_max = self.live.unwrap_delay.get();
        for (at, slot) in batch.iter() {
            if now.since(slot.recv_at) > dwell_max {
                self.finish(at, Outcome::Drop(DropReason::UnwrapDwellExceeded));
            }
        }
    }

    fn compute_tags(&mut self, batch: &Batch) {
        let mut packets: [&[u8]; BATCH_PACKETS_MAX] = [&[]; BATCH_PACKETS_MAX];
        for (at, slot) in batch.iter() {
            packets[at] = slot.packet();
        }
        let count = batch.len();
        sphinx::replay_tags(&self.geometry, &packets[..count], &mut self.tags[..count]);
    }

    /// Finds what is refused or was seen before, without public-key work.
    fn find(&mut self, count: usize, context: &BatchContext<'_>) {
        // All places of the batch first, so that their cache lines arrive together.
        for (places, key) in self.places.iter_mut().zip(&context.keys.0) {
            for (place, tag) in places[..count].iter_mut().zip(&self.tags) {
                *place = key.as_ref().map(|key| key.replays.locate(tag));
            }
        }
        for at in 0..count {
            let seen = |(places, key): (&[Option<Place>; BATCH_PACKETS_MAX], &Option<EpochKey>)| {
                places[at].zip(key.as_ref()).is_some_and(|(place, key)| key.replays.contains_at(place))
            };
            if self.progress[at] == Progress::Finished {
                continue;
            }
            if !context.refused.is_empty() && context.refused.contains(&self.tags[at]) {
                self.finish(at, Outcome::Drop(DropReason::PoisonPacket));
            } else if self.places.iter().zip(&context.keys.0).any(seen) {
                self.finish(at, Outcome::Drop(DropReason::Replay));
            }
        }
    }

    /// At most three passes: each packet's most likely key, then the others in their order.
    fn try_keys(&mut self, batch: &mut Batch, keys: &Candidates, between: &mut dyn FnMut()) {
        while live(&self.progress[..batch.len()]).next().is_some() {
            for hint in KeyHint::ALL {
                if let Some(key) = &keys.0[hint.index()] {
                    self.try_key(batch, keys, hint, key, between);
                }
            }
        }
    }

    /// One key, for the packets whose turn it is.
    fn try_key(
        &mut self,
        batch: &mut Batch,
        keys: &Candidates,
        hint: KeyHint,
        key: &EpochKey,
        between: &mut dyn FnMut(),
    ) {
        let mut packets: [&mut [u8]; BATCH_PACKETS_MAX] = std::array::from_fn(|_| <&mut [u8]>::default());
        let mut positions = [0; BATCH_PACKETS_MAX];
        let mut count = 0;
        for (at, slot) in batch.iter_mut() {
            if let Progress::Tried(tried) = self.progress[at]
                && next_key(keys, slot.source.hint, tried) == Some(hint)
            {
                packets[count] = slot.packet_mut();
                positions[count] = at;
                count += 1;
            }
        }
        if count == 0 {
            return;
        }
        let results = &mut self.results[..count];
        self.unwrapper.unwrap_batch_with(&key.key, &mut packets[..count], results, between);
        for (number, &at) in positions[..count].iter().enumerate() {
            self.judge(at, self.results[number], keys, hint, key);
        }
    }

    fn judge(&mut self, at: usize, result: UnwrapResult, keys: &Candidates, hint: KeyHint, key: &EpochKey) {
        match result {
            // Repetitions make a packet invalid before its tag is recorded.
            Ok(unwrapped) if unwrapped.commands.repeated => self.finish(at, Outcome::Drop(DropReason::UnwrapFailed)),
            Ok(unwrapped) => {
                let is_early = hint == KeyHint::Next;
                let insert = |place| match is_early {
                    true => key.replays.insert_early_at(place),
                    false => key.replays.insert_at(place),
                };
                let outcome = match self.places[hint.index()][at].map(insert) {
                    Some(Insert::New) => Outcome::New { unwrapped, key: hint },
                    Some(Insert::Seen) => Outcome::Drop(DropReason::Replay),
                    Some(Insert::Full) | None if is_early => Outcome::Drop(DropReason::ReplayEarlyQuota),
                    Some(Insert::Full) | None => Outcome::Drop(DropReason::ReplaySetFull),
                };
                self.finish(at, outcome);
            }
            Err(UnwrapError { reason: UnwrapErrorReason::DegenerateElement, .. }) => {
                self.finish(at, Outcome::Drop(DropReason::LowOrderPoint));
            }
            // For another key, perhaps. Every other failure is final: of two keys at most one makes the MAC hold.
            Err(UnwrapError { reason: UnwrapErrorReason::MacMismatch, .. }) => {
                let Progress::Tried(tried) = self.progress[at] else { return };
                let tried = tried | bit(hint);
                self.progress[at] = match keys.0.iter().zip(KeyHint::ALL).any(|(key, hint)| is_left(key, hint, tried)) {
                    true => Progress::Tried(tried),
                    false => Progress::Finished,
                };
            }
            Err(_) => self.finish(at, Outcome::Drop(DropReason::UnwrapFailed)),
        }
    }
}

/// Positions of the packets that are not finished.
fn live(progress: &[Progress]) -> impl Iterator<Item = usize> {
    let unfinished = |(at, progress): (usize, &Progress)| (*progress != Progress::Finished).then_some(at);
    progress.iter().enumerate().filter_map(unfinished)
}

fn bit(hint: KeyHint) -> u8 {
    1 << hint.index()
}

fn is_left(key: &Option<EpochKey>, hint: KeyHint, tried: u8) -> bool {
    key.is_some() && tried & bit(hint) == 0
}

/// The key to try next: the hinted one, then the others in their order.
fn next_key(keys: &Candidates, hint: KeyHint, tried: u8) -> Option<KeyHint> {
    let mut order = std::iter::once(hint).chain(KeyHint::ALL);
    order.find(|next| is_left(&keys.0[next.index()], *next, tried))
}
