use super::super::frame::PACKET_OFFSET;
use super::super::mill::Pool;
use super::{Checker, Wrong};
use sphinx::Geometry;
use std::time::{Duration, Instant};

fn pool() -> Pool {
    Pool::random(&Geometry::nike("x25519", 100, 5, false).expect("a geometry"), 2, 4)
}

fn packet(pool: &Pool, number: usize) -> &[u8] {
    let frame = &pool.frames()[pool.frame(number)];
    &frame[PACKET_OFFSET..frame.len() - wire::FRAME_BODY_TAG_BYTES]
}

#[test]
fn a_packet_that_comes_out_right_is_not_wrong() {
    let pool = pool();
    let mut checker = Checker::new();
    let now = Instant::now();
    checker.handle_sent(pool.expected(1), now, now, true);
    checker.handle_received(0, packet(&pool, 1), Instant::now() + Duration::from_millis(300));
    assert_eq!((checker.wrong(), checker.lost(), checker.in_flight()), (Wrong::default(), 0, 0));
    let lateness = checker.take_lateness_us();
    assert_eq!((lateness.len(), lateness.max() / 10_000), (1, 30));
}

#[test]
fn every_kind_of_wrong_is_told_apart() {
    let pool = pool();
    let mut checker = Checker::new();
    let now = Instant::now();
    (0..3).for_each(|number| checker.handle_sent(pool.expected(number), now, now, true));
    checker.handle_received(1, packet(&pool, 0), now);
    assert_eq!(checker.wrong(), Wrong { next_hop: 1, ..Wrong::default() });
    checker.handle_received(0, packet(&pool, 0), now);
    assert_eq!(checker.wrong().duplicate, 1);
    let mut changed = packet(&pool, 1).to_vec();
    changed[70] ^= 1;
    checker.handle_received(0, &changed, now);
    assert_eq!(checker.wrong().unknown, 1);
    checker.handle_received(0, packet(&pool, 3), now);
    assert_eq!(checker.wrong().unknown, 2, "what was never sent in cannot be known");
    assert_eq!((checker.wrong().total(), checker.lost()), (4, 2), "packets 1 and 2 never came out");
    checker.give_up();
    assert_eq!((checker.in_flight(), checker.lost()), (0, 2));
    checker.handle_received(0, packet(&pool, 1), now);
    assert_eq!(checker.wrong().unknown, 3, "what was given up comes too late");
}

#[test]
fn early_is_wrong_by_the_delay_that_was_asked_for() {
    let geometry = Geometry::nike("x25519", 100, 5, false).expect("a geometry");
    let key = sphinx::MixKey::new(&geometry, &[7; 32]).expect("a key");
    let delays = super::super::mill::Delays { mean_ms: 50.0, max_ms: 100 };
    let pool = Pool::make(&geometry, key.public_key(), super::super::mill::ANYWHERE, delays, 40, None).expect("a pool");
    let mut unwrapper = sphinx::Unwrapper::new(&geometry, 1).expect("a geometry");
    let mut checker = Checker::new();
    let now = Instant::now();
    for number in 0..pool.count() {
        let mut packet = packet(&pool, number).to_vec();
        let unwrapped = unwrapper.unwrap(&key, &mut packet).expect("a good packet");
        assert_eq!(unwrapped.commands.delay_ms, Some(u32::from(pool.expected(number).order.delay_ms)));
        checker.handle_sent(pool.expected(number), now, now, true);
        let delay = Duration::from_millis(u64::from(pool.expected(number).order.delay_ms));
        let early = Duration::from_nanos(u64::from(number % 2 == 0));
        checker.handle_received(0, &packet, now + delay - early);
    }
    assert_eq!(checker.wrong(), Wrong { early: 20, early_us_max: 1, ..Wrong::default() });
}

#[test]
fn a_packet_that_the_link_held_up_is_late_but_not_less_delayed() {
    let pool = pool();
    let mut checker = Checker::new();
    let (due, sent) = (Instant::now(), Instant::now() + Duration::from_millis(400));
    checker.handle_sent(pool.expected(0), due, sent, false);
    let (late_us, in_time) =
        checker.handle_received(0, packet(&pool, 0), sent + Duration::from_millis(100)).expect("right");
    assert_eq!((late_us, in_time), (500_000, false));
    assert_eq!(checker.wrong(), Wrong::default());
    assert_eq!(checker.take_lateness_us().max() / 10_000, 50, "from the moment at which it was due");
}
