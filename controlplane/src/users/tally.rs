//! How a user database fares, for the metrics.

use crate::process::outcomes::{Counts, outcomes};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How long a database that has not taken something counts as one that takes nothing, unless it takes something.
const UNWILLING_FOR: Duration = Duration::from_secs(60);

outcomes! {
    /// What became of a question.
    Outcome {
        Registered "registered" "The name is registered with the client's link key.",
        Ephemeral "ephemeral" "The name is not registered, and clients without registration are accepted.",
        Trusted "trusted" "The name was registered with the key that came with it first.",
        OnTrust "on_trust" "The name will be registered as soon as the client has shown that it has the key.",
        Refused "refused" "The name is registered with another key, or not at all.",
        Remembered "remembered" "The database was away, and the client was let in because it had been before.",
        Away "away" "The database was away, and nothing was known of the client.",
        Unanswered "unanswered" "The program that is asked over HTTP said nothing of use about this name.",
        TooMany "too_many" "So many names were trusted on their first use that this one has to come again.",
    }
}

/// How it fares.
#[derive(Default)]
pub struct Tally {
    counts: Counts<{ Outcome::ALL.len() }>,
    is_away: AtomicBool,
    /// When it has not taken what was to be written.
    unwilling_since: Mutex<Option<Instant>>,
    /// What became of letters, where mail is kept.
    pub letters: Letters,
}

impl Tally {
    /// Counts one.
    pub fn count(&self, outcome: Outcome) {
        self.counts.add(outcome as usize, 1);
    }

    /// How many there were.
    pub fn get(&self, outcome: Outcome) -> u64 {
        self.counts.get(outcome as usize)
    }

    /// Whether the database was away the last time that it was asked.
    pub fn is_away(&self) -> bool {
        self.is_away.load(Ordering::Relaxed)
    }

    /// Whether it does not take what is to be written.
    pub fn is_unwilling(&self, now: Instant) -> bool {
        let since = *self.unwilling_since.lock().unwrap_or_else(PoisonError::into_inner);
        since.is_some_and(|since| now.saturating_duration_since(since) < UNWILLING_FOR)
    }

    /// It has taken something, or has not.
    pub fn set_unwilling(&self, since: Option<Instant>) {
        *self.unwilling_since.lock().unwrap_or_else(PoisonError::into_inner) = since;
    }

    /// It is now, or it is back; gives whether that is news.
    pub fn set_away(&self, is_away: bool) -> bool {
        self.is_away.swap(is_away, Ordering::Relaxed) != is_away
    }
}

outcomes! {
    /// What became of letters of registered clients.
    LetterOutcome {
        Kept "kept" "It is written.",
        Spared "spared" "Its client has acknowledged it before it was to be written.",
        UnknownUser "unknown_user" "Nobody is registered under its name.",
        MailboxFull "mailbox_full" "So many letters are kept for its client that there is no room for it.",
        StoreFull "store_full" "So many letters are kept for all clients that there is no room for it.",
        Overflowed "overflowed" "So many letters waited to be written that there was no room for it.",
        Fetched "fetched" "It was given back to the data plane.",
        Expired "expired" "Its client has not asked for it for too long.",
        Displaced "displaced" "It went for one to somebody with fewer letters.",
    }
}

/// How the store of mail fares.
#[derive(Default)]
pub struct Letters {
    counts: Counts<{ LetterOutcome::ALL.len() }>,
    waiting_bytes: AtomicU64,
    kept_bytes: AtomicU64,
    is_away: AtomicBool,
}

impl Letters {
    /// How many there were.
    pub fn get(&self, outcome: LetterOutcome) -> u64 {
        self.counts.get(outcome as usize)
    }

    /// Bytes of letters that wait to be written.
    pub fn waiting_bytes(&self) -> u64 {
        self.waiting_bytes.load(Ordering::Relaxed)
    }

    /// Whether what was written last could not be.
    pub fn is_away(&self) -> bool {
        self.is_away.load(Ordering::Relaxed)
    }

    /// Counts one.
    pub fn count(&self, outcome: LetterOutcome) {
        self.add(outcome, 1);
    }

    /// Counts so many.
    pub fn add(&self, outcome: LetterOutcome, count: u64) {
        self.counts.add(outcome as usize, count);
    }

    /// Bytes of letters that were in the store when it was looked at last.
    pub fn kept_bytes(&self) -> u64 {
        self.kept_bytes.load(Ordering::Relaxed)
    }

    /// So many bytes are in the store.
    pub fn set_kept(&self, bytes: u64) {
        self.kept_bytes.store(bytes, Ordering::Relaxed);
    }

    /// So many bytes wait.
    pub fn set_waiting(&self, bytes: usize) {
        self.waiting_bytes.store(bytes as u64, Ordering::Relaxed);
    }

    /// It could not be written, or it could.
    pub fn set_away(&self, is_away: bool) {
        self.is_away.store(is_away, Ordering::Relaxed);
    }
}
