//! The pqXX handshake (wire.md 3) as a state machine over exact byte counts.
//!
//! The driver looks at [`Handshake::wants`] and does that: sends [`Handshake::pending_write`] and calls
//! [`Handshake::written`]; receives so many bytes and calls [`Handshake::read`]; decides about [`Handshake::peer`] and
//! calls [`Handshake::accept`], or closes the connection. [`Link`](crate::Link) is that driver: it adds deadlines, and the
//! NoOp frame behind message 4 that the initiator awaits before it treats the session as up (wire.md 3.10).

mod messages;
mod payload;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod vector_tests;

use crate::config::SessionConfig;
use crate::error::{HandshakeError, HandshakeReason, HandshakeState};
use crate::frame::{FrameOpener, FrameSealer};
use crate::peer::PeerCredentials;
use crate::sizes::{ADDITIONAL_DATA_BYTES_MAX, Message, MessageSizes, Role};
use crate::symmetric::{HASH_BYTES, SymmetricState};
use crypto_simd::random::Random;
use crypto_simd::schemes::{Kem, KemDecapsulationKey};
use std::sync::Arc;

/// The first byte of message 1 and the prologue.
const VERSION: u8 = 0x03;

/// What the handshake needs next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Want {
    /// Send [`Handshake::pending_write`] in one write, then call [`Handshake::written`].
    Write,
    /// Receive exactly so many bytes, then call [`Handshake::read`].
    Read(usize),
    /// Decide about [`Handshake::peer`], then call [`Handshake::accept`] or close the connection.
    Authenticate,
    /// Call [`Handshake::into_transport`].
    Done,
    /// Failed or rejected: close the connection without a word.
    Closed,
}

/// What a finished handshake leaves. Sealer and opener are independent of each other.
pub struct Transport {
    /// Our sending direction.
    pub sealer: FrameSealer,
    /// Our receiving direction.
    pub opener: FrameOpener,
    /// The accepted peer.
    pub peer: PeerCredentials,
    /// Initiator only: local clock minus the responder's, in seconds; positive if the local clock is ahead.
    pub clock_skew: Option<i64>,
    /// The final `h`; unique to the session, not used on the wire.
    pub handshake_hash: [u8; HASH_BYTES],
    /// This end.
    pub role: Role,
    /// Canonical name of the KEM.
    pub kem: &'static str,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    Write(Message),
    Read(Message),
    Authenticate,
    Done,
    Closed,
}

/// One end of a handshake. The caller's bytes are decrypted where they lie; besides the peer's credentials it owns one
/// buffer for the messages it writes.
pub struct Handshake {
    role: Role,
    kem: &'static dyn Kem,
    sizes: MessageSizes,
    message_bytes_max: usize,
    receive_bytes_max: usize,
    step: Step,
    symmetric: SymmetricState,
    static_key: Arc<dyn KemDecapsulationKey>,
    ephemeral: Option<Box<dyn KemDecapsulationKey>>,
    additional_data: Vec<u8>,
    message: Vec<u8>,
    peer: Option<PeerCredentials>,
    clock_skew: Option<i64>,
}

impl Handshake {
    /// Starts. The initiator makes its ephemeral key pair here, which is an expensive step.
    pub fn new(
        config: &SessionConfig,
        static_key: Arc<dyn KemDecapsulationKey>,
        additional_data: &[u8],
        random: &mut dyn Random,
    ) -> Result<Self, HandshakeError> {
        let info = config.kem.info();
        let sizes = MessageSizes::of(info);
        let mut symmetric = SymmetricState::new(info.name);
        symmetric.mix_hash(&[VERSION]);
        let mut handshake = Self {
            role: config.role,
            kem: config.kem,
            sizes,
            message_bytes_max: config.message_bytes_max,
            receive_bytes_max: config.receive_bytes_max,
            step: Step::Read(Message::One),
            symmetric,
            static_key,
            ephemeral: None,
            additional_data: additional_data.to_vec(),
            message: Vec::with_capacity(sizes.largest()),
            peer: None,
            clock_skew: None,
        };
        let usable = additional_data.len() <= ADDITIONAL_DATA_BYTES_MAX
            && handshake.static_key.scheme().info().name == info.name;
        if !usable {
            return Err(handshake.fail(HandshakeState::Initialization, HandshakeReason::Configuration));
        }
        if config.role == Role::Initiator {
            handshake
                .write_message_1(random)
                .map_err(|reason| handshake.fail(HandshakeState::Initialization, reason))?;
            handshake.step = Step::Write(Message::One);
        }
        Ok(handshake)
    }

    /// What to do next.
    pub fn wants(&self) -> Want {
        match self.step {
            Step::Write(_) => Want::Write,
            Step::Read(message) => Want::Read(self.sizes.message(message)),
            Step::Authenticate => Want::Authenticate,
            Step::Done => Want::Done,
            Step::Closed => Want::Closed,
        }
    }

    /// Where the handshake stands.
    pub fn state(&self) -> HandshakeState {
        match self.step {
            Step::Write(Message::One) => HandshakeState::Message1Send,
            Step::Read(Message::One) => HandshakeState::Message1Receive,
            Step::Write(Message::Two) => HandshakeState::Message2Send,
            Step::Read(Message::Two) => HandshakeState::Message2Receive,
            Step::Write(Message::Three) => HandshakeState::Message3Send,
            Step::Read(Message::Three) => HandshakeState::Message3Receive,
            Step::Write(Message::Four) => HandshakeState::Message4Send,
            Step::Read(Message::Four) => HandshakeState::Message4Receive,
            Step::Authenticate => HandshakeState::PeerAuthentication,
            Step::Done => HandshakeState::Finalization,
            Step::Closed => HandshakeState::Initialization,
        }
    }

    /// The message to be sent; empty unless [`Want::Write`].
    pub fn pending_write(&self) -> &[u8] {
        match self.step {
            Step::Write(_) => &self.message,
            _ => &[],
        }
    }

    /// The transport has taken the pending message.
    pub fn written(&mut self) {
        self.step = match self.step {
            Step::Write(Message::One) => Step::Read(Message::Two),
            Step::Write(Message::Two) => Step::Read(Message::Three),
            Step::Write(Message::Three) => Step::Read(Message::Four),
            Step::Write(Message::Four) => Step::Done,
            other => other,
        };
    }

    /// Takes the message that [`Want::Read`] asked for, which it overwrites. `unix_seconds` is the clock right after
    /// the message arrived: the responder reports it to the peer, the initiator computes the skew from it.
    pub fn read(
        &mut self,
        message: &mut [u8],
        unix_seconds: u64,
        random: &mut dyn Random,
    ) -> Result<(), HandshakeError> {
        let state = self.state();
        self.read_inner(message, unix_seconds, random).map_err(|reason| self.fail(state, reason))
    }

    /// The peer, from [`Want::Authenticate`] on.
    pub fn peer(&self) -> Option<&PeerCredentials> {
        self.peer.as_ref()
    }

    /// The peer is acceptable.
    pub fn accept(&mut self, random: &mut dyn Random) -> Result<(), HandshakeError> {
        let (state, message) = match (self.step, self.role) {
            (Step::Authenticate, Role::Initiator) => (HandshakeState::Message3Send, Message::Three),
            (Step::Authenticate, Role::Responder) => (HandshakeState::Message4Send, Message::Four),
            _ => return Err(self.fail(self.state(), HandshakeReason::InvalidState)),
        };
        self.write_after_authentication(message, random).map_err(|reason| self.fail(state, reason))?;
        self.step = Step::Write(message);
        Ok(())
    }

    /// The two directions of a finished handshake.
    pub fn into_transport(mut self) -> Result<Transport, HandshakeError> {
        let Some(peer) = self.peer.take().filter(|_| self.step == Step::Done) else {
            return Err(self.fail(self.state(), HandshakeReason::InvalidState));
        };
        let (initiator, responder) = self.symmetric.split();
        let (sealing, opening) = match self.role {
            Role::Initiator => (initiator, responder),
            Role::Responder => (responder, initiator),
        };
        Ok(Transport {
            sealer: FrameSealer::new(sealing, self.message_bytes_max),
            opener: FrameOpener::new(opening, self.receive_bytes_max),
            peer,
            clock_skew: self.clock_skew,
            handshake_hash: *self.symmetric.hash(),
            role: self.role,
            kem: self.kem.info().name,
        })
    }

    fn fail(&mut self, state: HandshakeState, reason: HandshakeReason) -> HandshakeError {
        self.step = Step::Closed;
        self.ephemeral = None;
        HandshakeError { state, reason, role: self.role }
    }

    fn read_inner(
        &mut self,
        bytes: &mut [u8],
        unix_seconds: u64,
        random: &mut dyn Random,
    ) -> Result<(), HandshakeReason> {
        let Step::Read(message) = self.step else { return Err(HandshakeReason::InvalidState) };
        let (expected, actual) = (self.sizes.message(message), bytes.len());
        if expected != actual {
            return Err(HandshakeReason::Size { expected, actual });
        }
        self.step = match message {
            Message::One => {
                self.read_message_1(bytes)?;
                self.write_message_2(&bytes[1..], unix_seconds, random)?;
                Step::Write(Message::Two)
            }
            Message::Two => {
                self.read_message_2(bytes, unix_seconds)?;
                Step::Authenticate
            }
            Message::Three => {
                self.read_message_3(bytes)?;
                Step::Authenticate
            }
            Message::Four => {
                self.read_message_4(bytes)?;
                Step::Done
            }
        };
        Ok(())
    }
}
