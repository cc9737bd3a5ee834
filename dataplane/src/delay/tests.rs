use super::*;
use crate::packet::pool::Pool;

const MS: u64 = 1_000_000;

struct Bench {
    wheel: Wheel,
    pool: Pool,
    random: ShardRandom,
}

impl Bench {
    fn new(slots: usize, now: u64) -> Self {
        Self { wheel: Wheel::new(Instant(now), 16), pool: Pool::new(0, slots, 1), random: ShardRandom::new([7; 32]) }
    }

    fn insert(&mut self, due: u64) {
        let mut slot = self.pool.take().expect("enough slots");
        slot.due = Instant(due);
        self.wheel.insert(slot);
    }

    fn advance(&mut self, now: u64) -> Vec<u64> {
        self.wheel.advance(Instant(now), usize::MAX, &mut self.random);
        let mut due = Vec::new();
        while let Some(slot) = self.wheel.pop_ready() {
            due.push(slot.due.0);
            self.pool.give(slot);
        }
        due
    }
}

#[test]
fn nothing_leaves_early_and_nothing_stays_longer_than_a_tick() {
    let start = 123_456_789;
    let mut bench = Bench::new(20_000, start);
    let mut random = ShardRandom::new([1; 32]);
    let (mut now, mut seen, mut inserted) = (start, 0, 0);
    while seen < 10_000 {
        if inserted < 10_000 {
            for _ in 0..random.below(4) {
                // From at once to far beyond the wheel, and beyond its overflow level.
                let scale = [MS, 300 * MS, 9_000 * MS, 5_000_000 * MS][random.below(4) as usize];
                bench.insert(now + u64::from(random.below(1 << 20)) * (scale >> 20));
                inserted += 1;
            }
        }
        let before = now;
        now = match bench.wheel.next_expiry() {
            next if inserted == 10_000 && random.below(2) == 0 => next.0.max(now),
            _ if inserted == 10_000 => now + 900_000 * MS,
            _ => now + u64::from(random.below(5 * MS as u32)),
        };
        for due in bench.advance(now) {
            assert!(due <= now, "left {} ns early", due - now);
            assert!(due + TICK_NS > before, "stayed {} ns after the last advance", before - due);
            seen += 1;
        }
    }
    assert!(bench.wheel.is_empty());
    assert_eq!(bench.pool.free(), bench.pool.total());
}

#[test]
fn next_expiry_is_exact() {
    let mut bench = Bench::new(10, 0);
    assert_eq!(bench.wheel.next_expiry(), Instant::NEVER);
    bench.insert(MS + 1);
    assert_eq!(bench.wheel.next_expiry(), Instant(MS + TICK_NS));
    assert!(bench.advance(MS + TICK_NS - 1).is_empty());
    assert_eq!(bench.advance(MS + TICK_NS), [MS + 1]);
    // In the overflow level the wheel wakes up earlier, to move the packet, but not often.
    bench.insert(60_000 * MS);
    let mut wake_ups = 0;
    while bench.wheel.next_expiry().0 < 60_000 * MS {
        let now = bench.wheel.next_expiry().0;
        assert!(bench.advance(now).is_empty());
        wake_ups += 1;
    }
    assert!(wake_ups <= 1, "{wake_ups} wake-ups");
    assert_eq!(bench.advance(60_000 * MS), [60_000 * MS]);
}

#[test]
fn what_is_overdue_leaves_at_the_next_tick() {
    let mut bench = Bench::new(10, 50 * MS);
    bench.insert(3);
    assert_eq!(bench.wheel.next_expiry(), Instant(50 * MS + TICK_NS));
    assert_eq!(bench.advance(51 * MS), [3]);
}

#[test]
fn a_bounded_advance_leaves_the_rest_for_later() {
    let mut bench = Bench::new(100, 0);
    for tick in 1..=100 {
        bench.insert(tick * TICK_NS);
    }
    assert_eq!(bench.wheel.advance(Instant(100 * TICK_NS), 10, &mut bench.random), 10);
    assert_eq!(bench.wheel.next_expiry(), Instant(0));
    assert_eq!(bench.advance(100 * TICK_NS).len(), 100);
}

#[test]
fn the_order_inside_a_slot_is_uniformly_random() {
    let mut bench = Bench::new(4, 0);
    let mut counts = [0u32; 24];
    let rounds = 24_000;
    for round in 0..rounds {
        let base = (round + 1) * TICK_NS;
        // Distinct due times inside one tick, inserted in the same order each time.
        for place in 0..4 {
            bench.insert(base - 10 + place);
        }
        let left = bench.advance(base);
        assert_eq!(left.len(), 4);
        let place = |due: &u64| (*due + 10 - base) as usize;
        let order: Vec<usize> = left.iter().map(place).collect();
        counts[rank(&order)] += 1;
    }
    let expected = rounds as f64 / 24.0;
    let chi_squared: f64 = counts.iter().map(|&count| (f64::from(count) - expected).powi(2) / expected).sum();
    // 23 degrees of freedom: 49.7 is exceeded once in 1,000 seeds.
    assert!(chi_squared < 49.7, "chi squared {chi_squared}, counts {counts:?}");
}

fn rank(order: &[usize]) -> usize {
    let mut rank = 0;
    for (place, item) in order.iter().enumerate() {
        let smaller_later = order[place + 1..].iter().filter(|later| *later < item).count();
        rank = rank * (order.len() - place) + smaller_later;
    }
    rank
}

#[test]
fn removal_is_uniform_over_all_levels() {
    let mut counts = [0u32; 6];
    let mut bench = Bench::new(6, 0);
    let rounds = 12_000;
    for round in 0..rounds {
        let now = round * MS;
        for due in [0, 3, 3, 500, 20_000, 100_000] {
            bench.insert(now + due * MS);
        }
        let slot = bench.wheel.remove_random(&mut bench.random).expect("six packets");
        let due = (slot.due.0 - now) / MS;
        let place = [0, 3, 500, 20_000, 100_000].iter().position(|known| *known == due).expect("one of these");
        counts[place] += 1;
        bench.pool.give(slot);
        while let Some(slot) = bench.wheel.remove_random(&mut bench.random) {
            bench.pool.give(slot);
        }
        assert!(bench.wheel.is_empty());
    }
    let expected = rounds as f64 / 6.0;
    for (count, times) in counts.iter().zip([1.0, 2.0, 1.0, 1.0, 1.0, 0.0]) {
        assert!((f64::from(*count) - times * expected).abs() < 220.0, "{counts:?}");
    }
}

#[test]
fn room_is_made_in_a_queue_that_was_long_and_is_short() {
    let mut bench = Bench::new(20_000, 0);
    (0..20_000).for_each(|_| bench.insert(MS));
    assert_eq!(bench.advance(2 * MS).len(), 20_000);
    for _ in 0..200 {
        bench.insert(1_000 * MS);
        let slot = bench.wheel.remove_random_of(0, &mut bench.random).expect("the only one");
        bench.pool.give(slot);
    }
}
