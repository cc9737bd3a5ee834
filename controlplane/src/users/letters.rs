//! Letters of registered clients on their way to a store, and what every store of them is asked.

use gateway::UserId;
use interplane::requests::RequestId;
use std::time::Duration;

/// What names a letter.
pub type Name = (UserId, [u8; 16]);

/// A letter.
pub type Letter = (Name, Vec<u8>);

/// Letters that are kept for one client.
pub const MAILBOX_LETTERS_MAX: usize = 512;
/// Letters for one client that are given back at once; when they have arrived the next ones follow.
pub const FETCHED_MAX: usize = 64;
/// Letters that are too old, or too many, and go at once.
pub const SWEPT_MAX: usize = 10_000;

/// What there may be.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Bytes of each letter: a database may hold anything.
    pub letter_bytes: usize,
    /// Bytes of all together.
    pub bytes_max: u64,
    /// How long one stays.
    pub age_max: Duration,
    /// How often is looked for those that are too old, or too many.
    pub sweep_every: Duration,
}

impl Limits {
    /// How often is looked, usually.
    pub const SWEEP_EVERY: Duration = Duration::from_secs(60);
}

/// What is to be done at once.
#[derive(Debug, Default)]
pub struct Batch {
    /// Who is none any more, with all letters; before all else.
    pub forgotten: Vec<UserId>,
    /// To be written.
    pub keeps: Vec<Letter>,
    /// To be removed.
    pub gone: Vec<Name>,
    /// To be given to who asks.
    pub fetches: Vec<(UserId, RequestId)>,
}

impl Batch {
    /// Whether there is nothing to do.
    pub fn is_empty(&self) -> bool {
        self.forgotten.is_empty() && self.keeps.is_empty() && self.gone.is_empty() && self.fetches.is_empty()
    }
}

/// What became of letters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kept {
    /// It is written.
    Yes,
    /// Nobody is registered under this name.
    UnknownUser,
    /// There are as many letters for its client as may wait.
    MailboxFull,
    /// There are as many for all clients as may wait.
    StoreFull,
}

/// What became of a batch.
#[derive(Debug, Default)]
pub struct Written {
    /// What became of each letter that was to be kept.
    pub kept: Vec<Kept>,
    /// Letters of others that went for them.
    pub displaced: u64,
}

/// What a look for old letters has found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Swept {
    /// Letters that were too old.
    pub expired: u64,
    /// Letters that were too many.
    pub displaced: u64,
    /// Bytes of those that are there.
    pub bytes: u64,
    /// There may be more to remove.
    pub has_more: bool,
}
