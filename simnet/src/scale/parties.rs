//! Who is in the network: numbers, addresses and keys from the seed, and the document that lists them.

use crypto_simd::random::SeededRandom;
use crypto_simd::schemes::{Kem, KemDecapsulationKey, kem};
use interplane::snapshot::Snapshot;
use pki::neighbours::{NeighbourMap, Role};
use pki::policy::View;
use pki::{Epoch, NodeId};
use sphinx::{Geometry, MixKey, Scheme};
use std::net::SocketAddr;
use std::sync::Arc;
use testnet::members::{self, Member, listing};

/// The only epoch.
pub const EPOCH: Epoch = Epoch(1000);
/// The node's number.
pub const OWN: u8 = 4;
/// That of the first of those before it.
pub const UPSTREAM: u8 = 10;
const DOWNSTREAM: u8 = 60;
const GATEWAY: u8 = 100;
const SERVICE: u8 = 200;
const DELAY_MS_MAX: u64 = 10_000;

/// Who somebody is on links.
#[derive(Clone)]
pub struct Identity {
    /// Its id.
    pub id: NodeId,
    /// Its link key.
    pub link_key: Arc<dyn KemDecapsulationKey>,
}

/// The numbers of the nodes behind.
pub fn downstream(links: usize) -> impl Iterator<Item = u8> {
    (DOWNSTREAM..).take(links)
}

/// The numbers of the nodes before.
pub fn upstream(links: usize) -> impl Iterator<Item = u8> {
    (UPSTREAM..).take(links)
}

/// A seed for one purpose.
pub fn seed_of(seed: u64, purpose: &str) -> [u8; 32] {
    pki::hash(format!("{seed} {purpose}").as_bytes())
}

/// The node's mix key.
pub fn mix_key(geometry: &Geometry, seed: u64) -> Result<MixKey, String> {
    let mut random = SeededRandom::new(&seed_of(seed, "mix key"));
    let private = Scheme::of(geometry).map_err(|error| error.to_string())?.generate(&mut random);
    MixKey::new(geometry, &private).map_err(|error| error.to_string())
}

/// Where a node listens.
pub fn address(number: u8) -> SocketAddr {
    SocketAddr::from(([192, 0, 2, number], 30_000))
}

/// The KEM of links.
pub fn link_kem() -> Result<&'static dyn Kem, String> {
    kem::by_name("x25519").map_err(|error| error.to_string())
}

/// A node's end of links.
pub fn identity(number: u8, seed: u64) -> Result<Identity, String> {
    let private = link_kem()?.generate(&mut SeededRandom::new(&seed_of(seed, &format!("link key {number}"))));
    let link_key: Arc<dyn KemDecapsulationKey> =
        Arc::from(link_kem()?.load(&private).map_err(|error| error.to_string())?);
    Ok(Identity { id: members::id(number), link_key })
}

/// What a peer draws from.
pub fn random(seed: u64, number: u8) -> SeededRandom {
    SeededRandom::new(&seed_of(seed, &format!("peer {number}")))
}

/// The document of the only epoch, as the node sees it.
pub fn snapshot(geometry: &Geometry, links: usize, seed: u64) -> Result<Snapshot, String> {
    let member = |number: u8| -> Result<Member, String> {
        let link_key = identity(number, seed)?.link_key.public_key().to_vec();
        Ok(Member { link_key, ..members::member(number) })
    };
    let own_key = mix_key(geometry, seed)?.public_key().to_vec();
    let layer = |numbers: &mut dyn Iterator<Item = u8>| {
        numbers
            .map(|number| Ok(member(number)?.descriptor(EPOCH, |_| own_key.clone())))
            .collect::<Result<Vec<_>, String>>()
    };
    let mut own = std::iter::once(OWN);
    let topology = vec![layer(&mut upstream(links))?, layer(&mut own)?, layer(&mut downstream(links))?];
    let document =
        listing(EPOCH, topology, vec![members::descriptor(GATEWAY, EPOCH)], vec![members::descriptor(SERVICE, EPOCH)]);
    let map = NeighbourMap::new(&members::consensus(&document), &member(OWN)?.own());
    Ok(Snapshot {
        serial: 1,
        view: View::new(Role::Mix, vec![map.map_err(|error| error.to_string())?]),
        delay_ms_max: [(EPOCH, DELAY_MS_MAX)].into_iter().collect(),
        client_documents: Vec::new(),
        services: Vec::new(),
    })
}
