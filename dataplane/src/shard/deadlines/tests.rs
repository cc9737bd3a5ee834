use super::*;
use crate::random::ShardRandom;
use std::collections::BTreeMap;

/// Against a plain map, for many random changes.
#[test]
fn the_earliest_link_comes_first_whatever_changes() {
    let mut random = ShardRandom::new([3; 32]);
    let mut deadlines = Deadlines::default();
    let mut expected: BTreeMap<u32, Instant> = BTreeMap::new();
    let mut now = 0;
    for _ in 0..20_000 {
        let (link, at) = (random.below(50), Instant(now + u64::from(random.below(1000))));
        match random.below(4) {
            0 => {
                deadlines.set(link, at);
                expected.insert(link, at);
            }
            1 => {
                deadlines.no_later_than(link, at);
                expected.entry(link).and_modify(|known| *known = at.min(*known)).or_insert(at);
            }
            2 => {
                deadlines.remove(link);
                expected.remove(&link);
            }
            _ => {
                now += u64::from(random.below(40));
                while let Some(link) = deadlines.pop_due(Instant(now)) {
                    assert!(expected.remove(&link).is_some_and(|at| at.0 <= now), "link {link} at {now}");
                }
                assert!(expected.values().all(|at| at.0 > now), "one is left at {now}");
            }
        }
        assert_eq!(deadlines.next(), expected.values().min().copied().unwrap_or(Instant::NEVER));
    }
}

#[test]
fn never_is_no_moment() {
    let mut deadlines = Deadlines::default();
    deadlines.set(7, Instant(5));
    deadlines.set(7, Instant::NEVER);
    assert_eq!((deadlines.next(), deadlines.pop_due(Instant(u64::MAX))), (Instant::NEVER, None));
}
