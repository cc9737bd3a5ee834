//! Streams over datagrams beside streams over TCP: between a shard and what moves its bytes.
//!
//! [`QuicIo`] is an [`Io`] over something that is an [`Io`] for TCP and moves [`Datagrams`]. What has [`Transport::Tcp`] passes
//! through; what comes to a socket for datagrams, and what is dialled with [`Transport::Quic`], is a connection of
//! [`quic::Endpoint`]. Their names do not meet: those of TCP have even indices, those of QUIC odd ones, and both are dense.
//!
//! What a driver does around it:
//!
//! * [`QuicIo::new`] when the listening sockets are bound, with the process's [`quic::Common`] if there is QUIC;
//! * after each round [`QuicIo::end_round`] with what the shard has said; its answer counts. It hands everything that is to be
//!   sent to [`Datagrams::transmit`], and ends sleeps when QUIC has something to do;
//! * nothing before a round: datagrams are fetched with [`Datagrams::next_train`] when the shard asks for events.
//!
//! What was written leaves when the shard next finds no event, as streams do; what only acknowledges waits for the end of the
//! round, so that it rides along where something is written: a trip through the kernel costs the same for both.

mod dial;
#[cfg(test)]
mod tests;

use super::under_way::{UnderWay, Wrote};
use super::{ConnId, ConnectFailure, Event, Io, Received, Sending, Target, Transport};
use crate::shard::Next;
use crate::time::Instant;
use datagram::{Arrived, Datagrams, Ecn, SocketId, Train};
use quic::{Common, Endpoint, Handle, PortId, Read};
use std::collections::VecDeque;
use std::time::Duration;

/// Bytes of datagrams that are handled in one round: 2.5 us for 1.4 kB, so about a millisecond.
const ROUND_BYTES_MAX: usize = 512 << 10;
/// As how many bytes a shorter datagram counts: it costs nearly as much. Counted as they are, a flood of short ones would
/// take a second of one round.
const DATAGRAM_BYTES_MIN: usize = 1 << 10;

/// TCP as `B` does it, QUIC over the datagrams that `B` moves.
pub struct QuicIo<B> {
    backend: B,
    /// What connections have in common, if there is QUIC.
    common: Option<Common>,
    /// The connections, from the first socket or dial on: until then nothing is slower for them.
    quic: Option<Box<Quic>>,
    /// Dials over QUIC where there is none, whose failure was not told yet.
    refused: VecDeque<ConnId>,
    refusals: u32,
}

/// The connections over QUIC.
struct Quic {
    endpoint: Endpoint,
    /// The endpoint's names of sockets, by the backend's, and back.
    ports: Vec<PortId>,
    sockets: Vec<SocketId>,
    /// What connections send, by their places.
    streams: Vec<Stream>,
    /// Buffers that are to go back.
    sent: VecDeque<Handle>,
    /// What was received last.
    lent: Vec<u8>,
    /// A buffer for a train that was not needed.
    spare: Option<Vec<u8>>,
    round_begins: bool,
    /// Of [`ROUND_BYTES_MAX`].
    bytes_left: usize,
}

#[derive(Default)]
struct Stream {
    generation: u32,
    sends: Option<UnderWay>,
}

impl<B> QuicIo<B>
where
    B: Io + Datagrams,
{
    /// Over the sockets that the backend has. Without `common` there is TCP alone.
    pub fn new(backend: B, common: Option<Common>) -> Self {
        let mut io = Self { backend, common, quic: None, refused: VecDeque::new(), refusals: 0 };
        if !io.backend.sockets().is_empty() {
            io.begin();
        }
        io
    }

    /// From now on there are connections over QUIC, if there may be.
    fn begin(&mut self) {
        let (Some(common), None) = (&self.common, &self.quic) else { return };
        let mut quic = Quic::new(Endpoint::new(common.clone(), self.backend.now()));
        for (place, socket) in self.backend.sockets().iter().enumerate() {
            quic.add(SocketId(place as u32), socket.is_listener, socket.local.is_ipv6());
        }
        self.quic = Some(Box::new(quic));
    }

    /// What moves the bytes.
    pub fn backend(&mut self) -> &mut B {
        &mut self.backend
    }

    /// Connections over QUIC, those that are being closed included.
    #[cfg(test)]
    pub fn quic_connections(&self) -> usize {
        self.quic.as_ref().map_or(0, |quic| quic.endpoint.connections())
    }

    /// A round is over: everything leaves. Gives what the driver does next.
    pub fn end_round(&mut self, next: Next) -> Next {
        if self.quic.is_none() {
            return next;
        }
        self.flush(false);
        let Some(quic) = &mut self.quic else { return next };
        quic.round_begins = true;
        let has_more = quic.bytes_left == 0 || quic.endpoint.has_unsent() || !quic.sent.is_empty();
        match next {
            Next::ParkUntil(_) if has_more => Next::Busy,
            Next::ParkUntil(at) => match at.min(quic.endpoint.next_timeout()) {
                due if due <= self.backend.now() => Next::Busy,
                due => Next::ParkUntil(due),
            },
            Next::Busy => Next::Busy,
        }
    }

    /// Hands over what is to be sent, as long as there is room.
    fn flush(&mut self, only_written: bool) {
        let Some(quic) = &mut self.quic else { return };
        let (now, segments_max) = (self.backend.now(), self.backend.segments_max());
        while self.backend.room() > 0 {
            let mut buffer = quic.spare.take().unwrap_or_else(|| self.backend.buffer());
            let Some(departure) = quic.endpoint.poll_transmit(now, segments_max, only_written, &mut buffer) else {
                quic.spare = Some(buffer);
                return;
            };
            let Some(socket) = quic.sockets.get(departure.port.0 as usize).copied() else { return };
            let train = Train {
                socket,
                to: departure.to,
                from: departure.from,
                ecn: Ecn::from_bits(departure.ecn),
                segment_bytes: departure.segment_bytes,
            };
            self.backend.transmit(train, buffer);
        }
    }

    /// Handles one train of what has arrived; false if there is none, or enough was handled in this round.
    fn hear(&mut self) -> bool {
        let Some(quic) = &mut self.quic else { return false };
        if quic.bytes_left == 0 {
            return false;
        }
        let now = self.backend.now();
        let Some(train) = self.backend.next_train() else { return false };
        let Arrived { socket, from, to, ecn, at, segment_bytes, bytes } = train;
        let datagrams = bytes.len().div_ceil(segment_bytes.max(1)).max(1);
        quic.bytes_left = quic.bytes_left.saturating_sub(bytes.len().max(datagrams * DATAGRAM_BYTES_MIN));
        if let Some(port) = quic.ports.get(socket.0 as usize).copied() {
            let ecn = ecn.map_or(0, |ecn| ecn as u8);
            quic.endpoint.handle(quic::Arrived { port, from, to, ecn, at, segment_bytes, bytes }, now);
        }
        true
    }

    /// The next event of a connection over QUIC.
    fn next_quic_event(&mut self) -> Option<Event> {
        let quic = self.quic.as_mut()?;
        let now = self.backend.now();
        if std::mem::take(&mut quic.round_begins) {
            quic.bytes_left = ROUND_BYTES_MAX;
            quic.endpoint.begin_round(now);
        }
        loop {
            while let Some(handle) = quic.sent.pop_front() {
                let done = quic.stream(handle).and_then(|stream| stream.sends.take_if(|sends| sends.is_done()));
                if let Some(sends) = done {
                    return Some(sends.sent(name(handle)));
                }
            }
            return Some(match quic.endpoint.next_event()? {
                quic::Event::Accepted { conn, peer } => Event::Accepted { conn: name(conn), peer },
                quic::Event::Connected { conn } => Event::Connected { conn: name(conn) },
                quic::Event::ConnectFailed { conn, failure } => {
                    Event::ConnectFailed { conn: name(conn), failure: failure_of(failure) }
                }
                quic::Event::Readable { conn } => Event::Readable { conn: name(conn) },
                quic::Event::Writable { conn } => {
                    quic.push(conn, now);
                    continue;
                }
            });
        }
    }
}

impl Quic {
    fn new(endpoint: Endpoint) -> Self {
        Self {
            endpoint,
            ports: Vec::new(),
            sockets: Vec::new(),
            streams: Vec::new(),
            sent: VecDeque::new(),
            lent: Vec::new(),
            spare: None,
            round_begins: true,
            bytes_left: ROUND_BYTES_MAX,
        }
    }

    /// One more socket of the backend, whose sockets are numbered in this order.
    fn add(&mut self, socket: SocketId, is_listener: bool, is_ipv6: bool) {
        self.ports.push(self.endpoint.add_port(is_listener, is_ipv6));
        self.sockets.push(socket);
    }

    /// What a connection sends; none if it was closed.
    fn stream(&mut self, conn: Handle) -> Option<&mut Stream> {
        self.streams.get_mut(conn.index as usize).filter(|stream| stream.generation == conn.generation)
    }

    /// The place of what a connection sends.
    fn place(&mut self, conn: Handle) -> &mut Stream {
        let index = conn.index as usize;
        if self.streams.len() <= index {
            self.streams.resize_with(index + 1, Stream::default);
        }
        let stream = &mut self.streams[index];
        if stream.generation != conn.generation {
            *stream = Stream { generation: conn.generation, sends: None };
        }
        stream
    }

    /// Gives the connection as much as it has room for of what it has under way.
    fn push(&mut self, conn: Handle, now: Instant) {
        let Self { endpoint, streams, sent, .. } = self;
        let stream = streams.get_mut(conn.index as usize).filter(|stream| stream.generation == conn.generation);
        let Some(sends) = stream.and_then(|stream| stream.sends.as_mut()) else { return };
        let is_done = sends.write(now, |bytes| match endpoint.write(conn, bytes) {
            quic::Wrote::Bytes(count) => Wrote::Bytes(count),
            quic::Wrote::WouldBlock => Wrote::WouldBlock,
            quic::Wrote::Failed => Wrote::Failed,
        });
        if is_done {
            sent.push_back(conn);
        }
    }
}

impl<B: Io + Datagrams> Io for QuicIo<B> {
    fn now(&self) -> Instant {
        self.backend.now()
    }

    fn unix_now(&self) -> Duration {
        self.backend.unix_now()
    }

    fn next_event(&mut self) -> Option<Event> {
        loop {
            if let Some(event) = self.next_quic_event() {
                return Some(event);
            }
            if let Some(event) = self.backend.next_event() {
                return Some(renamed(event));
            }
            if let Some(conn) = self.refused.pop_front() {
                return Some(Event::ConnectFailed { conn, failure: ConnectFailure::Other });
            }
            if self.quic.as_ref().is_some_and(|quic| quic.endpoint.has_written()) {
                self.flush(true);
            }
            if !self.hear() {
                return None;
            }
        }
    }

    fn recv(&mut self, conn: ConnId, bytes_max: usize) -> Received<'_> {
        let Some(handle) = handle_of(conn) else { return self.backend.recv(plain(conn), bytes_max) };
        let Some(quic) = &mut self.quic else { return Received::Failed };
        quic.lent.clear();
        match quic.endpoint.read(handle, bytes_max, &mut quic.lent) {
            Read::Bytes { at } => Received::Bytes { bytes: &mut quic.lent, at },
            Read::WouldBlock => Received::WouldBlock,
            Read::Closed => Received::Closed,
            Read::Failed => Received::Failed,
        }
    }

    fn send(&mut self, conn: ConnId, buffer: Vec<u8>) {
        let Some(handle) = handle_of(conn) else { return self.backend.send(plain(conn), buffer) };
        let now = self.backend.now();
        let Some(quic) = &mut self.quic else { return };
        quic.place(handle).sends = Some(UnderWay::new(buffer, now));
        quic.push(handle, now);
    }

    fn sending(&self, conn: ConnId) -> Option<Sending> {
        let Some(handle) = handle_of(conn) else { return self.backend.sending(plain(conn)) };
        let streams = &self.quic.as_ref()?.streams;
        let stream = streams.get(handle.index as usize).filter(|stream| stream.generation == handle.generation)?;
        stream.sends.as_ref().map(UnderWay::sending)
    }

    fn connect(&mut self, to: Target) -> ConnId {
        match to.transport {
            Transport::Tcp => renamed_conn(self.backend.connect(to)),
            Transport::Quic => self.dial(to.address),
        }
    }

    fn carries(&self, transport: Transport) -> bool {
        match transport {
            Transport::Tcp => self.backend.carries(transport),
            Transport::Quic => self.common.is_some(),
        }
    }

    fn lane(&self) -> Option<xdp::Counters> {
        self.backend.lane()
    }

    fn transport(&self, conn: ConnId) -> Transport {
        if handle_of(conn).is_some() { Transport::Quic } else { Transport::Tcp }
    }

    fn quic(&self) -> Option<&Endpoint> {
        self.quic.as_ref().map(|quic| &quic.endpoint)
    }

    fn can_hand_over(&self, conn: ConnId) -> bool {
        handle_of(conn).is_none() && self.backend.can_hand_over(plain(conn))
    }

    fn hand_over(&mut self, conn: ConnId, to_shard: usize) -> bool {
        if handle_of(conn).is_some() {
            self.close(conn);
            return false;
        }
        self.backend.hand_over(plain(conn), to_shard)
    }

    fn close(&mut self, conn: ConnId) -> usize {
        let Some(handle) = handle_of(conn) else { return self.backend.close(plain(conn)) };
        let now = self.backend.now();
        let Some(quic) = &mut self.quic else { return 0 };
        let sends = quic.stream(handle).and_then(|stream| stream.sends.take());
        quic.endpoint.close(handle, now);
        sends.map_or(0, |sends| sends.sending().taken)
    }

    fn wake(&mut self, shard: usize) {
        self.backend.wake(shard);
    }
}

/// The shard's name of a connection over QUIC.
fn name(handle: Handle) -> ConnId {
    ConnId { index: handle.index << 1 | 1, generation: handle.generation }
}

/// The endpoint's name of a connection; none if it is one over TCP.
fn handle_of(conn: ConnId) -> Option<Handle> {
    (conn.index & 1 == 1).then_some(Handle { index: conn.index >> 1, generation: conn.generation })
}

/// The backend's name of a connection over TCP.
fn plain(conn: ConnId) -> ConnId {
    ConnId { index: conn.index >> 1, ..conn }
}

/// The shard's name of a connection over TCP.
fn renamed_conn(conn: ConnId) -> ConnId {
    ConnId { index: conn.index << 1, ..conn }
}

fn renamed(event: Event) -> Event {
    let of = renamed_conn;
    match event {
        Event::Accepted { conn, peer } => Event::Accepted { conn: of(conn), peer },
        Event::Adopted { conn, peer } => Event::Adopted { conn: of(conn), peer },
        Event::Connected { conn } => Event::Connected { conn: of(conn) },
        Event::ConnectFailed { conn, failure } => Event::ConnectFailed { conn: of(conn), failure },
        Event::Readable { conn } => Event::Readable { conn: of(conn) },
        Event::Sent { conn, buffer, taken } => Event::Sent { conn: of(conn), buffer, taken },
        other @ Event::AcceptFailed { .. } => other,
    }
}

fn failure_of(failure: quic::ConnectFailure) -> ConnectFailure {
    match failure {
        quic::ConnectFailure::Refused => ConnectFailure::Refused,
        quic::ConnectFailure::TimedOut => ConnectFailure::TimedOut,
        quic::ConnectFailure::Other => ConnectFailure::Other,
    }
}
