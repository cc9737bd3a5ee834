//! One shard: everything that one core does, a bounded round at a time.
//!
//! A shard is made of parts that own what they work with; this file says what happens in which order.
//!
//! | part | what it owns |
//! |---|---|
//! | `context` | where the shard stands, its clock, its books, its random numbers |
//! | `sight` | documents and keys; `epoch_view`: what they mean at this moment |
//! | `incoming` | the links that peers opened, and the buffer into which they are read |
//! | `outgoing` | the links to other nodes, and which of them have something to send |
//! | `mail` | the mailboxes of a gateway's clients that have their home here |
//! | `steps` | who waits for a KEM operation |
//! | `packets` | slots, opened packets, the unwrapper, the wheel |
//! | `lane` | datagrams past the kernel, in the books |
//! | `arrivals` | what has been entered in the books of those who come over QUIC |
//! | `wishes` | what operators want of it meanwhile |
//! | `table`, `deadlines` | connections by their names; when to look at which link |
//!
//! The order matters: packets that are due leave after at most one piece of a batch, and a round is bounded by one large
//! read per link, one batch, one handshake step, what `EXPIRIES_MAX` packets and twice `EVENTS_MAX` events have to send,
//! and before each piece of the batch what `EXPIRIES_MAX` packets and `EVENTS_WITHIN_MAX` events have.

mod arrivals;
mod context;
mod deadlines;
mod epoch_view;
pub(crate) mod incoming;
mod lane;
mod mail;
mod outgoing;
mod packets;
mod sight;
mod steps;
mod table;
#[cfg(test)]
pub(crate) mod tests;
mod wishes;

use crate::account::Account;
use crate::ends::gateway::Mail;
use crate::io::{Event, Io};
use crate::link::outgoing::{Peer, Waiter};
use crate::random::ShardRandom;
use crate::shared::Shared;
use crate::time::Instant;
use arrivals::Arrivals;
use context::{Context, Round};
use incoming::IncomingLinks;
use incoming::desk::Desk;
use interplane::counter::PacketStage;
use interplane::loops::LoopCounts;
use interplane::poison::ShardInFlight;
use interplane::requests::ShardEnd;
use interplane::ring::EventWriter;
use interplane::{Counter, ShardCounters};
use lane::LaneCounts;
use outgoing::OutgoingLinks;
use packets::Packets;
use pki::neighbours::Role;
use sight::Sight;
use sphinx::SetupError;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use steps::Steps;
use wishes::Wishes;

/// Packets that leave the wheel at once: about what one link takes, in its buffers and its queue.
const EXPIRIES_MAX: usize = 128;
/// Events handled in one round, twice.
const EVENTS_MAX: usize = 256;
/// Events handled between two pieces of a batch: what hands over the next bytes of some links.
const EVENTS_WITHIN_MAX: usize = 32;
/// How long a shard without free slots sleeps although there is something to read.
const STARVED_SLEEP: Duration = Duration::from_millis(1);
/// Rounds between two updates of the gauges while the shard is busy.
const GAUGE_ROUNDS: u32 = 256;

/// What a driver does after [`Shard::poll`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Next {
    /// Poll again at once: there is more to do.
    Busy,
    /// Sleep until this moment, an event of this shard's connections, or a wake-up, whichever is first. The shard has
    /// set its parked flag and looked once more. [`Instant::NEVER`] means no moment.
    ParkUntil(Instant),
}

/// A shard's places in shared memory.
pub struct Instruments {
    /// Its row of counters.
    pub counters: ShardCounters,
    /// Its ring for the log.
    pub events: EventWriter,
    /// Where it notes the tags that it is working on.
    pub in_flight: ShardInFlight,
    /// Its ends of the rings of plugins, on a service node, or of the user database, on a gateway that has one.
    pub plugins: Option<ShardEnd>,
    /// Where this node's own loops are counted.
    pub loops: Option<LoopCounts>,
}

/// One shard.
pub struct Shard {
    context: Context,
    sight: Sight,
    incoming: IncomingLinks,
    outgoing: OutgoingLinks,
    steps: Steps,
    packets: Packets,
    /// Of a gateway only.
    mail: Option<Mail>,
    lane: LaneCounts,
    arrivals: Arrivals,
    wishes: Wishes,
    reauthenticate_at: Instant,
    rounds_to_gauges: u32,
    /// It has parked and was not polled since.
    is_parked: bool,
    /// The end of the last round, if it did not park behind it.
    busy_since: Option<Instant>,
}

impl Shard {
    /// A shard of `shared`. `seed` decides its random numbers and must be secret; `now` is its driver's clock.
    pub fn new(
        index: usize,
        shared: Arc<Shared>,
        instruments: Instruments,
        seed: [u8; 32],
        now: Instant,
    ) -> Result<Self, SetupError> {
        let Instruments { counters, events, in_flight, plugins, loops } = instruments;
        let (account, mut random) = (Account::new(counters, events), ShardRandom::new(seed));
        let is_service = shared.facts().role == Role::Service;
        let (plugins, users) = if is_service { (plugins, None) } else { (None, plugins) };
        let desk = Desk::new(index, users, &mut random);
        let client_rate = shared.facts().live.client_rate();
        let context = Context { index, shared, now, account, random, client_rate };
        let facts = context.shared.facts();
        Ok(Self {
            sight: Sight::new(&context.shared),
            incoming: IncomingLinks::new(desk),
            outgoing: OutgoingLinks::new(),
            steps: Steps::default(),
            packets: Packets::new(&context, in_flight, plugins, loops)?,
            mail: (facts.role == Role::Gateway).then(|| Mail::new(facts)),
            lane: LaneCounts::default(),
            arrivals: Arrivals::default(),
            wishes: Wishes::default(),
            reauthenticate_at: now + facts.live.reauth_interval.get(),
            rounds_to_gauges: 0,
            is_parked: false,
            busy_since: None,
            context,
        })
    }

    /// One round.
    pub fn poll(&mut self, io: &mut impl Io) -> Next {
        let woke_by_itself = self.context.port().parking.awake();
        if std::mem::take(&mut self.is_parked) {
            // First of all: a shard that hangs from here on must not be taken for one that sleeps.
            self.context.account.set(Counter::PARKED, 0);
            if !woke_by_itself {
                self.context.account.count(Counter::WAKES);
            }
        }
        self.context.now = io.now();
        let looked_from = self.busy_since.take().unwrap_or(self.context.now);
        self.context.account.count(Counter::HEARTBEAT);
        self.take_over(io);
        self.hear_wishes();
        self.packets.collect(&mut self.context);
        self.incoming.obey_orders(&mut self.context, io);
        self.run_errands(io);
        let (mut round, incoming, outgoing) = self.split(io);
        let more_events = handle_events(&mut round, incoming, outgoing, EVENTS_MAX);
        let looked = round.io.now().since(looked_from);
        self.keep_house(io);
        self.grant_wishes(io);
        self.take_step(io);
        let (mut round, incoming, _) = self.split(io);
        let packets = incoming.read(&mut round);
        round.context.account.spent(PacketStage::Poll, looked, packets);
        self.let_overdue_leave(io);
        self.unwrap(io);
        self.packets.take_answers(&mut self.context, &self.sight, io);
        self.packets.send_loop(&mut self.context, &self.sight, io);
        self.deliver(io);
        let (mut round, incoming, outgoing) = self.split(io);
        let more_events = let_due_leave(&mut round, incoming, outgoing, EVENTS_MAX) || more_events;
        let next = self.rest(io, more_events);
        self.busy_since = (next == Next::Busy).then(|| io.now());
        next
    }

    /// Packets that this shard holds, wherever they are: what the account calls held. Between two rounds only.
    pub fn held(&self) -> u64 {
        self.packets.held(&self.context) + self.outgoing.held()
    }

    /// Slots of this shard's pool that are free or on their way home.
    pub fn free_slots(&self) -> usize {
        self.packets.free_slots(&self.context)
    }

    /// Packets that this shard has sealed and not wholly sent: they need no slot any more.
    pub fn sealed(&self) -> u64 {
        self.outgoing.peers().map(Peer::sealed).sum()
    }

    /// Whether the link to a node is up and owned by this shard.
    pub fn is_linked_to(&self, node: &pki::NodeId) -> bool {
        self.outgoing.peers().any(|peer| peer.node == *node && peer.is_up())
    }

    /// Ends all connections and drops all packets. Call it for every shard when none is polled any more.
    pub fn shut_down(&mut self, io: &mut impl Io) {
        self.context.now = io.now();
        self.incoming.shut_down(&mut self.context, io);
        let (mut round, _, outgoing) = self.split(io);
        outgoing.shut_down(&mut round);
        self.packets.shut_down(&mut self.context);
        self.update_gauges(io);
    }

    /// The links of both kinds, and what they work with.
    fn split<'a, I: Io>(&'a mut self, io: &'a mut I) -> (Round<'a, I>, &'a mut IncomingLinks, &'a mut OutgoingLinks) {
        let Self { context, sight, packets, steps, incoming, outgoing, .. } = self;
        (Round { io, context, sight, packets, steps }, incoming, outgoing)
    }

    /// Goes by what was published, and by the part of the epoch that has begun.
    fn take_over(&mut self, io: &mut impl Io) {
        let Some(news) = self.sight.take_over(&self.context.shared, io.unix_now()) else { return };
        self.reauthenticate_at = self.context.now + self.context.shared.facts().live.reauth_interval.get();
        let (mut round, incoming, outgoing) = self.split(io);
        outgoing.take_over(&mut round, news);
        incoming.reauthenticate();
        let view = self.sight.view();
        // Without a document of this very epoch the limit of all delays stands in for what it would allow.
        if view.is_usable && self.sight.directory().snapshot().delay_ms_max(view.epoch.epoch).is_some() {
            self.packets.check_size(&mut self.context, self.sight.view().delay_max);
        }
        let serial = self.sight.directory().snapshot().serial;
        self.context.account.set(Counter::SNAPSHOT_SERIAL, serial);
        let port = self.context.port();
        port.applied_serial.store(serial, Ordering::Release);
        port.applied_keys.store(self.sight.keys_seen(), Ordering::Release);
    }

    /// Everything that happens rarely: deadlines, and authentication of live links.
    fn keep_house(&mut self, io: &mut impl Io) {
        let is_due = self.context.now >= self.reauthenticate_at;
        if is_due {
            self.reauthenticate_at = self.context.now + self.context.shared.facts().live.reauth_interval.get();
        }
        let (mut round, incoming, outgoing) = self.split(io);
        if is_due {
            // What is under way ends first: with an interval shorter than that takes it would begin anew for ever.
            if !incoming.is_asking() {
                incoming.reauthenticate();
            }
            incoming.reauthenticate_users();
            outgoing.reauthenticate(&mut round);
        }
        incoming.keep_house(&mut round);
        incoming.take_answers(&mut round);
        outgoing.keep_house(&mut round);
        self.take_kept(io);
        if let Some(mail) = &mut self.mail {
            // What is left is due at once, so that the next round goes on with it.
            let _is_left = mail.expire(self.context.now);
        }
    }

    /// At most one KEM operation between two looks at the wheel.
    fn take_step(&mut self, io: &mut impl Io) {
        let waiter = self.steps.pop();
        let (mut round, incoming, outgoing) = self.split(io);
        match waiter {
            Some(Waiter::Incoming(conn)) => incoming.step(&mut round, conn),
            Some(Waiter::Outgoing(id)) => outgoing.step(&mut round, id),
            None => {}
        }
    }

    /// Lets leave what became due while the shard slept: it does not wait for a batch that begins now.
    fn let_overdue_leave(&mut self, io: &mut impl Io) {
        self.context.now = io.now();
        if self.packets.is_due(self.context.now) {
            let (mut round, incoming, outgoing) = self.split(io);
            // What happened and is left is handled at the end of the round.
            let _more = let_due_leave(&mut round, incoming, outgoing, EVENTS_WITHIN_MAX);
        }
    }

    /// Unwraps one batch, if it is time for one. What becomes due meanwhile leaves between the pieces of it.
    fn unwrap(&mut self, io: &mut impl Io) {
        let (mut round, incoming, outgoing) = self.split(io);
        let Some(mut work) = round.packets.begin(round.context, round.io, incoming.is_readable()) else { return };
        let (sight, shared, packets) = (round.sight, Arc::clone(&round.context.shared), work.packets() as u64);
        work.look_up(sight, &shared);
        let found = round.io.now();
        round.context.account.spent(PacketStage::LookUp, found.since(work.start()), packets);
        let mut away = Duration::ZERO;
        work.unwrap(sight, &shared, &mut || {
            let now = round.io.now();
            round.context.now = now;
            // What others have unwrapped for this shard's links leaves as what it has unwrapped itself.
            round.packets.collect(round.context);
            if round.packets.is_due(now) {
                // What happened and is left is handled after the batch.
                let _more = let_due_leave(&mut round, incoming, outgoing, EVENTS_WITHIN_MAX);
                away += round.io.now().since(now);
            }
        });
        let unwrapped = round.io.now();
        round.context.now = unwrapped;
        round.context.account.spent(PacketStage::Unwrap, unwrapped.since(found).saturating_sub(away), packets);
        round.packets.finish(round.context, round.sight, round.io, work);
        round.context.account.spent(PacketStage::Route, round.io.now().since(unwrapped), packets);
    }

    /// Decides whether there is more to do, else parks.
    fn rest(&mut self, io: &mut impl Io, more_events: bool) -> Next {
        let Self { context, sight, incoming, outgoing, steps, packets, mail, wishes, .. } = self;
        let has_surplus = || context.shared.ports().iter().any(|port| !port.surplus.is_empty());
        let is_starved = incoming.is_readable() && packets.is_starved();
        let busy = more_events
            || packets.is_busy(context.now)
            || !steps.is_empty()
            || outgoing.is_busy()
            || incoming.is_busy()
            || packets.has_ended()
            || (incoming.is_readable() && !is_starved)
            || has_surplus();
        self.rounds_to_gauges = self.rounds_to_gauges.saturating_sub(1);
        if busy {
            if self.rounds_to_gauges == 0 {
                self.update_gauges(io);
            }
            return Next::Busy;
        }
        let boundary = sight.next_change(context.now, io.unix_now());
        let starved_until = if is_starved { context.now + STARVED_SLEEP } else { Instant::NEVER };
        let links = incoming.next_deadline().min(outgoing.next_deadline());
        let mail = mail.as_ref().map_or(Instant::NEVER, Mail::next_deadline);
        let until =
            packets.next_expiry().min(links).min(mail).min(self.reauthenticate_at).min(boundary).min(starved_until);
        context.port().parking.park(until);
        // Whoever brought something before the flag was up did not wake this shard.
        if context.port().has_work()
            || sight.has_news(&context.shared)
            || wishes.has_news(&context.shared)
            || has_surplus()
            || !packets.fall_asleep()
            || !incoming.fall_asleep()
        {
            context.port().parking.awake();
            return Next::Busy;
        }
        self.update_gauges(io);
        self.is_parked = true;
        self.context.account.forget_unshared();
        self.context.account.set(Counter::PARKED, 1);
        Next::ParkUntil(until)
    }

    fn update_gauges(&mut self, io: &impl Io) {
        self.rounds_to_gauges = GAUGE_ROUNDS;
        let context = &self.context;
        context.account.set(Counter::HELD, self.held());
        self.packets.update_gauges(context);
        self.incoming.update_gauges(context);
        self.outgoing.update_gauges(context, io);
        self.lane.enter(&context.account, io);
        self.arrivals.enter(&context.account, io);
        if let Some(mail) = &mut self.mail {
            mail.update_gauges(&context.account);
        }
        context.account.set(Counter::PARKED, 0);
    }
}

/// Takes what is due out of the wheel and sends it; true if more has happened than was handled.
fn let_due_leave<I: Io>(
    round: &mut Round<'_, I>,
    incoming: &mut IncomingLinks,
    outgoing: &mut OutgoingLinks,
    events_max: usize,
) -> bool {
    let start = round.io.now();
    round.packets.advance(round.context, EXPIRIES_MAX);
    let mut packets = 0;
    for _ in 0..EXPIRIES_MAX {
        match round.packets.pop_due(round.context) {
            Some(Ok(slot)) => outgoing.dispatch(round, slot),
            Some(Err(())) => {}
            None => break,
        }
        packets += 1;
    }
    round.context.account.spent(PacketStage::Delay, round.io.now().since(start), packets);
    outgoing.flush(round);
    let flushed = round.io.now();
    // Most of what was handed over has been sent by now; its buffers need no round of their own.
    let more_events = handle_events(round, incoming, outgoing, events_max);
    round.context.account.spent(PacketStage::Send, round.io.now().since(flushed), packets);
    more_events
}

/// Handles what happened to connections, so many events at most; true if there may be more.
fn handle_events<I: Io>(
    round: &mut Round<'_, I>,
    incoming: &mut IncomingLinks,
    outgoing: &mut OutgoingLinks,
    events_max: usize,
) -> bool {
    for _ in 0..events_max {
        let Some(event) = round.io.next_event() else { return false };
        match event {
            Event::Accepted { conn, peer } => incoming.accept(round, conn, peer),
            Event::Adopted { conn, peer } => incoming.adopt(round, conn, peer),
            Event::Connected { conn } => {
                if let Some(id) = outgoing.find(conn) {
                    outgoing.handle_connected(round, id);
                }
            }
            Event::ConnectFailed { conn, failure } => {
                if let Some(id) = outgoing.find(conn) {
                    outgoing.handle_connect_failed(round, id, failure);
                }
            }
            Event::Readable { conn } => match outgoing.find(conn) {
                Some(id) => outgoing.handle_readable(round, id),
                None => incoming.handle_ready(round, conn),
            },
            Event::Sent { conn, buffer, taken } => match outgoing.find(conn) {
                Some(id) => outgoing.handle_sent(round, id, buffer, taken),
                None => incoming.handle_sent(round, conn, buffer, taken),
            },
            Event::AcceptFailed { failure, code } => {
                round.context.account.accept_failed(failure, code, round.context.now);
            }
        }
    }
    true
}
