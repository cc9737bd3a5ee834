//! Reading: one large receive per link and round, all whole frames opened, the packets collected for the next batch.

use super::IncomingLinks;
use crate::io::{ConnId, Io, Received};
use crate::link::incoming::{Intake, Stage};
use crate::packet::pool::Source;
use crate::shard::context::Round;
use interplane::Counter;
use interplane::counter::PacketStage;
use wire::link::End;

/// What came of reading one link.
enum Read {
    /// There may be more.
    More,
    /// Nothing more until the next event.
    Drained,
    /// The link has ended.
    Ended(End),
}

impl IncomingLinks {
    /// Reads each link that has something once, until enough packets wait. The first link of this round is the last of
    /// the next one. Gives the number of packets.
    pub fn read<I: Io>(&mut self, round: &mut Round<'_, I>) -> u64 {
        let before = round.context.account.get(Counter::RECEIVED);
        self.read_links(round);
        round.context.account.get(Counter::RECEIVED).wrapping_sub(before)
    }

    fn read_links<I: Io>(&mut self, round: &mut Round<'_, I>) {
        let links = self.readable.len();
        for _ in 0..links {
            let room = round.packets.room(round.context);
            if room == 0 {
                round.context.account.count(Counter::OPENED_FULL);
                return;
            }
            let Some(conn) = self.readable.pop_front() else { return };
            // With several links to read, none fills the whole backlog by itself.
            let share = if links > 1 { room.min(round.context.shared.facts().batch_max) } else { room };
            match self.read_link(round, conn, share) {
                Some(Read::More) => self.readable.push_back(conn),
                Some(Read::Drained) => {
                    if let Some(link) = self.links.get_mut(conn) {
                        link.is_listed = false;
                    }
                }
                Some(Read::Ended(end)) => self.close(round.context, round.io, conn, end),
                None => {}
            }
        }
    }

    fn read_link<I: Io>(&mut self, round: &mut Round<'_, I>, conn: ConnId, packets_max: usize) -> Option<Read> {
        let context = &mut *round.context;
        let hint = context.port().hint(conn.index);
        let facts = context.shared.facts();
        let Stage::Up(up) = &mut self.links.get_mut(conn)?.incoming.stage else { return None };
        if up.client().is_some_and(|client| client.is_asking_too_much()) {
            // Something is on its way to it; when that is sent the link is read again.
            return Some(Read::Drained);
        }
        let most = (packets_max * facts.frame_bytes()).saturating_sub(up.held_bytes()).max(1);
        let start = round.io.now();
        let before = context.account.get(Counter::RECEIVED);
        let (bytes, at) = match round.io.recv(conn, most) {
            Received::Bytes { bytes, at } => (bytes, at),
            Received::WouldBlock => return Some(Read::Drained),
            Received::Closed => return Some(Read::Ended(End::PeerClosed)),
            Received::Failed => return Some(Read::Ended(End::Failed)),
        };
        context.now = context.now.max(at);
        context.account.add(Counter::BYTES_RECEIVED, bytes.len() as u64);
        let (slots, opened) = round.packets.intake();
        let mut intake = Intake {
            slots,
            opened,
            account: &mut context.account,
            commands: facts.commands(),
            packet_bytes: facts.geometry.packet_length,
            source: Source { link: conn.index, hint },
            // Not the beginning of the round: a packet that has arrived since would leave that much too early.
            now: at,
        };
        let consumed = up.consume(bytes, &mut intake);
        // On io_uring the bytes were there before.
        let (received, packets) = (at.max(start), context.account.get(Counter::RECEIVED).wrapping_sub(before));
        context.account.spent(PacketStage::Receive, received.since(start), packets);
        context.account.spent(PacketStage::Open, round.io.now().since(received), packets);
        if let Err(end) = consumed {
            return Some(Read::Ended(end));
        }
        let wants_attention = up.client().is_some_and(|client| client.wants_attention());
        if up.take_proof() {
            self.believe(round, conn);
        }
        let stays = !wants_attention || self.attend(round, conn);
        stays.then_some(Read::More)
    }
}
