//! One queue of the interface: its frames, and the four rings between us and the kernel.
//!
//! A frame is for arriving or for leaving, for ever. One for arriving is in the fill ring, or the kernel's, or in the receive ring,
//! or lent to the caller, who gives it back before the next; one for leaving is in the list of free ones, or in the send ring, or the
//! kernel's, or in the completion ring. Each ring has room for all frames that can be in it, so none can get lost for want of
//! room.

use crate::attachment::{Attachment, once_gone};
use crate::memory::{Area, Consumer, Producer};
use crate::refusal::{Refusal, Step};
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::io::Errno;
use rustix::net::xdp::{
    SocketAddrXdp, SocketAddrXdpFlags, XDP_PGOFF_RX_RING, XDP_PGOFF_TX_RING, XDP_UMEM_PGOFF_COMPLETION_RING,
    XDP_UMEM_PGOFF_FILL_RING, XdpDesc, XdpDescOptions, XdpOptionsFlags, XdpUmemReg, XdpUmemRegFlags,
};
use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, bind, recv, send, socket_with, sockopt,
};
use std::sync::Arc;

/// How many frames a queue has, for either way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Frames {
    /// For what arrives: a power of two.
    pub arriving: u32,
    /// For what leaves: a power of two.
    pub leaving: u32,
}

impl Default for Frames {
    /// So many that the ring of empty ones does not run dry while a shard is busy with a round: 2,048 were too few.
    fn default() -> Self {
        Self { arriving: 4096, leaving: 2048 }
    }
}

/// What the kernel keeps for itself at the beginning of each frame.
const HEADROOM_BYTES: usize = 256;
const FRAME_BYTES: [usize; 2] = [2048, 4096];
/// How many frames the kernel sends at most when it is told of them.
const SENT_AT_ONCE: u32 = 32;

/// The largest packet of IP for which there are frames.
pub fn mtu_max() -> u32 {
    (FRAME_BYTES[1] - HEADROOM_BYTES - datagram::frame::ETHERNET_BYTES) as u32
}

/// A queue with its socket.
pub struct Queue {
    socket: OwnedFd,
    area: Area,
    frame_bytes: usize,
    fill: Producer<u64>,
    arrived: Consumer<XdpDesc>,
    leaving: Producer<XdpDesc>,
    left: Consumer<u64>,
    /// Where the frames begin that can take what is to leave.
    free: Vec<u64>,
    number: u32,
    is_zero_copy: bool,
    /// Frames that were put into the send ring and not published.
    unpublished: u32,
    /// The last attempt to send, if it failed for a reason that does not pass by itself.
    failure: Option<Errno>,
    attachment: Arc<Attachment>,
}

/// What was counted at a queue since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct QueueCounters {
    /// Frames that the kernel dropped for want of a free one, or for their size.
    pub arrived_dropped: u64,
    /// Frames that found no place in the receive ring.
    pub ring_full: u64,
    /// How often the kernel found no frame to fill. What was dropped for it is counted among the dropped.
    pub fill_ring_empty: u64,
    /// Descriptors that the kernel found wrong, in both directions: mistakes of ours.
    pub invalid: u64,
}

/// A frame that has arrived.
#[derive(Clone, Copy, Debug)]
pub struct Lent {
    at: u64,
    bytes: u32,
}

impl Queue {
    /// Opens the socket of a queue and tells the program of it.
    pub fn open(attachment: &Arc<Attachment>, number: u32, frames: Frames) -> Result<Self, Refusal> {
        let Frames { arriving, leaving } = frames;
        let interface = attachment.interface();
        let name = interface.name.as_str();
        let refused = |step| move |code| Refusal::of(code, step, name, number);
        let frame_bytes = frame_bytes(interface.mtu).ok_or_else(|| Refusal::Mtu {
            name: name.to_owned(),
            mtu: interface.mtu,
            mtu_max: mtu_max(),
        })?;
        let flags = SocketFlags::CLOEXEC;
        let socket = socket_with(AddressFamily::XDP, SocketType::RAW, flags, None).map_err(refused(Step::Socket))?;
        let bytes = (arriving as usize + leaving as usize) * frame_bytes;
        let area = Area::new(bytes).map_err(refused(Step::Memory))?;
        let registration = XdpUmemReg {
            addr: area.address(),
            len: bytes as u64,
            chunk_size: frame_bytes as u32,
            headroom: 0,
            flags: XdpUmemRegFlags::empty(),
            tx_metadata_len: 0,
        };
        let registered = sockopt::set_xdp_umem_reg(&socket, registration);
        registered.map_err(|code| Refusal::of_memory(code, bytes as u64, name))?;
        let rings = rings(&socket, frames).map_err(refused(Step::Rings))?;
        let address = SocketAddrXdp::new(SocketAddrXdpFlags::XDP_USE_NEED_WAKEUP, interface.index, number);
        once_gone(|| bind(&socket, &address)).map_err(refused(Step::Bind))?;
        let options = sockopt::xdp_options(&socket).unwrap_or(XdpOptionsFlags::empty());
        let (fill, arrived, to_leave, left) = rings;
        let frame = |index: u32| u64::from(index) * frame_bytes as u64;
        let mut queue = Self {
            socket,
            area,
            frame_bytes,
            fill,
            arrived,
            leaving: to_leave,
            left,
            free: (arriving..arriving + leaving).map(frame).collect(),
            number,
            is_zero_copy: options.contains(XdpOptionsFlags::XDP_OPTIONS_ZEROCOPY),
            unpublished: 0,
            failure: None,
            attachment: Arc::clone(attachment),
        };
        (0..arriving).for_each(|index| queue.fill(frame(index)));
        queue.fill.publish();
        queue.wake_fill();
        queue.attachment.enter_socket(number, queue.socket.as_fd())?;
        Ok(queue)
    }

    /// The program that picks for it.
    pub fn attachment(&self) -> &Arc<Attachment> {
        &self.attachment
    }

    /// Its number at the interface.
    pub fn number(&self) -> u32 {
        self.number
    }

    /// Whether the card reads and writes the frames itself.
    pub fn is_zero_copy(&self) -> bool {
        self.is_zero_copy
    }

    /// The socket: it can be read from when something has arrived, and waited for with whatever waits for the rest.
    pub fn socket(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }

    /// The next frame that has arrived. It is lent until [`Queue::give_back`].
    pub fn take(&mut self) -> Option<Lent> {
        loop {
            let XdpDesc { addr, len, .. } = self.arrived.pop()?;
            self.arrived.release();
            let lent = Lent { at: addr, bytes: len };
            if self.bytes(lent).is_some() {
                return Some(lent);
            }
            self.give_back(lent);
        }
    }

    /// A frame waits for [`Queue::take`].
    pub fn has_arrived(&mut self) -> bool {
        !self.arrived.is_empty()
    }

    /// What is in it. None if it is not a frame of this queue.
    pub fn bytes(&mut self, lent: Lent) -> Option<&mut [u8]> {
        let at = usize::try_from(lent.at).ok()?;
        self.area.piece(at, lent.bytes as usize)
    }

    /// The kernel may fill it again.
    pub fn give_back(&mut self, lent: Lent) {
        let size = self.frame_bytes as u64;
        self.fill(lent.at / size * size);
        self.fill.publish();
    }

    fn fill(&mut self, frame: u64) {
        let has_room = self.fill.push(frame);
        debug_assert!(has_room, "the fill ring has room for all frames that arrive");
    }

    /// Tells the kernel of frames to fill, where it wants to be told.
    pub fn wake_fill(&self) {
        if self.fill.needs_wakeup() {
            // Nothing is received: it is a way to call the driver. What is wrong with the interface is seen when sending.
            let _nothing = recv(&self.socket, &mut [0_u8; 0][..], RecvFlags::DONTWAIT);
        }
    }

    /// How many frames can be sent now.
    pub fn room(&self) -> usize {
        self.free.len()
    }

    /// Sends a frame of so many bytes that `write` fills; it leaves with [`Queue::flush`]. False if there is no free frame, if it would
    /// be too large, or if `write` says so.
    #[must_use]
    pub fn send(&mut self, bytes: usize, write: impl FnOnce(&mut [u8]) -> bool) -> bool {
        if bytes > self.frame_bytes {
            return false;
        }
        if self.free.is_empty() {
            self.flush();
        }
        let Some(frame) = self.free.pop() else { return false };
        let descriptor = XdpDesc { addr: frame, len: bytes as u32, options: XdpDescOptions::empty() };
        let is_written = self.area.piece(frame as usize, bytes).is_some_and(write);
        if !is_written || !self.leaving.push(descriptor) {
            self.free.push(frame);
            return false;
        }
        self.unpublished += 1;
        if self.unpublished >= SENT_AT_ONCE {
            self.flush();
        }
        true
    }

    /// Lets the frames leave, and takes back those that have left.
    pub fn flush(&mut self) {
        self.take_back();
        if self.unpublished > 0 {
            self.leaving.publish();
            self.unpublished = 0;
        }
        // What the kernel could not take the last time is tried again too.
        let mut waiting = self.leaving.waiting();
        if waiting == 0 {
            self.failure = None;
        }
        let attempts = waiting.div_ceil(SENT_AT_ONCE) + 1;
        for _ in 0..attempts {
            if waiting == 0 || (self.is_zero_copy && !self.leaving.needs_wakeup()) {
                break;
            }
            let answer = send(&self.socket, &[], SendFlags::DONTWAIT);
            waiting = self.leaving.waiting();
            self.failure = answer.err().filter(|&code| !passes(code));
            // No room at the card or in the completion ring: the next round is another one.
            if matches!(answer, Err(code) if code != Errno::AGAIN && code != Errno::INTR) {
                break;
            }
        }
        self.take_back();
    }

    fn take_back(&mut self) {
        let size = self.frame_bytes as u64;
        let mut taken = false;
        while let Some(at) = self.left.pop() {
            self.free.push(at / size * size);
            taken = true;
        }
        if taken {
            self.left.release();
        }
    }

    /// Frames wait for another [`Queue::flush`].
    pub fn is_backlogged(&mut self) -> bool {
        self.unpublished > 0 || self.leaving.waiting() > 0
    }

    /// What is wrong with the interface, if sending fails.
    pub fn failure(&self) -> Option<Errno> {
        self.failure
    }

    /// What was counted.
    pub fn counters(&self) -> QueueCounters {
        let Ok(counted) = sockopt::xdp_statistics(&self.socket) else { return QueueCounters::default() };
        QueueCounters {
            arrived_dropped: counted.rx_dropped,
            ring_full: counted.rx_ring_full.unwrap_or_default(),
            fill_ring_empty: counted.rx_fill_ring_empty_descs.unwrap_or_default(),
            invalid: counted.rx_invalid_descs + counted.tx_invalid_descs,
        }
    }
}

/// Whether an error of sending passes by itself.
fn passes(code: Errno) -> bool {
    matches!(code, Errno::AGAIN | Errno::BUSY | Errno::NOBUFS | Errno::INTR)
}

/// The memory of a queue's frames at an interface with that MTU; none where they are too small.
pub fn frames_bytes(mtu: u32, frames: Frames) -> Option<usize> {
    frame_bytes(mtu).map(|bytes| (frames.arriving as usize + frames.leaving as usize) * bytes)
}

/// How large frames have to be for such packets.
fn frame_bytes(mtu: u32) -> Option<usize> {
    let wanted = mtu as usize + datagram::frame::ETHERNET_BYTES + HEADROOM_BYTES;
    FRAME_BYTES.into_iter().find(|&bytes| wanted <= bytes)
}

type Rings = (Producer<u64>, Consumer<XdpDesc>, Producer<XdpDesc>, Consumer<u64>);

fn rings(socket: &OwnedFd, frames: Frames) -> Result<Rings, Errno> {
    sockopt::set_xdp_umem_fill_ring_size(socket, frames.arriving)?;
    sockopt::set_xdp_umem_completion_ring_size(socket, frames.leaving)?;
    sockopt::set_xdp_rx_ring_size(socket, frames.arriving)?;
    sockopt::set_xdp_tx_ring_size(socket, frames.leaving)?;
    let offsets = sockopt::xdp_mmap_offsets(socket)?;
    let fd = socket.as_fd();
    Ok((
        Producer::map(fd, XDP_UMEM_PGOFF_FILL_RING, &offsets.fr, frames.arriving)?,
        Consumer::map(fd, XDP_PGOFF_RX_RING, &offsets.rx, frames.arriving)?,
        Producer::map(fd, XDP_PGOFF_TX_RING, &offsets.tx, frames.leaving)?,
        Consumer::map(fd, XDP_UMEM_PGOFF_COMPLETION_RING, &offsets.cr, frames.leaving)?,
    ))
}
