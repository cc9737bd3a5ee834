//! What the shards of a data plane share, and the attach thread's handle on them.
//!
//! | module | what lives there |
//! |---|---|
//! | [`errand`] | what the shards of a client and of its mailbox ask of each other |
//! | [`facts`] | what is fixed for the life of the data plane |
//! | [`live`] | what is not fixed after all |
//! | [`directory`] | documents as this node sees them, and the owner of each outgoing destination |
//! | [`admission`] | how many connections and unfinished handshakes there may be |
//! | [`keys`] | loaded mix keys with their replay sets, and the link key |
//! | [`port`] | where a shard is reached by the others: queues, orders |
//! | `parking` | how a shard goes to sleep without missing anything |
//! | [`sessions`] | who is connected: of two connections of one peer the newer one stays |
//!
//! The attach thread makes one [`Shared`], gives an `Arc` of it to each [`Shard`](crate::shard::Shard) and publishes
//! with [`Shared::publish_directory`] and [`Shared::publish_keys`]; then it wakes the shards ([`Shared::unpark`]) and
//! waits until [`Shared::applied`] says that all of them go by what it published. No shard waits for anything here:
//! locks are taken at handshakes and publications only, never for a packet.

pub mod admission;
pub mod directory;
pub mod errand;
pub mod facts;
pub mod keys;
pub mod live;
mod parking;
pub mod port;
pub mod sessions;

pub use admission::Admission;
pub use directory::{Destination, DestinationId, Directory};
pub use errand::Errand;
pub use facts::{Facts, FactsError};
pub use keys::{EpochKey, KeyRing};
pub use live::Live;
pub use port::{Order, Port};
pub use sessions::Sessions;

use interplane::roll::Roll;
use interplane::setup::Adjustable;
use interplane::snapshot::Snapshot;
use sphinx::RECIPIENT_ID_BYTES;
use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Everything that shards share.
pub struct Shared {
    facts: Facts,
    directory: Published<Directory>,
    keys: Published<KeyRing>,
    refused: HashSet<[u8; 32]>,
    ports: Vec<Port>,
    sessions: Sessions,
    admission: Arc<Admission>,
    closing: AtomicBool,
    /// How often shards were asked for their links.
    roll_calls: AtomicU64,
    /// The recipient of this node's own loops, if it makes any.
    own_decoys: Option<[u8; RECIPIENT_ID_BYTES]>,
}

/// What all shards have taken over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Applied {
    /// The serial of the oldest snapshot that a shard goes by.
    pub serial: u64,
    /// The number of the oldest key ring that a shard uses, as [`Shared::publish_keys`] gave it.
    pub keys: u64,
    /// The number of the oldest change by which a shard and its clients go, as [`Shared::adjust`] gave it.
    pub adjustment: u64,
}

impl Shared {
    /// For a data plane with these facts. `refused` are the tags of poison packets.
    pub fn new(facts: Facts, refused: impl IntoIterator<Item = [u8; 32]>) -> Self {
        let ports = (0..facts.shards).map(|_| Port::new(&facts)).collect();
        Self {
            directory: Published::new(Directory::empty(facts.role)),
            keys: Published::new(KeyRing::default()),
            refused: refused.into_iter().collect(),
            ports,
            sessions: Sessions::default(),
            admission: Arc::new(Admission::new(facts.limits)),
            closing: AtomicBool::new(false),
            roll_calls: AtomicU64::default(),
            own_decoys: None,
            facts,
        }
    }

    /// The same for a node that makes loops, whose replies are for this recipient.
    pub fn with_decoys(self, recipient: [u8; RECIPIENT_ID_BYTES]) -> Self {
        Self { own_decoys: Some(recipient), ..self }
    }

    /// The recipient of this node's own loops, if it makes any.
    pub(crate) fn own_decoys(&self) -> Option<&[u8; RECIPIENT_ID_BYTES]> {
        self.own_decoys.as_ref()
    }

    /// What is fixed.
    pub fn facts(&self) -> &Facts {
        &self.facts
    }

    /// Lets all shards go by a snapshot from their next round on. Owners of destinations stay owners.
    pub fn publish_directory(&self, snapshot: Snapshot) {
        let next = Directory::after(&self.directory.get(), snapshot, self.facts.shards);
        self.admission.know(next.incoming_addresses());
        self.directory.publish(next);
    }

    /// Lets all shards use these keys from their next round on. Gives the number to look for in [`Applied::keys`].
    pub fn publish_keys(&self, keys: KeyRing) -> u64 {
        self.keys.publish(keys)
    }

    /// Lets all shards go by other values from now on. Gives the number to look for in [`Applied::adjustment`].
    pub fn adjust(&self, to: &Adjustable) -> u64 {
        self.facts.live.adjust(to, self.facts.shards)
    }

    /// Asks all shards for their links to and from nodes; gives the number for [`Shared::take_roll`].
    pub fn call_roll(&self) -> u64 {
        self.roll_calls.fetch_add(1, Ordering::Release) + 1
    }

    /// What all shards have said, once all of them have; then it is gone.
    pub fn take_roll(&self, number: u64) -> Option<Roll> {
        if !self.ports.iter().all(|port| port.has_roll(number)) {
            return None;
        }
        Some(Roll(self.ports.iter().filter_map(|port| port.take_roll(number)).flatten().collect()))
    }

    pub(crate) fn roll_called(&self) -> u64 {
        self.roll_calls.load(Ordering::Acquire)
    }

    /// What all shards have taken over.
    pub fn applied(&self) -> Applied {
        let least = |of: fn(&Port) -> &AtomicU64| {
            self.ports.iter().map(|port| of(port).load(Ordering::Acquire)).min().unwrap_or(0)
        };
        Applied {
            serial: least(|port| &port.applied_serial),
            keys: least(|port| &port.applied_keys),
            adjustment: least(|port| &port.applied_adjustment),
        }
    }

    /// Tells every shard to take no more connections: the node is about to stop.
    pub fn close_doors(&self) {
        self.closing.store(true, Ordering::Release);
    }

    /// If the shard is parked, marks it awake; the caller must then wake its driver. For the attach thread and for
    /// other shards.
    #[must_use]
    pub fn unpark(&self, shard: usize) -> bool {
        self.ports.get(shard).is_some_and(|port| port.parking.unpark())
    }

    /// Until when the shard sleeps, if it says that it does.
    pub fn parked_until(&self, shard: usize) -> Option<crate::time::Instant> {
        self.ports.get(shard).and_then(|port| port.parking.parked_until())
    }

    pub(crate) fn is_closing(&self) -> bool {
        self.closing.load(Ordering::Relaxed)
    }

    pub(crate) fn directory(&self) -> &Published<Directory> {
        &self.directory
    }

    pub(crate) fn keys(&self) -> &Published<KeyRing> {
        &self.keys
    }

    pub(crate) fn refused(&self) -> &HashSet<[u8; 32]> {
        &self.refused
    }

    pub(crate) fn sessions(&self) -> &Sessions {
        &self.sessions
    }

    pub(crate) fn admission(&self) -> &Arc<Admission> {
        &self.admission
    }

    pub(crate) fn ports(&self) -> &[Port] {
        &self.ports
    }

    /// The shard that gets the next connection: the one with the fewest. It counts from now on.
    pub(crate) fn deal(&self) -> usize {
        let load = |shard: &usize| self.ports[*shard].connections.load(Ordering::Relaxed);
        let shard = (0..self.ports.len()).min_by_key(load).unwrap_or(0);
        self.deal_to(shard);
        shard
    }

    /// The next connection goes to this shard, whatever the others have.
    pub(crate) fn deal_to(&self, shard: usize) {
        self.ports[shard].connections.fetch_add(1, Ordering::Relaxed);
    }
}

/// A value that is replaced as a whole, and a number by which readers see cheaply that it was.
pub(crate) struct Published<T> {
    number: AtomicU64,
    value: Mutex<Arc<T>>,
}

impl<T> Published<T> {
    fn new(value: T) -> Self {
        Self { number: AtomicU64::new(0), value: Mutex::new(Arc::new(value)) }
    }

    fn get(&self) -> Arc<T> {
        Arc::clone(&lock(&self.value))
    }

    fn publish(&self, value: T) -> u64 {
        let mut held = lock(&self.value);
        *held = Arc::new(value);
        self.number.fetch_add(1, Ordering::Release) + 1
    }

    /// Whether the value is not the one with the number `seen`.
    pub(crate) fn is_newer(&self, seen: u64) -> bool {
        self.number.load(Ordering::Relaxed) != seen
    }

    /// The value, if it is newer than the one with the number `seen`, which is then brought up to date.
    pub(crate) fn newer(&self, seen: &mut u64) -> Option<Arc<T>> {
        if !self.is_newer(*seen) {
            return None;
        }
        let held = lock(&self.value);
        *seen = self.number.load(Ordering::Acquire);
        Some(Arc::clone(&held))
    }
}

/// Locks; what a panicking thread left behind is still a whole value here.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
