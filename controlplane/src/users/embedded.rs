//! The user database in a file of this node's own (`Backend = "bolt"`). A thread has the file: what is asked of it while
//! it works becomes one transaction, so that many names cost one write.

use super::change::{Change, Done};
use super::clerk::{Clerk, Reply};
use super::error::{Place, StoreError};
use super::file::File;
use gateway::UserId;
use redb::{ReadableDatabase, ReadableTable, TableDefinition, WriteTransaction};
use std::path::Path;
use std::sync::mpsc::Receiver;

/// Name to link key, and name to identity key.
const USERS: TableDefinition<'static, &'static [u8], &'static [u8]> = TableDefinition::new("users");
const IDENTITIES: TableDefinition<'static, &'static [u8], &'static [u8]> = TableDefinition::new("identities");

/// Bytes of pages that are kept in memory: the keys of some ten thousand users.
const CACHE_BYTES: usize = 32 << 20;
/// What waits for the thread, and what it does in one transaction.
const WAITING_MAX: usize = 4096;
const BATCH_MAX: usize = 512;

enum Job {
    LinkKey(UserId, Reply<Option<Vec<u8>>>),
    IdentityKey(UserId, Reply<Option<Option<Vec<u8>>>>),
    Change(Change, Reply<Done>),
}

/// The way to the thread; it ends with the last of them.
#[derive(Clone)]
pub struct Embedded(Clerk<Job>);

impl Embedded {
    /// Opens the file, or makes it with mode 0600.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        let place = Place {
            path: path.into(),
            what: "user database",
            key: "Gateway.UserDB.Bolt.UserDB",
            renewal: "a new file is made, to which ADD_USER adds the users",
            mending: "restore it from a backup",
        };
        let thread = Thread(File::open(place.clone(), CACHE_BYTES, make_tables)?);
        Clerk::start("users", place, WAITING_MAX, move |jobs| thread.work(jobs)).map(Self)
    }

    /// The link key of a name.
    pub async fn link_key(&self, user: UserId) -> Result<Option<Vec<u8>>, StoreError> {
        self.0.ask(|reply| Job::LinkKey(user, reply)).await
    }

    /// The identity key of a name, if there is the name.
    pub async fn identity_key(&self, user: UserId) -> Result<Option<Option<Vec<u8>>>, StoreError> {
        self.0.ask(|reply| Job::IdentityKey(user, reply)).await
    }

    /// Writes; it is on the disk when this returns.
    pub async fn change(&self, change: Change) -> Result<Done, StoreError> {
        self.0.ask(|reply| Job::Change(change, reply)).await
    }

    /// One whose thread has ended.
    #[cfg(test)]
    pub fn ended() -> Self {
        Self(Clerk::ended())
    }
}

fn make_tables(transaction: &WriteTransaction) -> Result<(), redb::Error> {
    transaction.open_table(USERS)?;
    transaction.open_table(IDENTITIES)?;
    Ok(())
}

/// The file as its thread has it.
struct Thread(File);

impl Thread {
    fn work(mut self, jobs: &Receiver<Job>) {
        while let Ok(first) = jobs.recv() {
            let (mut finds, mut changes) = (Vec::new(), Vec::new());
            for job in [first].into_iter().chain(jobs.try_iter().take(BATCH_MAX)) {
                match job {
                    Job::Change(change, reply) => changes.push((change, reply)),
                    find => finds.push(find),
                }
            }
            self.find_all(finds);
            self.change_all(changes);
        }
    }

    fn find_all(&mut self, jobs: Vec<Job>) {
        for job in jobs {
            // Whoever has asked may have gone in the meantime.
            let _gone = match job {
                Job::LinkKey(user, reply) => reply.send(self.read(USERS, user)).is_ok(),
                Job::IdentityKey(user, reply) => {
                    let found = self.read(USERS, user).and_then(|there| match there {
                        Some(_) => self.read(IDENTITIES, user).map(Some),
                        None => Ok(None),
                    });
                    reply.send(found).is_ok()
                }
                Job::Change(..) => false,
            };
        }
    }

    /// All of them in one transaction. If that fails, none is written, and each is told so.
    fn change_all(&mut self, changes: Vec<(Change, Reply<Done>)>) {
        if changes.is_empty() {
            return;
        }
        let written = self.0.with(|database| {
            let transaction = database.begin_write()?;
            let done: Result<Vec<Done>, redb::Error> =
                changes.iter().map(|(change, _)| apply(&transaction, change)).collect();
            let done = done?;
            transaction.commit()?;
            Ok(done)
        });
        match written {
            Ok(done) => changes.into_iter().zip(done).for_each(|((_, reply), done)| drop(reply.send(Ok(done)))),
            Err(error) => {
                let mut error = Some(error);
                for (_, reply) in changes {
                    // One has the reason, which is the same for all.
                    drop(reply.send(Err(error.take().unwrap_or(StoreError::NotWritten))));
                }
            }
        }
    }

    fn read(
        &mut self,
        table: TableDefinition<'static, &'static [u8], &'static [u8]>,
        user: UserId,
    ) -> Result<Option<Vec<u8>>, StoreError> {
        self.0.with(|database| {
            let found = database.begin_read()?.open_table(table)?.get(user.0.as_slice())?;
            Ok(found.map(|value| value.value().to_vec()))
        })
    }
}

fn apply(transaction: &WriteTransaction, change: &Change) -> Result<Done, redb::Error> {
    let mut users = transaction.open_table(USERS)?;
    let (Change::Add(user, _)
    | Change::Update(user, _)
    | Change::Remove(user)
    | Change::SetIdentity(user, _)
    | Change::Trust(user, _)) = change;
    let name = user.0.as_slice();
    let is_there = users.get(name)?.is_some();
    match (change, is_there) {
        (Change::Add(..) | Change::Trust(..), true) => return Ok(Done::Exists),
        (Change::Update(..) | Change::Remove(_) | Change::SetIdentity(..), false) => return Ok(Done::Unknown),
        (Change::Add(_, key) | Change::Trust(_, key), false) | (Change::Update(_, key), true) => {
            users.insert(name, key.as_slice())?;
        }
        (Change::Remove(_), true) => {
            users.remove(name)?;
            transaction.open_table(IDENTITIES)?.remove(name)?;
        }
        (Change::SetIdentity(_, Some(key)), true) => {
            transaction.open_table(IDENTITIES)?.insert(name, key.as_slice())?;
        }
        (Change::SetIdentity(_, None), true) => {
            transaction.open_table(IDENTITIES)?.remove(name)?;
        }
    }
    Ok(Done::Yes)
}

#[cfg(test)]
mod tests;
