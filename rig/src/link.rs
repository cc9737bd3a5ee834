//! Established links without blocking and with large buffers: many packets per system call.

use super::frame::{PACKET_OFFSET, PacketSealer, write_packet_header};
use super::mill::Pool;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use std::collections::VecDeque;
use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::ops::Range;
use std::sync::Arc;
use std::time::{Duration, Instant};
use testnet::session::Session;
use wire::command::{COMMAND_HEADER_BYTES, SURB_ID_BYTES};
use wire::{Command, CommandSet, FRAME_BODY_TAG_BYTES, FRAME_HEADER_BYTES, FrameOpener, FrameSealer, Transport};

/// Bytes that are read at once from a node.
const READ_BYTES: usize = 1 << 20;
/// Bytes that are read at once by a client, of which there are many; or those of two packets, if these are more.
const CLIENT_READ_BYTES: usize = 16 << 10;
/// Bytes of a message to a client before its payload.
const MESSAGE_HEADER_BYTES: usize = COMMAND_HEADER_BYTES + 4 + SURB_ID_BYTES;
/// How long the node may take to read an acknowledgement.
const ACKNOWLEDGEMENT_LIMIT: Duration = Duration::from_secs(5);
/// Bytes that may wait to be written; a link with more takes no packets.
const WRITE_BYTES_MAX: usize = 256 << 10;

/// The end of a link that packets arrive at.
pub struct Incoming {
    stream: TcpStream,
    opener: FrameOpener,
    set: CommandSet,
    /// Acknowledges messages, if a client is at this end.
    client: Option<Client>,
    read_bytes: usize,
    buffer: Vec<u8>,
    /// What has arrived and is not handled yet.
    start: usize,
    end: usize,
    /// Bytes of the body whose header is open.
    body_bytes: Option<usize>,
}

struct Client {
    sealer: FrameSealer,
    acknowledgements: Vec<u8>,
}

/// The end of a link that packets leave from which were sealed long before: what is measured must not wait for that.
pub struct Presealed {
    stream: TcpStream,
    /// A client hears heartbeats, which are nobody's matter here; a node hears nothing.
    is_client: bool,
    /// Parts of pools of frames that wait to be written.
    pending: VecDeque<(Arc<Pool>, Range<usize>)>,
}

/// The end of a link that packets leave from.
pub struct Outgoing {
    stream: TcpStream,
    sealer: FrameSealer,
    buffer: Vec<u8>,
    written: usize,
}

impl Incoming {
    /// A node's receiving end of `session`.
    pub fn new(session: Session, set: CommandSet) -> Result<Self, String> {
        let (stream, transport) = split(session)?;
        Ok(Self::of(stream, transport.opener, set, None, READ_BYTES))
    }

    /// A client's end of `session`: what comes is mail.
    pub fn of_client(session: Session, set: CommandSet) -> Result<Self, String> {
        let (stream, transport) = split(session)?;
        let client = Client { sealer: transport.sealer, acknowledgements: Vec::new() };
        let read_bytes = CLIENT_READ_BYTES.max(2 * set.sizes().packet_bytes);
        Ok(Self::of(stream, transport.opener, set, Some(client), read_bytes))
    }

    fn of(stream: TcpStream, opener: FrameOpener, set: CommandSet, client: Option<Client>, read_bytes: usize) -> Self {
        let buffer = vec![0; 2 * read_bytes];
        Self { stream, opener, set, client, read_bytes, buffer, start: 0, end: 0, body_bytes: None }
    }

    /// The connection.
    pub fn stream(&self) -> &TcpStream {
        &self.stream
    }

    /// Reads once. Gives whether anything arrived; a closed connection is an error.
    pub fn fill(&mut self) -> Result<bool, String> {
        if self.buffer.len() - self.end < self.read_bytes {
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

    /// The next packet, or for a client the payload of the next message, that has arrived as a whole.
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
                Command::Message { sequence, payload, .. } => {
                    let client = self.client.as_mut().ok_or("the peer sent a message to a node")?;
                    let delivered = Command::MessageDelivered { sequence };
                    let sealed = client.sealer.seal_command(&self.set, &delivered, &mut client.acknowledgements);
                    sealed.map_err(|error| error.to_string())?;
                    let payload = body.start + MESSAGE_HEADER_BYTES..body.start + MESSAGE_HEADER_BYTES + payload.len();
                    return Ok(Some(&mut self.buffer[payload]));
                }
                other => return Err(format!("the peer sent {:?}", other.id())),
            }
        }
    }

    /// Acknowledges what [`Incoming::next_packet`] gave.
    pub fn acknowledge(&mut self) -> Result<(), String> {
        let Some(Client { acknowledgements, .. }) = &mut self.client else { return Ok(()) };
        let (mut rest, deadline) = (&acknowledgements[..], Instant::now() + ACKNOWLEDGEMENT_LIMIT);
        while !rest.is_empty() {
            match (&self.stream).write(rest) {
                Ok(bytes) => rest = &rest[bytes..],
                Err(error) if error.kind() == ErrorKind::WouldBlock && Instant::now() < deadline => {
                    wait(vec![PollFd::new(&self.stream, PollFlags::OUT)], ACKNOWLEDGEMENT_LIMIT)?;
                }
                Err(error) => return Err(format!("the peer does not take an acknowledgement: {error}")),
            }
        }
        acknowledgements.clear();
        Ok(())
    }
}

impl Presealed {
    /// A node's sending end of `session`, and what seals its frames.
    pub fn new(session: Session) -> Result<(Self, PacketSealer), String> {
        let (stream, transport) = split(session)?;
        Ok((Self { stream, is_client: false, pending: VecDeque::new() }, PacketSealer::new(transport.sealer)))
    }

    /// The same of a client.
    pub fn of_client(session: Session) -> Result<(Self, PacketSealer), String> {
        let (link, sealer) = Self::new(session)?;
        Ok((Self { is_client: true, ..link }, sealer))
    }

    /// The connection.
    pub fn stream(&self) -> &TcpStream {
        &self.stream
    }

    /// Whether another frame may be pushed.
    pub fn has_room(&self) -> bool {
        self.pending.iter().map(|(_, part)| part.len()).sum::<usize>() < WRITE_BYTES_MAX
    }

    /// Queues a frame, which is that part of the pool's.
    pub fn push(&mut self, pool: &Arc<Pool>, part: Range<usize>) {
        match self.pending.back_mut() {
            Some((of, last)) if Arc::ptr_eq(of, pool) && last.end == part.start => last.end = part.end,
            _ => self.pending.push_back((pool.clone(), part)),
        }
    }

    /// Writes what the connection takes.
    pub fn flush(&mut self) -> Result<(), String> {
        while let Some((pool, part)) = self.pending.front_mut() {
            match self.stream.write(&pool.frames()[part.clone()]) {
                Ok(0) => return Err("the peer closed the link".into()),
                Ok(bytes) => part.start += bytes,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error.to_string()),
            }
            if part.start == part.end {
                self.pending.pop_front();
            }
        }
        Ok(())
    }

    /// Nothing is expected here: an error if the peer has closed the link, or sent anything to a node.
    pub fn check_silence(&mut self) -> Result<(), String> {
        loop {
            match self.stream.read(&mut [0; 4096]) {
                Ok(0) => return Err("the peer closed the link".into()),
                Ok(_) if self.is_client => {}
                Ok(_) => return Err("the peer sent something on a link that it only receives on".into()),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error.to_string()),
            }
        }
    }
}

impl Outgoing {
    /// The sending end of `session`.
    pub fn new(session: Session) -> Result<Self, String> {
        let (stream, transport) = split(session)?;
        let buffer = Vec::with_capacity(2 * WRITE_BYTES_MAX);
        Ok(Self { stream, sealer: transport.sealer, buffer, written: 0 })
    }

    /// Whether bytes wait to be written.
    pub fn is_pending(&self) -> bool {
        self.written < self.buffer.len()
    }

    /// Seals one packet behind what waits.
    pub fn push(&mut self, packet: &[u8]) -> Result<(), String> {
        let start = self.buffer.len();
        self.buffer.extend_from_slice(&[0; PACKET_OFFSET]);
        self.buffer.extend_from_slice(packet);
        self.buffer.extend_from_slice(&[0; FRAME_BODY_TAG_BYTES]);
        write_packet_header(&mut self.buffer[start..])?;
        self.sealer.seal(&mut self.buffer[start..]).map_err(|error| error.to_string())
    }

    /// Seals behind what waits that the link lives.
    pub fn push_heartbeat(&mut self, set: &CommandSet) -> Result<(), String> {
        let sealed = self.sealer.seal_command(set, &Command::NoOp, &mut self.buffer);
        sealed.map_err(|error| error.to_string())
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
}

/// The connection, no longer blocking, and both directions: here frames are sealed long before they are sent, and read
/// into buffers that are larger than a link's.
fn split(session: Session) -> Result<(TcpStream, Transport), String> {
    let (stream, transport) = session.into_parts()?;
    stream.set_nonblocking(true).map_err(|error| error.to_string())?;
    Ok((stream, transport))
}

/// What a link waits for.
pub trait Awaited {
    /// The connection and what to wait for there.
    fn awaited(&self) -> PollFd<'_>;
}

impl Awaited for Incoming {
    fn awaited(&self) -> PollFd<'_> {
        PollFd::new(&self.stream, PollFlags::IN)
    }
}

impl Awaited for Outgoing {
    fn awaited(&self) -> PollFd<'_> {
        PollFd::new(&self.stream, if self.is_pending() { PollFlags::OUT } else { PollFlags::empty() })
    }
}

/// Sleeps until one of the connections is as awaited, or `limit` has passed.
pub fn wait(mut connections: Vec<PollFd<'_>>, limit: Duration) -> Result<(), String> {
    let limit = Timespec::try_from(limit).map_err(|error| error.to_string())?;
    match poll(&mut connections, Some(&limit)) {
        Ok(_) | Err(rustix::io::Errno::INTR) => Ok(()),
        Err(error) => Err(error.to_string()),
    }
}
