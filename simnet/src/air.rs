//! What happens to one member on its way to the simulated network: a clock that is set wrong, peers that cannot be
//! reached, bytes that arrive wrong.

use dataplane::Instant;
use dataplane::io::sim::SimIo;
use dataplane::io::{ConnId, Event, Io, Received, Sending, Target};
use std::cell::RefCell;
use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

/// An address at which dials are swallowed.
pub const NOWHERE: ([u8; 4], u16) = ([192, 0, 2, 255], 1);

/// How one member sees the world.
#[derive(Clone, Debug, Default)]
pub struct Air {
    /// Milliseconds by which its civil clock is ahead.
    pub ahead_ms: i64,
    /// Whom it cannot dial.
    pub unreachable: BTreeSet<SocketAddr>,
    /// How many of the next pieces that it receives have a wrong bit.
    pub wrong_pieces: u32,
    /// How many had.
    pub wronged: u64,
}

/// The air of one member, seen by all that belongs to it.
pub type SharedAir = Rc<RefCell<Air>>;

/// A host's input and output through its air.
pub struct AiryIo<'a> {
    /// The network.
    pub io: &'a mut SimIo,
    /// The air.
    pub air: &'a SharedAir,
}

/// A civil time by a clock that is so much ahead.
pub fn shifted(unix: Duration, ahead_ms: i64) -> Duration {
    let by = Duration::from_millis(ahead_ms.unsigned_abs());
    if ahead_ms < 0 { unix.saturating_sub(by) } else { unix + by }
}

impl Io for AiryIo<'_> {
    fn now(&self) -> Instant {
        self.io.now()
    }

    fn unix_now(&self) -> Duration {
        shifted(self.io.unix_now(), self.air.borrow().ahead_ms)
    }

    fn next_event(&mut self) -> Option<Event> {
        self.io.next_event()
    }

    fn recv(&mut self, conn: ConnId, bytes_max: usize) -> Received<'_> {
        let mut received = self.io.recv(conn, bytes_max);
        if let Received::Bytes { bytes, .. } = &mut received {
            let mut air = self.air.borrow_mut();
            if air.wrong_pieces > 0 {
                air.wrong_pieces -= 1;
                air.wronged += 1;
                let at = bytes.len() / 2;
                bytes[at] ^= 0x10;
            }
        }
        received
    }

    fn send(&mut self, conn: ConnId, buffer: Vec<u8>) {
        self.io.send(conn, buffer);
    }

    fn sending(&self, conn: ConnId) -> Option<Sending> {
        self.io.sending(conn)
    }

    fn connect(&mut self, to: Target) -> ConnId {
        let is_unreachable = self.air.borrow().unreachable.contains(&to.address);
        self.io.connect(if is_unreachable { Target::tcp(NOWHERE.into()) } else { to })
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
