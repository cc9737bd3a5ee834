//! Mail on its way through a shard: from the packets that end here to the mailboxes, and what the shards of clients and
//! of mailboxes ask of each other.

use super::Shard;
use crate::ends;
use crate::io::Io;
use crate::packet::pool::Slot;
use crate::packet::route::Delivery;
use crate::shared::Errand;
use crate::time::Instant;
use interplane::DropReason;
use std::sync::Arc;

/// Errands done in one round.
const ERRANDS_MAX: usize = 256;

impl Shard {
    /// Does what is asked of this shard.
    pub(super) fn run_errands(&mut self, io: &mut impl Io) {
        for _ in 0..ERRANDS_MAX {
            let Some(errand) = self.context.port().errands.pop() else { return };
            match errand {
                Errand::Letter { .. } | Errand::NameTaken { .. } => {
                    let (mut round, incoming, _) = self.split(io);
                    incoming.handle_errand(&mut round, errand);
                }
                Errand::Connected { .. } | Errand::Gone { .. } | Errand::Delivered { .. } | Errand::Fetch { .. } => {
                    let Some(mail) = &mut self.mail else { continue };
                    let desk = self.incoming.desk();
                    let sent = mail.handle(errand, &self.context.account, self.context.now, desk);
                    if let Some((shard, errand)) = sent {
                        self.context.ask(io, shard, errand);
                    }
                }
            }
        }
    }

    /// Puts into the mailboxes what the store of mail has had.
    pub(super) fn take_kept(&mut self, io: &mut impl Io) {
        for kept in self.incoming.take_kept() {
            let Some(mail) = &mut self.mail else { continue };
            if let Some((shard, errand)) = mail.take_kept(&kept, &self.context.account) {
                self.context.ask(io, shard, errand);
            }
        }
    }

    /// Gives the packets that end here to those for whom they are.
    pub(super) fn deliver(&mut self, io: &mut impl Io) {
        let mut held_up = Vec::new();
        while let Some((slot, delivery)) = self.packets.pop_ended() {
            let home = ends::home(self.context.shared.facts(), &delivery).filter(|home| *home != self.context.index);
            match home {
                None => self.deliver_here(io, slot, &delivery),
                Some(home) => held_up.extend(self.send_home(io, slot, home)),
            }
        }
        // A home that has no room keeps no other's mail waiting.
        held_up.into_iter().rev().for_each(|slot| self.packets.put_back_ended(slot));
        self.run_errands(io);
    }

    fn deliver_here(&mut self, io: &mut impl Io, slot: Box<Slot>, delivery: &Delivery) {
        let Some(mail) = &mut self.mail else {
            return self.packets.drop_packet(&mut self.context, slot, DropReason::InvalidPacket);
        };
        let context = &mut self.context;
        let desk = self.incoming.desk();
        match mail.deliver(&slot, delivery, context.shared.facts(), &context.account, context.now, desk) {
            Ok(sent) => {
                context.account.delivered_to_client();
                self.packets.give_back(slot);
                if let Some((shard, errand)) = sent {
                    context.ask(io, shard, errand);
                }
            }
            Err(reason) => self.packets.drop_packet(context, slot, reason),
        }
    }

    /// The way to its home was full when it came; gives it back if it still is.
    fn send_home(&mut self, io: &mut impl Io, slot: Box<Slot>, home: usize) -> Option<Box<Slot>> {
        let shared = Arc::clone(&self.context.shared);
        let Some(port) = shared.ports().get(home) else {
            self.packets.drop_packet(&mut self.context, slot, DropReason::InvalidPacket);
            return None;
        };
        match port.inbox.push(slot) {
            Ok(()) => {
                if port.parking.unpark_for(Instant::default()) {
                    io.wake(home);
                }
                None
            }
            Err(slot) => Some(slot),
        }
    }
}
