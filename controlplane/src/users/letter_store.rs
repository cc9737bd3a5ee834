//! Where the letters of registered clients are kept, whichever store it is.

use super::error::StoreError;
use super::letter_file::LetterFile;
use super::letters::{Batch, Letter, Swept, Written};
use super::sql::Sql;
use gateway::UserId;
use std::sync::Arc;

/// A store of letters.
#[derive(Clone)]
pub enum LetterStore {
    /// In a file of this node's own.
    File(LetterFile),
    /// PostgreSQL.
    Sql(Sql),
}

impl LetterStore {
    /// Writes a batch, all of it or nothing; what is written twice is there once.
    pub async fn write(&self, batch: &Arc<Batch>) -> Result<Written, StoreError> {
        match self {
            Self::File(file) => file.write(batch).await,
            Self::Sql(sql) => sql.write_letters(batch).await,
        }
    }

    /// The oldest letters of a user, which stay until they are gone.
    pub async fn fetch(&self, user: UserId) -> Result<Vec<Letter>, StoreError> {
        match self {
            Self::File(file) => file.fetch(user).await,
            Self::Sql(sql) => sql.fetch_letters(user).await,
        }
    }

    /// Removes what is too old, and what is too much.
    pub async fn sweep(&self) -> Result<Swept, StoreError> {
        match self {
            Self::File(file) => file.sweep().await,
            Self::Sql(sql) => sql.sweep_letters().await,
        }
    }
}
