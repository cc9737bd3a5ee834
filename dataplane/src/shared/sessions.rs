//! Who is connected: of two incoming connections with equal additional data and equal link key the newer one stays
//! (server.md 3.2). Looked at once per handshake and once per closed link.

use super::lock;
use crate::io::ConnId;
use std::collections::HashMap;
use std::sync::Mutex;

/// What makes two peers the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SessionKey([u8; 32]);

impl SessionKey {
    /// Of the peer's additional data and link public key.
    pub fn new(additional_data: &[u8], link_key: &[u8]) -> Self {
        let mut bytes = Vec::with_capacity(1 + additional_data.len() + link_key.len());
        // At most 255 bytes, by the handshake.
        bytes.push(additional_data.len() as u8);
        bytes.extend_from_slice(additional_data);
        bytes.extend_from_slice(link_key);
        Self(pki::hash(&bytes))
    }
}

/// Where a connection is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seat {
    /// The shard.
    pub shard: usize,
    /// Its name there.
    pub conn: ConnId,
}

/// All established incoming links of the process.
#[derive(Default)]
pub struct Sessions(Mutex<HashMap<SessionKey, Seat>>);

impl Sessions {
    /// Registers a connection; gives the one that it replaces, which is to be closed.
    pub fn register(&self, key: SessionKey, seat: Seat) -> Option<Seat> {
        lock(&self.0).insert(key, seat)
    }

    /// Forgets a connection that has ended, unless it was replaced before.
    pub fn forget(&self, key: &SessionKey, seat: Seat) {
        let mut sessions = lock(&self.0);
        if sessions.get(key) == Some(&seat) {
            sessions.remove(key);
        }
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        lock(&self.0).len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}
