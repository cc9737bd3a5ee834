//! Addresses and the hash functions that they separate.

use super::N;
use crate::kernels::keccak;
use zeroize::Zeroizing;

/// A hash value.
pub(super) type Node = [u8; N];

/// The largest input of the tweakable hash: a WOTS+ public key.
const BLOCKS_MAX: usize = super::wots::CHAINS;

/// What an address is for.
#[derive(Clone, Copy)]
pub(super) enum Purpose {
    Wots = 0,
    WotsPublicKey = 1,
    HashTree = 2,
    ForsTree = 3,
    ForsRoots = 4,
    WotsSecret = 5,
    ForsSecret = 6,
}

/// The address of one hash call: eight big-endian words.
#[derive(Clone, Copy, Default)]
pub(super) struct Address([u8; 32]);

impl Address {
    /// The address of a tree.
    pub(super) fn of_tree(layer: u32, tree: u64) -> Self {
        let mut address = Self::default();
        address.set(0, layer);
        address.0[8..16].copy_from_slice(&tree.to_be_bytes());
        address
    }

    fn set(&mut self, word: usize, value: u32) {
        self.0[4 * word..][..4].copy_from_slice(&value.to_be_bytes());
    }

    /// The same place for another purpose.
    pub(super) fn with_purpose(mut self, purpose: Purpose) -> Self {
        self.set(4, purpose as u32);
        self
    }

    /// The leaf (WOTS+ key pair) that this belongs to.
    pub(super) fn set_key_pair(&mut self, leaf: u32) {
        self.set(5, leaf);
    }

    pub(super) fn set_chain(&mut self, chain: u32) {
        self.set(6, chain);
    }

    pub(super) fn set_step(&mut self, step: u32) {
        self.set(7, step);
    }

    pub(super) fn set_node(&mut self, height: u32, index: u32) {
        self.set(6, height);
        self.set(7, index);
    }
}

/// SHAKE256 with an output of one hash value.
pub(super) fn shake(parts: &[&[u8]]) -> Node {
    let mut node = [0; N];
    keccak::shake256(parts, &mut node);
    node
}

/// The hash functions under one key pair's seeds.
pub(super) struct Hasher {
    public_seed: Node,
    secret_seed: Zeroizing<Node>,
}

impl Hasher {
    /// Who only verifies has no secret seed and asks for no secrets.
    pub(super) fn new(public_seed: &Node, secret_seed: &Node) -> Self {
        Self { public_seed: *public_seed, secret_seed: Zeroizing::new(*secret_seed) }
    }

    /// The secret value at an address.
    pub(super) fn secret(&self, address: &Address) -> Node {
        shake(&[&self.public_seed, &address.0, &*self.secret_seed])
    }

    /// The tweakable hash, robust: the input is masked by a stream of its address.
    pub(super) fn tweaked(&self, address: &Address, blocks: &[Node]) -> Node {
        let mut masked = [[0; N]; BLOCKS_MAX];
        let masked = &mut masked[..blocks.len()];
        keccak::shake256(&[&self.public_seed, &address.0], masked.as_flattened_mut());
        for (mask, byte) in masked.as_flattened_mut().iter_mut().zip(blocks.as_flattened()) {
            *mask ^= byte;
        }
        shake(&[&self.public_seed, &address.0, masked.as_flattened()])
    }
}
