//! Why a user database, or a store of mail, cannot be used.

use crate::process::remedy::remedy_at_path;
use std::io;
use std::path::PathBuf;

/// A file of this node's own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// Where it is.
    pub path: PathBuf,
    /// What it is.
    pub what: &'static str,
    /// The key that names it.
    pub key: &'static str,
    /// What follows where a new one is made.
    pub renewal: &'static str,
    /// What is to be done with a damaged one.
    pub mending: &'static str,
}

/// Why a database cannot be used, or did not do what it was asked for.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// A file of the reference.
    #[error(
        "{} is a bbolt file of a reference server, which is not read: move it away, or give another path as {}; {}",
        .0.path.display(), .0.key, .0.renewal
    )]
    Reference(Place),
    /// Another file.
    #[error("{} is no {} ({}); move it away, and a new one is made", .0.path.display(), .0.what, .0.key)]
    Foreign(Place),
    /// A damaged file.
    #[error("{} is damaged: {problem} ({}); {}", .place.path.display(), .place.key, .place.mending)]
    Damaged {
        /// The file.
        place: Place,
        /// What is wrong with it.
        problem: String,
    },
    /// Another process has it.
    #[error("{} is in use by another process ({}); stop that first", .0.path.display(), .0.key)]
    InUse(Place),
    /// The operating system.
    #[error("cannot use {}: {error} ({}){}", .place.path.display(), .place.key, remedy_at_path(.error))]
    Io {
        /// The file.
        place: Place,
        /// The reason.
        error: io::Error,
    },
    /// It is another program's.
    #[error(
        "a program that is asked over HTTP is told nothing (Gateway.UserDB.Backend = \"extern\"): tell it yourself"
    )]
    ReadOnly,
    /// The program that is asked over HTTP cannot be asked.
    #[error("the user database at http://{at}: {problem} (Gateway.UserDB.Extern)")]
    Program {
        /// Where it is.
        at: String,
        /// What is wrong with it.
        problem: String,
    },
    /// It does not say what it was asked.
    #[error("the user database at http://{at} {problem} (Gateway.UserDB.Extern)")]
    Answer {
        /// Where it is.
        at: String,
        /// What it says.
        problem: String,
    },
    /// How PostgreSQL is reached. The text of the file is not told: it may hold a password.
    #[error("Gateway.SQLDB.DataSourceName {0}")]
    Source(String),
    /// PostgreSQL cannot be asked.
    #[error("PostgreSQL: {0} (Gateway.SQLDB)")]
    Sql(String),
    /// There is no connection to it now; what becomes of that is told by who makes one.
    #[error("PostgreSQL: there is no connection (Gateway.SQLDB)")]
    Unconnected,
    /// PostgreSQL says that it does not do it.
    #[error("PostgreSQL: {0} (Gateway.SQLDB)")]
    Told(String),
    /// It was to be written with something else, which has the reason.
    #[error("the database does not take it")]
    NotWritten,
    /// More is asked of it than it does.
    #[error("the database does not keep up")]
    Busy,
    /// It has said nothing in time.
    #[error("the database does not answer within {0} s")]
    Silent(u64),
    /// Its thread has ended.
    #[error("the thread of the database has ended")]
    Ended,
}

impl StoreError {
    /// Whether it is about what was to be written, and says nothing of questions.
    pub fn is_of_writing(&self) -> bool {
        matches!(self, Self::Told(_) | Self::Io { .. } | Self::NotWritten | Self::ReadOnly)
    }
}
