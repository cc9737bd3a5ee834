//! What a start finds: a data plane that is at work, and goes on or leaves what it holds to another.

use super::handed_back::{ANSWER_LIMIT, HandedBack, Inheritance, end, greet};
use super::plane::{DataPlane, PlaneError};
use super::supervise::{STOP_LIMIT, rehearse};
use super::{MODULE, Node, StartError, stored};
use crate::directory::Stored;
use crate::keys::{MixKeys, Scheme};
use crate::process::listen::{self, Families, ListenError};
use crate::process::manager::Manager;
use crate::process::remedy;
use interplane::channel::Channel;
use interplane::inherited;
use interplane::message::Listener;
use interplane::setup::Setup;
use secret_memory::within;
use std::os::fd::OwnedFd;
use std::path::Path;
use zeroize::Zeroizing;

/// Name of the socket of a data plane that is only tried, beside the other one's.
const REHEARSAL_NAME: &str = "dataplane.trial.sock";

/// What a start finds or makes.
pub struct Found {
    /// What the data plane is given.
    pub plane: DataPlane,
    /// The channel to one that is at work.
    pub resumed: Option<Channel>,
    /// Its mix keys.
    pub mix_keys: MixKeys,
    /// What it remembered.
    pub stored: Stored,
}

impl Node {
    /// Goes on with a living data plane if it works as this configuration wants; else makes one that inherits from it, or from
    /// what was kept since the last one ended.
    pub(super) fn find_or_make_plane(&self, socket: &Path) -> Result<Found, StartError> {
        let (setup, link_key) = (self.setup(), &self.link.private);
        let scheme = Scheme::of(&self.config.geometry).map_err(|error| StartError::Authorities(error.to_string()))?;
        let mut mix_keys = MixKeys::new(scheme);
        let bad_key = |error| StartError::Scheme { what: "mix key", error };
        let wanted = self.listeners(setup.machine.shards.into())?;
        let FromManager { manager, kept, listeners } = FromManager::take(&wanted);
        let (mut inheritance, replaced);
        if let Some((channel, Some(handed_back))) = greet(socket, ANSWER_LIMIT, || true)? {
            if handed_back.works_as(&setup, &wanted, link_key) {
                let (mut plane, keys, stored) = DataPlane::adopt(handed_back, within(|| link_key.clone()))?;
                plane.store_adjustment(&setup.adjustable()).map_err(|error| PlaneError::Refused(error.to_string()))?;
                self.keep_with(&mut plane, manager)?;
                mix_keys.adopt(keys).map_err(bad_key)?;
                self.log.notice(MODULE, "going on with the data plane that is at work");
                return Ok(Found { plane, resumed: Some(channel), mix_keys, stored });
            }
            inheritance = handed_back.inheritance(&setup, link_key)?;
            replaced = Some(channel);
        } else {
            replaced = None;
            inheritance = self.kept_by_manager(kept, &setup);
            inheritance.listeners = listeners;
        }
        mix_keys.adopt(std::mem::take(&mut inheritance.mix_keys)).map_err(bad_key)?;
        let mut in_files = self.kept_keys(scheme, &mix_keys.epochs())?;
        inheritance.add_sets(std::mem::take(&mut in_files.replay_sets), replaced.is_none());
        mix_keys.adopt(std::mem::take(&mut in_files.mix_keys)).map_err(bad_key)?;
        let listeners = listen::bind_all(&wanted, std::mem::take(&mut inheritance.listeners))?;
        self.tell_of_buffers(&listeners);
        if replaced.is_some() && !self.config.own.dataplane.run_as_two_units {
            self.rehearse(socket, &setup)?;
        }
        let stored = std::mem::take(&mut inheritance.stored);
        let link_key = within(|| link_key.clone());
        let mut plane = DataPlane::new(setup, link_key, listeners).map_err(PlaneError::from)?;
        // Only now that little can fail any more.
        if let Some(channel) = replaced {
            self.log.notice(MODULE, "the configuration has changed: replacing the data plane that is at work");
            end(&channel, STOP_LIMIT);
        }
        plane.inherit(inheritance);
        let keys: Vec<_> = within(|| mix_keys.private_keys().map(|(epoch, key)| (epoch, key.clone())).collect());
        if !keys.is_empty() {
            // The directory worker tells of keys only when it makes some.
            plane.store_keys(&keys).map_err(PlaneError::from)?;
        }
        self.keep_with(&mut plane, manager)?;
        in_files.consume()?;
        Ok(Found { plane, resumed: None, mix_keys, stored })
    }

    /// Warns once of sockets that may hold few datagrams only.
    fn tell_of_buffers(&self, listeners: &[(Listener, OwnedFd)]) {
        let small = listeners.iter().find_map(|(listener, fd)| Some((listener, listen::small_buffer(fd)?)));
        if let Some((listener, bytes)) = small {
            self.log.warning(MODULE, format_args!("{listener} {}", remedy::small_buffer(bytes)));
        }
    }

    fn keep_with(&self, plane: &mut DataPlane, manager: Option<Manager>) -> Result<(), PlaneError> {
        manager.map_or(Ok(()), |manager| plane.keep_with(manager)).map_err(PlaneError::from)
    }

    /// What a service manager has kept since both processes of the node ended, if this one can go on with it.
    fn kept_by_manager(&self, kept: Vec<(String, OwnedFd)>, setup: &Setup) -> Inheritance {
        if kept.is_empty() {
            return Inheritance::default();
        }
        let inheritance = match HandedBack::kept(kept).map(|kept| kept.inheritance(setup, &self.link.private)) {
            Some(Ok(inheritance)) => inheritance,
            Some(Err(error)) => {
                self.log.warning(MODULE, format_args!("what the service manager has kept is of no use: {error}"));
                return Inheritance::default();
            }
            None => {
                let news = "what the service manager has kept is another version's: this node begins with new mix keys";
                self.log.warning(MODULE, news);
                return Inheritance::default();
            }
        };
        match inheritance.mix_keys.len() {
            0 => self.log.warning(MODULE, "the service manager has kept no mix key that this node could use"),
            keys => {
                let news =
                    format_args!("going on with {keys} mix keys and their replay sets, kept by the service manager");
                self.log.notice(MODULE, news);
            }
        }
        inheritance
    }

    /// Whether a data plane of that setup works beside the one that is at work. One that another unit starts has that
    /// unit's limits, of which nothing can be tried here.
    fn rehearse(&self, socket: &Path, setup: &Setup) -> Result<(), PlaneError> {
        let trial = DataPlane::new(setup.clone(), Zeroizing::default(), Vec::new())?;
        rehearse(&trial, &socket.with_file_name(REHEARSAL_NAME))
            .map_err(|error| PlaneError::Rehearsal { reason: error.to_string(), socket: socket.into() })
    }

    /// What a data plane with so many shards listens with.
    fn listeners(&self, shards: usize) -> Result<Vec<Listener>, ListenError> {
        listen::for_shards(&listen::resolve(&self.config.network.listen, Families::of_host())?, shards)
    }
}

/// What a service manager gives to this start.
struct FromManager {
    manager: Option<Manager>,
    /// All but listening sockets.
    kept: Vec<(String, OwnedFd)>,
    /// Those that are of use.
    listeners: Vec<(Listener, OwnedFd)>,
}

impl FromManager {
    /// Takes all of it. The manager gives up listening sockets that are not wanted any more: they would be in the way.
    fn take(wanted: &[Listener]) -> Self {
        let mut kept = inherited::take();
        let names: Vec<_> = kept.iter().map(|(name, _)| name.clone()).collect();
        let mut manager = Manager::of_environment(names.iter().map(String::as_str));
        let mut missing = wanted.to_vec();
        let mut listeners = stored::take_listeners(&mut kept);
        listeners.retain(|(_, listener, _)| {
            let found = missing.iter().position(|wanted| wanted == listener);
            found.map(|at| missing.swap_remove(at)).is_some()
        });
        let is_wanted = |name: &String| listeners.iter().any(|(other, _, _)| other == name);
        for name in names.iter().filter(|name| stored::is_listener(name) && !is_wanted(name)) {
            manager.iter_mut().for_each(|manager| manager.forget(name));
        }
        Self { manager, kept, listeners: listeners.into_iter().map(|(_, listener, fd)| (listener, fd)).collect() }
    }
}
