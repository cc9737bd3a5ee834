//! Which documents are held, and when to ask the gateway for which (client.md 12).

#[cfg(test)]
mod tests;

use pki::authority::DocumentVerifier;
use pki::document::{Consensus, DocumentError};
use pki::{Epoch, EpochTime};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;
use wire::Instant;

/// The documents of the last, the current and the next epoch, and the schedule by which they are fetched: pass after
/// pass, each of which asks for what is missing, one document at a time.
pub struct Documents {
    verifier: DocumentVerifier,
    held: BTreeMap<Epoch, Arc<Consensus>>,
    /// Epochs for which there will never be a document.
    gone: BTreeSet<Epoch>,
    /// What this pass has asked for.
    asked: BTreeSet<Epoch>,
    next_pass: Instant,
}

impl Documents {
    /// None yet; the first pass is due.
    pub fn new(verifier: DocumentVerifier) -> Self {
        Self {
            verifier,
            held: BTreeMap::new(),
            gone: BTreeSet::new(),
            asked: BTreeSet::new(),
            next_pass: Instant::default(),
        }
    }

    /// The document that counts now: the current epoch's, or, for want of it, the one before (client.md 11.1).
    pub fn current(&self, epoch: Epoch) -> Option<&Arc<Consensus>> {
        self.held.get(&epoch).or_else(|| self.held.get(&epoch.before(1)))
    }

    /// Whether the document of that epoch is held.
    pub fn has(&self, epoch: Epoch) -> bool {
        self.held.contains_key(&epoch)
    }

    /// The epoch to ask for now, if one is due: call it when no answer is outstanding.
    pub fn next_request(&mut self, now: Instant, time: &EpochTime) -> Option<Epoch> {
        if now < self.next_pass {
            return None;
        }
        self.forget_old(time.epoch);
        let epoch = time.epoch;
        let is_next_due = time.till < time.fraction(5, 16);
        let is_last_wanted = !self.has(epoch);
        let wanted = [(epoch, true), (epoch.after(1), is_next_due), (epoch.before(1), is_last_wanted)];
        let is_missing =
            |epoch: &Epoch| !self.held.contains_key(epoch) && !self.gone.contains(epoch) && !self.asked.contains(epoch);
        let next = wanted.into_iter().find_map(|(epoch, is_due)| Some(epoch).filter(|_| is_due).filter(is_missing));
        match next {
            Some(epoch) => {
                self.asked.insert(epoch);
            }
            None => {
                self.asked.clear();
                self.next_pass = now + self.pause(time);
            }
        }
        next
    }

    /// When the next pass begins.
    pub fn next_pass(&self) -> Instant {
        self.next_pass
    }

    /// A link has come up: a pass is due at once, and nothing that was asked over another link will be answered.
    pub fn handle_link(&mut self, now: Instant) {
        self.asked.clear();
        self.next_pass = now;
    }

    /// The gateway has sent a document for `wanted`. It is held if it is one.
    pub fn handle_document(&mut self, raw: Vec<u8>, wanted: Epoch, now: Epoch) -> Result<(), DocumentError> {
        let consensus = self.verifier.verify(raw.into(), wanted, now)?;
        self.held.insert(wanted, Arc::new(consensus));
        self.forget_old(now);
        Ok(())
    }

    /// The gateway says that there will never be a document for that epoch.
    pub fn handle_gone(&mut self, epoch: Epoch) {
        self.gone.insert(epoch);
    }

    fn forget_old(&mut self, now: Epoch) {
        let window = now.before(1)..=now.after(1);
        self.held.retain(|epoch, _| window.contains(epoch));
        self.gone.retain(|epoch| window.contains(epoch));
    }

    /// How long to rest after a pass.
    fn pause(&self, time: &EpochTime) -> Duration {
        let recheck = time.fraction(1, 16);
        let settled = |epoch| self.has(epoch) || self.gone.contains(&epoch);
        if !self.has(time.epoch) {
            return recheck;
        }
        if !settled(time.epoch.after(1)) {
            let until_due = time.till.saturating_sub(time.fraction(5, 16));
            // Just behind the moment at which the next document is due, not just before it.
            return if until_due.is_zero() { recheck } else { until_due + Duration::from_millis(1) };
        }
        time.till + time.fraction(11, 16) + Duration::from_millis(1)
    }
}
