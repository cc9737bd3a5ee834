//! How a user database fares, for the metrics.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How long a database that has not taken something counts as one that takes nothing, unless it takes something.
const UNWILLING_FOR: Duration = Duration::from_secs(60);

macro_rules! outcomes {
    ($( $variant:ident $label:literal $meaning:literal, )+) => {
        /// What became of a question.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Outcome {
            $( #[doc = $meaning] $variant, )+
        }

        impl Outcome {
            /// Every outcome.
            pub const ALL: &'static [Self] = &[ $( Self::$variant, )+ ];

            /// The stable name.
            pub const fn label(self) -> &'static str {
                match self { $( Self::$variant => $label, )+ }
            }
        }
    };
}

outcomes! {
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

/// How it fares.
#[derive(Default)]
pub struct Tally {
    counts: [AtomicU64; Outcome::ALL.len()],
    is_away: AtomicBool,
    /// When it has not taken what was to be written.
    unwilling_since: Mutex<Option<Instant>>,
    /// What became of letters, where mail is kept.
    pub letters: Letters,
}

impl Tally {
    /// Counts one.
    pub fn count(&self, outcome: Outcome) {
        self.counts[outcome as usize].fetch_add(1, Ordering::Relaxed);
    }

    /// How many there were.
    pub fn get(&self, outcome: Outcome) -> u64 {
        self.counts[outcome as usize].load(Ordering::Relaxed)
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

/// What became of letters of registered clients.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LetterOutcome {
    /// It is written.
    Kept,
    /// Its client has acknowledged it before it was to be written.
    Spared,
    /// Nobody is registered under its name.
    UnknownUser,
    /// So many letters are kept for its client that there is no room for it.
    MailboxFull,
    /// So many letters are kept for all clients that there is no room for it.
    StoreFull,
    /// So many letters waited to be written that there was no room for it.
    Overflowed,
    /// It was given back to the data plane.
    Fetched,
    /// Its client has not asked for it for too long.
    Expired,
    /// It went for one to somebody with fewer letters.
    Displaced,
}

impl LetterOutcome {
    /// Every outcome.
    pub const ALL: [Self; 9] = [
        Self::Kept,
        Self::Spared,
        Self::UnknownUser,
        Self::MailboxFull,
        Self::StoreFull,
        Self::Overflowed,
        Self::Fetched,
        Self::Expired,
        Self::Displaced,
    ];

    /// The stable name.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Kept => "kept",
            Self::Spared => "spared",
            Self::UnknownUser => "unknown_user",
            Self::MailboxFull => "mailbox_full",
            Self::StoreFull => "store_full",
            Self::Overflowed => "overflowed",
            Self::Fetched => "fetched",
            Self::Expired => "expired",
            Self::Displaced => "displaced",
        }
    }
}

/// How the store of mail fares.
#[derive(Default)]
pub struct Letters {
    counts: [AtomicU64; LetterOutcome::ALL.len()],
    waiting_bytes: AtomicU64,
    kept_bytes: AtomicU64,
    is_away: AtomicBool,
}

impl Letters {
    /// How many there were.
    pub fn get(&self, outcome: LetterOutcome) -> u64 {
        self.counts[outcome as usize].load(Ordering::Relaxed)
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
        self.counts[outcome as usize].fetch_add(count, Ordering::Relaxed);
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
