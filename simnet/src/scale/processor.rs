//! A shard on a processor of its own, whose clock goes on while the shard works.
//!
//! A round begins when the shard's clock shows what the network's does. What the round does is charged where it shows:
//! bytes where they are received and sent, unwraps where replay sets grow. The shard's own looks at the clock see it. At
//! its end the clock is ahead of the network's by all that was spent, and the next round begins when the network has
//! caught up: the shard that is furthest behind is always the next. What a round brings to others they see from its
//! beginning on, which is at most one batch too early.

use super::card::{Card, POLL};
use super::costs::{Costs, Work};
use dataplane::io::sim::SimIo;
use dataplane::io::{ConnId, Event, Io, Received, Sending, Target};
use dataplane::{Instant, Next, Shard};
use interplane::counter::Counters;
use interplane::{Counter, DropReason, ReplaySet};
use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

/// A round that finds nothing to do.
const ROUND: Duration = Duration::from_micros(1);

/// The node's counters.
#[derive(Clone)]
pub struct Books(pub Counters);

impl Books {
    /// Packets that have left.
    pub fn sent(&self) -> usize {
        self.0.total(Counter::SENT) as usize
    }

    /// What it has dropped, by reason.
    pub fn drops(&self) -> Vec<String> {
        let count = |reason: &DropReason| (reason.label(), self.0.total(Counter::dropped(*reason)));
        let drops = DropReason::ALL.iter().map(count).filter(|(_, count)| *count > 0);
        drops.map(|(reason, count)| format!("{count} {reason}")).collect()
    }
}

/// What all shards of the node are charged by.
pub struct Ledger {
    /// What stages cost.
    pub costs: Costs,
    /// Packets of a full batch.
    pub batch: u64,
    /// Bytes of the frame that carries a packet.
    pub frame_bytes: usize,
    /// Of the key that all packets are for.
    pub replays: Arc<ReplaySet>,
    /// The node's books.
    pub counters: Counters,
    tags: u64,
    /// Packets that each shard has unwrapped.
    unwrapped: Vec<u64>,
}

impl Ledger {
    /// Nothing charged yet.
    pub fn new(
        costs: Costs,
        batch: u64,
        frame_bytes: usize,
        replays: Arc<ReplaySet>,
        counters: Counters,
        shards: usize,
    ) -> Self {
        Self { costs, batch, frame_bytes, replays, counters, tags: 0, unwrapped: vec![0; shards] }
    }

    /// What a shard has unwrapped since the last look at anybody's: only one shard is in a round.
    fn unwrapped(&mut self, shard: usize) -> Duration {
        let tags = self.replays.fill().tags;
        let new = tags - std::mem::replace(&mut self.tags, tags);
        self.unwrapped[shard] += new;
        self.costs.unwrapping(new)
    }

    /// The share of the packets that a shard sends which it has not unwrapped itself: packets go to all links alike.
    fn foreign(&self, shard: usize) -> f64 {
        let all: u64 = self.unwrapped.iter().sum();
        if all == 0 { 0.0 } else { 1.0 - self.unwrapped[shard] as f64 / all as f64 }
    }
}

/// The shard and its processor.
pub struct Processor {
    /// The shard.
    pub shard: Shard,
    /// What it has done.
    pub work: Work,
    /// The card whose rings it empties, if there is one.
    pub card: Option<Rc<RefCell<Card>>>,
    index: usize,
    ledger: Rc<RefCell<Ledger>>,
    free_at: Instant,
    pulled_batches: u64,
}

impl Processor {
    /// Idle.
    pub fn new(index: usize, shard: Shard, ledger: &Rc<RefCell<Ledger>>) -> Self {
        let ledger = Rc::clone(ledger);
        Self { shard, work: Work::default(), card: None, index, ledger, free_at: Instant::default(), pulled_batches: 0 }
    }

    /// A round, if the processor is free.
    pub fn poll(&mut self, io: &mut SimIo) -> Next {
        let start = io.now();
        if start < self.free_at {
            return Next::ParkUntil(self.free_at);
        }
        if let Some(card) = &self.card {
            card.borrow_mut().empty(self.index, start);
        }
        let mut io = Charged { io, index: self.index, spent: Cell::default(), ledger: &self.ledger };
        let next = self.shard.poll(&mut io);
        let spent = io.spent.get() + self.pulled();
        self.work = self.work + spent;
        self.free_at = start + spent.total() + ROUND;
        match next {
            Next::Busy => Next::ParkUntil(self.free_at),
            Next::ParkUntil(at) if self.card.is_some() => Next::ParkUntil(at.min(start + POLL).max(self.free_at)),
            Next::ParkUntil(at) => Next::ParkUntil(at.max(self.free_at)),
        }
    }

    /// What it cost to get the packets of other shards' batches.
    fn pulled(&mut self) -> Work {
        let ledger = self.ledger.borrow();
        let batches = ledger.counters.get(self.index, Counter::PULLED_BATCHES);
        let packets = (batches - std::mem::replace(&mut self.pulled_batches, batches)) * ledger.batch;
        Work { handing_over: ledger.costs.handing_over(packets as f64), ..Work::default() }
    }
}

/// Input and output on the processor's clock.
struct Charged<'a> {
    io: &'a mut SimIo,
    index: usize,
    spent: Cell<Work>,
    ledger: &'a RefCell<Ledger>,
}

impl Charged<'_> {
    fn spend(&self, work: Work) {
        self.spent.set(self.spent.get() + work);
    }

    fn frames(&self, bytes: usize) -> f64 {
        bytes as f64 / self.ledger.borrow().frame_bytes as f64
    }
}

impl Io for Charged<'_> {
    fn now(&self) -> Instant {
        let unwrapping = self.ledger.borrow_mut().unwrapped(self.index);
        self.spend(Work { unwrapping, ..Work::default() });
        self.io.now() + self.spent.get().total()
    }

    fn unix_now(&self) -> Duration {
        self.io.unix_now()
    }

    fn next_event(&mut self) -> Option<Event> {
        self.io.next_event()
    }

    fn recv(&mut self, conn: ConnId, bytes_max: usize) -> Received<'_> {
        let spent = self.spent.get();
        let ledger = self.ledger.borrow();
        match self.io.recv(conn, bytes_max) {
            Received::Bytes { bytes, at } => {
                let reading = ledger.costs.reading(bytes.len() as f64 / ledger.frame_bytes as f64);
                self.spent.set(spent + Work { reading, ..Work::default() });
                Received::Bytes { bytes, at: at + spent.total() }
            }
            nothing => nothing,
        }
    }

    fn send(&mut self, conn: ConnId, buffer: Vec<u8>) {
        let frames = self.frames(buffer.len());
        let ledger = self.ledger.borrow();
        let handing_over = ledger.costs.handing_over(frames * ledger.foreign(self.index));
        self.spend(Work { sending: ledger.costs.sending(frames), handing_over, ..Work::default() });
        self.io.send(conn, buffer);
    }

    fn sending(&self, conn: ConnId) -> Option<Sending> {
        self.io.sending(conn)
    }

    fn connect(&mut self, to: Target) -> ConnId {
        self.io.connect(to)
    }

    fn hand_over(&mut self, conn: ConnId, to_shard: usize) -> bool {
        self.io.hand_over(conn, to_shard)
    }

    fn close(&mut self, conn: ConnId) -> usize {
        self.io.close(conn)
    }

    fn wake(&mut self, shard: usize) {
        self.io.wake(shard);
    }
}
