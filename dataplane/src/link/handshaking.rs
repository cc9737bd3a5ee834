//! One unfinished handshake: moves bytes between the connection and [`wire::Handshake`], and stops before each KEM
//! step, so that the shard decides when to take it.

use crate::io::{ConnId, Io, Received};
use crate::time::Instant;
use crypto_simd::random::Random;
use crypto_simd::schemes::KemDecapsulationKey;
use std::sync::Arc;
use wire::{Handshake, HandshakeError, HandshakeReason, SessionConfig, Transport, Want};

/// A handshake and its bytes.
pub struct Handshaking {
    handshake: Handshake,
    /// Received of the message that is due.
    message: Vec<u8>,
    received: usize,
    /// Not yet handed over.
    out: Vec<u8>,
    /// The connection did not take all that was sent.
    is_lost: bool,
    /// When the connection was there.
    pub started_at: Instant,
    /// When it must be finished.
    pub deadline: Instant,
    any_byte: bool,
}

/// How far a handshake can go for now.
#[derive(Debug)]
pub enum Progress {
    /// Waits for the connection.
    Waits,
    /// The next step costs a KEM operation: [`Handshaking::step`].
    Expensive,
    /// The peer is known; decide, then [`Handshaking::accept`] (expensive) or [`Handshaking::reject`].
    Authenticate,
    /// All messages are exchanged; [`Handshaking::finish`].
    Done,
    /// It failed.
    Failed(Box<HandshakeError>),
}

impl Handshaking {
    /// Begins. For the initiator this is an expensive step.
    pub fn new(
        config: &SessionConfig,
        key: Arc<dyn KemDecapsulationKey>,
        additional_data: &[u8],
        now: Instant,
        deadline: Instant,
        random: &mut dyn Random,
    ) -> Result<Self, Box<HandshakeError>> {
        Ok(Self {
            handshake: Handshake::new(config, key, additional_data, random)?,
            message: Vec::new(),
            received: 0,
            out: Vec::new(),
            is_lost: false,
            started_at: now,
            deadline,
            any_byte: false,
        })
    }

    /// Goes as far as possible without a KEM operation.
    pub fn pump(&mut self, io: &mut impl Io, conn: ConnId) -> Progress {
        loop {
            if let Err(reason) = self.flush(io, conn) {
                return Progress::Failed(self.handshake.failed(reason));
            }
            match self.handshake.wants() {
                Want::Write => {
                    self.out.extend_from_slice(self.handshake.pending_write());
                    self.handshake.written();
                    if self.handshake.wants() == Want::Done {
                        // The responder's last message: the NoOp goes into the same send (wire.md 3.10).
                        return Progress::Done;
                    }
                }
                Want::Read(bytes) => {
                    if self.message.len() != bytes {
                        self.message.resize(bytes, 0);
                    }
                    match self.receive(io, conn) {
                        Ok(true) => return Progress::Expensive,
                        Ok(false) => return Progress::Waits,
                        Err(reason) => return Progress::Failed(self.handshake.failed(reason)),
                    }
                }
                Want::Authenticate => return Progress::Authenticate,
                Want::Done => return Progress::Done,
                Want::Closed => return Progress::Failed(self.handshake.failed(HandshakeReason::InvalidState)),
            }
        }
    }

    /// Takes the step that [`Progress::Expensive`] announced.
    pub fn step(&mut self, unix_seconds: u64, random: &mut dyn Random) -> Result<(), Box<HandshakeError>> {
        self.received = 0;
        self.handshake.read(&mut self.message, unix_seconds, random)
    }

    /// The peer's additional data and link key, once they are known.
    pub fn peer(&self) -> Option<&wire::PeerCredentials> {
        self.handshake.peer()
    }

    /// The peer is acceptable.
    pub fn accept(&mut self, random: &mut dyn Random) -> Result<(), Box<HandshakeError>> {
        self.handshake.accept(random)
    }

    /// It is not.
    pub fn reject(&mut self) -> Box<HandshakeError> {
        self.handshake.reject()
    }

    /// The error of a handshake that ran out of time.
    pub fn timed_out(&mut self) -> Box<HandshakeError> {
        self.handshake.failed(HandshakeReason::TimedOut)
    }

    /// The session, and the bytes that are still to be sent before anything else.
    pub fn finish(self) -> Result<(Transport, Vec<u8>), Box<HandshakeError>> {
        Ok((self.handshake.into_transport()?, self.out))
    }

    /// What was sent is sent, or the connection is lost. [`Handshaking::pump`] goes on.
    pub fn handle_sent(&mut self, is_whole: bool) {
        self.is_lost |= !is_whole;
    }

    fn flush(&mut self, io: &mut impl Io, conn: ConnId) -> Result<(), HandshakeReason> {
        if self.is_lost {
            return Err(HandshakeReason::Closed);
        }
        if !self.out.is_empty() && io.sending(conn).is_none() {
            io.send(conn, std::mem::take(&mut self.out));
        }
        Ok(())
    }

    /// Whether the whole message is there. Nothing beyond it is received.
    fn receive(&mut self, io: &mut impl Io, conn: ConnId) -> Result<bool, HandshakeReason> {
        while self.received < self.message.len() {
            let rest = &mut self.message[self.received..];
            match io.recv(conn, rest.len()) {
                Received::Bytes { bytes, .. } => {
                    rest[..bytes.len()].copy_from_slice(bytes);
                    self.received += bytes.len();
                    self.any_byte = true;
                }
                Received::WouldBlock => return Ok(false),
                Received::Closed | Received::Failed if self.any_byte => return Err(HandshakeReason::Closed),
                Received::Closed | Received::Failed => return Err(HandshakeReason::ClosedBeforeFirstByte),
            }
        }
        Ok(true)
    }
}
