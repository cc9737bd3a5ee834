//! Where the packets of a drive come from: all made before, or some at a time while others are under way.

use super::mill::Pool;
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, TryRecvError};

/// Pools that somebody makes meanwhile.
pub struct Stream {
    /// Sealed, in the order of sealing.
    pub full: Receiver<Pool>,
    /// Takes them back when their frames are written, so that their memory is used again.
    pub empty: Sender<Pool>,
    /// How many are made and not taken.
    pub stocked: Arc<AtomicUsize>,
}

/// What there is to send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// A packet.
    Packet,
    /// Nothing yet.
    Wait,
    /// Nothing any more.
    Over,
}

/// Packets, one after the other.
pub struct Supply {
    pool: Arc<Pool>,
    /// Its next packet.
    next: usize,
    stream: Option<Stream>,
    /// Sent, but maybe not written.
    used: VecDeque<Arc<Pool>>,
}

impl Supply {
    /// These packets, and no others.
    pub fn of(pool: Pool) -> Self {
        Self { pool: Arc::new(pool), next: 0, stream: None, used: VecDeque::new() }
    }

    /// What is made meanwhile.
    pub fn from(stream: Stream) -> Self {
        Self { stream: Some(stream), ..Self::of(Pool::default()) }
    }

    /// Whether there is a packet to take.
    pub fn look(&mut self) -> Next {
        while self.next >= self.pool.count() {
            let Some(stream) = &self.stream else { return Next::Over };
            let pool = match stream.full.try_recv() {
                Ok(pool) => pool,
                Err(TryRecvError::Empty) => return Next::Wait,
                Err(TryRecvError::Disconnected) => return Next::Over,
            };
            stream.stocked.fetch_sub(1, Ordering::Relaxed);
            let used = std::mem::replace(&mut self.pool, Arc::new(pool));
            self.next = 0;
            // The very first one has no room for packets.
            self.used.extend((used.count() > 0).then_some(used));
            while let Some(used) = self.used.pop_front() {
                match Arc::try_unwrap(used) {
                    // Nobody makes any more: it goes.
                    Ok(written) => drop(stream.empty.send(written)),
                    Err(waiting) => {
                        self.used.push_front(waiting);
                        break;
                    }
                }
            }
        }
        Next::Packet
    }

    /// How many are made, and not taken.
    pub fn stock(&self) -> usize {
        let streamed = self.stream.as_ref().map_or(0, |stream| stream.stocked.load(Ordering::Relaxed));
        self.pool.count().saturating_sub(self.next) + streamed
    }

    /// The pool and the number in it of the packet that [`Supply::look`] has found.
    pub fn packet(&self) -> (&Arc<Pool>, usize) {
        (&self.pool, self.next)
    }

    /// It has been taken.
    pub fn advance(&mut self) {
        self.next += 1;
    }
}
