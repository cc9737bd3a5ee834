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
