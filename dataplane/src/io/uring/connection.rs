//! What a shard knows of one connection on its ring.

use super::super::Received;
use super::super::under_way::UnderWay;
use super::arrival::Header;
use crate::time::Instant;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;

/// A place in the table of connections.
#[derive(Default)]
pub struct Entry {
    /// Of the connection that has the place.
    pub generation: u32,
    /// How far it is.
    pub state: State,
    /// Requests that the kernel has; the place is not used anew before they have completed.
    pub requests: u32,
    /// The address that was dialled last: the request points to it.
    pub address: Option<Box<socket2::SockAddr>>,
}

/// How far a connection is.
#[derive(Default)]
pub enum State {
    /// Nothing is there.
    #[default]
    Free,
    /// It is being made.
    Connecting {
        /// Its socket.
        socket: OwnedFd,
        /// Whereto.
        target: SocketAddr,
    },
    /// It could not be made; the shard has not closed it yet.
    Failed,
    /// It is there.
    Open(Open),
    /// The shard has closed it. What its requests point to is kept.
    Closing(Box<State>),
}

/// A connection.
pub struct Open {
    /// Its socket.
    pub socket: OwnedFd,
    /// Who is at the other end.
    pub peer: SocketAddr,
    /// What is being sent.
    pub sends: Option<UnderWay>,
    /// What was received and not fetched.
    pub piece: Option<Piece>,
    /// What comes after it: [`Received::Closed`] or [`Received::Failed`].
    pub end: Option<Received<'static>>,
    /// What receives of a link point to.
    pub header: Option<Box<Header>>,
    /// A receive is under way.
    pub is_receiving: bool,
    /// It waits for a buffer to receive into.
    pub is_starving: bool,
    /// The bytes that the shard asked for when it was told that there is nothing to read.
    pub asked_bytes: usize,
}

impl Open {
    /// A fresh one.
    pub fn new(socket: OwnedFd, peer: SocketAddr) -> Self {
        Self {
            socket,
            peer,
            sends: None,
            piece: None,
            end: None,
            header: None,
            is_receiving: false,
            is_starving: false,
            asked_bytes: 0,
        }
    }
}

/// Received bytes: a part of one provided buffer.
#[derive(Clone, Copy)]
pub struct Piece {
    /// Which buffer.
    pub number: u16,
    /// Where the bytes begin that were not fetched.
    pub start: usize,
    /// Where they end.
    pub end: usize,
    /// When they had arrived.
    pub at: Instant,
}
