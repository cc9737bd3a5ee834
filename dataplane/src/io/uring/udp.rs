//! The datagrams of one ring: sockets, requests that receive, and what has come.

use super::buffers::{Buffers, Kind};
use super::nap::AT_ONCE;
use super::places::Places;
use super::request::{What, name};
use super::ring::{Completion, Ring};
use crate::time::Instant;
use datagram::look::Look;
use datagram::udp::control::{self, CONTROL_BYTES, NAME_BYTES};
use datagram::udp::sockets::{After, Sockets};
use datagram::{Arrived, SocketId, Train};
use io_uring::types::RecvMsgOut;
use io_uring::{Submitter, opcode, types};
use std::collections::VecDeque;
use std::os::fd::{AsRawFd, OwnedFd};
use std::time::Duration;

/// How long to leave a socket alone after an error that a free buffer does not mend.
const PAUSE: Duration = Duration::from_millis(100);
/// What the kernel puts before the datagrams of a train.
const FRONT_BYTES: usize = 16 + NAME_BYTES + CONTROL_BYTES;
/// The longest train of any kernel, with that: whole pages.
const TRAIN_BYTES: usize = (FRONT_BYTES + (64 << 10)).next_multiple_of(4096);

/// The buffers of a socket. The memory of one is there once it was filled so far.
fn kind(socket: SocketId) -> Kind {
    Kind {
        group: 1 + socket.0 as u16,
        count: 16,
        provided_min: 8,
        provided_max: 16,
        little_bytes: TRAIN_BYTES / 4,
        bytes: TRAIN_BYTES,
    }
}

/// A train in a buffer.
#[derive(Clone, Copy)]
struct Filled {
    socket: SocketId,
    number: u16,
    bytes: usize,
    look: Look,
}

/// The datagram half of a shard's ring.
pub struct Udp {
    sockets: Sockets,
    places: Places,
    /// By the numbers of the sockets.
    buffers: Vec<Buffers>,
    /// What all requests to receive say of the lengths of things.
    header: Box<libc::msghdr>,
    arrived: VecDeque<Filled>,
    /// The buffer that was lent last.
    lent: Option<(SocketId, u16)>,
    /// Sockets without a request, and when they get one.
    silent: Vec<(SocketId, Instant)>,
    /// Requests to receive that the kernel has.
    receiving: u32,
}

impl Udp {
    /// With sockets for others to reach, and a ring that is closed before this is dropped.
    pub fn new(submitter: &Submitter<'_>, listeners: Vec<OwnedFd>) -> std::io::Result<Self> {
        // SAFETY: numbers and null pointers.
        let mut header: libc::msghdr = unsafe { std::mem::zeroed() };
        header.msg_namelen = NAME_BYTES as libc::socklen_t;
        header.msg_controllen = CONTROL_BYTES;
        let mut udp = Self {
            sockets: Sockets::new(listeners)?,
            places: Places::default(),
            buffers: Vec::new(),
            header: Box::new(header),
            arrived: VecDeque::new(),
            lent: None,
            silent: Vec::new(),
            receiving: 0,
        };
        for number in 0..udp.sockets.known().len() {
            udp.provide(submitter, number)?;
            udp.silent.push((SocketId(number as u32), Instant::default()));
        }
        Ok(udp)
    }

    /// One that reaches others.
    pub fn open(&mut self, submitter: &Submitter<'_>, is_ipv6: bool) -> std::io::Result<SocketId> {
        // Before the socket: one that cannot be had leaves its buffers to the next that is asked for.
        self.provide(submitter, self.sockets.known().len())?;
        let socket = self.sockets.open(is_ipv6)?;
        self.silent.push((socket, Instant::default()));
        Ok(socket)
    }

    /// Buffers for the socket of that number.
    fn provide(&mut self, submitter: &Submitter<'_>, number: usize) -> std::io::Result<()> {
        if self.buffers.len() <= number {
            self.buffers.push(Buffers::register(submitter, kind(SocketId(number as u32)))?);
        }
        Ok(())
    }

    /// The sockets.
    pub fn sockets(&self) -> &Sockets {
        &self.sockets
    }

    /// The same, to lend and take buffers.
    pub fn sockets_mut(&mut self) -> &mut Sockets {
        &mut self.sockets
    }

    /// How many trains find room.
    pub fn room(&self) -> usize {
        self.places.room()
    }

    /// Asks for what arrives, where nobody does; gives until when the shard may sleep.
    pub fn prepare_turn(&mut self, ring: &mut Ring, now: Instant) -> Instant {
        self.take_back();
        let (mut until, mut at) = (Instant::NEVER, 0);
        while let Some(&(socket, again_at)) = self.silent.get(at) {
            let has_room = self.buffers.get(socket.0 as usize).is_some_and(|buffers| buffers.provided() > 0);
            if again_at > now || !has_room {
                until = until.min(again_at);
                at += 1;
            } else {
                self.silent.swap_remove(at);
                self.receive(ring, socket);
            }
        }
        if self.arrived.is_empty() { until } else { AT_ONCE }
    }

    fn receive(&mut self, ring: &mut Ring, socket: SocketId) {
        let Some(fd) = self.sockets.get(socket) else { return };
        let receive = opcode::RecvMsgMulti::new(types::Fd(fd.as_raw_fd()), &raw const *self.header, kind(socket).group);
        let receive = receive.build().user_data(name(What::Arrive, socket.0));
        // SAFETY: the header is boxed and never changed; the bytes go into provided buffers. Both live as long as the
        // ring, or for ever (`leave_to_the_kernel`).
        unsafe { ring.push(receive) };
        self.receiving += 1;
    }

    /// A request to receive has got something, or has ended.
    pub fn arrived(&mut self, socket: u32, completion: Completion, look: Look) {
        let Completion { result, has_more, buffer, .. } = completion;
        let Some(buffers) = self.buffers.get_mut(socket as usize) else { return };
        let socket = SocketId(socket);
        if let Some(number) = buffer {
            let bytes = usize::try_from(result).unwrap_or(0);
            buffers.note_filled(bytes);
            if bytes > FRONT_BYTES {
                self.arrived.push_back(Filled { socket, number, bytes, look });
            } else {
                // An empty datagram.
                buffers.give_back(number);
            }
        }
        if has_more {
            return;
        }
        self.receiving -= 1;
        let again_at = match -result {
            libc::ENOBUFS => {
                buffers.note_missing();
                look.at
            }
            code if code <= 0 || code == libc::EINTR || code == libc::ECANCELED => look.at,
            _ => look.at + PAUSE,
        };
        self.silent.push((socket, again_at));
    }

    /// The next train.
    pub fn next(&mut self) -> Option<Arrived<'_>> {
        self.take_back();
        let (filled, from, said, start, count) = loop {
            let filled = self.arrived.pop_front()?;
            self.lent = Some((filled.socket, filled.number));
            let buffers = self.buffers.get_mut(filled.socket.0 as usize)?;
            let bytes = buffers.bytes(filled.number, 0, filled.bytes);
            if let Ok(out) = RecvMsgOut::parse(bytes, &self.header)
                && let Some(from) = control::read_name(out.name_data())
            {
                let count = out.payload_data().len();
                break (filled, from, control::read(out.control_data()), FRONT_BYTES, count);
            }
            self.take_back();
        };
        let bytes = self.buffers.get_mut(filled.socket.0 as usize)?.bytes(filled.number, start, count);
        let segment_bytes = said.segment_bytes.filter(|size| *size > 0).unwrap_or(count);
        let at = filled.look.arrived_at(said.time);
        Some(Arrived { socket: filled.socket, from, to: said.to, ecn: said.ecn, at, segment_bytes, bytes })
    }

    fn take_back(&mut self) {
        if let Some((socket, number)) = self.lent.take()
            && let Some(buffers) = self.buffers.get_mut(socket.0 as usize)
        {
            buffers.give_back(number);
        }
    }

    /// Has the ring send a train; what there is no room for is lost.
    pub fn send(&mut self, ring: &mut Ring, train: &Train, bytes: Vec<u8>) {
        let piece_bytes = self.sockets.piece_bytes(train);
        if bytes.len() <= piece_bytes {
            return self.send_piece(ring, train, bytes);
        }
        for piece in bytes.chunks(piece_bytes) {
            let mut buffer = self.sockets.buffer();
            buffer.extend_from_slice(piece);
            self.send_piece(ring, train, buffer);
        }
        self.sockets.give_back(bytes);
    }

    fn send_piece(&mut self, ring: &mut Ring, train: &Train, bytes: Vec<u8>) {
        let refused = match self.sockets.get(train.socket) {
            Some(socket) if !bytes.is_empty() => self.places.send(ring, socket, train, bytes).err(),
            _ => return self.sockets.give_back(bytes),
        };
        if let Some(bytes) = refused {
            self.sockets.note_lost(train, bytes.len());
            self.sockets.give_back(bytes);
        }
    }

    /// A request to send has completed.
    pub fn left(&mut self, ring: &mut Ring, place: u32, result: i32) {
        let Some((train, bytes)) = self.places.left(place) else { return };
        match self.sockets.note(&train, bytes.len(), (result < 0).then_some(-result)) {
            After::Gone => self.sockets.give_back(bytes),
            After::InPieces => self.send(ring, &train, bytes),
        }
    }

    /// To be called before the ring is closed: that ends what is under way, but not before it returns, so that what the
    /// kernel may still read or fill stays until the end of the process.
    pub fn leave_to_the_kernel(self) {
        self.places.leave_to_the_kernel();
        if self.receiving > 0 {
            std::mem::forget((self.header, self.buffers));
        }
    }
}
