//! SPHINCS+ of round 3.1, instance SHAKE-256f-robust (sphinx.md 12.3). It is neither SLH-DSA (FIPS 205) nor a *simple*
//! instance, so it is written here from its specification (sphincs.org, "SPHINCS+ submission to the NIST post-quantum
//! project, v.3.1", 2022), in the order of its sections: addresses and hash functions (`hash`), WOTS+ (`wots`), the
//! trees of trees and FORS (`trees`).
//!
//! Nothing secret indexes or branches: the indices come from the message's hash, which the signature reveals.

mod hash;
mod trees;
mod wots;

use super::interface::{self, Signature, SignatureInfo, SignatureSigningKey};
use crate::random::Random;
use crate::schemes::value::{SchemeError, array};
use hash::{Hasher, Node};
use subtle::ConstantTimeEq;
use trees::{Fors, Hypertree};
use zeroize::Zeroizing;

/// Bytes of a hash value, `n`.
const N: usize = 32;
const PUBLIC_KEY_BYTES: usize = 2 * N;
const PRIVATE_KEY_BYTES: usize = 4 * N;
const SIGNATURE_BYTES: usize = N + trees::FORS_BYTES + trees::HYPERTREE_BYTES;
/// Bytes of a message's hash: what FORS signs, the tree of the bottom layer, the leaf in it.
const DIGEST_BYTES: usize = trees::FORS_MESSAGE_BYTES + 8 + 1;

/// The scheme.
pub(super) struct Sphincs;

/// `Sphincs+` of the registry.
pub(super) static SPHINCS: Sphincs = Sphincs;

impl Signature for Sphincs {
    fn info(&self) -> &'static SignatureInfo {
        const INFO: &SignatureInfo = interface::info("Sphincs+");
        INFO
    }

    fn generate(&self, random: &mut dyn Random) -> Zeroizing<Vec<u8>> {
        let mut private = Zeroizing::new(vec![0; PRIVATE_KEY_BYTES]);
        random.fill(&mut private[..3 * N]);
        let (mut secret_seed, mut public_seed) = (Zeroizing::new([0; N]), [0; N]);
        secret_seed.copy_from_slice(&private[..N]);
        public_seed.copy_from_slice(&private[2 * N..3 * N]);
        let root = Hypertree::root(&Hasher::new(&public_seed, &secret_seed));
        private[3 * N..].copy_from_slice(&root);
        private
    }

    /// The root is taken as it stands: computing it again would cost a good part of a signature.
    fn load(&self, private: &[u8]) -> Result<Box<dyn SignatureSigningKey>, SchemeError> {
        Ok(Box::new(SigningKey { private: Zeroizing::new(*array(private)?) }))
    }

    fn check_public_key(&self, public: &[u8]) -> Result<(), SchemeError> {
        array::<PUBLIC_KEY_BYTES>(public).map(|_| ())
    }

    fn verify(&self, public: &[u8], message: &[u8], signature: &[u8]) -> Result<(), SchemeError> {
        let public: &[u8; PUBLIC_KEY_BYTES] = array(public)?;
        let signature: &[u8; SIGNATURE_BYTES] = array(signature)?;
        let (public_seed, root) = public.split_at(N);
        let hasher = Hasher::new(array(public_seed)?, &[0; N]);
        let (randomizer, rest) = signature.split_at(N);
        let (fors, hypertree) = rest.split_at(trees::FORS_BYTES);

        let place = Place::of(randomizer, public, message);
        let fors_root = Fors::at(&hasher, place.tree, place.leaf).root_of(&place.indices, fors);
        let computed = Hypertree::root_of(&hasher, &fors_root, place.tree, place.leaf, hypertree);
        if computed.ct_eq(root).into() { Ok(()) } else { Err(SchemeError::BadSignature) }
    }
}

struct SigningKey {
    private: Zeroizing<[u8; PRIVATE_KEY_BYTES]>,
}

impl SigningKey {
    fn part(&self, index: usize) -> &[u8; N] {
        let (parts, _) = self.private.as_chunks::<N>();
        &parts[index]
    }

    /// The signature whose randomizer is given.
    fn sign_with(&self, randomizer: &Node, message: &[u8]) -> Vec<u8> {
        let hasher = Hasher::new(self.part(2), self.part(0));
        let place = Place::of(randomizer, self.public_key(), message);
        let mut signature = Vec::with_capacity(SIGNATURE_BYTES);
        signature.extend(randomizer);
        let fors_root = Fors::at(&hasher, place.tree, place.leaf).sign(&place.indices, &mut signature);
        Hypertree::sign(&hasher, fors_root, place.tree, place.leaf, &mut signature);
        signature
    }
}

impl SignatureSigningKey for SigningKey {
    fn scheme(&self) -> &'static dyn Signature {
        &SPHINCS
    }

    fn public_key(&self) -> &[u8] {
        &self.private[2 * N..]
    }

    fn sign(&self, message: &[u8], random: &mut dyn Random) -> Vec<u8> {
        let mut optional_random = Zeroizing::new([0; N]);
        random.fill(&mut *optional_random);
        self.sign_with(&hash::shake(&[self.part(1), &*optional_random, message]), message)
    }
}

/// Where in the hypertree a message is signed.
struct Place {
    indices: [u32; trees::FORS_TREES],
    tree: u64,
    leaf: u32,
}

impl Place {
    fn of(randomizer: &[u8], public: &[u8], message: &[u8]) -> Self {
        let mut digest = [0; DIGEST_BYTES];
        crate::kernels::keccak::shake256(&[randomizer, public, message], &mut digest);
        let (fors, rest) = digest.split_at(trees::FORS_MESSAGE_BYTES);
        let mut tree = [0; 8];
        tree.copy_from_slice(&rest[..8]);
        Self {
            indices: trees::fors_indices(fors),
            // Sixteen layers of four bits above the bottom one: all 64 bits count.
            tree: u64::from_be_bytes(tree),
            leaf: u32::from(rest[8]) % trees::LEAVES,
        }
    }
}

#[cfg(test)]
mod tests;
