//! The links to other nodes that this shard owns: which there are, when each is looked at, and what each has to send.

use super::context::{Context, Round};
use super::deadlines::Deadlines;
use super::sight::News;
use super::table::Table;
use crate::io::{ConnId, ConnectFailure, Io};
use crate::link::outgoing::{Judge, Peer, Pushed, Surroundings, Waiter};
use crate::packet::pool::Slot;
use crate::packet::route::Arrival;
use crate::shared::DestinationId;
use interplane::counter::{PeerClass, Queue};
use interplane::{Counter, DropReason};
use std::collections::VecDeque;
use std::time::Duration;
use wire::link::End;

/// Between two looks at the deadlines of one link.
const LEAST_INTERVAL: Duration = Duration::from_millis(1);

/// The links, by the places of their destinations. There are as many as documents list nodes, so going over all of
/// them is left to changes of documents and to gauges.
pub struct OutgoingLinks {
    links: Vec<Option<Box<Link>>>,
    by_conn: Table<DestinationId>,
    to_flush: VecDeque<DestinationId>,
    deadlines: Deadlines,
}

struct Link {
    peer: Peer,
    /// It is in `to_flush`.
    is_listed: bool,
    /// It waits for a KEM operation.
    waits_for_step: bool,
}

impl OutgoingLinks {
    /// None yet.
    pub fn new() -> Self {
        Self {
            links: Vec::new(),
            by_conn: Table::default(),
            to_flush: VecDeque::with_capacity(256),
            deadlines: Deadlines::default(),
        }
    }

    /// All peers.
    pub fn peers(&self) -> impl Iterator<Item = &Peer> {
        self.links.iter().flatten().map(|link| &link.peer)
    }

    /// Packets that wait for their links.
    pub fn held(&self) -> u64 {
        self.peers().map(Peer::held).sum()
    }

    /// Whether there is something to do without anybody's doing.
    pub fn is_busy(&self) -> bool {
        !self.to_flush.is_empty()
    }

    /// When [`OutgoingLinks::keep_house`] has something to do.
    pub fn next_deadline(&self) -> crate::time::Instant {
        self.deadlines.next()
    }

    /// Whose connection it is; none if it has ended.
    pub fn find(&self, conn: ConnId) -> Option<DestinationId> {
        self.by_conn.get(conn).copied()
    }

    /// Lets `act` work with one peer, if there is such a peer.
    fn with_peer<I: Io, T>(
        &mut self,
        id: DestinationId,
        round: &mut Round<'_, I>,
        act: impl FnOnce(&mut Peer, Judge<'_>, &mut Surroundings<'_, I>) -> T,
    ) -> Option<T> {
        let peer = &mut self.links.get_mut(id.0 as usize)?.as_mut()?.peer;
        let before = peer.conn();
        let (judge, mut with) = round.for_peer();
        let result = act(peer, judge, &mut with);
        let next_timeout = peer.next_timeout(with.facts);
        let after = peer.conn();
        if before != after {
            if let Some(conn) = before {
                self.by_conn.remove(conn);
            }
            if let Some(conn) = after {
                self.by_conn.insert(conn, id);
            }
        }
        self.deadlines.no_later_than(id.0, next_timeout);
        Some(result)
    }

    /// Documents, keys or the part of the epoch have changed: links that are wanted come, others go.
    pub fn take_over<I: Io>(&mut self, round: &mut Round<'_, I>, news: News) {
        self.create(round);
        self.reauthenticate(round);
        if news.may_reach_others {
            for place in 0..self.links.len() {
                self.with_peer(DestinationId(place as u32), round, |peer, _, with| peer.dial_afresh(with));
            }
        }
    }

    /// Makes links for destinations that this shard owns and has no link for. None is ended here: a link that is no
    /// longer wanted fails its authentication.
    fn create<I: Io>(&mut self, round: &Round<'_, I>) {
        let (directory, context) = (round.sight.directory(), &*round.context);
        self.links.resize_with(directory.places().max(self.links.len()), || None);
        for (id, destination) in directory.destinations() {
            let place = &mut self.links[id.0 as usize];
            let is_open = round.sight.view().destinations[id.0 as usize];
            if is_open && destination.owner == context.index && place.is_none() {
                let peer = Peer::new(id, destination.node, context.shared.facts(), context.now);
                *place = Some(Box::new(Link { peer, is_listed: false, waits_for_step: false }));
                self.deadlines.set(id.0, context.now);
            }
        }
    }

    /// Asks the policy about every link (server.md 3.9).
    pub fn reauthenticate<I: Io>(&mut self, round: &mut Round<'_, I>) {
        for place in 0..self.links.len() {
            let id = DestinationId(place as u32);
            let node = self.with_peer(id, round, |peer, judge, with| {
                let verdict = peer.verdict(judge);
                if peer.is_up() && !verdict.valid {
                    peer.lose(End::NoLongerValid, with);
                }
                peer.set_may_send(verdict.may_send);
                peer.node
            });
            // A place that now belongs to another node has to be vacated.
            let owner = round.sight.directory().destination(id);
            let index = round.context.index;
            if node.is_some_and(|node| owner.is_none_or(|found| found.node != node || found.owner != index)) {
                self.remove(round, id);
            }
        }
        // Vacated places may be wanted again at once.
        self.create(round);
    }

    fn remove<I: Io>(&mut self, round: &mut Round<'_, I>, id: DestinationId) {
        let Some(link) = self.links.get_mut(id.0 as usize).and_then(Option::take) else { return };
        self.deadlines.remove(id.0);
        if let Some(conn) = link.peer.conn() {
            self.by_conn.remove(conn);
        }
        link.peer.remove(&mut round.for_peer().1);
    }

    /// Looks at the links whose deadlines have come.
    pub fn keep_house<I: Io>(&mut self, round: &mut Round<'_, I>) {
        let now = round.context.now;
        while let Some(place) = self.deadlines.pop_due(now) {
            let id = DestinationId(place);
            let stays = self.with_peer(id, round, |peer, judge, with| {
                peer.handle_timeout(with);
                peer.dial_if_due(judge, with)
            });
            if stays == Some(false) {
                self.remove(round, id);
            }
            // Whatever it still waits for is not reached by looking again in this round.
            self.deadlines.no_earlier_than(place, now + LEAST_INTERVAL);
        }
    }

    /// A connection that was asked for is there.
    pub fn handle_connected<I: Io>(&mut self, round: &mut Round<'_, I>, id: DestinationId) {
        let pushed = self.with_peer(id, round, |peer, _, with| peer.handle_connected(with));
        self.after_push(round, id, pushed);
    }

    /// It could not be made.
    pub fn handle_connect_failed<I: Io>(
        &mut self,
        round: &mut Round<'_, I>,
        id: DestinationId,
        failure: ConnectFailure,
    ) {
        self.with_peer(id, round, |peer, _, with| peer.handle_connect_failed(failure, with));
    }

    /// There is something to read.
    pub fn handle_readable<I: Io>(&mut self, round: &mut Round<'_, I>, id: DestinationId) {
        let pushed = self.with_peer(id, round, |peer, judge, with| {
            peer.handle_readable_up(with);
            peer.push(judge, with)
        });
        self.after_push(round, id, pushed);
    }

    /// A buffer comes back, of which the connection took so much.
    pub fn handle_sent<I: Io>(&mut self, round: &mut Round<'_, I>, id: DestinationId, buffer: Vec<u8>, taken: usize) {
        let pushed = self.with_peer(id, round, |peer, judge, with| {
            peer.handle_sent(buffer, taken, with);
            peer.push(judge, with)
        });
        self.after_push(round, id, pushed);
    }

    /// Takes the KEM operation for which the link has waited.
    pub fn step<I: Io>(&mut self, round: &mut Round<'_, I>, id: DestinationId) {
        let Some(Some(link)) = self.links.get_mut(id.0 as usize) else { return };
        link.waits_for_step = false;
        let (key, unix) = (round.sight.link_key(), round.io.unix_now());
        let pushed = self.with_peer(id, round, |peer, judge, with| peer.step(key, unix, judge, with));
        self.after_push(round, id, pushed);
    }

    fn after_push<I: Io>(&mut self, round: &mut Round<'_, I>, id: DestinationId, pushed: Option<Pushed>) {
        let Some(Some(link)) = self.links.get_mut(id.0 as usize) else { return };
        match pushed {
            Some(Pushed::Expensive) if !std::mem::replace(&mut link.waits_for_step, true) => {
                round.steps.push(Waiter::Outgoing(id), true);
            }
            Some(Pushed::Up) => self.list_for_flush(id),
            Some(Pushed::Expensive | Pushed::Waits) | None => {}
        }
    }

    /// Puts a due packet into the queue of its link (server.md 3.8, 3.9).
    pub fn dispatch<I: Io>(&mut self, round: &mut Round<'_, I>, slot: Box<Slot>) {
        let Arrival::Delay { next_hop, destination: id } = slot.arrival else {
            return round.packets.drop_packet(round.context, slot, DropReason::DispatchNilNextHop);
        };
        // The place may have another node by now.
        let destination = round.sight.directory().destination(id).filter(|found| found.node == next_hop);
        match destination.map(|found| found.owner) {
            Some(owner) if owner == round.context.index => self.enqueue(round, id, slot),
            Some(owner) => round.packets.hand_over_late(round.context, round.io, slot, owner),
            None => round.packets.drop_packet(round.context, slot, DropReason::DispatchNoConnection),
        }
    }

    fn enqueue<I: Io>(&mut self, round: &mut Round<'_, I>, id: DestinationId, slot: Box<Slot>) {
        if !matches!(self.links.get(id.0 as usize), Some(Some(_))) {
            return round.packets.drop_packet(round.context, slot, DropReason::DispatchNoConnection);
        }
        self.list_for_flush(id);
        self.with_peer(id, round, |peer, _, with| {
            if peer.wants_flush_now(with.facts) {
                peer.flush(with);
            }
            peer.enqueue(slot, with);
        });
    }

    /// Has the link flushed at the end of this round.
    fn list_for_flush(&mut self, id: DestinationId) {
        if let Some(Some(link)) = self.links.get_mut(id.0 as usize)
            && !std::mem::replace(&mut link.is_listed, true)
        {
            self.to_flush.push_back(id);
        }
    }

    /// Seals and sends what waits, one send per link.
    pub fn flush<I: Io>(&mut self, round: &mut Round<'_, I>) {
        while let Some(id) = self.to_flush.pop_front() {
            if let Some(Some(link)) = self.links.get_mut(id.0 as usize) {
                link.is_listed = false;
            }
            self.with_peer(id, round, |peer, _, with| peer.flush(with));
        }
    }

    /// Ends all links, and drops what waits for them.
    pub fn shut_down<I: Io>(&mut self, round: &mut Round<'_, I>) {
        for link in self.links.drain(..).flatten() {
            link.peer.shut_down(&mut round.for_peer().1);
        }
        self.deadlines = Deadlines::default();
        self.to_flush.clear();
    }

    /// Sets the gauges of these links.
    pub fn update_gauges(&self, context: &Context, io: &impl Io) {
        let queued: usize = self.peers().map(Peer::queued).sum();
        let up = self.peers().filter(|peer| peer.is_up()).count();
        context.account.set(Counter::queued(Queue::Outgoing), queued as u64);
        let slow = self.peers().filter(|peer| peer.is_slow(io, context.now)).count();
        context.account.set(Counter::connections(PeerClass::Outgoing), up as u64);
        context.account.set(Counter::LINKS_SLOW, slow as u64);
    }
}
