//! The network that the node finds itself in: who is in it, and the documents about it. The node is a mix of the middle
//! layer, the gateway, or the service node; all others belong to the rig.

use crate::members::{Member, listing};
use crate::session::{Identity, unix_now};
use crypto_simd::random::OsRandom;
use crypto_simd::schemes::{Kem, SignatureSigningKey, signature};
use pki::descriptor::MixDescriptor;
use pki::document::Document;
use pki::neighbours::Role as NodeRole;
use pki::{Epoch, EpochClock};
use sphinx::Geometry;
use std::net::SocketAddr;
use std::time::Duration;
use wire::{CommandSizes, Role, SessionConfig};

/// The only signature scheme of the rig's network.
pub const SIGNATURE_SCHEME: &str = "Ed25519";
/// The link KEM of the rig's network.
pub const WIRE_KEM: &str = "XWING";
/// The measured node's name.
pub const NODE_NAME: &str = "measured";
/// The scheme of addresses over TCP.
pub const TCP: &str = "tcp";
/// The scheme of addresses over QUIC.
pub const QUIC: &str = "quic";
/// Where nodes claim to be that nobody dials.
const NOWHERE: &str = "tcp://127.0.0.1:1";

/// A node that the rig plays.
pub struct Peer {
    /// Its name in documents.
    pub name: String,
    /// What it does.
    pub role: NodeRole,
    /// Its end of links.
    pub identity: Identity,
    /// The identity key whose hash its id is.
    pub identity_key: Vec<u8>,
    /// Where it listens, if anybody dials it.
    pub address: Option<SocketAddr>,
    /// Over what it is dialled: the scheme of its address.
    pub scheme: &'static str,
}

/// Everybody but the node.
pub struct Network {
    /// Sizes of packets.
    pub geometry: Geometry,
    /// KEM of all links.
    pub kem: &'static dyn Kem,
    /// Epochs.
    pub clock: EpochClock,
    /// Nodes of the layer before the node's.
    pub upstream: Vec<Peer>,
    /// Nodes of the layer behind the node's.
    pub downstream: Vec<Peer>,
    /// One more node of that earlier layer, which has no packets to send and is free to call.
    pub caller: Peer,
    gateway: Peer,
    service: Peer,
    /// What the node is. At a gateway and at a service node those upstream are the last layer, those downstream the first.
    pub role: NodeRole,
    /// The authority's signing key.
    pub authority: Box<dyn SignatureSigningKey>,
    /// The authority's end of links.
    pub authority_identity: Identity,
    /// Rate of the delays, per millisecond.
    pub mu: f64,
}

impl Network {
    /// A network of `links` nodes on either side of the measured one; `listening` are the addresses of those behind.
    pub fn new(
        geometry: Geometry,
        clock: EpochClock,
        mu: f64,
        links: usize,
        listening: &[SocketAddr],
    ) -> Result<Self, String> {
        let kem = crypto_simd::schemes::kem::by_name(WIRE_KEM).map_err(|error| error.to_string())?;
        let peer = |name: String, role, address| Peer::generate(name, role, address, kem);
        let authority = signing_key()?;
        let authority_identity = Identity::generate(pki::hash(authority.public_key()), kem)?;
        Ok(Self {
            upstream: (0..links).map(|n| peer(format!("before{n}"), NodeRole::Mix, None)).collect::<Result<_, _>>()?,
            downstream: listening
                .iter()
                .enumerate()
                .map(|(n, address)| peer(format!("behind{n}"), NodeRole::Mix, Some(*address)))
                .collect::<Result<_, _>>()?,
            caller: peer("caller".into(), NodeRole::Mix, None)?,
            gateway: peer("gateway".into(), NodeRole::Gateway, None)?,
            service: peer("service".into(), NodeRole::Service, None)?,
            role: NodeRole::Mix,
            geometry,
            kem,
            clock,
            authority,
            authority_identity,
            mu,
        })
    }

    /// Sessions between nodes.
    pub fn mixnet_session(&self, role: Role) -> SessionConfig {
        let surb_reply_bytes = self.geometry.payload_tag_length + self.geometry.forward_payload_length;
        let sizes = CommandSizes::mixnet(self.geometry.packet_length, surb_reply_bytes);
        SessionConfig::mixnet(role, self.kem, sizes).receive_client_to_server()
    }

    /// The end of a session at which a client is.
    pub fn client_session(&self) -> SessionConfig {
        SessionConfig::mixnet(Role::Initiator, self.kem, self.mixnet_session(Role::Initiator).sizes)
    }

    /// Sessions with the authority.
    pub fn pki_session(&self, role: Role) -> SessionConfig {
        SessionConfig::pki(role, self.kem, CommandSizes::pki(self.authority.public_key().len()))
    }

    /// The current epoch.
    pub fn epoch(&self) -> Epoch {
        self.clock.now(unix_now()).map_or(Epoch(0), |time| time.epoch)
    }

    /// The signed document for `epoch`, with the node as its descriptor for that epoch says.
    pub fn document(&self, epoch: Epoch, node: MixDescriptor) -> Result<Vec<u8>, String> {
        let layer = |peers: &[Peer]| peers.iter().map(|peer| peer.descriptor(epoch)).collect::<Vec<_>>();
        let mut before = layer(&self.upstream);
        before.push(self.caller.descriptor(epoch));
        let behind = layer(&self.downstream);
        let (gateway, service) = (|| vec![self.gateway.descriptor(epoch)], || vec![self.service.descriptor(epoch)]);
        let (topology, gateways, services) = match self.role {
            NodeRole::Mix => (vec![before, vec![node], behind], gateway(), service()),
            NodeRole::Gateway => (vec![behind, before], vec![node], service()),
            NodeRole::Service => (vec![behind, before], gateway(), vec![node]),
        };
        let document = Document {
            mu: self.mu,
            sphinx_geometry_hash: self.geometry.hash().to_vec(),
            ..listing(epoch, topology, gateways, services)
        };
        let signed = document.sign(&[&*self.authority], self.epoch(), &mut OsRandom);
        Ok(signed.map_err(|error| error.to_string())?.encode())
    }
}

impl Peer {
    /// A node with fresh keys.
    pub fn generate(
        name: String,
        role: NodeRole,
        address: Option<SocketAddr>,
        kem: &'static dyn Kem,
    ) -> Result<Self, String> {
        let identity_key = signing_key()?.public_key().to_vec();
        let identity = Identity::generate(pki::hash(&identity_key), kem)?;
        Ok(Self { name, role, identity, identity_key, address, scheme: TCP })
    }

    /// What the network knows of it.
    pub fn member(&self) -> Member {
        Member {
            name: self.name.clone(),
            role: self.role,
            identity_key: self.identity_key.clone(),
            link_key: self.identity.link_key.public_key().to_vec(),
            url: self.address.map_or(NOWHERE.into(), |address| format!("{}://{address}", self.scheme)),
        }
    }

    fn descriptor(&self, epoch: Epoch) -> MixDescriptor {
        // Nobody sends these nodes a packet that they would have to unwrap.
        self.member().descriptor(epoch, |_| vec![1; 32])
    }
}

/// A fresh signing key.
pub fn signing_key() -> Result<Box<dyn SignatureSigningKey>, String> {
    let scheme = signature::by_name(SIGNATURE_SCHEME).map_err(|error| error.to_string())?;
    scheme.load(&scheme.generate(&mut OsRandom)).map_err(|error| error.to_string())
}

/// A clock by which an epoch has just begun at `unix`, with epochs of at least `period_min`.
pub fn clock_starting_at(unix: Duration, period_min: Duration) -> Result<EpochClock, String> {
    let since_genesis = unix.checked_sub(EpochClock::GENESIS).ok_or("the clock shows a time before 2017-06-01")?;
    let epochs = since_genesis.as_nanos() / period_min.as_nanos().max(1);
    let nanoseconds = since_genesis.as_nanos() / epochs.max(1);
    let period = Duration::from_nanos(u64::try_from(nanoseconds).map_err(|error| error.to_string())?);
    EpochClock::with_period(period).map_err(|error| error.to_string())
}
