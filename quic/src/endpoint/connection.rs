//! One connection, from the dial to its end.

use super::departure::Listed;
use super::{ConnectFailure, Endpoint, Event, Handle, PortId, Read, Wrote};
use crate::limits;
use crate::profile;
use bytes::Bytes;
use quinn_proto::{
    Connection, ConnectionError, ConnectionHandle, Dir, EndpointEvent, ReadError, StreamEvent, StreamId,
    TransportErrorCode,
};
use std::time;
use wire::Instant;

/// A connection.
pub struct Conn {
    pub inner: Connection,
    /// At which socket, and its number there.
    pub port: usize,
    pub number: ConnectionHandle,
    /// Tells it apart from others that had the same place.
    pub serial: u64,
    pub stage: Stage,
    /// When its last datagrams had arrived.
    pub arrived_at: Instant,
    /// The entry by which its deadlines are found; [`Instant::NEVER`] if there is none.
    pub entered_at: Instant,
    pub listed: Listed,
    /// The library knows nothing of it any more.
    pub is_drained: bool,
    stream: Option<StreamId>,
    end: Option<End>,
    /// All of the stream was read.
    is_read: bool,
    waits_to_read: bool,
    waits_to_write: bool,
    patience: Patience,
}

/// How long this end waits for a sign of a peer that it has dialled and written to. QUIC's own limit is 30 s: a peer that was
/// killed answers nothing, and the kernel in its place nothing either, as it does over TCP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Patience {
    /// Such a peer waits for us as long as it likes.
    Endless,
    /// Nothing was asked since the last sign.
    Asleep,
    /// Something was written that has not left.
    Written,
    /// Something has left; until then.
    Waits(Instant),
    /// That is over: until then it may turn out that this end has stood still, and that answers lie in its socket.
    Doubts(Instant),
}

/// How far a connection is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// It was asked for by the shard.
    Dialling,
    /// A peer's handshake.
    Shaking {
        /// When it is over.
        until: Instant,
    },
    /// A peer that has not opened its stream yet.
    Silent {
        /// When the wait is over.
        until: Instant,
    },
    /// It has its stream.
    Open,
    /// The shard has closed it; what it has written is being acknowledged.
    Lingering {
        /// When the wait is over.
        until: Instant,
    },
    /// It only waits to be forgotten.
    Closed {
        /// When it is, if the library has not done so before.
        until: Instant,
    },
}

/// How a connection was lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// The peer has said all that it had to say.
    Closed,
    /// Anything else.
    Failed,
}

impl Conn {
    fn new(inner: Connection, port: usize, number: ConnectionHandle, serial: u64, stage: Stage) -> Self {
        let patience = if stage == Stage::Dialling { Patience::Asleep } else { Patience::Endless };
        Self {
            inner,
            port,
            number,
            serial,
            stage,
            arrived_at: Instant::default(),
            entered_at: Instant::NEVER,
            listed: Listed::Nowhere,
            is_drained: false,
            stream: None,
            end: None,
            is_read: false,
            waits_to_read: false,
            waits_to_write: false,
            patience,
        }
    }

    /// The shard knows of it, or will.
    pub fn is_held(&self) -> bool {
        matches!(self.stage, Stage::Dialling | Stage::Open)
    }

    /// Its peer has not opened its stream yet.
    pub fn is_unfinished(&self) -> bool {
        matches!(self.stage, Stage::Shaking { .. } | Stage::Silent { .. })
    }

    /// Appends what has arrived.
    pub fn read(&mut self, bytes_max: usize, into: &mut Vec<u8>) -> Read {
        let mut is_reset = false;
        if let Some(stream) = self.stream
            && let Ok(mut chunks) = self.inner.recv_stream(stream).read(true)
        {
            while into.len() < bytes_max {
                match chunks.next(bytes_max - into.len()) {
                    Ok(Some(chunk)) => into.extend_from_slice(&chunk.bytes),
                    Ok(None) => {
                        self.is_read = true;
                        break;
                    }
                    Err(ReadError::Blocked) => break,
                    Err(ReadError::Reset(_)) => {
                        is_reset = true;
                        break;
                    }
                }
            }
            // Who was read from is listed to send anyway.
            let _has_news = chunks.finalize();
        }
        if is_reset {
            self.end.get_or_insert(End::Failed);
        }
        match self.end {
            _ if !into.is_empty() => Read::Bytes { at: self.arrived_at },
            _ if self.is_read => Read::Closed,
            Some(End::Closed) => Read::Closed,
            Some(End::Failed) => Read::Failed,
            None => {
                self.waits_to_read = true;
                Read::WouldBlock
            }
        }
    }

    /// Takes as much as there is room for.
    pub fn write(&mut self, bytes: &[u8]) -> Wrote {
        if self.end.is_some() {
            return Wrote::Failed;
        }
        let Some(stream) = self.stream else {
            self.waits_to_write = true;
            return Wrote::WouldBlock;
        };
        match self.inner.send_stream(stream).write(bytes) {
            Ok(count) if count > 0 => {
                if self.patience == Patience::Asleep {
                    self.patience = Patience::Written;
                }
                Wrote::Bytes(count)
            }
            Ok(_) | Err(quinn_proto::WriteError::Blocked) => {
                self.waits_to_write = true;
                Wrote::WouldBlock
            }
            Err(_) => Wrote::Failed,
        }
    }

    /// Something has arrived.
    pub fn heard(&mut self, at: Instant) {
        self.arrived_at = self.arrived_at.max(at);
        if self.patience != Patience::Endless {
            self.patience = Patience::Asleep;
        }
    }

    /// Something has left.
    pub fn said(&mut self, now: Instant) {
        if self.patience == Patience::Written {
            self.patience = Patience::Waits(now + limits::PATIENCE);
        }
    }

    /// The shard has no more use for it.
    pub fn close(&mut self, now: Instant, at: time::Instant) {
        let may_finish = self.stage == Stage::Open && self.end.is_none();
        match self.stream {
            Some(stream) if may_finish && self.inner.send_stream(stream).finish().is_ok() => {
                self.stage = Stage::Lingering { until: now + limits::LINGER };
            }
            _ => self.end_now(now, at, b""),
        }
    }

    /// Says goodbye, without waiting for anything.
    pub fn end_now(&mut self, now: Instant, at: time::Instant, reason: &'static [u8]) {
        self.inner.close(at, profile::END_CODE, Bytes::from_static(reason));
        self.stage = Stage::Closed { until: now + limits::GOODBYE };
    }

    /// When the stage is over.
    fn over_at(&self) -> Instant {
        match self.stage {
            Stage::Shaking { until }
            | Stage::Silent { until }
            | Stage::Lingering { until }
            | Stage::Closed { until } => until,
            Stage::Open => match self.patience {
                Patience::Waits(until) | Patience::Doubts(until) => until,
                Patience::Endless | Patience::Asleep | Patience::Written => Instant::NEVER,
            },
            Stage::Dialling => Instant::NEVER,
        }
    }
}

impl Endpoint {
    /// Gives a new connection its place.
    pub(super) fn settle_in(&mut self, port: usize, number: ConnectionHandle, inner: Connection, stage: Stage) -> u32 {
        let index = self.take_place();
        self.serials += 1;
        let conn = Conn::new(inner, port, number, self.serials, stage);
        self.conns[index as usize].conn = Some(Box::new(conn));
        let places = &mut self.ports[port].places;
        if places.len() <= number.0 {
            places.resize(number.0 + 1, None);
        }
        places[number.0] = Some(index);
        index
    }

    /// Takes from the connection what it has to say after anything was done with it, and enters its next deadline.
    pub(super) fn settle(&mut self, index: u32, now: Instant) {
        loop {
            self.pass_on(index);
            let Some(event) = self.conn(index).and_then(|conn| conn.inner.poll()) else { break };
            self.note(index, event, now);
        }
        let clock = self.clock;
        let Some(conn) = self.conn(index) else { return };
        if conn.is_drained {
            if !conn.is_held() {
                self.release_place(index);
            }
            return;
        }
        let timer = conn.inner.poll_timeout().map_or(Instant::NEVER, |at| clock.ours(at));
        let due = timer.min(conn.over_at());
        if due < conn.entered_at {
            let before = std::mem::replace(&mut conn.entered_at, due);
            self.deadlines.enter(due, index, before);
        }
    }

    /// What the connection has to say to its socket, and the answers.
    fn pass_on(&mut self, index: u32) {
        let Some(conn) = self.conns.get_mut(index as usize).and_then(|entry| entry.conn.as_deref_mut()) else { return };
        while let Some(event) = conn.inner.poll_endpoint_events() {
            // Its number may be another's by now.
            if conn.is_drained {
                continue;
            }
            let Some(port) = self.ports.get_mut(conn.port) else { return };
            if event.is_drained() {
                conn.is_drained = true;
                port.dialled.remove(&conn.inner.remote_address());
                if let Some(place) = port.places.get_mut(conn.number.0) {
                    *place = None;
                }
            }
            if let Some(answer) = port.endpoint.handle_event(conn.number, event) {
                conn.inner.handle_event(answer);
            }
        }
    }

    fn note(&mut self, index: u32, event: quinn_proto::Event, now: Instant) {
        let handle = self.handle_of(index);
        let Some(conn) = self.conn(index) else { return };
        match event {
            quinn_proto::Event::Connected => self.shaken(index, now),
            quinn_proto::Event::ConnectionLost { reason } => self.lost(index, &reason, now),
            quinn_proto::Event::Stream(StreamEvent::Opened { dir: Dir::Bi }) => self.opened(index),
            quinn_proto::Event::Stream(StreamEvent::Readable { id }) if conn.stream == Some(id) => {
                self.wake_reader(index, handle);
            }
            quinn_proto::Event::Stream(StreamEvent::Finished { id } | StreamEvent::Stopped { id, .. })
                if conn.stream == Some(id) && matches!(conn.stage, Stage::Lingering { .. }) =>
            {
                let at = self.clock.library(now);
                if let Some(conn) = self.conn(index) {
                    conn.end_now(now, at, b"");
                }
                self.list_to_send(index);
            }
            quinn_proto::Event::Stream(StreamEvent::Writable { id } | StreamEvent::Stopped { id, .. })
                if conn.stream == Some(id) =>
            {
                self.wake_writer(index, handle);
            }
            _ => {}
        }
    }

    fn wake_reader(&mut self, index: u32, conn: Handle) {
        let waits = |found: &mut Conn| found.is_held() && std::mem::take(&mut found.waits_to_read);
        if self.conn(index).is_some_and(waits) {
            self.events.push_back(Event::Readable { conn });
        }
    }

    fn wake_writer(&mut self, index: u32, conn: Handle) {
        let waits = |found: &mut Conn| found.is_held() && std::mem::take(&mut found.waits_to_write);
        if self.conn(index).is_some_and(waits) {
            self.events.push_back(Event::Writable { conn });
        }
    }

    /// QUIC's handshake is over: a dialler opens its stream, a listener waits for it.
    fn shaken(&mut self, index: u32, now: Instant) {
        let handle = self.handle_of(index);
        let Some(conn) = self.conn(index) else { return };
        match conn.stage {
            Stage::Dialling => {
                conn.stage = Stage::Open;
                conn.stream = conn.inner.streams().open(Dir::Bi);
                if conn.stream.is_none() {
                    // A peer that allows no stream is of no use.
                    conn.end = Some(End::Failed);
                    self.events.push_back(Event::ConnectFailed { conn: handle, failure: ConnectFailure::Refused });
                    return;
                }
                self.events.push_back(Event::Connected { conn: handle });
            }
            Stage::Shaking { .. } => conn.stage = Stage::Silent { until: now + profile::STREAM_WAIT },
            _ => {}
        }
    }

    /// A peer has opened a stream: the first one counts.
    fn opened(&mut self, index: u32) {
        let conn_handle = self.handle_of(index);
        let Some(conn) = self.conn(index) else { return };
        if !conn.is_unfinished() {
            return;
        }
        let Some(stream) = conn.inner.streams().accept(Dir::Bi) else { return };
        conn.stream = Some(stream);
        conn.stage = Stage::Open;
        let peer = conn.inner.remote_address();
        self.newcomers.finished();
        self.counts.accepted += 1;
        self.events.push_back(Event::Accepted { conn: conn_handle, peer });
    }

    fn lost(&mut self, index: u32, reason: &ConnectionError, now: Instant) {
        let handle = self.handle_of(index);
        let closed = Stage::Closed { until: now + limits::GOODBYE };
        let Some(conn) = self.conn(index) else { return };
        let is_end =
            matches!(reason, ConnectionError::ApplicationClosed(close) if close.error_code == profile::END_CODE);
        conn.end.get_or_insert(if is_end { End::Closed } else { End::Failed });
        match conn.stage {
            Stage::Dialling => {
                let failure = failure_of(reason);
                // From here on it is one that is lost.
                conn.stage = Stage::Open;
                self.events.push_back(Event::ConnectFailed { conn: handle, failure });
            }
            Stage::Open => {
                self.wake_reader(index, handle);
                self.wake_writer(index, handle);
            }
            Stage::Shaking { .. } | Stage::Silent { .. } => {
                conn.stage = closed;
                self.newcomers.finished();
                self.counts.failed += 1;
            }
            Stage::Lingering { .. } => conn.stage = closed,
            Stage::Closed { .. } => {}
        }
    }

    /// Looks at the connections whose deadlines have come, some of them in each round.
    pub(super) fn handle_timeouts(&mut self, now: Instant) {
        for _ in 0..limits::TIMEOUTS_PER_ROUND {
            let Some(index) = self.deadlines.pop_due(now) else { return };
            let at = self.clock.library(now);
            let Some(conn) = self.conn(index) else { continue };
            conn.entered_at = Instant::NEVER;
            if conn.is_drained {
                continue;
            }
            if conn.inner.poll_timeout().is_some_and(|timer| timer <= at) {
                conn.inner.handle_timeout(at);
                self.list_to_acknowledge(index);
            }
            self.settle(index, now);
            if self.conn(index).is_some_and(|conn| conn.over_at() <= now) {
                self.time_out(index, now);
            }
        }
    }

    /// The time of the connection's stage is over.
    fn time_out(&mut self, index: u32, now: Instant) {
        let at = self.clock.library(now);
        let Some(conn) = self.conn(index) else { return };
        match conn.stage {
            Stage::Shaking { .. } => {
                // Nobody there understands a goodbye.
                self.counts.failed += 1;
                self.newcomers.finished();
                return self.forget(index);
            }
            Stage::Silent { .. } => {
                conn.end_now(now, at, profile::NO_STREAM);
                self.counts.silent += 1;
                self.newcomers.finished();
            }
            Stage::Closed { .. } => return self.forget(index),
            Stage::Open => self.lose_patience(index, now),
            Stage::Lingering { .. } | Stage::Dialling => conn.end_now(now, at, b""),
        }
        self.list_to_send(index);
        self.settle(index, now);
    }

    /// The peer has not answered in time.
    fn lose_patience(&mut self, index: u32, now: Instant) {
        let (handle, at) = (self.handle_of(index), self.clock.library(now));
        let Some(conn) = self.conn(index) else { return };
        if matches!(conn.patience, Patience::Waits(_)) {
            conn.patience = Patience::Doubts(now + limits::DOUBT);
            return;
        }
        conn.patience = Patience::Endless;
        conn.inner.close(at, profile::END_CODE, Bytes::new());
        conn.end.get_or_insert(End::Failed);
        self.wake_reader(index, handle);
        self.wake_writer(index, handle);
    }

    /// Ends a connection without a word. The shard knows nothing of it.
    pub(super) fn forget(&mut self, index: u32) {
        let Some(conn) = self.conns.get_mut(index as usize).and_then(|entry| entry.conn.as_deref_mut()) else { return };
        if !conn.is_drained
            && let Some(port) = self.ports.get_mut(conn.port)
        {
            port.dialled.remove(&conn.inner.remote_address());
            if let Some(place) = port.places.get_mut(conn.number.0) {
                *place = None;
            }
            let _nothing_to_say = port.endpoint.handle_event(conn.number, EndpointEvent::drained());
        }
        self.release_place(index);
    }

    /// The last words of an unfinished connection that makes room for a newer one.
    pub(super) fn displace(&mut self, index: u32, now: Instant) {
        let at = self.clock.library(now);
        let Some(conn) = self.conn(index) else { return };
        conn.end_now(now, at, profile::NO_STREAM);
        let port = PortId(conn.port as u32);
        let mut bytes = Vec::new();
        if let Some(transmit) = conn.inner.poll_transmit(at, 1, &mut bytes) {
            self.answer(port, &transmit, bytes);
        }
        self.counts.displaced += 1;
        self.newcomers.finished();
        self.forget(index);
    }
}

/// What a shard calls it.
fn failure_of(reason: &ConnectionError) -> ConnectFailure {
    match reason {
        ConnectionError::TimedOut => ConnectFailure::TimedOut,
        ConnectionError::ConnectionClosed(close) if close.error_code == TransportErrorCode::CONNECTION_REFUSED => {
            ConnectFailure::Refused
        }
        ConnectionError::ApplicationClosed(_) | ConnectionError::Reset => ConnectFailure::Refused,
        _ => ConnectFailure::Other,
    }
}
