//! How a user database fares, for the metrics.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

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
}

/// How it fares.
#[derive(Default)]
pub struct Tally {
    counts: [AtomicU64; Outcome::ALL.len()],
    is_away: AtomicBool,
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
    Full,
    /// So many letters waited to be written that there was no room for it.
    Overflowed,
    /// It was given back to the data plane.
    Fetched,
}

impl LetterOutcome {
    /// Every outcome.
    pub const ALL: [Self; 6] =
        [Self::Kept, Self::Spared, Self::UnknownUser, Self::Full, Self::Overflowed, Self::Fetched];

    /// The stable name.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Kept => "kept",
            Self::Spared => "spared",
            Self::UnknownUser => "unknown_user",
            Self::Full => "mailbox_full",
            Self::Overflowed => "overflowed",
            Self::Fetched => "fetched",
        }
    }
}

/// How the store of mail fares.
#[derive(Default)]
pub struct Letters {
    counts: [AtomicU64; LetterOutcome::ALL.len()],
    waiting_bytes: AtomicU64,
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
        self.counts[outcome as usize].fetch_add(1, Ordering::Relaxed);
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
