//! The letters of registered clients in a file of this node's own (`[Gateway.SpoolDB] Backend = "bolt"`). A thread has the
//! file; what is written is one transaction for each batch, which is on the disk when the answer comes.

use super::clerk::{Clerk, Reply};
use super::error::{Place, StoreError};
use super::file::File;
use super::letters::{Batch, FETCHED_MAX, Kept, Letter, Limits, MAILBOX_LETTERS_MAX, SWEPT_MAX, Swept, Written};
use super::steady::Steady;
use gateway::shelf::{Head, Placed, Shelf, ShelfLimits};
use gateway::{UserId, archive};
use redb::{Database, ReadableDatabase, ReadableTable, Table, TableDefinition, WriteTransaction};
use rustix::io::Errno;
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::Receiver;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

/// A letter's number to what is known of it, and to the letter.
const HEADS: TableDefinition<'static, u64, &'static [u8]> = TableDefinition::new("heads");
const LETTERS: TableDefinition<'static, u64, &'static [u8]> = TableDefinition::new("letters");

/// Bytes of pages that are kept in memory.
const CACHE_BYTES: usize = 16 << 20;
/// What waits for the thread.
const WAITING_MAX: usize = 4;
/// Bytes that have to be free beside what is to be written, after a disk was full.
const ROOM_BYTES: u64 = 1 << 20;

enum Job {
    Write(Arc<Batch>, Reply<Written>),
    Fetch(UserId, Reply<Vec<Letter>>),
    Sweep(Reply<Swept>),
}

/// The way to the thread; it ends with the last of them.
#[derive(Clone)]
pub struct LetterFile(Clerk<Job>);

impl LetterFile {
    /// Opens the file, or makes it with mode 0600.
    pub fn open(path: &Path, limits: Limits) -> Result<Self, StoreError> {
        let thread = Thread::open(path, limits)?;
        let place = thread.file.place().clone();
        Clerk::start("spool", place, WAITING_MAX, move |jobs| thread.work(jobs)).map(Self)
    }

    /// Writes what is to be kept and removes what is gone; it is on the disk when this returns.
    pub async fn write(&self, batch: &Arc<Batch>) -> Result<Written, StoreError> {
        self.0.ask(|reply| Job::Write(batch.clone(), reply)).await
    }

    /// The oldest letters of a user.
    pub async fn fetch(&self, user: UserId) -> Result<Vec<Letter>, StoreError> {
        self.0.ask(|reply| Job::Fetch(user, reply)).await
    }

    /// Removes what is too old.
    pub async fn sweep(&self) -> Result<Swept, StoreError> {
        self.0.ask(Job::Sweep).await
    }
}

fn make_tables(transaction: &WriteTransaction) -> Result<(), redb::Error> {
    transaction.open_table(HEADS)?;
    transaction.open_table(LETTERS)?;
    Ok(())
}

/// The file as its thread has it.
struct Thread {
    file: File,
    limits: Limits,
    /// What is in the file; none after an error: it is read again.
    shelf: Option<Shelf>,
    /// The disk was full when something was to be written last.
    is_full: bool,
    steady: Steady,
}

impl Thread {
    fn open(path: &Path, limits: Limits) -> Result<Self, StoreError> {
        let place = Place {
            path: path.into(),
            what: "spool",
            key: "Gateway.SpoolDB.Bolt.SpoolDB",
            renewal: "a new file is made; what is in the old one is for names that no client has any more",
            mending: "move it away, and a new one is made; the mail in it is lost",
        };
        let file = File::open(place, CACHE_BYTES, make_tables)?;
        let steady = Steady::new(unix_seconds(), Instant::now());
        let mut thread = Self { file, limits, shelf: None, is_full: false, steady };
        thread.shelf = Some(thread.load()?);
        Ok(thread)
    }

    fn work(mut self, jobs: &Receiver<Job>) {
        while let Ok(job) = jobs.recv() {
            // Whoever has asked may have gone in the meantime.
            let _gone = match job {
                Job::Write(batch, reply) => reply.send(self.write(&batch)).is_ok(),
                Job::Fetch(user, reply) => reply.send(self.fetch(user)).is_ok(),
                Job::Sweep(reply) => reply.send(self.sweep()).is_ok(),
            };
        }
    }

    /// Reads what is known of all letters, if that is not known.
    fn load(&mut self) -> Result<Shelf, StoreError> {
        if let Some(shelf) = self.shelf.take() {
            return Ok(shelf);
        }
        let limits = ShelfLimits {
            mailbox_letters_max: MAILBOX_LETTERS_MAX,
            bytes_max: self.limits.bytes_max,
            age_max: self.limits.age_max.as_secs(),
        };
        self.file.with(|database| {
            let mut shelf = Shelf::new(limits);
            for entry in database.begin_read()?.open_table(HEADS)?.iter()? {
                let (number, head) = entry?;
                if let Some(head) = Head::read(head.value()) {
                    shelf.load(number.value(), &head);
                }
            }
            shelf.settle_times(unix_seconds());
            Ok(shelf)
        })
    }

    fn write(&mut self, batch: &Batch) -> Result<Written, StoreError> {
        self.check_room(batch)?;
        let mut shelf = self.load()?;
        let now = unix_seconds();
        let written = self.file.with(|database| {
            let transaction = database.begin_write()?;
            let mut tables = Tables::open(&transaction)?;
            let mut written = Written::default();
            for user in &batch.forgotten {
                tables.remove(&shelf.forget(user))?;
            }
            for ((user, surb_id), letter) in &batch.keeps {
                let bytes = u32::try_from(letter.len()).unwrap_or(u32::MAX);
                let head = Head { user: *user, surb_id: *surb_id, kept_at: now, bytes };
                let mut removed = Vec::new();
                let placed = shelf.keep(&head, &mut removed);
                tables.remove(&removed)?;
                written.displaced += removed.len() as u64;
                written.kept.push(match placed {
                    Placed::At(number) => {
                        tables.insert(number, &head, letter)?;
                        Kept::Yes
                    }
                    Placed::Already => Kept::Yes,
                    Placed::MailboxFull => Kept::MailboxFull,
                    Placed::Full => Kept::StoreFull,
                });
            }
            for (user, surb_id) in &batch.gone {
                tables.remove(shelf.gone(user, surb_id).as_slice())?;
            }
            drop(tables);
            transaction.commit()?;
            Ok(written)
        });
        self.is_full = matches!(&written, Err(StoreError::Io { error, .. }) if is_no_space(error));
        self.note(shelf, written)
    }

    fn fetch(&mut self, user: UserId) -> Result<Vec<Letter>, StoreError> {
        let (shelf, bytes) = (self.load()?, self.limits.letter_bytes);
        let size = u32::try_from(bytes).unwrap_or(u32::MAX);
        let found = self.file.with(|database| read(database, user, &shelf.oldest(&user, size, FETCHED_MAX), bytes));
        self.note(shelf, found)
    }

    fn sweep(&mut self) -> Result<Swept, StoreError> {
        self.sweep_at(unix_seconds(), Instant::now())
    }

    fn sweep_at(&mut self, now: u64, at: Instant) -> Result<Swept, StoreError> {
        let mut shelf = self.load()?;
        shelf.settle_times(now);
        let most = if self.steady.is_believed(now, at) { SWEPT_MAX } else { 0 };
        let expired = shelf.expire(now, most);
        let displaced = shelf.shrink(SWEPT_MAX);
        let swept = Swept {
            expired: expired.len() as u64,
            displaced: displaced.len() as u64,
            bytes: shelf.bytes(),
            has_more: expired.len() >= SWEPT_MAX || displaced.len() >= SWEPT_MAX,
        };
        if expired.is_empty() && displaced.is_empty() {
            return self.note(shelf, Ok(swept));
        }
        let written = self.file.with(|database| {
            let transaction = database.begin_write()?;
            let mut tables = Tables::open(&transaction)?;
            tables.remove(&expired)?;
            tables.remove(&displaced)?;
            drop(tables);
            transaction.commit()?;
            Ok(swept)
        });
        self.note(shelf, written)
    }

    /// What is known of letters is good as long as all goes well.
    fn note<T>(&mut self, shelf: Shelf, done: Result<T, StoreError>) -> Result<T, StoreError> {
        if done.is_ok() {
            self.shelf = Some(shelf);
        }
        done
    }

    /// After a disk was full nothing is tried before there is room: to open the file again takes long, and would be in
    /// vain.
    fn check_room(&self, batch: &Batch) -> Result<(), StoreError> {
        // What only removes something is tried all the same.
        if !self.is_full || batch.keeps.is_empty() {
            return Ok(());
        }
        let needed = batch.keeps.iter().map(|(_, letter)| 2 * letter.len() as u64).sum::<u64>() + ROOM_BYTES;
        let place = self.file.place();
        match rustix::fs::statvfs(&place.path) {
            Ok(disk) if disk.f_bavail.saturating_mul(disk.f_frsize) < needed => {
                Err(StoreError::Io { place: place.clone(), error: Errno::NOSPC.into() })
            }
            _ => Ok(()),
        }
    }
}

fn is_no_space(error: &std::io::Error) -> bool {
    matches!(Errno::from_io_error(error), Some(Errno::NOSPC | Errno::DQUOT))
}

/// The tables of one transaction.
struct Tables<'t> {
    heads: Table<'t, u64, &'static [u8]>,
    letters: Table<'t, u64, &'static [u8]>,
}

impl<'t> Tables<'t> {
    fn open(transaction: &'t WriteTransaction) -> Result<Self, redb::Error> {
        Ok(Self { heads: transaction.open_table(HEADS)?, letters: transaction.open_table(LETTERS)? })
    }

    fn insert(&mut self, number: u64, head: &Head, letter: &[u8]) -> Result<(), redb::Error> {
        self.heads.insert(number, head.to_bytes().as_slice())?;
        self.letters.insert(number, letter)?;
        Ok(())
    }

    fn remove(&mut self, numbers: &[u64]) -> Result<(), redb::Error> {
        for number in numbers {
            self.heads.remove(number)?;
            self.letters.remove(number)?;
        }
        Ok(())
    }
}

fn read(
    database: &Database,
    user: UserId,
    places: &[(u64, [u8; 16])],
    bytes: usize,
) -> Result<Vec<Letter>, redb::Error> {
    let transaction = database.begin_read()?;
    let letters = transaction.open_table(LETTERS)?;
    let mut found = Vec::new();
    for (number, surb_id) in places {
        let letter = letters.get(number)?;
        let letter = archive::letter(Some(surb_id), letter.as_ref().map(|letter| letter.value()), bytes);
        found.extend(letter.map(|(surb_id, letter)| ((user, surb_id), letter)));
    }
    Ok(found)
}

fn unix_seconds() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

#[cfg(test)]
mod tests;
