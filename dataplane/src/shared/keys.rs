//! Loaded keys: mix keys with the replay sets that belong to them, and the link key.

use crypto_simd::schemes::KemDecapsulationKey;
use interplane::ReplaySet;
use pki::Epoch;
use sphinx::MixKey;
use std::sync::Arc;

/// The mix key of one epoch and the tags that were seen with it.
#[derive(Clone)]
pub struct EpochKey {
    /// The epoch.
    pub epoch: Epoch,
    /// The key.
    pub key: Arc<MixKey>,
    /// The tags.
    pub replays: Arc<ReplaySet>,
}

/// All keys that the data plane has.
#[derive(Clone, Default)]
pub struct KeyRing {
    /// The link key; without one there are no handshakes.
    pub link_key: Option<Arc<dyn KemDecapsulationKey>>,
    /// Mix keys in any order.
    pub mix_keys: Vec<EpochKey>,
}

/// The keys that a packet may be for, in the order in which they are tried: this epoch's, the last one's, the next
/// one's (server.md 3.6).
#[derive(Clone, Default)]
pub struct Candidates(pub(crate) [Option<EpochKey>; 3]);

impl KeyRing {
    /// The key of one epoch.
    pub fn mix_key(&self, epoch: Epoch) -> Option<&EpochKey> {
        self.mix_keys.iter().find(|key| key.epoch == epoch)
    }

    /// The keys that packets may be for in `epoch`. None at all if there is no key for it (server.md 3.6).
    pub fn candidates(&self, epoch: Epoch) -> Candidates {
        let Some(current) = self.mix_key(epoch) else { return Candidates::default() };
        let previous = epoch.0.checked_sub(1).and_then(|before| self.mix_key(Epoch(before)));
        Candidates([Some(current), previous, self.mix_key(epoch.after(1))].map(|key| key.cloned()))
    }
}
