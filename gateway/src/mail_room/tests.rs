use super::*;
use crate::MemorySpool;

const USER: UserId = UserId([1; 32]);
const KEY: [u8; 32] = [2; 32];
const LIMITS: MailLimits = MailLimits { absence_max: Duration::from_secs(100), absent_max: 3 };

fn at(seconds: u64) -> Instant {
    Instant::default() + Duration::from_secs(seconds)
}

fn room() -> MailRoom<MemorySpool, u32> {
    MailRoom::new(MemorySpool::new(4, 1 << 20), LIMITS)
}

fn number(dispatch: Option<Dispatch<u32>>) -> Option<(u32, u8, bool)> {
    dispatch.map(|dispatch| (dispatch.to, dispatch.letter.surb_id[0], dispatch.has_more))
}

fn mail(room: &mut MailRoom<MemorySpool, u32>, letter: u8) -> Result<Option<(u32, u8, bool)>, MailRefusal> {
    room.handle_mail(&USER, [letter; 16], &[letter; 20]).map(number)
}

#[test]
fn letters_are_given_one_by_one_in_their_order() {
    let mut room = room();
    assert_eq!(room.handle_connected(USER, KEY, 1, at(0)), Ok(None));
    assert_eq!(mail(&mut room, 1), Ok(Some((1, 1, false))));
    assert_eq!(mail(&mut room, 2), Ok(None), "one is under way");
    assert_eq!(mail(&mut room, 3), Ok(None));
    assert_eq!(number(room.handle_delivered(&USER, 1)), Some((1, 2, true)));
    assert_eq!(number(room.handle_delivered(&USER, 1)), Some((1, 3, false)));
    assert_eq!(number(room.handle_delivered(&USER, 1)), None);
    assert_eq!(number(room.handle_delivered(&USER, 1)), None, "nothing is under way");
    let expected = Tally { stored: 3, acknowledged: 3, ..Tally::default() };
    assert_eq!((room.take_tally(), room.spool().letters()), (expected, 0));
}

#[test]
fn mail_for_nobody_is_refused_and_mailboxes_fill_up() {
    let mut room = room();
    assert_eq!(mail(&mut room, 1), Err(MailRefusal::UnknownUser));
    assert_eq!(room.handle_connected(USER, KEY, 1, at(0)), Ok(None));
    for letter in 0..4 {
        assert!(mail(&mut room, letter).is_ok());
    }
    assert_eq!(mail(&mut room, 4), Err(MailRefusal::Spool(StoreError::MailboxFull)));
    assert_eq!(number(room.handle_delivered(&USER, 1)), Some((1, 1, true)));
    assert_eq!(mail(&mut room, 4), Ok(None));
}

#[test]
fn a_client_that_comes_back_gets_what_it_has_not_acknowledged() {
    let mut room = room();
    assert_eq!(room.handle_connected(USER, KEY, 1, at(0)), Ok(None));
    assert_eq!(mail(&mut room, 1), Ok(Some((1, 1, false))));
    room.handle_gone(&USER, 1, at(1));
    assert_eq!(mail(&mut room, 2), Ok(None), "it is kept");
    assert_eq!(room.handle_delivered(&USER, 1), None, "from a session that has ended");
    assert_eq!(room.handle_connected(USER, KEY, 2, at(50)).map(number), Ok(Some((2, 1, true))));
    // What the old session says late means nothing.
    room.handle_gone(&USER, 1, at(51));
    assert_eq!(number(room.handle_delivered(&USER, 2)), Some((2, 2, false)));
    // The time of its absence passes without effect.
    assert!(!room.expire(at(200)));
    assert_eq!((room.mailboxes(), room.spool().letters()), (1, 1));
}

#[test]
fn a_newer_session_takes_over() {
    let mut room = room();
    assert_eq!(room.handle_connected(USER, KEY, 1, at(0)), Ok(None));
    assert_eq!(mail(&mut room, 1), Ok(Some((1, 1, false))));
    assert_eq!(room.handle_connected(USER, KEY, 2, at(1)).map(number), Ok(Some((2, 1, false))));
    assert_eq!(room.handle_delivered(&USER, 1), None);
    assert_eq!(number(room.handle_delivered(&USER, 2)), None);
    assert_eq!(room.take_tally().acknowledged, 1);
}

#[test]
fn a_name_belongs_to_the_key_that_came_first() {
    let mut room = room();
    assert_eq!(room.handle_connected(USER, KEY, 1, at(0)), Ok(None));
    assert_eq!(room.handle_connected(USER, [3; 32], 2, at(0)), Err(NameTaken));
    assert_eq!(mail(&mut room, 1), Ok(Some((1, 1, false))));
    room.handle_gone(&USER, 2, at(1));
    assert_eq!(number(room.handle_delivered(&USER, 1)), None);
    // Until the mailbox is gone.
    room.handle_gone(&USER, 1, at(2));
    assert_eq!(room.handle_connected(USER, [3; 32], 2, at(101)), Err(NameTaken));
    assert_eq!(room.handle_connected(USER, [3; 32], 2, at(102)), Ok(None));
}

#[test]
fn mailboxes_of_the_gone_end_with_their_time() {
    let mut room = room();
    for user in 0..3 {
        let user = UserId([user; 32]);
        assert_eq!(room.handle_connected(user, KEY, 7, at(0)), Ok(None));
        assert!(room.handle_mail(&user, [0; 16], b"x").is_ok_and(|dispatch| dispatch.is_some()));
        room.handle_gone(&user, 7, at(u64::from(user.0[0])));
    }
    assert_eq!(room.poll_timeout(), at(100));
    assert!(!room.expire(at(99)));
    assert_eq!(room.mailboxes(), 3);
    assert!(!room.expire(at(101)));
    assert_eq!((room.mailboxes(), room.spool().letters(), room.take_tally().expired), (1, 1, 2));
    assert_eq!(room.handle_mail(&UserId([0; 32]), [0; 16], b"x"), Err(MailRefusal::UnknownUser));
}

#[test]
fn who_comes_and_goes_fills_no_memory() {
    let mut room = room();
    // Always other names, then always the same one.
    for user in 0..1000_u32 {
        let mut name = [9; 32];
        name[..4].copy_from_slice(&user.to_le_bytes());
        assert_eq!(room.handle_connected(UserId(name), KEY, 1, at(0)), Ok(None));
        room.handle_gone(&UserId(name), 1, at(0));
        assert!(room.mailboxes() <= 3 && room.absent.len() <= 3);
    }
    let other = UserId([7; 32]);
    assert_eq!(room.handle_connected(other, KEY, 1, at(1)), Ok(None));
    room.handle_gone(&other, 1, at(1));
    assert_eq!(room.handle_mail(&other, [0; 16], b"x"), Ok(None));
    for session in 0..1000 {
        assert_eq!(room.handle_connected(USER, KEY, session, at(2)), Ok(None));
        room.handle_gone(&USER, session, at(2));
        assert!(room.mailboxes() <= 3 && room.absent.len() <= 3);
    }
    assert_eq!((room.spool().waiting(&other), room.take_tally().expired), (1, 0), "nobody else's mail goes for it");
}

/// A head that its client cannot take must not keep it from the rest of its mail for ever (server.md 5.1).
#[test]
fn an_undeliverable_head_makes_way() {
    let mut room = room();
    assert_eq!(room.handle_connected(USER, KEY, 0, at(0)), Ok(None));
    assert_eq!(mail(&mut room, 1), Ok(Some((0, 1, false))));
    assert_eq!(mail(&mut room, 2), Ok(None));
    for session in 1..3 {
        room.handle_gone(&USER, session - 1, at(1));
        assert_eq!(room.handle_connected(USER, KEY, session, at(1)).map(number), Ok(Some((session, 1, true))));
    }
    room.handle_gone(&USER, 2, at(1));
    assert_eq!(room.handle_connected(USER, KEY, 3, at(1)).map(number), Ok(Some((3, 2, false))));
    assert_eq!(number(room.handle_delivered(&USER, 3)), None);
    let expected = Tally { stored: 2, acknowledged: 1, undeliverable: 1, ..Tally::default() };
    assert_eq!(room.take_tally(), expected);
}

#[test]
fn a_mailbox_goes_to_the_key_that_the_user_database_names() {
    let mut room = room();
    assert_eq!(room.handle_connected(USER, KEY, 1, at(0)), Ok(None));
    room.handle_gone(&USER, 1, at(1));
    assert!(room.handle_mail(&USER, [1; 16], b"letter").is_ok());
    assert_eq!(room.handle_connected(USER, [3; 32], 2, at(2)), Err(NameTaken));
    room.reassign(&USER, [3; 32]);
    assert_eq!(room.handle_connected(USER, [3; 32], 2, at(2)).map(number), Ok(Some((2, 1, false))));
    assert_eq!(room.handle_connected(USER, KEY, 3, at(2)), Err(NameTaken));
}

#[test]
fn letters_of_registered_clients_are_told_of_when_they_are_done_with() {
    let mut room = room();
    assert_eq!(room.handle_connected(USER, KEY, 1, at(0)), Ok(None));
    assert_eq!(mail(&mut room, 1), Ok(Some((1, 1, false))));
    assert_eq!(room.handle_delivered(&USER, 1).map(|_| ()), None);
    assert!(!room.is_registered(&USER) && room.take_gone().is_empty());
    room.set_registered(&USER);
    assert!(room.is_registered(&USER));
    assert_eq!(mail(&mut room, 2), Ok(Some((1, 2, false))));
    assert_eq!(mail(&mut room, 3), Ok(None));
    // What a store gives back is taken once, and not if it is here.
    for letter in [2, 3, 4, 4] {
        assert_eq!(room.handle_kept(&USER, [letter; 16], &[letter; 20]).map(|_| ()), None);
    }
    assert_eq!(room.spool().letters(), 3);
    assert_eq!(number(room.handle_delivered(&USER, 1)), Some((1, 3, true)));
    assert_eq!(room.take_gone(), [(USER, [2; 16])]);
    // One that no connection delivers is done with, too.
    for session in 2..=4 {
        assert_eq!(room.handle_connected(USER, KEY, session, at(1)).map(number).map(|sent| sent.is_some()), Ok(true));
    }
    assert_eq!(room.take_gone(), [(USER, [3; 16])]);
    // What only waits too long is not.
    room.handle_gone(&USER, 4, at(2));
    assert!(!room.expire(at(500)) && room.take_gone().is_empty());
    assert_eq!(room.handle_kept(&USER, [4; 16], &[4; 20]).map(|_| ()), None, "nobody is there");
}
