//! Bytes: all of them, in order, as far as there is room; edges; trains.

use super::pair::{DIALLER, LISTENER, Pair};
use crate::{Event, Read, Wrote};
use std::time::Duration;

#[test]
fn bytes_pass_in_both_directions() {
    let mut pair = Pair::new();
    let (ours, theirs) = pair.connected(b"first words");
    assert_eq!(pair.read_all(LISTENER, theirs), (b"first words".to_vec(), Read::WouldBlock));
    pair.write_all(LISTENER, theirs, b"an answer");
    pair.run(Duration::from_millis(10));
    assert_eq!(pair.read_all(DIALLER, ours), (b"an answer".to_vec(), Read::WouldBlock));
    assert_eq!(pair.ends[LISTENER].endpoint.counts().accepted, 1);
}

#[test]
fn readable_is_an_edge_after_would_block() {
    let mut pair = Pair::new();
    let (ours, theirs) = pair.connected(b"a");
    pair.write_all(DIALLER, ours, b"b");
    pair.run(Duration::from_millis(10));
    assert_eq!(pair.take_events(LISTENER), [], "it counts as readable already");
    assert_eq!(pair.read_all(LISTENER, theirs), (b"ab".to_vec(), Read::WouldBlock));
    for _ in 0..3 {
        pair.write_all(DIALLER, ours, b"c");
        pair.run(Duration::from_millis(10));
    }
    assert_eq!(pair.take_events(LISTENER), [Event::Readable { conn: theirs }]);
}

#[test]
fn a_reader_that_does_not_read_stops_the_writer_within_the_windows() {
    let mut pair = Pair::new();
    let (ours, theirs) = pair.connected(b"a");
    let bytes: Vec<u8> = (0..3 << 20).map(|at: u32| (at / 7) as u8).collect();
    let mut written = 0;
    for _ in 0..100 {
        match pair.ends[DIALLER].endpoint.write(ours, &bytes[written..]) {
            Wrote::Bytes(count) => written += count,
            Wrote::WouldBlock => pair.run(Duration::from_millis(10)),
            Wrote::Failed => panic!("the connection is lost"),
        }
    }
    // The window of the stream, beside the first byte.
    assert_eq!(written + 1, crate::profile::STREAM_WINDOW_BYTES as usize);
    let mut read = Vec::new();
    pair.take_events(DIALLER);
    for _ in 0..10_000 {
        read.extend(pair.read_all(LISTENER, theirs).0);
        pair.run(Duration::from_millis(2));
        if pair.take_events(DIALLER).contains(&(Event::Writable { conn: ours })) {
            while let Wrote::Bytes(count) = pair.ends[DIALLER].endpoint.write(ours, &bytes[written..]) {
                written += count;
                if written == bytes.len() {
                    break;
                }
            }
        }
        if read.len() > bytes.len() {
            break;
        }
    }
    assert!(read[1..] == bytes[..], "{} of {} bytes, or others", read.len(), bytes.len());
}

#[test]
fn many_datagrams_leave_in_one_train() {
    let mut pair = Pair::new();
    let (ours, theirs) = pair.connected(b"a");
    // The window of congestion grows first.
    for _ in 0..20 {
        let _taken = pair.ends[DIALLER].endpoint.write(ours, &[7; 100_000]);
        pair.run(Duration::from_millis(20));
        pair.read_all(LISTENER, theirs);
    }
    pair.ends[DIALLER].trains.clear();
    pair.write_all(DIALLER, ours, &[7; 60_000]);
    pair.run(Duration::from_millis(1));
    let most = pair.ends[DIALLER].trains.iter().max().copied().unwrap_or(0);
    assert!(most > 10, "{:?}", pair.ends[DIALLER].trains);
}

#[test]
fn an_idle_connection_stays() {
    let mut pair = Pair::new();
    let (ours, theirs) = pair.connected(b"a");
    pair.run(Duration::from_secs(300));
    pair.write_all(DIALLER, ours, b"b");
    pair.run(Duration::from_millis(10));
    assert_eq!(pair.read_all(LISTENER, theirs), (b"ab".to_vec(), Read::WouldBlock));
}

#[test]
fn two_connections_to_one_address_do_not_meet() {
    let mut pair = Pair::new();
    let (first, first_theirs) = pair.connected(b"1");
    let (second, second_theirs) = pair.connected(b"2");
    pair.close(DIALLER, first);
    let (third, third_theirs) = pair.connected(b"3");
    pair.run(Duration::from_secs(20));
    for (ours, theirs, word) in [(second, second_theirs, b"2"), (third, third_theirs, b"3")] {
        assert_eq!(pair.read_all(LISTENER, theirs), (word.to_vec(), Read::WouldBlock));
        pair.write_all(LISTENER, theirs, b"yes");
        pair.run(Duration::from_millis(10));
        assert_eq!(pair.read_all(DIALLER, ours).0, b"yes");
    }
    assert_eq!(pair.read_all(LISTENER, first_theirs), (b"1".to_vec(), Read::Closed));
}
