//! Nodes, paths and packets for the tests.
#![allow(dead_code, reason = "each test binary uses a part of it")]

use crypto_simd::random::{Random, SeededRandom};
use crypto_simd::schemes::{kem, nike};
use sphinx::path::{Terminal, compose};
use sphinx::{Geometry, MixKey, PathHop, Sphinx};

/// A geometry of every scheme that is built in.
pub fn geometries(user_bytes: usize, nr_hops: usize, with_surb: bool) -> Vec<Geometry> {
    let nikes = nike::registered()
        .iter()
        .filter(|info| nike::by_name(info.name).is_ok())
        .map(|info| Geometry::nike(info.name, user_bytes, nr_hops, with_surb));
    let kems = kem::registered()
        .iter()
        .filter(|info| kem::by_name(info.name).is_ok())
        .map(|info| Geometry::kem(info.name, user_bytes, nr_hops, with_surb));
    let geometries: Vec<Geometry> = nikes.chain(kems).map(|geometry| geometry.expect("registered")).collect();
    for (nike, kem) in [("x25519", ""), ("", "XWING"), ("", "MLKEM768-X25519")] {
        let found = geometries.iter().any(|geometry| geometry.nike_name == nike && geometry.kem_name == kem);
        assert!(found, "{nike}{kem} must be built in, or the tests would pass on nothing");
    }
    geometries
}

/// A network of as many nodes as a path has hops.
pub struct Network {
    pub sphinx: Sphinx,
    pub keys: Vec<MixKey>,
    pub random: SeededRandom,
}

impl Network {
    pub fn new(geometry: Geometry, seed: u64) -> Self {
        let mut bytes = [0; 32];
        bytes[..8].copy_from_slice(&seed.to_le_bytes());
        let mut random = SeededRandom::new(&bytes);
        let keys = (0..geometry.nr_hops)
            .map(|_| MixKey::new(&geometry, &private_key(&geometry, &mut random)).expect("a fresh key loads"))
            .collect();
        Self { sphinx: Sphinx::new(geometry).expect("built in"), keys, random }
    }

    pub fn geometry(&self) -> &Geometry {
        self.sphinx.geometry()
    }

    /// The first `hops` nodes, node `i` with id `[i; 32]`.
    pub fn path(&self, hops: usize, terminal: &Terminal) -> Vec<PathHop> {
        let nodes =
            self.keys[..hops].iter().enumerate().map(|(node, key)| ([node as u8; 32], key.public_key().to_vec()));
        let delays: Vec<u32> = (1..hops as u32).collect();
        compose(nodes, &delays, terminal).expect("one delay for each hop before the last")
    }

    pub fn payload(&mut self) -> Vec<u8> {
        let mut payload = vec![0; self.geometry().forward_payload_length];
        self.random.fill(&mut payload);
        payload
    }

    /// A packet over the first `hops` nodes, and its payload.
    pub fn packet(&mut self, hops: usize) -> (Vec<u8>, Vec<u8>) {
        let (payload, path) = (self.payload(), self.path(hops, &DELIVERY));
        (self.sphinx.new_packet(&path, &payload, &mut self.random).expect("a good path"), payload)
    }

    /// A reply over the first `hops` nodes, its payload, and the keys that open it.
    pub fn reply(&mut self, hops: usize) -> (Vec<u8>, Vec<u8>, Vec<u8>) {
        let (payload, path) = (self.payload(), self.path(hops, &REPLY));
        let surb = self.sphinx.new_surb(&path, &mut self.random).expect("a good path");
        let (packet, first) = self.sphinx.new_packet_from_surb(&surb.bytes, &payload).expect("a good reply block");
        assert_eq!(first, path[0].id);
        (packet, payload, surb.keys.to_vec())
    }
}

pub const DELIVERY: Terminal = Terminal { recipient: [0xaa; 32], surb_id: None, delay_ms: Some(9) };
pub const REPLY: Terminal = Terminal { recipient: [0xbb; 32], surb_id: Some([0xcc; 16]), delay_ms: None };

fn private_key(geometry: &Geometry, random: &mut dyn Random) -> Vec<u8> {
    if geometry.kem_name.is_empty() {
        nike::by_name(&geometry.nike_name).expect("built in").generate(random).to_vec()
    } else {
        kem::by_name(&geometry.kem_name).expect("built in").generate(random).to_vec()
    }
}
