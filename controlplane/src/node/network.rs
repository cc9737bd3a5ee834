//! What the configuration says of the network: who this node is in it, its authorities, and how they are reached.

use super::{Node, StartError};
use crate::directory::session::{Caller, Clocks, Dialler};
use crate::directory::{DirectoryOptions, Internet};
use crate::plugins::Offer;
use config::{ServerConfig, address};
use interplane::loops::LoopCounts;
use pki::authority::Authorities;
use pki::descriptor::OwnProfile;
use pki::neighbours::OwnNode;
use secret_memory::within;
use std::collections::BTreeMap;
use std::net::ToSocketAddrs;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use wire::CommandSizes;

impl Node {
    /// What the directory worker goes by, and how it reaches authorities.
    pub(super) fn directory_options(&self, loops: LoopCounts) -> Result<(DirectoryOptions, Internet), StartError> {
        let config = &self.config;
        let own = OwnNode {
            name: config.identifier.clone(),
            identity_key: self.identity.public.clone(),
            link_key: self.link.public.clone(),
            role: self.role.listed_as(),
        };
        let identity = within(|| config.pki_signature_scheme.load(&self.identity.private))
            .map_err(|error| StartError::Scheme { what: "identity.private.pem", error })?;
        let link = within(|| config.wire_kem.load(&self.link.private))
            .map_err(|error| StartError::Scheme { what: "link.private.pem", error })?;
        let caller =
            Caller { link_key: within(|| Arc::from(link)), additional_data: pki::hash(&own.identity_key).to_vec() };
        let mut addresses = config.authorities.iter().flat_map(|authority| &authority.addresses);
        if addresses.any(|at| at.transport == address::Transport::Quic) {
            streams::warm_up();
        }
        let options = DirectoryOptions {
            clock: self.clock,
            authorities: Arc::new(authorities(config)?),
            geometry_hash: config.geometry.hash(),
            client_chunk_bytes: self.role.has_clients().then(|| chunk_bytes(config)),
            profile: OwnProfile { addresses: advertised(config)?, ..OwnProfile::default() },
            offer: watch::channel(Offer::default()).1,
            loops,
            own,
            identity: within(|| Arc::from(identity)),
        };
        Ok((options, Internet::new(dialler(config), caller)))
    }
}

/// The configured authorities.
pub fn authorities(config: &ServerConfig) -> Result<Authorities, StartError> {
    let list = config.authorities.iter().map(|authority| {
        authority.listed().map_err(|error| StartError::Authorities(format!("{}: {error}", authority.identifier)))
    });
    let list = list.collect::<Result<_, StartError>>()?;
    Authorities::new(list).map_err(|error| StartError::Authorities(error.to_string()))
}

/// Bytes of the chunks in which clients get documents (wire.md 6.6).
fn chunk_bytes(config: &ServerConfig) -> usize {
    let geometry = &config.geometry;
    let surb_reply_bytes = geometry.payload_tag_length + geometry.forward_payload_length;
    CommandSizes::mixnet(geometry.packet_length, surb_reply_bytes).server_to_client_bytes()
}

/// How this configuration reaches authorities. The reference hands on whole seconds, 0 meaning 30 and 3 (server.md 2.6).
pub fn dialler(config: &ServerConfig) -> Dialler {
    Dialler {
        kem: config.wire_kem.0,
        pki_public_key_bytes: config.pki_signature_scheme.info().public_key_bytes,
        connect_limit: config.debug.connect_timeout,
        handshake_limit: config.debug.handshake_timeout,
        answer_limit: Duration::from_secs(30),
        clocks: Clocks::default(),
    }
}

fn advertised(config: &ServerConfig) -> Result<BTreeMap<String, Vec<String>>, StartError> {
    address::advertised(&config.network.advertised, |name| {
        let found = (name, 0).to_socket_addrs();
        found.map(|found| found.map(|address| address.ip()).collect()).map_err(|error| {
            StartError::Addresses(format!("{name} cannot be resolved: {error}; write an address, or mend the name"))
        })
    })
}
