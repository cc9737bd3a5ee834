//! Why a user database cannot be used.

use crate::process::remedy::remedy_at_path;
use std::io;
use std::path::PathBuf;

/// Why a database cannot be used, or did not do what it was asked for.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// A file of the reference.
    #[error(
        "{0} is a bbolt file of a reference server, which is not read (Gateway.UserDB): move it away, or give another \
         path as Gateway.UserDB.Bolt.UserDB; a new file is made, to which ADD_USER adds the users"
    )]
    Reference(PathBuf),
    /// Another file.
    #[error("{0} is no user database (Gateway.UserDB.Bolt.UserDB); move it away, and a new one is made")]
    Foreign(PathBuf),
    /// A damaged file.
    #[error("{path} is damaged: {problem} (Gateway.UserDB.Bolt.UserDB); restore it from a backup")]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
    /// Another process has it.
    #[error("{0} is in use by another process (Gateway.UserDB.Bolt.UserDB); stop that first")]
    InUse(PathBuf),
    /// The operating system.
    #[error("cannot use {path}: {error} (Gateway.UserDB.Bolt.UserDB){}", remedy_at_path(.error))]
    Io {
        /// The file.
        path: PathBuf,
        /// The reason.
        error: io::Error,
    },
    /// It is another program's.
    #[error(
        "a program that is asked over HTTP is told nothing (Gateway.UserDB.Backend = \"extern\"): tell it yourself"
    )]
    ReadOnly,
    /// The program that is asked over HTTP.
    #[error("the user database at http://{at}: {problem} (Gateway.UserDB.Extern)")]
    Program {
        /// Where it is.
        at: String,
        /// What is wrong with it.
        problem: String,
    },
    /// How PostgreSQL is reached. The text of the file is not told: it may hold a password.
    #[error("Gateway.SQLDB.DataSourceName {0}")]
    Source(&'static str),
    /// PostgreSQL.
    #[error("PostgreSQL: {0} (Gateway.SQLDB)")]
    Sql(String),
    /// More is asked of it than it does.
    #[error("the user database does not keep up")]
    Busy,
    /// It has said nothing in time.
    #[error("the user database does not answer within {0} s")]
    Silent(u64),
    /// Its thread has ended.
    #[error("the thread of the user database has ended")]
    Ended,
}
