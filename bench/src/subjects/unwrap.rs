//! Whole packets: our batch unwrap, the one-packet path of the best libraries, and the public-key operations alone.

use super::{Contest, Peer, Subject};
use crate::cases::{Case, Prepared, X25519_NIKE};
use crate::peers::implementations::{Implementation, Mix};
use crate::peers::unwrap::OnePacket;
use crypto_simd::random::OsRandom;
use crypto_simd::schemes::{KemDecapsulationKey, Nike, NikePrivateKey, SharedSecret, kem, nike};
use rig::floor::private_key;
use sphinx::unwrap::BATCH_MAX;
use sphinx::{Geometry, MixKey, UnwrapError, UnwrapErrorReason, Unwrapper};

/// The most packets in one run of the peer, which gains nothing from more: long samples are interrupted more often.
const PEER_PACKETS_MAX: usize = 8;
/// The same where public-key work is slow.
const SLOW_PEER_PACKETS_MAX: usize = 2;

/// Ours, the libraries' path and the floor, all over copies of the same packet.
pub fn contest(case: &Case, payload_bytes: usize, batch: usize) -> Result<Contest, String> {
    let prepared = case.prepare(payload_bytes)?;
    let packets_max = if case.is_slow() { SLOW_PEER_PACKETS_MAX } else { PEER_PACKETS_MAX };
    let peer = PeerUnwraps::new(&prepared, batch.min(packets_max))?;
    let floor = PublicKeyOperations::new(prepared.sphinx.geometry(), batch)?;
    let ours = Unwraps::new(prepared, batch)?;
    let peers = vec![Peer { name: "one packet, best libraries", subject: Box::new(peer) }];
    Ok(Contest { ours: Box::new(ours), peers, floor: Some(Box::new(floor)) })
}

/// Ours over X25519, and another implementation over its own packets with as much payload.
pub fn beside(implementation: Implementation, payload_bytes: usize, batch: usize) -> Result<Contest, String> {
    let mix = implementation.mix(payload_bytes)?;
    let peer = MixUnwraps { mix, items: batch.min(PEER_PACKETS_MAX) };
    let ours = Unwraps::new(X25519_NIKE.prepare(payload_bytes)?, batch)?;
    let peers = vec![Peer { name: implementation.name(), subject: Box::new(peer) }];
    Ok(Contest { ours: Box::new(ours), peers, floor: None })
}

/// Another implementation's unwraps, one packet after the other.
struct MixUnwraps {
    mix: Box<dyn Mix>,
    items: usize,
}

impl Subject for MixUnwraps {
    fn items(&self) -> usize {
        self.items
    }

    fn reset(&mut self) -> bool {
        self.mix.restore(self.items);
        true
    }

    fn run(&mut self) {
        for _ in 0..self.items {
            assert!(self.mix.unwrap(), "a packet for this mix is sent on");
        }
    }
}

/// Copies of one packet.
struct Packets {
    packet: Vec<u8>,
    buffers: Vec<Vec<u8>>,
}

impl Packets {
    fn new(packet: &[u8], count: usize) -> Self {
        Self { packet: packet.to_vec(), buffers: vec![packet.to_vec(); count] }
    }

    fn restore(&mut self) {
        self.buffers.iter_mut().for_each(|buffer| buffer.copy_from_slice(&self.packet));
    }
}

/// Our unwrap of a batch.
pub struct Unwraps {
    unwrapper: Unwrapper,
    key: MixKey,
    packets: Packets,
    results: Vec<Result<sphinx::Unwrapped, UnwrapError>>,
}

impl Unwraps {
    /// Batches of `batch` packets (at most [`BATCH_MAX`]).
    pub fn new(prepared: Prepared, batch: usize) -> Result<Self, String> {
        let batch = batch.clamp(1, BATCH_MAX);
        let unwrapper = Unwrapper::new(prepared.sphinx.geometry(), batch).map_err(|error| error.to_string())?;
        let unset = Err(UnwrapError { reason: UnwrapErrorReason::Truncated, tag: None });
        let packets = Packets::new(&prepared.packet, batch);
        Ok(Self { unwrapper, key: prepared.key, packets, results: vec![unset; batch] })
    }
}

impl Subject for Unwraps {
    fn items(&self) -> usize {
        self.packets.buffers.len()
    }

    fn reset(&mut self) -> bool {
        self.packets.restore();
        true
    }

    fn run(&mut self) {
        let mut packets: [&mut [u8]; BATCH_MAX] = std::array::from_fn(|_| <&mut [u8]>::default());
        packets.iter_mut().zip(&mut self.packets.buffers).for_each(|(to, from)| *to = from);
        self.unwrapper.unwrap_batch(&self.key, &mut packets[..self.results.len()], &mut self.results);
        assert!(self.results.iter().all(Result::is_ok), "a packet for this key unwraps");
    }
}

/// The libraries' path, one packet after the other.
struct PeerUnwraps {
    path: OnePacket,
    packets: Packets,
}

impl PeerUnwraps {
    /// Checks that the path gives the bytes that ours gives: otherwise it would be no peer.
    fn new(prepared: &Prepared, count: usize) -> Result<Self, String> {
        let geometry = prepared.sphinx.geometry();
        let mut path = OnePacket::new(geometry, &prepared.private)?;
        let (mut ours, mut theirs) = (prepared.packet.clone(), prepared.packet.clone());
        let mut unwrapper = Unwrapper::new(geometry, 1).map_err(|error| error.to_string())?;
        let unwrapped = unwrapper.unwrap(&prepared.key, &mut ours).map_err(|error| error.to_string())?;
        if path.unwrap(&mut theirs) != Some((unwrapped.tag, unwrapped.commands)) || ours != theirs {
            return Err("the libraries' path makes something else of the packet".into());
        }
        Ok(Self { path, packets: Packets::new(&prepared.packet, count) })
    }
}

impl Subject for PeerUnwraps {
    fn items(&self) -> usize {
        self.packets.buffers.len()
    }

    fn reset(&mut self) -> bool {
        self.packets.restore();
        true
    }

    fn run(&mut self) {
        for packet in &mut self.packets.buffers {
            assert!(self.path.unwrap(packet).is_some(), "a packet for this key unwraps");
        }
    }
}

/// The public-key operations that unwrapping a batch cannot do without, with our kernels, and nothing else.
struct PublicKeyOperations {
    operations: Operations,
    inputs: Vec<Vec<u8>>,
    outputs: Vec<Vec<u8>>,
    secrets: Vec<SharedSecret>,
}

enum Operations {
    /// One exchange and one blinding for each packet.
    Nike { nike: &'static dyn Nike, key: Box<dyn NikePrivateKey>, factor: Vec<u8> },
    /// One decapsulation for each packet.
    Kem { key: Box<dyn KemDecapsulationKey> },
}

impl PublicKeyOperations {
    /// Batches of `batch` packets (at most [`BATCH_MAX`]).
    fn new(geometry: &Geometry, batch: usize) -> Result<Self, String> {
        let batch = batch.clamp(1, BATCH_MAX);
        let private = private_key(geometry)?;
        let mut inputs = Vec::with_capacity(batch);
        let operations = if geometry.kem_name.is_empty() {
            let nike = nike::by_name(&geometry.nike_name).map_err(|error| error.to_string())?;
            for _ in 0..batch {
                inputs.push(nike.public_key(&private_key(geometry)?).map_err(|error| error.to_string())?);
            }
            let key = nike.load(&private).map_err(|error| error.to_string())?;
            Operations::Nike { nike, key, factor: private_key(geometry)? }
        } else {
            let kem = kem::by_name(&geometry.kem_name).map_err(|error| error.to_string())?;
            let key = kem.load(&private).map_err(|error| error.to_string())?;
            for _ in 0..batch {
                let mut ciphertext = vec![0; kem.info().ciphertext_bytes];
                kem.encapsulate(key.public_key(), &mut OsRandom, &mut ciphertext, &mut SharedSecret::default())
                    .map_err(|error| error.to_string())?;
                inputs.push(ciphertext);
            }
            Operations::Kem { key }
        };
        Ok(Self { operations, outputs: inputs.clone(), inputs, secrets: vec![SharedSecret::default(); batch] })
    }
}

impl Subject for PublicKeyOperations {
    fn items(&self) -> usize {
        self.inputs.len()
    }

    fn run(&mut self) {
        let count = self.inputs.len();
        let mut inputs: [&[u8]; BATCH_MAX] = [&[]; BATCH_MAX];
        inputs.iter_mut().zip(&self.inputs).for_each(|(to, from)| *to = from);
        let inputs = &inputs[..count];
        let mut results = [Ok(()); BATCH_MAX];
        match &self.operations {
            Operations::Nike { nike, key, factor } => {
                let mut outputs: [&mut [u8]; BATCH_MAX] = std::array::from_fn(|_| <&mut [u8]>::default());
                outputs.iter_mut().zip(&mut self.outputs).for_each(|(to, from)| *to = from);
                let factors = [factor.as_slice(); BATCH_MAX];
                key.derive_batch(inputs, &mut self.secrets, &mut results[..count]);
                nike.blind_batch(&factors[..count], inputs, &mut outputs[..count], &mut results[..count]);
            }
            Operations::Kem { key } => key.decapsulate_batch(inputs, &mut self.secrets, &mut results[..count]),
        }
        assert!(results.iter().all(Result::is_ok), "good keys");
    }
}
