use super::implementations::Implementation;
use super::kem::{CurveKey, KemKey};
use super::unwrap::OnePacket;
use super::{aws_lc, rust};
use crate::cases::CASES;
use crypto_simd::random::{OsRandom, Random};
use crypto_simd::schemes::{SharedSecret, kem, nike};
use crypto_simd::symmetric as ours;
use sphinx::Unwrapper;

fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    OsRandom.fill(&mut bytes);
    bytes
}

#[test]
fn the_libraries_unwrap_gives_our_bytes() {
    for case in CASES {
        for payload_bytes in [2_000, 30_000] {
            let prepared = case.prepare(payload_bytes).expect("all schemes of the benchmark are built in");
            let geometry = prepared.sphinx.geometry();
            let mut path = OnePacket::new(geometry, &prepared.private).expect("a path for every scheme");
            let (mut packet, mut theirs) = (prepared.packet.clone(), prepared.packet.clone());
            let unwrapped = Unwrapper::new(geometry, 1)
                .map(|mut unwrapper| unwrapper.unwrap(&prepared.key, &mut packet))
                .expect("a good geometry")
                .expect("a packet for this key");
            assert_eq!(path.unwrap(&mut theirs), Some((unwrapped.tag, unwrapped.commands)), "{}", case.label);
            assert!(packet == theirs, "{}: other bytes", case.label);

            // One changed bit anywhere in the header is noticed, as are other lengths and versions.
            let before_mac = geometry.header_length - 33;
            for at in [0, 2, before_mac, before_mac + 1] {
                let mut changed = prepared.packet.clone();
                changed[at] ^= 1;
                assert_eq!(path.unwrap(&mut changed), None, "{} at {at}", case.label);
            }
            assert_eq!(path.unwrap(&mut prepared.packet.clone()[..geometry.header_length - 1]), None);
        }
    }
}

#[test]
fn other_implementations_send_their_packets_on() {
    for implementation in Implementation::ALL {
        for payload_bytes in [2_000, 30_000] {
            let mut mix = implementation.mix(payload_bytes).expect("a packet of its own");
            mix.restore(2);
            let sent = [(); 3].map(|()| mix.unwrap());
            assert_eq!(sent, [true, true, false], "{}: two copies", implementation.name());
        }
    }
}

#[test]
fn shared_secrets_are_ours() {
    for name in ["x25519", "x448"] {
        let nike = nike::by_name(name).expect("built in");
        let private = nike.generate(&mut OsRandom);
        let public = nike.public_key(&nike.generate(&mut OsRandom)).expect("a good key");
        let secret = nike.load(&private).and_then(|key| key.derive(&public)).expect("good keys");
        let theirs = CurveKey::new(name, &private).and_then(|key| key.multiply(&public)).expect("good keys");
        assert_eq!(theirs.as_bytes(), secret.as_bytes());
        assert!(CurveKey::new(name, &private).and_then(|key| key.multiply(&vec![0; public.len()])).is_none());
        assert!(CurveKey::new(name, &private[1..]).is_none());
    }
    for name in ["x25519", "x448", "MLKEM768", "XWING", "MLKEM768-X25519", "MLKEM768-X448"] {
        let kem = kem::by_name(name).expect("built in");
        let private = kem.generate(&mut OsRandom);
        let key = kem.load(&private).expect("a good key");
        let theirs = KemKey::new(name, &private).expect("a good key");
        let (mut ciphertext, mut secret) = (vec![0; kem.info().ciphertext_bytes], SharedSecret::default());
        kem.encapsulate(key.public_key(), &mut OsRandom, &mut ciphertext, &mut secret).expect("a good key");
        assert_eq!(theirs.decapsulate(&ciphertext).expect("a good ciphertext").as_bytes(), secret.as_bytes(), "{name}");
        assert!(theirs.decapsulate(&ciphertext[1..]).is_none(), "{name}");
    }
    assert!(KemKey::new("sntrup4591761", &[0; 1600]).is_none());
}

#[test]
fn hashes_and_ciphers_are_ours() {
    let key = random::<32>();
    for bytes in [0, 1, 63, 64, 500, 1_120] {
        let mut message = vec![0; bytes];
        OsRandom.fill(&mut message);
        let tag = ours::hmac_sha256(&key, &[&message]);
        assert_eq!([rust::hmac_sha256(&key, &message), aws_lc::hmac_sha256(&key, &message)], [tag; 2]);
        let digest = ours::sha512_256(&message);
        assert_eq!([rust::sha512_256(&message), aws_lc::sha512_256(&message)], [digest; 2]);

        let (mut a, mut b) = (message.clone(), message.clone());
        ours::aes256_ctr_xor(&key, &[0xff; 16], &mut a);
        aws_lc::aes256_ctr_xor(&key, &[0xff; 16], &mut b);
        assert_eq!(a, b);

        let (nonce, mut tag) = (random(), [0; 16]);
        let (mut a, mut b) = (message.clone(), message.clone());
        ours::ChaChaPoly::seal_in_place(&key, &nonce, &[], &mut a, &mut tag);
        assert_eq!(aws_lc::seal(&key, &nonce, &mut b), tag);
        assert_eq!(a, b);
        assert!(aws_lc::open(&key, &nonce, &mut a, &tag));
        assert_eq!(a, message);
        tag[15] ^= 1;
        assert!(!aws_lc::open(&key, &nonce, &mut b, &tag));
    }
    for secret_bytes in [16, 32, 56, 100] {
        let secret = &random::<100>()[..secret_bytes];
        let mut expanded = [[0; 160]; 3];
        ours::hkdf_expand_sha256(secret, b"info", &mut expanded[0]);
        rust::hkdf_expand_sha256(secret, b"info", &mut expanded[1]);
        aws_lc::hkdf_expand_sha256(secret, b"info", &mut expanded[2]);
        assert_eq!(expanded[1..], [expanded[0]; 2]);
    }
}

#[test]
fn frames_arrive() {
    let (mut sealer, mut opener) = (super::frame::Cipher::new([1; 32]), super::frame::Cipher::new([1; 32]));
    let mut first = vec![7; wire::frame_bytes(100)];
    let mut second = first.clone();
    sealer.seal(&mut first).expect("long enough");
    sealer.seal(&mut second).expect("long enough");
    assert_ne!(first, second, "the key has changed");
    opener.open(&mut first).expect("the first frame");
    opener.open(&mut second).expect("the second frame");
    assert_eq!(first[wire::FRAME_HEADER_BYTES..][..100], [7; 100]);
    assert_eq!(opener.open(&mut first), None, "not sealed");
    assert_eq!(sealer.seal(&mut [0; 30]), None, "too short");
}
