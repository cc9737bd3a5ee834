//! A dialler and a listener, and what is between them.

use crate::{Arrived, Common, Departure, Endpoint, Event, Handle, NeedsPort, PortId, Read, Wrote};
use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::OnceLock;
use std::time::Duration;
use wire::Instant;

pub const LATENCY: Duration = Duration::from_millis(1);
pub const SEGMENTS: usize = 64;

/// The certificate and all that of this process.
pub fn common() -> Common {
    static COMMON: OnceLock<Common> = OnceLock::new();
    COMMON.get_or_init(|| Common::new().expect("QUIC's settings")).clone()
}

pub fn address(of: u8, port: u16) -> SocketAddr {
    SocketAddr::from(([192, 0, 2, of], port))
}

/// One of the two.
pub struct End {
    pub endpoint: Endpoint,
    pub number: u8,
    pub events: Vec<Event>,
    /// Trains that it has sent, by the number of their datagrams.
    pub trains: Vec<usize>,
}

/// Something under way.
struct Train {
    at: Instant,
    to: usize,
    from: SocketAddr,
    port: PortId,
    ecn: u8,
    segment_bytes: usize,
    bytes: Vec<u8>,
}

pub struct Pair {
    pub now: Instant,
    pub ends: [End; 2],
    /// Nothing gets through.
    pub is_cut: bool,
    /// How long everything is under way.
    pub latency: Duration,
    under_way: VecDeque<Train>,
}

pub const DIALLER: usize = 0;
pub const LISTENER: usize = 1;

impl Pair {
    pub fn new() -> Self {
        let now = Instant(1_000_000_000);
        let end =
            |number| End { endpoint: Endpoint::new(common(), now), number, events: Vec::new(), trains: Vec::new() };
        let mut pair =
            Self { now, ends: [end(1), end(2)], is_cut: false, latency: LATENCY, under_way: VecDeque::new() };
        pair.ends[LISTENER].endpoint.add_port(true, false);
        pair
    }

    /// Another process takes the listener's place, and knows nothing.
    pub fn listen_with(&mut self, common: Common) {
        self.ends[LISTENER].endpoint = Endpoint::new(common, self.now);
        self.ends[LISTENER].endpoint.add_port(true, false);
    }

    /// Where the listener is.
    pub fn target() -> SocketAddr {
        address(2, 443)
    }

    pub fn dial(&mut self) -> Handle {
        let endpoint = &mut self.ends[DIALLER].endpoint;
        match endpoint.connect(Self::target(), self.now) {
            Ok(conn) => conn,
            Err(NeedsPort { is_ipv6 }) => {
                assert!(!is_ipv6);
                endpoint.add_port(false, false);
                endpoint.connect(Self::target(), self.now).expect("a socket is there")
            }
        }
    }

    /// A dial from a socket of its own that is closed to other dials: as one of another host.
    pub fn dial_from_elsewhere(&mut self) {
        let endpoint = &mut self.ends[DIALLER].endpoint;
        for port in &mut endpoint.ports {
            port.dialled.insert(Self::target());
        }
        endpoint.add_port(false, false);
        endpoint.connect(Self::target(), self.now).expect("a socket is there");
    }

    /// One round of both ends; whether anything was sent.
    pub fn round(&mut self) -> bool {
        let mut has_sent = false;
        for at in [DIALLER, LISTENER] {
            let now = self.now;
            self.ends[at].endpoint.begin_round(now);
            while let Some(place) = self.under_way.iter().position(|train| train.to == at && train.at <= now) {
                let train = self.under_way.remove(place).expect("it is there");
                let Train { from, port, ecn, segment_bytes, bytes, .. } = train;
                let arrived = Arrived { port, from, to: None, ecn, at: now, segment_bytes, bytes: &bytes };
                self.ends[at].endpoint.handle(arrived, now);
            }
            let End { endpoint, events, .. } = &mut self.ends[at];
            events.extend(std::iter::from_fn(|| endpoint.next_event()));
            has_sent |= self.send(at);
        }
        has_sent
    }

    /// Sends all that an end has.
    pub fn send(&mut self, at: usize) -> bool {
        let mut has_sent = false;
        let mut buffer = Vec::new();
        while let Some(departure) = self.ends[at].endpoint.poll_transmit(self.now, SEGMENTS, false, &mut buffer) {
            let bytes = std::mem::take(&mut buffer);
            has_sent = true;
            self.ends[at].trains.push(bytes.len().div_ceil(departure.segment_bytes));
            if !self.is_cut {
                self.carry(at, departure, bytes);
            }
        }
        has_sent
    }

    fn carry(&mut self, at: usize, departure: Departure, bytes: Vec<u8>) {
        let Departure { port, to, ecn, segment_bytes, .. } = departure;
        // A dialler's sockets have ports from 1000 on.
        let from = if at == DIALLER { address(1, 1000 + port.0 as u16) } else { Self::target() };
        let port = if at == DIALLER { PortId(0) } else { PortId(u32::from(to.port()) - 1000) };
        let train = Train { at: self.now + self.latency, to: 1 - at, from, port, ecn, segment_bytes, bytes };
        self.under_way.push_back(train);
    }

    /// What was sent last and has not arrived.
    pub fn overhear(&self) -> Vec<u8> {
        self.under_way.back().expect("something is under way").bytes.clone()
    }

    /// Goes on for a time.
    pub fn run(&mut self, time: Duration) {
        let until = self.now + time;
        loop {
            self.round();
            let timers = self.ends.iter().map(|end| end.endpoint.next_timeout());
            let next = timers.chain(self.under_way.iter().map(|train| train.at)).min().unwrap_or(Instant::NEVER);
            if next > until {
                self.now = until;
                return;
            }
            self.now = next.max(self.now + Duration::from_micros(10));
        }
    }

    /// A connection with its stream: what the dialler says is there, unread.
    pub fn connected(&mut self, first_words: &[u8]) -> (Handle, Handle) {
        let dialled = self.dial();
        self.run(Duration::from_millis(20));
        assert_eq!(self.take_events(DIALLER), [Event::Connected { conn: dialled }]);
        self.write_all(DIALLER, dialled, first_words);
        self.run(Duration::from_millis(20));
        let events = self.take_events(LISTENER);
        match events[..] {
            [Event::Accepted { conn, peer }] if peer.ip() == address(1, 0).ip() => (dialled, conn),
            _ => panic!("{events:?}"),
        }
    }

    pub fn write_all(&mut self, at: usize, conn: Handle, bytes: &[u8]) {
        assert_eq!(self.ends[at].endpoint.write(conn, bytes), Wrote::Bytes(bytes.len()));
    }

    /// All that can be read, and how it ended.
    pub fn read_all(&mut self, at: usize, conn: Handle) -> (Vec<u8>, Read) {
        let mut all = Vec::new();
        loop {
            let mut piece = Vec::new();
            match self.ends[at].endpoint.read(conn, 1 << 16, &mut piece) {
                Read::Bytes { at } => {
                    assert!(at <= self.now);
                    all.extend(piece);
                }
                end => return (all, end),
            }
        }
    }

    pub fn take_events(&mut self, at: usize) -> Vec<Event> {
        std::mem::take(&mut self.ends[at].events)
    }

    pub fn close(&mut self, at: usize, conn: Handle) {
        self.ends[at].endpoint.close(conn, self.now);
    }
}
