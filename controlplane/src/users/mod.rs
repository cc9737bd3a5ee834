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
//! | `embedded` | the one in a file |
//! | `sql` | PostgreSQL |
//! | `program` | a program that is asked over HTTP |
//! | `mail`, `letters` | letters of registered clients, kept in PostgreSQL |
//! | `memory` | whom it has let in |
//! | `orders` | what operators order over the management socket |
//! | `tally` | counts |
//! | `error` | why one cannot be used |

mod change;
mod desk;
mod embedded;
mod error;
mod letters;
mod mail;
mod memory;
mod orders;
mod program;
mod sql;
mod store;
mod tally;
#[cfg(test)]
mod tests;

pub use desk::Desk;
pub use error::StoreError;
pub use orders::{Answer, Order, is_about_users, parse, text};
pub use tally::{LetterOutcome, Outcome, Tally};

use crate::logging::Log;
use change::{Change, Done};
use config::server::UserStore;
use embedded::Embedded;
use gateway::{Question, Strangers, UserId, Verdict};
use mail::Mail;
use memory::Memory;
use program::Program;
use sql::Sql;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use store::Store;
use tokio::sync::Semaphore;

const MODULE: &str = "users";

/// How long the database may take: less than the handshake that waits for it.
const ANSWER_LIMIT: Duration = Duration::from_secs(2);

/// The user database, to be asked and to be told.
#[derive(Clone)]
pub struct Users {
    store: Store,
    strangers: Strangers,
    memory: Arc<Mutex<Memory>>,
    tally: Arc<Tally>,
    /// One of those who see whether a database that was away is back.
    looks: Arc<Semaphore>,
    /// The letters of registered clients, where they are kept.
    mail: Option<Mail>,
    log: Log,
}

impl Users {
    /// Opens what the configuration names.
    pub fn open(config: &config::server::Users, keeps_mail: bool, log: &Log) -> Result<Self, StoreError> {
        let (store, place) = match &config.store {
            UserStore::Embedded(path) => (Store::Embedded(Embedded::open(path)?), path.display().to_string()),
            UserStore::Extern(url) => {
                (Store::Program(Program::new(url)), format!("http://{}{}", url.authority, url.path))
            }
            UserStore::Sql(source) => (Store::Sql(Sql::open(source, keeps_mail, log)?), "Gateway.SQLDB".into()),
        };
        let strangers =
            Strangers { are_registered: config.trusts_on_first_use, are_ephemeral: config.admits_ephemeral };
        let accepted = match strangers {
            Strangers { are_ephemeral: true, .. } => "others are accepted under names that are not registered",
            Strangers { are_registered: true, .. } => "others are registered with the key that comes with them first",
            _ => "others are refused",
        };
        log.notice(MODULE, format_args!("registered clients are those of {place}; {accepted}"));
        let (memory, tally, looks) = (Arc::default(), Arc::<Tally>::default(), Arc::new(Semaphore::new(1)));
        let mail = keeps_mail.then(|| Mail::new(tally.clone()));
        Ok(Self { store, strangers, memory, tally, looks, mail, log: log.clone() })
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
            self.look_after(user, link_key);
            self.tally.count(Outcome::Remembered);
            return remembered;
        }
        match within(self.ask(&question)).await {
            Ok(verdict) => {
                self.is_back();
                self.memory().note(user, link_key, verdict, Instant::now());
                verdict
            }
            Err(error) => {
                self.report(&error);
                let remembered = self.recall(&user, link_key);
                self.tally.count(if remembered.is_some() { Outcome::Remembered } else { Outcome::Away });
                remembered.unwrap_or(Verdict::Unknown)
            }
        }
    }

    /// Asks about a client that is remembered whether the database is back, one at a time.
    fn look_after(&self, user: UserId, link_key: &[u8]) {
        let Ok(place) = self.looks.clone().try_acquire_owned() else { return };
        let (users, link_key) = (self.clone(), link_key.to_vec());
        tokio::spawn(async move {
            if within(users.store.find(user, &link_key)).await.is_ok() {
                users.is_back();
            }
            drop(place);
        });
    }

    fn recall(&self, user: &UserId, link_key: &[u8]) -> Option<Verdict> {
        self.memory().recall(user, link_key, Instant::now())
    }

    fn is_back(&self) {
        if self.tally.set_away(false) {
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
        let verdict = match self.store.change(Change::Trust(user, link_key.into())).await? {
            Done::Yes => {
                self.tally.count(Outcome::Trusted);
                return Ok(Verdict::Registered);
            }
            Done::Exists => gateway::users::judge(self.store.find(user, link_key).await?, Strangers::default()),
            Done::Full | Done::Unknown => Verdict::Refused,
        };
        self.tally.count(if verdict.admits() { Outcome::Registered } else { Outcome::Refused });
        Ok(verdict)
    }

    /// Carries out an order; the answer's text. What the database cannot do now is told in the log, too.
    pub async fn obey(&self, order: Order) -> Result<orders::Answer, StoreError> {
        let changed = match &order {
            Order::Change(Change::Update(user, _) | Change::Remove(user)) => Some(*user),
            _ => None,
        };
        let answer = within(self.carry_out(order)).await.inspect_err(|error| self.report(error));
        // Whatever became of it: the database is asked again.
        if let Some(user) = changed {
            self.memory().forget(&user);
        }
        answer
    }

    async fn carry_out(&self, order: Order) -> Result<orders::Answer, StoreError> {
        Ok(match order {
            Order::Change(change) => match self.store.change(change).await? {
                Done::Yes => orders::Answer::Done,
                Done::Exists | Done::Unknown | Done::Full => orders::Answer::Refused,
            },
            Order::Link(user) => orders::Answer::of_key(self.store.link_key(user).await?),
            Order::Identity(user) => orders::Answer::of_key(self.store.identity_key(user).await?.flatten()),
        })
    }

    /// Once for each time that it is away.
    fn report(&self, error: &StoreError) {
        if self.tally.set_away(true) {
            let effect = "clients that it has let in before are let in again, nobody else is";
            self.log.error(MODULE, format_args!("{error}; {effect}"));
        }
    }

    fn memory(&self) -> MutexGuard<'_, Memory> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn within<T>(answer: impl Future<Output = Result<T, StoreError>>) -> Result<T, StoreError> {
    let silent = |_| Err(StoreError::Silent(ANSWER_LIMIT.as_secs()));
    tokio::time::timeout(ANSWER_LIMIT, answer).await.unwrap_or_else(silent)
}
