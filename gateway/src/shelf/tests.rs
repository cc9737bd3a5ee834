use super::*;

const ALICE: UserId = UserId([1; 32]);
const BOB: UserId = UserId([2; 32]);
const CAROL: UserId = UserId([3; 32]);

fn shelf(mailbox_letters_max: usize, bytes_max: u64) -> Shelf {
    Shelf::new(ShelfLimits { mailbox_letters_max, bytes_max, age_max: 100 })
}

fn head(user: UserId, surb: u8, kept_at: u64) -> Head {
    Head { user, surb_id: [surb; 16], kept_at, bytes: 10 }
}

/// What becomes of it, and the numbers of those that go.
fn keep(shelf: &mut Shelf, head: &Head) -> (Placed, Vec<u64>) {
    let mut removed = Vec::new();
    (shelf.keep(head, &mut removed), removed)
}

/// The sums are those of the letters that are there.
#[track_caller]
fn check(shelf: &Shelf) {
    let places: Vec<&Place> = shelf.boxes.values().flatten().collect();
    assert_eq!(places.len(), shelf.letters());
    assert_eq!(places.iter().map(|place| u64::from(place.bytes)).sum::<u64>(), shelf.bytes());
    let counts: BTreeSet<(usize, UserId)> = shelf.boxes.iter().map(|(user, queue)| (queue.len(), *user)).collect();
    assert_eq!(counts, shelf.by_letters);
}

#[test]
fn letters_come_and_go_in_their_order() {
    let mut shelf = shelf(3, 1000);
    for surb in 1..=3 {
        assert_eq!(keep(&mut shelf, &head(ALICE, surb, 0)), (Placed::At(u64::from(surb) - 1), vec![]));
    }
    assert_eq!(keep(&mut shelf, &head(ALICE, 2, 0)), (Placed::Already, vec![]));
    assert_eq!(keep(&mut shelf, &head(ALICE, 4, 0)), (Placed::MailboxFull, vec![]));
    assert_eq!(keep(&mut shelf, &head(BOB, 2, 0)), (Placed::At(3), vec![]));
    assert_eq!(shelf.gone(&ALICE, &[2; 16]), Some(1));
    assert_eq!(shelf.gone(&ALICE, &[2; 16]), None);
    assert_eq!(shelf.oldest(&ALICE, 10, 9), [(0, [1; 16]), (2, [3; 16])]);
    assert_eq!(shelf.oldest(&ALICE, 10, 1), [(0, [1; 16])]);
    assert!(shelf.oldest(&ALICE, 11, 9).is_empty());
    check(&shelf);
    assert_eq!(shelf.forget(&ALICE), [0, 2]);
    assert_eq!((shelf.letters(), shelf.bytes()), (1, 10));
    check(&shelf);
}

/// Whoever has most gives up the newest; nobody does for somebody with as many.
#[test]
fn few_letters_displace_many() {
    let mut shelf = shelf(100, 50);
    (1..=5).for_each(|surb| assert!(matches!(keep(&mut shelf, &head(ALICE, surb, 0)).0, Placed::At(_))));
    assert_eq!(keep(&mut shelf, &head(ALICE, 6, 0)), (Placed::Full, vec![]));
    assert_eq!(keep(&mut shelf, &head(BOB, 1, 0)), (Placed::At(5), vec![4]));
    assert_eq!(keep(&mut shelf, &head(BOB, 2, 0)).1.len(), 1);
    assert_eq!(keep(&mut shelf, &head(BOB, 3, 0)), (Placed::Full, vec![]));
    assert_eq!(keep(&mut shelf, &head(CAROL, 1, 0)).1.len(), 1);
    assert_eq!(shelf.oldest(&ALICE, 10, 9).iter().map(|(_, surb)| surb[0]).collect::<Vec<_>>(), [1, 2]);
    assert_eq!(shelf.bytes(), 50);
    check(&shelf);
    // One that is larger than all together costs nobody a letter.
    let large = Head { bytes: 51, ..head(UserId([4; 32]), 1, 0) };
    assert_eq!(keep(&mut shelf, &large), (Placed::Full, vec![]));
    check(&shelf);
}

#[test]
fn what_is_old_or_too_much_is_swept() {
    let mut shelf = shelf(100, 1000);
    for (user, surb, at) in [(ALICE, 1, 0), (BOB, 1, 50), (ALICE, 2, 60), (BOB, 2, 120)] {
        keep(&mut shelf, &head(user, surb, at));
    }
    assert!(shelf.expire(99, 9).is_empty());
    assert_eq!(shelf.expire(155, 9), [0, 1]);
    // A clock that goes back makes nothing old.
    assert!(shelf.expire(0, 9).is_empty());
    check(&shelf);
    // Fewer may be there since the last start.
    let mut less = Shelf::new(ShelfLimits { mailbox_letters_max: 1, bytes_max: 15, age_max: 100 });
    [(2, head(ALICE, 2, 60)), (3, head(BOB, 2, 120)), (7, head(BOB, 3, 120))]
        .iter()
        .for_each(|(number, head)| less.load(*number, head));
    assert_eq!(less.shrink(1), [7]);
    assert_eq!(less.shrink(9).len(), 1);
    assert!(less.shrink(9).is_empty());
    assert_eq!(less.letters(), 1);
    check(&less);
}

#[test]
fn heads_are_read_as_they_are_written() {
    let head = Head { user: ALICE, surb_id: [7; 16], kept_at: u64::MAX, bytes: 3 };
    assert_eq!(Head::read(&head.to_bytes()), Some(head));
    assert_eq!(Head::read(&head.to_bytes()[1..]), None);
    assert_eq!(Head::read(&[0; HEAD_BYTES + 1]), None);
    assert_eq!(Head::read(&[]), None);
}

/// Letters from a time when the clock was ahead do not stay for longer, nor do those behind them.
#[test]
fn times_to_come_are_none() {
    let mut shelf = shelf(100, 1000);
    keep(&mut shelf, &head(ALICE, 1, 5000));
    keep(&mut shelf, &head(BOB, 2, 200));
    shelf.settle_times(200);
    assert!(shelf.expire(299, 9).is_empty());
    assert_eq!(shelf.expire(300, 9), [0, 1]);
}
