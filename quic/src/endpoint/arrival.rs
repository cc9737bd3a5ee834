//! Datagrams that arrive, and the newcomers among their senders.

use super::connection::Stage;
use super::{Arrived, Endpoint, PortId};
use crate::limits;
use bytes::BytesMut;
use quinn_proto::{DatagramEvent, EcnCodepoint, Incoming};
use std::collections::VecDeque;
use std::sync::Arc;
use wire::Instant;

/// The bit that says that a packet has a long header (RFC 9000, 17.2).
const LONG_HEADER: u8 = 0x80;

/// Peers that have no stream yet.
#[derive(Default)]
pub struct Newcomers {
    waiting: VecDeque<Waiting>,
    /// Places and serial numbers of unfinished connections, the oldest first; and others that are finished by now.
    unfinished: VecDeque<(u32, u64)>,
    unfinished_count: usize,
    /// Handshakes that may begin in this round.
    handshakes_left: u32,
    /// Long headers that may be looked at in this round.
    long_headers_left: u32,
}

struct Waiting {
    port: PortId,
    incoming: Incoming,
    until: Instant,
}

impl Newcomers {
    /// One of the unfinished connections is not unfinished any more.
    pub fn finished(&mut self) {
        self.unfinished_count = self.unfinished_count.saturating_sub(1);
    }

    /// How many there are.
    fn count(&self) -> usize {
        self.unfinished_count + self.waiting.len()
    }
}

impl Endpoint {
    /// A round begins: what is due is done, and newcomers have a new budget.
    pub fn begin_round(&mut self, now: Instant) {
        self.newcomers.handshakes_left = limits::HANDSHAKES_PER_ROUND;
        self.newcomers.long_headers_left = limits::LONG_HEADERS_PER_ROUND;
        self.handle_timeouts(now);
        self.welcome(now);
    }

    /// When the next round is due, if nothing arrives and nothing is done before: at once if somebody waits.
    pub fn next_timeout(&self) -> Instant {
        if self.newcomers.waiting.is_empty() { self.deadlines.next() } else { Instant::default() }
    }

    /// Datagrams have arrived.
    pub fn handle(&mut self, arrived: Arrived<'_>, now: Instant) {
        let Some(port) = self.ports.get(arrived.port.0 as usize) else { return };
        let is_listener = port.is_listener;
        let size = if arrived.segment_bytes == 0 { arrived.bytes.len() } else { arrived.segment_bytes };
        // Datagrams of one train are nearly always of one connection.
        let mut touched = None;
        for datagram in arrived.bytes.chunks(size.max(1)) {
            if is_listener && datagram[0] & LONG_HEADER != 0 {
                if self.newcomers.long_headers_left == 0 {
                    self.counts.skipped += 1;
                    continue;
                }
                self.newcomers.long_headers_left -= 1;
            }
            let index = self.handle_one(&arrived, datagram, now);
            if index.is_some() && index != touched {
                self.finish_train(touched, now);
                touched = index;
            }
        }
        self.finish_train(touched, now);
        self.welcome(now);
    }

    fn finish_train(&mut self, index: Option<u32>, now: Instant) {
        if let Some(index) = index {
            self.list_to_acknowledge(index);
            self.settle(index, now);
        }
    }

    /// Gives the connection that it belongs to.
    fn handle_one(&mut self, arrived: &Arrived<'_>, datagram: &[u8], now: Instant) -> Option<u32> {
        let at = self.clock.library(now);
        let port = self.ports.get_mut(arrived.port.0 as usize)?;
        let mut answer = Vec::new();
        let ecn = EcnCodepoint::from_bits(arrived.ecn & 3);
        let bytes = BytesMut::from(datagram);
        match port.endpoint.handle(at, arrived.from, arrived.to, ecn, bytes, &mut answer)? {
            DatagramEvent::ConnectionEvent(number, event) => {
                let index = port.places.get(number.0).copied().flatten()?;
                let conn = self.conn(index)?;
                conn.heard(arrived.at);
                conn.inner.handle_event(event);
                Some(index)
            }
            DatagramEvent::NewConnection(incoming) => {
                self.meet(arrived.port, incoming, now);
                None
            }
            DatagramEvent::Response(transmit) => {
                self.answer(arrived.port, &transmit, answer);
                None
            }
        }
    }

    /// Somebody wants a connection.
    fn meet(&mut self, id: PortId, incoming: Incoming, now: Instant) {
        let (is_full, count) = (self.live >= limits::CONNECTIONS_MAX, self.newcomers.count());
        let Some(port) = self.ports.get_mut(id.0 as usize) else { return };
        let mut bytes = Vec::new();
        if is_full {
            self.counts.refused += 1;
            let transmit = port.endpoint.refuse(incoming, &mut bytes);
            self.answer(id, &transmit, bytes);
        } else if !incoming.remote_address_validated() && count >= limits::RETRY_FROM {
            self.counts.retried += 1;
            match port.endpoint.retry(incoming, &mut bytes) {
                Ok(transmit) => self.answer(id, &transmit, bytes),
                Err(error) => port.endpoint.ignore(error.into_incoming()),
            }
        } else if self.newcomers.waiting.len() < limits::WAITING_MAX {
            self.newcomers.waiting.push_back(Waiting { port: id, incoming, until: now + limits::WAITING_LIMIT });
        } else {
            self.counts.ignored += 1;
            port.endpoint.ignore(incoming);
        }
    }

    /// Begins the handshakes of those that wait, as far as the budget goes.
    fn welcome(&mut self, now: Instant) {
        while self.newcomers.handshakes_left > 0
            && let Some(Waiting { port, incoming, until }) = self.newcomers.waiting.pop_front()
        {
            if until <= now {
                self.counts.ignored += 1;
                if let Some(port) = self.ports.get_mut(port.0 as usize) {
                    port.endpoint.ignore(incoming);
                }
                continue;
            }
            self.newcomers.handshakes_left -= 1;
            self.shake_hands(port, incoming, now);
        }
    }

    fn shake_hands(&mut self, id: PortId, incoming: Incoming, now: Instant) {
        self.make_room(now);
        let at = self.clock.library(now);
        let is_roomy = self.live < limits::ROOMY_MAX;
        let server = if is_roomy { &self.common.server } else { &self.common.crowded_server };
        let Some(port) = self.ports.get_mut(id.0 as usize) else { return };
        let mut bytes = Vec::new();
        match port.endpoint.accept(incoming, at, &mut bytes, Some(Arc::clone(server))) {
            Ok((number, inner)) => {
                let stage = Stage::Shaking { until: now + limits::HANDSHAKE_LIMIT };
                let index = self.settle_in(id.0 as usize, number, inner, stage);
                let serial = self.serials;
                self.newcomers.unfinished.push_back((index, serial));
                self.newcomers.unfinished_count += 1;
                self.list_to_send(index);
                self.settle(index, now);
            }
            Err(error) => {
                self.counts.failed += 1;
                if let Some(transmit) = error.response {
                    self.answer(id, &transmit, bytes);
                }
            }
        }
    }

    /// The newest unfinished connection takes the place of the oldest.
    fn make_room(&mut self, now: Instant) {
        while let Some((index, serial)) = self.newcomers.unfinished.front().copied() {
            let is_there = |conn: &mut super::Conn| conn.serial == serial && conn.is_unfinished();
            if self.conn(index).is_some_and(is_there) {
                if self.newcomers.unfinished_count < limits::UNFINISHED_MAX {
                    break;
                }
                self.displace(index, now);
            }
            self.newcomers.unfinished.pop_front();
        }
        if self.newcomers.unfinished.len() > 2 * limits::UNFINISHED_MAX {
            // The oldest is one that waits long, with many behind it that are finished.
            let conns = &self.conns;
            self.newcomers.unfinished.retain(|(index, serial)| {
                let conn = conns.get(*index as usize).and_then(|entry| entry.conn.as_deref());
                conn.is_some_and(|conn| conn.serial == *serial && conn.is_unfinished())
            });
        }
    }
}
