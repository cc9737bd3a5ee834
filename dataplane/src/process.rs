//! The data-plane process: the attach thread, which talks to the control plane and to nobody else, and the shards'
//! threads, which it starts.
//!
//! The attach thread is an ordinary, unpinned thread. It decodes what the control plane publishes, hands it to the
//! shards, hands everything back to the next control plane, and watches the shards (see `guard`). `attach` has its end of
//! the control channel.

mod announce;
mod attach;
mod fills;
mod guard;
mod held;
pub mod lanes;
mod listeners;
mod signals;

pub use signals::Signals;

use crate::io::choice::{self, Choice};
use crate::io::driver::{Clock, Plan, Task};
use crate::io::half::Lanes;
use crate::io::{Driver, DriverError, Io};
use crate::shard::{Instruments, Next, Shard};
use crate::shared::{EpochKey, Facts, FactsError, KeyRing, Shared};
use announce::{Announcements, KeysToAnnounce, Numbered, RollToAnnounce};
use attach::Process;
use crypto_simd::cpu::{Level, level};
use crypto_simd::random::{OsRandom, Random};
use crypto_simd::symmetric::blake2::blake2b_256_keyed;
use fills::Fills;
use guard::Guard;
use held::Held;
use interplane::DropReason;
use interplane::channel::{ChannelError, ChannelListener, Trusted};
use interplane::counter::{Counter, Counters};
use interplane::event::{Detail, Event};
use interplane::memory::MemoryError;
use interplane::message::Descriptor;
use interplane::poison::InFlight;
use interplane::replay::ReplaySet;
use interplane::requests::{Bell, PluginRings};
use interplane::ring::EventRings;
use interplane::secret::Secrets;
use interplane::setup::{Adjustable, Setup};
use interplane::snapshot::Snapshot;
use pki::Epoch;
use quic::Common;
use secret_memory::within;
use sphinx::MixKey;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant, SystemTime};

/// How long packets that are still held may take to leave after the order to stop.
const DRAIN_LIMIT: Duration = Duration::from_secs(2);

/// How long shards may take to their first round.
const READY_LIMIT: Duration = Duration::from_secs(5);

/// Pause between two looks at a data plane that drains.
const DRAIN_PAUSE: Duration = Duration::from_millis(5);

/// Keeps what resets of QUIC follow from apart from all else that is made of the link key.
const RESETS: &[u8] = b"katzensprung: stateless resets";

/// Why a data plane ends, or refuses a message.
#[derive(Debug, thiserror::Error)]
pub enum ProcessError {
    /// The control channel.
    #[error("control channel: {0}")]
    Channel(#[from] ChannelError),
    /// Shared memory.
    #[error("{0}")]
    Memory(#[from] MemoryError),
    /// The setup.
    #[error("{0}")]
    Facts(#[from] FactsError),
    /// A key.
    #[error("the {what} cannot be used: {reason}")]
    Key {
        /// Which key.
        what: &'static str,
        /// Why.
        reason: String,
    },
    /// A message without what belongs to it, or at the wrong time.
    #[error("{0}")]
    Order(&'static str),
    /// A shard, or what does its input and output.
    #[error("{0}")]
    Driver(#[from] DriverError),
    /// The operating system.
    #[error("{0}")]
    Os(#[from] std::io::Error),
}

/// Runs until a control plane or SIGTERM says stop.
pub fn run(socket: &Path, signals: Signals) -> Result<(), ProcessError> {
    choice::register_membarrier();
    let listener = ChannelListener::bind(socket, Trusted::default())?;
    let mut process = Process::new(listener, signals);
    loop {
        if process.round()? {
            // The next data plane would find and replace it; a clean folder is kinder to the operator.
            let _gone_already = std::fs::remove_file(socket);
            return Ok(());
        }
    }
}

/// What runs once a control plane has attached.
struct Work {
    setup: Setup,
    shared: Arc<Shared>,
    counters: Counters,
    driver: Driver,
    quic: Common,
    guard: Guard,
    /// What plugins answer, and the bell that says so.
    answers: Option<(PluginRings, Bell)>,
    fills: Fills,
    ending: Arc<AtomicBool>,
    keys: KeyRing,
    held: Held,
    serial: u64,
    announcements: Announcements,
}

/// What the shards have in common.
fn shared_by_all(facts: Facts, refused: Vec<[u8; 32]>, sends_decoys: bool) -> Shared {
    let shared = Shared::new(facts, refused);
    if !sends_decoys {
        return shared;
    }
    let mut recipient = [0; sphinx::RECIPIENT_ID_BYTES];
    OsRandom.fill(&mut recipient);
    shared.with_decoys(recipient)
}

fn common_of_quic() -> Result<Common, ProcessError> {
    Common::new().map_err(|error| ProcessError::Key { what: "certificate for QUIC", reason: error.to_string() })
}

impl Work {
    fn start(
        setup: Setup,
        refused: Vec<[u8; 32]>,
        attachments: Vec<(Descriptor, OwnedFd)>,
    ) -> Result<Self, ProcessError> {
        let held = Held::new(attachments);
        let facts = Facts::new(&setup)?.with_lanes(level().map_or(1, Level::lanes));
        let counters = Counters::attach(held.get(&Descriptor::Counters)?)?;
        let events = EventRings::attach(held.get(&Descriptor::Events)?)?;
        let in_flight = InFlight::attach(held.get(&Descriptor::InFlight)?)?;
        let plugins = held.plugins()?;
        let loops = held.loops()?;
        let shards = facts.shards;
        if counters.shards() < shards {
            return Err(ProcessError::Order("the counters are for fewer shards"));
        }
        let clock = Clock::start();
        let (backend, refusal) = Choice::make(setup.machine.backend, shards, clock)?;
        let quic = common_of_quic()?;
        let (lanes, told) = lanes::open(&setup.machine, &backend);
        let backend = backend.with_quic(quic.clone(), Lanes::new(lanes));
        let shared = Arc::new(shared_by_all(facts, refused, setup.sends_decoys));
        let ending = Arc::new(AtomicBool::new(false));
        let mut listeners = listeners::deal(held.listeners()?, shards)?;
        let mut plans = Vec::new();
        for index in 0..shards {
            let (Some(counters), Some(events), Some(in_flight)) =
                (counters.shard(index), events.shard(index), in_flight.shard(index))
            else {
                return Err(ProcessError::Order("the shared memory is for fewer shards"));
            };
            let plugins = plugins.as_ref().and_then(|(rings, requests, _)| rings.shard(index, requests.clone()));
            let instruments = Instruments { counters, events, in_flight, plugins, loops: loops.clone() };
            let mut seed = [0; 32];
            OsRandom.fill(&mut seed);
            let shard = Shard::new(index, shared.clone(), instruments, seed, clock.now())
                .map_err(|error| ProcessError::Key { what: "geometry", reason: error.to_string() })?;
            let cpu = setup.machine.cpus.get(index).map(|&cpu| usize::from(cpu));
            let task = ShardTask { shard, ending: ending.clone() };
            plans.push(Plan { cpu, listeners: std::mem::take(&mut listeners[index]), task });
        }
        let mut guard = Guard::new(shards, counters.process(), events.process());
        guard.tell(&Event::BackendChosen { name: Detail::new(backend.name()), refusal: refusal.map(Detail::new) });
        told.iter().for_each(|event| guard.tell(event));
        let driver = backend.spawn(clock, plans)?;
        if let Err(error) = driver.wait_until_ready(READY_LIMIT) {
            ending.store(true, Ordering::Release);
            return Err(error.into());
        }
        Ok(Self {
            setup,
            shared,
            counters,
            driver,
            quic,
            guard,
            answers: plugins.map(|(rings, _, answers)| (rings, answers)),
            fills: Fills::default(),
            ending,
            keys: KeyRing::default(),
            held,
            serial: 0,
            announcements: Announcements::default(),
        })
    }

    /// Watches the shards, tells of replay sets that fill; gives how long the attach thread may sleep. A shard that
    /// cannot be helped is an error, which ends the process: half a data plane would swallow packets.
    fn look_after(&mut self) -> Result<Duration, ProcessError> {
        let refused = self.counters.total(Counter::dropped(DropReason::ReplaySetFull));
        let now = Instant::now();
        if self.fills.is_due(now)
            && let Ok(unix) = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH)
            && let Ok(time) = self.shared.facts().clock.now(unix)
        {
            fills::set_gauges(&self.keys, time.epoch, &self.counters.process());
        }
        for event in self.fills.look(now, &self.keys, refused) {
            self.guard.tell(&event);
        }
        let pause = self.guard.look(&self.shared, &self.counters, &self.driver).inspect_err(|error| {
            self.guard.tell(&Event::ShardEnded { detail: Detail::new(error) });
        })?;
        Ok(if self.announcements.are_due() { pause.min(Duration::from_millis(2)) } else { pause })
    }

    fn publish(&mut self, serial: u64, what: Descriptor, fd: OwnedFd) -> Result<(), ProcessError> {
        let snapshot = Snapshot::open(&fd)?;
        self.shared.publish_directory(snapshot);
        self.held.replace(what, fd);
        self.serial = serial;
        self.announcements.documents = Some(serial);
        self.wake_all();
        Ok(())
    }

    fn load_keys(&mut self, epochs: Vec<Epoch>, attachments: Vec<(Descriptor, OwnedFd)>) -> Result<(), ProcessError> {
        let mut incoming = Held::new(attachments);
        let secrets = Secrets::open(incoming.get(&Descriptor::Secrets)?)?;
        let refused = |what, error: &dyn std::fmt::Display| ProcessError::Key { what, reason: error.to_string() };
        // Peers learn from the next data plane, which has the same key, that this one was killed.
        // What makes the tokens keeps copies where it likes, so that it gets a hash of the key alone.
        let lasting = within(|| blake2b_256_keyed(RESETS, &[secrets.link_private_key.expose()]));
        let outlive = self.quic.outlive(&lasting);
        outlive.map_err(|error| refused("key for resets of QUIC", &error))?;
        let facts = self.shared.facts();
        let link_key = match &self.keys.link_key {
            Some(key) => key.clone(),
            None => within(|| facts.kem().load(secrets.link_private_key.expose()).map(Arc::from))
                .map_err(|error| refused("link key", &error))?,
        };
        let mut mix_keys = Vec::new();
        for (epoch, private) in &secrets.mix_keys {
            if let Some(known) = self.keys.mix_key(*epoch) {
                mix_keys.push(known.clone());
                continue;
            }
            let set = ReplaySet::attach(incoming.get(&Descriptor::ReplaySet { epoch: *epoch })?)?;
            let key = within(|| MixKey::new(&facts.geometry, private.expose()).map(Arc::new))
                .map_err(|error| refused("mix key", &error))?;
            mix_keys.push(EpochKey { epoch: *epoch, key, replays: Arc::new(set) });
        }
        self.keys = KeyRing { link_key: Some(link_key), mix_keys };
        let number = self.shared.publish_keys(self.keys.clone());
        self.held.take_keys(&epochs, &mut incoming);
        let locked = secrets.is_locked() && secret_memory::protection().locked;
        self.announcements.keys = Some(KeysToAnnounce { number, epochs, locked });
        self.wake_all();
        Ok(())
    }

    /// Goes by other values, if a data plane with them would be a sound one.
    fn adjust(&mut self, order: u64, to: &Adjustable) -> Result<(), ProcessError> {
        let mut setup = self.setup.clone();
        setup.adjust(to);
        setup.check().map_err(FactsError::from)?;
        let number = self.shared.adjust(to);
        self.setup = setup;
        self.announcements.adjustment = Some(Numbered { order, number });
        self.wake_all();
        Ok(())
    }

    fn call_roll(&mut self, order: u64) {
        let number = self.shared.call_roll();
        self.announcements.roll = Some(RollToAnnounce::Called(Numbered { order, number }));
        self.wake_all();
    }

    /// Wakes the shards for which plugins have answered while they slept.
    fn bring_answers(&self) {
        let Some((rings, bell)) = &self.answers else { return };
        bell.still();
        for shard in (0..self.shared.facts().shards).filter(|shard| rings.has_answers(*shard)) {
            let _was_parked = self.shared.unpark(shard);
            self.driver.wake(shard);
        }
    }

    fn wake_all(&self) {
        for shard in 0..self.shared.facts().shards {
            let _was_parked = self.shared.unpark(shard);
            self.driver.wake(shard);
        }
    }

    fn finish(self) -> interplane::counter::Account {
        self.shared.close_doors();
        self.wake_all();
        let deadline = Instant::now() + DRAIN_LIMIT;
        while self.counters.account_total().held > 0 && Instant::now() < deadline {
            std::thread::sleep(DRAIN_PAUSE);
        }
        self.ending.store(true, Ordering::Release);
        self.wake_all();
        self.driver.join();
        self.counters.account_total()
    }
}

/// A shard on its thread, until it is told to end.
struct ShardTask {
    shard: Shard,
    ending: Arc<AtomicBool>,
}

impl Task for ShardTask {
    fn poll(&mut self, io: &mut impl Io) -> Option<Next> {
        if self.ending.load(Ordering::Acquire) {
            self.shard.shut_down(io);
            return None;
        }
        Some(self.shard.poll(io))
    }
}
