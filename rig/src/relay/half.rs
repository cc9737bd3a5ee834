//! One socketful of connections: those to the node, or those that the node makes to one of the nodes behind it.

use super::pair::{Ears, Heard, Kind, Pair};
use datagram::udp::plain::PlainSockets;
use datagram::{Arrived, Datagrams, Ecn, SocketId, Train};
use quic::{Common, Endpoint, Event, Handle, NeedsPort, PortId};
use std::collections::HashMap;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant as StdInstant};
use wire::Instant;

/// How long the rig's own listeners may take.
const CONNECT_LIMIT: Duration = Duration::from_secs(2);

/// Connections of one kind.
pub struct Half {
    number: usize,
    endpoint: Endpoint,
    sockets: PlainSockets,
    start: StdInstant,
    way: Way,
    pairs: Vec<Option<Pair>>,
    by_conn: HashMap<Handle, usize>,
    to_pump: Vec<usize>,
}

enum Way {
    /// What is accepted here goes to the node.
    ToNode(TcpListener, SocketAddr),
    /// What the node dials goes there.
    FromNode(SocketAddr),
}

impl Half {
    /// Connections from `listener` to `node`.
    pub fn dialling(ears: &Ears, common: Common, listener: TcpListener, node: SocketAddr) -> Result<Self, String> {
        Self::new(ears, 0, common, Vec::new(), Way::ToNode(listener, node))
    }

    /// Connections that come to `socket` and go on to `listener`.
    pub fn listening(
        ears: &Ears,
        number: usize,
        common: Common,
        socket: OwnedFd,
        listener: SocketAddr,
    ) -> Result<Self, String> {
        Self::new(ears, number, common, vec![socket], Way::FromNode(listener))
    }

    fn new(ears: &Ears, number: usize, common: Common, sockets: Vec<OwnedFd>, way: Way) -> Result<Self, String> {
        let start = StdInstant::now();
        let now = move || Instant::default() + start.elapsed();
        let sockets = PlainSockets::new(sockets, now).map_err(|error| error.to_string())?;
        let mut endpoint = Endpoint::new(common, now());
        for (socket, known) in (0..).zip(sockets.sockets()) {
            endpoint.add_port(known.is_listener, known.local.is_ipv6());
            ears.add_socket(sockets.socket(SocketId(socket)).ok_or("a socket is not there")?, number, socket)?;
        }
        let (pairs, by_conn, to_pump) = Default::default();
        Ok(Self { number, endpoint, sockets, start, way, pairs, by_conn, to_pump })
    }

    fn now(&self) -> Instant {
        Instant::default() + self.start.elapsed()
    }

    /// How long nothing is to be done if nothing comes.
    pub fn sleep(&self) -> Duration {
        if self.sockets.may_have_more() || !self.to_pump.is_empty() || self.endpoint.has_unsent() {
            return Duration::ZERO;
        }
        self.endpoint.next_timeout().since(self.now())
    }

    /// A descriptor has something.
    pub fn note(&mut self, heard: Heard) -> Result<(), String> {
        match heard.kind {
            Kind::Socket => self.sockets.note_readable(SocketId(heard.number)),
            Kind::Stream => self.list(heard.number as usize),
            // It is looked at in every round.
            Kind::Listener => {}
        }
        Ok(())
    }

    fn list(&mut self, place: usize) {
        if let Some(Some(pair)) = self.pairs.get_mut(place)
            && !std::mem::replace(&mut pair.is_listed, true)
        {
            self.to_pump.push(place);
        }
    }

    /// Does what there is to do.
    pub fn round(&mut self, ears: &Ears) -> Result<(), String> {
        let now = self.now();
        self.endpoint.begin_round(now);
        self.sockets.flush();
        self.accept(ears)?;
        while let Some(Arrived { socket, from, to, ecn, at, segment_bytes, bytes }) = self.sockets.next_train() {
            let ecn = ecn.map_or(0, |ecn| ecn as u8);
            let port = PortId(socket.0);
            self.endpoint.handle(quic::Arrived { port, from, to, ecn, at, segment_bytes, bytes }, now);
        }
        while let Some(event) = self.endpoint.next_event() {
            self.happen(ears, event)?;
        }
        for place in std::mem::take(&mut self.to_pump) {
            self.pump(place, now);
        }
        self.transmit(now);
        Ok(())
    }

    fn accept(&mut self, ears: &Ears) -> Result<(), String> {
        while let Way::ToNode(listener, node) = &self.way
            && let Ok((stream, _)) = listener.accept()
        {
            let (node, now) = (*node, self.now());
            let conn = match self.endpoint.connect(node, now) {
                Ok(conn) => conn,
                Err(needs) => {
                    self.open(ears, needs)?;
                    self.endpoint.connect(node, now).map_err(|_| "there is a socket, and it does not do")?
                }
            };
            self.settle(ears, conn, stream, false)?;
        }
        Ok(())
    }

    fn open(&mut self, ears: &Ears, NeedsPort { is_ipv6 }: NeedsPort) -> Result<(), String> {
        let socket = self.sockets.open(is_ipv6).map_err(|error| error.to_string())?;
        self.endpoint.add_port(false, is_ipv6);
        ears.add_socket(self.sockets.socket(socket).ok_or("a socket is not there")?, self.number, socket.0)
    }

    fn settle(&mut self, ears: &Ears, conn: Handle, stream: TcpStream, is_connected: bool) -> Result<(), String> {
        let io = |error: std::io::Error| error.to_string();
        stream.set_nonblocking(true).map_err(io)?;
        stream.set_nodelay(true).map_err(io)?;
        let place = self.pairs.len();
        ears.add_stream(&stream, self.number, place as u32)?;
        self.pairs.push(Some(Pair::new(conn, stream, is_connected)));
        self.by_conn.insert(conn, place);
        self.list(place);
        Ok(())
    }

    fn happen(&mut self, ears: &Ears, event: Event) -> Result<(), String> {
        match event {
            Event::Accepted { conn, .. } => {
                let Way::FromNode(listener) = &self.way else { return Ok(()) };
                match TcpStream::connect_timeout(listener, CONNECT_LIMIT) {
                    Ok(stream) => self.settle(ears, conn, stream, true)?,
                    Err(_) => self.endpoint.close(conn, self.now()),
                }
            }
            Event::Connected { conn } | Event::Readable { conn } | Event::Writable { conn } => {
                let Some(place) = self.by_conn.get(&conn).copied() else { return Ok(()) };
                if let (Event::Connected { .. }, Some(Some(pair))) = (event, self.pairs.get_mut(place)) {
                    pair.is_connected = true;
                }
                self.list(place);
            }
            Event::ConnectFailed { conn, .. } => {
                if let Some(place) = self.by_conn.get(&conn).copied() {
                    self.end(place, self.now());
                }
            }
        }
        Ok(())
    }

    fn pump(&mut self, place: usize, now: Instant) {
        let Some(Some(pair)) = self.pairs.get_mut(place) else { return };
        pair.is_listed = false;
        if !pair.pump(&mut self.endpoint) {
            self.end(place, now);
        }
    }

    fn end(&mut self, place: usize, now: Instant) {
        if let Some(pair) = self.pairs.get_mut(place).and_then(Option::take) {
            self.by_conn.remove(&pair.conn);
            pair.close(&mut self.endpoint, now);
        }
    }

    fn transmit(&mut self, now: Instant) {
        let segments_max = self.sockets.segments_max();
        while self.sockets.room() > 0 {
            let mut bytes = self.sockets.buffer();
            let Some(departure) = self.endpoint.poll_transmit(now, segments_max, false, &mut bytes) else { break };
            let train = Train {
                socket: SocketId(departure.port.0),
                to: departure.to,
                from: departure.from,
                ecn: Ecn::from_bits(departure.ecn),
                segment_bytes: departure.segment_bytes,
            };
            self.sockets.transmit(train, bytes);
        }
    }
}
