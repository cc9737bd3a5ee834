use super::*;

#[test]
fn one_document_at_a_time() {
    let mut requests = Requests::<()>::new(Instant::default());
    assert!(requests.is_empty() && requests.next().is_none());
    requests.push(Request::Chunks(1));
    requests.push(Request::Whole(2));
    assert_eq!(requests.next(), Some(Request::Chunks(1)));
    requests.begin(Some(Download { source: Arc::new(()), epoch: 1, next_chunk: 0 }));
    assert_eq!(requests.next(), None);
    requests.download = None;
    assert_eq!(requests.next(), Some(Request::Whole(2)));
    requests.begin(None);
    assert!(requests.is_empty());
}

#[test]
fn who_asks_too_much_has_to_wait() {
    let mut requests = Requests::<()>::new(Instant::default());
    (0..3).for_each(|epoch| requests.push(Request::Chunks(epoch)));
    assert!(!requests.is_full());
    requests.push(Request::Chunks(3));
    assert!(requests.is_full());
    requests.begin(None);
    assert!(!requests.is_full());
}

#[test]
fn refusals_say_whether_waiting_helps() {
    use codes::consensus::{GONE, NOT_FOUND};
    // (asked, current, final)
    let cases = [
        (100, 100, false, NOT_FOUND),
        (101, 100, false, NOT_FOUND),
        (u64::MAX, 100, false, NOT_FOUND),
        (99, 100, false, NOT_FOUND),
        (98, 100, false, GONE),
        (0, 0, false, NOT_FOUND),
        (100, 100, true, GONE),
    ];
    for (epoch, current, is_final, code) in cases {
        assert_eq!(refusal_code(epoch, current, is_final), code, "{epoch} at {current}");
    }
}

#[test]
fn documents_have_a_rate_of_their_own() {
    let begin = Instant::default() + Duration::from_secs(1000);
    let mut requests = Requests::<()>::new(begin);
    let taken = |requests: &mut Requests<()>, now, tries| (0..tries).filter(|_| requests.may_take(now)).count();
    assert_eq!(taken(&mut requests, begin, 1000), DOCUMENTS_AT_FIRST as usize);
    // What is refused does not count.
    assert_eq!(taken(&mut requests, begin + DOCUMENT_INTERVAL, 1000), 1);
    assert_eq!(taken(&mut requests, begin + DOCUMENT_INTERVAL * 4, 1000), 3);
    // Nobody saves up more than a burst.
    assert_eq!(taken(&mut requests, begin + DOCUMENT_INTERVAL * 1000, 1000), DOCUMENTS_BURST as usize);
}
