//! Letters of registered clients on their way to a store.

use gateway::UserId;
use interplane::requests::RequestId;

/// What names a letter.
pub type Name = (UserId, [u8; 16]);

/// A letter.
pub type Letter = (Name, Vec<u8>);

/// What is to be done at once.
#[derive(Debug, Default)]
pub struct Batch {
    /// To be written.
    pub keeps: Vec<Letter>,
    /// To be removed.
    pub gone: Vec<Name>,
    /// To be given to who asks.
    pub fetches: Vec<(UserId, RequestId)>,
}

/// What became of letters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kept {
    /// It is written.
    Yes,
    /// Nobody is registered under this name.
    UnknownUser,
    /// There are as many letters for its client as may wait.
    Full,
}
