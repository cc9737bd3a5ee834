use super::*;
use crate::create::Sphinx;
use crate::path::{PathHop, Terminal, compose};
use crypto_simd::random::{Random, SeededRandom};
use crypto_simd::schemes::nike::{self, NikeInfo, NikePrivateKey};
use std::sync::Mutex;

/// X25519 that remembers the elements that it was asked to blind.
struct Watched(Mutex<Vec<Vec<u8>>>);

fn x25519() -> &'static dyn Nike {
    nike::by_name("x25519").expect("built in")
}

impl Nike for Watched {
    fn info(&self) -> &'static NikeInfo {
        x25519().info()
    }

    fn generate_into(&self, random: &mut dyn Random, private: &mut [u8]) {
        x25519().generate_into(random, private);
    }

    fn public_key(&self, private: &[u8]) -> Result<Vec<u8>, SchemeError> {
        x25519().public_key(private)
    }

    fn load(&self, private: &[u8]) -> Result<Box<dyn NikePrivateKey>, SchemeError> {
        x25519().load(private)
    }

    fn blind_batch(
        &self,
        factors: &[&[u8]],
        publics: &[&[u8]],
        blinded: &mut [&mut [u8]],
        results: &mut [Result<(), SchemeError>],
    ) {
        assert!(factors.len() == publics.len() && factors.len() == blinded.len() && factors.len() == results.len());
        self.0.lock().expect("one test").extend(publics.iter().map(|public| public.to_vec()));
        x25519().blind_batch(factors, publics, blinded, results);
    }
}

const TERMINAL: Terminal = Terminal { recipient: [7; 32], surb_id: None, delay_ms: Some(1) };

/// Junk of every sort never costs the second multiplication; nor does a packet that has arrived.
#[test]
fn only_packets_to_be_sent_on_are_blinded() {
    let geometry = Geometry::nike("x25519", 100, 3, false).expect("a good geometry");
    let layout = Layout::new(&geometry).expect("a good geometry");
    let sphinx = Sphinx::new(geometry.clone()).expect("built in");
    let mut random = SeededRandom::new(&[9; 32]);
    let keys: Vec<MixKey> =
        (0..3).map(|_| MixKey::new(&geometry, &x25519().generate(&mut random)).expect("a fresh key")).collect();
    let path = |hops: usize| -> Vec<PathHop> {
        let nodes = keys[..hops].iter().enumerate().map(|(node, key)| ([node as u8; 32], key.public_key().to_vec()));
        compose(nodes, &vec![5; hops - 1], &TERMINAL).expect("one delay for each hop before the last")
    };
    let payload = vec![0; geometry.forward_payload_length];
    let mut make = |hops| sphinx.new_packet(&path(hops), &payload, &mut random).expect("a good path");

    let (mut packets, mut forwarded) = (Vec::new(), Vec::new());
    for turn in 0..BATCH_MAX {
        let mut packet = make(if turn % 8 == 1 { 1 } else { 3 });
        match turn % 8 {
            0 => forwarded.push(packet[layout.element()].to_vec()),
            1 => {}
            2 => packet[layout.mac().start] ^= 1,
            3 => packet[layout.routing_info().start] ^= 1,
            4 => packet[layout.element().start] ^= 1,
            5 => packet[layout.element()].fill(0),
            6 => packet[0] = 1,
            _ => packet.truncate(layout.header_bytes - 1),
        }
        packets.push(packet);
    }

    let watched: &'static Watched = Box::leak(Box::new(Watched(Mutex::default())));
    let mut unwrapper = Unwrapper::new(&geometry, BATCH_MAX).expect("a good geometry");
    unwrapper.blinding.as_mut().expect("a NIKE").nike = watched;
    let mut results = vec![Err(UnwrapErrorReason::Truncated.without_tag()); packets.len()];
    let mut borrowed: Vec<&mut [u8]> = packets.iter_mut().map(Vec::as_mut_slice).collect();
    let mut pieces = 0;
    unwrapper.unwrap_batch_with(&keys[0], &mut borrowed, &mut results, &mut || pieces += 1);

    // Those that are long enough and of this version, then those whose MAC holds, then those that are sent on.
    let (shared, opened) = (BATCH_MAX * 6 / 8, 2 * forwarded.len());
    assert_eq!(pieces, shared.div_ceil(PIECE) + opened.div_ceil(PIECE) + forwarded.len().div_ceil(PIECE));
    assert_eq!(*watched.0.lock().expect("one test"), forwarded);
    let sent_on =
        results.iter().filter(|result| matches!(result, Ok(Unwrapped { kind: UnwrappedKind::Forward, .. }))).count();
    assert_eq!(sent_on, forwarded.len());
    assert_eq!(results.iter().filter(|result| result.is_ok()).count(), 2 * forwarded.len());
}
