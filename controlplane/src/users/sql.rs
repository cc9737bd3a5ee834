//! The user database in PostgreSQL (`Backend = "sql"`, server.md D.2). Tasks keep the connections: nobody who asks waits
//! for one, and several gateways may have the same database. One connection has all the questions, which do not wait for
//! the disk; what is written has others, among which the server gathers what it brings to the disk at once.

use super::change::{Change, Done};
use super::error::StoreError;
use super::letters::Limits;
use super::source::{CONNECT_LIMIT, SILENCE_MAX, Source};
use crate::logging::Log;
use config::server::DataSource;
use gateway::UserId;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::AbortHandle;
use tokio_postgres::error::SqlState;
use tokio_postgres::{Client, Statement};

/// Pauses between two tries.
const PAUSE_MIN: Duration = Duration::from_millis(200);
const PAUSE_MAX: Duration = Duration::from_secs(5);
/// The schema that this program knows.
const SCHEMA_VERSION: i16 = 0;
/// Connections for what is written about users.
const WRITERS: usize = 4;

/// The way to the database.
#[derive(Clone)]
pub struct Sql(Arc<Connections>);

struct Connections {
    reader: Kept,
    writers: [Kept; WRITERS],
    /// For letters, which are large.
    mail: Option<ForMail>,
    /// Whose turn it is to write.
    turn: AtomicUsize,
}

/// Where mail is kept.
pub(super) struct ForMail {
    connection: Kept,
    /// What there may be.
    pub limits: Limits,
    /// Bytes that were there when it was looked, and what this gateway has written since.
    pub bytes: AtomicU64,
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
    fn start(source: &Arc<Source>, keeps_mail: bool, log: Option<&Log>) -> Self {
        let (publish, session) = watch::channel(None);
        let task = tokio::spawn(keep(source.clone(), keeps_mail, publish, log.cloned()));
        Self { session, task: task.abort_handle() }
    }

    fn session(&self) -> Result<Arc<Session>, StoreError> {
        let session = self.session.borrow().clone().filter(|session| !session.client.is_closed());
        session.ok_or(StoreError::Unconnected)
    }
}

/// A connection that is there.
pub(super) struct Session {
    pub client: Client,
    link_key: Statement,
    set_link_key: Statement,
    identity_key: Statement,
    set_identity_key: Statement,
    delete: Statement,
    pub mail: Option<MailStatements>,
}

/// What is there where mail is kept.
pub(super) struct MailStatements {
    pub keep: Statement,
    pub gone: Statement,
    pub take: Statement,
    pub expire: Statement,
    pub sweep: Statement,
}

impl Sql {
    /// Begins to connect. That the database is away is no reason not to start.
    pub fn open(source: &DataSource, mail: Option<Limits>, log: &Log) -> Result<Self, StoreError> {
        let source = Arc::new(Source::read(source.expose())?);
        // One of those for users tells for all. What is wrong about mail alone keeps no users out.
        let reader = Kept::start(&source, false, Some(log));
        let writers = [(); WRITERS].map(|()| Kept::start(&source, false, None));
        let mail = mail.map(|limits| {
            let (connection, bytes) = (Kept::start(&source, true, Some(log)), AtomicU64::new(0));
            ForMail { connection, limits, bytes }
        });
        Ok(Self(Arc::new(Connections { reader, writers, mail, turn: AtomicUsize::new(0) })))
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
        let written = match &change {
            Change::Add(user, key) | Change::Trust(user, key) => {
                client.execute(set_link_key, &[&user.trimmed(), key, &false]).await
            }
            Change::Update(user, key) => client.execute(set_link_key, &[&user.trimmed(), key, &true]).await,
            Change::Remove(user) => client.execute(delete, &[&user.trimmed()]).await,
            Change::SetIdentity(user, key) => client.execute(set_identity_key, &[&user.trimmed(), key]).await,
        };
        match written {
            Ok(_) => Ok(Done::Yes),
            Err(error) if error.code() == Some(&SqlState::UNIQUE_VIOLATION) => Ok(Done::Exists),
            Err(error) if error.code() == Some(&SqlState::NO_DATA_FOUND) => Ok(Done::Unknown),
            Err(error) => Err(failed(&error)),
        }
    }

    /// The connection for letters, and what is known of them.
    pub(super) fn for_mail(&self) -> Result<(Arc<Session>, &ForMail), StoreError> {
        let mail = self.0.mail.as_ref().ok_or_else(|| StoreError::Sql("mail is not kept".into()))?;
        Ok((mail.connection.session()?, mail))
    }
}

impl Connections {
    /// The next one in turn that is there; else the one that has the questions.
    fn for_writing(&self) -> Result<Arc<Session>, StoreError> {
        let turn = self.turn.fetch_add(1, Ordering::Relaxed);
        let mut writers = self.writers.iter().cycle().skip(turn % WRITERS).take(WRITERS);
        writers.find_map(|writer| writer.session().ok()).map_or_else(|| self.reader.session(), Ok)
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
pub(super) fn failed(error: &tokio_postgres::Error) -> StoreError {
    let cause = std::error::Error::source(error).map(|cause| format!(": {cause}")).unwrap_or_default();
    match error.as_db_error() {
        Some(of_server) => StoreError::Told(format!("{} ({})", of_server.message(), of_server.code().code())),
        None => StoreError::Sql(format!("{error}{cause}")),
    }
}

/// Keeps a connection as long as somebody wants one.
async fn keep(source: Arc<Source>, keeps_mail: bool, publish: watch::Sender<Option<Arc<Session>>>, log: Option<Log>) {
    let (mut pause, mut is_told) = (PAUSE_MIN, false);
    loop {
        match tokio::time::timeout(CONNECT_LIMIT, connect(&source, keeps_mail)).await {
            Ok(Ok((session, mut driver))) => {
                (pause, is_told) = (PAUSE_MIN, false);
                let session = Arc::new(session);
                publish.send_replace(Some(session.clone()));
                if let Some(log) = &log {
                    let what = if keeps_mail { ", for mail" } else { "" };
                    log.notice(super::MODULE, format_args!("connected to PostgreSQL{what}"));
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
                    let what = if keeps_mail { "cannot keep mail" } else { "cannot connect" };
                    log.error(super::MODULE, format_args!("{what}: {error}; trying again"));
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

async fn connect(source: &Source, keeps_mail: bool) -> Result<(Session, Driver), StoreError> {
    let (client, connection) = source.config.connect(source.tls.clone()).await.map_err(|error| failed(&error))?;
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
            take: prepare("SELECT surb_id, message_body FROM spool_take($1, $2, $3)").await?,
            expire: prepare("SELECT spool_expire($1, $2)").await?,
            sweep: prepare("SELECT bytes, displaced FROM spool_sweep($1, $2)").await?,
        }),
    };
    // Larger ones are nobody's, whatever they begin with; how large they are others decide.
    let link_key = prepare("SELECT substr(user_get_authentication_key($1), 1, 65536)").await?;
    let set_link_key = prepare("SELECT user_set_authentication_key($1, $2, $3)").await?;
    let identity_key = prepare("SELECT user_get_identity_key($1)").await?;
    let set_identity_key = prepare("SELECT user_set_identity_key($1, $2)").await?;
    let delete = prepare("SELECT user_delete($1)").await?;
    Ok((Session { client, link_key, set_link_key, identity_key, set_identity_key, delete, mail }, driver))
}

#[cfg(test)]
mod tests;
