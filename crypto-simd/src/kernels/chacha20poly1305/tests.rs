//! Each kernel and its twin against RFC 8439, aws-lc and the chacha20 crate.

use super::*;
use crate::authentic::OpenError;
use crate::cpu::Level;
use crate::dispatch::Kernels;
use crate::random::{Random, SeededRandom};
use crate::symmetric::aead::library;
use ::chacha20::cipher::{KeyIvInit, StreamCipher, StreamCipherSeek};
use aws_lc_sys::{CRYPTO_poly1305_finish, CRYPTO_poly1305_init, CRYPTO_poly1305_update};

/// The kernels of this CPU's levels, and the twin.
pub(crate) fn kernels() -> Vec<(String, Kernel)> {
    let levels = Level::ALL.into_iter().filter_map(|level| {
        let kernels = Kernels::of(level);
        if kernels.is_none() {
            println!("chacha20poly1305 {level}: NOT TESTED ON THIS HOST");
        }
        Some((level.to_string(), kernels?.chacha20poly1305?))
    });
    levels.chain([("twin".to_owned(), emulated())]).collect()
}

fn bytes(random: &mut SeededRandom, length: usize) -> Vec<u8> {
    let mut bytes = vec![0; length];
    random.fill(&mut bytes);
    bytes
}

fn hex<const N: usize>(text: &str) -> [u8; N] {
    hex::decode(text).expect("hexadecimal").try_into().expect("the right length")
}

/// RFC 8439 2.8.2.
#[test]
fn sunscreen() {
    let key: [u8; 32] = std::array::from_fn(|index| 0x80 + index as u8);
    let nonce = hex("070000004041424344454647");
    let ad: [u8; 12] = hex("50515253c0c1c2c3c4c5c6c7");
    let message = b"Ladies and Gentlemen of the class of '99: If I could offer you only one tip for the future, \
        sunscreen would be it.";
    let expected = "d31a8d34648e60db7b86afbc53ef7ec2a4aded51296e08fea9e2b5a736ee62d63dbea45e8ca9671282fafb69da92728b\
        1a71de0a9e060b2905d6a5b67ecd3b3692ddbd7f2d778b8c9803aee328091b58fab324e4fad675945585808b4831d7bc3ff4def08e4b7a9d\
        e576d26586cec64b6116";
    for (name, kernel) in kernels() {
        let mut buffer = *message;
        let tag = kernel.seal(&key, &nonce, &ad, &mut buffer);
        assert_eq!(hex::encode(buffer), expected, "{name}");
        assert_eq!(hex::encode(tag), "1ae10b594f09e26a7e902ecbd0600691", "{name}");
        assert_eq!(kernel.open(&key, &nonce, &ad, &mut buffer, &tag), Ok(()), "{name}");
        assert_eq!(&buffer, message, "{name}");
    }
}

/// RFC 8439 2.3.2 and A.1, at each lane.
#[test]
fn blocks_of_the_rfc() {
    let key: [u8; 32] = std::array::from_fn(|index| index as u8);
    let nonce = hex("000000090000004a00000000");
    let expected = "10f1e7e4d13b5915500fdd1fa32071c4c7d1f4c733c068030422aa9ac3d46c4ed2826446079faa0914c2d705d98b02a2b5129cd1\
        de164eb9cbd083e8a2503c4e";
    let zeros = "76b8e0ada0f13d90405d6ae55386bd28bdd219b8a08ded1aa836efcc8b770dc7da41597c5157488d7724e03fb8d84a376a43b8f415\
        18a11cc387b669b2ee6586";
    for (name, kernel) in kernels() {
        for lane in 0..32 {
            let mut stream = [0; 33 * 64];
            (kernel.xor_keystream)(&key, place(1u32.wrapping_sub(lane), &nonce), Text::in_place(&mut stream));
            assert_eq!(hex::encode(&stream[lane as usize * 64..][..64]), expected, "{name}: lane {lane}");
        }
        let mut block = [[0; 64]];
        (kernel.start_message)(
            &[0; 32],
            &[place(0, &[0; 12])],
            place(1, &[0; 12]),
            &mut block,
            Text::in_place(&mut []),
        );
        assert_eq!(hex::encode(block[0]), zeros, "{name}");
    }
}

/// RFC 8439 2.5.2 and A.3: key, message, tag.
#[test]
fn authenticators_of_the_rfc() {
    let ietf = "Any submission to the IETF intended by the Contributor for publication as all or part of an IETF \
        Internet-Draft or RFC and any statement made within the context of an IETF activity is considered an \"IETF \
        Contribution\". Such statements include oral statements in IETF sessions, as well as written and electronic \
        communications made at any time or place, which are addressed to";
    let jabberwocky = "'Twas brillig, and the slithy toves\nDid gyre and gimble in the wabe:\nAll mimsy were the \
        borogoves,\nAnd the mome raths outgrabe.";
    let (z, one, two) =
        ("00000000000000000000000000000000", "01000000000000000000000000000000", "02000000000000000000000000000000");
    let r = "36e5f6b5c5e06070f0efca96227a863e";
    let ones = "ffffffffffffffffffffffffffffffff";
    let cases: [(String, Vec<u8>, &str); 12] = [
        (
            "85d6be7857556d337f4452fe42d506a80103808afb0db2fd4abff6af4149f51b".into(),
            b"Cryptographic Forum Research Group".to_vec(),
            "a8061dc1305136c6c22b8baf0c0127a9",
        ),
        (format!("{z}{z}"), vec![0; 64], z),
        (format!("{z}{r}"), ietf.into(), r),
        (format!("{r}{z}"), ietf.into(), "f3477e7cd95417af89a6b8794c310cf0"),
        (
            "1c9240a5eb55d38af333888604f6b5f0473917c1402b80099dca5cbc207075c0".into(),
            jabberwocky.into(),
            "4541669a7eaaee61e708dc7cbcc5eb62",
        ),
        (format!("{two}{z}"), hex::<16>(ones).into(), "03000000000000000000000000000000"),
        (format!("{two}{ones}"), hex::<16>(two).into(), "03000000000000000000000000000000"),
        (
            format!("{one}{z}"),
            hex::<48>(&format!("{ones}f0ffffffffffffffffffffffffffffff11000000000000000000000000000000")).into(),
            "05000000000000000000000000000000",
        ),
        (
            format!("{one}{z}"),
            hex::<48>(&format!("{ones}fbfefefefefefefefefefefefefefefe01010101010101010101010101010101")).into(),
            z,
        ),
        (format!("{two}{z}"), hex::<16>("fdffffffffffffffffffffffffffffff").into(), "faffffffffffffffffffffffffffffff"),
        (
            "0100000000000000040000000000000000000000000000000000000000000000".into(),
            hex::<64>(
                "e33594d7505e43b900000000000000003394d7505e4379cd01000000000000000000000000000000000000000000000001000000000000000\
                000000000000000",
            )
            .into(),
            "14000000000000005500000000000000",
        ),
        (
            "0100000000000000040000000000000000000000000000000000000000000000".into(),
            hex::<48>("e33594d7505e43b900000000000000003394d7505e4379cd010000000000000000000000000000000000000000000000").into(),
            "13000000000000000000000000000000",
        ),
    ];
    for (key, message, tag) in cases {
        // The last block is not filled with zeros, but ends with a one: the library alone takes it.
        assert_eq!(hex::encode(expected_tag(&hex(&key), &message)), tag);
        if message.len() % 16 != 0 {
            continue;
        }
        for (name, kernel) in kernels() {
            assert_eq!(hex::encode(tag_of(&kernel, &hex(&key), &message, &[])), tag, "{name}");
        }
    }
}

/// The tag of `message` and then of blocks by themselves.
fn tag_of(kernel: &Kernel, key: &[u8; 32], message: &[u8], end: &[[u8; 16]]) -> Tag {
    let mut state = Poly1305::new(key);
    (kernel.absorb)(&mut state, message, end.first());
    state.finish()
}

/// The same by aws-lc.
fn expected_tag(key: &[u8; 32], message: &[u8]) -> Tag {
    // The state wants 64-byte alignment, which it makes by itself.
    let (mut state, mut tag) = ([0; 512], [0; 16]);
    // SAFETY: state, key and tag have the lengths that the calls want; the message comes with its length.
    unsafe {
        CRYPTO_poly1305_init(&mut state, key.as_ptr());
        CRYPTO_poly1305_update(&mut state, message.as_ptr(), message.len());
        CRYPTO_poly1305_finish(&mut state, tag.as_mut_ptr());
    }
    tag
}

/// Limbs at their ends: the largest r, its single limbs, blocks of ones, numbers just below and above multiples of
/// 2^130 - 5, with every number of blocks behind the last group, in one piece and in two.
#[test]
fn authenticators_at_the_edges() {
    let mut random = SeededRandom::new(&[6; 32]);
    let keys = ["ff", "00", "01", "04", "80"].map(|byte| byte.repeat(32));
    let mut keys: Vec<[u8; 32]> = keys.iter().map(|key| hex(key)).collect();
    let clamped = u128::MAX;
    for bits in [44, 88] {
        keys.push([(clamped << bits).to_le_bytes(), [0xff; 16]].concat().try_into().unwrap());
    }
    keys.push([(clamped >> 84).to_le_bytes(), [0; 16]].concat().try_into().unwrap());
    let blocks: Vec<[u8; 16]> = [
        u128::MAX,
        0,
        u128::MAX - 4,
        u128::MAX - 5,
        1 << 127,
        5,
        1 << 44,
        (1 << 44) - 1,
        (1 << 88) - 1,
        u128::MAX << 88,
    ]
    .map(u128::to_le_bytes)
    .into();
    for (name, kernel) in kernels() {
        for key in &keys {
            for block in 0..=blocks.len() {
                for count in [1, 2, 19, 20, 21, 22, 23, 24, 25, 26, 27, 39, 40, 41, 71, 72, 73, 130] {
                    let message: Vec<u8> = match blocks.get(block) {
                        Some(block) => block.repeat(count),
                        None => {
                            (0..count).flat_map(|_| blocks[bytes(&mut random, 1)[0] as usize % blocks.len()]).collect()
                        }
                    };
                    let expected = expected_tag(key, &message);
                    assert_eq!(tag_of(&kernel, key, &message, &[]), expected, "{name}: {count} of block {block}");
                    let (start, last) = message.split_last_chunk().unwrap();
                    assert_eq!(tag_of(&kernel, key, start, &[*last]), expected, "{name}: {count} of block {block}");
                    let mut state = Poly1305::new(key);
                    let (first, second) = message.split_at(count / 3 * 16);
                    (kernel.absorb)(&mut state, first, None);
                    (kernel.absorb)(&mut state, second, None);
                    assert_eq!(state.finish(), expected, "{name}: {count} of block {block} in two pieces");
                }
            }
        }
    }
}

/// Sealed and opened in place, as aws-lc does, with associated data of every length up to 40.
#[test]
fn every_length() {
    for (name, kernel) in kernels() {
        let mut random = SeededRandom::new(&[3; 32]);
        for length in (0..=2100).chain([4095, 4096, 8191, 8193, 10_000, 12_345, 16_500, 30_000, 32_768, 70_001]) {
            let key: [u8; 32] = bytes(&mut random, 32).try_into().unwrap();
            let nonce: [u8; 12] = bytes(&mut random, 12).try_into().unwrap();
            let ad = bytes(&mut random, if length == 1500 { 1000 } else { length % 41 });
            let message = bytes(&mut random, length);
            let (mut expected, mut expected_tag) = (message.clone(), [0; 16]);
            library::seal(&key, &nonce, &ad, Text::in_place(&mut expected), &mut expected_tag);
            let mut buffer = message.clone();
            let tag = kernel.seal(&key, &nonce, &ad, &mut buffer);
            assert!(buffer == expected, "{name}: ciphertext of {length}");
            assert_eq!(tag, expected_tag, "{name}: tag of {length}");
            assert_eq!(kernel.open(&key, &nonce, &ad, &mut buffer, &tag), Ok(()), "{name}: {length}");
            assert!(buffer == message, "{name}: plaintext of {length}");
        }
    }
}

/// The keystream from anywhere, to the end of the counter, as the chacha20 crate has it.
#[test]
fn keystreams() {
    let (key, nonce) = ([8; 32], [9; 12]);
    for (name, kernel) in kernels() {
        for (from, length) in [(0, 5000), (1, 2048), (77, 1025), (u32::MAX - 40, 40 * 64)] {
            let (mut expected, mut stream) = (vec![1; length], vec![1; length]);
            let mut peer = ::chacha20::ChaCha20::new(&key.into(), &nonce.into());
            peer.seek(u64::from(from) * 64);
            peer.apply_keystream(&mut expected);
            (kernel.xor_keystream)(&key, place(from, &nonce), Text::in_place(&mut stream));
            assert!(stream == expected, "{name}: {length} from {from}");
        }
    }
}

/// Nothing but the untouched message opens, and what does not open stays as it was.
#[test]
fn changed_messages_do_not_open() {
    let (key, nonce, ad) = ([1; 32], [2; 12], [3; 20]);
    for (name, kernel) in kernels() {
        for length in [0, 1, 16, 320, 1000, 2500] {
            let mut sealed = vec![0x55; length];
            let tag = kernel.seal(&key, &nonce, &ad, &mut sealed);
            for byte in 0..16 {
                for bit in [0, 7] {
                    let (mut wrong, mut buffer) = (tag, sealed.clone());
                    wrong[byte] ^= 1 << bit;
                    assert_eq!(kernel.open(&key, &nonce, &ad, &mut buffer, &wrong), Err(OpenError), "{name}");
                    assert!(buffer == sealed, "{name}: nothing of the plaintext");
                }
            }
            for at in (0..length).step_by(13) {
                let mut changed = sealed.clone();
                changed[at] ^= 4;
                assert_eq!(kernel.open(&key, &nonce, &ad, &mut changed, &tag), Err(OpenError), "{name}: {at}");
            }
            let mut buffer = sealed.clone();
            assert_eq!(kernel.open(&key, &nonce, &ad[1..], &mut buffer, &tag), Err(OpenError), "{name}");
            assert_eq!(kernel.open(&key, &[0; 12], &ad, &mut buffer, &tag), Err(OpenError), "{name}");
            assert_eq!(kernel.open(&key, &nonce, &ad, &mut buffer, &tag), Ok(()), "{name}");
        }
    }
}
