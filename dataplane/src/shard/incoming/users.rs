//! Who is a client where a user database says it (server.md D.2). A client's name and link key are known to others, and
//! its handshake shows nothing: it gets no mail, and replaces no other connection, before its first frame has opened.

use super::desk::{Answer, Desk, Kept};
use super::{IncomingLinks, clients};
use crate::io::{ConnId, Io};
use crate::link::incoming::{Class, Stage};
use crate::shard::context::Round;
use crate::shared::Errand;
use gateway::Verdict;
use interplane::counter::PeerRefusal;
use std::mem;
use wire::link::{Due, End};

/// Links that are looked at in one round.
const LOOKED_AT_MAX: usize = 1024;

/// What is known of one connection.
#[derive(Debug, Default)]
pub struct Standing {
    /// The question that is under way.
    pub asked: Option<u64>,
    /// The last answer that was one.
    verdict: Option<Verdict>,
    /// Its mailbox knows that it is here.
    is_announced: bool,
}

impl IncomingLinks {
    /// Asks the database about the peer of a connection; false if there is no room for the question.
    pub(super) fn ask<I: Io>(&mut self, round: &mut Round<'_, I>, conn: ConnId) -> bool {
        let Some(link) = self.links.get_mut(conn) else { return true };
        let (peer, has_proven, is_live) = match &link.incoming.stage {
            Stage::Handshaking(handshake, _) => (handshake.peer(), false, false),
            Stage::Up(up) => (Some(&up.peer), up.has_proof(), true),
        };
        let Some(peer) = peer else { return true };
        let number = self.desk.ask(conn, peer, has_proven, is_live);
        if let Some(before) = mem::replace(&mut link.standing.asked, number) {
            self.desk.forget(before);
        }
        if number.is_none() {
            // Nobody reads: the other process is away, or has not come to it yet.
            self.judge(round, conn, Verdict::Unknown);
        }
        number.is_some()
    }

    /// Takes the answers that are there, and asks about more of the links that are up.
    pub fn take_answers<I: Io>(&mut self, round: &mut Round<'_, I>) {
        if !self.desk.has_answers() && self.unasked_users.is_none() {
            return;
        }
        let mut answers = mem::take(&mut self.answers);
        self.desk.answers(&mut answers, &mut self.kept);
        for Answer { number, conn, verdict } in answers.drain(..) {
            let Some(link) = self.links.get_mut(conn) else { continue };
            if link.standing.asked == Some(number) {
                link.standing.asked = None;
                self.judge(round, conn, verdict);
            }
        }
        self.answers = answers;
        for _ in 0..LOOKED_AT_MAX {
            let Some(place) = self.unasked_users.filter(|_| self.desk.has_room_for_live()) else { return };
            if let Some((conn, link)) = self.links.at(place)
                && matches!(&link.incoming.stage, Stage::Up(up) if up.is_client())
                && !self.ask(round, conn)
            {
                return;
            }
            self.unasked_users = Some(place + 1).filter(|next| *next < self.links.places());
        }
    }

    /// Goes by what the database says of a connection's peer.
    fn judge<I: Io>(&mut self, round: &mut Round<'_, I>, conn: ConnId, verdict: Verdict) {
        let Some(link) = self.links.get_mut(conn) else { return };
        let standing = &mut link.standing;
        if verdict.admits() {
            standing.verdict = Some(verdict);
        }
        match &mut link.incoming.stage {
            Stage::Handshaking(handshake, _) if handshake.due() == Some(Due::Decision) => {
                if verdict.admits() {
                    handshake.accept(round.context.now, &mut round.context.random);
                } else {
                    round.context.account.client_refused(refusal(verdict));
                    handshake.reject();
                }
                self.handle_ready(round, conn);
            }
            Stage::Handshaking(..) => {}
            Stage::Up(up) if verdict == Verdict::Refused && up.is_client() => {
                round.context.account.client_refused(refusal(verdict));
                self.close(round.context, round.io, conn, End::NoLongerValid);
            }
            Stage::Up(up) => {
                if up.has_proof() && standing.verdict != Some(Verdict::OnTrust) && !standing.is_announced {
                    standing.is_announced = true;
                    let is_registered = standing.verdict == Some(Verdict::Registered);
                    clients::announce(round.context, round.io, up, conn, is_registered);
                } else if verdict == Verdict::Registered
                    && standing.is_announced
                    && let Some(client) = up.client()
                {
                    // Other gateways may have had letters for it.
                    round.context.ask_home(round.io, client.user, Errand::Fetch { user: client.user });
                }
            }
        }
    }

    /// A client has shown that it has its link key.
    pub(super) fn meet<I: Io>(&mut self, round: &mut Round<'_, I>, conn: ConnId) {
        let Some(link) = self.links.get(conn) else { return };
        match (&link.incoming.stage, link.standing.verdict) {
            // Only now is its name written down.
            (Stage::Up(up), Some(Verdict::OnTrust)) if matches!(up.class, Class::Client(_)) => {
                self.ask(round, conn);
            }
            (_, Some(verdict)) => self.judge(round, conn, verdict),
            (_, None) => {}
        }
    }

    /// Letters that the store of mail has had, in their order.
    pub fn take_kept(&mut self) -> Vec<Kept> {
        mem::take(&mut self.kept)
    }

    /// The way to the store of mail.
    pub fn desk(&mut self) -> &mut Desk {
        &mut self.desk
    }

    /// Says that the shard is about to sleep; false if there are answers.
    pub fn fall_asleep(&self) -> bool {
        self.desk.fall_asleep()
    }
}

fn refusal(verdict: Verdict) -> PeerRefusal {
    match verdict {
        Verdict::Unknown => PeerRefusal::UserdbAway,
        _ => PeerRefusal::ClientDroppedFromUserdb,
    }
}
