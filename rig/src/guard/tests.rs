use super::{Guard, LATE_MAX, SPAN};
use std::cell::Cell;
use std::time::{Duration, Instant};

thread_local! {
    static WAITED: Cell<Duration> = const { Cell::new(Duration::ZERO) };
}

fn waited() -> Duration {
    WAITED.get()
}

/// A rig that looks at its sockets every 100 us, and the moment.
fn look_for(guard: &mut Guard, now: &mut Instant, time: Duration) {
    let end = *now + time;
    while *now < end {
        *now += Duration::from_micros(100);
        guard.handle_look(*now);
    }
}

fn started() -> (Guard, Instant) {
    WAITED.set(Duration::ZERO);
    let now = Instant::now();
    (Guard::new(now, waited), now)
}

#[test]
fn what_an_attentive_rig_sees_counts() {
    let (mut guard, mut now) = started();
    guard.handle_sample(300, true);
    look_for(&mut guard, &mut now, SPAN * 3);
    guard.handle_sample(400, true);
    let found = guard.take(now);
    assert_eq!((found.lateness_us.len(), found.discarded), (2, 0));
    assert_eq!(guard.take(now).lateness_us.len(), 0, "each phase for itself");
}

#[test]
fn nothing_counts_in_a_span_in_which_the_rig_was_away() {
    let (mut guard, mut now) = started();
    guard.handle_sample(100, true);
    look_for(&mut guard, &mut now, SPAN * 2);
    guard.handle_sample(200, true);
    now += LATE_MAX + Duration::from_micros(1);
    guard.handle_look(now);
    guard.handle_sample(300, true);
    look_for(&mut guard, &mut now, SPAN * 2);
    guard.handle_sample(400, true);
    let found = guard.take(now);
    assert_eq!((found.lateness_us.len(), found.discarded), (2, 2));
    assert_eq!(found.lateness_us.max(), 400);
}

#[test]
fn nothing_counts_in_a_span_in_which_the_rig_waited_for_a_processor() {
    let (mut guard, mut now) = started();
    guard.handle_sample(100, true);
    WAITED.set(LATE_MAX + Duration::from_micros(1));
    look_for(&mut guard, &mut now, SPAN * 2);
    guard.handle_sample(200, true);
    let found = guard.take(now);
    assert_eq!((found.lateness_us.len(), found.discarded), (1, 1));
}

#[test]
fn sleep_is_no_absence_and_a_packet_sent_late_does_not_count() {
    let (mut guard, mut now) = started();
    guard.handle_look(now);
    now += LATE_MAX * 10;
    guard.handle_waking(now);
    guard.handle_look(now);
    guard.handle_sample(100, true);
    guard.handle_sample(5000, false);
    let found = guard.take(now);
    assert_eq!((found.lateness_us.len(), found.discarded), (1, 1));
}
