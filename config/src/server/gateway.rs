//! `[Gateway]` (server.md 2.10), and what the documentation of earlier releases has for it (server.md 2.12, D.2): a user
//! database, which a gateway has only if the file asks for one.

use super::node::absolute;
use crate::finding::{Findings, Place};
use crate::reader::At;
use crate::server::raw;
use std::fmt;
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

/// Gateway role.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gateway {
    /// Absolute path of the spool file.
    pub spool_path: PathBuf,
    /// Who may be a client; none is everybody.
    pub users: Option<Users>,
    /// Where the letters of registered clients are kept; none is in memory alone.
    pub mail: Option<MailStore>,
}

/// Where the letters of registered clients are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MailStore {
    /// In the spool file, which is this node's own.
    Embedded,
    /// Beside the users, in PostgreSQL.
    Sql,
}

/// The user database of a gateway.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Users {
    /// Where it is.
    pub store: UserStore,
    /// Unknown names are registered with the key that comes with them first.
    pub trusts_on_first_use: bool,
    /// Unknown names are let in and not written down.
    pub admits_ephemeral: bool,
}

/// Where a user database is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum UserStore {
    /// In a file of this node's own.
    Embedded(PathBuf),
    /// A program that is asked over HTTP.
    Extern(ExternUrl),
    /// PostgreSQL.
    Sql(DataSource),
}

/// Where a program is asked over HTTP.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExternUrl {
    /// Host, as it stands in the file, and port.
    pub authority: String,
    /// What stands before the names of the questions; it ends without a slash.
    pub path: String,
}

/// How a database is reached; it may hold a password, and is never shown.
#[derive(Clone, PartialEq, Eq)]
pub struct DataSource(Zeroizing<String>);

impl DataSource {
    /// That of a file's text.
    pub fn new(text: String) -> Self {
        Self(Zeroizing::new(text))
    }

    /// The text of the file.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for DataSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DataSource")
    }
}

/// The file's `[Gateway]`, or none after findings.
pub fn check(raw: Option<raw::Gateway>, data_dir: &Path, findings: &mut Findings) -> Option<Gateway> {
    let raw = raw.unwrap_or_default();
    // Files of releases without any admission have the tables all the same: the flags alone say that they mean it.
    let users = if raw.trust_on_first_use.is_some() || raw.enable_ephemeral_clients.is_some() {
        let source = check_source(raw.sql_db.as_ref(), findings);
        check_users(&raw, source?.as_ref(), data_dir, findings)
    } else {
        let tables = [raw.user_db.as_ref().map(|at| &at.place), raw.sql_db.as_ref().map(|at| &at.place)];
        for place in tables.into_iter().flatten() {
            let problem = "is ignored, as by the reference: every client is accepted";
            let remedy = "remove it; or write EnableEphemeralClients = true or false below [Gateway], and it is used";
            findings.warning("ignored-users", place, problem, remedy);
        }
        Some(None)
    };
    let has_sql = matches!(users.as_ref(), Some(Some(Users { store: UserStore::Sql(_), .. })));
    let spool = raw.spool_db.map(|at| at.value).unwrap_or_default();
    let mail = match spool.backend.as_ref().map(|at| at.value.as_str()) {
        Some("sql") => Some(MailStore::Sql),
        Some("memory") => None,
        _ => Some(MailStore::Embedded),
    };
    let spool_path = check_spool(spool, has_sql, data_dir, findings);
    let users = users?;
    // Names that end with their connections have nothing to come back for.
    Some(Gateway { spool_path: spool_path?, mail: mail.filter(|_| users.is_some()), users })
}

fn check_spool(spool: raw::SpoolDb, has_sql: bool, data_dir: &Path, findings: &mut Findings) -> Option<PathBuf> {
    if let Some(at) = spool.backend.filter(|at| !matches!(at.value.as_str(), "" | "bolt")) {
        let problem = format!("config: Provider: Invalid SpoolDB Backend: '{}'", at.value);
        match at.value.as_str() {
            "memory" => {}
            "sql" if has_sql => {}
            "sql" => {
                let remedy = "use bolt; or write Backend = \"sql\" below [Gateway.UserDB] too, and EnableEphemeralClients below \
                              [Gateway]: mail is kept for registered clients";
                findings.error("spool-backend", &at.place, problem, remedy);
                return None;
            }
            _ => {
                findings.error("spool-backend", &at.place, problem, "use bolt, sql or memory");
                return None;
            }
        }
    }
    match spool.bolt.and_then(|at| at.value.spool_db).filter(|at| !at.value.is_empty()) {
        None => Some(data_dir.join("spool.db")),
        Some(at) => absolute(&at.value, &at.place, "config: Gateway: SpoolDB", findings),
    }
}

/// `Some(None)` is a gateway without a database.
fn check_users(
    raw: &raw::Gateway,
    source: Option<&DataSource>,
    data_dir: &Path,
    findings: &mut Findings,
) -> Option<Option<Users>> {
    let Some(database) = &raw.user_db else {
        for flag in [&raw.trust_on_first_use, &raw.enable_ephemeral_clients].into_iter().flatten() {
            let problem = "has no effect: without [Gateway.UserDB] every client is accepted, and remembered as long as \
                           its mailbox";
            findings.warning("without-user-database", &flag.place, problem, "remove it, or add [Gateway.UserDB]");
        }
        return Some(None);
    };
    let (place, database) = (&database.place, &database.value);
    let url = database.r#extern.as_ref().or(database.extern_user_db.as_ref());
    // The documentation's example of a program that is asked names no backend.
    let usual = if url.is_some() { "extern" } else { "bolt" };
    let backend = database.backend.as_ref().map(|at| at.value.as_str()).filter(|name| !name.is_empty());
    let backend_place = database.backend.as_ref().map_or(place, |at| &at.place);
    let store = match backend.unwrap_or(usual) {
        "bolt" => {
            let written = database.bolt.as_ref().and_then(|at| at.value.user_db.as_ref());
            let path = match written.filter(|at| !at.value.is_empty()) {
                None => data_dir.join("users.db"),
                Some(at) => absolute(&at.value, &at.place, "config: Gateway: UserDB", findings)?,
            };
            UserStore::Embedded(path)
        }
        "extern" => UserStore::Extern(check_url(url, backend_place, findings)?),
        "sql" => UserStore::Sql(needed(source, backend_place, findings)?),
        other => {
            let problem = format!("config: Provider: Invalid UserDB Backend: '{other}'");
            findings.error("user-backend", backend_place, problem, "use bolt, extern or sql");
            return None;
        }
    };
    let is_set = |flag: &Option<At<bool>>| flag.as_ref().is_some_and(|at| at.value);
    if let (UserStore::Extern(_), Some(flag)) = (&store, raw.trust_on_first_use.as_ref().filter(|at| at.value)) {
        let problem = "cannot be: a program that is asked over HTTP takes no names";
        findings.error("trust-without-store", &flag.place, problem, "remove it, or use bolt or sql");
        return None;
    }
    Some(Some(Users {
        store,
        trusts_on_first_use: is_set(&raw.trust_on_first_use),
        admits_ephemeral: is_set(&raw.enable_ephemeral_clients),
    }))
}

/// `[Gateway.SQLDB]`; `Some(None)` where it is not there.
fn check_source(raw: Option<&At<raw::SqlDb>>, findings: &mut Findings) -> Option<Option<DataSource>> {
    let Some(At { value: raw, place }) = raw else { return Some(None) };
    if raw.backend.as_ref().is_none_or(|at| at.value != "pgx") {
        let place = raw.backend.as_ref().map_or(place, |at| &at.place);
        // Not shown: people write the whole source there.
        let problem = "config: SQLDB: Backend is invalid";
        findings.error("sql-backend", place, problem, "write Backend = \"pgx\", which is PostgreSQL");
        return None;
    }
    // Never shown: it may hold a password.
    let source = raw.data_source_name.as_ref().filter(|at| !at.value.is_empty());
    let Some(source) = source else {
        let key = format!("{}.DataSourceName", place.key);
        let place = raw.data_source_name.as_ref().map_or_else(|| Place::absent(key), |at| at.place.clone());
        let remedy = "write a URL (postgresql://user:password@host/database) or pairs (host=/run/postgresql dbname=…)";
        findings.error("sql-source", &place, "config: SQLDB: DataSourceName is not set", remedy);
        return None;
    };
    Some(Some(DataSource::new(source.value.clone())))
}

fn needed(source: Option<&DataSource>, place: &Place, findings: &mut Findings) -> Option<DataSource> {
    if source.is_none() {
        let problem = "config: Provider: SQL backend without [Gateway.SQLDB]";
        findings.error("without-sql", place, problem, "add [Gateway.SQLDB] with Backend and DataSourceName");
    }
    source.cloned()
}

/// `http://host:port/path`, nothing else: a program on this host, or behind a tunnel.
fn check_url(raw: Option<&At<raw::ExternUsers>>, place: &Place, findings: &mut Findings) -> Option<ExternUrl> {
    let written = raw.and_then(|at| at.value.provider_url.as_ref().or(at.value.gateway_url.as_ref()));
    let Some(written) = written.filter(|at| !at.value.is_empty()) else {
        let remedy = "write ProviderURL = \"http://localhost:8080/\" below [Gateway.UserDB.Extern]";
        findings.error("extern-url", place, "there is no URL of the program that is to be asked", remedy);
        return None;
    };
    let rest = written.value.strip_prefix("http://");
    let (authority, path) = rest.map(|rest| rest.split_once('/').unwrap_or((rest, ""))).unwrap_or_default();
    let is_plain = |text: &str| text.bytes().all(|byte| byte.is_ascii_graphic() && !b"?#@\"<>\\".contains(&byte));
    let (host, port) = match authority.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, port.parse().ok()),
        _ => (authority, Some(80_u16)),
    };
    match port {
        Some(port) if !host.is_empty() && is_plain(authority) && is_plain(path) => {
            let path = path.trim_end_matches('/');
            let path = if path.is_empty() { String::new() } else { format!("/{path}") };
            Some(ExternUrl { authority: format!("{host}:{port}"), path })
        }
        _ => {
            // What may be a password is not shown.
            let shown = if written.value.contains('@') { "this" } else { &written.value };
            let problem = format!("'{shown}' is not a URL of the form http://host:port/path");
            let remedy = "write http://localhost:8080/; TLS is not spoken, let a proxy on this host speak it";
            findings.error("extern-url", &written.place, problem, remedy);
            None
        }
    }
}
