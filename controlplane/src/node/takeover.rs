//! What a start finds: a data plane that is at work, and goes on or leaves what it holds to another.

use super::plane::{self, DataPlane, Inheritance, PlaneError, SharedPlane};
use super::stop::STOP_LIMIT;
use super::{MODULE, Node, StartError, listen};
use crate::directory::{Plane, Stored};
use crate::keys::MixKeys;
use interplane::channel::Channel;
use listen::ListenError;
use secret_memory::within;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, Mutex};

/// What a start finds or makes.
pub struct Started {
    /// The data plane.
    pub plane: SharedPlane,
    /// The channel to one that is at work.
    pub resumed: Option<Channel>,
    /// Its mix keys.
    pub mix_keys: MixKeys,
    /// What it remembered.
    pub stored: Stored,
}

impl Node {
    /// Goes on with a living data plane if it works as this configuration wants; else makes one that inherits from it.
    pub(super) fn find_or_make_plane(&self, socket: &Path) -> Result<Started, StartError> {
        let (setup, link_key) = (self.setup(), &self.link.private);
        let scheme =
            sphinx::Scheme::of(&self.config.geometry).map_err(|error| StartError::Authorities(error.to_string()))?;
        let mut mix_keys = MixKeys::new(scheme);
        let bad_key = |error| StartError::Scheme { what: "mix key", error };
        let addresses = self.listen_addresses()?;
        let (mut inheritance, mut replaced) = (Inheritance::default(), None);
        if let Some((channel, Some(handed_back))) = plane::greet(socket)? {
            if handed_back.works_as(&setup, &addresses, link_key) {
                let (plane, keys, stored) =
                    DataPlane::adopt(handed_back, within(|| link_key.clone()), self.log.clone())?;
                mix_keys.adopt(keys).map_err(bad_key)?;
                self.log.notice(MODULE, "going on with the data plane that is at work");
                return Ok(Started { plane: share(plane), resumed: Some(channel), mix_keys, stored });
            }
            inheritance = handed_back.inheritance(&setup, link_key)?;
            mix_keys.adopt(std::mem::take(&mut inheritance.mix_keys)).map_err(bad_key)?;
            replaced = Some(channel);
        }
        let listeners = listen::bind_all(&addresses, std::mem::take(&mut inheritance.listeners))?;
        let stored = std::mem::take(&mut inheritance.stored);
        let link_key = within(|| link_key.clone());
        let mut plane = DataPlane::new(setup, link_key, listeners, self.log.clone()).map_err(PlaneError::from)?;
        // Only now that nothing can fail any more.
        if let Some(channel) = replaced {
            self.log.notice(MODULE, "the configuration has changed: replacing the data plane that is at work");
            plane::end(&channel, STOP_LIMIT);
        }
        plane.inherit(inheritance);
        let mut plane = share(plane);
        if !mix_keys.epochs().is_empty() {
            // The directory worker tells of keys only when it makes some.
            plane.set_keys(&mix_keys);
        }
        Ok(Started { plane, resumed: None, mix_keys, stored })
    }

    fn listen_addresses(&self) -> Result<Vec<SocketAddr>, ListenError> {
        let mut addresses = Vec::new();
        for address in &self.config.network.listen {
            addresses.extend(listen::resolve(address)?);
        }
        Ok(addresses)
    }
}

fn share(plane: DataPlane) -> SharedPlane {
    SharedPlane(Arc::new(Mutex::new(plane)))
}
