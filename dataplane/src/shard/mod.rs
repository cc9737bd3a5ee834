//! One shard: everything that one core does, a bounded round at a time.
//!
//! | module | what it does in a round |
//! |---|---|
//! | `almanac` | what the documents and keys mean at this moment |
//! | `connections` | accepts, handshakes, one KEM step |
//! | `receive` | reads links and opens frames |
//! | `work` | unwraps one batch, routes its packets, hands them to their wheels |
//! | `send` | takes due packets out of the wheel, seals and sends them |
//! | `housekeeping` | deadlines, authentication, changes of documents |
//!
//! The order matters: packets that are due leave after at most one batch, and nothing is done twice in a round, so that
//! a round is bounded by one large read per link, one batch, one handshake step and one send per link.

mod almanac;
mod connections;
mod housekeeping;
mod receive;
mod send;
mod table;
#[cfg(test)]
mod tests;
mod work;

use crate::account::Account;
use crate::delay::Wheel;
use crate::io::{ConnId, Io};
use crate::link::outgoing::{Judge, Peer, Surroundings, Waiter};
use crate::packet::pool::{DestinationId, Slot};
use crate::packet::slots::Slots;
use crate::packet::unwrap::UnwrapStage;
use crate::random::ShardRandom;
use crate::shared::{Directory, KeyRing, Shared};
use crate::time::Instant;
use almanac::Almanac;
use interplane::counter::{LinkEnd, PeerClass, Queue};
use interplane::poison::ShardInFlight;
use interplane::ring::EventWriter;
use interplane::{Counter, DropReason, ShardCounters};
use sphinx::SetupError;
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;
use table::Table;

/// Full batches of opened packets that may wait, the surplus queue included; then reading stops.
const OPENED_BATCHES_MAX: usize = 3;
/// Packets that leave the wheel in one round: what one link takes at once, in its buffers and its queue.
const EXPIRIES_MAX: usize = 128;
/// Packets from other shards that enter the wheel in one round.
const INBOX_MAX: usize = 256;
/// Events handled in one round.
const EVENTS_MAX: usize = 256;
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
}

/// One shard.
pub struct Shard {
    index: usize,
    shared: Arc<Shared>,
    now: Instant,
    // What holds at this moment.
    directory: Arc<Directory>,
    directory_seen: u64,
    keys: Arc<KeyRing>,
    keys_seen: u64,
    almanac: Almanac,
    // Connections.
    table: Table,
    peers: Vec<Option<Box<Peer>>>,
    readable: VecDeque<ConnId>,
    waiting_for_step: VecDeque<Waiter>,
    to_flush: VecDeque<DestinationId>,
    // Packets.
    slots: Slots,
    opened: VecDeque<Box<Slot>>,
    stage: UnwrapStage,
    /// Batches that this shard left in its surplus queue in the last round.
    surplus_seen: usize,
    in_flight: ShardInFlight,
    wheel: Wheel,
    // Everything else.
    account: Account,
    random: ShardRandom,
    housekeeping_at: Instant,
    reauthenticate_at: Instant,
    rounds_to_gauges: u32,
    /// It has parked and was not polled since.
    is_parked: bool,
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
        let Instruments { counters, events, in_flight } = instruments;
        let facts = shared.facts();
        let (mut directory_seen, mut keys_seen) = (u64::MAX, u64::MAX);
        let directory = shared.directory().newer(&mut directory_seen);
        let keys = shared.keys().newer(&mut keys_seen);
        let role = facts.role;
        Ok(Self {
            index,
            now,
            directory: directory.unwrap_or_else(|| Arc::new(Directory::empty(role))),
            // What is there already is taken over in the first round, like everything that comes later.
            directory_seen: u64::MAX,
            keys: keys.unwrap_or_default(),
            keys_seen: u64::MAX,
            almanac: Almanac::new(facts),
            table: Table::default(),
            peers: Vec::new(),
            readable: VecDeque::with_capacity(1024),
            waiting_for_step: VecDeque::new(),
            to_flush: VecDeque::with_capacity(256),
            opened: VecDeque::with_capacity(OPENED_BATCHES_MAX * facts.batch_max),
            stage: UnwrapStage::new(facts)?,
            surplus_seen: 0,
            in_flight,
            wheel: Wheel::new(now, facts.slots),
            account: Account::new(counters, events),
            random: ShardRandom::new(seed),
            housekeeping_at: now,
            reauthenticate_at: now + facts.reauth_interval,
            rounds_to_gauges: 0,
            is_parked: false,
            slots: Slots::new(index, Arc::clone(&shared)),
            shared,
        })
    }

    /// One round.
    pub fn poll(&mut self, io: &mut impl Io) -> Next {
        if !self.port().parking.awake() && std::mem::take(&mut self.is_parked) {
            self.account.count(Counter::WAKES);
        }
        self.is_parked = false;
        self.now = io.now();
        self.account.count(Counter::HEARTBEAT);
        self.take_over(io);
        self.slots.collect();
        self.take_inbox();
        self.obey_orders(io);
        let more_events = self.handle_events(io);
        if self.now >= self.housekeeping_at {
            self.keep_house(io);
        }
        self.take_step(io);
        self.read_links(io);
        self.work(io);
        self.expire(io);
        self.flush_links(io);
        // Most of what was handed over has been sent by now; its buffers need no round of their own.
        let more_events = self.handle_events(io) || more_events;
        self.rest(more_events)
    }

    /// Packets that this shard holds, wherever they are: what the account calls held. Between two rounds only.
    pub fn held(&self) -> u64 {
        let port = self.port();
        let places = [self.opened.len(), self.surplus_packets(), port.inbox.len(), self.wheel.len()];
        places.iter().map(|packets| *packets as u64).sum::<u64>() + self.peers().map(Peer::held).sum::<u64>()
    }

    /// Slots of this shard's pool that are free or on their way home.
    pub fn free_slots(&self) -> usize {
        self.slots.free() + self.port().home.len()
    }

    /// Packets that this shard has sealed and not wholly sent: they need no slot any more.
    pub fn sealed(&self) -> u64 {
        self.peers().map(Peer::sealed).sum()
    }

    /// Whether the link to a node is up and owned by this shard.
    pub fn is_linked_to(&self, node: &pki::NodeId) -> bool {
        self.peers().any(|peer| peer.node == *node && peer.is_up())
    }

    /// Ends all connections and drops all packets. Call it for every shard when none is polled any more.
    pub fn shut_down(&mut self, io: &mut impl Io) {
        self.now = io.now();
        for place in 0..self.table.places() {
            if let Some(conn) = self.table.incoming_at(place) {
                self.close_incoming(io, conn, LinkEnd::Shutdown);
            }
        }
        for place in 0..self.peers.len() {
            if let Some(peer) = self.peers[place].take() {
                peer.shut_down(&mut self.surroundings(io).1);
            }
        }
        self.slots.collect();
        while let Some(slot) = self.pop_any() {
            self.drop_packet(slot, DropReason::Shutdown);
        }
        self.update_gauges();
    }

    /// Any packet that is in no peer's queue.
    fn pop_any(&mut self) -> Option<Box<Slot>> {
        if let Some(mut batch) = self.port().surplus.pop() {
            self.opened.extend((0..batch.len()).filter_map(|at| batch.take(at)));
        }
        self.opened.pop_front().or_else(|| self.port().inbox.pop()).or_else(|| self.wheel.pop_any())
    }

    /// Decides whether there is more to do, else parks.
    fn rest(&mut self, more_events: bool) -> Next {
        let has_surplus = || self.shared.ports().iter().any(|port| !port.surplus.is_empty());
        let is_starved = !self.readable.is_empty() && self.slots.free() == 0;
        let expiry = self.wheel.next_expiry();
        let busy = more_events
            || !self.opened.is_empty()
            || !self.waiting_for_step.is_empty()
            || !self.to_flush.is_empty()
            || (!self.readable.is_empty() && !is_starved)
            || expiry <= self.now
            || has_surplus();
        self.rounds_to_gauges = self.rounds_to_gauges.saturating_sub(1);
        if busy {
            if self.rounds_to_gauges == 0 {
                self.update_gauges();
            }
            return Next::Busy;
        }
        let starved_until = if is_starved { self.now + STARVED_SLEEP } else { Instant::NEVER };
        let until = expiry.min(self.housekeeping_at).min(starved_until);
        self.port().parking.park(until);
        // Whoever brought something before the flag was up did not wake this shard.
        if self.port().has_work() || self.has_news() || has_surplus() {
            self.port().parking.awake();
            return Next::Busy;
        }
        self.update_gauges();
        self.is_parked = true;
        self.account.set(Counter::PARKED, 1);
        Next::ParkUntil(until)
    }

    fn has_news(&self) -> bool {
        self.shared.directory().is_newer(self.directory_seen) || self.shared.keys().is_newer(self.keys_seen)
    }

    fn port(&self) -> &crate::shared::Port {
        &self.shared.ports()[self.index]
    }

    fn peers(&self) -> impl Iterator<Item = &Peer> {
        self.peers.iter().filter_map(Option::as_deref)
    }

    fn surplus_packets(&self) -> usize {
        // Only full batches are offered.
        self.port().surplus.len() * self.shared.facts().batch_max
    }

    fn drop_packet(&mut self, slot: Box<Slot>, reason: DropReason) {
        self.account.dropped(reason, self.now);
        self.slots.give(slot);
    }

    /// What peers' methods work with, and what decides about them.
    fn surroundings<'a, I>(&'a mut self, io: &'a mut I) -> (Judge<'a>, Surroundings<'a, I>) {
        let judge = Judge { view: self.directory.view(), epoch: &self.almanac.epoch };
        let with = Surroundings {
            io,
            now: self.now,
            slots: &mut self.slots,
            account: &mut self.account,
            facts: self.shared.facts(),
            random: &mut self.random,
        };
        (judge, with)
    }

    /// Lets `act` work with one peer, if there is such a peer.
    fn with_peer<I: Io, T>(
        &mut self,
        id: DestinationId,
        io: &mut I,
        act: impl FnOnce(&mut Peer, Judge<'_>, &mut Surroundings<'_, I>) -> T,
    ) -> Option<T> {
        let mut peer = self.peers.get_mut(id.0 as usize)?.take()?;
        let before = peer.conn();
        let (judge, mut with) = self.surroundings(io);
        let result = act(&mut peer, judge, &mut with);
        let after = peer.conn();
        if before != after {
            before.into_iter().for_each(|conn| self.table.remove(conn));
            after.into_iter().for_each(|conn| self.table.insert_outgoing(conn, id));
        }
        self.housekeeping_at = self.housekeeping_at.min(peer.next_timeout(self.shared.facts()));
        self.peers[id.0 as usize] = Some(peer);
        Some(result)
    }

    fn update_gauges(&mut self) {
        self.rounds_to_gauges = GAUGE_ROUNDS;
        let queued: usize = self.peers().map(Peer::queued).sum();
        let account = &self.account;
        account.set(Counter::HELD, self.held());
        account.set(Counter::POOL_FREE, self.free_slots() as u64);
        account.set(Counter::queued(Queue::Opened), self.opened.len() as u64);
        account.set(Counter::queued(Queue::Surplus), self.surplus_packets() as u64);
        account.set(Counter::queued(Queue::Inbox), self.port().inbox.len() as u64);
        account.set(Counter::queued(Queue::Wheel), self.wheel.len() as u64);
        account.set(Counter::queued(Queue::Outgoing), queued as u64);
        let (handshaking, up) = self.table.count_incoming();
        account.set(Counter::connections(PeerClass::Handshaking), handshaking);
        account.set(Counter::connections(PeerClass::Incoming), up);
        let outgoing = self.peers().filter(|peer| peer.is_up()).count();
        account.set(Counter::connections(PeerClass::Outgoing), outgoing as u64);
        account.set(Counter::PARKED, 0);
    }
}
