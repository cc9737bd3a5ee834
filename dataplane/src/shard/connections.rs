//! Events of connections: accepting, handshakes, ends.

use super::Shard;
use super::table::Owner;
use crate::account;
use crate::io::{ConnId, Event, Io};
use crate::link::carry::Progress;
use crate::link::incoming::{Handshaking, Incoming, Stage};
use crate::link::outgoing::{Pushed, Waiter};
use crate::packet::pool::DestinationId;
use crate::shared::Order;
use crate::shared::sessions::Seat;
use interplane::Counter;
use interplane::counter::{AdmissionRefusal, Direction, LinkEnd};
use interplane::event::{Detail, Event as LogEvent};
use pki::policy::{self, IncomingPeer, PeerCredentials, Verdict};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use wire::link::{Due, End};

impl Shard {
    /// Handles what happened; true if there may be more.
    pub(super) fn handle_events(&mut self, io: &mut impl Io) -> bool {
        for _ in 0..super::EVENTS_MAX {
            let Some(event) = io.next_event() else { return false };
            match event {
                Event::Accepted { conn, peer } => self.handle_accepted(io, conn, peer),
                Event::Adopted { conn, peer } => self.adopt(io, conn, peer),
                Event::Connected { conn } => {
                    if let Some(Owner::Outgoing(id)) = self.table.owner(conn) {
                        let pushed = self.with_peer(id, io, |peer, _, with| peer.handle_connected(with));
                        self.after_push(id, pushed);
                    }
                }
                Event::ConnectFailed { conn, failure } => {
                    if let Some(Owner::Outgoing(id)) = self.table.owner(conn) {
                        self.with_peer(id, io, |peer, _, with| peer.handle_connect_failed(failure, with));
                    }
                }
                Event::Readable { conn } => match self.table.owner(conn) {
                    Some(Owner::Incoming) => self.handle_incoming_ready(io, conn),
                    Some(Owner::Outgoing(id)) => self.handle_outgoing_readable(io, id),
                    None => {}
                },
                Event::Sent { conn, buffer, taken } => match self.table.owner(conn) {
                    Some(Owner::Incoming) => self.handle_incoming_sent(io, conn, buffer, taken),
                    Some(Owner::Outgoing(id)) => self.handle_outgoing_sent(io, id, buffer, taken),
                    None => {}
                },
                Event::AcceptFailed { code, .. } => {
                    let error = std::io::Error::from_raw_os_error(code);
                    self.account.tell(LogEvent::AcceptFailed { detail: Detail::new(error) });
                }
            }
        }
        true
    }

    /// Admission gate, then the connection goes to the shard that has the fewest (server.md 3.1).
    fn handle_accepted(&mut self, io: &mut impl Io, conn: ConnId, peer: SocketAddr) {
        if self.shared.is_closing() {
            self.refuse(io, conn, AdmissionRefusal::ShuttingDown);
        } else if !self.almanac.is_usable {
            self.account.count(Counter::REFUSED_NO_PKI_DOC);
            io.close(conn);
        } else {
            let shard = self.shared.deal();
            if shard == self.index {
                self.adopt(io, conn, peer);
            } else if !io.hand_over(conn, shard) {
                // It is closed, and does not count as that shard's.
                self.shared.ports()[shard].connections.fetch_sub(1, Ordering::Relaxed);
            }
        }
    }

    /// Takes a connection that was dealt to this shard, and begins its handshake.
    fn adopt(&mut self, io: &mut impl Io, conn: ConnId, address: SocketAddr) {
        self.account.count(Counter::CONNECTIONS_ACCEPTED);
        let (permit, handshake_permit) = match self.shared.budget().admit(address) {
            Ok(permits) => permits,
            Err(refusal) => {
                self.count_connection_ended();
                return self.refuse(io, conn, refusal);
            }
        };
        let Some(key) = self.keys.link_key.clone() else {
            self.count_connection_ended();
            io.close(conn);
            return;
        };
        let handshake = Handshaking::new(self.shared.facts(), key, self.now);
        self.housekeeping_at = self.housekeeping_at.min(handshake.next_timeout());
        let stage = Stage::Handshaking(Box::new(handshake), handshake_permit);
        self.table.insert_incoming(Box::new(Incoming { conn, address, stage, is_listed: false, permit }));
        self.handle_incoming_ready(io, conn);
    }

    fn refuse(&mut self, io: &mut impl Io, conn: ConnId, reason: AdmissionRefusal) {
        self.account.count(Counter::admission_refused(reason));
        self.account.tell(LogEvent::AdmissionRefused { reason });
        io.close(conn);
    }

    fn count_connection_ended(&self) {
        self.port().connections.fetch_sub(1, Ordering::Relaxed);
    }

    /// There is something to read from, or room to write to, an incoming connection.
    pub(super) fn handle_incoming_ready(&mut self, io: &mut impl Io, conn: ConnId) {
        let Some(incoming) = self.table.incoming_mut(conn) else { return };
        match &mut incoming.stage {
            Stage::Up(up) => {
                up.flush(io, conn);
                if !incoming.is_listed {
                    incoming.is_listed = true;
                    self.readable.push_back(conn);
                }
            }
            Stage::Handshaking(handshake, _) => match handshake.pump(io, conn, self.now) {
                Progress::Waits => {}
                Progress::Due(_) => self.queue_for_step(Waiter::Incoming(conn)),
                Progress::Up => self.finish_incoming(io, conn),
                Progress::Ended(end) => self.fail_incoming(io, conn, end),
            },
        }
    }

    /// A buffer of an incoming connection comes back, which took so much of it.
    fn handle_incoming_sent(&mut self, io: &mut impl Io, conn: ConnId, buffer: Vec<u8>, taken: usize) {
        let Some(incoming) = self.table.incoming_mut(conn) else { return };
        match &mut incoming.stage {
            Stage::Handshaking(handshake, _) => handshake.handle_sent(buffer, taken),
            Stage::Up(up) => {
                if let Some(end) = up.handle_sent(buffer, taken) {
                    return self.close_incoming(io, conn, end);
                }
            }
        }
        self.handle_incoming_ready(io, conn);
    }

    fn queue_for_step(&mut self, waiter: Waiter) {
        if !self.waiting_for_step.contains(&waiter) {
            self.waiting_for_step.push_back(waiter);
        }
    }

    /// At most one KEM operation between two looks at the wheel.
    pub(super) fn take_step(&mut self, io: &mut impl Io) {
        match self.waiting_for_step.pop_front() {
            Some(Waiter::Incoming(conn)) => self.step_incoming(io, conn),
            Some(Waiter::Outgoing(id)) => {
                let keys = Arc::clone(&self.keys);
                let unix = io.unix_now();
                let key = keys.link_key.as_ref();
                let pushed = self.with_peer(id, io, |peer, judge, with| peer.step(key, unix, judge, with));
                self.after_push(id, pushed);
            }
            None => {}
        }
    }

    fn step_incoming(&mut self, io: &mut impl Io, conn: ConnId) {
        let unix_seconds = io.unix_now().as_secs();
        let Some(mut incoming) = self.table.take_incoming(conn) else { return };
        if let Stage::Handshaking(handshake, _) = &mut incoming.stage {
            match handshake.due() {
                Some(Due::Step) => handshake.step(self.now, unix_seconds, &mut self.random),
                Some(Due::Decision) => self.authenticate_incoming(handshake, incoming.address),
                None => {}
            }
        }
        self.table.insert_incoming(incoming);
        self.handle_incoming_ready(io, conn);
    }

    /// A mix takes only nodes that the documents put before it (server.md 3.2).
    fn authenticate_incoming(&mut self, handshake: &mut Handshaking, address: SocketAddr) {
        let verdict = handshake.peer().map_or_else(Verdict::default, |peer| self.judge_incoming(peer));
        if verdict.valid {
            return handshake.accept(self.now, &mut self.random);
        }
        let id = handshake.peer().map(|peer| peer.additional_data.as_slice());
        let peer = account::peer(id, Some(address));
        if verdict.link_key_mismatch {
            self.account.tell(LogEvent::LinkKeyMismatch { peer });
        }
        self.account.peer_refused(peer);
        handshake.reject();
    }

    /// The policy's answer about a peer that connected.
    pub(super) fn judge_incoming(&self, peer: &wire::PeerCredentials) -> Verdict {
        let peer = PeerCredentials { additional_data: &peer.additional_data, link_key: &peer.public_key };
        match policy::classify_incoming(self.directory.view(), peer, &self.almanac.epoch) {
            IncomingPeer::Node(verdict) | IncomingPeer::Rejected(verdict) => verdict,
            IncomingPeer::Client => Verdict::default(),
        }
    }

    /// All messages are exchanged: sends the NoOp, registers the link, ends an older one of the same peer.
    fn finish_incoming(&mut self, io: &mut impl Io, conn: ConnId) {
        let Some(incoming) = self.table.take_incoming(conn) else { return };
        let Incoming { conn, address, stage, permit, .. } = *incoming;
        let Stage::Handshaking(handshake, handshake_permit) = stage else { return };
        drop(handshake_permit);
        let took = self.now.since(handshake.started_at);
        let Some(mut up) = handshake.finish(|peer| self.judge_incoming(peer).may_send) else {
            self.count_connection_ended();
            io.close(conn);
            return;
        };
        up.flush(io, conn);
        let replaced = self.shared.sessions().register(up.key, Seat { shard: self.index, conn });
        let peer = account::peer(Some(&up.peer.additional_data), Some(address));
        self.account.link_up(Direction::Incoming, peer, took);
        let stage = Stage::Up(Box::new(up));
        self.table.insert_incoming(Box::new(Incoming { conn, address, stage, is_listed: true, permit }));
        self.readable.push_back(conn);
        if let Some(older) = replaced {
            self.replace(io, older);
        }
    }

    /// Ends an older connection, here or on another shard.
    fn replace(&mut self, io: &mut impl Io, older: Seat) {
        if older.shard == self.index {
            return self.close_incoming(io, older.conn, LinkEnd::Replaced);
        }
        if let Some(port) = self.shared.ports().get(older.shard) {
            port.order(Order::Replace(older.conn));
            if port.parking.unpark() {
                io.wake(older.shard);
            }
        }
    }

    /// What other shards ask for.
    pub(super) fn obey_orders(&mut self, io: &mut impl Io) {
        for order in self.port().take_orders() {
            match order {
                Order::Replace(conn) => self.close_incoming(io, conn, LinkEnd::Replaced),
            }
        }
    }

    /// Ends an incoming connection, whatever it is.
    pub(super) fn close_incoming(&mut self, io: &mut impl Io, conn: ConnId, end: LinkEnd) {
        let Some(incoming) = self.table.take_incoming(conn) else { return };
        if let Stage::Up(up) = &incoming.stage {
            self.shared.sessions().forget(&up.key, Seat { shard: self.index, conn });
            let peer = account::peer(Some(&up.peer.additional_data), Some(incoming.address));
            self.account.link_down(Direction::Incoming, peer, end);
        }
        self.count_connection_ended();
        io.close(conn);
    }

    /// Ends a connection whose handshake failed.
    pub(super) fn fail_incoming(&mut self, io: &mut impl Io, conn: ConnId, end: End) {
        if let Some(Incoming { address, stage: Stage::Handshaking(handshake, _), .. }) = self.table.incoming_mut(conn)
            && let End::Handshake(failure) = end
        {
            let id = handshake.peer().map(|peer| peer.additional_data.as_slice());
            let (peer, took) = (account::peer(id, Some(*address)), self.now.since(handshake.started_at));
            self.account.handshake_failed(Direction::Incoming, &failure, peer, took);
        }
        self.close_incoming(io, conn, LinkEnd::Protocol);
    }

    fn handle_outgoing_readable(&mut self, io: &mut impl Io, id: DestinationId) {
        let pushed = self.with_peer(id, io, |peer, judge, with| {
            peer.handle_readable_up(with);
            peer.push(judge, with)
        });
        self.after_push(id, pushed);
    }

    fn handle_outgoing_sent(&mut self, io: &mut impl Io, id: DestinationId, buffer: Vec<u8>, taken: usize) {
        let pushed = self.with_peer(id, io, |peer, judge, with| {
            peer.handle_sent(buffer, taken, with);
            peer.push(judge, with)
        });
        self.after_push(id, pushed);
    }

    fn after_push(&mut self, id: DestinationId, pushed: Option<Pushed>) {
        match pushed {
            Some(Pushed::Expensive) => self.queue_for_step(Waiter::Outgoing(id)),
            Some(Pushed::Up) => self.list_for_flush(id),
            Some(Pushed::Waits) | None => {}
        }
    }
}
