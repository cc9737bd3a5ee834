//! One batch after the other: which packets it has, its unwrap, and what becomes of each of them.

use super::{Context, Packets, Sight};
use crate::ends::service::{Bench, Served};
use crate::io::Io;
use crate::packet::batch::Batch;
use crate::packet::pool::Slot;
use crate::packet::route::{Arrival, Routes};
use crate::packet::unwrap::{BatchContext, Outcome, UnwrapStage};
use crate::shared::{Facts, Shared};
use crate::time::Instant;
use interplane::poison::ShardInFlight;
use interplane::{Counter, DropReason, Histogram};
use sphinx::SetupError;
use std::sync::Arc;
use std::time::Duration;

/// What unwraps, and where it notes what it is working on.
pub(super) struct Tools {
    stage: UnwrapStage,
    in_flight: ShardInFlight,
}

/// A batch on its way through the unwrap. It has all that this takes, so that the shard can do other things meanwhile.
pub struct Work {
    batch: Batch,
    start: Instant,
    tools: Box<Tools>,
}

impl Tools {
    pub(super) fn new(facts: &Facts, in_flight: ShardInFlight) -> Result<Self, SetupError> {
        Ok(Self { stage: UnwrapStage::new(facts)?, in_flight })
    }

    fn with<'a>(&'a mut self, sight: &'a Sight, shared: &'a Shared) -> (&'a mut UnwrapStage, BatchContext<'a>) {
        let Self { stage, in_flight } = self;
        (stage, BatchContext { keys: &sight.view().candidates, refused: shared.refused(), in_flight })
    }
}

impl Work {
    /// How many packets it has.
    pub fn packets(&self) -> usize {
        self.batch.len()
    }

    /// When it began.
    pub fn start(&self) -> Instant {
        self.start
    }

    /// Sorts out what need not be unwrapped.
    pub fn look_up(&mut self, sight: &Sight, shared: &Shared) {
        let (stage, by) = self.tools.with(sight, shared);
        stage.look_up(&self.batch, &by, self.start);
    }

    /// Unwraps the rest. `between` is called between pieces of it, so that nothing waits for all of it.
    pub fn unwrap(&mut self, sight: &Sight, shared: &Shared, between: &mut dyn FnMut()) {
        let (stage, by) = self.tools.with(sight, shared);
        stage.unwrap(&mut self.batch, by, between);
    }
}

impl Packets {
    /// A batch to be unwrapped, if it is time for one. `may_grow` says that more packets can be read before long.
    /// [`Packets::finish`] has to follow.
    pub fn begin(&mut self, context: &mut Context, io: &mut impl Io, may_grow: bool) -> Option<Work> {
        // Only this shard adds to its surplus: if it has not shrunk since the last round, nobody has time for it.
        let is_left_alone = self.surplus_seen > 0 && context.port().surplus.len() >= self.surplus_seen;
        self.offer_surplus(context, io);
        let batch = self.next_batch(context, is_left_alone, may_grow);
        self.surplus_seen = context.port().surplus.len();
        Some(Work { batch: batch?, start: io.now(), tools: self.tools.take()? })
    }

    /// Takes in what came of a batch.
    pub fn finish(&mut self, context: &mut Context, sight: &Sight, io: &mut impl Io, work: Work) {
        let Work { mut batch, start, tools } = work;
        let packets = batch.len();
        context.account.observe(Histogram::UNWRAP_BATCH_PACKETS, packets as u64);
        context.account.observe_us(Histogram::UNWRAP_US, context.now.since(start));
        let shared = Arc::clone(&context.shared);
        let routes = sight.routes(&shared);
        // Only plugins are told the civil time of a packet's arrival.
        let unix = self.services.as_ref().map_or(Duration::ZERO, |_| io.unix_now());
        let mut accepted = 0;
        for at in 0..packets {
            let outcome = tools.stage.outcome(at);
            let Some(mut slot) = batch.take(at) else { continue };
            context.account.observe_us(Histogram::DWELL_US, start.since(slot.recv_at));
            match judge(context, &routes, &mut slot, outcome, start) {
                Ok(()) => {
                    accepted += 1;
                    context.account.observe(Histogram::MIX_QUEUE, accepted);
                    if let Some(slot) = self.serve(context, &routes, unix, slot) {
                        self.pass_on(context, sight, io, slot);
                    }
                }
                Err(reason) => self.drop_packet(context, slot, reason),
            }
        }
        self.tools = Some(tools);
    }

    /// Lets a service of this node have a packet that ends here; gives what is to go on: the reply, or a packet that
    /// does not end here.
    fn serve(
        &mut self,
        context: &mut Context,
        routes: &Routes<'_>,
        unix: Duration,
        mut slot: Box<Slot>,
    ) -> Option<Box<Slot>> {
        let (Arrival::Deliver(delivery), Some(services)) = (slot.arrival, &mut self.services) else {
            return Some(slot);
        };
        let Context { account, random, now, .. } = context;
        match services.serve(&mut slot, &delivery, &mut Bench { routes, account, random, now: *now, unix }) {
            Served::Reply(arrival, delay) => {
                slot.arrival = arrival;
                slot.due = context.now + delay;
                return Some(slot);
            }
            Served::Done => self.slots.give(slot),
            Served::Refused(reason) => self.drop_packet(context, slot, reason),
        }
        None
    }

    /// Puts full batches where idle shards can take them, as long as enough is left for this one.
    fn offer_surplus(&mut self, context: &Context, io: &mut impl Io) {
        let ports = context.shared.ports();
        if ports.len() == 1 {
            return;
        }
        while self.backlog.has_surplus() && !context.port().surplus.is_full() {
            match context.port().surplus.push(self.backlog.take_batch(self.backlog.batch_max())) {
                Ok(()) => context.account.count(Counter::SURPLUS_BATCHES),
                // Only this shard fills the queue, so there was room.
                Err(batch) => return self.backlog.put_back(batch),
            }
            if let Some(sleeper) = ports.iter().position(|port| port.parking.unpark()) {
                io.wake(sleeper);
            }
        }
    }

    /// The oldest packets of this shard; if none is due, a batch of another shard. What is offered to the others stays
    /// with them as long as they come for it: a helper that found nothing would sleep while this shard reads.
    fn next_batch(&mut self, context: &Context, is_left_alone: bool, may_grow: bool) -> Option<Batch> {
        if (is_left_alone || self.backlog.len() < self.backlog.batch_max())
            && let Some(batch) = context.port().surplus.pop()
        {
            return Some(batch);
        }
        match self.backlog.due(context.now, may_grow && self.slots.free() > 0) {
            0 => pull(context),
            packets => Some(self.backlog.take_batch(packets)),
        }
    }
}

/// Notes in a packet's slot what becomes of it and when, counted from the moment at which its unwrap began.
fn judge(
    context: &Context,
    routes: &Routes<'_>,
    slot: &mut Slot,
    outcome: Outcome,
    start: Instant,
) -> Result<(), DropReason> {
    let (unwrapped, key) = match outcome {
        Outcome::New { unwrapped, key } => (unwrapped, key),
        Outcome::Drop(reason) => return Err(reason),
    };
    context.account.count(Counter::UNWRAPS);
    if key != slot.source.hint
        && let Some(port) = context.shared.ports().get(slot.home())
    {
        port.set_hint(slot.source.link, key);
    }
    let (arrival, delay) = routes.judge(&unwrapped, slot.sender, start.since(slot.recv_at))?;
    (slot.arrival, slot.due) = (arrival, start + delay);
    // A delay of 0 stands for one of 1 ms (server.md 3.7).
    let asked = Duration::from_millis(unwrapped.commands.delay_ms.unwrap_or(u32::MAX).max(1).into());
    if matches!(arrival, Arrival::Delay { .. }) && slot.recv_at + asked <= context.now {
        context.account.count(Counter::DELAYS_OVERRUN);
    }
    Ok(())
}

/// A batch that another shard offers.
fn pull(context: &Context) -> Option<Batch> {
    let ports = context.shared.ports();
    let others = (1..ports.len()).map(|step| &ports[(context.index + step) % ports.len()]);
    let batch = others.filter(|port| !port.surplus.is_empty()).find_map(|port| port.surplus.pop())?;
    context.account.count(Counter::PULLED_BATCHES);
    Some(batch)
}
