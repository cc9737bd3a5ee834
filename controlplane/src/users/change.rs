//! What is written to a user database, and what became of it.

use gateway::UserId;

/// What is to be written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// A new name with its link key.
    Add(UserId, Vec<u8>),
    /// Another link key for a name.
    Update(UserId, Vec<u8>),
    /// A name goes, with all that it has.
    Remove(UserId),
    /// A name gets an identity key, or has none any more.
    SetIdentity(UserId, Option<Vec<u8>>),
    /// A name with its link key, unless the name is there.
    Trust(UserId, Vec<u8>),
}

/// What became of a change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Done {
    /// It is written, and stays.
    Yes,
    /// The name is there already.
    Exists,
    /// The name is not there.
    Unknown,
}
