//! Each kernel's frames, and the library's, against messages and rekeys one after the other.

use super::*;
use crate::cpu::Level;
use crate::kernels::chacha20poly1305::EMULATED_FRAME_BLOCKS;
use crate::kernels::chacha20poly1305::tests::kernels;
use crate::random::{Random, SeededRandom};

/// The frame as wire.md 4.1 puts it: two messages, then a rekey by sealing zeros.
fn expected(key: &mut [u8; 32], counter: u64, header: &mut FrameHeader, body: &mut [u8]) -> [[u8; 16]; 2] {
    let (mut tags, mut zeros, mut unused) = ([[0; 16]; 2], [0; 32], [0; 16]);
    library::seal(key, &nonce_of(counter), &[], Text::in_place(header), &mut tags[0]);
    library::seal(key, &nonce_of(counter + 1), &[], Text::in_place(body), &mut tags[1]);
    library::seal(key, &nonce_of(u64::MAX), &[], Text::in_place(&mut zeros), &mut unused);
    *key = zeros;
    tags
}

fn each_way(mut check: impl FnMut(&str, Way)) {
    check("library", Way { kernel: None, blocks: library_blocks });
    check("twin of blocks", Way { kernel: None, blocks: EMULATED_FRAME_BLOCKS });
    for kernels in Level::ALL.into_iter().filter_map(Kernels::of) {
        if let Some(blocks) = kernels.frame_blocks {
            check(kernels.level.name(), Way { kernel: None, blocks });
        }
    }
    for (name, kernel) in kernels() {
        check(&name, Way { kernel: Some(Box::leak(Box::new(kernel))), blocks: library_blocks });
    }
}

/// Each block is what the library makes at its place.
#[test]
fn blocks_of_a_frame() {
    each_way(|name, way| {
        let mut random = SeededRandom::new(&[5; 32]);
        for _ in 0..100 {
            let (mut key, mut bytes) = ([0; 32], [[0; 16]; 4]);
            random.fill(&mut key);
            random.fill(bytes.as_flattened_mut());
            let places = Nonces::new(u64::from_le_bytes(*bytes[0].first_chunk().unwrap())).places();
            let (blocks, expected) = ((way.blocks)(&key, &places), library_blocks(&key, &places));
            assert_eq!(blocks[..3], expected[..3], "{name}");
        }
    });
}

#[test]
fn frames_of_every_length() {
    each_way(|name, way| {
        let mut random = SeededRandom::new(&[4; 32]);
        let mut opening = FrameOpening::by(way);
        let mut key = [5; 32];
        for length in (0..=2100).chain([3106, 4096, 8200, 16_500, 32_768]) {
            let counter = if length % 7 == 0 { u64::MAX - 2 } else { 2 * length as u64 };
            let (mut header, mut body) = ([0; 4], vec![0; length]);
            random.fill(&mut header);
            random.fill(&mut body);
            let (plain_header, plain_body, old_key) = (header, body.clone(), key);
            let (mut expected_header, mut expected_body, mut expected_key) = (header, body.clone(), key);
            let expected_tags = expected(&mut expected_key, counter, &mut expected_header, &mut expected_body);
            let (mut key_to, mut body_to) = (key, vec![0xa5; length]);
            let mut frame_to = vec![1, 2, 3];
            seal_onto_by(way, &mut key_to, counter, &plain_header, &plain_body, &mut frame_to);
            let tags = seal_by(way, &mut key, counter, &mut header, Text::in_place(&mut body));
            assert!(body == expected_body && header == expected_header, "{name}: frame of {length}");
            let frame = [&[1, 2, 3], &header[..], &tags[0], &body, &tags[1]].concat();
            assert!(frame_to == frame && key_to == key, "{name}: frame of {length} in another place");
            assert_eq!((tags, key), (expected_tags, expected_key), "{name}: tags, next key of {length}");
            let mut opening_key = old_key;
            assert_eq!(opening.open_header(&opening_key, counter, &mut header, &tags[0]), Ok(()));
            assert_eq!(header, plain_header, "{name}");
            let mut key_to = old_key;
            body_to.fill(0xa5);
            assert_eq!(opening.open_body_to(&mut key_to, &body, &mut body_to, &tags[1]), Ok(()), "{name}: {length}");
            assert!(body_to == plain_body && key_to == key, "{name}: opened frame of {length} in another place");
            assert!(body == expected_body, "{name}: {length}: what is read stays");
            assert_eq!(opening.open_header(&opening_key, counter, &mut expected_header, &tags[0]), Ok(()));
            assert_eq!(opening.open_body(&mut opening_key, &mut body, &tags[1]), Ok(()), "{name}: {length}");
            assert!(body == plain_body && opening_key == key, "{name}: opened frame of {length}");
        }
    });
}

#[test]
fn wrong_tags_leave_key_and_ciphertext() {
    each_way(|name, way| {
        let (old_key, mut key, mut header, mut body) = ([6; 32], [6; 32], [1, 2, 3, 4], vec![7; 500]);
        let tags = seal_by(way, &mut key, 10, &mut header, Text::in_place(&mut body));
        let mut opening = FrameOpening::by(way);
        for byte in 0..16 {
            let (mut wrong, mut opening_key) = (tags, old_key);
            wrong[0][byte] ^= 0x80;
            wrong[1][byte] ^= 1;
            let mut opened = header;
            assert_eq!(opening.open_header(&opening_key, 10, &mut opened, &wrong[0]), Err(OpenError), "{name}");
            assert_ne!(opened, [1, 2, 3, 4], "{name}");
            let mut opened_body = body.clone();
            assert_eq!(opening.open_body(&mut opening_key, &mut opened_body, &tags[1]), Err(OpenError), "no header");
            assert_eq!(opening.open_header(&opening_key, 10, &mut header.clone(), &tags[0]), Ok(()));
            assert_eq!(opening.open_body(&mut opening_key, &mut opened_body, &wrong[1]), Err(OpenError), "{name}");
            assert!(opened_body.windows(4).all(|bytes| bytes != [7; 4]), "{name}: nothing of the plaintext");
            assert_eq!(opening_key, old_key, "{name}");
            assert_eq!(opening.open_body(&mut opening_key, &mut body.clone(), &tags[1]), Err(OpenError), "final");
            let mut place = vec![0xa5; body.len()];
            assert_eq!(opening.open_header(&opening_key, 10, &mut header.clone(), &tags[0]), Ok(()));
            assert_eq!(opening.open_body_to(&mut opening_key, &body, &mut place, &wrong[1]), Err(OpenError), "{name}");
            assert!(place.windows(4).all(|bytes| bytes != [7; 4]), "{name}: nothing of the plaintext");
        }
    });
}

/// A header that is opened twice, as only a confused caller does, is forgotten the first time.
#[test]
fn the_last_header_counts() {
    each_way(|name, way| {
        let (mut key, mut header, mut body) = ([6; 32], [1; 4], vec![7; 3000]);
        let tags = seal_by(way, &mut key, 10, &mut header, Text::in_place(&mut body));
        let (mut opening, mut opening_key) = (FrameOpening::by(way), [6; 32]);
        for _ in 0..2 {
            assert_eq!(opening.open_header(&opening_key, 10, &mut header.clone(), &tags[0]), Ok(()), "{name}");
        }
        assert_eq!(opening.open_body(&mut opening_key, &mut body, &tags[1]), Ok(()), "{name}");
        assert!(opening_key == key && body == [7; 3000], "{name}");
    });
}
