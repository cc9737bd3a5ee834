use super::*;
use interplane::{Insert, ReplaySet};
use std::sync::Arc;

/// Keys of two epochs; the set of the second one has few places.
fn ring() -> KeyRing {
    let geometry = sphinx::Geometry::nike("X25519", 103, 5, false).expect("a sound geometry");
    let key = |epoch: u64, buckets| EpochKey {
        epoch: Epoch(epoch),
        key: Arc::new(sphinx::MixKey::new(&geometry, &[epoch as u8; 32]).expect("32 bytes are a private key")),
        replays: Arc::new(ReplaySet::heap(epoch, buckets, [1; 16])),
    };
    KeyRing { link_key: None, mix_keys: vec![key(7, 1 << 16), key(8, 1)] }
}

/// Inserts until the set holds so many percent.
fn fill(set: &ReplaySet, percent: u64) {
    for number in 0u64.. {
        if set.fill().percent() >= percent {
            break;
        }
        let mut tag = [0; 32];
        tag[..8].copy_from_slice(&number.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_le_bytes());
        tag[24..].copy_from_slice(&number.to_le_bytes());
        let _new_or_full = set.insert(&tag);
    }
}

#[test]
fn each_set_is_told_of_once_when_it_fills_and_once_when_it_refuses() {
    let keys = ring();
    let mut fills = Fills::default();
    let start = Instant::now();
    let mut look = |step: u32, keys: &KeyRing, refused| fills.look(start + INTERVAL * step, keys, refused);
    assert_eq!(look(0, &keys, 0), []);
    let set = &keys.mix_keys[1].replays;
    fill(set, 69);
    assert_eq!(look(1, &keys, 0), []);
    fill(set, 70);
    assert_eq!(look(2, &keys, 0), [Event::ReplaySetFilling { epoch: Epoch(8), percent: 70 }]);
    assert_eq!(look(3, &keys, 0), []);
    fill(set, 100);
    assert_eq!(set.insert(&[0xff; 32]), Insert::Full);
    let refused = 1;
    assert_eq!(look(4, &keys, refused), [Event::ReplaySetFull { epoch: Epoch(8) }]);
    assert_eq!(look(5, &keys, refused + 1), []);
    // The key's successor under the same number is a new set.
    let without = KeyRing { link_key: None, mix_keys: vec![keys.mix_keys[0].clone()] };
    assert_eq!(look(6, &without, refused + 1), []);
    assert_eq!(look(7, &keys, refused + 1), [Event::ReplaySetFilling { epoch: Epoch(8), percent: 100 }]);
}

#[test]
fn between_two_looks_nothing_is_read() {
    let keys = ring();
    let mut fills = Fills::default();
    let start = Instant::now();
    assert_eq!(fills.look(start, &keys, 0), []);
    fill(&keys.mix_keys[1].replays, 75);
    assert_eq!(fills.look(start + INTERVAL / 2, &keys, 0), []);
    assert_eq!(fills.look(start + INTERVAL, &keys, 0).len(), 1);
}

#[test]
fn gauges_follow_the_epochs() {
    let counters = interplane::Counters::heap(1);
    let ring = ring();
    assert_eq!(ring.mix_keys[1].replays.insert(&[3; 32]), Insert::New);
    let gauges = |current| {
        set_gauges(&ring, Epoch(current), &counters.process());
        let of = |which| (counters.total(Counter::replay_tags(which)), counters.total(Counter::replay_slots(which)));
        [KeyEpoch::Previous, KeyEpoch::Current, KeyEpoch::Next].map(of)
    };
    assert_eq!(gauges(7), [(0, 0), (0, 8 << 16), (1, 512)]);
    assert_eq!(gauges(8), [(0, 8 << 16), (1, 512), (0, 0)]);
}
