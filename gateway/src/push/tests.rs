use super::*;

fn letter(number: u8) -> Arc<Letter> {
    Arc::new(Letter { surb_id: [number; 16], payload: vec![number].into() })
}

#[test]
fn one_message_at_a_time_numbered_from_one() {
    let now = Instant::default();
    let mut push = Push::default();
    assert!(push.poll_message(now).is_none());
    for number in 1..=3 {
        push.offer(letter(number as u8));
        assert!(push.has_message());
        let message = push.poll_message(now).expect("nothing is under way");
        assert_eq!((message.sequence, message.letter.surb_id), (number, [number as u8; 16]));
        push.offer(letter(99));
        assert!(!push.has_message() && push.poll_message(now).is_none(), "one is under way");
        // Wrong ones, then the right one, then the same again.
        assert!(!push.handle_delivered(number + 1) && !push.handle_delivered(number - 1));
        assert!(push.handle_delivered(number));
        assert!(!push.handle_delivered(number));
    }
}

#[test]
fn an_acknowledgement_has_a_minute() {
    let now = Instant::default();
    let mut push = Push::default();
    assert_eq!(push.poll_timeout(), Instant::NEVER);
    push.offer(letter(1));
    let _message = push.poll_message(now);
    assert_eq!(push.poll_timeout(), now + Duration::from_secs(60));
    assert!(push.handle_delivered(1));
    assert_eq!(push.poll_timeout(), Instant::NEVER);
}

#[test]
fn numbers_wrap() {
    let mut push = Push { sequence: u32::MAX, ..Push::default() };
    push.offer(letter(1));
    assert_eq!(push.poll_message(Instant::default()).map(|message| message.sequence), Some(0));
    assert!(push.handle_delivered(0));
}
