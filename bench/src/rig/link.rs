//! Established links without blocking and with large buffers: many packets per system call.

use super::session::Session;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::Duration;
use wire::command::{COMMAND_HEADER_BYTES, write_header};
use wire::{Command, CommandId, CommandSet, FRAME_BODY_TAG_BYTES, FRAME_HEADER_BYTES, FrameOpener, FrameSealer};

/// Bytes that are read at once.
const READ_BYTES: usize = 1 << 20;
/// Bytes that may wait to be written; a link with more takes no packets.
const WRITE_BYTES_MAX: usize = 256 << 10;

/// The end of a link that packets arrive at.
pub struct Incoming {
    stream: TcpStream,
    opener: FrameOpener,
    set: CommandSet,
    buffer: Vec<u8>,
    /// What has arrived and is not handled yet.
    start: usize,
    end: usize,
    /// Bytes of the body whose header is open.
    body_bytes: Option<usize>,
}

/// The end of a link that packets leave from.
pub struct Outgoing {
    stream: TcpStream,
    sealer: FrameSealer,
    buffer: Vec<u8>,
    written: usize,
}

impl Incoming {
    /// The receiving end of `session`.
    pub fn new(session: Session, set: CommandSet) -> Result<Self, String> {
        session.stream.set_nonblocking(true).map_err(|error| error.to_string())?;
        Ok(Self {
            stream: session.stream,
            opener: session.transport.opener,
            set,
            buffer: vec![0; 2 * READ_BYTES],
            start: 0,
            end: 0,
            body_bytes: None,
        })
    }

    /// The connection, for polling.
    pub fn stream(&self) -> &TcpStream {
        &self.stream
    }

    /// Reads once. Gives whether anything arrived; a closed connection is an error.
    pub fn fill(&mut self) -> Result<bool, String> {
        if self.buffer.len() - self.end < READ_BYTES {
            self.buffer.copy_within(self.start..self.end, 0);
            self.end -= self.start;
            self.start = 0;
        }
        match self.stream.read(&mut self.buffer[self.end..]) {
            Ok(0) => Err("the peer closed the link".into()),
            Ok(bytes) => {
                self.end += bytes;
                Ok(true)
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(false),
            Err(error) => Err(error.to_string()),
        }
    }

    /// The next packet that has arrived as a whole.
    pub fn next_packet(&mut self) -> Result<Option<&mut [u8]>, String> {
        loop {
            let waiting = self.end - self.start;
            let body_bytes = match self.body_bytes {
                Some(bytes) => bytes,
                None if waiting < FRAME_HEADER_BYTES => return Ok(None),
                None => {
                    let header = &mut self.buffer[self.start..][..FRAME_HEADER_BYTES];
                    let bytes = self.opener.open_header(header).map_err(|error| error.to_string())?;
                    self.start += FRAME_HEADER_BYTES;
                    self.body_bytes = Some(bytes);
                    continue;
                }
            };
            if waiting < body_bytes {
                return Ok(None);
            }
            self.body_bytes = None;
            let body = self.start..self.start + body_bytes;
            self.start = body.end;
            let command = self.opener.open_body(&mut self.buffer[body.clone()]).map_err(|error| error.to_string())?;
            match self.set.parse(command).map_err(|error| error.to_string())? {
                Command::NoOp => continue,
                Command::SendPacket { packet } => {
                    let packet = body.start + COMMAND_HEADER_BYTES..body.start + COMMAND_HEADER_BYTES + packet.len();
                    return Ok(Some(&mut self.buffer[packet]));
                }
                other => return Err(format!("the peer sent {:?}", other.id())),
            }
        }
    }
}

impl Outgoing {
    /// The sending end of `session`.
    pub fn new(session: Session) -> Result<Self, String> {
        session.stream.set_nonblocking(true).map_err(|error| error.to_string())?;
        let buffer = Vec::with_capacity(2 * WRITE_BYTES_MAX);
        Ok(Self { stream: session.stream, sealer: session.transport.sealer, buffer, written: 0 })
    }

    /// The connection, for polling.
    pub fn stream(&self) -> &TcpStream {
        &self.stream
    }

    /// Whether another packet may be pushed.
    pub fn has_room(&self) -> bool {
        self.buffer.len() - self.written < WRITE_BYTES_MAX
    }

    /// Whether bytes wait to be written.
    pub fn is_pending(&self) -> bool {
        self.written < self.buffer.len()
    }

    /// Seals one packet behind what waits.
    pub fn push(&mut self, packet: &[u8]) -> Result<(), String> {
        let mut header = [0; COMMAND_HEADER_BYTES];
        let body_bytes = u32::try_from(packet.len()).map_err(|error| error.to_string())?;
        write_header(CommandId::SendPacket, body_bytes, &mut header);
        let start = self.buffer.len();
        self.buffer.extend_from_slice(&[0; FRAME_HEADER_BYTES]);
        self.buffer.extend_from_slice(&header);
        self.buffer.extend_from_slice(packet);
        self.buffer.extend_from_slice(&[0; FRAME_BODY_TAG_BYTES]);
        self.sealer.seal(&mut self.buffer[start..]).map_err(|error| error.to_string())
    }

    /// Writes what the connection takes. Gives whether it took anything.
    pub fn flush(&mut self) -> Result<bool, String> {
        let before = self.written;
        while self.is_pending() {
            match self.stream.write(&self.buffer[self.written..]) {
                Ok(0) => return Err("the peer closed the link".into()),
                Ok(bytes) => self.written += bytes,
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) => return Err(error.to_string()),
            }
        }
        let progress = self.written > before;
        if self.is_pending() {
            self.buffer.drain(..self.written);
        } else {
            self.buffer.clear();
        }
        self.written = 0;
        Ok(progress)
    }

    /// Nothing is expected here: an error if the peer has closed the link or sent anything.
    pub fn check_silence(&mut self) -> Result<(), String> {
        match self.stream.read(&mut [0; 1]) {
            Ok(0) => Err("the peer closed the link".into()),
            Ok(_) => Err("the peer sent something on a link that it only receives on".into()),
            Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(()),
            Err(error) => Err(error.to_string()),
        }
    }
}

/// Sleeps until a link can be read, or a pending one written, or `limit` has passed.
pub fn wait<'a>(
    incoming: impl Iterator<Item = &'a Incoming>,
    outgoing: impl Iterator<Item = &'a Outgoing>,
    limit: Duration,
) -> Result<(), String> {
    let readable = incoming.map(|link| PollFd::new(link.stream(), PollFlags::IN));
    let others = outgoing.map(|link| {
        let flags = if link.is_pending() { PollFlags::IN | PollFlags::OUT } else { PollFlags::IN };
        PollFd::new(link.stream(), flags)
    });
    let mut descriptors: Vec<PollFd<'_>> = readable.chain(others).collect();
    let limit = Timespec::try_from(limit).map_err(|error| error.to_string())?;
    match poll(&mut descriptors, Some(&limit)) {
        Ok(_) | Err(rustix::io::Errno::INTR) => Ok(()),
        Err(error) => Err(error.to_string()),
    }
}
