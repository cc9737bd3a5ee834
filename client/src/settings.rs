//! What a client has to know before its first byte.

use config::client::ClientConfig;
use crypto_simd::schemes::Kem;
use pki::authority::{Authorities, AuthoritiesError};
use pki::{EpochClock, NodeId};
use sphinx::Geometry;
use std::sync::Arc;
use wire::CommandSizes;

/// The values of a client's configuration. All fields may be set by hand; [`Settings::of`] takes them from a file.
#[derive(Clone)]
pub struct Settings {
    /// Gateways that are dialled as long as no document is held.
    pub gateways: Vec<Gateway>,
    /// Whose signatures make a document valid.
    pub authorities: Arc<Authorities>,
    /// The sizes of the network's packets.
    pub geometry: Geometry,
    /// KEM of links.
    pub kem: &'static dyn Kem,
    /// Epochs.
    pub clock: EpochClock,
    /// Whether idle slots are filled with loops, and loops are sent at a rate of their own.
    pub sends_decoys: bool,
    /// Transports in the order in which addresses are tried (`tcp`, `tcp4`, `tcp6`, `quic`); what is not listed is not dialled.
    pub transports: Vec<String>,
}

/// A gateway that the client may dial.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gateway {
    /// Its name, for messages.
    pub name: String,
    /// The hash of its identity key.
    pub id: NodeId,
    /// Its link key.
    pub link_key: Vec<u8>,
    /// Its URLs.
    pub addresses: Vec<String>,
}

impl Settings {
    /// The settings of a configuration file. The clock is no part of it: the environment has the period.
    pub fn of(config: &ClientConfig, clock: EpochClock) -> Result<Self, AuthoritiesError> {
        let gateways = config.gateways.iter().map(|gateway| Gateway {
            name: gateway.name.clone(),
            id: pki::hash(&gateway.identity_public_key),
            link_key: gateway.link_public_key.clone(),
            addresses: gateway.addresses.iter().map(|address| address.url().to_owned()).collect(),
        });
        // The configuration has checked their keys.
        let authorities =
            config.authorities.iter().map(|authority| authority.listed().map_err(|_| AuthoritiesError::None));
        Ok(Self {
            gateways: gateways.collect(),
            authorities: Arc::new(Authorities::new(authorities.collect::<Result<_, _>>()?)?),
            geometry: config.geometry.clone(),
            kem: config.wire_kem.0,
            clock,
            sends_decoys: !config.is_decoy_traffic_disabled,
            transports: config.transports.clone(),
        })
    }

    /// Sizes of commands on links of this network.
    pub(crate) fn command_sizes(&self) -> CommandSizes {
        let geometry = &self.geometry;
        CommandSizes::mixnet(geometry.packet_length, geometry.payload_tag_length + geometry.forward_payload_length)
    }
}
