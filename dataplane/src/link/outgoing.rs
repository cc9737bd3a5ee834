//! The link to one destination and its queue (server.md 3.9). One shard owns it.
//!
//! ```text
//! Waiting -> Connecting -> Connected -> Linked (handshake, then up)
//!    ^----------------- any failure ------------------------'
//! ```

mod dial;
mod patience;
mod report;

pub use dial::{Judge, Pushed, Waiter};
pub(super) use report::{carrier, ms};

use super::carry;
use super::tally::Tally;
use crate::account::{self, Account};
use crate::io::{ConnId, ConnectFailure, Io, Received, Target};
use crate::packet::pool::Slot;
use crate::packet::slots::Slots;
use crate::random::ShardRandom;
use crate::shared::{DestinationId, Facts};
use crate::time::Instant;
use interplane::counter::{Direction, PacketStage};
use interplane::event::Peer as EventPeer;
use interplane::{Counter, DropReason};
use patience::Patience;
use pki::NodeId;
use std::collections::VecDeque;
use std::time::Duration;
use wire::Link;
use wire::command::COMMAND_HEADER_BYTES;
use wire::link::End;

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
    /// The link key that the newest descriptor gives it.
    link_key: Vec<u8>,
    stage: Stage,
    queue: VecDeque<Box<Slot>>,
    may_send: bool,
    /// Addresses of the newest descriptor; those before `next_address` have been dialled.
    addresses: Vec<Target>,
    next_address: usize,
    patience: Patience,
    dialled_at: Instant,
    /// Since when it is as far as it is.
    since: Instant,
    /// Dials and handshakes that have failed since it was up.
    failures: u32,
    tally: Tally,
    /// Only the next epoch's document lists it, as far as the last look at the documents told.
    is_early: bool,
    is_gateway: bool,
    /// The log knows that it cannot be dialled.
    is_told_unreachable: bool,
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
    Linked {
        conn: ConnId,
        link: Box<Link>,
    },
}

impl Peer {
    /// A destination that is dialled at once.
    pub fn new(id: DestinationId, node: NodeId, facts: &Facts, now: Instant) -> Self {
        Self {
            id,
            node,
            link_key: Vec::new(),
            stage: Stage::Waiting { until: now },
            queue: VecDeque::with_capacity(facts.link_queue_packets),
            may_send: false,
            addresses: Vec::new(),
            next_address: 0,
            patience: Patience::default(),
            dialled_at: now,
            since: now,
            failures: 0,
            tally: Tally::new(now),
            is_early: false,
            is_gateway: false,
            is_told_unreachable: false,
        }
    }

    /// Its connection, if it has one.
    pub fn conn(&self) -> Option<ConnId> {
        match &self.stage {
            Stage::Waiting { .. } => None,
            Stage::Connecting { conn, .. } | Stage::Connected { conn } | Stage::Linked { conn, .. } => Some(*conn),
        }
    }

    fn enter(&mut self, stage: Stage, now: Instant) {
        (self.stage, self.since) = (stage, now);
    }

    fn link(&self) -> Option<&Link> {
        match &self.stage {
            Stage::Linked { link, .. } => Some(link),
            _ => None,
        }
    }

    /// Whether packets can go out.
    pub fn is_up(&self) -> bool {
        self.link().is_some_and(Link::is_up)
    }

    /// The link has ended after it was up.
    fn has_been_up(&self) -> bool {
        let end = self.link().and_then(Link::ended);
        end.is_some_and(|end| !matches!(end, End::Handshake(_)))
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
        self.queue.len() as u64 + self.sealed()
    }

    /// Of those, the packets that are sealed.
    pub fn sealed(&self) -> u64 {
        self.link().map_or(0, |link| link.unsent_packets() as u64)
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
            self.tally.too_late(with.now);
            with.slots.give(slot);
        } else {
            self.queue.push_back(slot);
        }
    }

    /// Drops what has waited for longer than SendSlack.
    pub fn drop_overdue<I>(&mut self, with: &mut Surroundings<'_, I>) {
        while let Some(slot) = self.queue.front()
            && with.now.since(slot.dispatch_at) > with.facts.live.send_slack.get()
            && let Some(slot) = self.queue.pop_front()
        {
            with.account.dropped(DropReason::OutgoingSendDeadlineBlown, with.now);
            self.tally.too_late(with.now);
            with.slots.give(slot);
        }
    }

    /// Seals what waits, as far as there is room, and hands it over if the connection has nothing under way.
    pub fn flush<I: Io>(&mut self, with: &mut Surroundings<'_, I>) {
        let sealed = self.seal_queue(with);
        let start = with.io.now();
        let Stage::Linked { conn, link } = &mut self.stage else { return };
        carry::hand_over(link, with.io, *conn, with.now);
        with.account.spent(PacketStage::Send, with.io.now().since(start), 0);
        // What did not fit before may now.
        if !sealed || !self.seal_queue(with) {
            self.lose(End::Failed, with);
        }
    }

    /// Moves packets from the queue into the link; false if one could not be sealed, which ends the link.
    fn seal_queue<I: Io>(&mut self, with: &mut Surroundings<'_, I>) -> bool {
        if self.queue.is_empty() {
            return true;
        }
        let (start, before) = (with.io.now(), self.queue.len());
        let is_good = self.seal_each(with);
        with.account.spent(PacketStage::Seal, with.io.now().since(start), (before - self.queue.len()) as u64);
        is_good
    }

    fn seal_each<I>(&mut self, with: &mut Surroundings<'_, I>) -> bool {
        let Stage::Linked { link, .. } = &mut self.stage else { return true };
        let command_bytes = COMMAND_HEADER_BYTES + with.facts.geometry.packet_length;
        while !self.queue.is_empty() && link.has_room(command_bytes) {
            let Some(mut slot) = self.queue.pop_front() else { break };
            let late = with.now.since(slot.dispatch_at) > with.facts.live.send_slack.get();
            let sealed = match (late, self.may_send) {
                (true, _) => Err(DropReason::OutgoingSendDeadlineBlown),
                (false, false) => Err(DropReason::OutgoingPeerNotConnected),
                (false, true) => {
                    let sealed = link.send_packet(slot.command_mut());
                    sealed.map_err(|_| DropReason::OutgoingSendCommandFailed)
                }
            };
            with.slots.give(slot);
            if let Err(reason) = sealed {
                with.account.dropped(reason, with.now);
                match reason {
                    DropReason::OutgoingSendDeadlineBlown => self.tally.too_late(with.now),
                    _ => self.tally.dropped(with.now),
                }
                if reason == DropReason::OutgoingSendCommandFailed {
                    return false;
                }
            }
        }
        true
    }

    /// A buffer comes back, of which the connection took so much.
    pub fn handle_sent<I: Io>(&mut self, buffer: Vec<u8>, taken: usize, with: &mut Surroundings<'_, I>) {
        let Stage::Linked { link, .. } = &mut self.stage else { return };
        if link.is_up() {
            with.account.add(Counter::BYTES_SENT, taken as u64);
        }
        let sent = link.handle_sent(buffer, taken) as u64;
        with.account.sent(sent);
        self.tally.passed(sent, with.now);
        match link.ended() {
            Some(end) => self.end(end, with),
            None => self.flush(with),
        }
    }

    /// On an established link a peer says nothing: whatever is there to read ends it.
    pub fn handle_readable_up<I: Io>(&mut self, with: &mut Surroundings<'_, I>) {
        let Stage::Linked { conn, link } = &self.stage else { return };
        if !link.is_up() {
            return;
        }
        let end = match with.io.recv(*conn, 1) {
            Received::WouldBlock => return,
            Received::Bytes { .. } => End::Talked,
            Received::Closed => End::PeerClosed,
            Received::Failed => End::Failed,
        };
        self.lose(end, with);
    }

    /// When [`Peer::handle_timeout`] has something to do.
    pub fn next_timeout(&self, facts: &Facts) -> Instant {
        let stage = match &self.stage {
            Stage::Waiting { until } => *until,
            Stage::Connecting { deadline, .. } => *deadline,
            Stage::Connected { .. } => Instant::NEVER,
            Stage::Linked { link, .. } => link.poll_timeout(),
        };
        let oldest = self.queue.front().map_or(Instant::NEVER, |slot| slot.dispatch_at + facts.live.send_slack.get());
        stage.min(oldest + Duration::from_nanos(1))
    }

    /// The link's deadlines, and packets that are too old. Dials are [`Peer::dial_if_due`]'s.
    pub fn handle_timeout<I: Io>(&mut self, with: &mut Surroundings<'_, I>) {
        self.drop_overdue(with);
        match &mut self.stage {
            Stage::Connecting { deadline, .. } if *deadline <= with.now => {
                self.handle_connect_failed(ConnectFailure::TimedOut, with);
            }
            Stage::Linked { conn, link } => {
                if let Some(end) = carry::time_out(link, with.io, *conn, with.now, with.random) {
                    self.end(end, with);
                }
            }
            _ => {}
        }
    }

    /// The link has ended: before it was one, or after.
    fn end<I: Io>(&mut self, end: End, with: &mut Surroundings<'_, I>) {
        match end {
            End::Handshake(failure) => self.handshake_failed(failure, with),
            other => self.lose(other, with),
        }
    }

    /// Ends the link, or whatever there is of it, and plans the next dial.
    pub fn lose<I: Io>(&mut self, end: End, with: &mut Surroundings<'_, I>) {
        self.close(end, with);
        let lived = with.now.since(self.dialled_at);
        // The next dial begins with the newest descriptor.
        self.next_address = self.addresses.len();
        let wait = self.patience.after_a_link_of(lived, with.facts.clock.period());
        self.wait(wait, with);
    }

    /// The destination has left the directory: closes, and drops what waits.
    pub fn remove<I: Io>(mut self, with: &mut Surroundings<'_, I>) {
        self.close(End::NoLongerValid, with);
        self.drop_queue(DropReason::OutgoingLinkClosed, with);
    }

    /// The node stops.
    pub fn shut_down<I: Io>(mut self, with: &mut Surroundings<'_, I>) {
        if self.is_up() {
            with.account.count(Counter::CONNECTIONS_CANCELLED);
        }
        self.close(End::Shutdown, with);
        self.drop_queue(DropReason::Shutdown, with);
    }

    fn drop_queue<I>(&mut self, reason: DropReason, with: &mut Surroundings<'_, I>) {
        while let Some(slot) = self.queue.pop_front() {
            with.account.dropped(reason, with.now);
            self.tally.dropped(with.now);
            with.slots.give(slot);
        }
    }

    fn close<I: Io>(&mut self, end: End, with: &mut Surroundings<'_, I>) {
        if self.is_up() || self.has_been_up() {
            let peer = self.event_peer();
            with.account.link_down(Direction::Outgoing, Some(peer), end);
        }
        let taken = self.conn().map_or(0, |conn| with.io.close(conn));
        if let Stage::Linked { link, .. } = &mut self.stage {
            let (sent, lost) = link.handle_lost(taken);
            with.account.sent(sent as u64);
            self.tally.passed(sent as u64, with.now);
            for _ in 0..lost {
                with.account.dropped(DropReason::OutgoingSendCommandFailed, with.now);
                self.tally.dropped(with.now);
            }
        }
        self.enter(Stage::Waiting { until: Instant::NEVER }, with.now);
        self.may_send = false;
    }

    fn event_peer(&self) -> EventPeer {
        let dialled = self.next_address.checked_sub(1).and_then(|at| self.addresses.get(at));
        account::peer(Some(&self.node), dialled.map(|target| target.address))
    }
}
