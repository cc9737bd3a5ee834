use super::*;

fn hex(text: &str) -> Vec<u8> {
    (0..text.len() / 2).map(|at| u8::from_str_radix(&text[2 * at..][..2], 16).expect("hex digits")).collect()
}

/// Number, payload and reply block of a message.
type Read = (u64, Vec<u8>, Option<Vec<u8>>);

fn read(bytes: &[u8]) -> Result<Option<Read>, PluginError> {
    let mut messages = Messages::new(1000);
    messages.push(bytes);
    let owned = |message: Message<'_>| (message.id, message.payload.to_vec(), message.surb.map(<[u8]>::to_vec));
    messages.next_message().map(|message| message.map(owned))
}

/// The rows of server.md E.1 that this side writes.
#[test]
fn requests_have_the_bytes_of_the_reference() {
    let request = Message {
        request_at: Some(1_700_000_000),
        delay: Duration::from_millis(5),
        id: 7,
        payload: b"abc",
        surb: None,
        parameters: None,
    };
    let rows = [
        (request, "a5695265717565737441741a6553f1006544656c61791a004c4b4062494407675061796c6f6164436162636453555242f6"),
        (
            Message { delay: Duration::ZERO, surb: Some(&[1, 2]), ..request },
            "a5695265717565737441741a6553f1006544656c61790062494407675061796c6f6164436162636453555242420102",
        ),
        (
            Message { request_at: None, delay: Duration::ZERO, surb: Some(&[1, 2]), ..request },
            "a569526571756573744174f66544656c61790062494407675061796c6f6164436162636453555242420102",
        ),
    ];
    for (message, expected) in rows {
        let mut bytes = Vec::new();
        message.encode(&mut bytes);
        assert_eq!(bytes, hex(expected));
        let mut messages = Messages::new(10);
        messages.push(&bytes);
        assert_eq!(messages.next_message(), Ok(Some(message)));
        assert_eq!(messages.next_message(), Ok(None));
    }
}

/// The rows of server.md E.1 about parameters.
#[test]
fn parameters_have_the_bytes_of_the_reference() {
    let empty = "69526571756573744174f66544656c61790062494400675061796c6f6164f66453555242f6";
    for (parameters, expected) in [
        (Parameters::Asked, format!("a6{empty}734973506172616d657465727352657175657374f5")),
        (
            Parameters::Told(&[0xa1, 0x61, b'a', 0x61, b'b']),
            format!("a7{empty}744973506172616d6574657273526573706f6e7365f566506172616d73a161616162"),
        ),
        // Nothing to tell: the field is left out.
        (Parameters::Told(&[]), format!("a6{empty}744973506172616d6574657273526573706f6e7365f5")),
    ] {
        let message = Message { parameters: Some(parameters), ..Message::default() };
        let mut bytes = Vec::new();
        message.encode(&mut bytes);
        assert_eq!(bytes, hex(&expected));
        let mut messages = Messages::new(10);
        messages.push(&bytes);
        assert_eq!(messages.next_message(), Ok(Some(message)));
    }
    // Params without the flag, and a flag that is false or null, say nothing; a flag that is a number is none.
    for nothing in [
        "a166506172616d73a0",
        "a1744973506172616d6574657273526573706f6e7365f4",
        "a1744973506172616d6574657273526573706f6e7365f6",
    ] {
        let mut messages = Messages::new(10);
        messages.push(&hex(nothing));
        assert_eq!(messages.next_message(), Ok(Some(Message::default())), "{nothing}");
    }
    assert!(read(&hex("a1744973506172616d6574657273526573706f6e736501")).is_err());
}

/// The other rows of server.md E.1, and what else a decoder has to take.
#[test]
fn answers_are_read_as_the_reference_reads_them() {
    let empty = "69526571756573744174f66544656c61790062494400675061796c6f6164f66453555242f6";
    let parameters = format!("a7{empty}744973506172616d6574657273526573706f6e7365f566506172616d73a161616162");
    let request = format!("a6{empty}734973506172616d657465727352657175657374f5");
    for bytes in [parameters, request] {
        assert_eq!(read(&hex(&bytes)), Ok(Some((0, Vec::new(), None))));
    }
    // `id` matches without case; nothing else is there.
    assert_eq!(read(&hex("a16269640f")), Ok(Some((15, Vec::new(), None))));
    assert_eq!(read(&hex("a0")), Ok(Some((0, Vec::new(), None))));
    // Times as float, text and tag; an unknown field; a key that is no text; an indefinite map.
    for time in ["fb41d954fc40000000", "74323032332d31312d31345432323a31333a32305a", "c11a6553f100", "f6"] {
        let bytes = hex(&format!("bf695265717565737441 74{time}6358595a82010203f5624944 18ffff").replace(' ', ""));
        assert_eq!(read(&bytes), Ok(Some((255, Vec::new(), None))), "{time}");
    }
}

/// Found by giving them to the reference's decoder (e042af3c9).
#[test]
fn odd_answers_are_read_as_the_reference_reads_them() {
    let (id, delay, payload, surb) = ("624944", "6544656c6179", "675061796c6f6164", "6453555242");
    let same = |rest: &str, expected: (u64, &[u8], Option<&[u8]>)| {
        let expected = (expected.0, expected.1.to_vec(), expected.2.map(<[u8]>::to_vec));
        assert_eq!(read(&hex(rest)), Ok(Some(expected)), "{rest}");
    };
    for zero in ["f6", "f7", "c5f6"] {
        same(&format!("a2{id}{zero}{delay}{zero}"), (0, b"", None));
    }
    for one in ["c101", "d9d9f701", "c501"] {
        same(&format!("a1{id}{one}"), (1, b"", None));
    }
    same(&format!("a2{payload}5f41614162ff{surb}5f41634164ff"), (0, b"ab", Some(b"cd")));
    same(&format!("a2{payload}5fff{surb}5fff"), (0, b"", Some(b"")));
    same(&format!("a2{payload}83010203{surb}d9d9f74161"), (0, &[1, 2, 3], Some(b"a")));
    same(&format!("a2{id}01{id}02"), (1, b"", None));
    same(&format!("a2{payload}f6{payload}4161"), (0, b"", None));
    same("f6", (0, b"", None));
    // No time that fits; the reference refuses this one, and the time is of no use to ours.
    same("a1695265717565737441741bffffffffffffffff", (0, b"", None));
}

#[test]
fn what_is_no_message_ends_the_conversation() {
    // A float for the number, text for the payload, an array, a lone break, a negative number.
    for bytes in ["a1624944fb3ff0000000000000", "a1675061796c6f61646161", "80", "ff", "a162494420"] {
        assert!(matches!(read(&hex(bytes)), Err(PluginError::Malformed(_))), "{bytes}");
    }
    let mut messages = Messages::new(10);
    let limit = 10 + EXTRA_BYTES_MAX;
    // A byte string of four gigabytes is promised.
    messages.push(&hex("a1675061796c6f61645affffffff"));
    assert_eq!(messages.next_message(), Ok(None));
    messages.push(&vec![0; limit]);
    assert_eq!(messages.next_message(), Err(PluginError::TooLong(limit)));
}

#[test]
fn messages_are_found_wherever_the_stream_is_cut() {
    let mut stream = Vec::new();
    for id in 0..20 {
        Message { id, payload: &vec![id as u8; 10 * id as usize], surb: Some(&[9; 30]), ..Message::default() }
            .encode(&mut stream);
    }
    for chunk in [1, 2, 7, 100, stream.len()] {
        let (mut messages, mut next) = (Messages::new(300), 0);
        for bytes in stream.chunks(chunk) {
            messages.push(bytes);
            while let Some(message) = messages.next_message().expect("whole messages") {
                assert_eq!((message.id, message.payload.len()), (next, 10 * next as usize), "chunks of {chunk}");
                next += 1;
            }
        }
        assert_eq!(next, 20);
    }
}

/// A plugin may write its message byte by byte, in pieces, or as an array of numbers.
#[test]
fn a_message_is_looked_at_once_however_it_is_cut() {
    const BYTES: usize = 20_000;
    let payload = "675061796c6f6164";
    let as_array = hex(&format!("a1{payload}99{BYTES:04x}")).into_iter().chain([7; BYTES]).collect::<Vec<_>>();
    let in_pieces = hex(&format!("a1{payload}5f")).into_iter().chain([0x41, 7].repeat(BYTES)).chain([0xff]).collect();
    for (stream, heads) in [(as_array, BYTES + 3), (in_pieces, BYTES + 4)] {
        let mut messages = Messages::new(BYTES);
        let mut work = 0;
        for (at, byte) in stream.iter().enumerate() {
            messages.push(&[*byte]);
            work = work.max(messages.scan.heads);
            let message = messages.next_message().expect("no fault");
            assert_eq!(message.map(|message| message.payload == [7; BYTES]), (at + 1 == stream.len()).then_some(true));
        }
        // The head of the array comes in three parts, and may be looked at once for each of them; the last head is counted
        // with the end.
        assert!((heads - 1..heads + 3).contains(&work), "{work} heads were looked at, there are {heads}");
    }
}

/// The shape of items is understood as the decoder understands it, with random bytes and wherever they are cut.
#[test]
fn items_end_where_the_decoder_says() {
    let mut state = 1_u64;
    let mut random = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as u8
    };
    let (mut whole, mut broken) = (0, 0);
    for _ in 0..200_000 {
        // Mostly short items in each other.
        let bytes: Vec<u8> = (0..12)
            .map(|_| {
                [0x01, 0x41, 0x82, 0xa1, 0xc1, 0x9f, 0xbf, 0x5f, 0xff, 0x18, 0xf6, random()][usize::from(random() % 12)]
            })
            .collect();
        let mut decoder = Decoder::new(&bytes);
        if decoder.skip().is_err() {
            continue;
        }
        let end = decoder.position();
        let mut scan = Scan::default();
        let mut parts = (0..=bytes.len()).map(|there| (there, scan.find_end(&bytes[..there])));
        let found = parts.find(|(_, found)| *found != Ok(None));
        if found == Some((end, Ok(Some(end)))) {
            whole += 1;
        } else {
            // It lets breaks pass that end nothing.
            assert!(bytes[..end].contains(&0xff), "{bytes:x?} has {end} bytes");
            broken += 1;
        }
    }
    assert!(whole > 10_000 && broken > 0, "{whole} were items, {broken} were none");
}

#[test]
fn items_without_an_end_are_refused_by_depth_and_size() {
    for opening in ["81", "9f", "a100", "c1", "bf00"] {
        let deep = hex(&format!("a16178{}", opening.repeat(40)));
        assert!(matches!(read(&deep), Err(PluginError::Malformed(_))), "{opening}");
    }
    // As many items as there are numbers, and twice as many.
    for count in ["9bffffffffffffffff", "bbffffffffffffffff"] {
        let mut messages = Messages::new(10);
        messages.push(&hex(count));
        assert_eq!(messages.next_message(), Ok(None));
        messages.push(&vec![0; 10 + EXTRA_BYTES_MAX]);
        assert_eq!(messages.next_message(), Err(PluginError::TooLong(10 + EXTRA_BYTES_MAX)));
    }
}
