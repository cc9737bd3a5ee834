//! The letters of registered clients, kept in a file or in PostgreSQL (`[Gateway.SpoolDB]`). They are written behind: the
//! data plane has each of them in memory, too, for as long as its client may take it, and what a client acknowledges
//! within a moment is never written. While the store is away they wait here.

use super::letter_store::LetterStore;
use super::letters::{Batch, FETCHED_MAX, Kept, Limits, Swept};
use super::queue::Queue;
use super::store::Store;
use super::tally::{LetterOutcome, Tally};
use crate::logging::Log;
use gateway::UserId;
use gateway::archive::Record;
use interplane::requests::{Answers, RequestId};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::Notify;
use tokio::task::JoinSet;

/// How long a letter waits for its acknowledgement before it is written.
const LINGER: Duration = Duration::from_millis(100);
/// How long the store may take, and pauses between two tries.
const WRITE_LIMIT: Duration = Duration::from_secs(5);
const PAUSE: Duration = Duration::from_millis(500);
/// How long a look for old letters may take: two statements, whose own limit comes before so that the reason is known.
const SWEEP_LIMIT: Duration = Duration::from_secs(12);
/// Names about which the user database is asked at a time, and how long it may take.
const ASKED_MAX: usize = 128;
const ASK_LIMIT: Duration = Duration::from_secs(2);
/// How long a clean stop waits for what is not written.
const SETTLE_LIMIT: Duration = Duration::from_secs(3);

/// What waits to be written, and the way to it.
#[derive(Clone)]
pub struct Mail {
    queue: Arc<Mutex<Queue>>,
    /// There is something to write.
    news: Arc<Notify>,
    /// There are names to ask about.
    strangers: Arc<Notify>,
    tally: Arc<Tally>,
    store: LetterStore,
    limits: Limits,
}

/// How far a batch is.
#[derive(Default)]
struct Progress {
    is_written: bool,
    /// Questions that have their answers.
    fetches: usize,
}

impl Mail {
    /// Nothing yet.
    pub fn new(tally: Arc<Tally>, store: LetterStore, limits: Limits) -> Self {
        let (queue, news, strangers) = (Arc::default(), Arc::default(), Arc::default());
        Self { queue, news, strangers, tally, store, limits }
    }

    /// Takes what the data plane says.
    pub fn take(&self, id: RequestId, record: &Record<'_>) {
        self.queue().take(id, record, Instant::now(), &self.tally.letters);
        self.news.notify_one();
        self.strangers.notify_one();
    }

    /// Where letters are kept.
    #[cfg(test)]
    pub fn store(&self) -> &LetterStore {
        &self.store
    }

    /// A user is none any more.
    pub fn forget(&self, user: UserId) {
        self.queue().forget(user, Instant::now(), &self.tally.letters);
        self.news.notify_one();
    }

    /// Writes until it is dropped. Whose the names of letters are it asks `users`.
    pub async fn run(self, users: Store, answers: Arc<Mutex<Answers>>, log: Log) -> String {
        let other = self.clone();
        tokio::select! {
            end = self.write_all(&answers, &log) => end,
            end = other.sort(&users) => end,
        }
    }

    async fn write_all(&self, answers: &Mutex<Answers>, log: &Log) -> String {
        let mut next_sweep = tokio::time::Instant::now();
        let (mut is_away, mut is_told) = (false, false);
        loop {
            tokio::select! {
                biased;
                () = tokio::time::sleep_until(next_sweep) => {
                    let swept = self.sweep().await;
                    let pause = match &swept {
                        Ok(Swept { has_more: true, .. }) => PAUSE,
                        // That is told by others, and to try again costs nothing.
                        Err(super::StoreError::Unconnected) => PAUSE,
                        // What fails may take long, in which nothing is written.
                        Ok(_) | Err(_) => self.limits.sweep_every,
                    };
                    match swept {
                        Err(super::StoreError::Unconnected) => {}
                        Err(error) => {
                            if !std::mem::replace(&mut is_told, true) {
                                log.warning(super::MODULE, format_args!("old mail is not removed: {error}"));
                            }
                        }
                        Ok(_) => is_told = false,
                    }
                    next_sweep = tokio::time::Instant::now() + pause;
                }
                () = self.news.notified() => tokio::time::sleep(LINGER).await,
            }
            // However many letters come, old ones are looked for.
            while tokio::time::Instant::now() < next_sweep
                && let Some(batch) = self.next()
            {
                let batch = Arc::new(batch);
                let mut progress = Progress::default();
                while let Err(error) = self.write(&batch, &mut progress, answers).await {
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
                self.queue().done();
            }
            if self.queue().has_more() {
                self.news.notify_one();
            }
        }
    }

    /// Asks whose the names are for which there are letters.
    async fn sort(&self, users: &Store) -> String {
        loop {
            self.strangers.notified().await;
            loop {
                let names = self.queue().next_names(ASKED_MAX);
                if names.is_empty() {
                    break;
                }
                let mut questions = JoinSet::new();
                for user in names {
                    let users = users.clone();
                    questions.spawn(async move {
                        let answer = tokio::time::timeout(ASK_LIMIT, users.is_there(user)).await;
                        (user, answer.unwrap_or(Err(super::StoreError::Silent(ASK_LIMIT.as_secs()))))
                    });
                }
                let mut is_away = false;
                while let Some(answered) = questions.join_next().await {
                    let Ok((user, answer)) = answered else { continue };
                    let mut queue = self.queue();
                    match answer {
                        Ok(true) => queue.is_somebody(user, Instant::now(), &self.tally.letters),
                        Ok(false) => queue.is_nobody(&user, &self.tally.letters),
                        Err(error) => {
                            is_away = true;
                            match error {
                                super::StoreError::Answer { .. } => queue.is_unanswered(user, &self.tally.letters),
                                _ => queue.is_unclear(user),
                            }
                        }
                    }
                }
                self.news.notify_one();
                if is_away {
                    tokio::time::sleep(PAUSE).await;
                }
            }
        }
    }

    /// Waits until everything is written, if that does not take long.
    pub async fn settle(&self) {
        let written = async {
            // What the data plane has said last comes out of its rings meanwhile.
            tokio::time::sleep(LINGER * 2).await;
            while !self.queue().is_idle() {
                self.news.notify_one();
                tokio::time::sleep(LINGER).await;
            }
        };
        let _in_vain = tokio::time::timeout(SETTLE_LIMIT, written).await;
    }

    fn next(&self) -> Option<Batch> {
        let since = Instant::now().checked_sub(LINGER)?;
        self.queue().next(since, &self.tally.letters)
    }

    /// All of it, in this order, from where the last try ended. What is written twice is there once.
    async fn write(
        &self,
        batch: &Arc<Batch>,
        progress: &mut Progress,
        answers: &Mutex<Answers>,
    ) -> Result<(), super::StoreError> {
        let silent = |_| super::StoreError::Silent(WRITE_LIMIT.as_secs());
        let has_letters = !(batch.forgotten.is_empty() && batch.keeps.is_empty() && batch.gone.is_empty());
        if has_letters && !progress.is_written {
            let written = tokio::time::timeout(WRITE_LIMIT, self.store.write(batch)).await.map_err(silent)??;
            for (kept, ((user, _), _)) in written.kept.iter().zip(&batch.keeps) {
                self.tally.letters.count(match kept {
                    Kept::Yes => LetterOutcome::Kept,
                    Kept::UnknownUser => LetterOutcome::UnknownUser,
                    Kept::MailboxFull => LetterOutcome::MailboxFull,
                    Kept::StoreFull => LetterOutcome::StoreFull,
                });
                if *kept == Kept::UnknownUser {
                    self.queue().is_nobody(user, &self.tally.letters);
                }
            }
            self.tally.letters.add(LetterOutcome::Displaced, written.displaced);
        }
        progress.is_written = true;
        for (user, id) in batch.fetches.iter().skip(progress.fetches) {
            let letters = tokio::time::timeout(WRITE_LIMIT, self.store.fetch(*user)).await.map_err(silent)??;
            let (found, mut given) = (letters.len(), 0);
            for ((user, surb_id), payload) in letters {
                let mut bytes = Vec::new();
                Record::Keep { user, surb_id, payload: &payload }.write_to(&mut bytes);
                // Where there is no room the rest comes with the next question.
                if !answers.lock().unwrap_or_else(PoisonError::into_inner).give(*id, &bytes) {
                    break;
                }
                given += 1;
                self.tally.letters.count(LetterOutcome::Fetched);
            }
            self.queue().fetched(*user, *id, given, given < found || found >= FETCHED_MAX);
            progress.fetches += 1;
        }
        Ok(())
    }

    async fn sweep(&self) -> Result<Swept, super::StoreError> {
        let silent = |_| super::StoreError::Silent(SWEEP_LIMIT.as_secs());
        let swept = tokio::time::timeout(SWEEP_LIMIT, self.store.sweep()).await.map_err(silent)??;
        let letters = &self.tally.letters;
        letters.add(LetterOutcome::Expired, swept.expired);
        letters.add(LetterOutcome::Displaced, swept.displaced);
        letters.set_kept(swept.bytes);
        Ok(swept)
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests;
