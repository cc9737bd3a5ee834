//! DPDK: the start of the process, ports, and bursts of frames of one queue.
//!
//! Buffers are the queue's from the burst that brought them until the next one, or from [`Frames::send`] until the card takes
//! them; they go back to the pool on every path.

mod shim;

use crate::link::Frames;
use datagram::frame::{ETHERNET_BYTES, Mac};
use shim::{Buffer, Pool};
use std::ffi::CString;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Frames that are received or sent at once.
const BURST: usize = 32;
/// Frames that wait for the card at most; beyond, they are lost.
const WAITING_MAX: usize = 1024;
/// Descriptors of a queue each way.
const DESCRIPTORS: u16 = 1024;
/// Buffers of a queue: both of its rings full, what waits, two bursts, and caches of threads.
const BUFFERS_OF_QUEUE: u32 = 2 * DESCRIPTORS as u32 + WAITING_MAX as u32 + 1024;

/// What DPDK has refused.
#[derive(Debug, thiserror::Error)]
pub enum DpdkError {
    /// The process cannot begin.
    #[error(
        "DPDK does not start with {arguments}: {reason}; is there memory for it (--no-huge, or huge pages), and may this process have the card?"
    )]
    Start {
        /// With which arguments.
        arguments: String,
        /// Why.
        reason: std::io::Error,
    },
    /// It has begun already: a process has one.
    #[error("DPDK has been started in this process: it can be only once")]
    Twice,
    /// An argument with a zero byte.
    #[error("an argument of DPDK has a zero byte")]
    Argument,
    /// There is no such card.
    #[error(
        "no card {name} at DPDK: name the PCI address that it is bound at (dpdk-devbind.py --status), or a device of --vdev"
    )]
    NoPort {
        /// Its name.
        name: String,
    },
    /// A card that does not begin.
    #[error("card {name} with {queues} queues: {reason}")]
    Port {
        /// Its name.
        name: String,
        /// With so many queues.
        queues: u16,
        /// Why.
        reason: std::io::Error,
    },
    /// A queue that the card does not have, or somebody has it.
    #[error("queue {queue} of card {name} is not there, or taken")]
    Queue {
        /// The card.
        name: String,
        /// The queue.
        queue: u16,
    },
}

/// DPDK in this process.
#[derive(Debug)]
pub struct Dpdk(());

static STARTED: Mutex<bool> = Mutex::new(false);

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Dpdk {
    /// Starts it with the arguments of its environment (EAL), the program's name left out. A thread of its own does it, because
    /// it is bound to a processor by it.
    pub fn start(arguments: &[&str]) -> Result<Self, DpdkError> {
        let mut started = locked(&STARTED);
        if std::mem::replace(&mut *started, true) {
            return Err(DpdkError::Twice);
        }
        let all: Result<Vec<CString>, _> =
            std::iter::once(&"dpdk").chain(arguments).map(|argument| CString::new(*argument)).collect();
        let all = all.map_err(|_| DpdkError::Argument)?;
        let outcome = std::thread::spawn(move || shim::start(all)).join();
        let fail = |reason| DpdkError::Start { arguments: arguments.join(" "), reason };
        match outcome {
            Ok(Ok(())) => Ok(Self(())),
            Ok(Err(reason)) => Err(fail(reason)),
            Err(_) => Err(fail(std::io::Error::other("its thread has panicked"))),
        }
    }

    /// Opens a card with so many queues, one for each shard.
    pub fn open(&self, name: &str, queues: u16) -> Result<Arc<Port>, DpdkError> {
        let text = CString::new(name).map_err(|_| DpdkError::Argument)?;
        let id = shim::find(&text).ok_or_else(|| DpdkError::NoPort { name: name.into() })?;
        let buffers = BUFFERS_OF_QUEUE * u32::from(queues.max(1));
        let found = shim::open(id, queues, DESCRIPTORS, buffers);
        let found = found.map_err(|reason| DpdkError::Port { name: name.into(), queues, reason })?;
        let taken = Mutex::new(vec![(false, false); usize::from(queues)]);
        Ok(Arc::new(Port { id, name: name.into(), found, taken }))
    }
}

/// A card that has been started. It stops when it and all of its queues are dropped.
#[derive(Debug)]
pub struct Port {
    id: u16,
    name: String,
    found: shim::Found,
    /// Of each queue whether somebody receives, and sends.
    taken: Mutex<Vec<(bool, bool)>>,
}

impl Port {
    /// Takes a queue for the thread that moves its frames.
    pub fn queue(self: &Arc<Self>, queue: u16) -> Result<Queue, DpdkError> {
        self.queue_crossed(queue, queue)
    }

    /// Takes one queue to receive and another one to send: what joins two ends over queues that loop back.
    pub fn queue_crossed(self: &Arc<Self>, receives: u16, sends: u16) -> Result<Queue, DpdkError> {
        let refused = |queue| DpdkError::Queue { name: self.name.clone(), queue };
        let mut taken = locked(&self.taken);
        let count = taken.len();
        for queue in [receives, sends] {
            if usize::from(queue) >= count {
                return Err(refused(queue));
            }
        }
        let (is_received, is_sent) = (taken[usize::from(receives)].0, taken[usize::from(sends)].1);
        if is_received || is_sent {
            return Err(refused(if is_received { receives } else { sends }));
        }
        taken[usize::from(receives)].0 = true;
        taken[usize::from(sends)].1 = true;
        drop(taken);
        Ok(Queue {
            port: Arc::clone(self),
            receives,
            sends,
            arrived: shim::Burst::default(),
            current: None,
            reserve: Vec::with_capacity(BURST),
            waiting: Vec::with_capacity(WAITING_MAX),
            lengths: Vec::with_capacity(WAITING_MAX),
            lost: 0,
        })
    }

    /// Whether the card deals datagrams out to its queues by a hash of their addresses and ports.
    pub fn is_hashing(&self) -> bool {
        self.found.is_hashing
    }
}

impl Drop for Port {
    fn drop(&mut self) {
        shim::close(self.id);
    }
}

/// One queue each way.
pub struct Queue {
    port: Arc<Port>,
    receives: u16,
    sends: u16,
    arrived: shim::Burst,
    /// Which frame of the burst is lent.
    current: Option<usize>,
    /// Empty buffers.
    reserve: Vec<Buffer>,
    /// Filled buffers, with their lengths beside.
    waiting: Vec<Buffer>,
    lengths: Vec<u32>,
    lost: u64,
}

impl Queue {
    /// To be called once on the thread that moves frames: with a number at DPDK it has a cache of buffers. Without, it works
    /// all the same, slower.
    pub fn join() -> Result<(), std::io::Error> {
        shim::join()
    }

    fn pool(&self) -> Pool {
        self.port.found.pool
    }
}

impl Frames for Queue {
    fn mac(&self) -> Mac {
        self.port.found.mac
    }

    fn mtu(&self) -> usize {
        usize::from(self.port.found.mtu)
    }

    fn next_frame(&mut self) -> Option<(&mut [u8], bool)> {
        let next = self.current.map_or(0, |current| current + 1);
        let next = if next < self.arrived.len() {
            next
        } else {
            self.current = None;
            self.arrived.receive(self.port.id, self.receives);
            0
        };
        if self.arrived.len() == 0 {
            return None;
        }
        self.current = Some(next);
        self.arrived.frame(next)
    }

    fn current(&mut self) -> Option<&mut [u8]> {
        self.arrived.frame(self.current?).map(|(bytes, _)| bytes)
    }

    fn room(&self) -> usize {
        WAITING_MAX - self.waiting.len()
    }

    fn send(&mut self, bytes: usize, write: &mut dyn FnMut(&mut [u8]) -> bool) -> bool {
        if self.waiting.len() == WAITING_MAX {
            self.flush();
        }
        if self.waiting.len() == WAITING_MAX || bytes > self.mtu() + ETHERNET_BYTES {
            return false;
        }
        if self.reserve.is_empty() {
            shim::reserve(self.pool(), BURST, &mut self.reserve);
        }
        let Some(mut buffer) = self.reserve.pop() else { return false };
        let is_written = buffer.bytes(bytes).is_some_and(&mut *write);
        if !is_written {
            self.reserve.push(buffer);
            return false;
        }
        self.waiting.push(buffer);
        self.lengths.push(bytes as u32);
        if self.waiting.len().is_multiple_of(BURST) {
            self.flush();
        }
        true
    }

    fn flush(&mut self) {
        let mut sent = 0;
        while sent < self.waiting.len() {
            let end = (sent + BURST).min(self.waiting.len());
            let taken = shim::transmit(self.port.id, self.sends, &self.waiting[sent..end], &self.lengths[sent..end]);
            sent += taken;
            if taken == 0 {
                break;
            }
        }
        // The card owns these now.
        self.waiting.drain(..sent).for_each(Buffer::forget);
        self.lengths.drain(..sent);
    }

    fn lost(&self) -> u64 {
        // The card counts for all queues together: the first one tells.
        self.lost + if self.receives == 0 { shim::missed(self.port.id) } else { 0 }
    }
}

impl Drop for Queue {
    fn drop(&mut self) {
        let mut taken = locked(&self.port.taken);
        taken[usize::from(self.receives)].0 = false;
        taken[usize::from(self.sends)].1 = false;
    }
}
