//! All deadlines of a link in one table.

use crate::time::Instant;
use std::time::Duration;

/// Why a link looks at the clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Timer {
    /// Responder: whoever connects has to say something soon, or gives up its place among unfinished handshakes.
    Message1,
    /// All four messages of the handshake are exchanged by then (wire.md 7.2).
    Handshake,
    /// Initiator: the finalization NoOp is there. It is a receive, with a receive's limit (wire.md 7.2).
    Finalization,
    /// The next whole command is there: header and body of a frame have one deadline together (wire.md 4.3).
    Receive,
    /// The connection has taken what it was given.
    Send,
    /// Nothing was sent for so long that the peer's receive limit comes near: time for a NoOp (server.md 3.9).
    KeepAlive,
    /// Buffers that nothing has gone through for a while go back to the system.
    Reclaim,
}

impl Timer {
    /// All of them, in the order in which they are looked at.
    pub const ALL: [Self; 7] = [
        Self::Message1,
        Self::Handshake,
        Self::Finalization,
        Self::Receive,
        Self::Send,
        Self::KeepAlive,
        Self::Reclaim,
    ];
}

/// How long things may take. What has no limit is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// See [`Timer::Message1`].
    pub message_1: Duration,
    /// See [`Timer::Handshake`].
    pub handshake: Duration,
    /// See [`Timer::Finalization`].
    pub finalization: Duration,
    /// See [`Timer::Receive`].
    pub receive: Option<Duration>,
    /// See [`Timer::Send`].
    pub send: Duration,
    /// See [`Timer::KeepAlive`]; each wait is up to an eighth longer or shorter, so that it does not tell when the link
    /// was used last.
    pub keep_alive: Option<Duration>,
    /// Bytes that may be sealed while the connection has another buffer. One frame always may.
    pub output_bytes: usize,
}

impl Limits {
    /// What nodes among each other use: 120 s to receive a command, 60 s to send one, a NoOp after about 45 s
    /// (wire.md 7.2, server.md 3.9). The side that listens sends nothing by itself, and the side that dials expects
    /// nothing.
    pub fn node(role: crate::Role, handshake: Duration) -> Self {
        let is_initiator = role == crate::Role::Initiator;
        let receive = Duration::from_secs(120);
        Self {
            message_1: handshake,
            handshake,
            finalization: receive,
            receive: (!is_initiator).then_some(receive),
            send: Duration::from_secs(60),
            keep_alive: is_initiator.then_some(Duration::from_secs(45)),
            output_bytes: 256 << 10,
        }
    }

    /// What those use who ask one thing and go: one limit for the handshake, another for each command.
    pub fn exchange(handshake: Duration, command: Duration) -> Self {
        Self {
            message_1: handshake,
            handshake,
            finalization: command,
            receive: Some(command),
            send: command,
            keep_alive: None,
            output_bytes: usize::MAX,
        }
    }
}

/// When each timer goes off; [`Instant::NEVER`] for those that do not run.
#[derive(Clone, Copy, Debug)]
pub(super) struct TimerTable([Instant; Timer::ALL.len()]);

impl TimerTable {
    pub(super) fn new() -> Self {
        Self([Instant::NEVER; Timer::ALL.len()])
    }

    pub(super) fn set(&mut self, timer: Timer, at: Instant) {
        self.0[timer as usize] = at;
    }

    /// Puts a timer off, if it runs.
    pub(super) fn no_earlier_than(&mut self, timer: Timer, at: Instant) {
        if self.runs(timer) && self.0[timer as usize] < at {
            self.set(timer, at);
        }
    }

    pub(super) fn stop(&mut self, timer: Timer) {
        self.set(timer, Instant::NEVER);
    }

    pub(super) fn runs(&self, timer: Timer) -> bool {
        self.0[timer as usize] != Instant::NEVER
    }

    pub(super) fn is_over(&self, timer: Timer, now: Instant) -> bool {
        self.runs(timer) && self.0[timer as usize] <= now
    }

    /// The first of all.
    pub(super) fn next(&self) -> Instant {
        self.0.iter().copied().fold(Instant::NEVER, Instant::min)
    }
}
