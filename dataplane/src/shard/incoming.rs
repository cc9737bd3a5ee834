//! The links that peers opened to this shard: admission, handshakes, ends.

mod clients;
pub mod desk;
mod receive;
mod roll;
mod users;

use super::context::{Context, Round};
use super::deadlines::Deadlines;
use super::table::Table;
use crate::account;
use crate::io::{ConnId, Io};
use crate::link::carry::Progress;
use crate::link::incoming::{Class, Handshaking, Incoming, Stage, Up};
use crate::link::outgoing::Waiter;
use crate::shared::Order;
use crate::shared::admission::Admitted;
use crate::shared::sessions::Seat;
use crate::time::Instant;
use desk::{Answer, Desk, Kept};
use interplane::Counter;
use interplane::counter::{AdmissionRefusal, Direction, PeerClass};
use interplane::event::{Event as LogEvent, Peer as EventPeer};
use pki::neighbours::Role;
use pki::policy::IncomingPeer;
use roll::RollCall;
use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::atomic::Ordering;
use std::time::Duration;
use users::Standing;
use wire::link::{Due, End};

/// Between two looks at a link that is not read although its peer's time is over.
const UNREAD_INTERVAL: Duration = Duration::from_secs(1);
/// Between two looks at the deadlines of one link.
const LEAST_INTERVAL: Duration = Duration::from_millis(1);
/// Links that are asked about again in one round: documents change for all of them at once.
const REAUTHENTICATED_MAX: usize = 128;
/// Links that are looked at in one round because their deadlines have come.
const TIMED_OUT_MAX: usize = 128;

/// The links. Nothing here goes over all of them in one round.
pub struct IncomingLinks {
    links: Table<Link>,
    /// Those that may have something to read, in the order in which they are read.
    readable: VecDeque<ConnId>,
    deadlines: Deadlines,
    /// The place at which the present authentication of all links goes on.
    unasked: Option<usize>,
    /// The same for what the user database is asked.
    unasked_users: Option<usize>,
    roll: Option<RollCall>,
    desk: Desk,
    answers: Vec<Answer>,
    /// Letters that the store of mail has had.
    kept: Vec<Kept>,
    handshaking: u64,
    /// Established links of nodes.
    nodes: u64,
    /// Established links of clients.
    clients: u64,
    /// Documents in one piece that are on their way.
    sent_whole: u32,
}

struct Link {
    incoming: Box<Incoming>,
    /// It is in `readable`.
    is_listed: bool,
    /// It waits for a KEM operation.
    waits_for_step: bool,
    /// What the user database says of it.
    standing: Standing,
}

impl Link {
    fn is_unfinished(&self) -> bool {
        matches!(self.incoming.stage, Stage::Handshaking(..))
    }
}

impl IncomingLinks {
    /// None yet; `desk` is the way to the user database.
    pub fn new(desk: Desk) -> Self {
        Self {
            links: Table::default(),
            readable: VecDeque::with_capacity(1024),
            deadlines: Deadlines::default(),
            unasked: None,
            unasked_users: None,
            roll: None,
            desk,
            answers: Vec::new(),
            kept: Vec::new(),
            handshaking: 0,
            nodes: 0,
            clients: 0,
            sent_whole: 0,
        }
    }

    /// Whether a link may have something to read.
    pub fn is_readable(&self) -> bool {
        !self.readable.is_empty()
    }

    /// Whether links are left that the policy is to be asked about.
    pub fn is_asking(&self) -> bool {
        self.unasked.is_some()
    }

    /// Whether links are left to be looked at without anybody's doing.
    pub fn is_busy(&self) -> bool {
        self.is_asking() || self.roll.is_some()
    }

    /// When [`IncomingLinks::keep_house`] has something to do.
    pub fn next_deadline(&self) -> Instant {
        self.deadlines.next()
    }

    /// Admission gate, then the connection goes to the shard that has the fewest (server.md 3.1).
    pub fn accept<I: Io>(&mut self, round: &mut Round<'_, I>, conn: ConnId, peer: SocketAddr) {
        let context = &mut *round.context;
        if context.shared.is_closing() {
            refuse(context, round.io, conn, AdmissionRefusal::ShuttingDown);
        } else if !round.sight.view().is_usable {
            context.account.count(Counter::REFUSED_NO_PKI_DOC);
            round.io.close(conn);
        } else if !round.io.can_hand_over(conn) {
            context.shared.deal_to(context.index);
            self.adopt(round, conn, peer);
        } else {
            let shard = context.shared.deal();
            if shard == context.index {
                self.adopt(round, conn, peer);
            } else if !round.io.hand_over(conn, shard) {
                // It is closed, and does not count as that shard's.
                context.shared.ports()[shard].connections.fetch_sub(1, Ordering::Relaxed);
            }
        }
    }

    /// Takes a connection that was dealt to this shard, and begins its handshake.
    pub fn adopt<I: Io>(&mut self, round: &mut Round<'_, I>, conn: ConnId, address: SocketAddr) {
        let context = &mut *round.context;
        context.account.count(Counter::CONNECTIONS_ACCEPTED);
        let seat = Seat { shard: context.index, conn };
        let Admitted { connection, handshake: permit, evicted } = match context.shared.admission().admit(address, seat)
        {
            Ok(admitted) => admitted,
            Err(refusal) => {
                count_ended(context);
                return refuse(context, round.io, conn, refusal);
            }
        };
        if let Some((older, limit)) = evicted {
            self.order(context, round.io, older.shard, Order::Evict(older.conn, limit));
        }
        let Some(key) = round.sight.link_key().cloned() else {
            count_ended(context);
            round.io.close(conn);
            return;
        };
        let handshake = Handshaking::new(context.shared.facts(), key, context.now);
        self.deadlines.set(conn.index, handshake.next_timeout());
        self.handshaking += 1;
        let stage = Stage::Handshaking(Box::new(handshake), permit);
        let incoming = Box::new(Incoming { conn, address, stage, permit: connection });
        let standing = Standing::default();
        self.links.insert(conn, Link { incoming, is_listed: false, waits_for_step: false, standing });
        self.handle_ready(round, conn);
    }

    /// There is something to read from, or room to write to, a connection.
    pub fn handle_ready<I: Io>(&mut self, round: &mut Round<'_, I>, conn: ConnId) {
        let Some(link) = self.links.get_mut(conn) else { return };
        match &mut link.incoming.stage {
            Stage::Up(_) => {
                if self.attend(round, conn)
                    && let Some(link) = self.links.get_mut(conn)
                    && !std::mem::replace(&mut link.is_listed, true)
                {
                    self.readable.push_back(conn);
                }
            }
            Stage::Handshaking(handshake, permit) => match handshake.pump(round.io, conn, round.context.now) {
                Progress::Waits => {}
                Progress::Due(_) if link.standing.asked.is_some() => {}
                Progress::Due(_) => {
                    if !std::mem::replace(&mut link.waits_for_step, true) {
                        permit.heard();
                        round.steps.push(Waiter::Incoming(conn), permit.is_of_neighbour());
                    }
                }
                Progress::Up => self.finish(round, conn),
                Progress::Ended(end) => self.fail(round, conn, end),
            },
        }
    }

    /// A buffer comes back, of which the connection took so much.
    pub fn handle_sent<I: Io>(&mut self, round: &mut Round<'_, I>, conn: ConnId, buffer: Vec<u8>, taken: usize) {
        let Some(link) = self.links.get_mut(conn) else { return };
        match &mut link.incoming.stage {
            Stage::Handshaking(handshake, _) => handshake.handle_sent(buffer, taken),
            Stage::Up(up) => {
                if up.is_client() {
                    round.context.account.add(Counter::BYTES_SENT, taken as u64);
                }
                if let Some(end) = up.handle_sent(buffer, taken) {
                    return self.close(round.context, round.io, conn, end);
                }
            }
        }
        self.handle_ready(round, conn);
    }

    /// Takes the KEM operation for which a handshake has waited.
    pub fn step<I: Io>(&mut self, round: &mut Round<'_, I>, conn: ConnId) {
        let Some(link) = self.links.get_mut(conn) else { return };
        link.waits_for_step = false;
        let address = link.incoming.address;
        let Stage::Handshaking(handshake, permit) = &mut link.incoming.stage else { return };
        match handshake.due() {
            Some(Due::Step) => {
                let unix_seconds = round.io.unix_now().as_secs();
                handshake.step(round.context.now, unix_seconds, &mut round.context.random);
                if handshake.due().is_none() {
                    permit.answered();
                }
            }
            // It has an answer that it waits for.
            Some(Due::Decision) if link.standing.asked.is_some() => {}
            Some(Due::Decision) => {
                let decision = authenticate(round, handshake, address);
                if decision == Decision::OfDatabase {
                    self.ask(round, conn);
                    return;
                }
            }
            None => {}
        }
        self.handle_ready(round, conn);
    }

    /// All messages are exchanged: sends the NoOp. A client is who it says, because nobody else knows its link key; nodes,
    /// and clients whose names stay the same, have to show it, see [`IncomingLinks::believe`].
    fn finish<I: Io>(&mut self, round: &mut Round<'_, I>, conn: ConnId) {
        let Some(Link { incoming, standing, .. }) = self.links.remove(conn) else { return };
        self.handshaking -= 1;
        let Incoming { conn, address, stage, mut permit } = *incoming;
        let Stage::Handshaking(handshake, handshake_permit) = stage else { return };
        drop(handshake_permit);
        let took = round.context.now.since(handshake.started_at);
        let Some(mut up) = handshake.finish(round.context.now, |peer| clients::class_of(round, peer)) else {
            count_ended(round.context);
            self.deadlines.remove(conn.index);
            round.io.close(conn);
            return;
        };
        let context = &mut *round.context;
        if up.is_client()
            && let Err(refusal) = permit.count_as_client()
        {
            count_ended(context);
            self.deadlines.remove(conn.index);
            return refuse(context, round.io, conn, refusal);
        }
        up.keep_alive(context.now, &mut context.random);
        self.deadlines.set(conn.index, up.next_timeout());
        let (sessions, seat) = (context.shared.sessions(), Seat { shard: context.index, conn });
        let is_believed = up.is_client() && !context.shared.facts().clients.has_user_database;
        let replaced = if is_believed { sessions.register(up.key, seat) } else { sessions.claim(up.key, seat) };
        context.account.link_up(Direction::Incoming, event_peer(&up, address), took);
        if is_believed {
            clients::announce(context, round.io, &up, conn, false);
        }
        *self.count_of(&up) += 1;
        let incoming = Box::new(Incoming { conn, address, stage: Stage::Up(Box::new(up)), permit });
        self.links.insert(conn, Link { incoming, is_listed: true, waits_for_step: false, standing });
        self.readable.push_back(conn);
        if let Some(older) = replaced {
            self.order(context, round.io, older.shard, Order::Replace(older.conn));
        }
        self.attend(round, conn);
    }

    /// A peer has shown that it has its link key: an older connection of the same peer ends, and where it comes from is
    /// an address of its own.
    fn believe<I: Io>(&mut self, round: &mut Round<'_, I>, conn: ConnId) {
        let Some(Incoming { address, stage: Stage::Up(up), .. }) = self.links.get(conn).map(|link| &*link.incoming)
        else {
            return;
        };
        let context = &mut *round.context;
        if up.is_client() {
            if !context.shared.facts().clients.has_user_database {
                return;
            }
        } else if let Ok(node) = up.peer.additional_data.as_slice().try_into() {
            context.shared.admission().remember(node, *address);
        }
        if let Some(older) = context.shared.sessions().register(up.key, Seat { shard: context.index, conn }) {
            self.order(context, round.io, older.shard, Order::Replace(older.conn));
        }
        self.meet(round, conn);
    }

    /// The number of established links of that kind.
    fn count_of(&mut self, up: &Up) -> &mut u64 {
        if up.is_client() { &mut self.clients } else { &mut self.nodes }
    }

    /// Has something done, here or on another shard.
    fn order(&mut self, context: &mut Context, io: &mut impl Io, shard: usize, order: Order) {
        if shard == context.index {
            return self.obey(context, io, order);
        }
        if let Some(port) = context.shared.ports().get(shard) {
            port.order(order);
            if port.parking.unpark() {
                io.wake(shard);
            }
        }
    }

    fn obey(&mut self, context: &mut Context, io: &mut impl Io, order: Order) {
        match order {
            Order::Replace(conn) => self.close(context, io, conn, End::Replaced),
            // It may be a link in the meantime.
            Order::Evict(conn, limit) if self.links.get(conn).is_some_and(Link::is_unfinished) => {
                context.account.count(Counter::admission_refused(limit));
                context.account.tell(LogEvent::AdmissionRefused { reason: limit });
                self.close(context, io, conn, End::Replaced);
            }
            Order::Evict(..) => {}
        }
    }

    /// What other shards ask for.
    pub fn obey_orders(&mut self, context: &mut Context, io: &mut impl Io) {
        for order in context.port().take_orders() {
            self.obey(context, io, order);
        }
    }

    /// Ends a connection, whatever it is. Why an unfinished one ends is counted by who ends it.
    fn close(&mut self, context: &mut Context, io: &mut impl Io, conn: ConnId, end: End) {
        let Some(link) = self.links.remove(conn) else { return };
        self.deadlines.remove(conn.index);
        if let Some(question) = link.standing.asked {
            self.desk.forget(question);
        }
        match &link.incoming.stage {
            Stage::Handshaking(..) => self.handshaking -= 1,
            Stage::Up(up) => {
                *self.count_of(up) -= 1;
                self.sent_whole -= u32::from(up.is_sent_whole);
                context.shared.sessions().forget(&up.key, Seat { shard: context.index, conn });
                context.account.link_down(Direction::Incoming, event_peer(up, link.incoming.address), end);
                clients::take_leave(context, io, up, conn);
            }
        }
        count_ended(context);
        io.close(conn);
    }

    /// Ends a connection whose handshake failed.
    fn fail<I: Io>(&mut self, round: &mut Round<'_, I>, conn: ConnId, end: End) {
        let context = &mut *round.context;
        if let End::Handshake(failure) = end
            && let Some(link) = self.links.get(conn)
            && let Stage::Handshaking(handshake, permit) = &link.incoming.stage
        {
            let id = handshake.peer().map(|peer| peer.additional_data.as_slice());
            // Whoever comes to a gateway from elsewhere than its neighbours is probably a client.
            let may_be_told = context.shared.facts().role != Role::Gateway || permit.is_of_neighbour();
            let peer = may_be_told.then(|| account::peer(id, Some(link.incoming.address)));
            let took = context.now.since(handshake.started_at);
            context.account.handshake_failed(Direction::Incoming, &failure, peer, took);
        }
        self.close(context, round.io, conn, end);
    }

    /// Begins to ask the policy about every link; [`IncomingLinks::keep_house`] goes on with it.
    pub fn reauthenticate(&mut self) {
        self.unasked = Some(0);
    }

    /// Begins to ask the user database about every client; [`IncomingLinks::take_answers`] goes on with it. What is not
    /// asked of the last time comes first.
    pub fn reauthenticate_users(&mut self) {
        if self.desk.is_open() {
            self.desk.forget_live();
            self.unasked_users.get_or_insert(0);
        }
    }

    /// Looks at some links that are to be asked about, and at those whose deadlines have come.
    pub fn keep_house<I: Io>(&mut self, round: &mut Round<'_, I>) {
        if let Some(first) = self.unasked {
            let end = (first + REAUTHENTICATED_MAX).min(self.links.places());
            for place in first..end {
                if let Some((conn, _)) = self.links.at(place) {
                    self.reauthenticate_one(round, conn);
                }
            }
            self.unasked = Some(end).filter(|end| *end < self.links.places());
        }
        for _ in 0..TIMED_OUT_MAX {
            let Some(place) = self.deadlines.pop_due(round.context.now) else { return };
            let Some((conn, _)) = self.links.at(place as usize) else { continue };
            let Some(link) = self.links.get_mut(conn) else { continue };
            let deadline = deadline(link, round.context.now);
            if deadline > round.context.now {
                self.deadlines.set(place, deadline);
            } else {
                self.time_out(round, conn);
            }
        }
    }

    /// Asks the policy about a live link (server.md 3.2).
    fn reauthenticate_one<I: Io>(&mut self, round: &mut Round<'_, I>, conn: ConnId) {
        let Some(link) = self.links.get_mut(conn) else { return };
        let Stage::Up(up) = &mut link.incoming.stage else { return };
        let found = round.sight.classify(&up.peer);
        match (&mut up.class, found) {
            (Class::Node { may_send, .. }, IncomingPeer::Node(verdict)) => *may_send = verdict.may_send,
            (Class::Node { .. }, IncomingPeer::Rejected(_) | IncomingPeer::Client) => {
                let peer = account::peer(Some(&up.peer.additional_data), Some(link.incoming.address));
                round.context.account.peer_refused(peer);
                self.close(round.context, round.io, conn, End::NoLongerValid);
            }
            (Class::Client(client), IncomingPeer::Client | IncomingPeer::Rejected(_)) => {
                client.set_rate(clients::rate(round), round.context.now);
            }
            // It came before this node had the document that lists it.
            (Class::Client(_), IncomingPeer::Node(verdict)) => {
                clients::take_leave(round.context, round.io, up, conn);
                up.class = Class::node(verdict.may_send, round.context.now);
                up.keep_alive(round.context.now, &mut round.context.random);
                (self.clients, self.nodes) = (self.clients - 1, self.nodes + 1);
            }
        }
    }

    fn time_out<I: Io>(&mut self, round: &mut Round<'_, I>, conn: ConnId) {
        let Some(link) = self.links.get_mut(conn) else { return };
        match &mut link.incoming.stage {
            Stage::Handshaking(handshake, _) => {
                handshake.handle_timeout(round.context.now, &mut round.context.random);
                self.deadlines.set(conn.index, handshake.next_timeout().max(round.context.now + LEAST_INTERVAL));
                self.handle_ready(round, conn);
            }
            Stage::Up(up) => {
                let (now, random) = (round.context.now, &mut round.context.random);
                match up.handle_timeout(round.io, conn, now, random) {
                    Some(end) => self.close(round.context, round.io, conn, end),
                    None => self.deadlines.set(conn.index, up.next_timeout().max(now + LEAST_INTERVAL)),
                }
            }
        }
    }

    /// Ends all links.
    pub fn shut_down(&mut self, context: &mut Context, io: &mut impl Io) {
        for place in 0..self.links.places() {
            if let Some((conn, _)) = self.links.at(place) {
                self.close(context, io, conn, End::Shutdown);
            }
        }
    }

    /// Sets the gauges of these links.
    pub fn update_gauges(&self, context: &Context) {
        context.account.set(Counter::connections(PeerClass::Handshaking), self.handshaking);
        context.account.set(Counter::connections(PeerClass::Incoming), self.nodes);
        context.account.set(Counter::connections(PeerClass::Client), self.clients);
    }
}

/// Who decides about a peer.
#[derive(PartialEq, Eq)]
enum Decision {
    /// It is decided.
    Made,
    /// The user database.
    OfDatabase,
}

/// A node takes only nodes that the documents put before it; a gateway takes all others for clients (server.md 3.2).
fn authenticate<I: Io>(round: &mut Round<'_, I>, handshake: &mut Handshaking, address: SocketAddr) -> Decision {
    let Some(peer) = handshake.peer() else {
        handshake.reject();
        return Decision::Made;
    };
    let context = &mut *round.context;
    let verdict = match round.sight.classify(peer) {
        IncomingPeer::Client if context.shared.facts().clients.has_user_database => return Decision::OfDatabase,
        IncomingPeer::Node(_) | IncomingPeer::Client => {
            handshake.accept(context.now, &mut context.random);
            return Decision::Made;
        }
        IncomingPeer::Rejected(verdict) => verdict,
    };
    let peer = account::peer(Some(&peer.additional_data), Some(address));
    if verdict.link_key_mismatch {
        context.account.tell(LogEvent::LinkKeyMismatch { peer });
    }
    context.account.peer_refused(peer);
    handshake.reject();
    Decision::Made
}

/// The peer of an established link as the log may know it: no client.
fn event_peer(up: &Up, address: SocketAddr) -> Option<EventPeer> {
    (!up.is_client()).then(|| account::peer(Some(&up.peer.additional_data), Some(address)))
}

/// When a connection is to be looked at. Its peer is not late with what may wait to be read; it is looked at again after a
/// while. What this node owes is due whether it reads or not: a client gives up a gateway that is silent.
fn deadline(link: &mut Link, now: Instant) -> Instant {
    match &mut link.incoming.stage {
        Stage::Handshaking(handshake, _) => handshake.next_timeout(),
        Stage::Up(up) => {
            if link.is_listed {
                up.excuse(now + UNREAD_INTERVAL);
            }
            up.next_timeout()
        }
    }
}

fn refuse(context: &mut Context, io: &mut impl Io, conn: ConnId, reason: AdmissionRefusal) {
    context.account.count(Counter::admission_refused(reason));
    context.account.tell(LogEvent::AdmissionRefused { reason });
    io.close(conn);
}

fn count_ended(context: &Context) {
    context.port().connections.fetch_sub(1, Ordering::Relaxed);
}
