//! A node's own descriptor, made from its configuration and keys (server.md 8.3.1).

use super::{AUTHENTICATION_TOFU, Capabilities, IllFormed, MixDescriptor, Services};
use crate::MIX_KEY_EPOCHS;
use crate::address::Addresses;
use crate::epoch::Epoch;
use crate::neighbours::{OwnNode, Role};
use std::collections::BTreeMap;

/// What a node's descriptor says besides its identity: the same for every epoch.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct OwnProfile {
    /// URLs by transport, as the configuration makes them.
    pub addresses: BTreeMap<String, Vec<String>>,
    /// A service node's capabilities with their parameters; not published by other roles.
    pub services: Capabilities,
    /// What the operator of a service node says about its services; not published by other roles.
    pub advertized_data: Capabilities,
}

impl MixDescriptor {
    /// The descriptor of `own` for `epoch`, if it is well formed. Of `mix_keys` only the three epochs from `epoch` on
    /// are published. The same arguments make the same bytes, as a second upload of an epoch has to.
    pub fn of_node(
        own: &OwnNode,
        profile: &OwnProfile,
        epoch: Epoch,
        mix_keys: &BTreeMap<Epoch, Vec<u8>>,
    ) -> Result<Self, IllFormed> {
        let published = mix_keys.range(epoch..epoch.after(MIX_KEY_EPOCHS));
        let is_service_node = own.role == Role::Service;
        let descriptor = Self {
            name: own.name.clone(),
            epoch,
            link_key: Some(own.link_key.clone()),
            mix_keys: Some(published.map(|(epoch, key)| (*epoch, Some(key.clone()))).collect()),
            addresses: Some(Addresses::from(&profile.addresses)),
            kaetzchen: is_service_node.then(|| Services::from(&profile.services)),
            identity_key: Some(own.identity_key.clone()),
            is_gateway_node: own.role == Role::Gateway,
            is_service_node,
            authentication_type: if own.role == Role::Gateway { AUTHENTICATION_TOFU.into() } else { String::new() },
            kaetzchen_advertized_data: is_service_node.then(|| Services::from(&profile.advertized_data)),
            ..Self::default()
        };
        for key in (0..MIX_KEY_EPOCHS).map(|n| epoch.after(n)) {
            descriptor.mix_key(key).ok_or(IllFormed::MixKeyMissing(key))?;
        }
        descriptor.check(epoch)?;
        Ok(descriptor)
    }
}
