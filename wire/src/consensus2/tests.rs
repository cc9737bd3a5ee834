use super::*;
use proptest::prelude::*;

#[test]
fn cut_and_joined() {
    let document: Vec<u8> =
        (0..50_000u32).flat_map(|index| (index.wrapping_mul(2_654_435_761) >> 7).to_le_bytes()).collect();
    let packed = Packed::new(&document, 3108).expect("a packed document");
    assert!(packed.commands().len() > 2);
    let mut joiner = Joiner::default();
    let mut joined = None;
    for command in packed.commands() {
        assert_eq!(joined, None);
        joined = joiner.push(&command).expect("the next chunk");
    }
    assert_eq!(joined, Some(document));
}

#[test]
fn wrong_order_totals_and_codes() {
    let chunk = |chunk, chunks| Command::Consensus2 { error_code: 0, chunk, chunks, payload: &[1, 2, 3] };
    assert_eq!(Joiner::default().push(&chunk(0, 0)), Err(ChunkError::OutOfOrder { chunk: 0, chunks: 0, expected: 0 }));
    assert_eq!(Joiner::default().push(&chunk(1, 2)), Err(ChunkError::OutOfOrder { chunk: 1, chunks: 2, expected: 0 }));
    let mut joiner = Joiner::default();
    assert_eq!(joiner.push(&chunk(0, 3)), Ok(None));
    assert_eq!(joiner.push(&chunk(1, 4)), Err(ChunkError::OutOfOrder { chunk: 1, chunks: 4, expected: 1 }));
    assert_eq!(Joiner::default().push(&chunk(0, 1)), Err(ChunkError::Malformed));
    assert_eq!(Joiner::default().push(&Command::NoOp), Err(ChunkError::NotAChunk));
    let gone = codes::consensus::GONE;
    assert_eq!(Joiner::default().push(&refusal(gone)), Err(ChunkError::Refused { code: gone }));
}

#[test]
fn limits_hold_packed_and_unpacked() {
    let packed = Packed::new(&[0; 100_000], 64).expect("a packed document");
    let mut commands = packed.commands();
    let first = commands.next().expect("a chunk");
    assert_eq!(Joiner::new(63, 1 << 20).push(&first), Err(ChunkError::TooLarge { bytes_max: 63 }));
    for (document_bytes_max, fits) in [(99_999, false), (100_000, true)] {
        let mut joiner = Joiner::new(1 << 20, document_bytes_max);
        let last = packed.commands().map(|command| joiner.push(&command)).last().expect("a chunk");
        let too_large = Err(ChunkError::TooLarge { bytes_max: document_bytes_max });
        assert_eq!(last, if fits { Ok(Some(vec![0; 100_000])) } else { too_large });
    }
}

proptest! {
    #[test]
    fn arbitrary_chunks_never_panic(payload in prop::collection::vec(any::<u8>(), 0..200)) {
        let command = Command::Consensus2 { error_code: 0, chunk: 0, chunks: 1, payload: &payload };
        let _ = Joiner::new(1 << 16, 1 << 16).push(&command);
    }
}
