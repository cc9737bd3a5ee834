//! Unwrapping a batch in stages, so that the kernels of each stage see many packets at once.

use super::open::open;
use super::{MixKey, Private, UnwrapError, UnwrapErrorReason, Unwrapped, UnwrappedKind};
use crate::geometry::Geometry;
use crate::keys::{BATCH_MAX, PacketKeys};
use crate::layout::Layout;
use crate::scheme::{Scheme, SetupError};
use crate::{AD, MAC_BYTES, REPLAY_TAG_BYTES};
use crypto_simd::random::SeededRandom;
use crypto_simd::schemes::{Nike, SchemeError, SharedSecret};
use crypto_simd::symmetric::{equal, sha512_256_batch};
use zeroize::{Zeroize, Zeroizing};

type UnwrapResult = Result<Unwrapped, UnwrapError>;

/// Packets that are worked on at one go: as many as the widest kernels need to be at their best but for
/// a few percent.
const PIECE: usize = 16;

/// Scratch for unwrapping, one per thread. After [`Unwrapper::new`] nothing is allocated.
pub struct Unwrapper {
    layout: Layout,
    batch_max: usize,
    /// The packets that have passed every check so far, in their order.
    live: Vec<Live>,
    secrets: Vec<SharedSecret>,
    tags: Vec<[u8; REPLAY_TAG_BYTES]>,
    keys: Vec<PacketKeys>,
    outcomes: Vec<Result<(), SchemeError>>,
    /// Decrypted routing information of one packet, with the fragment that is appended.
    header: Vec<u8>,
    blinding: Option<Blinding>,
}

/// A packet that is still good.
#[derive(Clone, Copy)]
struct Live {
    /// Its index in the batch.
    packet: usize,
    /// Where its secret, tag and keys are.
    slot: usize,
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
        self.unwrap_batch_with(key, packets, results, &mut || ());
    }

    /// The same for who has something else to do meanwhile: `between` is called between pieces of work, none of which is
    /// more than the public-key operations of 16 packets, or the payloads of 16.
    ///
    /// # Panics
    ///
    /// As [`Unwrapper::unwrap_batch`].
    pub fn unwrap_batch_with(
        &mut self,
        key: &MixKey,
        packets: &mut [&mut [u8]],
        results: &mut [UnwrapResult],
        between: &mut dyn FnMut(),
    ) {
        assert_eq!(packets.len(), results.len(), "one result for each packet");
        assert_eq!(key.layout, self.layout, "key and scratch are for one geometry");
        for (packets, results) in packets.chunks_mut(self.batch_max).zip(results.chunks_mut(self.batch_max)) {
            self.check_versions(packets, results);
            self.share_secrets(key, packets, results, between);
            self.tag_packets(packets);
            self.derive_keys();
            self.check_macs(packets, results);
            self.open_packets(packets, results, between);
            self.blind_elements(packets, results, between);
            self.keys.iter_mut().take(packets.len()).for_each(Zeroize::zeroize);
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
                self.live.push(Live { packet: index, slot: self.live.len() });
            }
        }
    }

    /// Steps 3 and 4.
    fn share_secrets(
        &mut self,
        key: &MixKey,
        packets: &[&mut [u8]],
        results: &mut [UnwrapResult],
        between: &mut dyn FnMut(),
    ) {
        let count = self.live.len();
        let elements = elements(&self.layout, &self.live, packets);
        let (secrets, outcomes) = (&mut self.secrets[..count], &mut self.outcomes[..count]);
        outcomes.fill(Ok(()));
        let pieces = secrets.chunks_mut(PIECE).zip(outcomes.chunks_mut(PIECE));
        for (elements, (secrets, outcomes)) in elements[..count].chunks(PIECE).zip(pieces) {
            match &key.private {
                Private::Nike(private) => private.derive_batch(elements, secrets, outcomes),
                Private::Kem(private) => private.decapsulate_batch(elements, secrets, outcomes),
            }
            between();
        }
        self.live.retain(|live| match outcomes[live.slot] {
            Ok(()) => true,
            Err(error) => {
                secrets[live.slot].zeroize();
                results[live.packet] = Err(UnwrapErrorReason::from(error).without_tag());
                false
            }
        });
        for (slot, live) in self.live.iter_mut().enumerate() {
            if live.slot != slot {
                self.secrets.swap(live.slot, slot);
                live.slot = slot;
            }
        }
    }

    /// Step 5.
    fn tag_packets(&mut self, packets: &[&mut [u8]]) {
        let count = self.live.len();
        let elements = elements(&self.layout, &self.live, packets);
        sha512_256_batch(&elements[..count], &mut self.tags[..count]);
    }

    /// Step 6.
    fn derive_keys(&mut self) {
        let count = self.live.len();
        PacketKeys::derive_batch(self.secrets[..count].iter(), &mut self.keys[..count]);
        self.secrets[..count].iter_mut().for_each(Zeroize::zeroize);
    }

    /// Step 7.
    fn check_macs(&mut self, packets: &[&mut [u8]], results: &mut [UnwrapResult]) {
        let mut macs = [[0; MAC_BYTES]; BATCH_MAX];
        let headers = self.live.iter().map(|live| {
            let header = &packets[live.packet][self.layout.authenticated()];
            (&self.keys[live.slot], header)
        });
        PacketKeys::header_mac_batch(headers, &mut macs[..self.live.len()]);
        self.live.retain(|live| {
            let good = equal(&macs[live.slot], &packets[live.packet][self.layout.mac()]);
            if !good {
                let reason = UnwrapErrorReason::MacMismatch;
                results[live.packet] = Err(UnwrapError { reason, tag: Some(self.tags[live.slot]) });
            }
            good
        });
    }

    /// Steps 8 to 13, but for the blinding.
    fn open_packets(&mut self, packets: &mut [&mut [u8]], results: &mut [UnwrapResult], between: &mut dyn FnMut()) {
        for (number, live) in self.live.iter().enumerate() {
            if number % PIECE == 0 {
                between();
            }
            let tag = self.tags[live.slot];
            let packet = &mut *packets[live.packet];
            results[live.packet] = open(&self.layout, &self.keys[live.slot], tag, packet, &mut self.header)
                .map_err(|reason| UnwrapError { reason, tag: Some(tag) });
        }
    }

    /// The forwarding part of step 10, for NIKE packets: only those that are sent on are blinded.
    fn blind_elements(&mut self, packets: &mut [&mut [u8]], results: &mut [UnwrapResult], between: &mut dyn FnMut()) {
        let Some(blinding) = &mut self.blinding else { return };
        self.live.retain(|live| matches!(results[live.packet], Ok(Unwrapped { kind: UnwrappedKind::Forward, .. })));
        let outcomes = &mut self.outcomes[..self.live.len()];
        outcomes.fill(Ok(()));
        blinding.stage(&self.layout, &self.live, &self.keys, packets);
        blinding.blind(&self.layout, &self.live, packets, outcomes, between);
        for (live, outcome) in self.live.iter().zip(outcomes) {
            if let Err(error) = *outcome {
                let tag = Some(self.tags[live.slot]);
                results[live.packet] = Err(UnwrapError { reason: error.into(), tag });
            }
        }
    }
}

/// The elements of the live packets.
fn elements<'a>(layout: &Layout, live: &[Live], packets: &'a [&mut [u8]]) -> [&'a [u8]; BATCH_MAX] {
    let mut elements: [&[u8]; BATCH_MAX] = [&[]; BATCH_MAX];
    for (element, live) in elements.iter_mut().zip(live) {
        *element = &packets[live.packet][layout.element()];
    }
    elements
}

impl Blinding {
    /// Keeps the received elements and the factors of the packets that are sent on.
    fn stage(&mut self, layout: &Layout, live: &[Live], keys: &[PacketKeys], packets: &[&mut [u8]]) {
        let mut seeds: [&[u8; 32]; BATCH_MAX] = [&[0; 32]; BATCH_MAX];
        for ((seed, kept), live) in seeds.iter_mut().zip(self.elements.chunks_mut(layout.element_bytes)).zip(live) {
            *seed = keys[live.slot].blinding_seed();
            kept.copy_from_slice(&packets[live.packet][layout.element()]);
        }
        let factor_bytes = self.nike.info().private_key_bytes;
        SeededRandom::batch(&seeds[..live.len()], |index, stream| {
            self.nike.generate_into(stream, &mut self.factors[index * factor_bytes..][..factor_bytes]);
        });
    }

    /// Writes the blinded elements into the packets.
    fn blind(
        &mut self,
        layout: &Layout,
        live: &[Live],
        packets: &mut [&mut [u8]],
        outcomes: &mut [Result<(), SchemeError>],
        between: &mut dyn FnMut(),
    ) {
        let count = live.len();
        let mut factors: [&[u8]; BATCH_MAX] = [&[]; BATCH_MAX];
        let mut elements: [&[u8]; BATCH_MAX] = [&[]; BATCH_MAX];
        let mut blinded: [&mut [u8]; BATCH_MAX] = std::array::from_fn(|_| <&mut [u8]>::default());
        let factor_bytes = self.nike.info().private_key_bytes;
        factors.iter_mut().zip(self.factors.chunks(factor_bytes)).for_each(|(to, from)| *to = from);
        elements.iter_mut().zip(self.elements.chunks(layout.element_bytes)).for_each(|(to, from)| *to = from);
        let mut wanted = live.iter().map(|live| live.packet).peekable();
        let outputs = packets.iter_mut().enumerate().filter(|(index, _)| wanted.next_if_eq(index).is_some());
        blinded.iter_mut().zip(outputs).for_each(|(to, (_, packet))| *to = &mut packet[layout.element()]);
        let inputs = factors[..count].chunks(PIECE).zip(elements[..count].chunks(PIECE));
        let pieces = blinded[..count].chunks_mut(PIECE).zip(outcomes.chunks_mut(PIECE));
        for ((factors, elements), (blinded, outcomes)) in inputs.zip(pieces) {
            self.nike.blind_batch(factors, elements, blinded, outcomes);
            between();
        }
        self.factors[..count * factor_bytes].zeroize();
    }
}

impl UnwrapErrorReason {
    fn without_tag(self) -> UnwrapError {
        UnwrapError { reason: self, tag: None }
    }
}

#[cfg(test)]
mod tests;
