use super::*;
use crate::packet::pool::Pool;

const WAIT: Duration = Duration::from_micros(500);

/// So many packets that arrived at that moment.
fn push(backlog: &mut Backlog, packets: usize, recv_at: Instant) {
    let mut pool = Pool::new(0, packets, 1);
    for _ in 0..packets {
        let mut slot = pool.take().expect("as many as there are");
        slot.recv_at = recv_at;
        backlog.push(slot);
    }
}

#[test]
fn packets_wait_for_full_lanes_and_no_longer_than_said() {
    let (start, mut backlog) = (Instant(1_000_000), Backlog::new(32, 8, WAIT));
    assert_eq!((backlog.due(start, false), backlog.next_due()), (0, Instant::NEVER));
    push(&mut backlog, 7, start);
    assert_eq!((backlog.due(start, false), backlog.next_due()), (0, start + WAIT));
    let almost = Instant(start.0 + 499_999);
    push(&mut backlog, 1, almost);
    assert_eq!(backlog.due(almost, false), 8);
    push(&mut backlog, 3, almost);
    assert_eq!(backlog.due(almost, false), 8, "the rest would take lanes of its own");
    assert_eq!(backlog.due(start + WAIT, false), 8, "seven have waited long enough, and one finds room beside them");
    assert_eq!(backlog.due(almost + WAIT, false), 11, "all have waited long enough");
    let taken = backlog.take_batch(8);
    assert_eq!((taken.len(), backlog.len(), backlog.next_due()), (8, 3, almost + WAIT));
}

#[test]
fn while_more_can_be_read_only_full_batches_leave_before_the_wait_is_over() {
    let (start, mut backlog) = (Instant(1_000_000), Backlog::new(32, 8, WAIT));
    push(&mut backlog, 31, start);
    assert_eq!(backlog.due(start, true), 0);
    assert_eq!(backlog.due(start + WAIT, true), 31);
    assert_eq!(backlog.due(Instant(start.0 + 499_999), true), 0);
    push(&mut backlog, 9, start);
    assert_eq!(backlog.due(start, true), 32);
    assert_eq!(backlog.take_batch(32).len(), 32);
    assert_eq!(backlog.due(start, false), 8);
}

#[test]
fn without_a_wait_nothing_waits() {
    let mut backlog = Backlog::new(32, 8, Duration::ZERO);
    push(&mut backlog, 1, Instant(5));
    assert_eq!(backlog.due(Instant(5), true), 1);
}

/// A backlog that has seen many packets, one every `gap_us`, and holds none; and the moment of the next one.
fn used_to(gap_us: u64) -> (Backlog, Instant) {
    let (mut backlog, mut now) = (Backlog::new(32, 8, WAIT), Instant(1_000_000));
    for _ in 0..10 * GAP_PACKETS {
        push(&mut backlog, 1, now);
        assert!(backlog.pop().is_some());
        now += Duration::from_micros(gap_us);
    }
    (backlog, now)
}

#[test]
fn who_expects_nobody_does_not_wait() {
    let (mut backlog, now) = used_to(600);
    push(&mut backlog, 1, now);
    assert_eq!((backlog.due(now, false), backlog.next_due()), (1, now));
    // A crowd after that is not taken for loners for long.
    push(&mut backlog, 31, now);
    assert_eq!(backlog.take_batch(32).len(), 32);
    push(&mut backlog, 1, now);
    assert_eq!(backlog.due(now, false), 0);
}

#[test]
fn packets_wait_for_as_many_lanes_as_will_fill_in_time() {
    // 24 in 500 us.
    let (mut backlog, now) = used_to(20);
    let at = |packet: u64| now + Duration::from_micros(20 * packet);
    (0..23).for_each(|packet| push(&mut backlog, 1, at(packet)));
    assert_eq!(backlog.due(at(22), false), 0);
    push(&mut backlog, 1, at(23));
    assert_eq!(backlog.due(at(23), false), 24);
    // 8 in 500 us: more are not waited for.
    let (mut backlog, now) = used_to(50);
    push(&mut backlog, 8, now);
    assert_eq!(backlog.due(now, false), 8);
}
