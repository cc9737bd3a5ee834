use super::keyed::siphash_128;
use super::*;
use crate::channel::{Channel, ChannelListener, Trusted};
use crate::message::{Descriptor, ToControl};
use pki::Epoch;
use rustix::fd::AsFd;
use std::io::Read as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Barrier;

const KEY: [u8; 16] = *b"a key for a test";

/// The tag with a number; tags are hashes, so any distinct bytes do.
fn tag(number: u64) -> [u8; 32] {
    let mut tag = [0; 32];
    tag[..8].copy_from_slice(&number.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_le_bytes());
    tag[24..].copy_from_slice(&number.to_le_bytes());
    tag
}

/// Inserts all numbers and returns how many were new.
fn insert_all(set: &ReplaySet, numbers: impl Iterator<Item = u64>) -> u64 {
    numbers.filter(|number| set.insert(&tag(*number)) == Insert::New).count() as u64
}

#[test]
fn hash_meets_its_published_vector() {
    let key = [0x0706_0504_0302_0100, 0x0f0e_0d0c_0b0a_0908];
    // The first of the reference implementation's vectors for 128 bits of output.
    let published = hex("a3817f04ba25a8e66df67214c7550293");
    let [first, second] = siphash_128(key, []);
    assert_eq!([first.to_le_bytes(), second.to_le_bytes()].concat(), published);
    // Input of 8 and of 56 bytes, from the same list.
    let [first, second] = siphash_128(key, [0x0706_0504_0302_0100]);
    let eight = [first.to_le_bytes(), second.to_le_bytes()].concat();
    assert_eq!(eight, hex("3b62a9ba6258f5610f83e264f31497b4"));
}

fn hex(text: &str) -> Vec<u8> {
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).expect("hex")).collect()
}

#[test]
fn a_tag_is_new_once() {
    let set = ReplaySet::heap(7, 1000, KEY);
    assert_eq!(set.epoch(), 7);
    for number in 0..2000 {
        assert!(!set.contains(&tag(number)));
        assert_eq!(set.insert(&tag(number)), Insert::New);
        assert!(set.contains(&tag(number)));
        assert_eq!(set.insert(&tag(number)), Insert::Seen);
    }
    assert_eq!(set.fill(), Fill { tags: 2000, slots: 8000 });
}

#[test]
fn locating_ahead_changes_no_answer() {
    let set = ReplaySet::heap(0, 500, KEY);
    let tags: Vec<_> = (0..32).map(tag).collect();
    set.prefetch(&tags);
    assert_eq!(set.fill().tags, 0);
    let places: Vec<_> = tags.iter().map(|tag| set.locate(tag)).collect();
    assert!(places.iter().all(|place| !set.contains_at(*place)));
    assert!(places.iter().all(|place| set.insert_at(*place) == Insert::New));
    assert!(places.iter().all(|place| set.insert_at(*place) == Insert::Seen));
    assert!(tags.iter().zip(&places).all(|(tag, place)| set.contains(tag) && set.locate(tag) == *place));
}

#[test]
fn two_sets_put_tags_in_different_places() {
    let (one, two) = (ReplaySet::heap(0, 4096, KEY), ReplaySet::heap(0, 4096, [9; 16]));
    let same = (0..1000).filter(|number| one.locate(&tag(*number)).bucket == two.locate(&tag(*number)).bucket).count();
    assert!(same < 10, "{same} of 1000 buckets are the same under two keys");
    let mut used: Vec<_> = (0..4096).map(|number| one.locate(&tag(number)).bucket).collect();
    used.sort_unstable();
    used.dedup();
    // 1 - 1/e of them, about 2589.
    assert!((2450..2730).contains(&used.len()), "{} buckets used", used.len());
}

#[test]
fn a_full_set_refuses_and_forgets_nothing() {
    let set = ReplaySet::heap(0, BUCKETS_MIN, KEY);
    let slots = BUCKETS_MIN * 8;
    assert_eq!(insert_all(&set, 0..slots), slots);
    assert_eq!(set.fill(), Fill { tags: slots, slots });
    assert!(set.fill().is_warning());
    for number in slots..slots + 100 {
        assert_eq!(set.insert(&tag(number)), Insert::Full);
        assert!(!set.contains(&tag(number)));
    }
    assert!((0..slots).all(|number| set.insert(&tag(number)) == Insert::Seen));
}

#[test]
fn nothing_is_refused_below_eighty_percent() {
    let set = ReplaySet::heap(0, 20_000, KEY);
    let slots = set.fill().slots;
    let mut warned_at = None;
    for number in 0..slots * 80 / 100 {
        assert_eq!(set.insert(&tag(number)), Insert::New, "at {:?}", set.fill());
        if set.fill().is_warning() {
            warned_at.get_or_insert(number + 1);
        }
    }
    assert_eq!(warned_at, Some(slots * WARN_FILL_PERCENT / 100));
    let absent = (slots..slots + 100_000).filter(|number| set.contains(&tag(*number))).count();
    assert_eq!(absent, 0, "false positives");
}

#[test]
fn sizes_follow_the_line_rate() {
    // 16 kB per packet/s and key.
    assert_eq!(memory_bytes(replay_capacity(1000, 1200)) / 1000, 16_004);
    assert_eq!(replay_capacity(0, 1200), BUCKETS_MIN);
    assert_eq!(replay_capacity(1, 0), BUCKETS_MIN);
    assert_eq!(replay_capacity(u64::MAX, u64::MAX), BUCKETS_MAX);
    let fill = Fill { tags: 1200 * 1000, slots: replay_capacity(1000, 1200) * 8 };
    assert_eq!(fill.percent(), 60);
}

#[test]
fn of_two_threads_one_wins_each_tag() {
    let set = ReplaySet::heap(0, 40_000, KEY);
    race(&set, &set);
}

#[test]
fn of_two_mappings_one_wins_each_tag() {
    let (one, fd) = ReplaySet::create(5, 40_000, KEY).expect("memfds work");
    let two = ReplaySet::attach(&fd).expect("the memory is sound");
    assert_eq!((two.epoch(), two.buckets()), (5, 40_000));
    race(&one, &two);
    one.populate();
    // Whether the kernel can is its own affair; what is in the set stays.
    let _ = two.populate_and_collapse();
    assert_eq!(one.fill(), two.fill());
    assert!((0..190_000).all(|number| one.contains(&tag(number))));
}

/// Two threads insert the same 190,000 tags, 59 % fill, in opposite directions of small blocks, so that they meet.
fn race(one: &ReplaySet, two: &ReplaySet) {
    const TAGS: u64 = 190_000;
    let start = Barrier::new(2);
    let new = std::thread::scope(|scope| {
        let other = scope.spawn(|| {
            start.wait();
            insert_all(two, (0..TAGS / 100).flat_map(|block| (block * 100..block * 100 + 100).rev()))
        });
        start.wait();
        let new = insert_all(one, 0..TAGS);
        [new, other.join().expect("the thread ends")]
    });
    assert_eq!(new[0] + new[1], TAGS, "{new:?}");
    assert_eq!(one.fill().tags, TAGS);
}

#[test]
fn foreign_memory_is_refused() {
    let (_memory, fd) = SharedMemory::create("other", 1 << 16).expect("memfds work");
    assert!(matches!(ReplaySet::attach(&fd), Err(MemoryError::Foreign(_))));
    let (set, fd) = ReplaySet::create(0, BUCKETS_MIN, KEY).expect("memfds work");
    for buckets in [0, BUCKETS_MIN + 1, BUCKETS_MAX, u64::MAX] {
        set.memory.words()[AT_BUCKETS].store(buckets, Ordering::Relaxed);
        assert!(matches!(ReplaySet::attach(&fd), Err(MemoryError::Size { .. })), "{buckets} buckets");
    }
    assert!(ReplaySet::create(0, BUCKETS_MAX + 1, KEY).is_err());
}

/// Runs this test binary again, as the process that `child` describes.
fn child(socket: &Path) -> std::process::Child {
    Command::new(std::env::current_exe().expect("the test binary has a path"))
        .args(["--exact", "replay::tests::child_process", "--nocapture"])
        .env("INTERPLANE_TEST_SOCKET", socket)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("the test binary starts")
}

/// Not a test by itself: the other process of the two tests below. It gets a set, inserts the tags, and says after
/// each one that was new that it has said so.
#[test]
fn child_process() {
    let Some(socket) = std::env::var_os("INTERPLANE_TEST_SOCKET") else { return };
    let channel = Channel::connect(Path::new(&socket), Trusted::default()).expect("the parent listens");
    let received = channel.recv::<ToControl>().expect("the parent sends a set");
    let (_, fd) = received.attachments.into_iter().next().expect("the set comes along");
    let set = ReplaySet::attach(fd).expect("the memory is sound");
    let mut block = Vec::with_capacity(100 * 8);
    for number in 0.. {
        if set.insert(&tag(number)) == Insert::New {
            block.extend_from_slice(&u64::to_le_bytes(number));
        }
        if block.len() == 100 * 8 {
            // Whoever reads it believes that these tags are in the set. A reader that has enough hangs up.
            if rustix::io::write(std::io::stdout(), &block).is_err() {
                return;
            }
            block.clear();
        }
    }
}

/// Hands `set` to a new process.
fn serve(listener: &ChannelListener, fd: impl AsFd) -> Channel {
    let channel = listener.accept().expect("the child connects");
    let attachment = (Descriptor::ReplaySet { epoch: Epoch(0) }, fd.as_fd());
    channel.send(&ToControl::Attached, &[attachment]).expect("the child takes the set");
    channel
}

/// What a child confirmed, at most `bytes` of it. The libtest header comes first and ends with a known line.
fn confirmed(output: &mut impl std::io::Read, bytes: u64) -> Vec<u64> {
    let mut header = Vec::new();
    while !header.ends_with(b"running 1 test\n") {
        let mut byte = [0];
        output.read_exact(&mut byte).expect("the child writes");
        header.push(byte[0]);
    }
    let mut numbers = Vec::new();
    output.take(bytes).read_to_end(&mut numbers).expect("the child writes");
    numbers.as_chunks::<8>().0.iter().map(|number| u64::from_le_bytes(*number)).collect()
}

#[test]
fn of_two_processes_one_wins_each_tag() {
    let directory = tempfile::tempdir().expect("a directory can be made");
    let socket = directory.path().join("socket");
    let listener = ChannelListener::bind(&socket, Trusted::default()).expect("the path is free");
    let (set, fd) = ReplaySet::create(0, 100_000, KEY).expect("memfds work");
    let mut children = [child(&socket), child(&socket)];
    let _channels = [serve(&listener, &fd), serve(&listener, &fd)];
    let each: Vec<Vec<u64>> = std::thread::scope(|scope| {
        let readers: Vec<_> = children
            .iter_mut()
            .map(|child| child.stdout.take().expect("stdout is a pipe"))
            .map(|mut output| scope.spawn(move || confirmed(&mut output, 100_000 * 8)))
            .collect();
        readers.into_iter().map(|reader| reader.join().expect("the thread ends")).collect()
    });
    for child in &mut children {
        let _ = child.kill();
        child.wait().expect("the child ends");
    }
    let mut all: Vec<_> = each.concat();
    let confirmed = all.len();
    all.sort_unstable();
    all.dedup();
    assert_eq!(all.len(), confirmed, "a tag was new twice");
    assert!(all.iter().all(|number| set.contains(&tag(*number))));
    println!("{} and {} tags were new in one process and in the other", each[0].len(), each[1].len());
}

#[test]
fn a_killed_process_leaves_no_confirmed_tag_out() {
    let directory = tempfile::tempdir().expect("a directory can be made");
    let socket = directory.path().join("socket");
    let listener = ChannelListener::bind(&socket, Trusted::default()).expect("the path is free");
    let (_, fd) = ReplaySet::create(0, 100_000, KEY).expect("memfds work");
    let mut next = 0;
    for round in 0..8 {
        let mut child = child(&socket);
        let _channel = serve(&listener, &fd);
        let mut output = child.stdout.take().expect("stdout is a pipe");
        // Enough to be in the middle, and some more each round.
        let first = confirmed(&mut output, 8 * (1000 + 777 * round));
        child.kill().expect("the child lives");
        child.wait().expect("the child ends");
        let mut rest = Vec::new();
        output.read_to_end(&mut rest).expect("the pipe ends");
        let rest = rest.as_chunks::<8>().0.iter().map(|number| u64::from_le_bytes(*number));
        // The next process attaches to what is left.
        let set = ReplaySet::attach(&fd).expect("the memory is sound");
        for number in first.iter().copied().chain(rest) {
            assert!(set.contains(&tag(number)), "tag {number} was confirmed and is missing");
            assert!(number >= next, "tag {number} was new again");
            next = number + 1;
        }
        assert_eq!(set.insert(&tag(next - 1)), Insert::Seen);
        // No holes: a tag is found only if every slot before it in its sequence is full, so all must be found.
        assert!((0..next).all(|number| set.contains(&tag(number))));
    }
    println!("{next} tags, 8 kills");
}

#[test]
fn early_tags_leave_room_for_the_epoch_itself() {
    let set = ReplaySet::heap(7, 1 << 12, [5; 16]);
    let slots = set.fill().slots;
    let quota = slots / 100 * EARLY_PERCENT;
    let early = |number| set.insert_early_at(set.locate(&tag(number)));
    for number in 0..quota {
        assert_eq!(early(number), Insert::New);
    }
    assert_eq!(early(0), Insert::Seen, "what was accepted is known");
    assert_eq!(early(quota), Insert::Full);
    assert_eq!(set.fill().tags, quota);
    // The epoch has all that the set is sized for, the refused packet included.
    for number in quota..quota + slots / 100 * DESIGN_FILL_PERCENT {
        assert_eq!(set.insert(&tag(number)), Insert::New, "{number}");
    }
    assert_eq!(early(slots), Insert::Full);
}
