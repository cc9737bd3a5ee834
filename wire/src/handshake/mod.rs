//! The pqXX handshake (wire.md 3) as a state machine over exact byte counts.
//!
//! The driver looks at [`Handshake::wants`] and does that: sends [`Handshake::pending_write`] and calls
//! [`Handshake::written`]; receives so many bytes and calls [`Handshake::read`]; decides about [`Handshake::peer`] and
//! calls [`Handshake::accept`] or [`Handshake::reject`]. Deadlines are the driver's, and so is the NoOp frame that the
//! responder sends right behind message 4 (both fit one write: take message 4's bytes, call `written`, take the
//! transport, seal the NoOp) and that the initiator awaits before it treats the session as up (wire.md 3.10).

mod authenticate;
mod messages;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod vector_tests;

use crate::error::{HandshakeError, HandshakeReason, HandshakeState};
use crate::frame::{FrameOpener, FrameSealer};
use crate::session::{Role, SessionConfig, TAG_BYTES};
use crate::symmetric::{HASH_BYTES, SymmetricState};
use authenticate::AUTHENTICATE_BYTES;
use crypto_simd::random::Random;
use crypto_simd::schemes::kem::KemInfo;
use crypto_simd::schemes::{Kem, KemDecapsulationKey};
use std::sync::Arc;

/// The first byte of message 1 and the prologue.
const VERSION: u8 = 0x03;

/// The most additional data an end can send.
pub const ADDITIONAL_DATA_BYTES_MAX: usize = 255;

/// What the handshake needs next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Want {
    /// Send [`Handshake::pending_write`] in one write, then call [`Handshake::written`].
    Write,
    /// Receive exactly so many bytes, then call [`Handshake::read`].
    Read(usize),
    /// Decide about [`Handshake::peer`], then call [`Handshake::accept`] or [`Handshake::reject`].
    Authenticate,
    /// Call [`Handshake::into_transport`].
    Done,
    /// Failed or rejected: close the connection without a word.
    Closed,
}

/// Who the peer says it is. Noise guarantees that the additional data came from the holder of the public key; binding
/// the key to an identity is the policy's job (wire.md 5.1).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PeerCredentials {
    /// Up to 255 bytes: a node id, a client's queue id, or nothing.
    pub additional_data: Vec<u8>,
    /// The link public key.
    pub public_key: Vec<u8>,
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

impl Transport {
    /// The error of a session whose first frame was missing or no NoOp (wire.md 3.10).
    pub fn finalization_failed(&self, reason: HandshakeReason) -> Box<HandshakeError> {
        Box::new(HandshakeError {
            state: HandshakeState::Finalization,
            reason,
            role: self.role,
            kem: self.kem,
            local_public_key: Vec::new(),
            local_additional_data: Vec::new(),
            peer: Some(self.peer.clone()),
            connection: None,
        })
    }
}

/// Sizes of the four messages (wire.md 3.5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MessageSizes([usize; 4]);

impl MessageSizes {
    /// Sizes with this KEM.
    pub fn of(kem: &KemInfo) -> Self {
        let (key, ciphertext) = (kem.public_key_bytes, kem.ciphertext_bytes);
        Self([
            1 + key,
            ciphertext + key + 2 * TAG_BYTES + AUTHENTICATE_BYTES,
            ciphertext + key + 3 * TAG_BYTES + AUTHENTICATE_BYTES,
            ciphertext + 2 * TAG_BYTES,
        ])
    }

    /// Bytes of message 1 to 4.
    pub fn message(&self, number: Message) -> usize {
        self.0[number as usize]
    }

    /// Bytes of the largest message.
    pub fn largest(&self) -> usize {
        self.0.into_iter().max().unwrap_or(0)
    }
}

/// The four messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Message {
    /// `-> e`
    One,
    /// `<- ekem, s`
    Two,
    /// `-> skem, s`
    Three,
    /// `<- skem`
    Four,
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
    ) -> Result<Self, Box<HandshakeError>> {
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

    /// Whether the next [`read`](Self::read) or [`accept`](Self::accept) does one KEM operation. Everything else costs
    /// next to nothing.
    pub fn is_expensive_step(&self) -> bool {
        matches!(self.step, Step::Read(_) | Step::Authenticate)
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
    ) -> Result<(), Box<HandshakeError>> {
        let state = self.state();
        self.read_inner(message, unix_seconds, random).map_err(|reason| self.fail(state, reason))
    }

    /// The peer, from [`Want::Authenticate`] on.
    pub fn peer(&self) -> Option<&PeerCredentials> {
        self.peer.as_ref()
    }

    /// The peer is acceptable.
    pub fn accept(&mut self, random: &mut dyn Random) -> Result<(), Box<HandshakeError>> {
        let (state, message) = match (self.step, self.role) {
            (Step::Authenticate, Role::Initiator) => (HandshakeState::Message3Send, Message::Three),
            (Step::Authenticate, Role::Responder) => (HandshakeState::Message4Send, Message::Four),
            _ => return Err(self.fail(self.state(), HandshakeReason::InvalidState)),
        };
        self.write_after_authentication(message, random).map_err(|reason| self.fail(state, reason))?;
        self.step = Step::Write(message);
        Ok(())
    }

    /// The peer is not acceptable; the connection is to be closed without an answer.
    pub fn reject(&mut self) -> Box<HandshakeError> {
        self.fail(HandshakeState::PeerAuthentication, HandshakeReason::Rejected)
    }

    /// For failures that only the driver sees (closed, timed out): the error at the present state.
    pub fn failed(&mut self, reason: HandshakeReason) -> Box<HandshakeError> {
        self.fail(self.state(), reason)
    }

    /// The two directions of a finished handshake.
    pub fn into_transport(mut self) -> Result<Transport, Box<HandshakeError>> {
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

    fn fail(&mut self, state: HandshakeState, reason: HandshakeReason) -> Box<HandshakeError> {
        self.step = Step::Closed;
        self.ephemeral = None;
        Box::new(HandshakeError {
            state,
            reason,
            role: self.role,
            kem: self.kem.info().name,
            local_public_key: self.static_key.public_key().to_vec(),
            local_additional_data: self.additional_data.clone(),
            peer: self.peer.clone(),
            connection: None,
        })
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
