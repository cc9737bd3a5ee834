//! Links of a gateway's clients: their mail and the documents that they ask for.

use super::IncomingLinks;
use crate::io::{ConnId, Io};
use crate::link::client::{self, Client, Library};
use crate::link::incoming::{Class, Stage, Up};
use crate::shard::context::{Context, Round};
use crate::shared::Errand;
use crate::shared::sessions::Seat;
use gateway::{Letter, UserId};
use interplane::counter::PeerRefusal;
use pki::policy::{IncomingPeer, Verdict};
use std::sync::Arc;
use wire::PeerCredentials;
use wire::link::End;

/// Documents in one piece that are on their way at a time: each is held in memory until its client has taken it.
const WHOLE_DOCUMENTS_MAX: u32 = 32;

/// What kind of peer has just shaken hands.
pub fn class_of<I: Io>(round: &Round<'_, I>, peer: &PeerCredentials) -> Class {
    match round.sight.classify(peer) {
        IncomingPeer::Node(Verdict { may_send, .. }) => Class::node(may_send, round.context.now),
        IncomingPeer::Rejected(_) => Class::node(false, round.context.now),
        IncomingPeer::Client => {
            let user = UserId::of(&peer.additional_data);
            Class::Client(Box::new(Client::new(user, rate(round), round.context.now)))
        }
    }
}

/// The rate that clients may send at now.
pub fn rate<I: Io>(round: &Round<'_, I>) -> gateway::Rate {
    client::rate(round.context.client_rate, round.sight.directory(), round.sight.view().epoch.epoch)
}

/// Tells the home of a client's mailbox that the client is here, and whether its name is registered with its key.
pub fn announce(context: &Context, io: &mut impl Io, up: &Up, conn: ConnId, is_registered: bool) {
    if let Class::Client(client) = &up.class {
        let owner = pki::hash(&up.peer.public_key);
        let at = Seat { shard: context.index, conn };
        context.ask_home(io, client.user, Errand::Connected { user: client.user, owner, at, is_registered });
    }
}

/// Tells it that the client has gone.
pub fn take_leave(context: &Context, io: &mut impl Io, up: &Up, conn: ConnId) {
    if let Class::Client(client) = &up.class {
        let at = Seat { shard: context.index, conn };
        context.ask_home(io, client.user, Errand::Gone { user: client.user, at });
    }
}

impl IncomingLinks {
    /// Does what is asked of the shard of a client's connection. The client may have gone in the meantime, which its
    /// mailbox's home has been told.
    pub fn handle_errand<I: Io>(&mut self, round: &mut Round<'_, I>, errand: Errand) {
        match errand {
            Errand::Letter { conn, letter } => self.offer(round, conn, letter),
            Errand::NameTaken { conn } if self.links.get(conn).is_some() => {
                round.context.account.client_refused(PeerRefusal::NameTaken);
                self.close(round.context, round.io, conn, End::NoLongerValid);
            }
            // Asked of the homes of mailboxes.
            _ => {}
        }
    }

    fn offer<I: Io>(&mut self, round: &mut Round<'_, I>, conn: ConnId, letter: Arc<Letter>) {
        if let Some(link) = self.links.get_mut(conn)
            && let Stage::Up(up) = &mut link.incoming.stage
            && let Some(client) = up.client()
        {
            client.offer(letter);
            self.attend(round, conn);
        }
    }

    /// Sends what is to be sent over an established link; false if that has ended it.
    pub(super) fn attend<I: Io>(&mut self, round: &mut Round<'_, I>, conn: ConnId) -> bool {
        let Some(link) = self.links.get_mut(conn) else { return false };
        let Stage::Up(up) = &mut link.incoming.stage else { return true };
        let was_sent_whole = up.is_sent_whole;
        let library = Library {
            directory: round.sight.shared_directory(),
            epoch: round.sight.view().epoch.epoch,
            may_send_whole: self.sent_whole < WHOLE_DOCUMENTS_MAX,
            account: &round.context.account,
        };
        let outcome = up.flush(round.io, conn, &library);
        self.sent_whole = self.sent_whole + u32::from(up.is_sent_whole) - u32::from(was_sent_whole);
        let next_timeout = up.next_timeout();
        if let Some(client) = up.client()
            && client.take_delivered()
        {
            let (user, at) = (client.user, Seat { shard: round.context.index, conn });
            round.context.ask_home(round.io, user, Errand::Delivered { user, at });
        }
        match outcome {
            Ok(()) => {
                self.deadlines.no_later_than(conn.index, next_timeout);
                true
            }
            Err(end) => {
                self.close(round.context, round.io, conn, end);
                false
            }
        }
    }
}
