//! What the shards of a client's connection and of its mailbox ask of each other. A mailbox has one home shard, its
//! client may be connected to any.

use super::sessions::Seat;
use crate::io::ConnId;
use gateway::{Letter, UserId};
use std::sync::Arc;

/// One thing to be done, in the order in which it was asked for.
///
/// How many there can be is bounded: a connection comes and goes once, and each client has one letter under way.
pub enum Errand {
    /// To the home: a client has connected.
    Connected {
        /// Its name.
        user: UserId,
        /// The hash of its link key.
        owner: [u8; 32],
        /// Its connection.
        at: Seat,
        /// The name is registered with this key, whoever has had it before.
        is_registered: bool,
    },
    /// To the home: its connection has ended.
    Gone {
        /// Its name.
        user: UserId,
        /// Its connection.
        at: Seat,
    },
    /// To the home: it has acknowledged its letter.
    Delivered {
        /// Its name.
        user: UserId,
        /// Its connection.
        at: Seat,
    },
    /// To the home: the client is in the user database, and the store of mail may have letters for it.
    Fetch {
        /// Its name.
        user: UserId,
    },
    /// To the connection: this is for the client.
    Letter {
        /// The connection.
        conn: ConnId,
        /// The letter.
        letter: Arc<Letter>,
    },
    /// To the connection: the name belongs to another client.
    NameTaken {
        /// The connection.
        conn: ConnId,
    },
}
