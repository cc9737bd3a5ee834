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
    let (start, mut backlog) = (Instant(1_000_000), Backlog::new(32, WAIT));
    assert_eq!((backlog.due(start, false), backlog.next_due()), (0, Instant::NEVER));
    push(&mut backlog, 7, start);
    assert_eq!((backlog.due(start, false), backlog.next_due()), (0, start + WAIT));
    let almost = Instant(start.0 + 499_999);
    push(&mut backlog, 1, almost);
    assert_eq!(backlog.due(almost, false), 8);
    push(&mut backlog, 3, almost);
    assert_eq!(backlog.due(almost, false), 8, "the rest would take lanes of its own");
    assert_eq!(backlog.due(start + WAIT, false), 11, "the oldest has waited long enough");
    let taken = backlog.take_batch(8);
    assert_eq!((taken.len(), backlog.len(), backlog.next_due()), (8, 3, almost + WAIT));
}

#[test]
fn while_more_can_be_read_only_full_batches_leave_before_the_wait_is_over() {
    let (start, mut backlog) = (Instant(1_000_000), Backlog::new(32, WAIT));
    push(&mut backlog, 31, start);
    assert_eq!(backlog.due(start, true), 0);
    assert_eq!(backlog.due(start + WAIT, true), 31);
    push(&mut backlog, 9, start);
    assert_eq!(backlog.due(start, true), 32);
    assert_eq!(backlog.take_batch(32).len(), 32);
    assert_eq!(backlog.due(start, false), 8);
}

#[test]
fn without_a_wait_nothing_waits() {
    let mut backlog = Backlog::new(32, Duration::ZERO);
    push(&mut backlog, 1, Instant(5));
    assert_eq!(backlog.due(Instant(5), true), 1);
}
