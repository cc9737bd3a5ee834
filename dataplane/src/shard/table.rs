//! What each connection of a shard is, by its index.

use crate::io::ConnId;
use crate::link::incoming::{Incoming, Stage};
use crate::packet::pool::DestinationId;

/// All connections.
#[derive(Default)]
pub struct Table {
    entries: Vec<Entry>,
}

#[derive(Default)]
struct Entry {
    generation: u32,
    what: What,
}

#[derive(Default)]
enum What {
    #[default]
    Vacant,
    Incoming(Box<Incoming>),
    Outgoing(DestinationId),
}

/// Whose an event is.
pub enum Owner {
    /// An incoming connection's.
    Incoming,
    /// The link's to this destination.
    Outgoing(DestinationId),
}

impl Table {
    /// Whose connection it is; none if it has ended.
    pub fn owner(&self, conn: ConnId) -> Option<Owner> {
        match &self.entry(conn)?.what {
            What::Vacant => None,
            What::Incoming(_) => Some(Owner::Incoming),
            What::Outgoing(id) => Some(Owner::Outgoing(*id)),
        }
    }

    /// Adds a connection of an outgoing link.
    pub fn insert_outgoing(&mut self, conn: ConnId, id: DestinationId) {
        self.insert(conn, What::Outgoing(id));
    }

    /// Adds an incoming connection, or puts it back.
    pub fn insert_incoming(&mut self, incoming: Box<Incoming>) {
        self.insert(incoming.conn, What::Incoming(incoming));
    }

    /// Takes an incoming connection out.
    pub fn take_incoming(&mut self, conn: ConnId) -> Option<Box<Incoming>> {
        let entry = self.entry_mut(conn)?;
        match std::mem::take(&mut entry.what) {
            What::Incoming(incoming) => Some(incoming),
            other => {
                entry.what = other;
                None
            }
        }
    }

    /// An incoming connection.
    pub fn incoming_mut(&mut self, conn: ConnId) -> Option<&mut Incoming> {
        match &mut self.entry_mut(conn)?.what {
            What::Incoming(incoming) => Some(incoming),
            _ => None,
        }
    }

    /// Forgets a connection.
    pub fn remove(&mut self, conn: ConnId) {
        if let Some(entry) = self.entry_mut(conn) {
            entry.what = What::Vacant;
        }
    }

    /// How many places there are, empty ones included.
    pub fn places(&self) -> usize {
        self.entries.len()
    }

    /// The name of the incoming connection at a place.
    pub fn incoming_at(&self, place: usize) -> Option<ConnId> {
        match &self.entries.get(place)?.what {
            What::Incoming(incoming) => Some(incoming.conn),
            _ => None,
        }
    }

    /// All incoming connections.
    pub fn all_incoming(&self) -> impl Iterator<Item = &Incoming> {
        self.entries.iter().filter_map(|entry| match &entry.what {
            What::Incoming(incoming) => Some(&**incoming),
            _ => None,
        })
    }

    /// How many incoming connections are unfinished, and how many established.
    pub fn count_incoming(&self) -> (u64, u64) {
        self.all_incoming().fold((0, 0), |(unfinished, up), incoming| match incoming.stage {
            Stage::Handshaking(..) => (unfinished + 1, up),
            Stage::Up(_) => (unfinished, up + 1),
        })
    }

    fn insert(&mut self, conn: ConnId, what: What) {
        let index = conn.index as usize;
        if self.entries.len() <= index {
            self.entries.resize_with(index + 1, Entry::default);
        }
        self.entries[index] = Entry { generation: conn.generation, what };
    }

    fn entry(&self, conn: ConnId) -> Option<&Entry> {
        self.entries.get(conn.index as usize).filter(|entry| entry.generation == conn.generation)
    }

    fn entry_mut(&mut self, conn: ConnId) -> Option<&mut Entry> {
        self.entries.get_mut(conn.index as usize).filter(|entry| entry.generation == conn.generation)
    }
}
