//! What outlives an authority's process (pki.md 11), in one file of one table: keys begin with the epoch, so that what
//! is pruned is one range.

use crate::process::remedy::remedy_at_path;
use crate::process::store_file::{Kind, look};
use config::authority::STORE_FILE;
use pki::voting::{MessageKind, StoreKey};
use pki::{Epoch, NodeId};
use redb::{Database, ReadableDatabase, ReadableTable, StorageError, TableDefinition};
use std::fs::OpenOptions;
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

#[cfg(test)]
mod tests;

const TABLE: TableDefinition<'static, &'static [u8], &'static [u8]> = TableDefinition::new("authority");

/// Bytes of pages that are kept in memory: a few epochs of a network fit.
const CACHE_BYTES: usize = 8 << 20;

/// Why the store cannot be used. Nothing has been changed in a file that is not a store.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// A file of the reference under the store's name.
    #[error(
        "{0} is a bbolt file of the reference's dirauth; move it away (the reference calls it persistence.db): this \
         authority makes a file of its own and fetches documents from the others"
    )]
    Reference(PathBuf),
    /// Something else under that name.
    #[error("{0} is not an authority's store; move it away, and a new one is made")]
    Foreign(PathBuf),
    /// Damaged.
    #[error(
        "{path} is damaged: {problem}; restore it from a backup, or move it away: then this authority starts without \
         the documents and descriptors of this epoch"
    )]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
    /// Another process has it.
    #[error("{0} is in use by another process; stop that first")]
    InUse(PathBuf),
    /// The operating system.
    #[error("cannot use {path}: {error}{}", remedy_at_path(.error))]
    Io {
        /// The file.
        path: PathBuf,
        /// The reason.
        error: io::Error,
    },
}

/// The file, and what is not in it yet because the disk did not take it.
pub struct Store {
    path: PathBuf,
    /// None after an error: it has to be opened again.
    database: Option<Database>,
    /// In the order in which it came. It is little: what is accepted is signed by members, and pruned with its epoch.
    unsaved: Vec<(StoreKey, Arc<[u8]>)>,
}

impl Store {
    /// Opens the store in DataDir, or makes it with mode 0600.
    pub fn open(data_dir: &Path) -> Result<Self, StoreError> {
        let path = data_dir.join(STORE_FILE);
        let io = |error| StoreError::Io { path: path.clone(), error };
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false).mode(0o600);
        let file = options.open(&path).map_err(io)?;
        let is_new = match look(&file).map_err(io)? {
            Kind::New => true,
            Kind::Redb => false,
            Kind::Bbolt => return Err(StoreError::Reference(path)),
            Kind::Foreign => return Err(StoreError::Foreign(path)),
        };
        let opened = open_file(&path);
        if is_new && !matches!(opened, Ok(_) | Err(StoreError::InUse(_))) {
            // What could not be made would be taken for somebody's file; the first error is the one to tell.
            let _ = std::fs::remove_file(&path);
        }
        let database = Some(opened?);
        Ok(Self { path, database, unsaved: Vec::new() })
    }

    /// All that is there; what this version does not know is left out.
    pub fn load(&self) -> Result<Vec<(StoreKey, Vec<u8>)>, StoreError> {
        let Some(database) = &self.database else { return Ok(Vec::new()) };
        let read = || -> Result<_, redb::Error> {
            let transaction = database.begin_read()?;
            let table = transaction.open_table(TABLE)?;
            let mut all = Vec::new();
            for entry in table.iter()? {
                let (key, value) = entry?;
                all.extend(decode(key.value()).map(|key| (key, value.value().to_vec())));
            }
            Ok(all)
        };
        read().map_err(|error| failed(&self.path, error))
    }

    /// Keeps one value until [`Self::save`] has written it.
    pub fn put(&mut self, key: StoreKey, value: Arc<[u8]>) {
        self.unsaved.push((key, value));
    }

    /// Writes what is not written yet, all or nothing, and returns when it is on the disk. After an error it is there
    /// for the next try, and the file is opened anew for that.
    pub fn save(&mut self) -> Result<(), StoreError> {
        if self.unsaved.is_empty() {
            return Ok(());
        }
        let unsaved = std::mem::take(&mut self.unsaved);
        let saved = self.change(|table| {
            unsaved.iter().try_for_each(|(key, value)| table.insert(encode(key).as_slice(), &**value).map(drop))
        });
        if saved.is_err() {
            self.unsaved = unsaved;
        }
        saved
    }

    /// How many values are kept that are not on the disk.
    pub fn unsaved(&self) -> usize {
        self.unsaved.len()
    }

    /// Deletes all that belongs to epochs before this one.
    pub fn prune(&mut self, before: Epoch) -> Result<(), StoreError> {
        self.unsaved.retain(|(key, _)| key.epoch() >= before);
        let end = before.0.to_be_bytes();
        self.change(|table| table.retain_in::<&[u8], _>(..end.as_slice(), |_, _| false))
    }

    /// A database that had an error takes nothing more: it is closed.
    fn change(
        &mut self,
        change: impl FnOnce(&mut redb::Table<'_, &'static [u8], &'static [u8]>) -> Result<(), StorageError>,
    ) -> Result<(), StoreError> {
        let database = match self.database.take() {
            Some(database) => database,
            None => open_file(&self.path)?,
        };
        change_in(&database, change).map_err(|error| failed(&self.path, error))?;
        self.database = Some(database);
        Ok(())
    }
}

fn open_file(path: &Path) -> Result<Database, StoreError> {
    let mut builder = Database::builder();
    builder.set_cache_size(CACHE_BYTES).set_check_integrity_on_open(true);
    let database = builder.create(path).map_err(|error| failed(path, error))?;
    // So that readers find the table, and what cannot be written is known at the start.
    change_in(&database, |_| Ok(())).map_err(|error| failed(path, error))?;
    Ok(database)
}

fn change_in(
    database: &Database,
    change: impl FnOnce(&mut redb::Table<'_, &'static [u8], &'static [u8]>) -> Result<(), StorageError>,
) -> Result<(), redb::Error> {
    let transaction = database.begin_write()?;
    change(&mut transaction.open_table(TABLE)?)?;
    transaction.commit()?;
    Ok(())
}

fn failed(path: &Path, error: impl Into<redb::Error>) -> StoreError {
    let path = path.to_path_buf();
    match error.into() {
        redb::Error::Io(error) => StoreError::Io { path, error },
        redb::Error::DatabaseAlreadyOpen | redb::Error::LockProtocolMismatch => StoreError::InUse(path),
        error => StoreError::Damaged { path, problem: error.to_string() },
    }
}

const DESCRIPTOR: u8 = 1;
const REPLICA_DESCRIPTOR: u8 = 2;
const DOCUMENT: u8 = 3;
const VOTE: u8 = 4;
const REVEAL: u8 = 5;
const CERTIFICATE: u8 = 6;
const SIGNATURE: u8 = 7;

/// Epoch, kind, id.
fn encode(key: &StoreKey) -> Vec<u8> {
    let (epoch, kind, id) = match key {
        StoreKey::Descriptor { epoch, id } => (epoch, DESCRIPTOR, Some(id)),
        StoreKey::ReplicaDescriptor { epoch, id } => (epoch, REPLICA_DESCRIPTOR, Some(id)),
        StoreKey::Document { epoch } => (epoch, DOCUMENT, None),
        StoreKey::Message { epoch, kind, author } => (epoch, message_kind(*kind), Some(author)),
    };
    let mut bytes = epoch.0.to_be_bytes().to_vec();
    bytes.push(kind);
    bytes.extend(id.into_iter().flatten());
    bytes
}

fn message_kind(kind: MessageKind) -> u8 {
    match kind {
        MessageKind::Vote => VOTE,
        MessageKind::Reveal => REVEAL,
        MessageKind::Certificate => CERTIFICATE,
        MessageKind::Signature => SIGNATURE,
    }
}

fn decode(bytes: &[u8]) -> Option<StoreKey> {
    let (epoch, rest) = bytes.split_first_chunk::<8>()?;
    let (kind, id) = rest.split_first()?;
    let epoch = Epoch(u64::from_be_bytes(*epoch));
    if *kind == DOCUMENT {
        return id.is_empty().then_some(StoreKey::Document { epoch });
    }
    let id = NodeId::try_from(id).ok()?;
    let message = |kind| StoreKey::Message { epoch, kind, author: id };
    Some(match *kind {
        DESCRIPTOR => StoreKey::Descriptor { epoch, id },
        REPLICA_DESCRIPTOR => StoreKey::ReplicaDescriptor { epoch, id },
        VOTE => message(MessageKind::Vote),
        REVEAL => message(MessageKind::Reveal),
        CERTIFICATE => message(MessageKind::Certificate),
        SIGNATURE => message(MessageKind::Signature),
        _ => return None,
    })
}
