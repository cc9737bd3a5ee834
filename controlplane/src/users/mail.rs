//! The letters of registered clients, kept in PostgreSQL (`[Gateway.SpoolDB] Backend = "sql"`). They are written behind:
//! the data plane has each of them in memory, too, for as long as its client may take it, and what a client acknowledges
//! within a moment is never written. While the database is away they wait here.

use super::letters::{Batch, Kept, Letter, Name};
use super::sql::Sql;
use super::tally::{LetterOutcome, Tally};
use crate::logging::Log;
use gateway::UserId;
use gateway::archive::Record;
use interplane::requests::{Answers, RequestId};
use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::Notify;

/// How long a letter waits for its acknowledgement before it is written.
const LINGER: Duration = Duration::from_millis(100);
/// What is written at once.
const BATCH_MAX: usize = 512;
/// Bytes of letters that wait, and how many things there may be to do.
const BYTES_MAX: usize = 64 << 20;
const WAITING_MAX: usize = 1 << 18;
/// How long the database may take, and pauses between two tries.
const WRITE_LIMIT: Duration = Duration::from_secs(5);
const PAUSE: Duration = Duration::from_millis(500);
/// How long a clean stop waits for what is not written.
const SETTLE_LIMIT: Duration = Duration::from_secs(3);

/// What waits to be written, and the way to it.
#[derive(Clone)]
pub struct Mail {
    queue: Arc<Mutex<Queue>>,
    news: Arc<Notify>,
    tally: Arc<Tally>,
}

#[derive(Default)]
struct Queue {
    waiting: VecDeque<Item>,
    /// Letters that wait, with their bytes.
    keeps: HashMap<Name, usize>,
    /// Those of them that have arrived in the meantime.
    arrived: HashSet<Name>,
    bytes: usize,
    /// A batch is being written.
    is_busy: bool,
}

enum Item {
    Keep(Letter),
    Gone(Name),
    Fetch(UserId, RequestId),
}

impl Mail {
    /// Nothing yet.
    pub fn new(tally: Arc<Tally>) -> Self {
        Self { queue: Arc::default(), news: Arc::default(), tally }
    }

    /// Takes what the data plane says.
    pub fn take(&self, id: RequestId, record: &Record<'_>) {
        let mut queue = self.queue();
        let is_full = queue.waiting.len() >= WAITING_MAX;
        match *record {
            Record::Keep { .. } if is_full => self.tally.letters.count(LetterOutcome::Overflowed),
            Record::Keep { payload, .. } if queue.bytes + payload.len() > BYTES_MAX => {
                self.tally.letters.count(LetterOutcome::Overflowed)
            }
            Record::Keep { user, surb_id, payload } => {
                queue.bytes += payload.len();
                queue.keeps.insert((user, surb_id), payload.len());
                queue.waiting.push_back(Item::Keep(((user, surb_id), payload.to_vec())));
            }
            Record::Gone { user, surb_id } => {
                if queue.keeps.contains_key(&(user, surb_id)) {
                    queue.arrived.insert((user, surb_id));
                } else if !is_full {
                    queue.waiting.push_back(Item::Gone((user, surb_id)));
                }
            }
            Record::Fetch { .. } if is_full => {}
            Record::Fetch { user } => queue.waiting.push_back(Item::Fetch(user, id)),
        }
        self.tally.letters.set_waiting(queue.bytes);
        drop(queue);
        self.news.notify_one();
    }

    /// Writes until it is dropped.
    pub async fn run(self, store: Sql, answers: Arc<Mutex<Answers>>, log: Log) -> String {
        let mut is_away = false;
        loop {
            self.news.notified().await;
            tokio::time::sleep(LINGER).await;
            while let Some(batch) = self.next() {
                while let Err(error) = self.write(&store, &batch, &answers).await {
                    if !std::mem::replace(&mut is_away, true) {
                        let effect = "letters of registered clients wait in memory";
                        log.error(super::MODULE, format_args!("cannot keep mail: {error}; {effect}"));
                    }
                    self.tally.letters.set_away(true);
                    tokio::time::sleep(PAUSE).await;
                }
                if std::mem::replace(&mut is_away, false) {
                    log.notice(super::MODULE, "mail is kept again");
                }
                self.tally.letters.set_away(false);
                self.queue().is_busy = false;
            }
        }
    }

    /// Waits until everything is written, if that does not take long.
    pub async fn settle(&self) {
        let written = async {
            // What the data plane has said last comes out of its rings meanwhile.
            tokio::time::sleep(LINGER * 2).await;
            while !self.is_idle() {
                self.news.notify_one();
                tokio::time::sleep(LINGER).await;
            }
        };
        let _in_vain = tokio::time::timeout(SETTLE_LIMIT, written).await;
    }

    fn is_idle(&self) -> bool {
        let queue = self.queue();
        queue.waiting.is_empty() && !queue.is_busy
    }

    fn next(&self) -> Option<Batch> {
        let mut queue = self.queue();
        let mut batch = Batch::default();
        for _ in 0..BATCH_MAX {
            match queue.waiting.pop_front() {
                Some(Item::Keep((name, payload))) => {
                    queue.keeps.remove(&name);
                    queue.bytes -= payload.len();
                    if queue.arrived.remove(&name) {
                        self.tally.letters.count(LetterOutcome::Spared);
                    } else {
                        batch.keeps.push((name, payload));
                    }
                }
                Some(Item::Gone(name)) => batch.gone.push(name),
                Some(Item::Fetch(user, id)) => batch.fetches.push((user, id)),
                None => break,
            }
        }
        self.tally.letters.set_waiting(queue.bytes);
        let is_something = !(batch.keeps.is_empty() && batch.gone.is_empty() && batch.fetches.is_empty());
        queue.is_busy = is_something;
        is_something.then_some(batch)
    }

    /// All of it, in this order. What is written twice is there once, so that it can be tried again as a whole.
    async fn write(&self, store: &Sql, batch: &Batch, answers: &Mutex<Answers>) -> Result<(), super::StoreError> {
        let limited = |what| tokio::time::timeout(WRITE_LIMIT, what);
        let silent = |_| super::StoreError::Silent(WRITE_LIMIT.as_secs());
        let kept = limited(store.keep(batch)).await.map_err(silent)??;
        for kept in kept {
            self.tally.letters.count(match kept {
                Kept::Yes => LetterOutcome::Kept,
                Kept::UnknownUser => LetterOutcome::UnknownUser,
                Kept::Full => LetterOutcome::Full,
            });
        }
        for (user, id) in &batch.fetches {
            let letters = tokio::time::timeout(WRITE_LIMIT, store.fetch(*user)).await.map_err(silent)??;
            for ((user, surb_id), payload) in letters {
                let mut bytes = Vec::new();
                Record::Keep { user, surb_id, payload: &payload }.write_to(&mut bytes);
                // Where there is no room the rest comes with the next question.
                if !answers.lock().unwrap_or_else(PoisonError::into_inner).give(*id, &bytes) {
                    break;
                }
                self.tally.letters.count(LetterOutcome::Fetched);
            }
        }
        Ok(())
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests;
