use super::super::{Insert, TAG_BYTES};
use super::*;

fn tag(number: u64) -> [u8; TAG_BYTES] {
    let mut tag = [7; TAG_BYTES];
    tag[..8].copy_from_slice(&number.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_le_bytes());
    tag
}

fn kept(tags: u64, buckets: u64) -> Vec<u8> {
    let (set, fd) = ReplaySet::create(253_104, buckets, [9; 16]).unwrap();
    for number in 0..tags {
        let place = set.locate(&tag(number));
        assert_eq!(if number < 3 { set.insert_early_at(place) } else { set.insert_at(place) }, Insert::New);
    }
    let mut bytes = Vec::new();
    write(&fd, &mut bytes).unwrap();
    bytes
}

#[test]
fn what_was_seen_stays_seen() {
    // None, few on many pages, crowded.
    for (tags, buckets) in [(0, 64), (500, 1 << 20), (6_000, 1 << 10)] {
        let (set, fd) = read(&mut &kept(tags, buckets)[..]).unwrap();
        assert_eq!((set.epoch(), set.buckets(), set.fill().tags), (253_104, buckets, tags));
        for number in 0..tags {
            assert_eq!(set.insert(&tag(number)), Insert::Seen, "{number}");
        }
        assert_eq!(set.insert(&tag(tags)), Insert::New);
        // The other plane finds the same behind the descriptor.
        assert_eq!(ReplaySet::attach(&fd).unwrap().fill().tags, tags + 1);
    }
}

#[test]
fn it_takes_little_more_than_its_tags() {
    let bytes = kept(500, 1 << 20);
    assert!(bytes.len() < 500 * 12 + 100, "{}", bytes.len());
}

#[test]
fn what_is_used_up_before_the_epoch_stays_used_up() {
    let (set, _) = read(&mut &kept(5, 64)[..]).unwrap();
    assert_eq!(set.memory.words()[AT_EARLY].load(Ordering::Relaxed), 3);
}

#[test]
fn nothing_else_is_taken_for_a_set() {
    let good = kept(40, 64);
    for length in 0..good.len() {
        assert!(read(&mut &good[..length]).is_err(), "{length} of {} bytes", good.len());
    }
    let set = |at: usize, value: u8| {
        let mut bytes = good.clone();
        bytes[at] = value;
        read(&mut &bytes[..]).err().map(|error| error.to_string())
    };
    assert!(set(0, b'x').unwrap().contains("foreign header"));
    // Buckets: more than any set has.
    assert!(set(8 + 8 + 7, 0xff).unwrap().contains("is not possible"));
    // The first bucket's distance and its count.
    let first = 8 + 6 * 8;
    assert!(set(first, 65).unwrap().contains("outside"));
    assert!(set(first + 1, 9).unwrap().contains("more than it can"));
    assert!(set(first + 1, 0).unwrap().contains("more than it can"));
    let endless = [&good[..first], &[0xff; 10]].concat();
    assert!(read(&mut &endless[..]).unwrap_err().to_string().contains("does not end"));
}

#[test]
fn what_is_no_set_is_not_written() {
    let other = crate::memory::seal("remembered", b"something else").unwrap();
    assert!(write(&other, &mut Vec::new()).is_err());
}
