//! Datagrams that leave: trains of connections, answers to strangers.

use super::{Departure, Endpoint, PortId};
use crate::limits;
use quinn_proto::Transmit;
use wire::Instant;

/// A datagram that belongs to no connection.
pub struct Answer {
    departure: Departure,
    bytes: Vec<u8>,
}

/// In which queue a connection is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Listed {
    /// In none.
    Nowhere,
    /// It may have to acknowledge.
    ToAcknowledge,
    /// It has something to send.
    ToSend,
}

impl Endpoint {
    /// The next train, into an empty buffer. With `only_written` only of connections that were written to, and their
    /// acknowledgements ride along: others wait for the end of the round, in case that they are written to as well.
    pub fn poll_transmit(
        &mut self,
        now: Instant,
        segments_max: usize,
        only_written: bool,
        buffer: &mut Vec<u8>,
    ) -> Option<Departure> {
        if let Some(Answer { departure, bytes }) = self.answers.pop_front() {
            buffer.extend_from_slice(&bytes);
            return Some(departure);
        }
        loop {
            let index = match self.to_send.pop_front() {
                Some(index) => index,
                None if only_written => return None,
                None => self.to_acknowledge.pop_front()?,
            };
            if let Some(departure) = self.transmit_of(index, now, segments_max, buffer) {
                return Some(departure);
            }
            self.settle(index, now);
        }
    }

    /// Whether there may be something to send.
    pub fn has_unsent(&self) -> bool {
        self.has_written() || !self.to_acknowledge.is_empty()
    }

    /// Whether connections were written to, or strangers are to be answered.
    pub fn has_written(&self) -> bool {
        !self.to_send.is_empty() || !self.answers.is_empty()
    }

    /// The next train of one connection, which is in no queue; it is again if there was one.
    fn transmit_of(
        &mut self,
        index: u32,
        now: Instant,
        segments_max: usize,
        buffer: &mut Vec<u8>,
    ) -> Option<Departure> {
        let at = self.clock.library(now);
        let conn = self.conn(index)?;
        conn.listed = Listed::Nowhere;
        let port = PortId(conn.port as u32);
        let fit = datagram_limit(conn.inner.current_mtu());
        let transmit = conn.inner.poll_transmit(at, segments_max.min(fit).max(1), buffer)?;
        conn.said(now);
        self.list_to_send(index);
        Some(departure(port, &transmit))
    }

    /// Keeps an answer to a stranger until it can be sent.
    pub(super) fn answer(&mut self, port: PortId, transmit: &Transmit, mut bytes: Vec<u8>) {
        if self.answers.len() >= limits::ANSWERS_MAX {
            self.counts.unanswered += 1;
            return;
        }
        bytes.truncate(transmit.size);
        self.answers.push_back(Answer { departure: departure(port, transmit), bytes });
    }

    pub(super) fn list_to_send(&mut self, index: u32) {
        let Some(conn) = self.conn(index) else { return };
        // An entry that is left in the other queue finds nothing to do.
        if conn.listed != Listed::ToSend {
            conn.listed = Listed::ToSend;
            self.to_send.push_back(index);
        }
    }

    pub(super) fn list_to_acknowledge(&mut self, index: u32) {
        let Some(conn) = self.conn(index) else { return };
        if conn.listed == Listed::Nowhere {
            conn.listed = Listed::ToAcknowledge;
            self.to_acknowledge.push_back(index);
        }
    }
}

/// Datagrams of this size in one train.
fn datagram_limit(bytes: u16) -> usize {
    const TRAIN_BYTES_MAX: usize = 65_000;
    (TRAIN_BYTES_MAX / usize::from(bytes.max(1))).min(limits::SEGMENTS_MAX)
}

fn departure(port: PortId, transmit: &Transmit) -> Departure {
    Departure {
        port,
        to: transmit.destination,
        from: transmit.src_ip,
        ecn: transmit.ecn.map_or(0, |ecn| ecn as u8),
        segment_bytes: transmit.segment_size.unwrap_or(transmit.size).max(1),
    }
}
