//! What may become of something, and how often it did: kinds with the names under which they are counted.

use std::sync::atomic::{AtomicU64, Ordering};

/// Declares the kinds.
macro_rules! outcomes {
    ($( #[$about:meta] )* $name:ident { $( $variant:ident $label:literal $meaning:literal, )+ }) => {
        $( #[$about] )*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum $name {
            $( #[doc = $meaning] $variant, )+
        }

        impl $name {
            /// Every outcome.
            pub const ALL: &'static [Self] = &[ $( Self::$variant, )+ ];

            /// The stable name.
            pub const fn label(self) -> &'static str {
                match self { $( Self::$variant => $label, )+ }
            }
        }
    };
}
pub(crate) use outcomes;

/// One count for each of so many kinds.
pub struct Counts<const KINDS: usize>([AtomicU64; KINDS]);

impl<const KINDS: usize> Default for Counts<KINDS> {
    fn default() -> Self {
        Self([const { AtomicU64::new(0) }; KINDS])
    }
}

impl<const KINDS: usize> Counts<KINDS> {
    /// Counts so many of a kind.
    pub fn add(&self, kind: usize, count: u64) {
        self.0[kind].fetch_add(count, Ordering::Relaxed);
    }

    /// How many there were of a kind.
    pub fn get(&self, kind: usize) -> u64 {
        self.0[kind].load(Ordering::Relaxed)
    }
}
