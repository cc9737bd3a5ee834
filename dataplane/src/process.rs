//! The data-plane process: the attach thread, which talks to the control plane and to nobody else, and the shards'
//! threads, which it starts.
//!
//! The attach thread is an ordinary, unpinned thread. It decodes what the control plane publishes, hands it to the
//! shards, hands everything back to the next control plane, and wakes a shard that stands still although it has not
//! parked (the executor's hang, see [`crate::io::glommio`]).

mod fills;
mod guard;
mod held;

use crate::io::glommio::{self, ExecutorOptions, Fabric};
use crate::shard::{Instruments, Shard};
use crate::shared::{EpochKey, Facts, FactsError, KeyRing, Shared};
use crypto_simd::random::{OsRandom, Random};
use fills::Fills;
use guard::Guard;
use held::Held;
use interplane::DropReason;
use interplane::channel::{Channel, ChannelError, ChannelListener, Received, Trusted};
use interplane::counter::{Counter, Counters};
use interplane::memory::MemoryError;
use interplane::message::{Descriptor, ToControl, ToData, VERSION};
use interplane::poison::InFlight;
use interplane::replay::ReplaySet;
use interplane::ring::EventRings;
use interplane::secret::Secrets;
use interplane::setup::Setup;
use interplane::snapshot::Snapshot;
use pki::Epoch;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use secret_memory::within;
use sphinx::MixKey;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant, SystemTime};

/// How long packets that are still held may take to leave after the order to stop.
const DRAIN_LIMIT: Duration = Duration::from_secs(2);

/// Pause between two looks at a data plane that drains.
const DRAIN_PAUSE: Duration = Duration::from_millis(5);

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
    /// The operating system.
    #[error("{0}")]
    Os(#[from] std::io::Error),
}

/// Runs until a control plane says stop.
pub fn run(socket: &Path) -> Result<(), ProcessError> {
    glommio::register_membarrier();
    let listener = ChannelListener::bind(socket, Trusted::default())?;
    let mut process = Process { listener, control: None, work: None };
    loop {
        if process.round()? {
            // The next data plane would find and replace it; a clean folder is kinder to the operator.
            let _gone_already = std::fs::remove_file(socket);
            return Ok(());
        }
    }
}

struct Process {
    listener: ChannelListener,
    control: Option<Channel>,
    work: Option<Work>,
}

/// What runs once a control plane has attached.
struct Work {
    setup: Setup,
    shared: Arc<Shared>,
    counters: Counters,
    fabric: Fabric,
    guard: Guard,
    fills: Fills,
    ending: Arc<AtomicBool>,
    threads: Vec<JoinHandle<std::io::Result<()>>>,
    keys: KeyRing,
    held: Held,
    serial: u64,
    announced_serial: u64,
    announced_keys: Option<(u64, Vec<Epoch>, bool)>,
}

impl Process {
    /// Waits for one thing to happen and reacts; true when the process is to end.
    fn round(&mut self) -> Result<bool, ProcessError> {
        let pause = self.work.as_mut().map_or(Duration::from_secs(1), Work::look_after);
        let (knocks, speaks) = self.wait(pause)?;
        if let Some(work) = &mut self.work {
            work.announce(self.control.as_ref());
        }
        if knocks {
            // A newer control plane replaces one that may hang; strangers are refused.
            if let Ok(channel) = self.listener.accept() {
                self.control = Some(channel);
            }
        } else if speaks {
            return self.listen();
        }
        Ok(false)
    }

    fn wait(&self, pause: Duration) -> Result<(bool, bool), ProcessError> {
        let mut fds = vec![PollFd::new(&self.listener, PollFlags::IN)];
        if let Some(control) = &self.control {
            fds.push(PollFd::new(control, PollFlags::IN));
        }
        let limit = Timespec { tv_sec: pause.as_secs() as i64, tv_nsec: i64::from(pause.subsec_nanos()) };
        match poll(&mut fds, Some(&limit)) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(errno) => return Err(std::io::Error::from(errno).into()),
        }
        let ready = |at: usize| fds.get(at).is_some_and(|fd| !fd.revents().is_empty());
        Ok((ready(0), ready(1)))
    }

    fn listen(&mut self) -> Result<bool, ProcessError> {
        let Some(control) = &self.control else { return Ok(false) };
        let received = match control.try_recv::<ToData>() {
            Ok(Some(received)) => received,
            Ok(None) => return Ok(false),
            Err(_) => {
                // The control plane ended or speaks nonsense; the next one will connect.
                self.control = None;
                return Ok(false);
            }
        };
        let answer = match self.obey(received) {
            Ok(Obeyed::Answer(answer, attachments)) => Some((answer, attachments)),
            Ok(Obeyed::Later) => None,
            Ok(Obeyed::Stop) => return Ok(self.stop()),
            Err(error) => Some((ToControl::Failed { reason: error.to_string() }, Vec::new())),
        };
        if let (Some((answer, attachments)), Some(control)) = (answer, &self.control) {
            let borrowed: Vec<_> = attachments.iter().map(|(what, fd)| (what.clone(), fd.as_fd())).collect();
            if control.send(&answer, &borrowed).is_err() {
                self.control = None;
            }
        }
        Ok(false)
    }

    fn obey(&mut self, mut received: Received<ToData>) -> Result<Obeyed, ProcessError> {
        match received.message {
            ToData::Hello { .. } => self.state(),
            ToData::Stop => Ok(Obeyed::Stop),
            ToData::Attach { ref setup, ref refused } => {
                if self.work.is_some() {
                    return Err(ProcessError::Order("a control plane has attached already"));
                }
                let (setup, refused) = (setup.as_ref().clone(), refused.clone());
                self.work = Some(Work::start(setup, refused, received.attachments)?);
                Ok(Obeyed::Answer(ToControl::Attached, Vec::new()))
            }
            ToData::Publish { serial } => {
                let (what, fd) = received
                    .take(|what| matches!(what, Descriptor::Snapshot { .. }))
                    .ok_or(ProcessError::Order("no snapshot came with Publish"))?;
                self.work()?.publish(serial, what, fd)?;
                Ok(Obeyed::Later)
            }
            ToData::Keys { epochs } => {
                self.work()?.load_keys(epochs, received.attachments)?;
                Ok(Obeyed::Later)
            }
            ToData::Remember => {
                let (what, fd) = received
                    .take(|what| matches!(what, Descriptor::Remembered))
                    .ok_or(ProcessError::Order("nothing came with Remember"))?;
                self.work()?.held.replace(what, fd);
                Ok(Obeyed::Answer(ToControl::Remembered, Vec::new()))
            }
        }
    }

    fn work(&mut self) -> Result<&mut Work, ProcessError> {
        self.work.as_mut().ok_or(ProcessError::Order("no control plane has attached yet"))
    }

    fn state(&self) -> Result<Obeyed, ProcessError> {
        let (setup, serial, epochs, attachments) = match &self.work {
            None => (None, 0, Vec::new(), Vec::new()),
            Some(work) => {
                let epochs = work.keys.mix_keys.iter().map(|key| key.epoch).collect();
                (Some(Box::new(work.setup.clone())), work.serial, epochs, work.held.copies()?)
            }
        };
        Ok(Obeyed::Answer(ToControl::State { version: VERSION, setup, serial, epochs }, attachments))
    }

    /// Takes no more connections, lets held packets leave, ends the shards, tells the last account.
    fn stop(&mut self) -> bool {
        if let Some(work) = self.work.take() {
            let account = work.finish();
            if let Some(control) = &self.control {
                // A control plane that is gone does not need the account.
                let _unheard = control.send(&ToControl::Stopped { account }, &[]);
            }
        }
        true
    }
}

enum Obeyed {
    Answer(ToControl, Vec<(Descriptor, OwnedFd)>),
    /// Answered once all shards go by it.
    Later,
    Stop,
}

impl Work {
    fn start(
        setup: Setup,
        refused: Vec<[u8; 32]>,
        attachments: Vec<(Descriptor, OwnedFd)>,
    ) -> Result<Self, ProcessError> {
        let held = Held::new(attachments);
        let facts = Facts::new(&setup)?;
        let counters = Counters::attach(held.get(&Descriptor::Counters)?)?;
        let events = EventRings::attach(held.get(&Descriptor::Events)?)?;
        let in_flight = InFlight::attach(held.get(&Descriptor::InFlight)?)?;
        let shards = facts.shards;
        if counters.shards() < shards {
            return Err(ProcessError::Order("the counters are for fewer shards"));
        }
        let fabric = Fabric::new(shards);
        let shared = Arc::new(Shared::new(facts, refused));
        let ending = Arc::new(AtomicBool::new(false));
        let mut listeners = held.listeners()?;
        let mut threads = Vec::new();
        for index in 0..shards {
            let options = ExecutorOptions {
                cpu: setup.machine.cpus.get(index).map(|&cpu| usize::from(cpu)),
                connect_limit: Duration::from_millis(setup.times.connect_timeout_ms.max(1)),
                preempt_timer: None,
                name: format!("shard-{index}"),
            };
            let (Some(counters), Some(events), Some(in_flight)) =
                (counters.shard(index), events.shard(index), in_flight.shard(index))
            else {
                return Err(ProcessError::Order("the shared memory is for fewer shards"));
            };
            let instruments = Instruments { counters, events, in_flight };
            let mut seed = [0; 32];
            OsRandom.fill(&mut seed);
            let mut shard = Shard::new(index, shared.clone(), instruments, seed, fabric.now())
                .map_err(|error| ProcessError::Key { what: "geometry", reason: error.to_string() })?;
            let ending = ending.clone();
            let start = move || {
                // Keys pass over the shard's stack while it works with them.
                secret_memory::protect_stack();
                move |io: &mut glommio::GlommioIo| {
                    if ending.load(Ordering::Acquire) {
                        shard.shut_down(io);
                        return None;
                    }
                    Some(shard.poll(io))
                }
            };
            threads.push(glommio::spawn(fabric.clone(), index, options, std::mem::take(&mut listeners), start)?);
        }
        let guard = Guard::new(shards, counters.process(), events.process());
        Ok(Self {
            setup,
            shared,
            counters,
            fabric,
            guard,
            fills: Fills::default(),
            ending,
            threads,
            keys: KeyRing::default(),
            held,
            serial: 0,
            announced_serial: 0,
            announced_keys: None,
        })
    }

    /// Wakes shards that stand still, tells of replay sets that fill; gives how long the attach thread may sleep.
    fn look_after(&mut self) -> Duration {
        let waiting = self.serial > self.announced_serial || self.announced_keys.is_some();
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
        let pause = self.guard.look(&self.shared, &self.counters, &self.fabric);
        if waiting { pause.min(Duration::from_millis(2)) } else { pause }
    }

    fn publish(&mut self, serial: u64, what: Descriptor, fd: OwnedFd) -> Result<(), ProcessError> {
        let snapshot = Snapshot::open(&fd)?;
        self.shared.publish_directory(snapshot);
        self.held.replace(what, fd);
        self.serial = serial;
        self.wake_all();
        Ok(())
    }

    fn load_keys(&mut self, epochs: Vec<Epoch>, attachments: Vec<(Descriptor, OwnedFd)>) -> Result<(), ProcessError> {
        let mut incoming = Held::new(attachments);
        let secrets = Secrets::open(incoming.get(&Descriptor::Secrets)?)?;
        let refused = |what, error: &dyn std::fmt::Display| ProcessError::Key { what, reason: error.to_string() };
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
        self.announced_keys = Some((number, epochs, locked));
        self.wake_all();
        Ok(())
    }

    /// Tells the control plane what all shards have taken over.
    fn announce(&mut self, control: Option<&Channel>) {
        let applied = self.shared.applied();
        let mut messages = Vec::new();
        if self.serial > self.announced_serial && applied.serial >= self.serial {
            self.announced_serial = self.serial;
            messages.push(ToControl::Applied { serial: self.serial });
        }
        if let Some((_, epochs, locked)) = self.announced_keys.take_if(|(number, ..)| applied.keys >= *number) {
            messages.push(ToControl::KeysLoaded { epochs, locked });
        }
        for message in messages {
            if let Some(control) = control {
                // The next control plane asks for the state anyway.
                let _unheard = control.try_send(&message, &[]);
            }
        }
    }

    fn wake_all(&self) {
        for shard in 0..self.shared.facts().shards {
            let _was_parked = self.shared.unpark(shard);
            self.fabric.wake(shard);
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
        // An executor can hang at any moment (see `guard`), its last one included: woken until it has ended.
        while !self.threads.iter().all(|thread| thread.is_finished()) {
            self.wake_all();
            std::thread::sleep(DRAIN_PAUSE);
        }
        for thread in self.threads {
            // A shard that panicked has ended too.
            let _ended = thread.join();
        }
        self.counters.account_total()
    }
}
