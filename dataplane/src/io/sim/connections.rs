//! The connections of a simulated network. A place is free for another one when both ends have closed and nothing is under
//! way any more, so that a long run needs no more memory than a short one.

use super::Path;
use crate::io::ConnId;
use crate::io::under_way::UnderWay;
use crate::time::Instant;
use std::collections::VecDeque;

/// One end of a connection.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct End {
    pub connection: usize,
    pub side: usize,
}

impl End {
    pub fn other(self) -> Self {
        Self { side: 1 - self.side, ..self }
    }
}

struct Connection {
    path: Path,
    sides: [Side; 2],
    /// What is on the agenda about it.
    pending: usize,
    is_free: bool,
}

/// What one end sees.
#[derive(Default)]
pub struct Side {
    pub host: usize,
    pub conn: Option<ConnId>,
    pub arrived: VecDeque<u8>,
    /// Bytes on their way here.
    pub under_way: usize,
    /// When the line from here is free again.
    pub line_free_at: Instant,
    /// When the last bytes from here arrive: later ones do not overtake.
    pub last_arrival: Instant,
    pub waits_to_read: bool,
    pub sends: Option<UnderWay>,
    pub ended: bool,
    pub lost: bool,
}

/// All connections, by their places.
#[derive(Default)]
pub struct Connections {
    places: Vec<Connection>,
    free: Vec<usize>,
}

impl Connections {
    /// A connection between two hosts, the one that dialled first; gives its place. It has no names yet.
    pub fn add(&mut self, path: Path, hosts: [usize; 2]) -> usize {
        let sides = hosts.map(|host| Side { host, ..Side::default() });
        let connection = Connection { path, sides, pending: 0, is_free: false };
        if let Some(place) = self.free.pop() {
            self.places[place] = connection;
            return place;
        }
        self.places.push(connection);
        self.places.len() - 1
    }

    /// What the path is like.
    pub fn path(&self, connection: usize) -> Path {
        self.places[connection].path
    }

    /// One end.
    pub fn side(&mut self, end: End) -> &mut Side {
        &mut self.places[end.connection].sides[end.side]
    }

    /// Something is on the agenda about a connection.
    pub fn hold(&mut self, connection: usize) {
        self.places[connection].pending += 1;
    }

    /// It has happened.
    pub fn release(&mut self, connection: usize) {
        let place = &mut self.places[connection];
        place.pending -= 1;
        // Each end that closes puts something on the agenda, so that this is the last moment.
        if place.pending == 0 && place.sides.iter().all(|side| side.conn.is_none()) {
            place.sides = Default::default();
            place.is_free = true;
            self.free.push(connection);
        }
    }

    /// Those that are not over, with their sides.
    pub fn iter(&self) -> impl Iterator<Item = (usize, &[Side; 2])> {
        let used = self.places.iter().enumerate().filter(|(_, place)| !place.is_free);
        used.map(|(place, connection)| (place, &connection.sides))
    }

    /// Places, free ones included.
    pub fn places(&self) -> usize {
        self.places.len()
    }
}
