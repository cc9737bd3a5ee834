//! WOTS+, the one-time signature at the leaves of the hypertree: w = 16.

use super::N;
use super::hash::{Address, Hasher, Node, Purpose};

const STEPS: u32 = 15;
const MESSAGE_CHAINS: usize = 2 * N;
const CHECKSUM_CHAINS: usize = 3;

/// Chains of a key pair.
pub(super) const CHAINS: usize = MESSAGE_CHAINS + CHECKSUM_CHAINS;

/// Bytes of a signature.
pub(super) const BYTES: usize = CHAINS * N;

/// The key pair of one leaf.
pub(super) struct Wots<'a> {
    hasher: &'a Hasher,
    address: Address,
}

impl<'a> Wots<'a> {
    pub(super) fn at(hasher: &'a Hasher, layer: u32, tree: u64, leaf: u32) -> Self {
        let mut address = Address::of_tree(layer, tree);
        address.set_key_pair(leaf);
        Self { hasher, address }
    }

    /// The hash of the public key: the leaf.
    pub(super) fn leaf(&self) -> Node {
        self.compress(&std::array::from_fn(|chain| self.walk(chain, self.secret(chain), 0, STEPS)))
    }

    /// Appends the signature of `message`.
    pub(super) fn sign(&self, message: &Node, signature: &mut Vec<u8>) {
        for (chain, steps) in lengths(message).into_iter().enumerate() {
            signature.extend(self.walk(chain, self.secret(chain), 0, steps));
        }
    }

    /// The leaf to which `signature` of `message` belongs.
    pub(super) fn leaf_of(&self, message: &Node, signature: &[Node; CHAINS]) -> Node {
        let lengths = lengths(message);
        self.compress(&std::array::from_fn(|chain| self.walk(chain, signature[chain], lengths[chain], STEPS)))
    }

    fn secret(&self, chain: usize) -> Node {
        let mut address = self.address.with_purpose(Purpose::WotsSecret);
        address.set_chain(chain as u32);
        self.hasher.secret(&address)
    }

    fn walk(&self, chain: usize, mut value: Node, from: u32, to: u32) -> Node {
        let mut address = self.address.with_purpose(Purpose::Wots);
        address.set_chain(chain as u32);
        for step in from..to {
            address.set_step(step);
            value = self.hasher.tweaked(&address, &[value]);
        }
        value
    }

    fn compress(&self, public: &[Node; CHAINS]) -> Node {
        self.hasher.tweaked(&self.address.with_purpose(Purpose::WotsPublicKey), public)
    }
}

/// The message in base 16, high digit first, and the digits of its checksum.
fn lengths(message: &Node) -> [u32; CHAINS] {
    let mut lengths = [0; CHAINS];
    for (digits, byte) in lengths.as_chunks_mut::<2>().0.iter_mut().zip(message) {
        *digits = [u32::from(byte >> 4), u32::from(byte & 15)];
    }
    let checksum: u32 = lengths[..MESSAGE_CHAINS].iter().map(|digit| STEPS - digit).sum();
    for (index, digit) in lengths[MESSAGE_CHAINS..].iter_mut().enumerate() {
        *digit = checksum >> (8 - 4 * index) & 15;
    }
    lengths
}
