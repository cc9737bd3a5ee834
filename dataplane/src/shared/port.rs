//! Where a shard is reached by the others.

use super::parking::Parking;
use super::{Errand, Facts, lock};
use crate::io::ConnId;
use crate::packet::batch::Batch;
use crate::packet::pool::{KeyHint, Slot};
use crossbeam::queue::{ArrayQueue, SegQueue};
use crossbeam::utils::CachePadded;
use interplane::counter::AdmissionRefusal;
use interplane::roll::LinkReport;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, AtomicUsize, Ordering};

/// Full batches that wait for an idle shard.
pub const SURPLUS_BATCHES: usize = 2;
/// Packets on their way into another shard's wheel. When it is full, they wait in their sender's wheel instead.
const INBOX_PACKETS: usize = 1024;
/// Links whose key hints are kept apart; beyond, links share them, which only costs a wrong guess now and then.
const HINTS: usize = 1024;

/// What a shard is told to do by another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// The peer of this incoming link has a newer connection.
    Replace(ConnId),
    /// Another connection has got this one's place among the unfinished handshakes, because of this limit.
    Evict(ConnId, AdmissionRefusal),
}

/// One shard's side that faces the others.
pub struct Port {
    /// Packets for links that this shard owns, to be put into its wheel.
    pub(crate) inbox: ArrayQueue<Box<Slot>>,
    /// Slots of this shard's pool that others are done with.
    pub(crate) home: ArrayQueue<Box<Slot>>,
    /// Full batches that this shard has not come to yet.
    pub(crate) surplus: ArrayQueue<Batch>,
    /// What is asked of this shard about clients and their mail.
    pub(crate) errands: SegQueue<Errand>,
    /// Incoming connections, handshakes included.
    pub(crate) connections: CachePadded<AtomicUsize>,
    pub(crate) applied_serial: CachePadded<AtomicU64>,
    pub(crate) applied_keys: AtomicU64,
    pub(crate) applied_adjustment: AtomicU64,
    /// What the shard has said of its links when it was asked last, and the number of that question.
    roll: Mutex<(u64, Vec<LinkReport>)>,
    /// Few slots of this shard's pool are left: whoever delays a packet in one of them makes room for it first.
    is_short: CachePadded<AtomicBool>,
    /// Whether the shard sleeps, and who wakes it.
    pub(crate) parking: Parking,
    hints: Box<[AtomicU8]>,
    has_orders: CachePadded<AtomicBool>,
    orders: Mutex<Vec<Order>>,
}

impl Port {
    pub(super) fn new(facts: &Facts) -> Self {
        Self {
            inbox: ArrayQueue::new(INBOX_PACKETS),
            home: ArrayQueue::new(facts.slots),
            surplus: ArrayQueue::new(SURPLUS_BATCHES),
            errands: SegQueue::new(),
            connections: CachePadded::default(),
            applied_serial: CachePadded::default(),
            applied_keys: AtomicU64::default(),
            applied_adjustment: AtomicU64::default(),
            roll: Mutex::default(),
            is_short: CachePadded::default(),
            parking: Parking::new(),
            hints: (0..HINTS).map(|_| AtomicU8::default()).collect(),
            has_orders: CachePadded::default(),
            orders: Mutex::default(),
        }
    }

    pub(crate) fn say_short(&self, is_short: bool) {
        // Written when it changes only: every shard reads it for every packet that it delays.
        if self.is_short.load(Ordering::Relaxed) != is_short {
            self.is_short.store(is_short, Ordering::Relaxed);
        }
    }

    pub(crate) fn is_short(&self) -> bool {
        self.is_short.load(Ordering::Relaxed)
    }

    pub(crate) fn order(&self, order: Order) {
        lock(&self.orders).push(order);
        self.has_orders.store(true, Ordering::Release);
    }

    pub(crate) fn take_orders(&self) -> Vec<Order> {
        if !self.has_orders.load(Ordering::Relaxed) {
            return Vec::new();
        }
        let mut orders = lock(&self.orders);
        self.has_orders.store(false, Ordering::Relaxed);
        std::mem::take(&mut *orders)
    }

    /// Tells of the shard's links.
    pub(crate) fn answer_roll(&self, number: u64, reports: Vec<LinkReport>) {
        *lock(&self.roll) = (number, reports);
    }

    /// What was told, if it answers that question.
    pub(crate) fn take_roll(&self, number: u64) -> Option<Vec<LinkReport>> {
        let mut roll = lock(&self.roll);
        (roll.0 == number).then(|| std::mem::take(&mut roll.1))
    }

    /// Whether the question is answered.
    pub(crate) fn has_roll(&self, number: u64) -> bool {
        lock(&self.roll).0 == number
    }

    /// Whether there is something to do for the shard that did not come in through its connections.
    pub(crate) fn has_work(&self) -> bool {
        self.has_orders.load(Ordering::Relaxed) || !self.inbox.is_empty() || !self.errands.is_empty()
    }

    /// The key that a link's packets matched last.
    pub(crate) fn hint(&self, link: u32) -> KeyHint {
        KeyHint::from_index(self.hints[link as usize % HINTS].load(Ordering::Relaxed))
    }

    /// Remembers it. May be called by whichever shard unwrapped the packet.
    pub(crate) fn set_hint(&self, link: u32, hint: KeyHint) {
        self.hints[link as usize % HINTS].store(hint.index() as u8, Ordering::Relaxed);
    }
}
