//! Shards whose work takes time: what each stage costs passes on the clock of the simulation while it is done.
//!
//! The costs are those of the slowest hosts that the node is made for (AVX2, X25519, 2 kB of payload): longer batches
//! are what could give something away. What was unwrapped is told by the replay sets, so nothing in the shard is changed.

use crate::io::sim::SimIo;
use crate::io::{ConnId, Event, Io, Received, Sending, Target};
use crate::shard::{Next, Shard};
use crate::time::Instant;
use interplane::ReplaySet;
use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

/// Packets that the kernels unwrap together, and how long they take for them.
const LANES: u64 = 8;
const LANES_TAKE: Duration = Duration::from_micros(200);
/// To open or to seal one frame.
const FRAME_TAKES: Duration = Duration::from_micros(2);
/// A round in which there is nothing to do.
const ROUND_TAKES: Duration = Duration::from_micros(2);

/// Packets per second that a shard can carry at most.
pub fn capacity() -> f64 {
    let packet = LANES_TAKE.as_secs_f64() / LANES as f64 + 2.0 * FRAME_TAKES.as_secs_f64();
    1.0 / packet
}

/// Frames that were sent together.
pub struct Sent {
    pub at: Instant,
    pub to: SocketAddr,
    pub frames: usize,
}

/// What is seen of all shards of the node.
pub struct Watch {
    /// The replay sets of the keys: the current one's, the last one's, the next one's.
    pub replays: [Arc<ReplaySet>; 3],
    filled: [u64; 3],
    pub frame_bytes: usize,
    links: HashMap<(usize, ConnId), SocketAddr>,
    /// In the order in which they went out, from the moment from which it is asked for.
    pub sent: Vec<Sent>,
    pub is_measuring: bool,
    /// Packets that are on their way or here, and not unwrapped: number, tag, place of the key.
    pub waiting: Vec<(usize, [u8; 32], usize)>,
    /// Which shard has unwrapped each packet.
    pub unwrapped_by: HashMap<usize, usize>,
}

impl Watch {
    pub fn new(replays: [Arc<ReplaySet>; 3], frame_bytes: usize) -> Self {
        Self {
            replays,
            filled: [0; 3],
            frame_bytes,
            links: HashMap::new(),
            sent: Vec::new(),
            is_measuring: false,
            waiting: Vec::new(),
            unwrapped_by: HashMap::new(),
        }
    }

    /// What has been unwrapped since the last time, key by key, costs so much. What is not for the current key has been
    /// tried with that one first.
    fn unwrapped(&mut self) -> Duration {
        let tags = [0, 1, 2].map(|key| self.replays[key].fill().tags);
        let new = [0, 1, 2].map(|key| tags[key] - self.filled[key]);
        self.filled = tags;
        let passes: u64 = new.iter().map(|packets| packets.div_ceil(LANES)).sum();
        LANES_TAKE * (passes + (new[1] + new[2]).div_ceil(LANES)) as u32
    }

    fn note_unwrapped(&mut self, shard: usize) {
        let Self { waiting, replays, unwrapped_by, .. } = self;
        waiting.retain(|(number, tag, key)| {
            let is_done = replays[*key].contains(tag);
            if is_done {
                unwrapped_by.insert(*number, shard);
            }
            !is_done
        });
    }
}

/// A shard on a processor of its own.
pub struct Worker {
    pub shard: Shard,
    index: usize,
    watch: Rc<RefCell<Watch>>,
    busy_until: Instant,
    pub busy: Duration,
}

impl Worker {
    pub fn new(index: usize, shard: Shard, watch: &Rc<RefCell<Watch>>) -> Self {
        Self { shard, index, watch: Rc::clone(watch), busy_until: Instant::default(), busy: Duration::ZERO }
    }

    pub fn poll(&mut self, io: &mut SimIo) -> Next {
        let start = io.now();
        if start < self.busy_until {
            return Next::ParkUntil(self.busy_until);
        }
        let filled = self.watch.borrow().filled;
        let mut io = Costed { io, index: self.index, spent: Cell::new(ROUND_TAKES), watch: &self.watch };
        let next = self.shard.poll(&mut io);
        let spent = io.spent.get();
        if self.watch.borrow().filled != filled {
            self.watch.borrow_mut().note_unwrapped(self.index);
        }
        self.busy += spent - ROUND_TAKES;
        self.busy_until = start + spent;
        match next {
            Next::Busy => Next::ParkUntil(self.busy_until),
            Next::ParkUntil(at) => Next::ParkUntil(at.max(self.busy_until)),
        }
    }
}

/// Input and output on a clock that goes on while a shard works.
struct Costed<'a> {
    io: &'a mut SimIo,
    index: usize,
    spent: Cell<Duration>,
    watch: &'a RefCell<Watch>,
}

impl Costed<'_> {
    fn spend(&self, time: Duration) {
        self.spent.set(self.spent.get() + time);
    }
}

impl Io for Costed<'_> {
    fn now(&self) -> Instant {
        self.spend(self.watch.borrow_mut().unwrapped());
        self.io.now() + self.spent.get()
    }

    fn unix_now(&self) -> Duration {
        self.io.unix_now()
    }

    fn next_event(&mut self) -> Option<Event> {
        self.io.next_event()
    }

    fn recv(&mut self, conn: ConnId, bytes_max: usize) -> Received<'_> {
        let spent = self.spent.get();
        let received = self.io.recv(conn, bytes_max);
        let Received::Bytes { bytes, at } = received else { return received };
        let frames = bytes.len() / self.watch.borrow().frame_bytes;
        self.spent.set(spent + FRAME_TAKES * frames as u32);
        Received::Bytes { bytes, at: at + spent }
    }

    fn send(&mut self, conn: ConnId, buffer: Vec<u8>) {
        let mut watch = self.watch.borrow_mut();
        if let Some(to) = watch.links.get(&(self.index, conn)).copied().filter(|_| watch.is_measuring) {
            let frames = buffer.len() / watch.frame_bytes;
            assert_eq!(frames * watch.frame_bytes, buffer.len(), "only packets go out");
            self.spend(FRAME_TAKES * frames as u32);
            watch.sent.push(Sent { at: self.io.now() + self.spent.get(), to, frames });
        }
        self.io.send(conn, buffer);
    }

    fn sending(&self, conn: ConnId) -> Option<Sending> {
        self.io.sending(conn)
    }

    fn connect(&mut self, to: Target) -> ConnId {
        let conn = self.io.connect(to);
        self.watch.borrow_mut().links.insert((self.index, conn), to.address);
        conn
    }

    fn hand_over(&mut self, conn: ConnId, to_shard: usize) -> bool {
        self.io.hand_over(conn, to_shard)
    }

    fn close(&mut self, conn: ConnId) -> usize {
        self.io.close(conn)
    }

    fn wake(&mut self, shard: usize) {
        self.io.wake(shard);
    }
}
