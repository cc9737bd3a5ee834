use super::*;

/// Strangers cannot fill the disk, and nobody is kept out for ever.
#[test]
fn names_are_trusted_at_once_and_then_one_by_one() {
    let start = Instant::now();
    let mut trust = Trust::new(BURST, start);
    assert!((0..BURST).all(|_| trust.take(start)));
    assert!(!trust.take(start) && !trust.take(start + PAUSE / 2));
    assert!(trust.take(start + PAUSE * 3 / 2) && !trust.take(start + PAUSE * 3 / 2));
    // Half a pause was left over.
    assert!(trust.take(start + PAUSE * 2) && !trust.take(start + PAUSE * 2));
    let later = start + PAUSE * 12;
    assert_eq!((0..20).filter(|_| trust.take(later)).count(), 10);
    trust.give_back();
    assert!(trust.take(later) && !trust.take(later));
    // A clock that stands still, or a very long time.
    assert!(!trust.take(start));
    let later = later + Duration::from_secs(1 << 31);
    assert_eq!((0..BURST + 5).filter(|_| trust.take(later)).count() as u64, BURST);
}
