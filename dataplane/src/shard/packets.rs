//! The packets that are here: opened, unwrapped batch by batch, routed, and delayed in the wheel of the shard that owns
//! the next link.

mod unwrapping;

use super::context::Context;
use super::sight::Sight;
use crate::delay::Wheel;
use crate::ends;
use crate::ends::decoys::{DECOY_SHARD, Decoys, Made};
use crate::ends::service::{Reply, Services};
use crate::io::Io;
use crate::packet::batch::Backlog;
use crate::packet::pool::Slot;
use crate::packet::route::{Arrival, Delivery};
use crate::packet::slots::Slots;
use crate::shared::Port;
use crate::time::Instant;
use interplane::counter::{Destination, Origin, Queue};
use interplane::event::Event;
use interplane::loops::LoopCounts;
use interplane::poison::ShardInFlight;
use interplane::requests::ShardEnd;
use interplane::setup::PoolSize;
use interplane::{Counter, DropReason, Histogram};
use pki::neighbours::Role;
use sphinx::SetupError;
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;
use unwrapping::Tools;

/// Packets from other shards that enter the wheel in one round.
const INBOX_MAX: usize = 256;

/// What delays are whole numbers of (client.md 13.2).
const WHOLE_DELAY_NS: u32 = 1_000_000;

/// Answers of plugins that become packets in one round.
const ANSWERS_MAX: usize = 64;

/// All packets of a shard that are in no link's queue, and the slots that are free.
pub struct Packets {
    slots: Slots,
    backlog: Backlog,
    /// What unwraps; none while it does.
    tools: Option<Box<Tools>>,
    /// Batches that this shard left in its surplus queue in the last round.
    surplus_seen: usize,
    wheel: Wheel,
    /// Packets that end here, until [`Packets::pop_ended`].
    ended: VecDeque<Box<Slot>>,
    /// What answers packets that end here, on a service node.
    services: Option<Services>,
    /// What makes this node's own loops, on the shard that does.
    decoys: Option<Decoys>,
    /// Answers of plugins that are being sent.
    #[allow(clippy::vec_box, reason = "slots move by pointer, from list to list")]
    answered: Vec<Box<Slot>>,
    /// The longest delay for which the number of slots was looked at.
    delay_max_seen: Duration,
}

impl Packets {
    /// None yet.
    pub fn new(
        context: &Context,
        in_flight: ShardInFlight,
        plugins: Option<ShardEnd>,
        loops: Option<LoopCounts>,
    ) -> Result<Self, SetupError> {
        let facts = context.shared.facts();
        let decoys = match (context.shared.own_decoys(), loops) {
            (Some(recipient), Some(counts)) if context.index == DECOY_SHARD => {
                Some(Decoys::new(facts, *recipient, &counts)?)
            }
            _ => None,
        };
        Ok(Self {
            decoys,
            slots: Slots::new(context.index, Arc::clone(&context.shared)),
            backlog: Backlog::new(facts.batch_max, facts.lanes, facts.batch_wait),
            tools: Some(Box::new(Tools::new(facts, in_flight)?)),
            surplus_seen: 0,
            wheel: Wheel::new(context.now, facts.slots),
            ended: VecDeque::new(),
            services: (facts.role == Role::Service).then(|| Services::new(facts, context.index, plugins)),
            answered: Vec::with_capacity(ANSWERS_MAX),
            delay_max_seen: Duration::ZERO,
        })
    }

    /// Where packets get their slots, and where slots go home.
    pub fn slots_mut(&mut self) -> &mut Slots {
        &mut self.slots
    }

    /// What is needed to open packets.
    pub fn intake(&mut self) -> (&mut Slots, &mut Backlog) {
        (&mut self.slots, &mut self.backlog)
    }

    /// Packets that may be opened now: bounded by what waits to be unwrapped, and by free slots.
    pub fn room(&self, context: &Context) -> usize {
        self.backlog.room(self.offered(context)).min(self.slots.free())
    }

    /// Whether no slot is free.
    pub fn is_starved(&self) -> bool {
        self.slots.free() == 0
    }

    /// Whether there is something to do without anybody's doing.
    pub fn is_busy(&self, now: Instant) -> bool {
        let has_answers = self.services.as_ref().is_some_and(Services::has_answers);
        self.backlog.due(now, false) > 0 || self.next_expiry() <= now || has_answers
    }

    /// Says that the shard is about to sleep; false if there is something to do first.
    pub fn fall_asleep(&self) -> bool {
        self.services.as_ref().is_none_or(Services::fall_asleep)
    }

    /// Whether packets of the wheel are due.
    pub fn is_due(&self, now: Instant) -> bool {
        self.wheel.next_expiry() <= now
    }

    /// When the next packet becomes due, or the next batch.
    pub fn next_expiry(&self) -> Instant {
        let next_loop = self.decoys.as_ref().map_or(Instant::NEVER, Decoys::next_at);
        self.wheel.next_expiry().min(self.backlog.next_due()).min(next_loop)
    }

    /// Packets that are held here, those on their way in from other shards included.
    pub fn held(&self, context: &Context) -> u64 {
        let (inbox, ended) = (context.port().inbox.len(), self.ended.len());
        let places = [self.backlog.len(), self.offered(context), inbox, self.wheel.len(), ended];
        places.iter().map(|packets| *packets as u64).sum()
    }

    /// Free slots, those on their way home included.
    pub fn free_slots(&self, context: &Context) -> usize {
        self.slots.free() + context.port().home.len()
    }

    /// Takes in what other shards have brought: empty slots, and packets for this shard's links.
    pub fn collect(&mut self, context: &mut Context) {
        self.slots.collect();
        for _ in 0..INBOX_MAX {
            let Some(slot) = context.port().inbox.pop() else { return };
            self.settle(context, slot);
        }
    }

    /// Drops a packet.
    pub fn drop_packet(&mut self, context: &mut Context, slot: Box<Slot>, reason: DropReason) {
        context.account.dropped(reason, context.now);
        self.slots.give(slot);
    }

    /// Sends the answers that plugins have given since the last round.
    pub fn take_answers(&mut self, context: &mut Context, sight: &Sight, io: &mut impl Io) {
        let Self { services: Some(services), slots, answered, .. } = self else { return };
        if !services.has_answers() {
            return;
        }
        let (shared, now) = (Arc::clone(&context.shared), context.now);
        let account = &mut context.account;
        let returned = std::cell::RefCell::new(slots);
        services.answers(
            ANSWERS_MAX,
            &sight.routes(&shared),
            || returned.borrow_mut().take(),
            |slot, way| {
                account.count(Counter::originated(Origin::SurbReply));
                match (slot, way) {
                    (Some(mut slot), Ok(Reply { arrival, due, arrived_at })) => {
                        account.observe_us(Histogram::KAETZCHEN_US, now.since(arrived_at));
                        (slot.recv_at, slot.due, slot.arrival) = (now, due.max(now), arrival);
                        answered.push(slot);
                    }
                    (slot, way) => {
                        account.dropped(way.err().unwrap_or(DropReason::ServiceSurbFailed), now);
                        slot.into_iter().for_each(|slot| returned.borrow_mut().give(slot));
                    }
                }
            },
        );
        while let Some(slot) = self.answered.pop() {
            self.pass_on(context, sight, io, slot);
        }
    }

    /// Sends the loop that is due.
    pub fn send_loop(&mut self, context: &mut Context, sight: &Sight, io: &mut impl Io) {
        let Some(decoys) = &mut self.decoys else { return };
        let (shared, now) = (Arc::clone(&context.shared), context.now);
        let directory = sight.directory();
        let map = directory.view().document(sight.view().epoch.epoch);
        decoys.go_by(map, directory.snapshot().serial, now, &mut context.random);
        let Some(map) = map.filter(|_| decoys.next_at() <= now) else { return };
        let Ok(epoch) = shared.facts().clock.now(io.unix_now()) else { return };
        let Some(Made { packet, first_hop }) = decoys.make(map, &epoch, now, &mut context.random) else { return };
        context.account.count(Counter::originated(Origin::Decoy));
        let Some(mut slot) = self.slots.take() else {
            return context.account.dropped(DropReason::PoolExhausted, now);
        };
        match sight.routes(&shared).onward(first_hop) {
            Ok(arrival) if packet.len() == slot.packet().len() => {
                slot.packet_mut().copy_from_slice(&packet);
                (slot.recv_at, slot.due, slot.arrival) = (now, now, arrival);
                self.pass_on(context, sight, io, slot);
            }
            Ok(_) => self.drop_packet(context, slot, DropReason::InvalidPacket),
            Err(reason) => self.drop_packet(context, slot, reason),
        }
    }

    /// Gives a routed packet to the shard that is to have it: the owner of its link, or whoever is here.
    fn pass_on(&mut self, context: &mut Context, sight: &Sight, io: &mut impl Io, slot: Box<Slot>) {
        let owner = match slot.arrival {
            Arrival::Delay { destination, .. } => sight.directory().destination(destination).map(|found| found.owner),
            Arrival::Deliver(delivery) => ends::home(context.shared.facts(), &delivery),
            Arrival::Reply(_) => Some(DECOY_SHARD),
        };
        let due = slot.due;
        let shared = Arc::clone(&context.shared);
        match owner.filter(|owner| *owner != context.index).and_then(|owner| Some((owner, shared.ports().get(owner)?)))
        {
            Some((owner, port)) => match port.inbox.push(slot) {
                Ok(()) if port.parking.unpark_for(due) => io.wake(owner),
                Ok(()) => {}
                // The way there is full: it waits here.
                Err(slot) => self.settle(context, slot),
            },
            None => self.settle(context, slot),
        }
    }

    /// Keeps a packet that this shard is to have.
    fn settle(&mut self, context: &mut Context, mut slot: Box<Slot>) {
        if let (Arrival::Reply(delivery), Some(decoys)) = (slot.arrival, &mut self.decoys) {
            return match decoys.take(&mut slot, &delivery, context.now) {
                Ok(()) => {
                    context.account.count(Counter::delivered(Destination::Decoy));
                    self.slots.give(slot);
                }
                Err(reason) => self.drop_packet(context, slot, reason),
            };
        }
        match ends::refusal(context.shared.facts().role, &slot.arrival) {
            Some(reason) => self.drop_packet(context, slot, reason),
            None if matches!(slot.arrival, Arrival::Deliver(_)) => self.ended.push_back(slot),
            None => self.delay(context, slot),
        }
    }

    /// Whether packets wait for [`Packets::pop_ended`].
    pub fn has_ended(&self) -> bool {
        !self.ended.is_empty()
    }

    /// Puts a packet back whose end has no time for it.
    pub fn put_back_ended(&mut self, slot: Box<Slot>) {
        self.ended.push_front(slot);
    }

    /// Takes a packet that ends here, with what is in it.
    pub fn pop_ended(&mut self) -> Option<(Box<Slot>, Delivery)> {
        let slot = self.ended.pop_front()?;
        match slot.arrival {
            Arrival::Deliver(delivery) => Some((slot, delivery)),
            // Nothing else is put there.
            Arrival::Delay { .. } | Arrival::Reply(_) => None,
        }
    }

    /// Gives a slot back whose packet has found its end.
    pub fn give_back(&mut self, slot: Box<Slot>) {
        self.slots.give(slot);
    }

    /// Puts a packet into this shard's wheel. Where the wheel is at its limit, or the pool of the packet's slot near its
    /// end, a random packet is dropped for it (server.md 3.8): reading must not stop, or all links would stand still
    /// because of those whose packets wait long.
    fn delay(&mut self, context: &mut Context, mut slot: Box<Slot>) {
        let home = slot.home();
        if context.shared.facts().spreads_delays {
            slot.due += Duration::from_nanos(context.random.below(WHOLE_DELAY_NS).into());
        }
        self.wheel.insert(slot);
        let is_full = self.wheel.len() > context.shared.facts().live.delayed_max();
        let overflow = if is_full {
            self.wheel.remove_random(&mut context.random)
        } else if context.shared.ports().get(home).is_some_and(Port::is_short) {
            self.wheel.remove_random_of(home, &mut context.random)
        } else {
            None
        };
        if let Some(slot) = overflow {
            self.drop_packet(context, slot, DropReason::SchedulerQueueOverflow);
        }
    }

    /// Tells the log, once for each document that changes it, when there are fewer slots than delays of up to
    /// `delay_max` take at the line rate.
    pub fn check_size(&mut self, context: &mut Context, delay_max: Duration) {
        if std::mem::replace(&mut self.delay_max_seen, delay_max) == delay_max || context.index != 0 {
            return;
        }
        let facts = context.shared.facts();
        let needed = PoolSize::new(u64::from(facts.limits.packets_per_second), facts.shards as u64, delay_max).slots();
        let slots = facts.slots as u64;
        if needed > slots {
            let delay_ms = u64::try_from(delay_max.as_millis()).unwrap_or(u64::MAX);
            context.account.tell(Event::SlotsTooFew { delay_ms, needed, slots });
        }
    }

    /// Makes packets ready whose time has come, until at least `enough` are.
    pub fn advance(&mut self, context: &mut Context, enough: usize) {
        self.wheel.advance(context.now, enough, &mut context.random);
    }

    /// Takes a packet whose time has come; one that is too late for its link is an error, and dropped (server.md 3.8).
    pub fn pop_due(&mut self, context: &mut Context) -> Option<Result<Box<Slot>, ()>> {
        let mut slot = self.wheel.pop_ready()?;
        let (lateness, is_too_late) =
            Wheel::lateness(&slot, context.now, context.shared.facts().live.scheduler_slack.get());
        context.account.observe_us(Histogram::LATENESS_US, lateness);
        if is_too_late {
            self.drop_packet(context, slot, DropReason::SchedulerDeadlineBlown);
            return Some(Err(()));
        }
        slot.dispatch_at = context.now;
        Some(Ok(slot))
    }

    /// A packet whose time has come but whose link another shard owns: the way there was full before.
    pub fn hand_over_late(&mut self, context: &mut Context, io: &mut impl Io, slot: Box<Slot>, owner: usize) {
        let shared = Arc::clone(&context.shared);
        let Some(port) = shared.ports().get(owner) else {
            return self.drop_packet(context, slot, DropReason::DispatchNoConnection);
        };
        match port.inbox.push(slot) {
            Ok(()) if port.parking.unpark_for(Instant::default()) => io.wake(owner),
            Ok(()) => {}
            Err(slot) => self.drop_packet(context, slot, DropReason::OutgoingQueueFull),
        }
    }

    /// Drops everything: the node stops.
    pub fn shut_down(&mut self, context: &mut Context) {
        self.slots.collect();
        while let Some(slot) = self.pop_any(context) {
            self.drop_packet(context, slot, DropReason::Shutdown);
        }
    }

    fn pop_any(&mut self, context: &Context) -> Option<Box<Slot>> {
        if let Some(mut batch) = context.port().surplus.pop() {
            (0..batch.len()).filter_map(|at| batch.take(at)).for_each(|slot| self.backlog.push(slot));
        }
        let waiting = self.backlog.pop().or_else(|| context.port().inbox.pop());
        waiting.or_else(|| self.ended.pop_front()).or_else(|| self.wheel.pop_any())
    }

    /// Packets of this shard that others may take: only full batches are offered.
    fn offered(&self, context: &Context) -> usize {
        context.port().surplus.len() * self.backlog.batch_max()
    }

    /// Sets the gauges of what is here.
    pub fn update_gauges(&self, context: &Context) {
        let account = &context.account;
        account.set(Counter::POOL_FREE, self.free_slots(context) as u64);
        account.set(Counter::queued(Queue::Opened), self.backlog.len() as u64);
        account.set(Counter::queued(Queue::Surplus), self.offered(context) as u64);
        account.set(Counter::queued(Queue::Inbox), context.port().inbox.len() as u64);
        account.set(Counter::queued(Queue::Wheel), self.wheel.len() as u64);
    }
}
