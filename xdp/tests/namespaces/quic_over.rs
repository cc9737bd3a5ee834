//! Connections of QUIC over frames, and beside them over sockets of the kernel.
//!
//! `KATZENSPRUNG_XDP_MESSAGES=300000 cargo test --release -p xdp --test namespaces -- quic_over --nocapture` says what they cost.

use crate::pair_or_return;
use crate::support::{SOON, Shard, clock, meet, only_shard, pattern, sockets};
use datagram::udp::plain::PlainSockets;
use datagram::{Datagrams, Ecn, SocketId, Train};
use quic::{Common, Endpoint, Event, Handle, PortId, Read, Wrote};
use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::{Duration, Instant};
use xdp::Mode;

const PORT: u16 = 4433;
const MESSAGE_BYTES: usize = 3_100;
/// What a sender has ready at most.
const AT_ONCE: usize = 16 * MESSAGE_BYTES;

/// Datagrams with a beginning and an end of rounds.
trait Rounds: Datagrams {
    fn begin(&mut self);
    fn end(&mut self);
}

impl Rounds for PlainSockets {
    fn begin(&mut self) {
        (0..self.sockets().len() as u32).for_each(|number| self.note_readable(SocketId(number)));
    }

    fn end(&mut self) {
        self.flush();
    }
}

impl Rounds for Shard {
    fn begin(&mut self) {
        self.kernel_mut().begin();
    }

    fn end(&mut self) {
        crate::support::end(self);
    }
}

/// One end of connections, over whatever moves its datagrams; with segments joined up to so many.
struct End<D> {
    datagrams: D,
    endpoint: Endpoint,
    events: VecDeque<Event>,
    segments_max: usize,
}

impl<D: Rounds> End<D> {
    fn new(common: &Common, datagrams: D, segments_max: usize) -> Self {
        let mut endpoint = Endpoint::new(common.clone(), clock());
        for socket in datagrams.sockets() {
            endpoint.add_port(socket.is_listener, socket.local.is_ipv6());
        }
        Self { datagrams, endpoint, events: VecDeque::new(), segments_max }
    }

    fn round(&mut self) {
        let Self { datagrams, endpoint, events, .. } = self;
        endpoint.begin_round(clock());
        datagrams.begin();
        while let Some(train) = datagrams.next_train() {
            let arrived = quic::Arrived {
                port: PortId(train.socket.0),
                from: train.from,
                to: train.to,
                ecn: train.ecn.map_or(0, |ecn| ecn as u8),
                at: train.at,
                segment_bytes: train.segment_bytes,
                bytes: train.bytes,
            };
            endpoint.handle(arrived, clock());
        }
        events.extend(std::iter::from_fn(|| endpoint.next_event()));
    }

    fn send(&mut self) {
        let Self { datagrams, endpoint, segments_max, .. } = self;
        let segments = datagrams.segments_max().min(*segments_max);
        while datagrams.room() > 0 {
            let mut buffer = datagrams.buffer();
            let Some(to_leave) = endpoint.poll_transmit(clock(), segments, false, &mut buffer) else { break };
            let train = Train {
                socket: SocketId(to_leave.port.0),
                to: to_leave.to,
                from: to_leave.from,
                ecn: Ecn::from_bits(to_leave.ecn),
                segment_bytes: to_leave.segment_bytes,
            };
            datagrams.transmit(train, buffer);
        }
        datagrams.end();
    }
}

/// What a run took.
struct Cost {
    lasted: Duration,
    processor: Duration,
}

fn processor_time() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

/// Sends so many messages over one connection, both ends on this thread, and looks at each byte.
#[track_caller]
fn carry<A: Rounds, B: Rounds>(a: &mut End<A>, b: &mut End<B>, to: SocketAddr, messages: usize) -> Cost {
    let dialled = a.endpoint.connect(to, clock()).expect("a socket to dial from");
    let message = pattern(MESSAGE_BYTES, 5);
    let (mut sends, mut accepted): (Option<Handle>, Option<Handle>) = (None, None);
    let (mut written, mut read) = (0, 0);
    let total = messages * MESSAGE_BYTES;
    let ready: Vec<u8> = message.iter().copied().cycle().take(AT_ONCE + MESSAGE_BYTES).collect();
    let (begin, processor) = (Instant::now(), processor_time());
    let mut buffer = Vec::new();
    while read < total {
        assert!(begin.elapsed() < SOON + Duration::from_micros(100) * messages as u32, "{read} of {total} bytes");
        a.round();
        for event in a.events.drain(..) {
            match event {
                Event::Connected { .. } => sends = Some(dialled),
                Event::ConnectFailed { failure, .. } => panic!("{failure:?}"),
                _ => {}
            }
        }
        while let Some(conn) = sends.filter(|_| written < total) {
            let at = written % MESSAGE_BYTES;
            let piece = &ready[at..at + AT_ONCE.min(total - written)];
            match a.endpoint.write(conn, piece) {
                Wrote::Bytes(count) => written += count,
                Wrote::WouldBlock => break,
                Wrote::Failed => panic!("lost after {written} bytes"),
            }
        }
        a.send();
        b.round();
        for event in b.events.drain(..) {
            if let Event::Accepted { conn, .. } = event {
                accepted = Some(conn);
            }
        }
        while let Some(conn) = accepted {
            buffer.clear();
            match b.endpoint.read(conn, 64 << 10, &mut buffer) {
                Read::Bytes { .. } => {}
                Read::WouldBlock => break,
                other => panic!("{other:?} after {read} bytes"),
            }
            let mut rest = &buffer[..];
            while !rest.is_empty() {
                let expected = &message[read % MESSAGE_BYTES..];
                let count = expected.len().min(rest.len());
                assert!(expected[..count] == rest[..count], "other bytes at {read}");
                (rest, read) = (&rest[count..], read + count);
            }
        }
        b.send();
    }
    Cost { lasted: begin.elapsed(), processor: processor_time() - processor }
}

fn say(name: &str, cost: &Cost, messages: usize) {
    let per_message = cost.processor.as_secs_f64() * 1e6 / messages as f64;
    let rate = messages as f64 / cost.lasted.as_secs_f64() / 1e3;
    testhost::report(format_args!(
        "{name}: {rate:.1} k messages/s on one thread for both ends, {per_message:.2} us each"
    ));
}

fn messages() -> (usize, bool) {
    let wanted = std::env::var("KATZENSPRUNG_XDP_MESSAGES").ok().and_then(|text| text.parse().ok());
    (wanted.unwrap_or(3_000), wanted.is_some())
}

#[track_caller]
fn over_frames(mode: Mode, is_ipv6: bool) {
    let (first, second) = pair_or_return!(1);
    let to = second.at(is_ipv6, PORT);
    let common = Common::new().unwrap();
    let (messages, is_measured) = messages();
    let mut a = only_shard(&first, &[mode], &[]);
    first.run(|| a.open(is_ipv6)).unwrap();
    let mut b = only_shard(&second, &[mode], &[to]);
    meet(&mut a, &mut b, to);
    let before = (a.counters(), b.counters());
    let (mut a, mut b) = (End::new(&common, a, 64), End::new(&common, b, 64));
    let cost = carry(&mut a, &mut b, to, messages);
    let (left, arrived) = (a.datagrams.counters(), b.datagrams.counters());
    // All but a train each time that the kernel is to look whether the neighbour is still there.
    let beside = left.kernel_trains - before.0.kernel_trains;
    assert!(arrived.arrived - before.1.arrived > messages as u64 * 2, "{left:?} {arrived:?}");
    assert!(beside < 10 + cost.lasted.as_secs(), "{left:?}");
    if is_measured {
        let lost = a.datagrams.lost() + b.datagrams.lost();
        say(&format!("frames, {mode:?}, {}, {lost} lost", if is_ipv6 { "IPv6" } else { "IPv4" }), &cost, messages);
    }
}

#[test]
fn messages_over_frames() {
    over_frames(Mode::Native, false);
    over_frames(Mode::Native, true);
    over_frames(Mode::Generic, false);
}

/// A shard over frames and a peer over the kernel's sockets, which may join and cut up what it likes.
#[test]
fn messages_to_and_from_the_kernel() {
    let (first, second) = pair_or_return!(1);
    let (here, to) = (first.at(false, PORT), second.at(false, PORT));
    let common = Common::new().unwrap();
    let mut shard = only_shard(&first, &Mode::ALL, &[here]);
    let mut plain = second.run(|| sockets(&[to]));
    first.run(|| shard.open(false)).unwrap();
    second.run(|| plain.open(false)).unwrap();
    let (mut a, mut b) = (End::new(&common, shard, 64), End::new(&common, plain, 64));
    carry(&mut a, &mut b, to, 1_000);
    let before = a.datagrams.counters().arrived;
    carry(&mut b, &mut a, here, 1_000);
    assert!(a.datagrams.counters().arrived > before + 2_000, "{:?}", a.datagrams.counters());
}

/// What the kernel's sockets take for the same, with offload and without; only where it is to be measured.
#[test]
fn beside_the_kernel() {
    let (messages, true) = messages() else { return };
    for (name, segments_max) in [("sockets, segments joined", 64), ("sockets, one datagram per call", 1)] {
        let (first, second) = pair_or_return!(1);
        let to = second.at(false, PORT);
        let common = Common::new().unwrap();
        let mut a = first.run(|| sockets(&[]));
        first.run(|| a.open(false)).unwrap();
        let b = second.run(|| sockets(&[to]));
        let (mut a, mut b) = (End::new(&common, a, segments_max), End::new(&common, b, segments_max));
        let cost = carry(&mut a, &mut b, to, messages);
        say(name, &cost, messages);
    }
}
