//! What a start finds: a data plane that is at work, and goes on or leaves what it holds to another.

use super::handed_back::{ANSWER_LIMIT, HandedBack, Inheritance, end, greet};
use super::plane::{DataPlane, PlaneError};
use super::supervise::{STOP_LIMIT, rehearse};
use super::{MODULE, Node, StartError};
use crate::directory::Stored;
use crate::keys::{MixKeys, Scheme};
use crate::process::listen::{self, Families, ListenError};
use crate::process::manager::Manager;
use interplane::channel::Channel;
use interplane::inherited;
use interplane::setup::Setup;
use secret_memory::within;
use std::net::SocketAddr;
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
    /// Goes on with a living data plane if it works as this configuration wants; else makes one that inherits from it.
    pub(super) fn find_or_make_plane(&self, socket: &Path) -> Result<Found, StartError> {
        let (setup, link_key) = (self.setup(), &self.link.private);
        let inherited = inherited::take();
        let names: Vec<_> = inherited.iter().map(|(name, _)| name.clone()).collect();
        let manager = Manager::of_environment(names.iter().map(String::as_str));
        let scheme = Scheme::of(&self.config.geometry).map_err(|error| StartError::Authorities(error.to_string()))?;
        let mut mix_keys = MixKeys::new(scheme);
        let bad_key = |error| StartError::Scheme { what: "mix key", error };
        let addresses = self.listen_addresses()?;
        let (mut inheritance, mut replaced) = (Inheritance::default(), None);
        if let Some((channel, Some(handed_back))) = greet(socket, ANSWER_LIMIT, || true)? {
            if handed_back.works_as(&setup, &addresses, link_key) {
                let (mut plane, keys, stored) = DataPlane::adopt(handed_back, within(|| link_key.clone()))?;
                self.keep_with(&mut plane, manager)?;
                mix_keys.adopt(keys).map_err(bad_key)?;
                self.log.notice(MODULE, "going on with the data plane that is at work");
                return Ok(Found { plane, resumed: Some(channel), mix_keys, stored });
            }
            inheritance = handed_back.inheritance(&setup, link_key)?;
            mix_keys.adopt(std::mem::take(&mut inheritance.mix_keys)).map_err(bad_key)?;
            replaced = Some(channel);
        } else if let Some(kept) = self.kept_by_manager(inherited, &setup) {
            inheritance = kept;
            mix_keys.adopt(std::mem::take(&mut inheritance.mix_keys)).map_err(bad_key)?;
        }
        let listeners = listen::bind_all(&addresses, std::mem::take(&mut inheritance.listeners))?;
        if replaced.is_some() && !self.config.own.dataplane.run_as_two_units {
            self.rehearse(socket, &setup)?;
        }
        let stored = std::mem::take(&mut inheritance.stored);
        let link_key = within(|| link_key.clone());
        let mut plane = DataPlane::new(setup, link_key, listeners).map_err(PlaneError::from)?;
        // Only now that nothing can fail any more.
        if let Some(channel) = replaced {
            self.log.notice(MODULE, "the configuration has changed: replacing the data plane that is at work");
            end(&channel, STOP_LIMIT);
        }
        let kept = self.kept_keys(scheme)?;
        mix_keys.adopt(kept.mix_keys).map_err(bad_key)?;
        for (epoch, set) in kept.replay_sets {
            inheritance.replay_sets.entry(epoch).or_insert(set);
        }
        plane.inherit(inheritance);
        let keys: Vec<_> = within(|| mix_keys.private_keys().map(|(epoch, key)| (epoch, key.clone())).collect());
        if !keys.is_empty() {
            // The directory worker tells of keys only when it makes some.
            plane.store_keys(&keys).map_err(PlaneError::from)?;
        }
        self.keep_with(&mut plane, manager)?;
        Ok(Found { plane, resumed: None, mix_keys, stored })
    }

    fn keep_with(&self, plane: &mut DataPlane, manager: Option<Manager>) -> Result<(), PlaneError> {
        manager.map_or(Ok(()), |manager| plane.keep_with(manager)).map_err(PlaneError::from)
    }

    /// What a service manager has kept since both processes of the node ended, if this one can go on with it.
    fn kept_by_manager(&self, kept: Vec<(String, OwnedFd)>, setup: &Setup) -> Option<Inheritance> {
        let handed_back = HandedBack::kept(kept)?;
        match handed_back.inheritance(setup, &self.link.private) {
            Ok(inheritance) => {
                let keys = inheritance.mix_keys.len();
                let news =
                    format_args!("going on with {keys} mix keys and their replay sets, kept by the service manager");
                self.log.notice(MODULE, news);
                Some(inheritance)
            }
            Err(error) => {
                self.log.warning(MODULE, format_args!("what the service manager has kept is of no use: {error}"));
                None
            }
        }
    }

    /// Whether a data plane of that setup works beside the one that is at work. One that another unit starts has that
    /// unit's limits, of which nothing can be tried here.
    fn rehearse(&self, socket: &Path, setup: &Setup) -> Result<(), PlaneError> {
        let trial = DataPlane::new(setup.clone(), Zeroizing::default(), Vec::new())?;
        rehearse(&trial, &socket.with_file_name(REHEARSAL_NAME))
            .map_err(|error| PlaneError::Rehearsal { reason: error.to_string(), socket: socket.into() })
    }

    /// Where the data plane listens.
    fn listen_addresses(&self) -> Result<Vec<SocketAddr>, ListenError> {
        listen::resolve(&self.config.network.listen, Families::of_host())
    }
}
