//! Unwrapping a batch in stages, so that the kernels of each stage see many packets at once.

use super::open::open;
use super::{MixKey, Private, UnwrapError, UnwrapErrorReason, Unwrapped, UnwrappedKind};
use crate::geometry::Geometry;
use crate::keys::PacketKeys;
use crate::layout::Layout;
use crate::scheme::{Scheme, SetupError};
use crate::{AD, REPLAY_TAG_BYTES};
use crypto_simd::random::SeededRandom;
use crypto_simd::schemes::{Nike, SchemeError, SharedSecret};
use crypto_simd::symmetric::{equal, sha512_256_batch};
use zeroize::{Zeroize, Zeroizing};

/// Packets that go through the stages together. Longer batches are cut.
pub const BATCH_MAX: usize = 64;

type UnwrapResult = Result<Unwrapped, UnwrapError>;

/// Scratch for unwrapping, one per thread. After [`Unwrapper::new`] nothing is allocated.
pub struct Unwrapper {
    layout: Layout,
    batch_max: usize,
    /// Indices of the packets that have passed every check so far.
    live: Vec<usize>,
    secrets: Vec<SharedSecret>,
    /// Tags and keys of the packets in `live`.
    tags: Vec<[u8; REPLAY_TAG_BYTES]>,
    keys: Vec<PacketKeys>,
    outcomes: Vec<Result<(), SchemeError>>,
    /// Decrypted routing information of one packet, with the fragment that is appended.
    header: Vec<u8>,
    blinding: Option<Blinding>,
}

/// Scratch for the second stage of NIKE packets.
struct Blinding {
    nike: &'static dyn Nike,
    /// The received elements and the factors of the packets that are sent on, one after the other.
    elements: Vec<u8>,
    factors: Zeroizing<Vec<u8>>,
}

impl Unwrapper {
    /// Scratch for batches of up to `batch_max` packets (at most [`BATCH_MAX`]; longer ones are cut).
    pub fn new(geometry: &Geometry, batch_max: usize) -> Result<Self, SetupError> {
        let layout = Layout::new(geometry)?;
        let batch_max = batch_max.clamp(1, BATCH_MAX);
        let blinding = match Scheme::of(geometry)? {
            Scheme::Nike(nike) => Some(Blinding {
                nike,
                elements: vec![0; batch_max * layout.element_bytes],
                factors: Zeroizing::new(vec![0; batch_max * nike.info().private_key_bytes]),
            }),
            Scheme::Kem(_) => None,
        };
        Ok(Self {
            layout,
            batch_max,
            live: Vec::with_capacity(batch_max),
            secrets: vec![SharedSecret::default(); batch_max],
            tags: vec![[0; REPLAY_TAG_BYTES]; batch_max],
            keys: vec![PacketKeys::default(); batch_max],
            outcomes: vec![Ok(()); batch_max],
            header: vec![0; layout.routing_info_bytes + layout.per_hop_bytes],
            blinding,
        })
    }

    /// Unwraps one packet in place.
    ///
    /// # Panics
    ///
    /// As [`Unwrapper::unwrap_batch`].
    pub fn unwrap(&mut self, key: &MixKey, packet: &mut [u8]) -> UnwrapResult {
        let mut results = [Err(UnwrapErrorReason::Truncated.without_tag())];
        self.unwrap_batch(key, &mut [packet], &mut results);
        let [result] = results;
        result
    }

    /// Unwraps packets in place; `results[i]` belongs to `packets[i]`. A packet that fails up to and including the MAC
    /// is left as it was, so that another key may be tried.
    ///
    /// # Panics
    ///
    /// If the slices differ in length, or the key is for another geometry.
    pub fn unwrap_batch(&mut self, key: &MixKey, packets: &mut [&mut [u8]], results: &mut [UnwrapResult]) {
        assert_eq!(packets.len(), results.len(), "one result for each packet");
        assert_eq!(key.layout, self.layout, "key and scratch are for one geometry");
        for (packets, results) in packets.chunks_mut(self.batch_max).zip(results.chunks_mut(self.batch_max)) {
            self.check_versions(packets, results);
            self.share_secrets(key, packets, results);
            self.derive_keys(packets);
            self.open_packets(packets, results);
            self.blind_elements(packets, results);
        }
    }

    /// Steps 1 and 2.
    fn check_versions(&mut self, packets: &[&mut [u8]], results: &mut [UnwrapResult]) {
        self.live.clear();
        for (index, (packet, result)) in packets.iter().zip(results).enumerate() {
            if packet.len() < self.layout.header_bytes {
                *result = Err(UnwrapErrorReason::Truncated.without_tag());
            } else if !equal(&packet[..AD.len()], &AD) {
                *result = Err(UnwrapErrorReason::UnknownVersion.without_tag());
            } else {
                self.live.push(index);
            }
        }
    }

    /// Steps 3 and 4. Compacts `live` and the secrets to the packets that have one.
    fn share_secrets(&mut self, key: &MixKey, packets: &[&mut [u8]], results: &mut [UnwrapResult]) {
        let count = self.live.len();
        let mut elements: [&[u8]; BATCH_MAX] = [&[]; BATCH_MAX];
        for (element, &index) in elements.iter_mut().zip(&self.live) {
            *element = &packets[index][self.layout.element()];
        }
        let (secrets, outcomes) = (&mut self.secrets[..count], &mut self.outcomes[..count]);
        outcomes.fill(Ok(()));
        match &key.private {
            Private::Nike(private) => private.derive_batch(&elements[..count], secrets, outcomes),
            Private::Kem(private) => private.decapsulate_batch(&elements[..count], secrets, outcomes),
        }
        let mut kept = 0;
        for slot in 0..count {
            let index = self.live[slot];
            match self.outcomes[slot] {
                Ok(()) => {
                    self.live[kept] = index;
                    self.secrets.swap(kept, slot);
                    kept += 1;
                }
                Err(error) => results[index] = Err(UnwrapErrorReason::from(error).without_tag()),
            }
        }
        self.live.truncate(kept);
    }

    /// Steps 5 and 6.
    fn derive_keys(&mut self, packets: &[&mut [u8]]) {
        let count = self.live.len();
        let mut elements: [&[u8]; BATCH_MAX] = [&[]; BATCH_MAX];
        for (element, &index) in elements.iter_mut().zip(&self.live) {
            *element = &packets[index][self.layout.element()];
        }
        sha512_256_batch(&elements[..count], &mut self.tags[..count]);
        for (keys, secret) in self.keys[..count].iter_mut().zip(&mut self.secrets) {
            keys.derive(secret.as_bytes());
            secret.zeroize();
        }
    }

    /// Steps 7 to 13, but for the blinding.
    fn open_packets(&mut self, packets: &mut [&mut [u8]], results: &mut [UnwrapResult]) {
        for (slot, &index) in self.live.iter().enumerate() {
            let tag = self.tags[slot];
            let packet = &mut *packets[index];
            results[index] = open(&self.layout, &self.keys[slot], tag, packet, &mut self.header)
                .map_err(|reason| UnwrapError { reason, tag: Some(tag) });
        }
    }

    /// The forwarding part of step 10, for NIKE packets: only those that are sent on are blinded.
    fn blind_elements(&mut self, packets: &mut [&mut [u8]], results: &mut [UnwrapResult]) {
        let keys = &mut self.keys[..self.live.len()];
        if let Some(blinding) = &mut self.blinding {
            // `live` holds ascending indices; what is left of it are the packets to be sent on.
            let mut slot = 0;
            let mut forwarded = 0;
            self.live.retain(|&index| {
                let forward = matches!(results[index], Ok(Unwrapped { kind: UnwrappedKind::Forward, .. }));
                if forward {
                    blinding.stage(forwarded, keys[slot].blinding_seed(), &packets[index][self.layout.element()]);
                    forwarded += 1;
                }
                slot += 1;
                forward
            });
            let outcomes = &mut self.outcomes[..forwarded];
            outcomes.fill(Ok(()));
            blinding.blind(&self.layout, &self.live, packets, outcomes);
            for (&index, outcome) in self.live.iter().zip(outcomes) {
                if let (Err(error), Ok(unwrapped)) = (*outcome, results[index]) {
                    results[index] = Err(UnwrapError { reason: error.into(), tag: Some(unwrapped.tag) });
                }
            }
        }
        keys.iter_mut().for_each(Zeroize::zeroize);
    }
}

impl Blinding {
    /// Keeps a received element and its factor at `slot`.
    fn stage(&mut self, slot: usize, seed: &[u8; 32], element: &[u8]) {
        let bytes = self.nike.info().private_key_bytes;
        self.nike.generate_into(&mut SeededRandom::new(seed), &mut self.factors[slot * bytes..][..bytes]);
        self.elements[slot * element.len()..][..element.len()].copy_from_slice(element);
    }

    /// Writes the blinded elements into the packets with these (ascending) indices.
    fn blind(
        &mut self,
        layout: &Layout,
        indices: &[usize],
        packets: &mut [&mut [u8]],
        outcomes: &mut [Result<(), SchemeError>],
    ) {
        let count = indices.len();
        let mut factors: [&[u8]; BATCH_MAX] = [&[]; BATCH_MAX];
        let mut elements: [&[u8]; BATCH_MAX] = [&[]; BATCH_MAX];
        let mut blinded: [&mut [u8]; BATCH_MAX] = std::array::from_fn(|_| <&mut [u8]>::default());
        let factor_bytes = self.nike.info().private_key_bytes;
        factors.iter_mut().zip(self.factors.chunks(factor_bytes)).for_each(|(to, from)| *to = from);
        elements.iter_mut().zip(self.elements.chunks(layout.element_bytes)).for_each(|(to, from)| *to = from);
        let mut wanted = indices.iter().peekable();
        let outputs = packets.iter_mut().enumerate().filter(|(index, _)| wanted.next_if_eq(&index).is_some());
        blinded.iter_mut().zip(outputs).for_each(|(to, (_, packet))| *to = &mut packet[layout.element()]);
        self.nike.blind_batch(&factors[..count], &elements[..count], &mut blinded[..count], outcomes);
        self.factors[..count * factor_bytes].zeroize();
    }
}

impl UnwrapErrorReason {
    fn without_tag(self) -> UnwrapError {
        UnwrapError { reason: self, tag: None }
    }
}
