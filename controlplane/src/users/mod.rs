//! The user database of a gateway that has one (server.md D.2): who may be a client, by the questions of the data plane
//! and the orders of operators.
//!
//! The data plane never waits for a database: its shards put questions into rings and go on (`requests` of `interplane`).
//! Where the database is away, clients that it has let in before are let in again, connected ones stay, and all others
//! are told nothing until their handshakes run out.
//!
//! | file | its job |
//! |---|---|
//! | `mod` | questions and their answers |
//! | `desk` | between the rings of the data plane and the questions |
//! | `store`, `change` | what every database is asked, and what is written to it |
//! | `file`, `embedded` | a file of redb, and the user database in one |
//! | `sql` | PostgreSQL |
//! | `source`, `tls` | how that is reached, and TLS to it |
//! | `program` | a program that is asked over HTTP |
//! | `strikes` | whether its odd answers mean that it is away |
//! | `trust` | how many names are trusted on their first use |
//! | `mail`, `queue` | letters of registered clients on their way to a store, and what waits there |
//! | `letters`, `letter_store` | what every store of letters is asked |
//! | `letter_file`, `sql_letters` | the one in a file, and the one in PostgreSQL |
//! | `steady` | whether the clock can be believed when letters are to go because of their age |
//! | `memory` | whom it has let in |
//! | `orders` | what operators order over the management socket |
//! | `tally` | counts |
//! | `error` | why one cannot be used |

mod change;
mod clerk;
mod desk;
mod embedded;
mod error;
mod file;
mod letter_file;
mod letter_store;
mod letters;
mod mail;
mod memory;
mod orders;
mod program;
mod queue;
mod source;
mod sql;
mod sql_letters;
mod steady;
mod store;
mod strikes;
mod tally;
#[cfg(test)]
mod tests;
mod tls;
mod trust;

pub use desk::Desk;
pub use error::StoreError;
pub use letters::Limits;
pub use orders::{Answer, Order, is_about_users, parse, text};
pub use tally::{LetterOutcome, Outcome, Tally};

use crate::logging::{Log, Quota, Throttle};
use change::{Change, Done};
use config::server::{MailStore, UserStore};
use embedded::Embedded;
use gateway::{Question, Strangers, UserId, Verdict};
use letter_file::LetterFile;
use letter_store::LetterStore;
use mail::Mail;
use memory::Memory;
use program::Program;
use sql::Sql;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use store::Store;
use strikes::Strikes;
use tokio::sync::Semaphore;
use trust::Trust;

const MODULE: &str = "users";

/// How long the database may take: less than the handshake that waits for it.
const ANSWER_LIMIT: Duration = Duration::from_secs(2);
/// Pauses between two questions whether a database that is away is back, if nobody else asks.
const LOOK_PAUSE: Duration = Duration::from_secs(1);
/// Lines of one kind in the log, whatever a database or a client does.
const QUOTA: Quota = Quota { lines: 6, window: Duration::from_secs(60) };

/// Where the letters of registered clients are kept.
#[derive(Clone, Debug)]
pub struct KeptMail {
    /// In which store.
    pub store: MailStore,
    /// The file, if it is one.
    pub path: PathBuf,
    /// What there may be.
    pub limits: Limits,
}

/// The user database, to be asked and to be told.
#[derive(Clone)]
pub struct Users {
    store: Store,
    strangers: Strangers,
    memory: Arc<Mutex<Memory>>,
    tally: Arc<Tally>,
    /// The one who sees whether a database that was away is back.
    looks: Arc<Semaphore>,
    trust: Arc<Mutex<Trust>>,
    strikes: Arc<Mutex<Strikes>>,
    lines: Arc<Mutex<Throttle>>,
    started: Instant,
    /// The letters of registered clients, where they are kept.
    mail: Option<Mail>,
    log: Log,
}

impl Users {
    /// Opens what the configuration names.
    pub fn open(config: &config::server::Users, mail: Option<&KeptMail>, log: &Log) -> Result<Self, StoreError> {
        let of_sql = mail.filter(|mail| mail.store == MailStore::Sql).map(|mail| mail.limits);
        let (store, place) = match &config.store {
            UserStore::Embedded(path) => (Store::Embedded(Embedded::open(path)?), path.display().to_string()),
            UserStore::Extern(url) => {
                (Store::Program(Program::new(url)), format!("http://{}{}", url.authority, url.path))
            }
            UserStore::Sql(source) => (Store::Sql(Sql::open(source, of_sql, log)?), "Gateway.SQLDB".into()),
        };
        let strangers =
            Strangers { are_registered: config.trusts_on_first_use, are_ephemeral: config.admits_ephemeral };
        let accepted = match strangers {
            Strangers { are_ephemeral: true, .. } => "others are accepted under names that are not registered",
            Strangers { are_registered: true, .. } => "others are registered with the key that comes with them first",
            _ => "others are refused",
        };
        log.notice(MODULE, format_args!("registered clients are those of {place}; {accepted}"));
        let tally = Arc::<Tally>::default();
        let letters = match (mail, &store) {
            (Some(KeptMail { store: MailStore::Embedded, path, limits }), _) => {
                let file = LetterFile::open(path, *limits)?;
                log.notice(MODULE, format_args!("their mail is kept in {}", path.display()));
                Some((LetterStore::File(file), *limits))
            }
            (Some(KeptMail { store: MailStore::Sql, limits, .. }), Store::Sql(sql)) => {
                Some((LetterStore::Sql(sql.clone()), *limits))
            }
            _ => None,
        };
        Ok(Self {
            store,
            strangers,
            memory: Arc::default(),
            looks: Arc::new(Semaphore::new(1)),
            trust: Arc::new(Mutex::new(Trust::new(trust::BURST, Instant::now()))),
            strikes: Arc::default(),
            lines: Arc::default(),
            started: Instant::now(),
            mail: letters.map(|(store, limits)| Mail::new(tally.clone(), store, limits)),
            tally,
            log: log.clone(),
        })
    }

    /// For the metrics.
    pub fn tally(&self) -> Arc<Tally> {
        self.tally.clone()
    }

    /// Waits until all letters are written that are to be kept, if that does not take long: before a clean stop.
    pub async fn settle(&self) {
        if let Some(mail) = &self.mail {
            mail.settle().await;
        }
    }

    /// Who a client is.
    pub async fn judge(&self, user: UserId, link_key: &[u8], has_proven: bool) -> Verdict {
        if user.trimmed().is_empty() {
            // Who says nothing of itself is nobody, and no database has to be asked.
            self.tally.count(Outcome::Refused);
            return Verdict::Refused;
        }
        let question = Question { user, link_key, has_proven };
        if self.tally.is_away()
            && let Some(remembered) = self.recall(&user, link_key)
        {
            // Nobody waits for a database that is away if it is known what it would say; whether it is back is asked aside.
            self.tally.count(Outcome::Remembered);
            return remembered;
        }
        match within(self.ask(&question)).await {
            Ok(verdict) => {
                self.is_back(user, link_key);
                self.memory().note(user, link_key, verdict, Instant::now());
                verdict
            }
            Err(error) => {
                self.report(&error, user, link_key);
                let remembered = self.recall(&user, link_key);
                self.tally.count(match (remembered, &error) {
                    (Some(_), _) => Outcome::Remembered,
                    (None, StoreError::Answer { .. }) => Outcome::Unanswered,
                    (None, _) => Outcome::Away,
                });
                remembered.unwrap_or(Verdict::Unknown)
            }
        }
    }

    /// Asks again and again what there was no answer to, one for all, until there is one.
    fn look_after(&self, user: UserId, link_key: &[u8]) {
        let Ok(place) = self.looks.clone().try_acquire_owned() else { return };
        let (users, link_key) = (self.clone(), link_key.to_vec());
        tokio::spawn(async move {
            while users.tally.is_away() {
                tokio::time::sleep(LOOK_PAUSE).await;
                // A name about which nothing is ever said would keep it away for ever.
                let (user, link_key) = lock(&users.strikes).answered().unwrap_or_else(|| (user, link_key.clone()));
                if within(users.store.find(user, &link_key)).await.is_ok() {
                    users.is_back(user, &link_key);
                }
            }
            drop(place);
            // Whoever has found the place taken has counted on this.
            if users.tally.is_away() {
                users.look_after(user, &link_key);
            }
        });
    }

    fn recall(&self, user: &UserId, link_key: &[u8]) -> Option<Verdict> {
        self.memory().recall(user, link_key, Instant::now())
    }

    fn is_back(&self, user: UserId, link_key: &[u8]) {
        lock(&self.strikes).clear(user, link_key);
        if self.tally.set_away(false) && self.may_tell("back") {
            self.log.notice(MODULE, "the user database answers again");
        }
    }

    async fn ask(&self, question: &Question<'_>) -> Result<Verdict, StoreError> {
        let Question { user, link_key, has_proven } = *question;
        let verdict = gateway::users::judge(self.store.find(user, link_key).await?, self.strangers);
        self.tally.count(match verdict {
            Verdict::Registered => Outcome::Registered,
            Verdict::Ephemeral => Outcome::Ephemeral,
            Verdict::OnTrust if has_proven => return self.trust(user, link_key).await,
            Verdict::OnTrust => Outcome::OnTrust,
            Verdict::Refused | Verdict::Unknown => Outcome::Refused,
        });
        Ok(verdict)
    }

    /// Registers a name, unless somebody has been faster.
    async fn trust(&self, user: UserId, link_key: &[u8]) -> Result<Verdict, StoreError> {
        if !lock(&self.trust).take(Instant::now()) {
            self.tally.count(Outcome::TooMany);
            if self.may_tell("trust") {
                let limit = format_args!("{} names at once and one each {:?}", trust::BURST, trust::PAUSE);
                let reason = "more new names come than are trusted on their first use";
                self.log.warning(MODULE, format_args!("{reason} ({limit}); the others have to come again"));
            }
            return Ok(Verdict::Refused);
        }
        let verdict = match self.change(Change::Trust(user, link_key.into())).await {
            Ok(Done::Yes) => {
                self.tally.count(Outcome::Trusted);
                return Ok(Verdict::Registered);
            }
            Ok(Done::Exists) => gateway::users::judge(self.store.find(user, link_key).await?, Strangers::default()),
            Ok(Done::Unknown) => Verdict::Refused,
            // The question was answered.
            Err(error) if error.is_of_writing() => {
                self.tally.count(Outcome::Away);
                lock(&self.trust).give_back();
                return Ok(Verdict::Unknown);
            }
            Err(error) => return Err(error),
        };
        lock(&self.trust).give_back();
        self.tally.count(if verdict.admits() { Outcome::Registered } else { Outcome::Refused });
        Ok(verdict)
    }

    /// Writes, and notes whether that can be done.
    async fn change(&self, change: Change) -> Result<Done, StoreError> {
        let newcomer = match &change {
            Change::Add(user, _) | Change::Trust(user, _) => Some(*user),
            _ => None,
        };
        let done = self.store.change(change).await;
        if let (Ok(Done::Yes), Some(user), Some(mail)) = (&done, newcomer, &self.mail) {
            // What is left of somebody who had the name before is not for who has it now.
            mail.forget(user);
        }
        match &done {
            Ok(_) => self.tally.set_unwilling(None),
            // It is no fault of a program that is not told anything.
            Err(StoreError::ReadOnly) => {}
            Err(error) => {
                self.tally.set_unwilling(Some(Instant::now()));
                if self.may_tell("change") {
                    self.log.error(MODULE, format_args!("what was to be written about a user is not: {error}"));
                }
            }
        }
        done
    }

    /// Carries out an order; the answer's text. What the database cannot do now is told in the log, too.
    pub async fn obey(&self, order: Order) -> Result<orders::Answer, StoreError> {
        let (Order::Change(
            Change::Add(user, _)
            | Change::Update(user, _)
            | Change::Remove(user)
            | Change::SetIdentity(user, _)
            | Change::Trust(user, _),
        )
        | Order::Link(user)
        | Order::Identity(user)) = order;
        let changed = matches!(order, Order::Change(Change::Update(..) | Change::Remove(_)));
        let is_removal = matches!(order, Order::Change(Change::Remove(_)));
        let is_question = matches!(order, Order::Link(_) | Order::Identity(_));
        let answer = within(self.carry_out(order)).await;
        if let Err(error) = &answer
            && (is_question || !error.is_of_writing())
        {
            self.report(error, user, &[]);
        }
        // Whatever became of it: the database is asked again.
        if changed {
            self.memory().forget(&user);
        }
        // Mail goes with its user, and where nobody knows whether that one is gone, too.
        let may_be_gone = matches!(&answer, Ok(_) | Err(StoreError::Silent(_) | StoreError::Sql(_)));
        if let (true, true, Some(mail)) = (is_removal, may_be_gone, &self.mail) {
            mail.forget(user);
        }
        answer
    }

    async fn carry_out(&self, order: Order) -> Result<orders::Answer, StoreError> {
        Ok(match order {
            Order::Change(change) => match self.change(change).await? {
                Done::Yes => orders::Answer::Done,
                Done::Exists | Done::Unknown => orders::Answer::Refused,
            },
            Order::Link(user) => orders::Answer::of_key(self.store.link_key(user).await?),
            Order::Identity(user) => orders::Answer::of_key(self.store.identity_key(user).await?.flatten()),
        })
    }

    /// It did not answer a question about this user.
    fn report(&self, error: &StoreError, user: UserId, link_key: &[u8]) {
        match error {
            StoreError::ReadOnly => return,
            StoreError::Answer { .. } if !lock(&self.strikes).strike(&user) => {
                if self.may_tell("answer") {
                    self.log.warning(MODULE, format_args!("{error}; clients of whom it says nothing cannot come in"));
                }
                return;
            }
            _ => {}
        }
        if self.tally.set_away(true) && self.may_tell("away") {
            let effect = "clients that it has let in before are let in again, nobody else is";
            self.log.error(MODULE, format_args!("{error}; {effect}"));
        }
        self.look_after(user, link_key);
    }

    /// Whether one more line of a kind may be written.
    fn may_tell(&self, kind: &'static str) -> bool {
        let (mut lines, now) = (lock(&self.lines), self.started.elapsed());
        for (kind, more, seconds) in lines.ended(now) {
            self.log.notice(MODULE, format_args!("{more} more lines about users ({kind}) in {seconds} s"));
        }
        lines.admits(kind, QUOTA, now)
    }

    fn memory(&self) -> MutexGuard<'_, Memory> {
        lock(&self.memory)
    }
}

fn lock<T>(what: &Mutex<T>) -> MutexGuard<'_, T> {
    what.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn within<T>(answer: impl Future<Output = Result<T, StoreError>>) -> Result<T, StoreError> {
    let silent = |_| Err(StoreError::Silent(ANSWER_LIMIT.as_secs()));
    tokio::time::timeout(ANSWER_LIMIT, answer).await.unwrap_or_else(silent)
}
