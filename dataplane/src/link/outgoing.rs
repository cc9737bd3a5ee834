//! The link to one destination and its queue (server.md 3.9). One shard owns it.
//!
//! ```text
//! Waiting -> Connecting -> Connected -> Handshaking -> Finalizing -> Up
//!    ^------------------------ any failure --------------------------'
//! ```

mod dial;

pub use dial::{Judge, Pushed, Waiter};

use super::handshaking::Handshaking;
use super::out_buffer::OutBuffer;
use super::{KEEP_ALIVE, RECEIVE_LIMIT, SEND_LIMIT};
use crate::account::{self, Account};
use crate::io::{ConnId, Io, Received};
use crate::packet::pool::{DestinationId, Slot};
use crate::packet::slots::Slots;
use crate::random::ShardRandom;
use crate::shared::Facts;
use crate::time::Instant;
use interplane::counter::{Direction, LinkEnd};
use interplane::event::Peer as EventPeer;
use interplane::{Counter, DropReason};
use pki::NodeId;
use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::Duration;
use wire::{FrameSealer, Transport};

/// What a peer's methods work with.
pub struct Surroundings<'a, I> {
    /// Input and output.
    pub io: &'a mut I,
    /// The round's time.
    pub now: Instant,
    /// Where slots go home.
    pub slots: &'a mut Slots,
    /// The books.
    pub account: &'a mut Account,
    /// What is fixed.
    pub facts: &'a Facts,
    /// Random numbers.
    pub random: &'a mut ShardRandom,
}

/// One destination.
pub struct Peer {
    /// Its place in the directory.
    pub id: DestinationId,
    /// The node.
    pub node: NodeId,
    /// Whether the shard has it on its list of links to flush.
    pub is_listed: bool,
    /// The link key that the newest descriptor gives it.
    link_key: Vec<u8>,
    stage: Stage,
    queue: VecDeque<Box<Slot>>,
    out: OutBuffer,
    may_send: bool,
    /// When something was last sent.
    traffic_at: Instant,
    /// Addresses of the newest descriptor; those before `next_address` have been dialled.
    addresses: Vec<SocketAddr>,
    next_address: usize,
    retry_delay: Duration,
    dialled_at: Instant,
}

enum Stage {
    Waiting {
        until: Instant,
    },
    Connecting {
        conn: ConnId,
        deadline: Instant,
    },
    /// Waits for its turn to make an ephemeral key.
    Connected {
        conn: ConnId,
    },
    Handshaking {
        conn: ConnId,
        handshake: Box<Handshaking>,
    },
    /// Waits for the finalization NoOp.
    Finalizing {
        conn: ConnId,
        transport: Box<Transport>,
        frame: Vec<u8>,
        received: usize,
        deadline: Instant,
    },
    Up {
        conn: ConnId,
        sealer: FrameSealer,
    },
}

impl Peer {
    /// A destination that is dialled at once.
    pub fn new(id: DestinationId, node: NodeId, facts: &Facts, now: Instant) -> Self {
        Self {
            id,
            node,
            is_listed: false,
            link_key: Vec::new(),
            stage: Stage::Waiting { until: now },
            queue: VecDeque::with_capacity(facts.link_queue_packets),
            out: OutBuffer::new(facts.frame_bytes()),
            may_send: false,
            traffic_at: now,
            addresses: Vec::new(),
            next_address: 0,
            retry_delay: Duration::ZERO,
            dialled_at: now,
        }
    }

    /// Its connection, if it has one.
    pub fn conn(&self) -> Option<ConnId> {
        match &self.stage {
            Stage::Waiting { .. } => None,
            Stage::Connecting { conn, .. }
            | Stage::Connected { conn }
            | Stage::Handshaking { conn, .. }
            | Stage::Finalizing { conn, .. }
            | Stage::Up { conn, .. } => Some(*conn),
        }
    }

    /// Whether packets can go out.
    pub fn is_up(&self) -> bool {
        matches!(self.stage, Stage::Up { .. })
    }

    /// The link key with which it is expected.
    pub fn link_key(&self) -> &[u8] {
        &self.link_key
    }

    /// Whether packets may go out, by the documents.
    pub fn set_may_send(&mut self, may_send: bool) {
        self.may_send = may_send;
    }

    /// Packets that it holds.
    pub fn held(&self) -> u64 {
        self.queue.len() as u64 + self.out.packets()
    }

    /// Of those, the packets that are sealed.
    pub fn sealed(&self) -> u64 {
        self.out.packets()
    }

    /// Packets that wait for the link.
    pub fn queued(&self) -> usize {
        self.queue.len()
    }

    /// Whether a flush is due before the round goes on, or the queue would overflow although the link is free.
    pub fn wants_flush_now(&self, facts: &Facts) -> bool {
        self.queue.len() >= facts.link_queue_packets && self.is_up()
    }

    /// Takes a packet whose time has come. A full queue first loses what is too old, else the new packet.
    pub fn enqueue<I>(&mut self, slot: Box<Slot>, with: &mut Surroundings<'_, I>) {
        if self.queue.len() >= with.facts.link_queue_packets {
            self.drop_overdue(with);
        }
        if self.queue.len() >= with.facts.link_queue_packets {
            with.account.dropped(DropReason::OutgoingQueueFull, with.now);
            with.slots.give(slot);
        } else {
            self.queue.push_back(slot);
        }
    }

    /// Drops what has waited for longer than SendSlack.
    pub fn drop_overdue<I>(&mut self, with: &mut Surroundings<'_, I>) {
        while let Some(slot) = self.queue.front()
            && with.now.since(slot.dispatch_at) > with.facts.send_slack
            && let Some(slot) = self.queue.pop_front()
        {
            with.account.dropped(DropReason::OutgoingSendDeadlineBlown, with.now);
            with.slots.give(slot);
        }
    }

    /// Seals what waits, as far as there is room, and hands it over if the connection has nothing under way.
    pub fn flush<I: Io>(&mut self, with: &mut Surroundings<'_, I>) {
        let sealed = self.seal_queue(with);
        let Stage::Up { conn, .. } = self.stage else { return };
        if !sealed {
            return self.lose(LinkEnd::Failed, with);
        }
        if !self.out.is_empty() {
            self.out.flush(with.io, conn, with.now);
            self.traffic_at = with.now;
            // What did not fit before may now.
            if !self.seal_queue(with) {
                self.lose(LinkEnd::Failed, with);
            }
        }
    }

    /// Moves packets from the queue into the buffer; false if one could not be sealed, which ends the link.
    fn seal_queue<I>(&mut self, with: &mut Surroundings<'_, I>) -> bool {
        let Stage::Up { sealer, .. } = &mut self.stage else { return true };
        while !self.queue.is_empty() && self.out.has_room() {
            let Some(slot) = self.queue.pop_front() else { break };
            let late = with.now.since(slot.dispatch_at) > with.facts.send_slack;
            let sealed = match (late, self.may_send) {
                (true, _) => Err(DropReason::OutgoingSendDeadlineBlown),
                (false, false) => Err(DropReason::OutgoingPeerNotConnected),
                (false, true) => {
                    let sealed = self.out.seal_packet(slot.packet(), sealer);
                    sealed.map_err(|_| DropReason::OutgoingSendCommandFailed)
                }
            };
            with.slots.give(slot);
            if let Err(reason) = sealed {
                with.account.dropped(reason, with.now);
                if reason == DropReason::OutgoingSendCommandFailed {
                    return false;
                }
            }
        }
        true
    }

    /// A buffer comes back, of which the connection took so much.
    pub fn handle_sent<I: Io>(&mut self, buffer: Vec<u8>, taken: usize, with: &mut Surroundings<'_, I>) {
        let is_whole = taken == buffer.len();
        match &mut self.stage {
            Stage::Handshaking { handshake, .. } => handshake.handle_sent(is_whole),
            Stage::Up { .. } => {
                let flushed = self.out.handle_sent(buffer, taken);
                self.traffic_at = with.now;
                with.account.sent(flushed.packets);
                with.account.add(Counter::BYTES_SENT, flushed.bytes);
                if flushed.failed {
                    return self.lose(LinkEnd::Failed, with);
                }
                self.flush(with);
            }
            // The last message of the handshake; if it is lost, so is what would be received.
            _ => {}
        }
    }

    /// On an established link a peer says nothing: whatever is there to read ends it.
    pub fn handle_readable_up<I: Io>(&mut self, with: &mut Surroundings<'_, I>) {
        let Stage::Up { conn, .. } = self.stage else { return };
        let end = match with.io.recv(conn, 1) {
            Received::WouldBlock => return,
            Received::Bytes { .. } => LinkEnd::Protocol,
            Received::Closed => LinkEnd::PeerClosed,
            Received::Failed => LinkEnd::Failed,
        };
        self.lose(end, with);
    }

    /// When [`Peer::handle_timeout`] has something to do.
    pub fn next_timeout(&self, facts: &Facts) -> Instant {
        let stage = match &self.stage {
            Stage::Waiting { until } => *until,
            Stage::Connecting { deadline, .. } | Stage::Finalizing { deadline, .. } => *deadline,
            Stage::Connected { .. } => Instant::NEVER,
            Stage::Handshaking { handshake, .. } => handshake.deadline,
            Stage::Up { .. } if self.out.is_empty() => self.traffic_at + KEEP_ALIVE,
            Stage::Up { .. } => self.out.progress_at + SEND_LIMIT,
        };
        let oldest = self.queue.front().map_or(Instant::NEVER, |slot| slot.dispatch_at + facts.send_slack);
        stage.min(oldest + Duration::from_nanos(1))
    }

    /// Keep-alive, stalls, and packets that are too old. Dials are [`Peer::dial_if_due`]'s.
    pub fn handle_timeout<I: Io>(&mut self, with: &mut Surroundings<'_, I>) {
        self.drop_overdue(with);
        self.time_out_dial(with);
        let Stage::Up { sealer, conn } = &mut self.stage else { return };
        self.out.note_progress(with.io, *conn);
        let idle = self.out.is_empty() && with.now >= self.traffic_at + KEEP_ALIVE;
        if !self.out.is_empty() && with.now >= self.out.progress_at + SEND_LIMIT {
            self.lose(LinkEnd::Failed, with);
        } else if idle && self.out.has_room() {
            if self.out.seal_no_op(sealer).is_err() {
                return self.lose(LinkEnd::Failed, with);
            }
            self.traffic_at = with.now;
            self.flush(with);
        }
    }

    /// Ends the link, or whatever there is of it, and plans the next dial.
    pub fn lose<I: Io>(&mut self, end: LinkEnd, with: &mut Surroundings<'_, I>) {
        self.close(end, with);
        let increment = with.facts.clock.period() / 64;
        if with.now.since(self.dialled_at) < increment {
            self.retry_delay = increment;
        }
        // The next dial begins with the newest descriptor.
        self.next_address = self.addresses.len();
        self.wait(with);
    }

    /// The destination has left the directory: closes, and drops what waits.
    pub fn remove<I: Io>(mut self: Box<Self>, with: &mut Surroundings<'_, I>) {
        self.close(LinkEnd::NoLongerValid, with);
        self.drop_queue(DropReason::OutgoingLinkClosed, with);
    }

    /// The node stops.
    pub fn shut_down<I: Io>(mut self: Box<Self>, with: &mut Surroundings<'_, I>) {
        if self.is_up() {
            with.account.count(Counter::CONNECTIONS_CANCELLED);
        }
        self.close(LinkEnd::Shutdown, with);
        self.drop_queue(DropReason::Shutdown, with);
    }

    fn drop_queue<I>(&mut self, reason: DropReason, with: &mut Surroundings<'_, I>) {
        while let Some(slot) = self.queue.pop_front() {
            with.account.dropped(reason, with.now);
            with.slots.give(slot);
        }
    }

    fn close<I: Io>(&mut self, end: LinkEnd, with: &mut Surroundings<'_, I>) {
        if self.is_up() {
            let peer = self.event_peer();
            with.account.link_down(Direction::Outgoing, peer, end);
        }
        let taken = self.conn().map_or(0, |conn| with.io.close(conn));
        let (sent, lost) = self.out.clear(taken);
        with.account.sent(sent);
        for _ in 0..lost {
            with.account.dropped(DropReason::OutgoingSendCommandFailed, with.now);
        }
        self.stage = Stage::Waiting { until: Instant::NEVER };
        self.may_send = false;
    }

    fn event_peer(&self) -> EventPeer {
        let dialled = self.next_address.checked_sub(1).and_then(|at| self.addresses.get(at));
        account::peer(Some(&self.node), dialled.copied())
    }
}
