//! A client on the simulated network: the engine that ships, its bytes over a connection of the simulation, and somebody
//! who pings with it as long as it lives.

use client::driver::CONNECT_LIMIT;
use client::engine::{Loss, Request, services};
use client::{Client, Event as ClientEvent, Now, Settings};
use crypto_simd::random::{Random, SeededRandom};
use dataplane::io::{ConnId, Event, Io, Received, Target};
use dataplane::{Instant, Next};
use std::collections::BTreeMap;
use std::time::Duration;

/// Between one ping and the next.
const PAUSE: Duration = Duration::from_millis(1500);
/// Pings under way at once: one that is lost is waited for over epochs.
const PINGS_MAX: usize = 16;
/// Bytes that are read at once.
const READ_BYTES: usize = 64 << 10;
/// Random bytes of a ping.
const PING_BYTES: usize = 32;

/// What came of the pings so far.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Sent.
    pub sent: u64,
    /// Answered, by what had been sent.
    pub answered: u64,
    /// Sent and lost, or never sent, by reason.
    pub lost: BTreeMap<String, u64>,
    /// When the last of these had been sent, or should have been.
    pub lost_sent_at: Instant,
    /// All round trips together.
    pub rtt: Duration,
}

/// A ping that is under way.
struct Ping {
    payload: Vec<u8>,
    sent: Option<Instant>,
    delay: Duration,
}

/// A client and whoever pings with it.
pub struct User {
    client: Client,
    conn: Option<ConnId>,
    /// Until it is too late.
    dialling: Option<(ConnId, Instant)>,
    pings: BTreeMap<u64, Ping>,
    next_number: u64,
    next_at: Instant,
    /// What came of the pings.
    pub tally: Tally,
    /// Something that must never happen.
    pub fault: Option<String>,
    /// What it has noticed since somebody asked.
    pub told: Vec<String>,
    random: SeededRandom,
}

impl User {
    /// A client that has not begun.
    pub fn new(settings: Settings, now: Instant, seed: &[u8; 32]) -> Self {
        Self {
            client: Client::new(settings, now).expect("a sound geometry"),
            conn: None,
            dialling: None,
            pings: BTreeMap::new(),
            next_number: 0,
            next_at: now,
            tally: Tally::default(),
            fault: None,
            told: Vec::new(),
            random: SeededRandom::new(seed),
        }
    }

    fn now(&self, io: &impl Io) -> Now {
        Now { at: io.now(), unix: io.unix_now() }
    }

    /// One round.
    pub fn poll(&mut self, io: &mut impl Io) -> Next {
        while let Some(event) = io.next_event() {
            self.heed(io, event);
        }
        self.read(io);
        self.lose_patience(io);
        let now = self.now(io);
        self.client.handle_timeout(now, &mut self.random);
        self.go_on(now);
        while let Some(event) = self.client.poll_event() {
            self.hear(io, event);
        }
        self.write(io);
        let now = self.now(io);
        let next = self.client.poll_timeout(now);
        let ping = if self.pings.len() < PINGS_MAX {
            self.next_at.max(now.at + Duration::from_millis(50))
        } else {
            Instant::NEVER
        };
        let dial = self.dialling.map_or(Instant::NEVER, |(_, until)| until);
        Next::ParkUntil(next.min(ping).min(dial))
    }

    fn heed(&mut self, io: &mut impl Io, event: Event) {
        let now = self.now(io);
        match event {
            Event::Connected { conn } if self.dials(conn) => {
                self.dialling = None;
                self.conn = Some(conn);
                self.client.handle_connected(now, &mut self.random);
            }
            Event::ConnectFailed { conn, .. } => {
                io.close(conn);
                if self.dials(conn) {
                    self.dialling = None;
                    self.client.handle_unreachable("nobody listens", now, &mut self.random);
                }
            }
            Event::Sent { conn, buffer, taken } if self.conn == Some(conn) => {
                if taken < buffer.len() {
                    self.lose(io, true);
                } else {
                    self.client.handle_sent(buffer, taken, now, &mut self.random);
                }
            }
            _ => {}
        }
    }

    fn dials(&self, conn: ConnId) -> bool {
        self.dialling.is_some_and(|(dialling, _)| dialling == conn)
    }

    /// Gives a dial up to which nobody says anything.
    fn lose_patience(&mut self, io: &mut impl Io) {
        let now = self.now(io);
        if let Some((conn, _)) = self.dialling.take_if(|(_, until)| *until <= now.at) {
            io.close(conn);
            self.client.handle_unreachable("no answer", now, &mut self.random);
        }
    }

    fn read(&mut self, io: &mut impl Io) {
        while let Some(conn) = self.conn {
            let now = self.now(io);
            match io.recv(conn, READ_BYTES) {
                Received::Bytes { bytes, .. } => self.client.handle_input(bytes, now, &mut self.random),
                Received::WouldBlock => return,
                Received::Closed => self.lose(io, false),
                Received::Failed => self.lose(io, true),
            }
            // It may have ended by what came.
            while let Some(event) = self.client.poll_event() {
                self.hear(io, event);
            }
        }
    }

    fn lose(&mut self, io: &mut impl Io, is_broken: bool) {
        if let Some(conn) = self.conn.take() {
            io.close(conn);
            let now = self.now(io);
            self.client.handle_closed(is_broken, now, &mut self.random);
        }
    }

    fn write(&mut self, io: &mut impl Io) {
        let Some(conn) = self.conn else { return };
        if io.sending(conn).is_none()
            && let Some(buffer) = self.client.poll_output(io.now())
        {
            io.send(conn, buffer);
        }
    }

    /// Begins the next ping if it is time.
    fn go_on(&mut self, now: Now) {
        if self.pings.len() >= PINGS_MAX || now.at < self.next_at || !self.client.is_ready(now) {
            return;
        }
        let Some(consensus) = self.client.document(now).cloned() else { return };
        let Some(service) = services(&consensus, "echo").into_iter().next() else { return };
        let mut payload = vec![0; PING_BYTES];
        self.random.fill(&mut payload);
        let number = self.next_number;
        self.next_number += 1;
        self.next_at = now.at + PAUSE;
        self.pings.insert(number, Ping { payload: payload.clone(), sent: None, delay: Duration::ZERO });
        self.client.request(Request { number, service, payload }, now, &mut self.random);
    }

    fn hear(&mut self, io: &mut impl Io, event: ClientEvent) {
        match event {
            ClientEvent::Dial { addresses, .. } => {
                let address = addresses.first().and_then(|address| address.socket_address());
                let until = io.now() + CONNECT_LIMIT;
                self.dialling = address.map(|address| (io.connect(Target::tcp(address)), until));
            }
            ClientEvent::Disconnected { reason, .. } => {
                self.told.push(format!("disconnected: {reason}"));
                if let Some(conn) = self.conn.take().or(self.dialling.take().map(|(conn, _)| conn)) {
                    io.close(conn);
                }
            }
            ClientEvent::Sent { request, at, trip, .. } => {
                self.tally.sent += 1;
                if let Some(ping) = self.pings.get_mut(&request) {
                    ping.sent = Some(at.at);
                    let there = trip.forward.iter().rev().skip(1);
                    let ms: u64 = there.chain(&trip.reply).filter_map(|hop| hop.delay_ms).map(u64::from).sum();
                    ping.delay = Duration::from_millis(ms);
                }
            }
            ClientEvent::Answered { request, at, payload } => self.answered(request, at.at, &payload),
            ClientEvent::Lost { request, loss, at } => self.lost(request, &loss, at.at),
            ClientEvent::Connected { .. } => self.told.push("connected".into()),
            ClientEvent::Document { epoch, .. } => self.told.push(format!("document of epoch {}", epoch.0)),
            ClientEvent::NoDocument { .. } | ClientEvent::BadDocument { .. } => {}
        }
    }

    fn answered(&mut self, number: u64, at: Instant, payload: &[u8]) {
        let Some(Ping { payload: sent, sent: Some(begun), delay }) = self.pings.remove(&number) else {
            self.fault = Some(format!("ping {number} was answered although none is under way"));
            return;
        };
        let rtt = at.since(begun);
        self.tally.answered += 1;
        self.tally.rtt += rtt;
        if payload.get(..sent.len()) != Some(&sent[..]) {
            self.fault = Some(format!("ping {number} was answered by something else"));
        }
        if rtt < delay {
            self.fault = Some(format!("ping {number} took {rtt:?}, its delays alone take {delay:?}"));
        }
    }

    fn lost(&mut self, number: u64, loss: &Loss, at: Instant) {
        if let Some(ping) = self.pings.remove(&number) {
            self.tally.lost_sent_at = self.tally.lost_sent_at.max(ping.sent.unwrap_or(at));
            let reason = match loss {
                Loss::LinkLost { .. } => "link lost".to_owned(),
                loss => loss.to_string(),
            };
            self.told.push(format!("ping {number} is lost: {reason}"));
            *self.tally.lost.entry(reason).or_default() += 1;
        }
    }
}
