//! What goes wrong on a simulated network: connections that are lost or stand still, hosts that crash, dials that nobody
//! answers; and how much memory it all takes.

use super::connections::{End, Side};
use super::{Happening, HostId, Network, State};
use crate::time::Instant;
use std::net::SocketAddr;

/// What a network holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Holdings {
    /// Places for connections, free ones included.
    pub connections: usize,
    /// Names of connections at all hosts, free ones included.
    pub names: usize,
    /// What is under way, or yet to happen.
    pub agenda: usize,
    /// Events that hosts have not fetched.
    pub events: usize,
    /// Bytes that have arrived and were not read.
    pub unread_bytes: usize,
}

impl Network {
    /// Dials to `address` get no answer at all.
    pub fn swallow_dials(&self, address: SocketAddr) {
        self.0.borrow_mut().black_holes.insert(address);
    }

    /// Loses every connection between the two hosts; both notice at once. Gives their number.
    pub fn cut(&self, a: HostId, b: HostId) -> usize {
        let mut state = self.0.borrow_mut();
        let lost = state.between(a.0, b.0);
        for connection in &lost {
            state.lose(End { connection: *connection, side: 0 });
            state.lose(End { connection: *connection, side: 1 });
        }
        lost.len()
    }

    /// What is sent from now on between the two hosts arrives after `until` at the earliest. Gives the number of their
    /// connections.
    pub fn stall(&self, a: HostId, b: HostId, until: Instant) -> usize {
        let mut state = self.0.borrow_mut();
        let stalled = state.between(a.0, b.0);
        for connection in &stalled {
            for side in 0..2 {
                let side = state.connections.side(End { connection: *connection, side });
                side.line_free_at = side.line_free_at.max(until);
            }
        }
        stalled.len()
    }

    /// The process of this host has died: its connections end, which the others learn after their paths' latency, and it
    /// knows of none of them any more.
    pub fn crash(&self, host: HostId) {
        self.0.borrow_mut().crash(host.0);
    }

    /// Connections that have not ended on both sides.
    pub fn open_connections(&self) -> usize {
        let is_open = |sides: &[Side; 2]| sides.iter().any(|side| side.conn.is_some());
        self.0.borrow().connections.iter().filter(|(_, sides)| is_open(sides)).count()
    }

    /// What the network holds.
    pub fn holdings(&self) -> Holdings {
        let state = self.0.borrow();
        let unread = state.connections.iter().flat_map(|(_, sides)| sides).map(|side| side.arrived.len());
        Holdings {
            connections: state.connections.places(),
            names: state.hosts.iter().map(|host| host.table.len()).sum(),
            agenda: state.agenda.len(),
            events: state.hosts.iter().map(|host| host.events.len()).sum(),
            unread_bytes: unread.sum(),
        }
    }
}

impl State {
    /// Connections between two hosts that are not lost.
    fn between(&self, a: usize, b: usize) -> Vec<usize> {
        let is_meant = |sides: &[Side; 2]| {
            let hosts = [sides[0].host, sides[1].host];
            let is_open = sides.iter().any(|side| side.conn.is_some() && !side.lost);
            is_open && (hosts == [a, b] || hosts == [b, a])
        };
        self.connections.iter().filter(|(_, sides)| is_meant(sides)).map(|(place, _)| place).collect()
    }

    fn crash(&mut self, host: usize) {
        let is_own = |side: &Side| side.host == host && side.conn.is_some();
        let ends = self.connections.iter().flat_map(|(connection, sides)| {
            (0..2).filter(|side| is_own(&sides[*side])).map(move |side| End { connection, side })
        });
        for end in ends.collect::<Vec<_>>() {
            let path = self.connections.path(end.connection);
            let side = self.connections.side(end);
            side.conn = None;
            side.arrived.clear();
            side.sends = None;
            let at = self.departure(end, path, 0);
            self.schedule(at, Happening::Loss { connection: end.connection, side: end.other().side });
        }
        self.air.crash(host);
        let host = &mut self.hosts[host];
        host.events.clear();
        host.woken = false;
        // All names are spent, those of dials under way too.
        for entry in &mut host.table {
            entry.generation += 1;
            entry.end = None;
        }
        host.free = (0..host.table.len() as u32).collect();
    }
}
