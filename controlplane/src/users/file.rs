//! A file of redb that is this node's own: made with mode 0600, told apart from files of the reference, and opened again
//! after an error, because a database that had one takes nothing more.

use super::error::{Place, StoreError};
use crate::process::store_file::{Kind, look};
use redb::{Database, WriteTransaction};
use std::fs::{OpenOptions, remove_file};
use std::io::ErrorKind;
use std::os::unix::fs::OpenOptionsExt;

/// One file. It has one owner.
pub struct File {
    place: Place,
    cache_bytes: usize,
    /// Makes its tables, so that readers find them.
    make: fn(&WriteTransaction) -> Result<(), redb::Error>,
    /// None after an error.
    database: Option<Database>,
}

impl File {
    /// Opens the file, or makes it.
    pub fn open(
        place: Place,
        cache_bytes: usize,
        make: fn(&WriteTransaction) -> Result<(), redb::Error>,
    ) -> Result<Self, StoreError> {
        let io = |error| StoreError::Io { place: place.clone(), error };
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false).mode(0o600);
        let kind = options.open(&place.path).and_then(|handle| look(&handle)).map_err(io)?;
        match kind {
            Kind::New | Kind::Redb => {}
            Kind::Bbolt => return Err(StoreError::Reference(place)),
            Kind::Foreign => return Err(StoreError::Foreign(place)),
        }
        let mut file = Self { place, cache_bytes, make, database: None };
        let opened = file.open_again();
        if kind == Kind::New && !matches!(opened, Ok(()) | Err(StoreError::InUse(_))) {
            // What could not be made would be taken for somebody's file; the first error is the one to tell.
            let _ = remove_file(&file.place.path);
        }
        opened.map(|()| file)
    }

    /// Does something with it, after opening it again where that is needed.
    pub fn with<T>(&mut self, act: impl FnOnce(&Database) -> Result<T, redb::Error>) -> Result<T, StoreError> {
        if self.database.is_none() {
            self.open_again()?;
        }
        let Some(database) = &self.database else { return Err(StoreError::Busy) };
        act(database).map_err(|error| {
            self.database = None;
            self.failed(error)
        })
    }

    /// What it is and where.
    pub fn place(&self) -> &Place {
        &self.place
    }

    fn open_again(&mut self) -> Result<(), StoreError> {
        let made = || -> Result<Database, redb::Error> {
            let mut builder = Database::builder();
            builder.set_cache_size(self.cache_bytes).set_check_integrity_on_open(true);
            let database = builder.create(&self.place.path)?;
            // What cannot be written is known at the start.
            let transaction = database.begin_write()?;
            (self.make)(&transaction)?;
            transaction.commit()?;
            Ok(database)
        };
        self.database = Some(made().map_err(|error| self.failed(error))?);
        Ok(())
    }

    fn failed(&self, error: redb::Error) -> StoreError {
        let place = self.place.clone();
        match error {
            redb::Error::Io(error) if error.kind() == ErrorKind::UnexpectedEof => {
                StoreError::Damaged { place, problem: "it is cut short".into() }
            }
            redb::Error::Io(error) => StoreError::Io { place, error },
            redb::Error::DatabaseAlreadyOpen | redb::Error::LockProtocolMismatch => StoreError::InUse(place),
            error => StoreError::Damaged { place, problem: error.to_string() },
        }
    }
}
