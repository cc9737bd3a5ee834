//! What the data plane is given. All of it stays here too, so that a data plane that crashed is followed by one that gets
//! the same within a second, and one that outlived its control plane hands it back.

use super::handed_back::{HandedBack, Inheritance};
use super::stored;
use crate::directory::Stored;
use crate::keys::PrivateMixKeys;
use crate::plugins::Wires;
use crate::process::manager::Manager;
use crate::process::remedy::remedy;
use crypto_simd::random::{OsRandom, Random};
use crypto_simd::schemes::kem;
use interplane::channel::ChannelError;
use interplane::counter::Counters;
use interplane::loops::LoopCounts;
use interplane::memory::{self, MemoryError};
use interplane::message::{Descriptor, Listener, ToData, VERSION};
use interplane::poison::{InFlight, Suspects};
use interplane::replay::{Fill, ReplaySet};
use interplane::requests::{Bell, PluginRings};
use interplane::ring::EventRings;
use interplane::secret::{SecretBytes, SecretFile, Secrets};
use interplane::setup::{Adjustable, Setup, SetupError};
use interplane::snapshot::{ClientDocument, Service, Snapshot};
use pki::Epoch;
use pki::neighbours::Role;
use pki::policy::View;
use secret_memory::within;
use std::collections::BTreeMap;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::PathBuf;
use zeroize::Zeroizing;

/// Largest remembered blob that is read back.
const REMEMBERED_BYTES_MAX: usize = 512 << 20;

/// Why the data plane could not be given what it needs.
#[derive(Debug, thiserror::Error)]
pub enum PlaneError {
    /// Shared memory.
    #[error("{error}{}", of_memory(.0), error = .0)]
    Memory(#[from] MemoryError),
    /// The control channel.
    #[error(transparent)]
    Channel(#[from] ChannelError),
    /// It speaks another version.
    #[error(
        "the running data plane is of another version ({0}, this is {VERSION}); stop it with \
         `katzensprung dataplane --socket DataDir/dataplane.sock --stop` of its own version, or end its process"
    )]
    Version(u32),
    /// It is at work, or was, and says nothing.
    #[error("the running data plane (process {0}) does not answer in time; kill it and start again")]
    Hangs(i32),
    /// Nobody has started it.
    #[error(
        "nothing listens at {path} although another unit is to start the data plane (dataplane.run_as_two_units): start \
         that unit, as the same user, with ExecStart=… dataplane --socket {path}; or remove the setting",
        path = .0.display()
    )]
    NotStarted(PathBuf),
    /// The one that would take the place of another does not work.
    #[error(
        "a data plane as it is configured now would not work: {reason}; the one that is at work goes on forwarding by the \
         configuration before. To be rid of it: katzensprung dataplane --socket {path} --stop",
        path = .socket.display()
    )]
    Rehearsal {
        /// Why not.
        reason: String,
        /// Where the one at work listens.
        socket: PathBuf,
    },
    /// It does not work.
    #[error("{0}")]
    Refused(String),
    /// The node is being stopped.
    #[error("the node is being stopped")]
    Stopping,
}

fn of_memory(error: &MemoryError) -> &'static str {
    match error {
        MemoryError::Os { errno, .. } => remedy(&(*errno).into()),
        _ => "",
    }
}

/// A message and what goes with it.
pub type Letter<'a> = (ToData, Vec<(Descriptor, BorrowedFd<'a>)>);

/// What both planes share of plugins, or of a user database.
struct PluginMemory {
    rings: (PluginRings, OwnedFd),
    requests: Bell,
    answers: Bell,
}

impl PluginMemory {
    fn adopt(&mut self, what: &Descriptor, fd: OwnedFd) -> Result<(), MemoryError> {
        match what {
            Descriptor::PluginRings => self.rings = (PluginRings::attach(&fd)?, fd),
            Descriptor::RequestBell => self.requests = Bell::adopt(fd),
            _ => self.answers = Bell::adopt(fd),
        }
        Ok(())
    }

    fn attachments(&self) -> [(Descriptor, BorrowedFd<'_>); 3] {
        [
            (Descriptor::PluginRings, self.rings.1.as_fd()),
            (Descriptor::RequestBell, self.requests.as_fd()),
            (Descriptor::AnswerBell, self.answers.as_fd()),
        ]
    }
}

fn plugins_of(setup: &Setup) -> Result<Option<PluginMemory>, MemoryError> {
    let payload_bytes = match setup.role {
        Role::Service => setup.geometry.user_forward_payload_length,
        Role::Gateway if setup.clients.has_user_database => {
            let key_bytes = kem::by_name(&setup.wire_kem).map_or(0, |kem| kem.info().public_key_bytes);
            let letter_bytes = match setup.clients.keeps_mail {
                true => {
                    let geometry = &setup.geometry;
                    let payload_bytes = geometry.payload_tag_length + geometry.forward_payload_length;
                    gateway::archive::RECORD_BYTES + payload_bytes
                }
                false => 0,
            };
            letter_bytes.max(gateway::users::QUESTION_BYTES + key_bytes)
        }
        _ => return Ok(None),
    };
    let shards = usize::from(setup.machine.shards);
    let rings = PluginRings::create(shards, payload_bytes)?;
    Ok(Some(PluginMemory { rings, requests: Bell::new()?, answers: Bell::new()? }))
}

/// What the data plane is given.
pub struct DataPlane {
    setup: Setup,
    link_private_key: Zeroizing<Vec<u8>>,
    counters: (Counters, OwnedFd),
    events: (EventRings, OwnedFd),
    loops: (LoopCounts, OwnedFd),
    in_flight: (InFlight, OwnedFd),
    suspects: Suspects,
    /// The rings and bells of plugins, on a service node, or of the user database, on a gateway that has one.
    plugins: Option<PluginMemory>,
    listeners: Vec<(Listener, OwnedFd)>,
    services: Vec<Service>,
    /// What documents were given, from which snapshots are made anew when services change.
    view: Option<View>,
    snapshot: Option<(u64, OwnedFd)>,
    secrets: Option<(Vec<Epoch>, SecretFile)>,
    /// Wiped one change later: the data plane may not have read it yet.
    secrets_before: Option<SecretFile>,
    replay_sets: BTreeMap<Epoch, OwnedFd>,
    remembered: Option<OwnedFd>,
    /// Grows with each change of the setup's values that may change.
    adjustment: u64,
    /// Keeps for the next start what two ended processes would lose; with it, how this one works.
    manager: Option<(Manager, OwnedFd)>,
}

impl DataPlane {
    /// For a data plane that is yet to start.
    pub fn new(
        setup: Setup,
        link_private_key: Zeroizing<Vec<u8>>,
        listeners: Vec<(Listener, OwnedFd)>,
    ) -> Result<Self, MemoryError> {
        let shards = usize::from(setup.machine.shards);
        Ok(Self {
            counters: Counters::create(shards)?,
            events: EventRings::create(shards)?,
            loops: LoopCounts::create()?,
            in_flight: InFlight::create(shards)?,
            link_private_key,
            suspects: Suspects::default(),
            listeners,
            services: Vec::new(),
            view: None,
            plugins: plugins_of(&setup)?,
            snapshot: None,
            secrets: None,
            secrets_before: None,
            replay_sets: BTreeMap::new(),
            remembered: None,
            adjustment: 0,
            manager: None,
            setup,
        })
    }

    /// For one that is at work: takes over what it handed back, and gives its mix keys and what it remembered.
    pub fn adopt(
        handed_back: HandedBack,
        link_private_key: Zeroizing<Vec<u8>>,
    ) -> Result<(Self, PrivateMixKeys, Stored), PlaneError> {
        let mut plane = Self::new(handed_back.setup, link_private_key, Vec::new())?;
        let (mut keys, mut stored) = (Vec::new(), Stored::default());
        for (descriptor, fd) in handed_back.attachments {
            match descriptor {
                Descriptor::Counters => plane.counters = (Counters::attach(&fd)?, fd),
                Descriptor::Loops => plane.loops = (LoopCounts::attach(&fd)?, fd),
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
                    stored = remembered(&fd)?;
                    plane.remembered = Some(fd);
                }
                // Told to one who asked, and not kept.
                Descriptor::Roll => {}
                Descriptor::PluginRings | Descriptor::RequestBell | Descriptor::AnswerBell => {
                    if let Some(plugins) = &mut plane.plugins {
                        plugins.adopt(&descriptor, fd)?;
                    }
                }
            }
        }
        Ok((plane, keys, stored))
    }

    /// Goes by the replay sets of the data plane before, which has ended; its mix keys need them.
    pub fn inherit(&mut self, inheritance: Inheritance) {
        self.replay_sets = inheritance.replay_sets;
        // Not before the new ones are where the old ones are.
        self.secrets_before = inheritance.secrets.map(SecretFile::wipe_when_dropped);
    }

    /// What a service node answers from now on; false if there are no documents yet, with which it is given.
    pub fn store_services(&mut self, services: Vec<Service>) -> Result<bool, MemoryError> {
        self.services = services;
        match self.view.take() {
            // A service node has no clients.
            Some(view) => self.store_documents(&view, Vec::new()).map(|()| true),
            None => Ok(false),
        }
    }

    /// The control plane's side of these rings.
    pub fn plugin_wires(&self) -> Option<Wires> {
        let PluginMemory { rings, requests, answers } = self.plugins.as_ref()?;
        Some(Wires { rings: rings.0.clone(), requests: requests.clone(), answers: answers.clone() })
    }

    /// The counters in shared memory.
    pub fn counters(&self) -> Counters {
        self.counters.0.clone()
    }

    /// Where it listens, with the ports that the system has chosen; each address once.
    pub fn listens_at(&self) -> Vec<Listener> {
        let bound = |fd: &OwnedFd| socket2::SockRef::from(fd).local_addr().ok()?.as_socket();
        let mut all: Vec<_> = (self.listeners.iter())
            .map(|(listener, fd)| Listener { address: bound(fd).unwrap_or(listener.address), ..*listener })
            .collect();
        all.dedup();
        all
    }

    /// The counts of this node's own loops in shared memory.
    pub fn loops(&self) -> LoopCounts {
        self.loops.0.clone()
    }

    /// The events in shared memory.
    pub fn events(&self) -> EventRings {
        self.events.0.clone()
    }

    /// Whether a living data plane is the one that was given all this.
    pub fn is_held_by(&self, handed_back: &HandedBack) -> bool {
        let same_file = |one: BorrowedFd<'_>, other: BorrowedFd<'_>| {
            let identity = |fd| rustix::fs::fstat(fd).map(|stat| (stat.st_dev, stat.st_ino));
            identity(one).is_ok_and(|one| identity(other) == Ok(one))
        };
        handed_back.setup.can_become(&self.setup)
            && handed_back
                .attachments
                .iter()
                .any(|(what, fd)| *what == Descriptor::Counters && same_file(fd.as_fd(), self.counters.1.as_fd()))
    }

    /// What begins the work of a fresh data plane.
    pub fn attach(&self) -> Letter<'_> {
        let fixed = [
            (Descriptor::Counters, self.counters.1.as_fd()),
            (Descriptor::Events, self.events.1.as_fd()),
            (Descriptor::Loops, self.loops.1.as_fd()),
            (Descriptor::InFlight, self.in_flight.1.as_fd()),
        ];
        let listeners = self.listeners.iter().map(|(listener, fd)| (Descriptor::Listener(*listener), fd.as_fd()));
        let plugins = self.plugins.iter().flat_map(PluginMemory::attachments);
        let attachments = fixed.into_iter().chain(listeners).chain(plugins).collect();
        let refused = self.suspects.refused().to_vec();
        (ToData::Attach { setup: Box::new(self.setup.clone()), refused }, attachments)
    }

    /// The keys, once there are some.
    pub fn keys(&self) -> Option<Letter<'_>> {
        let (epochs, secrets) = self.secrets.as_ref()?;
        let sets = self.replay_sets.iter().map(|(&epoch, fd)| (Descriptor::ReplaySet { epoch }, fd.as_fd()));
        let attachments = [(Descriptor::Secrets, secrets.as_fd())].into_iter().chain(sets).collect();
        Some((ToData::Keys { epochs: epochs.clone() }, attachments))
    }

    /// The documents, once there are some.
    pub fn documents(&self) -> Option<Letter<'_>> {
        let (serial, fd) = self.snapshot.as_ref()?;
        Some((ToData::Publish { serial: *serial }, vec![(Descriptor::Snapshot { serial: *serial }, fd.as_fd())]))
    }

    /// What is to be remembered, once there is something.
    pub fn to_remember(&self) -> Option<Letter<'_>> {
        let fd = self.remembered.as_ref()?;
        Some((ToData::Remember, vec![(Descriptor::Remembered, fd.as_fd())]))
    }

    /// The values of the setup that may change.
    pub fn adjustment(&self) -> Letter<'_> {
        (ToData::Adjust { number: self.adjustment, to: self.setup.adjustable() }, Vec::new())
    }

    /// The number of their last change.
    pub fn adjustment_number(&self) -> u64 {
        self.adjustment
    }

    /// Takes over such values, if a data plane could run with them.
    pub fn store_adjustment(&mut self, to: &Adjustable) -> Result<(), SetupError> {
        let mut setup = self.setup.clone();
        setup.adjust(to);
        setup.check()?;
        (self.setup, self.adjustment) = (setup, self.adjustment + 1);
        Ok(())
    }

    /// Whether a service manager keeps what the next start goes on with.
    pub fn has_manager(&self) -> bool {
        self.manager.is_some()
    }

    /// The epochs of the mix keys, and how full their replay sets are.
    pub fn fills(&self) -> Vec<(Epoch, Fill)> {
        let fill = |(epoch, fd): (&Epoch, &OwnedFd)| Some((*epoch, ReplaySet::attach(fd).ok()?.fill()));
        self.replay_sets.iter().filter_map(fill).collect()
    }

    /// The epochs of the keys.
    pub fn key_epochs(&self) -> &[Epoch] {
        self.secrets.as_ref().map_or(&[], |(epochs, _)| epochs)
    }

    /// The serial of the documents.
    pub fn serial(&self) -> u64 {
        self.snapshot.as_ref().map_or(0, |(serial, _)| *serial)
    }

    /// The data plane has ended without being told to. Gives the number of packets that went with it.
    pub fn lost(&mut self) -> u64 {
        self.suspects.crashed(self.in_flight.0.take());
        self.counters.0.settle_after_crash()
    }

    /// How many packets the next data plane refuses as poison.
    pub fn refused(&self) -> usize {
        self.suspects.refused().len()
    }

    /// Takes over the live mix keys, each with its replay set.
    pub fn store_keys(&mut self, keys: &PrivateMixKeys) -> Result<(), MemoryError> {
        let epochs: Vec<Epoch> = keys.iter().map(|(epoch, _)| Epoch(*epoch)).collect();
        for epoch in &epochs {
            if !self.replay_sets.contains_key(epoch) {
                let mut key = [0; 16];
                OsRandom.fill(&mut key);
                let (set, fd) = ReplaySet::create(epoch.0, self.setup.replay_buckets, key)?;
                if self.setup.populates_replay_sets {
                    // Half a second for a large set: nobody waits for it, the pages come by themselves until then.
                    let populate = move || set.populate_and_collapse();
                    let _comes_by_itself = std::thread::Builder::new().name("populate".into()).spawn(populate);
                }
                self.replay_sets.insert(*epoch, fd);
            }
        }
        let secrets = Secrets {
            link_private_key: SecretBytes::new(&self.link_private_key)?,
            mix_keys: keys
                .iter()
                .map(|(epoch, private)| Ok((Epoch(*epoch), SecretBytes::new(private)?)))
                .collect::<Result<_, MemoryError>>()?,
        };
        let file = secrets.to_file()?;
        let file = if self.manager.is_some() { file.kept_elsewhere() } else { file };
        // Only now that nothing can fail any more: the keys before need theirs.
        self.replay_sets.retain(|epoch, _| epochs.contains(epoch));
        let before = self.secrets.replace((epochs, file));
        self.keep();
        if let Some((_, file)) = before {
            self.secrets_before = Some(file.wipe_when_dropped());
        }
        Ok(())
    }

    /// Takes over the documents as they are now.
    pub fn store_documents(&mut self, view: &View, client_documents: Vec<ClientDocument>) -> Result<(), MemoryError> {
        let serial = self.snapshot.as_ref().map_or(1, |(serial, _)| serial + 1);
        let delays = view.documents().iter().map(|map| (map.epoch, pki::document::delay_cap_ms(map.mu)));
        let snapshot = Snapshot {
            serial,
            view: view.clone(),
            delay_ms_max: delays.collect(),
            client_documents,
            services: self.services.clone(),
        };
        self.snapshot = Some((serial, snapshot.to_file()?));
        self.view = Some(snapshot.view);
        Ok(())
    }

    /// Takes over what a later control plane needs.
    pub fn store_remembered(&mut self, stored: &Stored) -> Result<(), MemoryError> {
        let bytes = postcard::to_stdvec(stored).map_err(|_| MemoryError::Content("remembered"))?;
        self.remembered = Some(memory::seal("remembered", &bytes)?);
        self.keep();
        Ok(())
    }

    /// Has a service manager keep what the next start goes on with.
    pub fn keep_with(&mut self, manager: Manager) -> Result<(), MemoryError> {
        self.manager = Some((manager, stored::setup_file(&self.setup)?));
        self.secrets = self.secrets.take().map(|(epochs, file)| (epochs, file.kept_elsewhere()));
        self.keep();
        Ok(())
    }

    fn keep(&mut self) {
        let Some((manager, setup)) = &mut self.manager else { return };
        let named = |what: Descriptor, fd| (stored::name(&what), fd);
        let listeners = self.listeners.iter().enumerate().map(|(at, (listener, fd))| {
            let number = self.listeners[..at].iter().filter(|(other, _)| other == listener).count();
            (stored::listener_name(listener, number), fd.as_fd())
        });
        // The sets before the keys: keys without them would be worse than none.
        let sets = self.replay_sets.iter().map(|(&epoch, fd)| named(Descriptor::ReplaySet { epoch }, fd.as_fd()));
        let secrets = self.secrets.iter().map(|(_, file)| named(Descriptor::Secrets, file.as_fd()));
        let remembered = self.remembered.iter().map(|fd| named(Descriptor::Remembered, fd.as_fd()));
        let setup = [(stored::SETUP.to_owned(), setup.as_fd())];
        let kept: Vec<_> = setup.into_iter().chain(listeners).chain(sets).chain(secrets).chain(remembered).collect();
        manager.keep(&kept);
    }

    /// The mix keys of a data plane that has ended, and where their packets were noted.
    pub fn leave(self) -> Result<(PrivateMixKeys, BTreeMap<Epoch, OwnedFd>), MemoryError> {
        let Some((_, file)) = &self.secrets else { return Ok(Default::default()) };
        Ok((mix_keys(&Secrets::open(file)?), self.replay_sets))
    }
}

/// The mix keys among secrets.
pub fn mix_keys(secrets: &Secrets) -> PrivateMixKeys {
    within(|| secrets.mix_keys.iter().map(|(epoch, key)| (epoch.0, Zeroizing::new(key.expose().to_vec()))).collect())
}

/// What was remembered in a descriptor.
pub fn remembered(fd: &OwnedFd) -> Result<Stored, MemoryError> {
    let content = memory::SealedMemory::open(fd, "remembered", REMEMBERED_BYTES_MAX)?;
    // Of another version: fetch and publish anew.
    Ok(postcard::from_bytes(&content).unwrap_or_default())
}
