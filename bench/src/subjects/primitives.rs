//! Single operations: through the interface that the product calls, and through the libraries that may be the fastest.

use super::{Contest, Peer, buffers_in_cache, calls, in_place};
use crate::peers::frame::Cipher;
use crate::peers::kem::{CurveKey, KemKey};
use crate::peers::{aws_lc, rust};
use crypto_simd::aez::decipher_in_place;
use crypto_simd::random::{Random, SeededRandom};
use crypto_simd::schemes::{SharedSecret, kem, nike};
use crypto_simd::symmetric::{
    ChaChaPoly, aes256_ctr_xor, hkdf_expand_sha256_batch, hmac_sha256_batch, sha512_256_batch,
};
use sphinx::unwrap::BATCH_MAX;
use std::hint::black_box;
use std::sync::Arc;
use wire::{CommandSizes, FRAME_HEADER_BYTES, Handshake, Role, SessionConfig, Transport, Want, frame_bytes};

/// The most slow operations in one run of a peer, which gains nothing from more.
const PEER_ITEMS_MAX: usize = 8;
const KDF_INFO: &[u8] = b"katzenpost-kdf-v0-hkdf-sha256";

/// Shared secrets of one private key with many public keys.
pub fn multiply(name: &'static str, batch: usize) -> Result<Contest, String> {
    let random = &mut seeded();
    let nike = nike::by_name(name).map_err(|error| error.to_string())?;
    let private = nike.generate(random);
    let key = nike.load(&private).map_err(|error| error.to_string())?;
    let publics: Vec<Vec<u8>> = (0..batch)
        .map(|_| nike.public_key(&nike.generate(random)).map_err(|error| error.to_string()))
        .collect::<Result<_, _>>()?;
    let peer_key = CurveKey::new(name, &private).ok_or("the libraries lack the scheme")?;
    let library = if name == "x448" { "crrl" } else { "aws-lc" };
    let peer_publics = publics[..batch.min(PEER_ITEMS_MAX)].to_vec();
    let peer = peer(library, peer_publics.len(), move || {
        for public in &peer_publics {
            black_box(peer_key.multiply(black_box(public)));
        }
    });
    let (mut secrets, mut results) = (vec![SharedSecret::default(); batch], vec![Ok(()); batch]);
    let ours = calls(batch, move || {
        let refs = refs(&publics);
        key.derive_batch(black_box(&refs[..batch]), &mut secrets, &mut results);
        assert!(results.iter().all(Result::is_ok), "good keys");
    });
    Ok(Contest { ours, peers: vec![peer], floor: None })
}

/// Decapsulations with one private key.
pub fn decapsulate(name: &'static str, batch: usize) -> Result<Contest, String> {
    let random = &mut seeded();
    let kem = kem::by_name(name).map_err(|error| error.to_string())?;
    let private = kem.generate(random);
    let key = kem.load(&private).map_err(|error| error.to_string())?;
    let mut ciphertexts = vec![vec![0; kem.info().ciphertext_bytes]; batch];
    for ciphertext in &mut ciphertexts {
        kem.encapsulate(key.public_key(), random, ciphertext, &mut SharedSecret::default())
            .map_err(|error| error.to_string())?;
    }
    let peer_key = KemKey::new(name, &private).ok_or("the libraries lack the scheme")?;
    let library = if name == "MLKEM768" { "libcrux, unpacked key" } else { "libcrux, aws-lc" };
    let peer_ciphertexts = ciphertexts[..batch.min(PEER_ITEMS_MAX)].to_vec();
    let peer = peer(library, peer_ciphertexts.len(), move || {
        for ciphertext in &peer_ciphertexts {
            black_box(peer_key.decapsulate(black_box(ciphertext)));
        }
    });
    let (mut secrets, mut results) = (vec![SharedSecret::default(); batch], vec![Ok(()); batch]);
    let ours = calls(batch, move || {
        let refs = refs(&ciphertexts);
        key.decapsulate_batch(black_box(&refs[..batch]), &mut secrets, &mut results);
        assert!(results.iter().all(Result::is_ok), "good keys");
    });
    Ok(Contest { ours, peers: vec![peer], floor: None })
}

/// AEZ in place. No library stands beside it: `aez` compiles for the build host's CPU only, `zears` takes 20 to 40
/// times as long.
pub fn aez(bytes: usize) -> Contest {
    let (key, iv, mut data) = (random_array(), random_array(), random_bytes(bytes));
    let ours = calls(1, move || decipher_in_place(black_box(&key), &iv, black_box(&mut data)));
    Contest { ours, peers: Vec::new(), floor: None }
}

/// AES-256-CTR in place.
pub fn aes256_ctr(bytes: usize, batch: usize) -> Contest {
    let (key, iv, mut data) = (random_array(), random_array(), vec![random_bytes(bytes); batch]);
    let mut peer_data = data.clone();
    let peer = peer("aws-lc", batch, move || {
        for data in &mut peer_data {
            aws_lc::aes256_ctr_xor(black_box(&key), &iv, black_box(data));
        }
    });
    let ours = calls(batch, move || {
        for data in &mut data {
            aes256_ctr_xor(black_box(&key), &iv, black_box(data));
        }
    });
    Contest { ours, peers: vec![peer], floor: None }
}

/// HMAC-SHA-256.
pub fn hmac_sha256(bytes: usize, batch: usize) -> Contest {
    let key: [u8; 32] = random_array();
    let messages = vec![random_bytes(bytes); batch];
    let ours_messages = messages.clone();
    let mut tags = vec![[0; 32]; batch];
    let ours = calls(batch, move || {
        let refs = refs(&ours_messages);
        hmac_sha256_batch(&[black_box(&key); BATCH_MAX][..batch], black_box(&refs[..batch]), &mut tags);
        black_box(&tags);
    });
    let peers = hash_peers(
        messages,
        move |message| rust::hmac_sha256(&key, message),
        move |message| aws_lc::hmac_sha256(&key, message),
    );
    Contest { ours, peers, floor: None }
}

/// A packet's keys from its shared secret.
pub fn hkdf_expand(batch: usize) -> Contest {
    let secrets = vec![random_bytes(32); batch];
    let ours_secrets = secrets.clone();
    let mut keys = vec![[0; 160]; batch];
    let ours = calls(batch, move || {
        let refs = refs(&ours_secrets);
        let mut outputs: [&mut [u8]; BATCH_MAX] = std::array::from_fn(|_| <&mut [u8]>::default());
        outputs.iter_mut().zip(&mut keys).for_each(|(to, from)| *to = from);
        hkdf_expand_sha256_batch(black_box(&refs[..batch]), KDF_INFO, &mut outputs[..batch]);
        black_box(&keys);
    });
    let expand = |function: fn(&[u8], &[u8], &mut [u8])| {
        move |secret: &[u8]| {
            let mut keys = [0; 160];
            function(secret, KDF_INFO, &mut keys);
            keys
        }
    };
    let peers = hash_peers(secrets, expand(rust::hkdf_expand_sha256), expand(aws_lc::hkdf_expand_sha256));
    Contest { ours, peers, floor: None }
}

/// Replay tags.
pub fn sha512_256(bytes: usize, batch: usize) -> Contest {
    let messages = vec![random_bytes(bytes); batch];
    let ours_messages = messages.clone();
    let mut digests = vec![[0; 32]; batch];
    let ours = calls(batch, move || {
        let refs = refs(&ours_messages);
        sha512_256_batch(black_box(&refs[..batch]), &mut digests);
        black_box(&digests);
    });
    Contest { ours, peers: hash_peers(messages, rust::sha512_256, aws_lc::sha512_256), floor: None }
}

/// ChaCha20-Poly1305, sealing in place.
pub fn seal(bytes: usize) -> Contest {
    let (key, nonce, mut data) = (random_array(), random_array(), random_bytes(bytes));
    let mut peer_data = data.clone();
    let peer = peer("aws-lc", 1, move || {
        black_box(aws_lc::seal(black_box(&key), &nonce, black_box(&mut peer_data)));
    });
    let mut tag = [0; 16];
    let ours = calls(1, move || {
        ChaChaPoly::seal_in_place(black_box(&key), &nonce, &[], black_box(&mut data), &mut tag);
        black_box(tag);
    });
    Contest { ours, peers: vec![peer], floor: None }
}

/// ChaCha20-Poly1305, opening in place.
pub fn open(bytes: usize) -> Contest {
    let (key, nonce): ([u8; 32], [u8; 12]) = (random_array(), random_array());
    let mut sealed = random_bytes(bytes);
    let tag = aws_lc::seal(&key, &nonce, &mut sealed);
    let fresh = vec![sealed; buffers_in_cache(bytes)];
    let peer = in_place(fresh.clone(), move |buffers| {
        for buffer in buffers {
            assert!(aws_lc::open(black_box(&key), &nonce, black_box(buffer), &tag), "the tag is right");
        }
    });
    let ours = in_place(fresh, move |buffers| {
        for buffer in buffers {
            let opened = ChaChaPoly::open_in_place(black_box(&key), &nonce, &[], black_box(buffer), &tag);
            assert!(opened.is_ok(), "the tag is right");
        }
    });
    Contest { ours, peers: vec![Peer { name: "aws-lc", subject: peer }], floor: None }
}

/// A frame of the link protocol from one end to the other.
pub fn link_frame(command_bytes: usize) -> Result<Contest, String> {
    let (mut sealer, mut opener) = (Cipher::new([7; 32]), Cipher::new([7; 32]));
    let mut frame = vec![0; frame_bytes(command_bytes)];
    let peer = peer("aws-lc", 1, move || {
        let done = sealer.seal(black_box(&mut frame)).and_then(|()| opener.open(&mut frame));
        assert!(done.is_some(), "a frame that was just sealed");
    });
    let (mut from, mut to) = link(command_bytes)?;
    let mut frame = vec![0; frame_bytes(command_bytes)];
    let ours = calls(1, move || {
        from.sealer.seal(black_box(&mut frame)).expect("a frame within the limit");
        let (header, body) = frame.split_at_mut(FRAME_HEADER_BYTES);
        to.opener.open_header(header).expect("a frame that was just sealed");
        to.opener.open_body(body).expect("a frame that was just sealed");
    });
    Ok(Contest { ours, peers: vec![peer], floor: None })
}

/// Both ends of an established link.
fn link(packet_bytes: usize) -> Result<(Transport, Transport), String> {
    let random = &mut seeded();
    let scheme = kem::by_name("x25519").map_err(|error| error.to_string())?;
    let sizes = CommandSizes::mixnet(packet_bytes, packet_bytes);
    let mut end = |role| {
        let key = Arc::from(scheme.load(&scheme.generate(random)).map_err(|error| error.to_string())?);
        Handshake::new(&SessionConfig::mixnet(role, scheme, sizes), key, b"end", random)
            .map_err(|error| error.to_string())
    };
    let (mut initiator, mut responder) = (end(Role::Initiator)?, end(Role::Responder)?);
    let random = &mut seeded();
    while initiator.wants() != Want::Done || responder.wants() != Want::Done {
        for [from, to] in [[0, 1], [1, 0]] {
            let ends = &mut [&mut initiator, &mut responder];
            if ends[from].wants() == Want::Authenticate {
                ends[from].accept(random).map_err(|error| error.to_string())?;
            }
            if ends[from].wants() == Want::Write {
                let mut message = ends[from].pending_write().to_vec();
                ends[from].written();
                ends[to].read(&mut message, 0, random).map_err(|error| error.to_string())?;
            }
        }
    }
    let transport = |end: Handshake| end.into_transport().map_err(|error| error.to_string());
    Ok((transport(initiator)?, transport(responder)?))
}

fn peer(name: &'static str, items: usize, call: impl FnMut() + 'static) -> Peer {
    Peer { name, subject: calls(items, call) }
}

/// Both libraries of hashes: which is faster depends on the CPU and on the length.
fn hash_peers<R: 'static>(
    messages: Vec<Vec<u8>>,
    sha2: impl Fn(&[u8]) -> R + 'static,
    aws_lc: impl Fn(&[u8]) -> R + 'static,
) -> Vec<Peer> {
    let (sha2, aws_lc) = (hash_all(messages.clone(), sha2), hash_all(messages.clone(), aws_lc));
    vec![peer("sha2", messages.len(), sha2), peer("aws-lc", messages.len(), aws_lc)]
}

fn hash_all<R>(messages: Vec<Vec<u8>>, hash: impl Fn(&[u8]) -> R + 'static) -> impl FnMut() + 'static {
    move || {
        for message in &messages {
            black_box(hash(black_box(message)));
        }
    }
}

/// The inputs of a batch, as batch calls take them.
fn refs(inputs: &[Vec<u8>]) -> [&[u8]; BATCH_MAX] {
    let mut refs: [&[u8]; BATCH_MAX] = [&[]; BATCH_MAX];
    refs.iter_mut().zip(inputs).for_each(|(to, from)| *to = from);
    refs
}

/// The same numbers in every run.
fn seeded() -> SeededRandom {
    SeededRandom::new(&[0x4b; 32])
}

fn random_bytes(bytes: usize) -> Vec<u8> {
    let mut data = vec![0; bytes];
    seeded().fill(&mut data);
    data
}

fn random_array<const N: usize>() -> [u8; N] {
    let mut array = [0; N];
    seeded().fill(&mut array);
    array
}
