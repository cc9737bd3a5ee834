//! Sending: due packets leave the wheel for the queue of their link, and each link is flushed once.

use super::{EXPIRIES_MAX, Shard};
use crate::io::Io;
use crate::packet::pool::{DestinationId, Slot};
use interplane::{DropReason, Histogram};

impl Shard {
    /// Takes what is due out of the wheel.
    pub(super) fn expire(&mut self, io: &mut impl Io) {
        self.wheel.advance(self.now, EXPIRIES_MAX, &mut self.random);
        for _ in 0..EXPIRIES_MAX {
            let Some(slot) = self.wheel.pop_ready() else { return };
            self.dispatch(io, slot);
        }
    }

    /// Puts a due packet into the queue of its link (server.md 3.8, 3.9).
    fn dispatch(&mut self, io: &mut impl Io, mut slot: Box<Slot>) {
        let lateness = self.now.since(slot.due);
        self.account.observe_us(Histogram::LATENESS_US, lateness);
        if lateness > self.shared.facts().scheduler_slack {
            return self.drop_packet(slot, DropReason::SchedulerDeadlineBlown);
        }
        slot.dispatch_at = self.now;
        let id = slot.destination;
        // The place may have another node by now.
        let destination = self.directory.destination(id).filter(|found| found.node == slot.next_hop);
        match destination.map(|found| found.owner) {
            Some(owner) if owner == self.index => self.enqueue(io, id, slot),
            Some(owner) => self.hand_over_late(io, slot, owner),
            None => self.drop_packet(slot, DropReason::DispatchNoConnection),
        }
    }

    fn enqueue(&mut self, io: &mut impl Io, id: DestinationId, slot: Box<Slot>) {
        let Some(mut peer) = self.peers.get_mut(id.0 as usize).and_then(Option::take) else {
            return self.drop_packet(slot, DropReason::DispatchNoConnection);
        };
        let facts = std::sync::Arc::clone(&self.shared);
        let wants_flush = peer.wants_flush_now(facts.facts());
        let newly_listed = !std::mem::replace(&mut peer.is_listed, true);
        self.peers[id.0 as usize] = Some(peer);
        if newly_listed {
            self.to_flush.push_back(id);
        }
        self.with_peer(id, io, |peer, _, with| {
            if wants_flush {
                peer.flush(with);
            }
            peer.enqueue(slot, with);
        });
    }

    /// Seals and sends what waits, one send per link.
    pub(super) fn flush_links(&mut self, io: &mut impl Io) {
        while let Some(id) = self.to_flush.pop_front() {
            self.with_peer(id, io, |peer, _, with| {
                peer.is_listed = false;
                peer.flush(with);
            });
        }
    }

    /// Has the link flushed at the end of this round.
    pub(super) fn list_for_flush(&mut self, id: DestinationId) {
        if let Some(Some(peer)) = self.peers.get_mut(id.0 as usize)
            && !std::mem::replace(&mut peer.is_listed, true)
        {
            self.to_flush.push_back(id);
        }
    }
}
