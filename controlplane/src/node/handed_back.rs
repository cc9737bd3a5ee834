//! What a living data plane holds, and what of it a new start can go on with.

use super::plane::{PlaneError, mix_keys, remembered};
use super::stored;
use super::supervise::STOP_LIMIT;
use crate::directory::Stored;
use crate::keys::PrivateMixKeys;
use interplane::channel::{Channel, ChannelError, Received, Trusted};
use interplane::message::{Descriptor, Listener, ToControl, ToData, VERSION};
use interplane::peer::PeerProcess;
use interplane::replay::ReplaySet;
use interplane::secret::{SecretFile, Secrets};
use interplane::setup::Setup;
use pki::Epoch;
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::time::{Duration, Instant};

/// How long a data plane may take to answer.
pub const ANSWER_LIMIT: Duration = Duration::from_secs(5);

/// What a living data plane handed back.
pub struct HandedBack {
    /// How it works.
    pub setup: Setup,
    /// Its descriptors.
    pub attachments: Vec<(Descriptor, OwnedFd)>,
}

impl HandedBack {
    /// What a service manager has kept, as the data plane itself would hand it back, but for the listeners; none if nothing
    /// was, or by another version.
    pub fn kept(kept: Vec<(String, OwnedFd)>) -> Option<Self> {
        let (mut setup, mut attachments) = (None, Vec::new());
        for (name, fd) in kept {
            if name == stored::SETUP {
                setup = stored::setup(&fd);
            } else if let Some(what) = stored::parse(&name) {
                attachments.push((what, fd));
            }
        }
        Some(Self { setup: setup?, attachments })
    }

    /// Whether it works as these say, or does so with values that may change: then it can go on.
    pub fn works_as(&self, setup: &Setup, listen: &[Listener], link_private_key: &[u8]) -> bool {
        let listeners = self.attachments.iter().filter_map(|(what, _)| match what {
            Descriptor::Listener(listener) => Some(listener),
            _ => None,
        });
        let listens_there = listeners.eq(listen);
        self.setup.can_become(setup) && listens_there && self.has_link_key(link_private_key)
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
                Descriptor::ReplaySet { epoch } if is_same_node && is_of(&fd, epoch) => {
                    left.replay_sets.insert(epoch, fd);
                }
                Descriptor::Remembered if is_same_node => left.stored = remembered(&fd)?,
                _ => {}
            }
        }
        // A key whose packets nobody remembers would accept all of them again.
        left.mix_keys.retain(|(epoch, _)| left.replay_sets.contains_key(&Epoch(*epoch)));
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
    /// Where its packets were noted; its mix keys need them.
    pub replay_sets: BTreeMap<Epoch, OwnedFd>,
    /// Its own copy of the mix keys, to be wiped once it has ended.
    pub secrets: Option<SecretFile>,
}

impl Inheritance {
    /// Adds sets that were kept elsewhere. Of two for one key, which were one when they were written, the fuller has seen
    /// everything; `are_compared` unless these belong to a data plane that is at work.
    pub fn add_sets(&mut self, sets: BTreeMap<Epoch, OwnedFd>, are_compared: bool) {
        for (epoch, fd) in sets {
            match self.replay_sets.entry(epoch) {
                Entry::Vacant(none) => {
                    none.insert(fd);
                }
                Entry::Occupied(mut own) if are_compared && is_fuller(&fd, own.get()) => {
                    own.insert(fd);
                }
                Entry::Occupied(_) => {}
            }
        }
    }
}

/// Whether that set is there, and of that epoch.
fn is_of(fd: &OwnedFd, epoch: Epoch) -> bool {
    ReplaySet::attach(fd).is_ok_and(|set| set.epoch() == epoch.0)
}

fn is_fuller(one: &OwnedFd, other: &OwnedFd) -> bool {
    match (ReplaySet::attach(one), ReplaySet::attach(other)) {
        (Ok(one), Ok(other)) => one.is_copy_of(&other) && one.fill().tags > other.fill().tags,
        _ => false,
    }
}

/// Asks the data plane at `path`, if there is one, what it holds. `waits` says every now and then whether an answer is
/// still wanted.
pub fn greet(
    path: &Path,
    limit: Duration,
    waits: impl Fn() -> bool,
) -> Result<Option<(Channel, Option<HandedBack>)>, PlaneError> {
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
    let hangs = || PlaneError::Hangs(PeerProcess::of(&channel).map_or(0, |process| process.number()));
    match await_message(&channel, limit, waits) {
        Err(ChannelError::Closed) => Ok(None),
        Err(error) => Err(error.into()),
        Ok(None) => Err(hangs()),
        Ok(Some(Received { message: ToControl::State { version, .. }, .. })) if version != VERSION => {
            Err(PlaneError::Version(version))
        }
        Ok(Some(Received { message: ToControl::State { setup, .. }, attachments })) => {
            Ok(Some((channel, setup.map(|setup| HandedBack { setup: *setup, attachments }))))
        }
        Ok(Some(Received { message, .. })) => Err(PlaneError::Refused(format!("it answered {message:?}"))),
    }
}

/// Waits for a message no longer than `limit`, nor than `waits` says.
pub fn await_message(
    channel: &Channel,
    limit: Duration,
    waits: impl Fn() -> bool,
) -> Result<Option<Received<ToControl>>, ChannelError> {
    /// Between two questions whether it is still worth waiting.
    const STEP: Duration = Duration::from_millis(50);
    let deadline = Instant::now() + limit;
    loop {
        let rest = deadline.saturating_duration_since(Instant::now());
        let received = channel.recv_within(rest.min(STEP))?;
        if received.is_some() || rest.is_zero() || !waits() {
            return Ok(received);
        }
    }
}

/// Ends a data plane in good order: packets that it holds may leave. One that does not end in time is killed.
pub fn end(channel: &Channel, limit: Duration) {
    let process = PeerProcess::of(channel);
    // One that is gone needs no order.
    let _gone = channel.try_send(&ToData::Stop, &[]);
    let deadline = Instant::now() + limit;
    let rest = || deadline.saturating_duration_since(Instant::now());
    // Whatever it still says, its end is an error.
    while let Ok(Some(_)) = channel.recv_within::<ToControl>(rest()) {}
    if let Ok(process) = process
        && !process.has_ended_within(rest())
    {
        process.kill();
        process.has_ended_within(limit);
    }
}

/// Stops a data plane that has lost its control plane, as an operator wants who has no other use for it.
pub fn stop_orphan(path: &Path) -> Result<(), PlaneError> {
    let channel = Channel::connect(path, Trusted::default())?;
    let process = PeerProcess::of(&channel)?;
    channel.send(&ToData::Stop, &[])?;
    // What it says before it ends is its account; its refusal is all that is wanted to be known.
    let deadline = Instant::now() + STOP_LIMIT;
    let rest = || deadline.saturating_duration_since(Instant::now());
    while let Ok(Some(received)) = channel.recv_within::<ToControl>(rest()) {
        if let ToControl::Failed { .. } = received.message {
            return Err(PlaneError::Refused("the data plane has a control plane; stop that".into()));
        }
    }
    if process.has_ended_within(rest()) { Ok(()) } else { Err(PlaneError::Hangs(process.number())) }
}
