//! From "not connected" to "up": addresses, waiting times, handshake (server.md 3.9).

use super::{Peer, RECEIVE_LIMIT, Stage, Surroundings};
use crate::io::{ConnectFailure, Io, Received, Target};
use crate::link::handshaking::{Handshaking, Progress};
use crate::packet::pool::DestinationId;
use crate::shared::directory::dial_addresses;
use crypto_simd::random::Random;
use crypto_simd::schemes::KemDecapsulationKey;
use interplane::Counter;
use interplane::counter::{DialFailure, Direction};
use interplane::event::{Detail, Event};
use pki::epoch::EpochTime;
use pki::neighbours;
use pki::policy::{self, PeerCredentials, Verdict, View};
use std::sync::Arc;
use std::time::Duration;
use wire::{Command, FRAME_HEADER_BYTES, HandshakeError, HandshakeReason, Role};

/// What came of a push.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Pushed {
    /// Nothing more for now.
    Waits,
    /// The next step costs a KEM operation.
    Expensive,
    /// The link is up.
    Up,
}

/// What decides about a peer.
#[derive(Clone, Copy)]
pub struct Judge<'a> {
    /// The documents.
    pub view: &'a View,
    /// The time.
    pub epoch: &'a EpochTime,
}

impl Peer {
    /// What the documents say about the peer as it is expected.
    pub fn verdict(&self, judge: Judge<'_>) -> Verdict {
        let peer = PeerCredentials { additional_data: &self.node, link_key: &self.link_key };
        policy::authenticate(judge.view, peer, neighbours::Direction::Outgoing, judge.epoch)
    }

    /// Dials the next address if it is time. The documents are asked before each round of addresses; false if they do
    /// not have the destination any more.
    pub fn dial_if_due<I: Io>(&mut self, judge: Judge<'_>, with: &mut Surroundings<'_, I>) -> bool {
        match self.stage {
            Stage::Waiting { until } if until <= with.now => {}
            _ => return true,
        }
        if self.next_address >= self.addresses.len() {
            let Some(index) = policy::destination(judge.view, &self.node, judge.epoch) else { return false };
            let Some(entry) = judge.view.node(index) else { return false };
            self.link_key.clone_from(&entry.link_key);
            self.addresses = dial_addresses(entry);
            self.next_address = 0;
        }
        match self.addresses.get(self.next_address) {
            Some(&address) => {
                self.next_address += 1;
                self.dialled_at = with.now;
                let conn = with.io.connect(Target::tcp(address));
                self.stage = Stage::Connecting { conn, deadline: with.now + with.facts.connect_timeout };
            }
            None => {
                self.dial_failed(DialFailure::Dns, with);
                self.retry_delay = retry_delay_max(with.facts.clock.period());
                self.wait(with);
            }
        }
        true
    }

    /// Waits for the present delay, more or less, before the next dial; the delay after that is longer.
    pub(super) fn wait<I>(&mut self, with: &mut Surroundings<'_, I>) {
        let period = with.facts.clock.period();
        // Up to an eighth more or less, so that nodes that lost each other together do not return together.
        let eighth_ns = u32::try_from(self.retry_delay.as_micros() / 4).unwrap_or(u32::MAX);
        let jitter = Duration::from_micros(u64::from(with.random.below(eighth_ns)));
        self.stage = Stage::Waiting { until: with.now + self.retry_delay * 7 / 8 + jitter };
        self.retry_delay = (self.retry_delay + period / 64).min(retry_delay_max(period));
    }

    /// The connection is there; the handshake waits for its turn.
    pub fn handle_connected<I: Io>(&mut self, with: &mut Surroundings<'_, I>) -> Pushed {
        let Stage::Connecting { conn, .. } = self.stage else { return Pushed::Waits };
        with.account.count(Counter::CONNECTIONS_MADE);
        self.stage = Stage::Connected { conn };
        Pushed::Expensive
    }

    /// It could not be made.
    pub fn handle_connect_failed<I: Io>(&mut self, failure: ConnectFailure, with: &mut Surroundings<'_, I>) {
        let Stage::Connecting { conn, .. } = self.stage else { return };
        with.io.close(conn);
        let reason = match failure {
            ConnectFailure::Refused => DialFailure::Refused,
            ConnectFailure::TimedOut => DialFailure::Timeout,
            ConnectFailure::NoRoute => DialFailure::NoRoute,
            ConnectFailure::Other => DialFailure::Other,
        };
        self.dial_failed(reason, with);
        self.wait(with);
    }

    /// Ends dials and handshakes that take too long.
    pub(super) fn time_out_dial<I: Io>(&mut self, with: &mut Surroundings<'_, I>) {
        match &mut self.stage {
            Stage::Connecting { deadline, .. } if *deadline <= with.now => {
                self.handle_connect_failed(ConnectFailure::TimedOut, with);
            }
            Stage::Handshaking { handshake, .. } if handshake.deadline <= with.now => {
                let failure = handshake.timed_out();
                self.handshake_failed(failure, with);
            }
            Stage::Finalizing { transport, deadline, .. } if *deadline <= with.now => {
                let failure = transport.finalization_failed(HandshakeReason::TimedOut);
                self.handshake_failed(failure, with);
            }
            _ => {}
        }
    }

    /// Goes as far as the connection allows.
    pub fn push<I: Io>(&mut self, judge: Judge<'_>, with: &mut Surroundings<'_, I>) -> Pushed {
        match &mut self.stage {
            Stage::Handshaking { conn, handshake } => match handshake.pump(with.io, *conn) {
                Progress::Waits => Pushed::Waits,
                Progress::Expensive | Progress::Authenticate => Pushed::Expensive,
                Progress::Done => self.begin_finalization(judge, with),
                Progress::Failed(failure) => self.give_up(failure, with),
            },
            Stage::Finalizing { .. } => self.finalize(judge, with),
            _ => Pushed::Waits,
        }
    }

    /// Takes one step that costs a KEM operation, if one is due.
    pub fn step<I: Io>(
        &mut self,
        link_key: Option<&Arc<dyn KemDecapsulationKey>>,
        unix: Duration,
        judge: Judge<'_>,
        with: &mut Surroundings<'_, I>,
    ) -> Pushed {
        let outcome = match self.stage {
            Stage::Connected { .. } => self.begin_handshake(link_key, with),
            Stage::Handshaking { conn, ref mut handshake } => match handshake.pump(with.io, conn) {
                Progress::Expensive => handshake.step(unix.as_secs(), with.random),
                Progress::Authenticate => self.authenticate(judge, with.random),
                Progress::Failed(failure) => Err(failure),
                Progress::Waits | Progress::Done => Ok(()),
            },
            _ => Ok(()),
        };
        match outcome {
            Ok(()) => self.push(judge, with),
            Err(failure) => self.give_up(failure, with),
        }
    }

    fn begin_handshake<I: Io>(
        &mut self,
        link_key: Option<&Arc<dyn KemDecapsulationKey>>,
        with: &mut Surroundings<'_, I>,
    ) -> Result<(), Box<HandshakeError>> {
        let Stage::Connected { conn } = self.stage else { return Ok(()) };
        let Some(key) = link_key else {
            // No key yet: it comes before long.
            with.io.close(conn);
            self.wait(with);
            return Ok(());
        };
        let deadline = with.now + with.facts.handshake_timeout;
        let config = with.facts.session(Role::Initiator);
        let id = with.facts.node_id;
        let handshake = Handshaking::new(&config, Arc::clone(key), &id, with.now, deadline, with.random)?;
        self.stage = Stage::Handshaking { conn, handshake: Box::new(handshake) };
        Ok(())
    }

    /// The peer must be the one that was dialled, and one that may be sent to (wire.md 5.5).
    fn authenticate(&mut self, judge: Judge<'_>, random: &mut dyn Random) -> Result<(), Box<HandshakeError>> {
        let is_valid = self.verdict(judge).valid;
        let Stage::Handshaking { handshake, .. } = &mut self.stage else { return Ok(()) };
        let is_expected =
            handshake.peer().is_some_and(|peer| peer.additional_data == self.node && peer.public_key == self.link_key);
        if is_expected && is_valid { handshake.accept(random) } else { Err(handshake.reject()) }
    }

    fn begin_finalization<I: Io>(&mut self, judge: Judge<'_>, with: &mut Surroundings<'_, I>) -> Pushed {
        let deadline = with.now + RECEIVE_LIMIT;
        match std::mem::replace(&mut self.stage, Stage::Waiting { until: with.now }) {
            Stage::Handshaking { conn, handshake } => match handshake.finish() {
                Ok((transport, _)) => {
                    let frame = vec![0; FRAME_HEADER_BYTES];
                    let transport = Box::new(transport);
                    self.stage = Stage::Finalizing { conn, transport, frame, received: 0, deadline };
                    self.finalize(judge, with)
                }
                Err(failure) => {
                    with.io.close(conn);
                    self.give_up(failure, with)
                }
            },
            other => {
                self.stage = other;
                Pushed::Waits
            }
        }
    }

    /// Receives the finalization NoOp, and nothing beyond it.
    fn finalize<I: Io>(&mut self, judge: Judge<'_>, with: &mut Surroundings<'_, I>) -> Pushed {
        let Stage::Finalizing { conn, transport, frame, received, .. } = &mut self.stage else { return Pushed::Waits };
        let conn = *conn;
        loop {
            while *received < frame.len() {
                let rest = &mut frame[*received..];
                match with.io.recv(conn, rest.len()) {
                    Received::Bytes { bytes, .. } => {
                        rest[..bytes.len()].copy_from_slice(bytes);
                        *received += bytes.len();
                    }
                    Received::WouldBlock => return Pushed::Waits,
                    Received::Closed | Received::Failed => {
                        let failure = transport.finalization_failed(HandshakeReason::Closed);
                        return self.give_up(failure, with);
                    }
                }
            }
            if frame.len() == FRAME_HEADER_BYTES {
                match transport.opener.open_header(frame) {
                    Ok(bytes) => frame.resize(FRAME_HEADER_BYTES + bytes, 0),
                    Err(_) => break,
                }
                continue;
            }
            let commands = with.facts.commands();
            let is_no_op = (transport.opener.open_body(&mut frame[FRAME_HEADER_BYTES..]))
                .is_ok_and(|command| matches!(commands.parse(command), Ok(Command::NoOp)));
            if is_no_op {
                return self.up(judge, with);
            }
            break;
        }
        let failure = transport.finalization_failed(HandshakeReason::Finalization);
        self.give_up(failure, with)
    }

    fn up<I: Io>(&mut self, judge: Judge<'_>, with: &mut Surroundings<'_, I>) -> Pushed {
        let verdict = self.verdict(judge);
        match std::mem::replace(&mut self.stage, Stage::Waiting { until: with.now }) {
            Stage::Finalizing { conn, transport, .. } => {
                self.stage = Stage::Up { conn, sealer: transport.sealer };
                self.may_send = verdict.may_send;
                self.retry_delay = Duration::ZERO;
                self.traffic_at = with.now;
                let (peer, took) = (self.event_peer(), with.now.since(self.dialled_at));
                with.account.link_up(Direction::Outgoing, peer, took);
                // Nothing was received beyond the NoOp: what follows it must be looked for once, to be told of the rest.
                self.handle_readable_up(with);
                Pushed::Up
            }
            other => {
                self.stage = other;
                Pushed::Waits
            }
        }
    }

    fn give_up<I: Io>(&mut self, failure: Box<HandshakeError>, with: &mut Surroundings<'_, I>) -> Pushed {
        self.handshake_failed(failure, with);
        Pushed::Waits
    }

    fn handshake_failed<I: Io>(&mut self, failure: Box<HandshakeError>, with: &mut Surroundings<'_, I>) {
        let (peer, took) = (self.event_peer(), with.now.since(self.dialled_at));
        with.account.handshake_failed(Direction::Outgoing, &failure, peer, took);
        if let Some(conn) = self.conn() {
            with.io.close(conn);
        }
        self.wait(with);
    }

    fn dial_failed<I>(&mut self, reason: DialFailure, with: &mut Surroundings<'_, I>) {
        with.account.count(Counter::dial_failure(reason));
        let peer = self.event_peer();
        with.account.tell(Event::DialFailed { peer, reason, detail: Detail::default() });
    }
}

fn retry_delay_max(period: Duration) -> Duration {
    period / 8
}

/// Who waits for a KEM step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Waiter {
    /// An incoming connection, by its place in the table and its generation.
    Incoming(crate::io::ConnId),
    /// An outgoing link.
    Outgoing(DestinationId),
}
