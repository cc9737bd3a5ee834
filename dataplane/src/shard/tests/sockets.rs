//! Real sockets that are asked again and again: simple, and every edge is there, if too often.

use super::nodes::{EPOCH, unix_at};
use crate::io::under_way::{UnderWay, Wrote};
use crate::io::{ConnId, ConnectFailure, Event, Io, Received, Sending, Target};
use crate::time::Instant;
use std::collections::{HashMap, VecDeque};
use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread::Thread;
use std::time::Duration;

/// What the threads of one process share.
#[derive(Default)]
pub struct Process {
    threads: Mutex<HashMap<usize, Thread>>,
    handed_over: Mutex<HashMap<usize, Vec<(TcpStream, SocketAddr)>>>,
}

impl Process {
    /// The calling thread is the one of this shard.
    pub fn register(&self, shard: usize) {
        self.threads.lock().expect("no panic").insert(shard, std::thread::current());
    }
}

/// The input and output of one thread.
pub struct SocketIo {
    shard: usize,
    process: Arc<Process>,
    start: std::time::Instant,
    listener: Option<TcpListener>,
    streams: Vec<Option<Stream>>,
    events: VecDeque<Event>,
    buffer: Vec<u8>,
    /// Stands in for the addresses in descriptors.
    addresses: Arc<HashMap<SocketAddr, SocketAddr>>,
}

struct Stream {
    socket: TcpStream,
    sends: Option<UnderWay>,
}

impl SocketIo {
    /// Without connections.
    pub fn new(
        shard: usize,
        process: &Arc<Process>,
        start: std::time::Instant,
        listener: Option<TcpListener>,
        addresses: &Arc<HashMap<SocketAddr, SocketAddr>>,
    ) -> Self {
        Self {
            shard,
            process: Arc::clone(process),
            start,
            listener,
            streams: Vec::new(),
            events: VecDeque::new(),
            buffer: vec![0; 1 << 18],
            addresses: Arc::clone(addresses),
        }
    }

    fn add(&mut self, socket: TcpStream) -> ConnId {
        socket.set_nonblocking(true).expect("a socket");
        socket.set_nodelay(true).expect("a socket");
        self.streams.push(Some(Stream { socket, sends: None }));
        id(self.streams.len() - 1)
    }

    /// Before each poll.
    pub fn gather(&mut self) {
        while let Some((stream, peer)) = self.listener.as_ref().and_then(|listener| listener.accept().ok()) {
            let conn = self.add(stream);
            self.events.push_back(Event::Accepted { conn, peer });
        }
        let adopted = self.process.handed_over.lock().expect("no panic").remove(&self.shard);
        for (stream, peer) in adopted.into_iter().flatten() {
            let conn = self.add(stream);
            self.events.push_back(Event::Adopted { conn, peer });
        }
        for index in 0..self.streams.len() {
            if self.streams[index].is_some() {
                self.events.push_back(Event::Readable { conn: id(index) });
                self.push(index);
            }
        }
    }

    fn push(&mut self, index: usize) {
        let now = self.now();
        let Some(Some(stream)) = self.streams.get_mut(index) else { return };
        let Some(sends) = &mut stream.sends else { return };
        sends.write(now, |bytes| match stream.socket.write(bytes) {
            Ok(count) if count > 0 => Wrote::Bytes(count),
            Err(error) if error.kind() == ErrorKind::WouldBlock => Wrote::WouldBlock,
            _ => Wrote::Failed,
        });
        if sends.is_done() {
            self.events.push_back(Event::Sent { conn: id(index), buffer: Vec::new(), taken: 0 });
        }
    }

    fn stream(&mut self, conn: ConnId) -> Option<&mut Stream> {
        self.streams.get_mut(conn.index as usize)?.as_mut()
    }
}

fn id(index: usize) -> ConnId {
    ConnId { index: index as u32, generation: 1 }
}

impl Io for SocketIo {
    fn now(&self) -> Instant {
        Instant(self.start.elapsed().as_nanos() as u64)
    }

    fn unix_now(&self) -> Duration {
        unix_at(EPOCH, 1, 2) + self.start.elapsed()
    }

    fn next_event(&mut self) -> Option<Event> {
        loop {
            let event = self.events.pop_front()?;
            let Event::Sent { conn, .. } = event else { return Some(event) };
            let sends = self.stream(conn).and_then(|stream| stream.sends.take_if(|sends| sends.is_done()));
            if let Some(sends) = sends {
                return Some(sends.sent(conn));
            }
        }
    }

    fn recv(&mut self, conn: ConnId, bytes_max: usize) -> Received<'_> {
        let at = self.now();
        let most = bytes_max.min(self.buffer.len());
        let Some(Some(stream)) = self.streams.get_mut(conn.index as usize) else { return Received::Failed };
        match stream.socket.read(&mut self.buffer[..most]) {
            Ok(0) => Received::Closed,
            Ok(count) => Received::Bytes { bytes: &mut self.buffer[..count], at },
            Err(error) if error.kind() == ErrorKind::WouldBlock => Received::WouldBlock,
            Err(_) => Received::Failed,
        }
    }

    fn send(&mut self, conn: ConnId, buffer: Vec<u8>) {
        let now = self.now();
        if let Some(stream) = self.stream(conn) {
            stream.sends = Some(UnderWay::new(buffer, now));
            self.push(conn.index as usize);
        }
    }

    fn sending(&self, conn: ConnId) -> Option<Sending> {
        self.streams.get(conn.index as usize)?.as_ref()?.sends.as_ref().map(UnderWay::sending)
    }

    fn connect(&mut self, to: Target) -> ConnId {
        let to = self.addresses.get(&to.address).copied().unwrap_or(to.address);
        match TcpStream::connect_timeout(&to, Duration::from_secs(1)) {
            Ok(stream) => {
                let conn = self.add(stream);
                self.events.push_back(Event::Connected { conn });
                conn
            }
            Err(_) => {
                self.streams.push(None);
                let conn = id(self.streams.len() - 1);
                self.events.push_back(Event::ConnectFailed { conn, failure: ConnectFailure::Refused });
                conn
            }
        }
    }

    fn hand_over(&mut self, conn: ConnId, to_shard: usize) -> bool {
        let Some(stream) = self.streams[conn.index as usize].take() else { return false };
        let peer = stream.socket.peer_addr().expect("a connected socket");
        self.process.handed_over.lock().expect("no panic").entry(to_shard).or_default().push((stream.socket, peer));
        self.wake(to_shard);
        true
    }

    fn close(&mut self, conn: ConnId) -> usize {
        let closed = self.streams.get_mut(conn.index as usize).and_then(Option::take);
        closed.and_then(|stream| stream.sends).map_or(0, |sends| sends.sending().taken)
    }

    fn wake(&mut self, shard: usize) {
        if let Some(thread) = self.process.threads.lock().expect("no panic").get(&shard) {
            thread.unpark();
        }
    }
}
