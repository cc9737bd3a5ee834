//! A shard's connections of one kind, by the index of their name.

use crate::io::ConnId;

/// What is known about each connection.
pub struct Table<T> {
    entries: Vec<Option<(u32, T)>>,
}

impl<T> Default for Table<T> {
    fn default() -> Self {
        Self { entries: Vec::new() }
    }
}

impl<T> Table<T> {
    /// What is known about a connection; none if it has ended or is of another kind.
    pub fn get(&self, conn: ConnId) -> Option<&T> {
        let (generation, entry) = self.entries.get(conn.index as usize)?.as_ref()?;
        (*generation == conn.generation).then_some(entry)
    }

    /// The same, to be changed.
    pub fn get_mut(&mut self, conn: ConnId) -> Option<&mut T> {
        let (generation, entry) = self.entries.get_mut(conn.index as usize)?.as_mut()?;
        (*generation == conn.generation).then_some(entry)
    }

    /// Adds a connection.
    pub fn insert(&mut self, conn: ConnId, entry: T) {
        let index = conn.index as usize;
        if self.entries.len() <= index {
            self.entries.resize_with(index + 1, || None);
        }
        self.entries[index] = Some((conn.generation, entry));
    }

    /// Forgets a connection.
    pub fn remove(&mut self, conn: ConnId) -> Option<T> {
        let place = self.entries.get_mut(conn.index as usize)?;
        place.take_if(|(generation, _)| *generation == conn.generation).map(|(_, entry)| entry)
    }

    /// How many places there are, empty ones included.
    pub fn places(&self) -> usize {
        self.entries.len()
    }

    /// The connection at a place.
    pub fn at(&self, place: usize) -> Option<(ConnId, &T)> {
        let (generation, entry) = self.entries.get(place)?.as_ref()?;
        Some((ConnId { index: u32::try_from(place).ok()?, generation: *generation }, entry))
    }
}
