//! Both ends of a link over a line that delivers what a test lets through, under one fake clock.

use crate::command::{COMMAND_HEADER_BYTES, Command};
use crate::link::{Due, End, Event, Input, Limits, Link};
use crate::sizes::{CommandSizes, Role};
use crate::{CommandSet, Instant, SessionConfig};
use crypto_simd::random::SeededRandom;
use crypto_simd::schemes::{Kem, kem};
use std::sync::Arc;
use std::time::Duration;

pub const UNIX_SECONDS: u64 = 1_795_288_461;
pub const PACKET_BYTES: usize = 400;

pub fn sizes() -> CommandSizes {
    CommandSizes::mixnet(PACKET_BYTES, 198)
}

pub fn x25519() -> &'static dyn Kem {
    kem::by_name("x25519").expect("built in")
}

/// One end and what a test sees of it.
pub struct Side {
    pub link: Link,
    pub events: Vec<Event>,
    /// Encodings of the commands that came.
    pub received: Vec<Vec<u8>>,
    /// What it has sent and the line has not delivered, one entry per send.
    pub line: Vec<Vec<u8>>,
    pub packets_sent: usize,
    /// Whether it takes steps and decides as soon as it is asked to.
    pub is_willing: bool,
    random: SeededRandom,
}

pub struct Pair {
    pub now: Instant,
    pub initiator: Side,
    pub responder: Side,
    /// The line cuts what it delivers into pieces of this size.
    pub piece_bytes: usize,
}

pub fn config(role: Role, kem: &'static dyn Kem) -> SessionConfig {
    SessionConfig::mixnet(role, kem, sizes())
}

impl Side {
    pub fn new(config: SessionConfig, limits: Limits, seed: u8, now: Instant) -> Self {
        let mut random = SeededRandom::new(&[seed; 32]);
        let key = Arc::from(config.kem.load(&config.kem.generate(&mut random)).expect("a usable key"));
        let link = Link::new(config, key, config.role.label().as_bytes(), limits, now);
        let (events, received, line) = (Vec::new(), Vec::new(), Vec::new());
        Self { link, events, received, line, packets_sent: 0, is_willing: true, random }
    }

    /// Takes `bytes` and does all that the link wants.
    pub fn drive(&mut self, now: Instant, mut bytes: &mut [u8]) {
        loop {
            self.heed(now);
            match self.link.handle_input(now, &mut bytes) {
                Input::Nothing => break,
                Input::Event => {}
                Input::Frame(frame) => {
                    // All ways of opening, in turns.
                    match self.received.len() % 3 {
                        0 => {
                            let mut place = vec![0; frame.command_bytes()];
                            self.received.extend(frame.open_in(&mut place).map(|()| place));
                        }
                        1 => self.received.extend(frame.open().map(|command| command.to_vec())),
                        _ => self.received.extend(frame.into_command()),
                    }
                }
            }
        }
        assert!(bytes.is_empty(), "input is taken or held");
        self.heed(now);
    }

    pub fn heed(&mut self, now: Instant) {
        while let Some(event) = self.link.poll_event() {
            self.events.push(event);
            if self.is_willing {
                self.take_turn(now);
            }
        }
        while let Some(buffer) = self.link.poll_output(now) {
            assert!(self.link.poll_output(now).is_none(), "one buffer at a time");
            self.line.push(buffer.clone());
            let taken = buffer.len();
            self.packets_sent += self.link.handle_sent(buffer, taken);
        }
    }

    /// The step or decision that is due.
    pub fn take_turn(&mut self, now: Instant) {
        match self.link.due() {
            Some(Due::Step) => self.link.step(now, UNIX_SECONDS, &mut self.random),
            Some(Due::Decision) => self.link.accept(now, &mut self.random),
            None => {}
        }
    }

    pub fn end(&self) -> Option<End> {
        assert_eq!(self.link.ended().is_some(), matches!(self.events.last(), Some(Event::Ended(_))));
        self.link.ended()
    }

    #[track_caller]
    pub fn send(&mut self, command: &Command<'_>) {
        match command {
            // As nodes send packets: from where they lie.
            Command::SendPacket { packet } if packet.len() == PACKET_BYTES => {
                let mut place = [&[0xa5; COMMAND_HEADER_BYTES], *packet].concat();
                self.link.send_packet(&mut place).expect("room");
            }
            _ => self.link.send(command).expect("room"),
        }
    }

    pub fn commands(&self) -> CommandSet {
        self.link.commands()
    }
}

impl Pair {
    pub fn of(kem: &'static dyn Kem) -> Self {
        let handshake = Duration::from_secs(3);
        Self::with(kem, Limits::node(Role::Initiator, handshake), Limits::node(Role::Responder, handshake))
    }

    pub fn with(kem: &'static dyn Kem, initiator: Limits, responder: Limits) -> Self {
        let now = Instant(1_000_000_000);
        Self {
            now,
            initiator: Side::new(config(Role::Initiator, kem), initiator, 1, now),
            responder: Side::new(config(Role::Responder, kem), responder, 2, now),
            piece_bytes: usize::MAX,
        }
    }

    pub fn side(&mut self, role: Role) -> &mut Side {
        match role {
            Role::Initiator => &mut self.initiator,
            Role::Responder => &mut self.responder,
        }
    }

    /// Delivers what `from` has sent; how many sends that were.
    pub fn deliver(&mut self, from: Role) -> usize {
        let (now, piece_bytes) = (self.now, self.piece_bytes);
        let (from, to) = match from {
            Role::Initiator => (&mut self.initiator, &mut self.responder),
            Role::Responder => (&mut self.responder, &mut self.initiator),
        };
        from.heed(now);
        let sends = std::mem::take(&mut from.line);
        let mut bytes = sends.concat();
        bytes.chunks_mut(piece_bytes).for_each(|piece| to.drive(now, piece));
        sends.len()
    }

    /// Until nothing is under way.
    pub fn run(&mut self) {
        while self.deliver(Role::Initiator) + self.deliver(Role::Responder) > 0 {}
    }

    #[track_caller]
    pub fn established(mut self) -> Self {
        self.run();
        assert!(self.initiator.link.is_up() && self.responder.link.is_up());
        self
    }

    /// Lets time pass, with all time-outs on the way.
    pub fn pass(&mut self, time: Duration) {
        let end = self.now + time;
        loop {
            let next = self.initiator.link.poll_timeout().min(self.responder.link.poll_timeout());
            if next > end {
                break;
            }
            self.now = self.now.max(next);
            self.fire();
        }
        self.now = end;
    }

    fn fire(&mut self) {
        let now = self.now;
        for side in [&mut self.initiator, &mut self.responder] {
            if side.link.poll_timeout() <= now {
                side.link.handle_timeout(now, &mut side.random);
                assert!(side.link.poll_timeout() > now, "a timer that went off runs on");
                side.heed(now);
            }
        }
    }
}
