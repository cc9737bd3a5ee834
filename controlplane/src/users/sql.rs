//! The user database in PostgreSQL (`Backend = "sql"`, server.md D.2). Tasks keep the connections: nobody who asks waits
//! for one, and several gateways may have the same database. One connection has all the questions, which do not wait for
//! the disk; what is written has others, among which the server gathers what it brings to the disk at once.

use super::change::{Change, Done};
use super::error::StoreError;
use super::letters::{self, Batch, Letter};
use crate::logging::Log;
use config::server::DataSource;
use gateway::UserId;
use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::AbortHandle;
use tokio_postgres::config::SslMode;
use tokio_postgres::error::SqlState;
use tokio_postgres::{Client, Config, NoTls, Statement};

/// How long a connection may take to be made.
const CONNECT_LIMIT: Duration = Duration::from_secs(5);
/// Pauses between two tries.
const PAUSE_MIN: Duration = Duration::from_millis(200);
const PAUSE_MAX: Duration = Duration::from_secs(5);
/// How long what was sent may stay without any sign of the other host.
const SILENCE_MAX: Duration = Duration::from_secs(5);
/// The schema that this program knows.
const SCHEMA_VERSION: i16 = 0;
/// Names that one run of this program trusts on their first use: whoever connects could fill the disk with more.
const TRUSTED_MAX: u64 = 1 << 17;

/// Connections for what is written about users.
const WRITERS: usize = 4;

/// The way to the database.
#[derive(Clone)]
pub struct Sql(Arc<Connections>);

struct Connections {
    reader: Kept,
    writers: [Kept; WRITERS],
    /// For letters, which are large.
    mail: Option<Kept>,
    /// Whose turn it is to write.
    turn: AtomicUsize,
    trusted: AtomicU64,
}

/// A connection that a task keeps, which ends with this.
struct Kept {
    session: watch::Receiver<Option<Arc<Session>>>,
    task: AbortHandle,
}

impl Drop for Kept {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Kept {
    /// Begins to connect. What becomes of it is told by one of all.
    fn start(config: &Config, keeps_mail: bool, log: Option<&Log>) -> Self {
        let (publish, session) = watch::channel(None);
        let task = tokio::spawn(keep(config.clone(), keeps_mail, publish, log.cloned()));
        Self { session, task: task.abort_handle() }
    }

    fn session(&self) -> Result<Arc<Session>, StoreError> {
        let session = self.session.borrow().clone().filter(|session| !session.client.is_closed());
        session.ok_or_else(|| StoreError::Sql("there is no connection".into()))
    }
}

/// A connection that is there.
struct Session {
    client: Client,
    link_key: Statement,
    set_link_key: Statement,
    identity_key: Statement,
    set_identity_key: Statement,
    delete: Statement,
    mail: Option<MailStatements>,
}

/// What is there where mail is kept.
struct MailStatements {
    keep: Statement,
    gone: Statement,
    take: Statement,
}

impl Sql {
    /// Begins to connect. That the database is away is no reason not to start.
    pub fn open(source: &DataSource, keeps_mail: bool, log: &Log) -> Result<Self, StoreError> {
        let config = parse(source.expose())?;
        // The one that tells asks for all that the others need.
        let reader = Kept::start(&config, keeps_mail, Some(log));
        let writers = [(); WRITERS].map(|()| Kept::start(&config, false, None));
        let mail = keeps_mail.then(|| Kept::start(&config, true, None));
        let (turn, trusted) = (AtomicUsize::new(0), AtomicU64::new(0));
        Ok(Self(Arc::new(Connections { reader, writers, mail, turn, trusted })))
    }

    /// The link key of a name.
    pub async fn link_key(&self, user: UserId) -> Result<Option<Vec<u8>>, StoreError> {
        let session = self.0.reader.session()?;
        let row = session.client.query_one(&session.link_key, &[&user.trimmed()]).await;
        there(row.and_then(|row| row.try_get(0))).map(Option::flatten)
    }

    /// The identity key of a name, if there is the name.
    pub async fn identity_key(&self, user: UserId) -> Result<Option<Option<Vec<u8>>>, StoreError> {
        let session = self.0.reader.session()?;
        let row = session.client.query_one(&session.identity_key, &[&user.trimmed()]).await;
        there(row.and_then(|row| row.try_get(0)))
    }

    /// Writes; it is on the disk when this returns.
    pub async fn change(&self, change: Change) -> Result<Done, StoreError> {
        let session = self.0.for_writing()?;
        let Session { client, set_link_key, set_identity_key, delete, .. } = &*session;
        let is_trust = matches!(change, Change::Trust(..));
        if is_trust && self.0.trusted.load(Ordering::Relaxed) >= TRUSTED_MAX {
            return Ok(Done::Full);
        }
        let written = match &change {
            Change::Add(user, key) | Change::Trust(user, key) => {
                client.execute(set_link_key, &[&user.trimmed(), key, &false]).await
            }
            Change::Update(user, key) => client.execute(set_link_key, &[&user.trimmed(), key, &true]).await,
            Change::Remove(user) => client.execute(delete, &[&user.trimmed()]).await,
            Change::SetIdentity(user, key) => client.execute(set_identity_key, &[&user.trimmed(), key]).await,
        };
        match written {
            Ok(_) => {
                self.0.trusted.fetch_add(u64::from(is_trust), Ordering::Relaxed);
                Ok(Done::Yes)
            }
            Err(error) if error.code() == Some(&SqlState::UNIQUE_VIOLATION) => Ok(Done::Exists),
            Err(error) if error.code() == Some(&SqlState::NO_DATA_FOUND) => Ok(Done::Unknown),
            Err(error) => Err(failed(&error)),
        }
    }
}

/// Letters for one user that are given at once, and that are kept.
const FETCHED_MAX: i32 = 64;
const KEPT_MAX: i32 = 512;

impl Connections {
    /// The next one in turn that is there; else the one that has the questions.
    fn for_writing(&self) -> Result<Arc<Session>, StoreError> {
        let turn = self.turn.fetch_add(1, Ordering::Relaxed);
        let mut writers = self.writers.iter().cycle().skip(turn % WRITERS).take(WRITERS);
        writers.find_map(|writer| writer.session().ok()).map_or_else(|| self.reader.session(), Ok)
    }

    fn for_mail(&self) -> Result<Arc<Session>, StoreError> {
        self.mail.as_ref().ok_or_else(|| StoreError::Sql("mail is not kept".into()))?.session()
    }
}

impl Sql {
    /// Writes what is to be kept, then removes what is gone; what became of each letter that was to be kept.
    pub async fn keep(&self, batch: &Batch) -> Result<Vec<letters::Kept>, StoreError> {
        let session = self.0.for_mail()?;
        let mail = session.mail.as_ref().ok_or_else(|| StoreError::Sql("mail is not kept".into()))?;
        let mut kept = Vec::new();
        if !batch.keeps.is_empty() {
            let names: Vec<&[u8]> = batch.keeps.iter().map(|((user, _), _)| user.trimmed()).collect();
            let blocks: Vec<&[u8]> = batch.keeps.iter().map(|((_, surb_id), _)| surb_id.as_slice()).collect();
            let letters: Vec<&[u8]> = batch.keeps.iter().map(|(_, letter)| letter.as_slice()).collect();
            let rows = session.client.query(&mail.keep, &[&names, &blocks, &letters, &KEPT_MAX]).await;
            for row in rows.map_err(|error| failed(&error))? {
                kept.push(match row.try_get::<_, i32>(0).map_err(|error| failed(&error))? {
                    0 => letters::Kept::Yes,
                    1 => letters::Kept::UnknownUser,
                    _ => letters::Kept::Full,
                });
            }
        }
        if !batch.gone.is_empty() {
            let names: Vec<&[u8]> = batch.gone.iter().map(|(user, _)| user.trimmed()).collect();
            let blocks: Vec<&[u8]> = batch.gone.iter().map(|(_, surb_id)| surb_id.as_slice()).collect();
            session.client.query(&mail.gone, &[&names, &blocks]).await.map_err(|error| failed(&error))?;
        }
        Ok(kept)
    }

    /// The oldest letters of a user.
    pub async fn fetch(&self, user: UserId) -> Result<Vec<Letter>, StoreError> {
        let session = self.0.for_mail()?;
        let mail = session.mail.as_ref().ok_or_else(|| StoreError::Sql("mail is not kept".into()))?;
        let rows = session.client.query(&mail.take, &[&user.trimmed(), &FETCHED_MAX]).await;
        let mut letters = Vec::new();
        for row in rows.map_err(|error| failed(&error))? {
            // What others have written without the name of a reply block, or under another one, is nothing that could be
            // delivered, and no reason to have none of the rest.
            let surb_id: Option<Vec<u8>> = row.try_get(0).map_err(|error| failed(&error))?;
            let body: Option<Vec<u8>> = row.try_get(1).map_err(|error| failed(&error))?;
            if let (Some(Ok(surb_id)), Some(body)) = (surb_id.map(TryInto::try_into), body) {
                letters.push(((user, surb_id), body));
            }
        }
        Ok(letters)
    }
}

/// Functions say by an error that a name is not there.
fn there<T>(found: Result<T, tokio_postgres::Error>) -> Result<Option<T>, StoreError> {
    match found {
        Ok(found) => Ok(Some(found)),
        Err(error) if error.code() == Some(&SqlState::NO_DATA_FOUND) => Ok(None),
        Err(error) => Err(failed(&error)),
    }
}

/// What the server says, or what became of the connection. Neither has the password.
fn failed(error: &tokio_postgres::Error) -> StoreError {
    let cause = std::error::Error::source(error).map(|cause| format!(": {cause}")).unwrap_or_default();
    let text = match error.as_db_error() {
        Some(of_server) => format!("{} ({})", of_server.message(), of_server.code().code()),
        None => format!("{error}{cause}"),
    };
    StoreError::Sql(text)
}

/// A URL, or pairs of keys and values (pgx calls `database` what others call `dbname`).
fn parse(source: &str) -> Result<Config, StoreError> {
    let is_url = source.starts_with("postgres://") || source.starts_with("postgresql://");
    let named = || {
        source.split(' ').map(|pair| match pair.strip_prefix("database=") {
            Some(name) => format!("dbname={name} "),
            None => format!("{pair} "),
        })
    };
    let text = zeroize::Zeroizing::new(if is_url { source.to_owned() } else { named().collect() });
    let unreadable = "is neither a URL (postgresql://user:password@host:port/database) nor pairs of keys and values that \
                      are known (host, port, user, password, dbname, connect_timeout, sslmode)";
    let mut config = Config::from_str(&text).map_err(|_| StoreError::Source(unreadable))?;
    if config.get_ssl_mode() == SslMode::Require {
        let remedy = "asks for TLS, which this program does not speak to databases: use a socket of this host, or a tunnel, \
                      and write sslmode=disable";
        return Err(StoreError::Source(remedy));
    }
    if config.get_hosts().is_empty() {
        return Err(StoreError::Source("names no host: write host=/run/postgresql for one on this host"));
    }
    config.ssl_mode(SslMode::Disable).application_name("katzensprung");
    config.connect_timeout(CONNECT_LIMIT).tcp_user_timeout(SILENCE_MAX);
    config.keepalives_idle(SILENCE_MAX).keepalives_interval(Duration::from_secs(1)).keepalives_retries(5);
    Ok(config)
}

/// Keeps a connection as long as somebody wants one.
async fn keep(config: Config, keeps_mail: bool, publish: watch::Sender<Option<Arc<Session>>>, log: Option<Log>) {
    let (mut pause, mut is_told) = (PAUSE_MIN, false);
    loop {
        match tokio::time::timeout(CONNECT_LIMIT, connect(&config, keeps_mail)).await {
            Ok(Ok((session, mut driver))) => {
                (pause, is_told) = (PAUSE_MIN, false);
                let session = Arc::new(session);
                publish.send_replace(Some(session.clone()));
                if let Some(log) = &log {
                    log.notice(super::MODULE, "connected to PostgreSQL");
                }
                // Ends with the connection, which ends where the server is silent: what waits for it would pile up.
                tokio::select! {
                    _ended = &mut driver.0 => {}
                    () = until_silent(&session.client) => {}
                }
                publish.send_replace(None);
            }
            other => {
                let silent = || StoreError::Silent(CONNECT_LIMIT.as_secs());
                let error = other.map_or_else(|_| silent(), |result| result.err().unwrap_or_else(silent));
                if let (Some(log), false) = (&log, std::mem::replace(&mut is_told, true)) {
                    log.error(super::MODULE, format_args!("cannot connect: {error}; trying again"));
                }
            }
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(PAUSE_MAX);
    }
}

/// Asks nothing again and again, until there is no answer in time.
async fn until_silent(client: &Client) {
    loop {
        tokio::time::sleep(SILENCE_MAX).await;
        if !matches!(tokio::time::timeout(SILENCE_MAX, client.batch_execute("")).await, Ok(Ok(()))) {
            return;
        }
    }
}

/// What moves the bytes of a connection: it ends with it, or with whoever made it.
struct Driver(tokio::task::JoinHandle<()>);

impl Drop for Driver {
    fn drop(&mut self) {
        self.0.abort();
    }
}

async fn connect(config: &Config, keeps_mail: bool) -> Result<(Session, Driver), StoreError> {
    let (client, connection) = config.connect(NoTls).await.map_err(|error| failed(&error))?;
    let driver = Driver(tokio::spawn(async move {
        // Whoever has asked something learns of its end.
        let _ended = connection.await;
    }));
    // What waits for a lock is given up, and what is answered is on the disk, whatever the server's defaults are.
    let settings = format!("SET statement_timeout = {}; SET synchronous_commit = on", SILENCE_MAX.as_millis());
    client.batch_execute(&settings).await.map_err(|error| failed(&error))?;
    let schema =
        "SELECT schema_version, spool_only FROM metadata_get() AS (schema_version smallint, spool_only boolean)";
    let schema = client.query_one(schema, &[]).await.map_err(|error| match error.code() {
        Some(&SqlState::UNDEFINED_FUNCTION) => {
            StoreError::Sql("the database has no schema; load the output of `katzensprung sql schema` with psql".into())
        }
        _ => failed(&error),
    })?;
    match (schema.try_get::<_, i16>(0), schema.try_get::<_, bool>(1)) {
        (Ok(SCHEMA_VERSION), Ok(false)) => {}
        (Ok(SCHEMA_VERSION), _) => return Err(StoreError::Sql("the schema is one for messages only".into())),
        _ => return Err(StoreError::Sql("the schema is of a version that this program does not know".into())),
    }
    let no_schema =
        "the database has no schema, or an older one; load the output of `katzensprung sql schema` with psql";
    let prepare = |text: &'static str| {
        let client = &client;
        async move {
            client.prepare(text).await.map_err(|error| match error.code() {
                Some(&SqlState::UNDEFINED_FUNCTION) => StoreError::Sql(no_schema.into()),
                _ => failed(&error),
            })
        }
    };
    let mail = match keeps_mail {
        false => None,
        true => Some(MailStatements {
            keep: prepare(
                "SELECT spool_keep(n, s, m, $4) FROM unnest($1::bytea[], $2::bytea[], $3::bytea[]) AS t (n, s, m)",
            )
            .await?,
            gone: prepare("SELECT spool_gone(n, s) FROM unnest($1::bytea[], $2::bytea[]) AS t (n, s)").await?,
            take: prepare("SELECT surb_id, message_body FROM spool_take($1, $2)").await?,
        }),
    };
    let link_key = prepare("SELECT user_get_authentication_key($1)").await?;
    let set_link_key = prepare("SELECT user_set_authentication_key($1, $2, $3)").await?;
    let identity_key = prepare("SELECT user_get_identity_key($1)").await?;
    let set_identity_key = prepare("SELECT user_set_identity_key($1, $2)").await?;
    let delete = prepare("SELECT user_delete($1)").await?;
    Ok((Session { client, link_key, set_link_key, identity_key, set_identity_key, delete, mail }, driver))
}

#[cfg(test)]
mod tests;
