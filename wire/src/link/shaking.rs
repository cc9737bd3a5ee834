//! A link that is not established yet: messages in, steps when the owner takes them, the finalization NoOp.

use super::{Due, End, Event, Input, Link, Stage};
use crate::command::{COMMAND_HEADER_BYTES, Command};
use crate::config::SessionConfig;
use crate::error::{HandshakeError, HandshakeReason, HandshakeState};
use crate::frame::frame_bytes;
use crate::handshake::{Handshake, Transport, Want};
use crate::link::Timer;
use crate::peer::PeerCredentials;
use crate::sizes::{Message, MessageSizes, Role};
use crate::time::Instant;
use crypto_simd::random::Random;
use crypto_simd::schemes::KemDecapsulationKey;
use std::sync::Arc;

/// What an initiator holds behind a message for whose step it has no time yet: a responder has commands to send as soon
/// as it is done.
const SURPLUS_BYTES_MAX: usize = 64 << 10;

/// A handshake on its way.
pub(super) struct Shaking {
    key: Arc<dyn KemDecapsulationKey>,
    additional_data: Vec<u8>,
    /// None before the first step, so that a stranger who only connects costs next to nothing.
    handshake: Option<Handshake>,
    /// The message for whose step it is time.
    message: Vec<u8>,
    due: Option<Due>,
    any_byte: bool,
}

impl Shaking {
    pub(super) fn new(config: &SessionConfig, key: Arc<dyn KemDecapsulationKey>, additional_data: &[u8]) -> Self {
        Self {
            key,
            additional_data: additional_data.to_vec(),
            handshake: None,
            message: Vec::new(),
            due: (config.role == Role::Initiator).then_some(Due::Step),
            any_byte: false,
        }
    }

    pub(super) fn due(&self) -> Option<Due> {
        self.due
    }

    pub(super) fn peer(&self) -> Option<&PeerCredentials> {
        self.handshake.as_ref()?.peer()
    }

    pub(super) fn state(&self, role: Role) -> HandshakeState {
        match (&self.handshake, role) {
            (Some(handshake), _) => handshake.state(),
            (None, Role::Initiator) => HandshakeState::Initialization,
            (None, Role::Responder) => HandshakeState::Message1Receive,
        }
    }

    /// Bytes of the message that is awaited.
    pub(super) fn message_bytes(&self, config: &SessionConfig) -> usize {
        match (self.due, self.handshake.as_ref().map(Handshake::wants)) {
            (None, Some(Want::Read(bytes))) => bytes,
            (None, None) => MessageSizes::of(config.kem.info()).message(Message::One),
            _ => 0,
        }
    }

    pub(super) fn step(
        &mut self,
        config: &SessionConfig,
        unix_seconds: u64,
        random: &mut dyn Random,
    ) -> Result<(), HandshakeError> {
        self.due = None;
        let mut handshake = match self.handshake.take() {
            Some(handshake) => handshake,
            None => Handshake::new(config, Arc::clone(&self.key), &self.additional_data, random)?,
        };
        if let Want::Read(_) = handshake.wants() {
            handshake.read(&mut self.message, unix_seconds, random)?;
        }
        self.handshake = Some(handshake);
        Ok(())
    }

    pub(super) fn accept(&mut self, random: &mut dyn Random) -> Result<(), HandshakeError> {
        self.due = None;
        match &mut self.handshake {
            Some(handshake) => handshake.accept(random),
            None => Ok(()),
        }
    }

    fn finish(self) -> Option<Result<Transport, HandshakeError>> {
        self.handshake.map(Handshake::into_transport)
    }
}

impl Link {
    /// Bytes of the message that is due; what comes behind it is held until its step.
    pub(super) fn take_message<'a>(&'a mut self, input: &mut &mut [u8]) -> Input<'a> {
        let Some(shaking) = &mut self.shaking else { return Input::Nothing };
        shaking.any_byte |= !input.is_empty();
        if shaking.due.is_some() {
            self.held.keep(input);
            if self.held.len() > surplus_bytes_max(&self.config) {
                self.end(End::Handshake(self.handshake_error(HandshakeReason::Surplus)));
                return Input::Event;
            }
            return Input::Nothing;
        }
        let bytes = shaking.message_bytes(&self.config);
        let Some(unit) = self.held.unit(bytes, input) else { return Input::Nothing };
        shaking.message.resize(bytes, 0);
        unit.copy_to(&mut shaking.message);
        shaking.due = Some(Due::Step);
        self.state.timers.stop(Timer::Message1);
        self.state.event = Some(Event::Due(Due::Step));
        Input::Event
    }

    /// The first frame, which must be a NoOp.
    pub(super) fn take_finalization<'a>(&'a mut self, now: Instant, input: &mut &mut [u8]) -> Input<'a> {
        let failed = End::Handshake(self.handshake_error(HandshakeReason::Finalization));
        let set = self.config.command_set();
        let is_no_op = match self.open_header(now, input) {
            Ok(None) => return Input::Nothing,
            Err(_) => false,
            Ok(Some(bytes)) => {
                let Some(unit) = self.held.unit(bytes, input) else { return Input::Nothing };
                self.body_bytes = None;
                let mut body = vec![0; bytes];
                unit.copy_to(&mut body);
                let opened = self.opener.as_mut().and_then(|opener| opener.open_body(&mut body).ok());
                opened.is_some_and(|command| set.parse(command) == Ok(Command::NoOp))
            }
        };
        if is_no_op {
            self.go_up(now);
        } else {
            self.end(failed);
        }
        Input::Event
    }

    /// After a step or a decision: what the handshake writes goes out, and it says what it waits for.
    pub(super) fn go_on(&mut self, now: Instant, random: &mut dyn Random) {
        let Some(shaking) = &mut self.shaking else { return };
        while let Some(handshake) = &mut shaking.handshake {
            match handshake.wants() {
                Want::Write => {
                    self.outbox.push_message(handshake.pending_write());
                    handshake.written();
                }
                Want::Authenticate => {
                    shaking.due = Some(Due::Decision);
                    self.state.event = Some(Event::Due(Due::Decision));
                    return;
                }
                Want::Done => return self.finish(now, random),
                Want::Read(_) | Want::Closed => return,
            }
        }
    }

    /// All messages are exchanged: a responder says so with a NoOp, an initiator waits for that (wire.md 3.10).
    fn finish(&mut self, now: Instant, random: &mut dyn Random) {
        let transport = match self.shaking.take().and_then(|shaking| shaking.finish()) {
            Some(Ok(transport)) => transport,
            Some(Err(error)) => return self.end(End::Handshake(error)),
            None => return,
        };
        self.state.timers.stop(Timer::Handshake);
        self.draw_keep_alive(random);
        self.sealer = Some(transport.sealer);
        self.opener = Some(transport.opener);
        self.peer = Some(transport.peer);
        self.clock_skew = transport.clock_skew;
        self.handshake_hash = transport.handshake_hash;
        match self.config.role {
            Role::Initiator => {
                self.state.go(Stage::Finalizing, None);
                self.state.timers.set(Timer::Finalization, now + self.limits.finalization);
            }
            Role::Responder => {
                self.go_up(now);
                if self.seal(&Command::NoOp).is_err() {
                    self.end(End::Handshake(self.handshake_error(HandshakeReason::Finalization)));
                }
            }
        }
    }

    fn go_up(&mut self, now: Instant) {
        self.state.go(Stage::Up, Some(Event::Up));
        self.state.timers.stop(Timer::Finalization);
        if let Some(limit) = self.limits.receive {
            self.state.timers.set(Timer::Receive, now + limit);
        }
        self.rest_from(now);
    }

    /// What a lost connection means to a handshake.
    pub(super) fn closed_reason(&self) -> HandshakeReason {
        match &self.shaking {
            Some(shaking) if !shaking.any_byte => HandshakeReason::ClosedBeforeFirstByte,
            _ => HandshakeReason::Closed,
        }
    }
}

/// A peer that is still unknown has nothing to say before it gets an answer.
fn surplus_bytes_max(config: &SessionConfig) -> usize {
    match config.role {
        Role::Responder => MessageSizes::of(config.kem.info()).largest(),
        Role::Initiator => SURPLUS_BYTES_MAX + frame_bytes(COMMAND_HEADER_BYTES + config.sizes.packet_bytes),
    }
}
