//! The user database of a gateway, and where the mail of its clients is: all of them are trusted on their first use.

use serde::Serialize;

/// A gateway that knows its users.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UserOptions {
    /// Where PostgreSQL is, with the schema; none is a file of the node's own.
    pub database: Option<String>,
    /// Where mail is kept.
    pub spool: Spool,
}

/// Where mail is kept beside the memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum Spool {
    /// Nowhere.
    Memory,
    /// A file of the node's own.
    File,
    /// Beside the users in PostgreSQL.
    Database,
}

impl UserOptions {
    /// The gateway's section of its file.
    pub fn section(&self) -> String {
        let source = self.database.as_ref().map_or(String::new(), |source| {
            format!("  [Gateway.SQLDB]\n    Backend = \"pgx\"\n    DataSourceName = {source:?}\n")
        });
        let users = if self.database.is_some() { "sql" } else { "bolt" };
        let spool = match self.spool {
            Spool::Memory => "memory",
            Spool::File => "bolt",
            Spool::Database => "sql",
        };
        format!(
            "[Gateway]\n  TrustOnFirstUse = true\n{source}  [Gateway.UserDB]\n    Backend = \"{users}\"\n  \
             [Gateway.SpoolDB]\n    Backend = \"{spool}\"\n\n"
        )
    }

    /// What it is, in a few words.
    pub fn describe(&self) -> String {
        let users = if self.database.is_some() { "PostgreSQL" } else { "a file" };
        let spool = match self.spool {
            Spool::Memory => "memory alone",
            Spool::File => "a file",
            Spool::Database => "PostgreSQL",
        };
        format!("users in {users}, their mail in {spool}")
    }
}
