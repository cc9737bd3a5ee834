use super::*;

#[test]
fn names_are_cut_and_padded() {
    assert_eq!(UserId::of(&[]).0, [0; 32]);
    let mut padded = [0; 32];
    padded[..3].copy_from_slice(b"abc");
    assert_eq!(UserId::of(b"abc").0, padded);
    assert_eq!(UserId::of(&[5; 255]).0, [5; 32]);
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
