//! What every user database is asked, whichever it is.

use super::change::{Change, Done};
use super::embedded::Embedded;
use super::error::StoreError;
use super::program::Program;
use super::sql::Sql;
use gateway::UserId;
use gateway::users::Found;

/// A user database.
#[derive(Clone)]
pub enum Store {
    /// In a file of this node's own.
    Embedded(Embedded),
    /// A program that is asked over HTTP.
    Program(Program),
    /// PostgreSQL.
    Sql(Sql),
}

impl Store {
    /// What is there under a name, beside a client's link key.
    pub async fn find(&self, user: UserId, link_key: &[u8]) -> Result<Found, StoreError> {
        match self {
            Self::Embedded(_) | Self::Sql(_) => Ok(Found::compare(self.link_key(user).await?.as_deref(), link_key)),
            Self::Program(program) => program.find(user, link_key).await,
        }
    }

    /// The link key of a name.
    pub async fn link_key(&self, user: UserId) -> Result<Option<Vec<u8>>, StoreError> {
        match self {
            Self::Embedded(store) => store.link_key(user).await,
            Self::Sql(store) => store.link_key(user).await,
            Self::Program(_) => Err(StoreError::ReadOnly),
        }
    }

    /// Whether a name is there.
    pub async fn is_there(&self, user: UserId) -> Result<bool, StoreError> {
        match self {
            Self::Embedded(_) | Self::Sql(_) => Ok(self.link_key(user).await?.is_some()),
            Self::Program(program) => program.exists(user).await,
        }
    }

    /// The identity key of a name; the inner one is none for a name without. None if the name is not there.
    pub async fn identity_key(&self, user: UserId) -> Result<Option<Option<Vec<u8>>>, StoreError> {
        match self {
            Self::Embedded(store) => store.identity_key(user).await,
            Self::Sql(store) => store.identity_key(user).await,
            Self::Program(program) => program.identity_key(user).await.map(Some),
        }
    }

    /// Writes; it is on the disk when this returns.
    pub async fn change(&self, change: Change) -> Result<Done, StoreError> {
        match self {
            Self::Embedded(store) => store.change(change).await,
            Self::Sql(store) => store.change(change).await,
            Self::Program(_) => Err(StoreError::ReadOnly),
        }
    }
}
