use super::*;
use std::time::Duration;

fn at(ms: u64) -> Instant {
    Instant::default() + Duration::from_millis(ms)
}

fn awaited(what: u8, until_ms: u64) -> Awaited<u8> {
    Awaited { what, keys: Zeroizing::new(vec![what]), until: at(until_ms) }
}

#[test]
fn a_reply_is_taken_once_and_only_under_its_own_id() {
    let mut replies = AwaitedReplies::default();
    replies.insert([1; 16], awaited(1, 100));
    replies.insert([2; 16], awaited(2, 50));
    assert!(replies.take(&[3; 16]).is_none());
    assert_eq!(replies.take(&[1; 16]).map(|awaited| (awaited.what, awaited.keys.to_vec())), Some((1, vec![1])));
    assert!(replies.take(&[1; 16]).is_none());
    assert_eq!(replies.next_expiry(), at(50));
    assert_eq!(replies.expired(at(49)), []);
    assert_eq!(replies.expired(at(200)), [2]);
    assert_eq!(replies.next_expiry(), Instant::NEVER);
}

#[test]
fn there_is_a_limit_which_answered_ones_count_towards_until_their_time_is_over() {
    let mut replies = AwaitedReplies::default();
    for number in 0..AWAITED_MAX as u128 {
        assert!(replies.has_room());
        replies.insert(number.to_be_bytes(), awaited(0, 10));
    }
    assert!(!replies.has_room());
    replies.take(&[0; 16]);
    assert_eq!(replies.expired(at(10)).len(), AWAITED_MAX - 1);
    assert!(replies.has_room());
    replies.insert([7; 16], awaited(7, 20));
    assert_eq!(replies.drain(), [7]);
    assert!(replies.take(&[7; 16]).is_none());
}

#[test]
fn all_are_given_up_in_the_order_of_their_time() {
    let mut replies = AwaitedReplies::default();
    (0..50).rev().for_each(|number| replies.insert([number; 16], awaited(number, number.into())));
    assert_eq!(replies.drain(), (0..50).collect::<Vec<u8>>());
    assert_eq!(replies.next_expiry(), Instant::NEVER);
}
