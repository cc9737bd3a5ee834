//! Everything that happens rarely: new documents and keys, boundaries of epochs, deadlines, authentication of live
//! links.

use super::Shard;
use crate::account;
use crate::io::{ConnId, Io};
use crate::link::incoming::{Incoming, Stage};
use crate::link::outgoing::Peer;
use crate::packet::pool::DestinationId;
use crate::time::Instant;
use interplane::Counter;
use interplane::counter::LinkEnd;
use std::sync::atomic::Ordering;
use std::time::Duration;

/// Between two looks at a link that is not read although its time is over.
const UNREAD_INTERVAL: Duration = Duration::from_secs(1);
/// Between two looks at all deadlines.
const LEAST_INTERVAL: Duration = Duration::from_millis(1);

impl Shard {
    /// Takes over what was published since the last round, and works out anew what it means when it is time to.
    pub(super) fn take_over(&mut self, io: &mut impl Io) {
        let directory = self.shared.directory().newer(&mut self.directory_seen);
        let keys = self.shared.keys().newer(&mut self.keys_seen);
        let unix = io.unix_now();
        let is_new = directory.is_some() || keys.is_some();
        if !is_new && self.almanac.holds(unix) {
            return;
        }
        let (is_new_document, epoch) = (directory.is_some(), self.almanac.epoch.epoch);
        if let Some(directory) = directory {
            self.directory = directory;
        }
        if let Some(keys) = keys {
            self.keys = keys;
        }
        self.almanac.renew(self.shared.facts(), &self.directory, &self.keys, unix);
        self.create_peers();
        self.reauthenticate(io);
        if is_new_document || self.almanac.epoch.epoch != epoch {
            for place in 0..self.peers.len() {
                self.with_peer(DestinationId(place as u32), io, |peer, _, with| peer.dial_afresh(with));
            }
        }
        self.housekeeping_at = self.now;
        let serial = self.directory.snapshot().serial;
        self.account.set(Counter::SNAPSHOT_SERIAL, serial);
        self.port().applied_serial.store(serial, Ordering::Release);
        self.port().applied_keys.store(self.keys_seen, Ordering::Release);
    }

    /// Makes links for destinations that this shard owns and has no link for. None is ended here: a link that is no
    /// longer wanted fails its authentication.
    fn create_peers(&mut self) {
        self.peers.resize_with(self.directory.places().max(self.peers.len()), || None);
        for (id, destination) in self.directory.destinations() {
            let place = &mut self.peers[id.0 as usize];
            let is_open = self.almanac.destinations[id.0 as usize];
            if is_open && destination.owner == self.index && place.is_none() {
                *place = Some(Box::new(Peer::new(id, destination.node, self.shared.facts(), self.now)));
            }
        }
    }

    /// Asks the policy about every live link (server.md 3.2, 3.9).
    fn reauthenticate(&mut self, io: &mut impl Io) {
        self.reauthenticate_at = self.now + self.shared.facts().reauth_interval;
        for place in 0..self.table.places() {
            if let Some(conn) = self.table.incoming_at(place) {
                self.reauthenticate_incoming(io, conn);
            }
        }
        for place in 0..self.peers.len() {
            let id = DestinationId(place as u32);
            let is_gone = self.with_peer(id, io, |peer, judge, with| {
                let verdict = peer.verdict(judge);
                if peer.is_up() && !verdict.valid {
                    peer.lose(LinkEnd::NoLongerValid, with);
                }
                peer.set_may_send(verdict.may_send);
                peer.node
            });
            // A place that now belongs to another node has to be vacated.
            let owner = self.directory.destination(id);
            if is_gone.is_some_and(|node| owner.is_none_or(|found| found.node != node || found.owner != self.index)) {
                self.remove_peer(io, id);
            }
        }
        // Vacated places may be wanted again at once.
        self.create_peers();
    }

    fn reauthenticate_incoming(&mut self, io: &mut impl Io, conn: ConnId) {
        let Some(mut incoming) = self.table.take_incoming(conn) else { return };
        let mut is_valid = true;
        if let Stage::Up(up) = &mut incoming.stage {
            let verdict = self.judge_incoming(&up.peer);
            is_valid = verdict.valid;
            up.may_send = verdict.may_send;
            if !is_valid {
                self.account.peer_refused(account::peer(Some(&up.peer.additional_data), Some(incoming.address)));
            }
        }
        self.table.insert_incoming(incoming);
        if !is_valid {
            self.close_incoming(io, conn, LinkEnd::NoLongerValid);
        }
    }

    fn remove_peer(&mut self, io: &mut impl Io, id: DestinationId) {
        let Some(peer) = self.peers.get_mut(id.0 as usize).and_then(Option::take) else { return };
        if let Some(conn) = peer.conn() {
            self.table.remove(conn);
        }
        let (_, mut with) = self.surroundings(io);
        peer.remove(&mut with);
    }

    /// Looks at all deadlines, and works out when to look again.
    pub(super) fn keep_house(&mut self, io: &mut impl Io) {
        if self.now >= self.reauthenticate_at {
            self.reauthenticate(io);
        }
        self.time_out_incoming(io);
        for place in 0..self.peers.len() {
            let id = DestinationId(place as u32);
            let stays = self.with_peer(id, io, |peer, judge, with| {
                peer.handle_timeout(with);
                peer.dial_if_due(judge, with)
            });
            if stays == Some(false) {
                self.remove_peer(io, id);
            }
        }
        self.housekeeping_at = self.next_deadline(io.unix_now()).max(self.now + LEAST_INTERVAL);
    }

    fn time_out_incoming(&mut self, io: &mut impl Io) {
        for place in 0..self.table.places() {
            let Some(conn) = self.table.incoming_at(place) else { continue };
            let Some(incoming) = self.table.incoming_mut(conn) else { continue };
            if incoming_deadline(incoming, self.now) > self.now {
                continue;
            }
            match &mut incoming.stage {
                Stage::Handshaking(handshake, _) => {
                    handshake.handle_timeout(self.now, &mut self.random);
                    self.handle_incoming_ready(io, conn);
                }
                Stage::Up(up) => {
                    if let Some(end) = up.handle_timeout(io, conn, self.now, &mut self.random) {
                        self.close_incoming(io, conn, end);
                    }
                }
            }
        }
    }

    fn next_deadline(&self, unix: Duration) -> Instant {
        let boundary = self.now + self.almanac.until.saturating_sub(unix);
        let incoming = self.table.all_incoming().map(|incoming| incoming_deadline(incoming, self.now));
        let outgoing = self.peers().map(|peer| peer.next_timeout(self.shared.facts()));
        incoming.chain(outgoing).fold(boundary.min(self.reauthenticate_at), Instant::min)
    }
}

/// When a connection has been silent for too long. A link that waits to be read is not silent; it is looked at again
/// after a while.
fn incoming_deadline(incoming: &Incoming, now: Instant) -> Instant {
    match &incoming.stage {
        Stage::Handshaking(handshake, _) => handshake.next_timeout(),
        Stage::Up(up) if incoming.is_listed => up.next_timeout().max(now + UNREAD_INTERVAL),
        Stage::Up(up) => up.next_timeout(),
    }
}
