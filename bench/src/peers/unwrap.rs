//! The one-packet path of the best libraries: the work of sphinx.md 6.3 and 7.2 in its order, on one packet, for
//! packets that are sent on. What it makes of a packet is byte for byte what our unwrap makes of it.
//!
//! The payload's cipher is our own AES-NI form of AEZ: no library that can be built without being tied to the build
//! host's CPU is as fast (the `aez` package compiles C for that CPU; `zears` takes twenty times as long). Nothing is
//! wiped, which is to the peer's advantage.

use super::kem::{CurveKey, KemKey};
use super::{aws_lc, rust};
use crypto_simd::aez;
use crypto_simd::cpu::{Level, detect};
use crypto_simd::dispatch::Kernels;
use sphinx::{Commands, Geometry};

const AD_BYTES: usize = 2;
const MAC_BYTES: usize = 32;
const KDF_INFO: &[u8] = b"katzenpost-kdf-v0-hkdf-sha256";

/// A private key and the offsets of its geometry.
pub struct OnePacket {
    key: Key,
    kernels: Kernels,
    element_end: usize,
    mac_start: usize,
    header_bytes: usize,
    per_hop_bytes: usize,
    command_bytes: usize,
    /// Decrypted routing information, with the fragment that is appended.
    header: Vec<u8>,
}

enum Key {
    Nike(CurveKey),
    Kem(KemKey),
}

impl OnePacket {
    /// For the serialised private key of a geometry's scheme.
    pub fn new(geometry: &Geometry, private: &[u8]) -> Result<Self, String> {
        let unknown = || format!("no library path for {}{}", geometry.nike_name, geometry.kem_name);
        let key = if geometry.kem_name.is_empty() {
            CurveKey::new(&geometry.nike_name, private).map(Key::Nike)
        } else {
            KemKey::new(&geometry.kem_name, private).map(Key::Kem)
        };
        let mac_start = geometry.header_length - MAC_BYTES;
        let element_end = mac_start - geometry.routing_info_length;
        let ciphertext_bytes = if geometry.kem_name.is_empty() { 0 } else { element_end - AD_BYTES };
        let kernels = Kernels::of(detect().min(Level::Avx2)).ok_or("the CPU has no level")?;
        Ok(Self {
            key: key.ok_or_else(unknown)?,
            kernels,
            element_end,
            mac_start,
            header_bytes: geometry.header_length,
            per_hop_bytes: geometry.per_hop_routing_info_length,
            command_bytes: geometry.per_hop_routing_info_length - ciphertext_bytes,
            header: vec![0; geometry.routing_info_length + geometry.per_hop_routing_info_length],
        })
    }

    /// Unwraps a packet in place: its replay tag and commands. None if it is refused or goes no further.
    pub fn unwrap(&mut self, packet: &mut [u8]) -> Option<([u8; 32], Commands)> {
        if packet.len() < self.header_bytes || packet[..AD_BYTES] != [0; AD_BYTES] {
            return None;
        }
        let element = &packet[AD_BYTES..self.element_end];
        let secret = match &self.key {
            Key::Nike(key) => key.multiply(element)?,
            Key::Kem(key) => key.decapsulate(element)?,
        };
        let tag = rust::sha512_256(element);
        let keys = PacketKeys::derive(secret.as_bytes());
        // Of what is compared nothing is secret here; the product compares in constant time.
        if rust::hmac_sha256(keys.part::<0, 32>(), &packet[..self.mac_start])
            != packet[self.mac_start..self.header_bytes]
        {
            return None;
        }
        let (routing_info, appended) = self.header.split_at_mut(self.mac_start - self.element_end);
        routing_info.copy_from_slice(&packet[self.element_end..self.mac_start]);
        appended.fill(0);
        aws_lc::aes256_ctr_xor(keys.part::<32, 32>(), keys.part::<64, 16>(), &mut self.header);
        let commands = Commands::parse(&self.header[..self.command_bytes]).ok()?;
        let payload = &mut packet[self.header_bytes..];
        aez::decipher_in_place_with(&self.kernels, keys.part::<80, 48>(), keys.part::<64, 16>(), payload);
        let next = commands.next_node?;
        let (fragment, routing_info) = self.header.split_at(self.per_hop_bytes);
        packet[self.element_end..self.mac_start].copy_from_slice(routing_info);
        packet[self.mac_start..self.header_bytes].copy_from_slice(&next.mac);
        let element = &mut packet[AD_BYTES..self.element_end];
        match &self.key {
            Key::Nike(key) => {
                let stream = aws_lc::chacha20_block(keys.part::<128, 32>(), 0, &[0; 12]);
                let factor = match key {
                    CurveKey::X25519(_) => CurveKey::X25519(*stream.first_chunk()?),
                    CurveKey::X448(_) => CurveKey::X448(*stream.first_chunk()?),
                };
                element.copy_from_slice(factor.multiply(element)?.as_bytes());
            }
            Key::Kem(_) => element.copy_from_slice(&fragment[self.command_bytes..]),
        }
        Some((tag, commands))
    }
}

/// The output of the key derivation (sphinx.md 2.3).
struct PacketKeys([u8; 160]);

impl PacketKeys {
    fn derive(secret: &[u8]) -> Self {
        let mut bytes = [0; 160];
        aws_lc::hkdf_expand_sha256(secret, KDF_INFO, &mut bytes);
        Self(bytes)
    }

    fn part<const START: usize, const BYTES: usize>(&self) -> &[u8; BYTES] {
        self.0[START..].first_chunk().expect("sphinx.md 2.3 has these parts")
    }
}
