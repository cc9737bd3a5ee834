//! The mix-key schedule (server.md 4.1): publishing for epoch e needs the keys of e, e+1 and e+2; keys older than the
//! previous epoch go. Keys never change once made, whatever dies: a control plane that attaches to a living data
//! plane takes over the keys that it holds ([`MixKeys::adopt`]) before it makes any.

use crypto_simd::random::Random;
use crypto_simd::schemes::SchemeError;
use pki::Epoch;
use secret_memory::within;
pub use sphinx::Scheme;
use std::collections::BTreeMap;
use zeroize::Zeroizing;

pub mod kept;
#[cfg(test)]
mod tests;

/// Private mix keys by epoch.
pub type PrivateMixKeys = Vec<(u64, Zeroizing<Vec<u8>>)>;

/// Epochs whose keys one descriptor holds.
pub const EPOCHS_PER_DESCRIPTOR: u64 = 3;

struct MixKeyPair {
    private: Zeroizing<Vec<u8>>,
    public: Vec<u8>,
}

/// The live mix keys by epoch.
pub struct MixKeys {
    scheme: Scheme,
    pairs: BTreeMap<u64, MixKeyPair>,
}

impl MixKeys {
    /// No keys yet.
    pub fn new(scheme: Scheme) -> Self {
        Self { scheme, pairs: BTreeMap::new() }
    }

    /// Takes over keys that a data plane holds. A key that is there already stays.
    pub fn adopt(&mut self, keys: impl IntoIterator<Item = (u64, Zeroizing<Vec<u8>>)>) -> Result<(), SchemeError> {
        within(|| {
            for (epoch, private) in keys {
                let public = self.scheme.public_key(&private)?;
                self.pairs.entry(epoch).or_insert(MixKeyPair { private, public });
            }
            Ok(())
        })
    }

    /// Makes the missing keys of `first` and the two epochs after it. Says whether any was made.
    pub fn make(&mut self, first: u64, random: &mut dyn Random) -> Result<bool, SchemeError> {
        let mut made = false;
        for epoch in first..first.saturating_add(EPOCHS_PER_DESCRIPTOR) {
            if self.pairs.contains_key(&epoch) {
                continue;
            }
            let pair = within(|| {
                let private = self.scheme.generate(random);
                self.scheme.public_key(&private).map(|public| MixKeyPair { private, public })
            })?;
            self.pairs.insert(epoch, pair);
            made = true;
        }
        Ok(made)
    }

    /// Wipes the keys of epochs before `before` and, where that is said, of those after `after`. Says whether any went.
    pub fn prune(&mut self, before: Epoch, after: Option<Epoch>) -> bool {
        let held = self.pairs.len();
        self.pairs.retain(|&epoch, _| epoch >= before.0 && after.is_none_or(|after| epoch <= after.0));
        self.pairs.len() != held
    }

    /// The public keys of a descriptor for `first`, or nothing if one of them is missing.
    pub fn public_keys(&self, first: u64) -> Option<BTreeMap<u64, Vec<u8>>> {
        (first..first.saturating_add(EPOCHS_PER_DESCRIPTOR))
            .map(|epoch| self.pairs.get(&epoch).map(|pair| (epoch, pair.public.clone())))
            .collect()
    }

    /// The private keys, oldest first.
    pub fn private_keys(&self) -> impl Iterator<Item = (u64, &Zeroizing<Vec<u8>>)> {
        self.pairs.iter().map(|(&epoch, pair)| (epoch, &pair.private))
    }

    /// The epochs that have keys, oldest first.
    pub fn epochs(&self) -> Vec<u64> {
        self.pairs.keys().copied().collect()
    }
}
