//! Who is connected: of two incoming connections with equal additional data and equal link key the newer one stays
//! (server.md 3.2). Looked at once per handshake, once per first frame and once per closed link.
//!
//! A handshake does not show that an initiator has the private half of its link key: only who has it can seal a frame
//! after it (wire.md 3). The names and link keys of nodes are public, so until then a connection only claims to be a
//! node's, and takes no other one's place.

use super::lock;
use crate::io::ConnId;
use std::collections::{HashMap, VecDeque};
use std::sync::Mutex;

/// Connections that claim to be the same peer's and have shown nothing yet: enough for a peer that dials again and again
/// before it has something to send.
const CLAIMS_MAX: usize = 4;

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
pub struct Sessions(Mutex<HashMap<SessionKey, Connections>>);

/// Those of one peer.
#[derive(Default)]
struct Connections {
    proven: Option<Seat>,
    /// Oldest first.
    claims: VecDeque<Seat>,
}

impl Sessions {
    /// A connection claims to be this peer's; gives an older claim that it replaces, which is to be closed.
    pub fn claim(&self, key: SessionKey, seat: Seat) -> Option<Seat> {
        let mut sessions = lock(&self.0);
        let claims = &mut sessions.entry(key).or_default().claims;
        claims.push_back(seat);
        if claims.len() > CLAIMS_MAX { claims.pop_front() } else { None }
    }

    /// A connection has shown that it is this peer's; gives the one that it replaces, which is to be closed.
    pub fn register(&self, key: SessionKey, seat: Seat) -> Option<Seat> {
        let mut sessions = lock(&self.0);
        let connections = sessions.entry(key).or_default();
        connections.claims.retain(|claim| *claim != seat);
        connections.proven.replace(seat)
    }

    /// Forgets a connection that has ended, unless it was replaced before.
    pub fn forget(&self, key: &SessionKey, seat: Seat) {
        let mut sessions = lock(&self.0);
        let Some(connections) = sessions.get_mut(key) else { return };
        connections.claims.retain(|claim| *claim != seat);
        connections.proven = connections.proven.filter(|proven| *proven != seat);
        if connections.proven.is_none() && connections.claims.is_empty() {
            sessions.remove(key);
        }
    }

    /// How many peers there are.
    pub fn len(&self) -> usize {
        lock(&self.0).len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}
