//! One batch: which, unwrapped, routed, and into the wheel of the shard that owns the next link.

use super::{INBOX_MAX, Shard};
use crate::io::Io;
use crate::packet::batch::Batch;
use crate::packet::pool::Slot;
use crate::packet::route::{Decision, Sender, remaining_delay, route};
use crate::packet::unwrap::{Judges, Outcome};
use crate::time::Instant;
use interplane::{Counter, DropReason, Histogram};
use sphinx::Unwrapped;
use std::time::Duration;

impl Shard {
    /// Unwraps one batch, if it is time for one.
    pub(super) fn work(&mut self, io: &mut impl Io) {
        // Only this shard adds to its surplus: if it has not shrunk since the last round, nobody has time for it.
        let is_left_alone = self.surplus_seen > 0 && self.port().surplus.len() >= self.surplus_seen;
        self.offer_surplus(io);
        let batch = self.next_batch(is_left_alone);
        self.surplus_seen = self.port().surplus.len();
        let Some(mut batch) = batch else { return };
        let start = io.now();
        let judges =
            Judges { keys: &self.almanac.candidates, refused: self.shared.refused(), in_flight: &mut self.in_flight };
        let packets = batch.len();
        self.stage.run(&mut batch, judges, start);
        self.now = io.now();
        self.account.observe(Histogram::UNWRAP_BATCH_PACKETS, packets as u64);
        self.account.observe_us(Histogram::UNWRAP_US, self.now.since(start));
        let mut accepted = 0;
        for at in 0..packets {
            let outcome = self.stage.outcome(at);
            let Some(slot) = batch.take(at) else { continue };
            let dwell = start.since(slot.recv_at);
            self.account.observe_us(Histogram::DWELL_US, dwell);
            match self.judge(&slot, outcome, dwell) {
                Ok(delay) => {
                    accepted += 1;
                    self.account.observe(Histogram::MIX_QUEUE, accepted);
                    self.delay(io, slot, delay);
                }
                Err(reason) => self.drop_packet(slot, reason),
            }
        }
    }

    /// Puts full batches where idle shards can take them, as long as enough is left for this one.
    fn offer_surplus(&mut self, io: &mut impl Io) {
        let full = self.shared.facts().batch_max;
        if self.shared.ports().len() == 1 {
            return;
        }
        while self.opened.len() >= 2 * full && !self.port().surplus.is_full() {
            let batch = self.take_opened(full);
            match self.port().surplus.push(batch) {
                Ok(()) => self.account.count(Counter::SURPLUS_BATCHES),
                // Only this shard fills the queue, so there was room.
                Err(mut batch) => {
                    let slots = (0..batch.len()).rev().filter_map(|at| batch.take(at));
                    slots.for_each(|slot| self.opened.push_front(slot));
                    return;
                }
            }
            let sleeper = (0..self.shared.ports().len()).find(|shard| self.shared.ports()[*shard].parking.unpark());
            if let Some(shard) = sleeper {
                io.wake(shard);
            }
        }
    }

    /// The oldest packets of this shard; without any, a batch of another shard. What is offered to the others stays
    /// with them as long as they come for it: a helper that found nothing would sleep while this shard reads.
    fn next_batch(&mut self, is_left_alone: bool) -> Option<Batch> {
        let facts = self.shared.facts();
        let full = facts.batch_max;
        if (is_left_alone || self.opened.len() < full)
            && let Some(batch) = self.port().surplus.pop()
        {
            return Some(batch);
        }
        let Some(oldest) = self.opened.front() else { return self.pull() };
        let is_due = self.opened.len() >= full
            || self.readable.is_empty()
            || self.slots.free() == 0
            || self.now.since(oldest.recv_at) >= facts.batch_wait;
        is_due.then(|| self.take_opened(full))
    }

    fn take_opened(&mut self, most: usize) -> Batch {
        let mut batch = Batch::default();
        for _ in 0..most {
            let Some(slot) = self.opened.pop_front() else { break };
            if let Err(slot) = batch.push(slot) {
                self.opened.push_front(slot);
                break;
            }
        }
        batch
    }

    fn pull(&mut self) -> Option<Batch> {
        let ports = self.shared.ports();
        let others = (1..ports.len()).map(|step| &ports[(self.index + step) % ports.len()]);
        let batch = others.filter(|port| !port.surplus.is_empty()).find_map(|port| port.surplus.pop())?;
        self.account.count(Counter::PULLED_BATCHES);
        Some(batch)
    }

    /// What becomes of a packet: the time that it is to wait, or why it is dropped.
    fn judge(&mut self, slot: &Slot, outcome: Outcome, dwell: Duration) -> Result<Onward, DropReason> {
        let Unwrapped { commands, kind, .. } = match outcome {
            Outcome::New { unwrapped, key } => {
                self.account.count(Counter::UNWRAPS);
                if key != slot.source.hint
                    && let Some(port) = self.shared.ports().get(slot.home())
                {
                    port.set_hint(slot.source.link, key);
                }
                unwrapped
            }
            Outcome::Drop(reason) => return Err(reason),
        };
        let facts = self.shared.facts();
        match route(facts.routing_role, &commands, kind, Sender::default(), None, facts.delay_limit()) {
            Decision::Forward { next_hop, delay_ms } => {
                let delay = remaining_delay(delay_ms, dwell)?;
                if delay > self.almanac.delay_max {
                    return Err(DropReason::SchedulerDelayExceedsMax);
                }
                let destination = self.directory.find(&next_hop);
                let open = |id: &crate::packet::pool::DestinationId| {
                    self.almanac.destinations.get(id.0 as usize).copied().unwrap_or(false)
                };
                let destination = destination.filter(open).ok_or(DropReason::SchedulerNextHopInvalid)?;
                Ok(Onward { next_hop, destination, delay })
            }
            // Facts::new refuses the roles for which the matrix gives these; a mix without loops has no decoys.
            Decision::Decoy | Decision::Gateway | Decision::Service => Err(DropReason::InvalidPacket),
            Decision::Drop(reason) => Err(reason),
        }
    }

    /// Gives a packet to the wheel of the shard that owns its link.
    fn delay(&mut self, io: &mut impl Io, mut slot: Box<Slot>, onward: Onward) {
        slot.next_hop = onward.next_hop;
        slot.destination = onward.destination;
        slot.due = self.now + onward.delay;
        let owner = self.directory.destination(onward.destination).map_or(self.index, |found| found.owner);
        self.hand_to(io, slot, owner);
    }

    /// Gives a packet to a shard's wheel. If the way there is full it waits in this one.
    fn hand_to(&mut self, io: &mut impl Io, slot: Box<Slot>, owner: usize) {
        let due = slot.due;
        let port = match self.shared.ports().get(owner) {
            Some(port) if owner != self.index => port,
            _ => return self.insert(slot),
        };
        match port.inbox.push(slot) {
            Ok(()) => {
                if port.parking.unpark_for(due) {
                    io.wake(owner);
                }
            }
            Err(slot) => self.insert(slot),
        }
    }

    /// Puts a packet into this shard's wheel, which may have a limit (server.md 3.8).
    fn insert(&mut self, slot: Box<Slot>) {
        self.wheel.insert(slot);
        if let Some(most) = self.shared.facts().delayed_max
            && self.wheel.len() > most
            && let Some(slot) = self.wheel.remove_random(&mut self.random)
        {
            self.drop_packet(slot, DropReason::SchedulerQueueOverflow);
        }
    }

    /// Puts packets of other shards into the wheel.
    pub(super) fn take_inbox(&mut self) {
        for _ in 0..INBOX_MAX {
            let Some(slot) = self.port().inbox.pop() else { return };
            self.insert(slot);
        }
    }

    /// A packet whose time has come but whose link another shard owns: the way there was full before.
    pub(super) fn hand_over_late(&mut self, io: &mut impl Io, slot: Box<Slot>, owner: usize) {
        let Some(port) = self.shared.ports().get(owner) else {
            return self.drop_packet(slot, DropReason::DispatchNoConnection);
        };
        match port.inbox.push(slot) {
            Ok(()) => {
                if port.parking.unpark_for(Instant::default()) {
                    io.wake(owner);
                }
            }
            Err(slot) => self.drop_packet(slot, DropReason::OutgoingQueueFull),
        }
    }
}

/// Where a packet goes, and after how long.
struct Onward {
    next_hop: pki::NodeId,
    destination: crate::packet::pool::DestinationId,
    delay: Duration,
}
