use super::*;

fn letter(number: u8, bytes: usize) -> Letter {
    Letter { surb_id: [number; 16], payload: vec![number; bytes].into() }
}

#[test]
fn letters_leave_in_the_order_in_which_they_came() {
    let (one, other) = (UserId([1; 32]), UserId([2; 32]));
    let mut spool = MemorySpool::new(10, 1 << 20);
    for number in 0..3 {
        assert_eq!(spool.store(&one, letter(number, 10)), Ok(()));
        assert_eq!(spool.store(&other, letter(10 + number, 10)), Ok(()));
    }
    for number in 0..3 {
        assert_eq!(spool.head(&one).map(|head| head.surb_id), Some([number; 16]));
        spool.remove_head(&one);
    }
    assert_eq!((spool.head(&one), spool.waiting(&one)), (None, 0));
    spool.remove_head(&one);
    assert_eq!((spool.letters(), spool.forget(&other), spool.forget(&one)), (3, 3, 0));
    assert_eq!((spool.letters(), spool.bytes()), (0, 0));
    assert!(spool.queues.is_empty(), "nobody leaves anything behind");
}

#[test]
fn both_limits_hold_and_count_what_leaves() {
    let (one, other) = (UserId([1; 32]), UserId([2; 32]));
    let each = letter(0, 100).bytes();
    let mut spool = MemorySpool::new(2, 3 * each);
    assert_eq!(spool.store(&one, letter(0, 100)), Ok(()));
    assert_eq!(spool.store(&one, letter(1, 100)), Ok(()));
    assert_eq!(spool.store(&one, letter(2, 100)), Err(StoreError::MailboxFull));
    assert_eq!(spool.store(&other, letter(3, 100)), Ok(()));
    assert_eq!(spool.store(&other, letter(4, 100)), Err(StoreError::SpoolFull));
    assert_eq!((spool.letters(), spool.bytes()), (3, 3 * each));
    spool.remove_head(&one);
    assert_eq!(spool.store(&other, letter(4, 100)), Ok(()));
}
