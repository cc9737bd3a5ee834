use super::*;

fn letter(number: u8, bytes: usize) -> Letter {
    Letter { surb_id: [number; 16], payload: vec![number; bytes].into() }
}

#[test]
fn letters_leave_in_the_order_in_which_they_came() {
    let (one, other) = (UserId([1; 32]), UserId([2; 32]));
    let mut spool = MemorySpool::new(10, 1 << 20);
    for number in 0..3 {
        assert_eq!(spool.store(&one, letter(number, 10)), Ok(0));
        assert_eq!(spool.store(&other, letter(10 + number, 10)), Ok(0));
    }
    for number in 0..3 {
        assert_eq!(spool.head(&one).map(|head| head.surb_id), Some([number; 16]));
        spool.remove_head(&one);
    }
    assert_eq!((spool.head(&one), spool.waiting(&one)), (None, 0));
    spool.remove_head(&one);
    assert_eq!((spool.letters(), spool.forget(&other), spool.forget(&one)), (3, 3, 0));
    assert_eq!((spool.letters(), spool.bytes()), (0, 0));
    assert!(spool.queues.is_empty() && spool.by_letters.is_empty(), "nobody leaves anything behind");
}

#[test]
fn both_limits_hold_and_count_what_leaves() {
    let (one, other) = (UserId([1; 32]), UserId([2; 32]));
    let each = letter(0, 100).bytes();
    let mut spool = MemorySpool::new(2, 3 * each);
    assert_eq!(spool.store(&one, letter(0, 100)), Ok(0));
    assert_eq!(spool.store(&one, letter(1, 100)), Ok(0));
    assert_eq!(spool.store(&one, letter(2, 100)), Err(StoreError::MailboxFull));
    assert_eq!(spool.store(&other, letter(3, 100)), Ok(0));
    assert_eq!(spool.store(&other, letter(4, 100)), Err(StoreError::SpoolFull));
    assert_eq!((spool.letters(), spool.bytes()), (3, 3 * each));
    spool.remove_head(&one);
    assert_eq!(spool.store(&other, letter(4, 100)), Ok(0));
}

#[test]
fn those_with_most_mail_make_room_for_those_with_little() {
    let (greedy, modest, third) = (UserId([1; 32]), UserId([2; 32]), UserId([3; 32]));
    let each = letter(0, 100).bytes();
    let mut spool = MemorySpool::new(9, 4 * each);
    for number in 0..4 {
        assert_eq!(spool.store(&greedy, letter(number, 100)), Ok(0));
    }
    assert_eq!(spool.store(&greedy, letter(4, 100)), Err(StoreError::SpoolFull));
    assert_eq!(spool.store(&modest, letter(5, 100)), Ok(1));
    assert_eq!(spool.store(&third, letter(6, 100)), Ok(1));
    // Nobody gains from taking a place of somebody who would have less then.
    assert_eq!(spool.store(&modest, letter(7, 100)), Err(StoreError::SpoolFull));
    assert_eq!([greedy, modest, third].map(|user| spool.waiting(&user)), [2, 1, 1]);
    assert_eq!(spool.head(&greedy).map(|head| head.surb_id), Some([0; 16]), "what may be under way stays");
    assert_eq!((spool.letters(), spool.bytes()), (4, 4 * each));
    assert_eq!(spool.forget(&greedy), 2);
    assert_eq!(spool.by_letters.len(), 2);
}
