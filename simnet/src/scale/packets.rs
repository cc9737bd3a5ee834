//! Packets for the node, made from a seed before time begins.

use super::parties::{downstream, mix_key, seed_of};
use crypto_simd::random::{Random, SeededRandom};
use sphinx::create::{LoadCommand, LoadMaker};
use sphinx::{Geometry, Sphinx};
use testnet::members;

/// Made together, so that the kernels see full lanes.
const CHUNK: usize = 32;
/// Short, so that few packets are in the node.
const DELAYS_MS: u32 = 2;

/// Packets by number, in the order in which they are sent.
pub struct Packets {
    bytes: Vec<u8>,
    each: usize,
}

impl Packets {
    /// So many, for the nodes behind in turn.
    pub fn new(geometry: &Geometry, links: usize, count: usize, seed: u64) -> Result<Self, String> {
        let mut random = SeededRandom::new(&seed_of(seed, "packets"));
        let sphinx = Sphinx::new(geometry.clone()).map_err(|error| error.to_string())?;
        let key = mix_key(geometry, seed)?;
        let maker = LoadMaker::new(sphinx, key.public_key(), &mut random).map_err(|error| error.to_string())?;
        let each = geometry.packet_length;
        let next: Vec<_> = downstream(links).map(members::id).collect();
        let mut bytes = vec![0; count * each];
        let mut forwarded = vec![0; CHUNK * each];
        for chunk in bytes.chunks_mut(CHUNK * each) {
            let mut packets: Vec<&mut [u8]> = chunk.chunks_mut(each).collect();
            let mut on: Vec<&mut [u8]> = forwarded.chunks_mut(each).take(packets.len()).collect();
            let commands: Vec<_> = packets
                .iter()
                .map(|_| {
                    let mut drawn = [0; 2];
                    random.fill(&mut drawn);
                    let next = next[usize::from(drawn[0]) % next.len()];
                    LoadCommand::Forward { next, delay_ms: 1 + u32::from(drawn[1]) % DELAYS_MS }
                })
                .collect();
            maker.make(&commands, &mut random, &mut packets, &mut on).map_err(|error| error.to_string())?;
        }
        Ok(Self { bytes, each })
    }

    /// One of them.
    pub fn get(&self, number: usize) -> Option<&[u8]> {
        self.bytes.get(number * self.each..(number + 1) * self.each)
    }
}
