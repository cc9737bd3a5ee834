//! How connections end, and what is left of them: nothing.

use super::super::resets::Resets;
use super::pair::{DIALLER, LISTENER, Pair, address};
use crate::limits;
use crate::{Arrived, Common, ConnectFailure, Endpoint, Event, Handle, PortId, Read, Wrote};
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
fn what_was_forgotten_is_reset_when_its_peer_speaks() {
    let mut pair = Pair::new();
    let (ours, theirs) = pair.connected(b"a");
    pair.ends[LISTENER].endpoint.forget(theirs.index);
    pair.write_all(DIALLER, ours, &[1; 1000]);
    assert_eq!(pair.read_all(DIALLER, ours).1, Read::WouldBlock);
    pair.run(Duration::from_secs(2));
    assert_eq!(pair.take_events(DIALLER), [Event::Readable { conn: ours }]);
    assert_eq!(pair.read_all(DIALLER, ours).1, Read::Failed);
}

/// Another shard, or another socket of this one, knows nothing of the connection. What it says to somebody who sends it a copy of a
/// datagram must not be what ends the connection: whoever is on the way could end all of them.
#[test]
fn what_another_socket_says_of_a_copied_datagram_ends_nothing() {
    for (is_same_shard, has_shards) in [(false, false), (true, false), (false, true), (true, true)] {
        let mut pair = Pair::new();
        let common = |shard| if has_shards { super::pair::common().of_shard(shard) } else { super::pair::common() };
        pair.listen_with(common(1));
        let (ours, theirs) = pair.connected(b"a");
        pair.read_all(LISTENER, theirs);
        pair.write_all(DIALLER, ours, &[1; 200]);
        pair.send(DIALLER);
        let copy = pair.overhear();
        let (now, from) = (pair.now, address(9, 9));
        let mut other = Endpoint::new(common(2), now);
        let asked = if is_same_shard { &mut pair.ends[LISTENER].endpoint } else { &mut other };
        let port = asked.add_port(true, false);
        asked.handle(Arrived { port, from, to: None, ecn: 0, at: now, segment_bytes: 0, bytes: &copy }, now);
        let mut answer = Vec::new();
        let departure = asked.poll_transmit(now, 1, false, &mut answer).expect("it says that it does not know it");
        assert_eq!((departure.port, departure.to), (port, from));
        let forged = Arrived {
            port: PortId(0),
            from: Pair::target(),
            to: None,
            ecn: 0,
            at: now,
            segment_bytes: 0,
            bytes: &answer,
        };
        pair.ends[DIALLER].endpoint.handle(forged, now);
        pair.run(Duration::from_millis(100));
        assert_eq!(pair.read_all(DIALLER, ours).1, Read::WouldBlock, "it is lost");
        assert_eq!(pair.read_all(LISTENER, theirs), (vec![1; 200], Read::WouldBlock));
    }
}

/// A process that was killed is followed by another one, of the same node.
#[test]
fn who_takes_the_place_of_a_killed_process_ends_its_connections_at_once() {
    let secret = [7; 32];
    for (next_secret, next_shard, is_ended) in [([7; 32], 3, true), ([8; 32], 3, false), ([7; 32], 2, false)] {
        let mut pair = Pair::new();
        let killed = Common { resets: Resets::new().unwrap(), ..super::pair::common() }.of_shard(3);
        killed.outlive(&secret).unwrap();
        killed.outlive(&[9; 32]).expect("it does not count");
        pair.listen_with(killed);
        let (ours, _) = pair.connected(b"a");
        let next = Common { resets: Resets::new().unwrap(), ..super::pair::common() }.of_shard(next_shard);
        pair.listen_with(next.clone());
        pair.write_all(DIALLER, ours, &[1; 1000]);
        assert_eq!(pair.read_all(DIALLER, ours).1, Read::WouldBlock);
        pair.run(Duration::from_millis(100));
        assert_eq!(pair.read_all(DIALLER, ours).1, Read::WouldBlock, "its secret is not known yet");
        next.outlive(&next_secret).unwrap();
        pair.run(Duration::from_secs(1));
        let end = if is_ended { Read::Failed } else { Read::WouldBlock };
        assert_eq!(pair.read_all(DIALLER, ours).1, end, "{next_secret:?}, {next_shard}");
    }
}

#[test]
fn a_peer_that_was_dialled_and_does_not_answer_is_given_up() {
    let mut pair = Pair::new();
    let (ours, theirs) = pair.connected(b"a");
    pair.read_all(LISTENER, theirs);
    assert_eq!(pair.read_all(DIALLER, ours).1, Read::WouldBlock);
    assert_eq!(pair.read_all(LISTENER, theirs).1, Read::WouldBlock);
    pair.run(Duration::from_secs(60));
    assert_eq!(pair.take_events(DIALLER), [], "nobody has asked anything");
    pair.is_cut = true;
    pair.write_all(LISTENER, theirs, b"unheard");
    pair.write_all(DIALLER, ours, b"unheard");
    pair.run(limits::PATIENCE);
    assert_eq!(pair.take_events(DIALLER), []);
    pair.run(limits::DOUBT + Duration::from_millis(500));
    assert_eq!(pair.take_events(DIALLER), [Event::Readable { conn: ours }]);
    assert_eq!(pair.read_all(DIALLER, ours), (Vec::new(), Read::Failed));
    assert_eq!(pair.ends[DIALLER].endpoint.write(ours, b"x"), Wrote::Failed);
    pair.close(DIALLER, ours);
    pair.run(Duration::from_secs(5));
    assert_eq!(pair.ends[DIALLER].endpoint.connections(), 0);
    assert_eq!(pair.take_events(LISTENER), [], "who was dialled waits longer");
}

#[test]
fn answers_that_a_host_finds_after_it_has_stood_still_count() {
    let mut pair = Pair::new();
    let (ours, theirs) = pair.connected(b"a");
    for _ in 0..3 {
        pair.write_all(DIALLER, ours, &[1; 100]);
        pair.send(DIALLER);
        pair.now += Duration::from_secs(15);
        pair.run(Duration::from_secs(5));
        assert_eq!(pair.read_all(DIALLER, ours).1, Read::WouldBlock, "it is given up");
    }
    assert_eq!(pair.read_all(LISTENER, theirs).0.len(), 301);
}

/// How long a goodbye takes by QUIC's rules, the peer decides: with acknowledgements that come late, minutes.
#[test]
fn a_slow_peer_keeps_no_place_after_the_end() {
    let mut pair = Pair::new();
    pair.latency = Duration::from_millis(1500);
    let dialled = pair.dial();
    pair.run(Duration::from_secs(6));
    assert_eq!(pair.take_events(DIALLER), [Event::Connected { conn: dialled }]);
    pair.write_all(DIALLER, dialled, b"a");
    pair.run(Duration::from_secs(6));
    let [Event::Accepted { conn, .. }] = pair.take_events(LISTENER)[..] else { panic!("it is not accepted") };
    pair.close(LISTENER, conn);
    pair.run(limits::LINGER + limits::GOODBYE + Duration::from_millis(100));
    assert_eq!(pair.ends[LISTENER].endpoint.connections(), 0);
}

#[test]
fn deadlines_that_come_all_at_once_are_shared_out_among_rounds() {
    let mut pair = Pair::new();
    pair.is_cut = true;
    let dials = limits::TIMEOUTS_PER_ROUND + 10;
    (0..dials).for_each(|_| pair.dial_from_elsewhere());
    pair.round();
    pair.now += Duration::from_millis(400);
    let endpoint = &mut pair.ends[DIALLER].endpoint;
    endpoint.begin_round(pair.now);
    assert!(endpoint.next_timeout() <= pair.now, "all of them in one round");
    endpoint.begin_round(pair.now);
    assert!(endpoint.next_timeout() > pair.now, "they are due again at once");
    pair.run(Duration::from_secs(40));
    assert_eq!(pair.take_events(DIALLER).len(), dials, "each of them is told of");
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
