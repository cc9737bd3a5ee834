//! The data plane as the control plane sees it: everything it is given stays here too, so that a data plane that
//! crashed gets it again within a second, and one that outlived its control plane hands it back.

use crate::directory::{Plane, Stored};
use crate::keys::MixKeys;
use crate::logging::Log;
use crypto_simd::random::{OsRandom, Random};
use interplane::channel::{Channel, ChannelError, Received, Trusted};
use interplane::counter::Counters;
use interplane::memory::{self, MemoryError};
use interplane::message::{Descriptor, Listener, ToControl, ToData, VERSION};
use interplane::poison::{InFlight, Suspects};
use interplane::replay::ReplaySet;
use interplane::ring::EventRings;
use interplane::secret::{SecretBytes, SecretFile, Secrets};
use interplane::setup::Setup;
use interplane::snapshot::Snapshot;
use pki::Epoch;
use pki::policy::View;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, Signal, kill_process};
use secret_memory::within;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};
use zeroize::Zeroizing;

const MODULE: &str = "dataplane";

/// Largest remembered blob that is read back.
const REMEMBERED_BYTES_MAX: usize = 512 << 20;

/// How long a data plane may take to answer.
const ANSWER_LIMIT: Duration = Duration::from_secs(5);

/// Why the data plane could not be given what it needs.
#[derive(Debug, thiserror::Error)]
pub enum PlaneError {
    /// Shared memory.
    #[error(transparent)]
    Memory(#[from] MemoryError),
    /// The control channel.
    #[error(transparent)]
    Channel(#[from] ChannelError),
    /// It speaks another version.
    #[error("the running data plane is of another version ({0}, this is {VERSION}); stop it first")]
    Version(u32),
    /// It is at work, or was, and says nothing.
    #[error("the running data plane (process {0}) does not answer within {ANSWER_LIMIT:?}; kill it and start again")]
    Hangs(i32),
    /// It answered something else.
    #[error("the data plane refused: {0}")]
    Refused(String),
}

/// Mix keys by epoch.
pub type PrivateMixKeys = Vec<(u64, Zeroizing<Vec<u8>>)>;

/// What a living data plane handed back.
pub struct HandedBack {
    setup: Setup,
    attachments: Vec<(Descriptor, OwnedFd)>,
}

impl HandedBack {
    /// Whether it works as these say: then it can go on.
    pub fn works_as(&self, setup: &Setup, listen: &[SocketAddr], link_private_key: &[u8]) -> bool {
        let mut addresses = self.attachments.iter().filter_map(|(what, _)| match what {
            Descriptor::Listener(listener) => Some(listener.address),
            _ => None,
        });
        let listens_there =
            addresses.by_ref().take(listen.len()).eq(listen.iter().copied()) && addresses.next().is_none();
        self.setup == *setup && listens_there && self.has_link_key(link_private_key)
    }

    fn has_link_key(&self, link_private_key: &[u8]) -> bool {
        let secrets = self.attachments.iter().find(|(what, _)| *what == Descriptor::Secrets);
        // Before the first keys there is nothing that could be wrong.
        secrets.is_none_or(|(_, fd)| {
            Secrets::open(fd).is_ok_and(|secrets| secrets.link_private_key.expose() == link_private_key)
        })
    }

    /// What a data plane that works in another way goes on with. Keys of another node or geometry are not among it.
    pub fn inheritance(self, setup: &Setup, link_private_key: &[u8]) -> Result<Inheritance, PlaneError> {
        let old = &self.setup;
        let is_same_node = old.node_id == setup.node_id
            && old.geometry == setup.geometry
            && old.epoch_period == setup.epoch_period
            && self.has_link_key(link_private_key);
        let mut left = Inheritance::default();
        for (what, fd) in self.attachments {
            match what {
                Descriptor::Listener(listener) => left.listeners.push((listener, fd)),
                Descriptor::Secrets if is_same_node => {
                    left.mix_keys = mix_keys(&Secrets::open(&fd)?);
                    left.secrets = Some(SecretFile::adopt(fd)?);
                }
                Descriptor::ReplaySet { epoch } if is_same_node => {
                    left.replay_sets.insert(epoch, fd);
                }
                Descriptor::Remembered if is_same_node => left.stored = stored(&fd)?,
                _ => {}
            }
        }
        Ok(left)
    }
}

/// What one data plane leaves to another.
#[derive(Default)]
pub struct Inheritance {
    /// Its listening sockets, with the connections that wait in them.
    pub listeners: Vec<(Listener, OwnedFd)>,
    /// Its mix keys.
    pub mix_keys: PrivateMixKeys,
    /// What it remembered.
    pub stored: Stored,
    replay_sets: BTreeMap<Epoch, OwnedFd>,
    /// Wiped when this is dropped.
    secrets: Option<SecretFile>,
}

/// Asks the data plane at `path`, if there is one, what it holds.
pub fn greet(path: &Path) -> Result<Option<(Channel, Option<HandedBack>)>, PlaneError> {
    let channel = match Channel::connect(path, Trusted::default()) {
        Ok(channel) => channel,
        Err(ChannelError::NobodyListens) => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    // One that closes the channel instead of answering is just ending: its socket goes a moment after itself.
    match channel.send(&ToData::Hello { version: VERSION }, &[]) {
        Err(ChannelError::Closed) => return Ok(None),
        sent => sent?,
    }
    if !is_readable_within(&channel, ANSWER_LIMIT) {
        let process = process_at(&channel).map_or(0, |pid| pid.as_raw_nonzero().get());
        return Err(PlaneError::Hangs(process));
    }
    let Received { message, attachments } = match channel.recv::<ToControl>() {
        Err(ChannelError::Closed) => return Ok(None),
        received => received?,
    };
    match message {
        ToControl::State { version, .. } if version != VERSION => Err(PlaneError::Version(version)),
        ToControl::State { setup, .. } => {
            Ok(Some((channel, setup.map(|setup| HandedBack { setup: *setup, attachments }))))
        }
        other => Err(PlaneError::Refused(format!("{other:?}"))),
    }
}

/// Ends a data plane in good order: packets that it holds may leave. One that does not end in time is killed.
pub fn end(channel: &Channel, limit: Duration) {
    // One that is gone needs no order.
    let _gone = channel.send(&ToData::Stop, &[]);
    let deadline = Instant::now() + limit;
    loop {
        if !is_readable_within(channel, deadline.saturating_duration_since(Instant::now())) {
            kill(channel);
            return;
        }
        // Whatever it still says, its end is an error.
        if channel.recv::<ToControl>().is_err() {
            return;
        }
    }
}

fn is_readable_within(channel: &Channel, limit: Duration) -> bool {
    let Ok(limit) = Timespec::try_from(limit) else { return false };
    let mut fds = [PollFd::new(channel, PollFlags::IN)];
    loop {
        match poll(&mut fds, Some(&limit)) {
            Err(rustix::io::Errno::INTR) => {}
            ready => return ready.is_ok_and(|count| count > 0),
        }
    }
}

fn process_at(channel: &Channel) -> Option<Pid> {
    rustix::net::sockopt::socket_peercred(channel).ok().map(|credentials| credentials.pid)
}

fn kill(channel: &Channel) {
    if let Some(pid) = process_at(channel) {
        let _gone = kill_process(pid, Signal::KILL);
    }
}

/// What the data plane is given, and the channel over which it is given it.
pub struct DataPlane {
    setup: Setup,
    link_private_key: Zeroizing<Vec<u8>>,
    counters: (Counters, OwnedFd),
    events: (EventRings, OwnedFd),
    in_flight: (InFlight, OwnedFd),
    suspects: Suspects,
    started: Instant,
    listeners: Vec<(Listener, OwnedFd)>,
    snapshot: Option<(u64, OwnedFd)>,
    secrets: Option<(Vec<Epoch>, SecretFile)>,
    /// Wiped one change later: the data plane may not have read it yet.
    secrets_before: Option<SecretFile>,
    replay_sets: BTreeMap<Epoch, OwnedFd>,
    remembered: Option<OwnedFd>,
    channel: Option<Arc<Channel>>,
    log: Log,
}

impl DataPlane {
    /// For a data plane that is yet to start.
    pub fn new(
        setup: Setup,
        link_private_key: Zeroizing<Vec<u8>>,
        listeners: Vec<(Listener, OwnedFd)>,
        log: Log,
    ) -> Result<Self, MemoryError> {
        let shards = usize::from(setup.machine.shards);
        Ok(Self {
            counters: Counters::create(shards)?,
            events: EventRings::create(shards)?,
            in_flight: InFlight::create(shards)?,
            setup,
            link_private_key,
            suspects: Suspects::default(),
            started: Instant::now(),
            listeners,
            snapshot: None,
            secrets: None,
            secrets_before: None,
            replay_sets: BTreeMap::new(),
            remembered: None,
            channel: None,
            log,
        })
    }

    /// For one that is at work: takes over what it handed back, and gives its mix keys and what it remembered.
    pub fn adopt(
        handed_back: HandedBack,
        link_private_key: Zeroizing<Vec<u8>>,
        log: Log,
    ) -> Result<(Self, PrivateMixKeys, Stored), PlaneError> {
        let mut plane = Self::new(handed_back.setup, link_private_key, Vec::new(), log)?;
        let (mut keys, mut remembered) = (Vec::new(), Stored::default());
        for (descriptor, fd) in handed_back.attachments {
            match descriptor {
                Descriptor::Counters => plane.counters = (Counters::attach(&fd)?, fd),
                Descriptor::Events => plane.events = (EventRings::attach(&fd)?, fd),
                Descriptor::InFlight => plane.in_flight = (InFlight::attach(&fd)?, fd),
                Descriptor::Listener(listener) => plane.listeners.push((listener, fd)),
                Descriptor::Snapshot { serial } => plane.snapshot = Some((serial, fd)),
                Descriptor::Secrets => {
                    let secrets = Secrets::open(&fd)?;
                    let epochs = secrets.mix_keys.iter().map(|(epoch, _)| *epoch).collect();
                    keys = mix_keys(&secrets);
                    plane.secrets = Some((epochs, SecretFile::adopt(fd)?));
                }
                Descriptor::ReplaySet { epoch } => {
                    plane.replay_sets.insert(epoch, fd);
                }
                Descriptor::Remembered => {
                    remembered = stored(&fd)?;
                    plane.remembered = Some(fd);
                }
            }
        }
        Ok((plane, keys, remembered))
    }

    /// Goes by the replay sets of the data plane before; its mix keys need them.
    pub fn inherit(&mut self, inheritance: Inheritance) {
        self.replay_sets = inheritance.replay_sets;
    }

    /// The counters in shared memory.
    pub fn counters(&self) -> Counters {
        self.counters.0.clone()
    }

    /// The events in shared memory.
    pub fn events(&self) -> EventRings {
        self.events.0.clone()
    }

    /// A data plane that is at work is reached over `channel` from now on.
    pub fn resume(&mut self, channel: Arc<Channel>) {
        self.channel = Some(channel);
    }

    /// Gives a fresh data plane everything.
    pub fn attach(&mut self, channel: Arc<Channel>) -> Result<(), PlaneError> {
        let fixed = [
            (Descriptor::Counters, self.counters.1.as_fd()),
            (Descriptor::Events, self.events.1.as_fd()),
            (Descriptor::InFlight, self.in_flight.1.as_fd()),
        ];
        let listeners = self.listeners.iter().map(|(listener, fd)| (Descriptor::Listener(*listener), fd.as_fd()));
        let attachments: Vec<_> = fixed.into_iter().chain(listeners).collect();
        let attach = ToData::Attach { setup: Box::new(self.setup.clone()), refused: self.suspects.refused().to_vec() };
        channel.send(&attach, &attachments)?;
        match channel.recv::<ToControl>()?.message {
            ToControl::Attached => {}
            ToControl::Failed { reason } => return Err(PlaneError::Refused(reason)),
            other => return Err(PlaneError::Refused(format!("{other:?}"))),
        }
        self.channel = Some(channel);
        self.send_keys();
        self.send_snapshot();
        self.send_remembered();
        Ok(())
    }

    /// The data plane has ended without being told to. Gives the number of packets that went with it.
    pub fn lost(&mut self) -> u64 {
        self.channel = None;
        self.suspects.crashed(self.started.elapsed(), self.in_flight.0.take());
        self.counters.0.settle_after_crash()
    }

    /// Tells the data plane to finish.
    pub fn stop(&mut self) {
        self.send("stop", &ToData::Stop, &[]);
    }

    /// Ends a data plane that does not finish.
    pub fn kill(&self) {
        if let Some(channel) = &self.channel {
            kill(channel);
        }
    }

    fn send_keys(&self) {
        let Some((epochs, secrets)) = &self.secrets else { return };
        let sets = self.replay_sets.iter().map(|(&epoch, fd)| (Descriptor::ReplaySet { epoch }, fd.as_fd()));
        let attachments: Vec<_> = [(Descriptor::Secrets, secrets.as_fd())].into_iter().chain(sets).collect();
        self.send("keys", &ToData::Keys { epochs: epochs.clone() }, &attachments);
    }

    fn send_snapshot(&self) {
        if let Some((serial, fd)) = &self.snapshot {
            let attachment = (Descriptor::Snapshot { serial: *serial }, fd.as_fd());
            self.send("documents", &ToData::Publish { serial: *serial }, &[attachment]);
        }
    }

    fn send_remembered(&self) {
        if let Some(fd) = &self.remembered {
            self.send("state to remember", &ToData::Remember, &[(Descriptor::Remembered, fd.as_fd())]);
        }
    }

    /// A message that cannot be sent now is part of what the next data plane gets.
    fn send(&self, what: &str, message: &ToData, attachments: &[(Descriptor, BorrowedFd<'_>)]) {
        if let Some(channel) = &self.channel
            && let Err(error) = channel.send(message, attachments)
        {
            self.log.info(MODULE, format_args!("cannot send {what} now: {error}"));
        }
    }

    fn store_keys(&mut self, keys: &MixKeys) -> Result<(), MemoryError> {
        let epochs: Vec<Epoch> = keys.epochs().into_iter().map(Epoch).collect();
        for epoch in &epochs {
            if !self.replay_sets.contains_key(epoch) {
                let mut key = [0; 16];
                OsRandom.fill(&mut key);
                let (set, fd) = ReplaySet::create(epoch.0, self.setup.replay_buckets, key)?;
                if self.setup.populates_replay_sets {
                    // Half a second for a large set: nobody waits for it, the pages come by themselves until then.
                    std::thread::spawn(move || set.populate_and_collapse());
                }
                self.replay_sets.insert(*epoch, fd);
            }
        }
        self.replay_sets.retain(|epoch, _| epochs.contains(epoch));
        let mix_keys = keys
            .private_keys()
            .map(|(epoch, private)| Ok((Epoch(epoch), SecretBytes::new(private)?)))
            .collect::<Result<_, MemoryError>>()?;
        let secrets = Secrets { link_private_key: SecretBytes::new(&self.link_private_key)?, mix_keys };
        let before = self.secrets.replace((epochs, secrets.to_file()?));
        self.secrets_before = before.map(|(_, file)| file);
        Ok(())
    }

    fn store_snapshot(&mut self, view: &View) -> Result<(), MemoryError> {
        let serial = self.snapshot.as_ref().map_or(1, |(serial, _)| serial + 1);
        let delays = view.documents().iter().map(|map| (map.epoch, pki::document::delay_cap_ms(map.mu)));
        let snapshot =
            Snapshot { serial, view: view.clone(), delay_ms_max: delays.collect(), client_documents: Vec::new() };
        self.snapshot = Some((serial, snapshot.to_file()?));
        Ok(())
    }
}

fn mix_keys(secrets: &Secrets) -> PrivateMixKeys {
    within(|| secrets.mix_keys.iter().map(|(epoch, key)| (epoch.0, Zeroizing::new(key.expose().to_vec()))).collect())
}

fn stored(fd: &OwnedFd) -> Result<Stored, MemoryError> {
    let content = memory::SealedMemory::open(fd, "remembered", REMEMBERED_BYTES_MAX)?;
    // Of another version: fetch and publish anew.
    Ok(postcard::from_bytes(&content).unwrap_or_default())
}

/// The data plane as the directory worker and the supervisor share it.
#[derive(Clone)]
pub struct SharedPlane(pub Arc<Mutex<DataPlane>>);

impl SharedPlane {
    /// For one call at a time.
    pub fn lock(&self) -> MutexGuard<'_, DataPlane> {
        // What it holds is replaced as a whole, so a panic elsewhere cannot have torn it.
        self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

fn report(plane: &DataPlane, what: &str, outcome: Result<(), MemoryError>) {
    if let Err(error) = outcome {
        plane.log.error(MODULE, format_args!("cannot share {what} with the data plane: {error}"));
    }
}

impl Plane for SharedPlane {
    fn set_keys(&mut self, keys: &MixKeys) {
        let mut plane = self.lock();
        let outcome = plane.store_keys(keys);
        plane.send_keys();
        report(&plane, "mix keys", outcome);
    }

    fn publish(&mut self, view: &View) {
        let mut plane = self.lock();
        let outcome = plane.store_snapshot(view);
        plane.send_snapshot();
        report(&plane, "documents", outcome);
    }

    fn remember(&mut self, stored: &Stored) {
        let mut plane = self.lock();
        let sealed = postcard::to_stdvec(stored)
            .map_err(|_| MemoryError::Content("remembered"))
            .and_then(|bytes| memory::seal("remembered", &bytes));
        let outcome = sealed.map(|fd| plane.remembered = Some(fd));
        plane.send_remembered();
        report(&plane, "state to remember", outcome);
    }
}
