//! How connections end, and what is left of them: nothing.

use super::pair::{DIALLER, LISTENER, Pair, address};
use crate::limits;
use crate::{ConnectFailure, Endpoint, Event, Handle, Read, Wrote};
use std::time::Duration;

/// Nobody knows of any connection.
fn check_gone(pair: &Pair) {
    for end in &pair.ends {
        assert_eq!(end.endpoint.connections(), 0, "end {}", end.number);
    }
}

#[test]
fn what_was_written_before_closing_arrives_and_then_the_end() {
    for closer in [DIALLER, LISTENER] {
        let mut pair = Pair::new();
        let (ours, theirs) = pair.connected(b"a");
        assert_eq!(pair.read_all(LISTENER, theirs).0, b"a");
        let (its, other, others) = if closer == DIALLER { (ours, LISTENER, theirs) } else { (theirs, DIALLER, ours) };
        let words: Vec<u8> = (0..200_000_u32).map(|at| (at / 3) as u8).collect();
        pair.write_all(closer, its, &words);
        pair.close(closer, its);
        pair.run(Duration::from_millis(500));
        assert_eq!(pair.read_all(other, others), (words, Read::Closed));
        assert_eq!(pair.ends[closer].endpoint.write(its, b"x"), Wrote::Failed, "the name is spent");
        pair.close(other, others);
        pair.run(Duration::from_secs(5));
        check_gone(&pair);
    }
}

#[test]
fn a_close_that_nobody_hears_is_over_after_a_while() {
    let mut pair = Pair::new();
    let (ours, theirs) = pair.connected(b"a");
    pair.read_all(LISTENER, theirs);
    pair.is_cut = true;
    pair.write_all(DIALLER, ours, b"unheard");
    pair.close(DIALLER, ours);
    pair.run(Duration::from_secs(10));
    assert_eq!(pair.ends[DIALLER].endpoint.connections(), 0);
    pair.take_events(LISTENER);
    // The other end notices nothing before it has been idle for as long as both have said.
    pair.run(Duration::from_secs(35));
    assert_eq!(pair.take_events(LISTENER), [Event::Readable { conn: theirs }]);
    assert_eq!(pair.read_all(LISTENER, theirs), (Vec::new(), Read::Failed));
    assert_eq!(pair.ends[LISTENER].endpoint.write(theirs, b"x"), Wrote::Failed);
    pair.close(LISTENER, theirs);
    check_gone(&pair);
}

#[test]
fn a_writer_that_waits_learns_that_the_connection_is_lost() {
    let mut pair = Pair::new();
    let (ours, theirs) = pair.connected(b"a");
    loop {
        match pair.ends[DIALLER].endpoint.write(ours, &[1; 100_000]) {
            Wrote::Bytes(_) => {}
            Wrote::WouldBlock => break,
            Wrote::Failed => panic!("it is not lost"),
        }
    }
    pair.run(Duration::from_millis(100));
    pair.close(LISTENER, theirs);
    pair.run(Duration::from_secs(5));
    assert!(pair.take_events(DIALLER).contains(&Event::Writable { conn: ours }));
    assert_eq!(pair.ends[DIALLER].endpoint.write(ours, b"x"), Wrote::Failed);
}

#[test]
fn a_silent_peer_is_told_that_it_opened_no_stream_and_holds_nobody_up() {
    let mut pair = Pair::new();
    let silent = pair.dial();
    pair.run(Duration::from_secs(1));
    assert_eq!(pair.take_events(DIALLER), [Event::Connected { conn: silent }]);
    let begin = pair.now;
    // Another one is served at once.
    let (_, theirs) = pair.connected(b"hello");
    assert!(pair.now.since(begin) < Duration::from_millis(100));
    assert_eq!(pair.read_all(LISTENER, theirs).0, b"hello");
    assert_eq!(pair.read_all(DIALLER, silent).1, Read::WouldBlock);
    pair.run(Duration::from_secs(28));
    assert_eq!(pair.ends[LISTENER].endpoint.counts().silent, 0);
    pair.run(Duration::from_secs(2));
    assert_eq!(pair.ends[LISTENER].endpoint.counts().silent, 1);
    assert!(pair.take_events(DIALLER).contains(&Event::Readable { conn: silent }));
    assert_eq!(pair.read_all(DIALLER, silent), (Vec::new(), Read::Closed), "application code 0 is an end");
    pair.close(DIALLER, silent);
    pair.run(Duration::from_secs(5));
    assert_eq!(pair.ends[LISTENER].endpoint.connections(), 1);
}

#[test]
fn a_dial_to_nobody_times_out_and_one_that_is_given_up_leaves_nothing() {
    let mut pair = Pair::new();
    pair.is_cut = true;
    let lost = pair.dial();
    let given_up = pair.dial();
    assert_ne!(lost, given_up);
    pair.run(Duration::from_secs(2));
    pair.close(DIALLER, given_up);
    pair.run(Duration::from_secs(40));
    let failed = Event::ConnectFailed { conn: lost, failure: ConnectFailure::TimedOut };
    assert_eq!(pair.take_events(DIALLER), [failed]);
    assert_eq!(pair.read_all(DIALLER, lost).1, Read::Failed);
    pair.close(DIALLER, lost);
    check_gone(&pair);
}

#[test]
fn a_listener_that_is_full_refuses() {
    let mut pair = Pair::new();
    // As if there were so many.
    pair.ends[LISTENER].endpoint.live += limits::CONNECTIONS_MAX;
    let dialled = pair.dial();
    pair.run(Duration::from_millis(100));
    let refused = Event::ConnectFailed { conn: dialled, failure: ConnectFailure::Refused };
    assert_eq!(pair.take_events(DIALLER), [refused]);
    assert!(pair.ends[LISTENER].endpoint.counts().refused >= 1);
}

#[test]
fn a_peer_that_was_killed_resets_what_it_does_not_know() {
    let mut pair = Pair::new();
    let (ours, _) = pair.connected(b"a");
    // Another endpoint with the same key in its place, as after a restart of one shard.
    pair.ends[LISTENER].endpoint = Endpoint::new(super::pair::common(), pair.now);
    pair.ends[LISTENER].endpoint.add_port(true, false);
    pair.write_all(DIALLER, ours, &[1; 1000]);
    assert_eq!(pair.read_all(DIALLER, ours).1, Read::WouldBlock);
    pair.run(Duration::from_secs(2));
    assert_eq!(pair.take_events(DIALLER), [Event::Readable { conn: ours }]);
    assert_eq!(pair.read_all(DIALLER, ours).1, Read::Failed);
}

#[test]
fn names_that_mean_nothing_do_nothing() {
    let mut pair = Pair::new();
    let (ours, _) = pair.connected(b"a");
    for conn in [Handle { index: 99, ..ours }, Handle { generation: ours.generation + 1, ..ours }] {
        assert_eq!(pair.read_all(DIALLER, conn).1, Read::Failed);
        assert_eq!(pair.ends[DIALLER].endpoint.write(conn, b"x"), Wrote::Failed);
        pair.close(DIALLER, conn);
    }
    let nowhere = pair.ends[DIALLER].endpoint.connect(address(2, 0), pair.now).expect("a socket is there");
    pair.round();
    let failed = Event::ConnectFailed { conn: nowhere, failure: ConnectFailure::Other };
    assert_eq!(pair.take_events(DIALLER), [failed]);
    pair.close(DIALLER, nowhere);
    pair.write_all(DIALLER, ours, b"it still works");
}

#[test]
fn hundreds_of_connections_leave_nothing_behind() {
    let mut pair = Pair::new();
    for round in 0..100 {
        let (ours, theirs) = pair.connected(&[round]);
        if round % 2 == 0 {
            pair.close(DIALLER, ours);
            pair.run(Duration::from_millis(10));
            pair.close(LISTENER, theirs);
        } else {
            pair.close(LISTENER, theirs);
            pair.close(DIALLER, ours);
        }
        pair.run(Duration::from_millis(200));
        pair.take_events(DIALLER);
        pair.take_events(LISTENER);
    }
    pair.run(Duration::from_secs(10));
    check_gone(&pair);
    for end in &mut pair.ends {
        let endpoint = &end.endpoint;
        assert!(endpoint.conns.len() < 40, "{}", endpoint.conns.len());
        assert!(endpoint.ports.iter().all(|port| port.dialled.is_empty()));
        assert!(endpoint.ports.iter().all(|port| port.places.iter().all(Option::is_none)));
        assert_eq!(endpoint.deadlines.next(), wire::Instant::NEVER);
        assert!(!endpoint.has_unsent());
    }
}
