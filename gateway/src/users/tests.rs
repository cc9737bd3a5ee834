use super::*;

#[test]
fn names_are_cut_and_padded() {
    assert_eq!(UserId::of(&[]).0, [0; 32]);
    let mut padded = [0; 32];
    padded[..3].copy_from_slice(b"abc");
    assert_eq!(UserId::of(b"abc").0, padded);
    assert_eq!(UserId::of(&[5; 255]).0, [5; 32]);
    assert_eq!(UserId::of(b"abc").trimmed(), b"abc");
    assert_eq!(UserId::of(b"a\0c").trimmed(), b"a\0c");
    assert_eq!(UserId([5; 32]).trimmed(), [5; 32]);
    assert!(UserId([0; 32]).trimmed().is_empty());
}

#[test]
fn names_are_dealt_evenly() {
    for shares in [1_usize, 2, 3, 8] {
        let mut counts = vec![0; shares];
        for number in 0..8000_u32 {
            // 32 hexadecimal digits, as clients have them.
            let name = format!("{:08x}", number.wrapping_mul(2_654_435_761)).repeat(4);
            counts[UserId::of(name.as_bytes()).share(shares)] += 1;
        }
        let fair = 8000 / shares;
        assert!(counts.iter().all(|count| (fair * 8 / 10..=fair * 12 / 10).contains(count)), "{counts:?}");
    }
}

#[test]
fn names_are_not_shown() {
    assert_eq!(format!("{:?}", UserId([0x41; 32])), "UserId");
}

#[test]
fn a_registered_name_is_its_keys_and_strangers_are_what_the_operator_says() {
    for (are_registered, are_ephemeral, of_a_stranger) in [
        (false, false, Verdict::Refused),
        (true, false, Verdict::OnTrust),
        (false, true, Verdict::Ephemeral),
        // Whoever has a new name each time would be written down each time.
        (true, true, Verdict::Ephemeral),
    ] {
        let strangers = Strangers { are_registered, are_ephemeral };
        let of = |registered: Option<&[u8]>| judge(Found::compare(registered, b"key"), strangers);
        assert_eq!(of(None), of_a_stranger);
        assert_eq!(of(Some(b"key")), Verdict::Registered);
        assert_eq!(of(Some(b"another")), Verdict::Refused);
        assert_eq!(of(Some(b"")), Verdict::Refused);
    }
}

#[test]
fn questions_and_verdicts_cross_as_bytes() {
    let question = Question { user: UserId([3; 32]), link_key: b"a key", has_proven: true };
    let mut bytes = Vec::new();
    question.write_to(&mut bytes);
    assert_eq!(bytes.len(), QUESTION_BYTES + 5);
    assert_eq!(Question::read(&bytes), Some(question));
    assert_eq!(Question::read(&bytes[..QUESTION_BYTES - 1]), None);
    assert_eq!(Question::read(&bytes[..QUESTION_BYTES]).map(|question| question.link_key), Some(&[][..]));
    for number in 0..=255 {
        let verdict = Verdict::of_number(number);
        assert_eq!(verdict.map(|verdict| verdict as u8), (number < 5).then_some(number));
    }
}
