//! Reading: one large receive per link and round, all whole frames opened, the packets collected for the next batch.

use super::{OPENED_BATCHES_MAX, Shard};
use crate::io::{ConnId, Io, Received};
use crate::link::incoming::{Intake, Stage};
use crate::packet::pool::Source;
use interplane::Counter;
use interplane::counter::LinkEnd;

/// What came of reading one link.
enum Read {
    /// There may be more.
    More,
    /// Nothing more until the next event.
    Drained,
    /// The link has ended.
    Ended(LinkEnd),
}

impl Shard {
    /// Reads each link that has something once, until enough packets wait. The first link of this round is the last of
    /// the next one.
    pub(super) fn read_links(&mut self, io: &mut impl Io) {
        let links = self.readable.len();
        for _ in 0..links {
            let room = self.room();
            if room == 0 {
                self.account.count(Counter::OPENED_FULL);
                return;
            }
            let Some(conn) = self.readable.pop_front() else { return };
            // With several links to read, none fills the whole backlog by itself.
            let share = if links > 1 { room.min(self.shared.facts().batch_max) } else { room };
            match self.read_link(io, conn, share) {
                Some(Read::More) => self.readable.push_back(conn),
                Some(Read::Drained) => {
                    if let Some(incoming) = self.table.incoming_mut(conn) {
                        incoming.is_listed = false;
                    }
                }
                Some(Read::Ended(end)) => self.close_incoming(io, conn, end),
                None => {}
            }
        }
    }

    /// Packets that may be opened now: bounded by what waits to be unwrapped, and by free slots.
    fn room(&self) -> usize {
        let most = OPENED_BATCHES_MAX * self.shared.facts().batch_max;
        most.saturating_sub(self.opened.len() + self.surplus_packets()).min(self.slots.free())
    }

    fn read_link(&mut self, io: &mut impl Io, conn: ConnId, packets_max: usize) -> Option<Read> {
        let facts = self.shared.facts();
        let hint = self.shared.ports()[self.index].hint(conn.index);
        let incoming = self.table.incoming_mut(conn)?;
        let Stage::Up(up) = &mut incoming.stage else { return None };
        let most = (packets_max * facts.frame_bytes()).saturating_sub(up.held_bytes()).max(1);
        let (bytes, at) = match io.recv(conn, most) {
            Received::Bytes { bytes, at } => (bytes, at),
            Received::WouldBlock => return Some(Read::Drained),
            Received::Closed => return Some(Read::Ended(LinkEnd::PeerClosed)),
            Received::Failed => return Some(Read::Ended(LinkEnd::Failed)),
        };
        self.now = self.now.max(at);
        self.account.add(Counter::BYTES_RECEIVED, bytes.len() as u64);
        let mut intake = Intake {
            slots: &mut self.slots,
            opened: &mut self.opened,
            account: &mut self.account,
            commands: facts.commands(),
            packet_bytes: facts.geometry.packet_length,
            source: Source { link: conn.index, hint },
            // Not the beginning of the round: a packet that has arrived since would leave that much too early.
            now: at,
        };
        match up.consume(bytes, &mut intake) {
            Ok(()) => Some(Read::More),
            Err(end) => Some(Read::Ended(end)),
        }
    }
}
