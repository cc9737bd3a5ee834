//! The slow way: a call of the kernel for each train. Who waits for the sockets says which of them are readable.

#[cfg(test)]
mod tests;

use super::calls::{self, Put};
use super::control::{self, Control, NAME_BYTES};
use super::sockets::{After, Sockets};
use crate::look::Look;
use crate::{Arrived, Datagrams, Socket, SocketId, TRAIN_BYTES_MAX, Train};
use std::collections::VecDeque;
use std::io;
use std::os::fd::{BorrowedFd, OwnedFd};
use wire::Instant;

/// Trains that may wait for room in their sockets.
const WAITING_MAX: usize = 64;
/// Datagrams without anything in them that one look passes over: whoever sends them without end gets no more of it.
const EMPTY_MAX: usize = 64;
/// The longest train that a kernel makes.
const RECEIVE_BYTES: usize = 64 << 10;

/// Sockets that are read and written by plain calls.
pub struct PlainSockets {
    sockets: Sockets,
    now: Box<dyn Fn() -> Instant + Send>,
    /// Those that may have something, by their numbers.
    readable: Vec<bool>,
    /// Which is looked at next.
    turn: usize,
    /// Where trains are received, once there is a socket.
    place: Option<Box<Place>>,
    waiting: VecDeque<(Train, Vec<u8>)>,
}

struct Place {
    name: [u8; NAME_BYTES],
    control: Control,
    bytes: [u8; RECEIVE_BYTES],
}

impl PlainSockets {
    /// With sockets for others to reach, and the clock of delays.
    pub fn new(listeners: Vec<OwnedFd>, now: impl Fn() -> Instant + Send + 'static) -> io::Result<Self> {
        let sockets = Sockets::new(listeners)?;
        // What came before anybody waited for it.
        let readable = vec![true; sockets.known().len()];
        Ok(Self { sockets, now: Box::new(now), readable, turn: 0, place: None, waiting: VecDeque::new() })
    }

    /// One of them, to wait for it.
    pub fn socket(&self, socket: SocketId) -> Option<BorrowedFd<'_>> {
        self.sockets.get(socket)
    }

    /// A socket may have something.
    pub fn note_readable(&mut self, socket: SocketId) {
        if let Some(is_readable) = self.readable.get_mut(socket.0 as usize) {
            *is_readable = true;
        }
    }

    /// Whether a call of [`Datagrams::next_train`] may give something.
    pub fn may_have_more(&self) -> bool {
        self.readable.contains(&true)
    }

    /// Sends what has waited for room; whether some of it still does.
    pub fn flush(&mut self) -> bool {
        while let Some((train, bytes)) = self.waiting.pop_front() {
            if let Some(rest) = self.send(&train, bytes) {
                self.waiting.push_front((train, rest));
                return true;
            }
        }
        false
    }

    /// Sends a train; gives what there is no room for now.
    fn send(&mut self, train: &Train, mut bytes: Vec<u8>) -> Option<Vec<u8>> {
        let (mut name, mut control) = ([0; NAME_BYTES], Control::default());
        let name_bytes = control::write_name(train.to, &mut name);
        let mut sent = 0;
        while sent < bytes.len() {
            let Some(socket) = self.sockets.get(train.socket) else { break };
            let rest = &bytes[sent..];
            let piece = &rest[..rest.len().min(self.sockets.piece_bytes(train))];
            let control_bytes = control::write(train, piece.len(), &mut control);
            let outcome = calls::send(socket, &name[..name_bytes], &control.0[..control_bytes], piece);
            let code = outcome.err().map(|error| error.raw_os_error().unwrap_or(0));
            if code == Some(libc::EAGAIN) {
                bytes.drain(..sent);
                return Some(bytes);
            }
            let piece_bytes = piece.len();
            if code != Some(libc::EINTR) && self.sockets.note(train, piece_bytes, code) == After::Gone {
                sent += piece_bytes;
            }
        }
        self.sockets.give_back(bytes);
        None
    }

    /// The next socket that has something, with how much it is.
    fn receive(&mut self) -> Option<(SocketId, Put, Look)> {
        let count = self.readable.len();
        for number in (0..count).map(|at| (self.turn + at) % count) {
            let socket = SocketId(number as u32);
            let Some(fd) = self.sockets.get(socket).filter(|_| self.readable[number]) else { continue };
            let place = self.place.get_or_insert_with(Place::new);
            let Place { name, control, bytes } = &mut **place;
            match calls::receive(fd, name, control, bytes) {
                Ok(put) => {
                    self.turn = number + 1;
                    return Some((socket, put, Look::now(&self.now)));
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => return None,
                Err(_) => self.readable[number] = false,
            }
        }
        None
    }
}

impl Place {
    fn new() -> Box<Self> {
        Box::new(Self { name: [0; NAME_BYTES], control: Control::default(), bytes: [0; RECEIVE_BYTES] })
    }
}

impl Datagrams for PlainSockets {
    fn sockets(&self) -> &[Socket] {
        self.sockets.known()
    }

    fn open(&mut self, is_ipv6: bool) -> Result<SocketId, io::Error> {
        let socket = self.sockets.open(is_ipv6)?;
        self.readable.push(true);
        Ok(socket)
    }

    fn next_train(&mut self) -> Option<Arrived<'_>> {
        let (socket, put, look, said, from) = (0..EMPTY_MAX).find_map(|_| {
            let (socket, put, look) = self.receive()?;
            let place = self.place.as_deref()?;
            // Empty ones, and those of no address, are nothing.
            let from = place.name.get(..put.name).and_then(control::read_name).filter(|_| put.bytes > 0)?;
            let said = control::read(place.control.0.get(..put.control).unwrap_or_default());
            Some((socket, put, look, said, from))
        })?;
        let bytes = self.place.as_deref_mut()?.bytes.get_mut(..put.bytes)?;
        let segment_bytes = said.segment_bytes.filter(|size| *size > 0).unwrap_or(put.bytes);
        let at = look.arrived_at(said.time);
        Some(Arrived { socket, from, to: said.to, ecn: said.ecn, at, segment_bytes, bytes })
    }

    fn segments_max(&self) -> usize {
        self.sockets.segments_max()
    }

    fn datagram_bytes_max(&self) -> usize {
        TRAIN_BYTES_MAX
    }

    fn room(&self) -> usize {
        WAITING_MAX - self.waiting.len()
    }

    fn buffer(&mut self) -> Vec<u8> {
        self.sockets.buffer()
    }

    fn transmit(&mut self, train: Train, bytes: Vec<u8>) {
        let rest = if self.waiting.is_empty() { self.send(&train, bytes) } else { Some(bytes) };
        match rest {
            None => {}
            Some(rest) if self.room() > 0 => self.waiting.push_back((train, rest)),
            Some(rest) => {
                self.sockets.note_lost(&train, rest.len());
                self.sockets.give_back(rest);
            }
        }
    }

    fn lost(&self) -> u64 {
        self.sockets.lost()
    }
}
