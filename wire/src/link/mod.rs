//! One end of a link, from its first byte to its end, as one state machine: handshake, finalization, frames in both
//! directions, NoOps, limits and every deadline.
//!
//! | file | what it holds |
//! |---|---|
//! | `input` | what comes of bytes that arrive |
//! | `shaking` | the handshake on its way, up to the finalization NoOp |
//! | [`end`] | when a link ends |
//! | [`timer`] | deadlines and limits |
//! | `held`, `outbox` | bytes that are not whole yet; bytes that are not sent yet |

pub mod end;
mod held;
mod input;
mod outbox;
mod shaking;
#[cfg(test)]
mod tests;
pub mod timer;

pub use end::End;
pub use input::{Frame, Input};
pub use timer::{Limits, Timer};

use crate::command::{COMMAND_HEADER_BYTES, Command, CommandId, CommandSet, write_header};
use crate::config::SessionConfig;
use crate::error::{Error, FrameError, HandshakeError, HandshakeReason, HandshakeState};
use crate::frame::{FRAME_HEADER_BYTES, FrameOpener, FrameSealer, frame_bytes};
use crate::handshake::Transport;
use crate::peer::PeerCredentials;
use crate::sizes::Role;
use crate::time::Instant;
use crypto_simd::random::Random;
use crypto_simd::schemes::KemDecapsulationKey;
use held::Held;
use outbox::Outbox;
use shaking::Shaking;
use std::sync::Arc;
use std::time::Duration;
use timer::TimerTable;

/// Clocks of a link's two ends that differ by more are worth a word, and no more than that: what a peer says is no time.
pub const CLOCK_SKEW_SECONDS_MAX: u64 = 5;

/// How long buffers stay that nothing goes through. A gateway has many clients, each of which sends and hears something
/// now and then: their buffers must not all be there at a time.
const RECLAIM: Duration = Duration::from_secs(1);

/// One end of a link. It opens no socket, reads no clock and never waits. There are four kinds of methods:
///
/// 1. What happened goes in: [`handle_input`](Self::handle_input) (bytes), [`handle_sent`](Self::handle_sent),
///    [`handle_closed`](Self::handle_closed), [`handle_timeout`](Self::handle_timeout).
/// 2. What it wants done is polled: [`poll_event`](Self::poll_event), [`poll_output`](Self::poll_output) (bytes, one
///    send each), [`poll_timeout`](Self::poll_timeout).
/// 3. What its owner wants is commanded: [`step`](Self::step), [`accept`](Self::accept) or [`reject`](Self::reject),
///    [`send`](Self::send), [`end`](Self::end).
/// 4. The rest only looks.
///
/// After each call of the first or third kind, poll events until there is none, then output, then the timeout. After
/// [`Event::Due`] the owner calls [`step`](Self::step), or decides about [`peer`](Self::peer), as soon as it can spare
/// the time: each costs one or two KEM operations, and nothing else here costs much. Meanwhile input is held, within
/// limits; after the step, call [`handle_input`](Self::handle_input) once more, with nothing if there is nothing new.
/// After [`Event::Ended`] the connection is to be closed without another word.
pub struct Link {
    config: SessionConfig,
    limits: Limits,
    state: State,
    shaking: Option<Box<Shaking>>,
    sealer: Option<FrameSealer>,
    opener: Option<FrameOpener>,
    /// The body whose header is open has so many bytes.
    body_bytes: Option<usize>,
    peer: Option<PeerCredentials>,
    clock_skew: Option<i64>,
    handshake_hash: [u8; 64],
    held: Held,
    outbox: Outbox,
    /// The next wait before a NoOp.
    keep_alive: Option<Duration>,
    /// Something went through the buffers since the timer was looked at.
    is_used: bool,
}

/// What ends with the link.
struct State {
    stage: Stage,
    timers: TimerTable,
    event: Option<Event>,
    end: Option<End>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Shaking,
    Finalizing,
    Up,
    Ended,
}

/// Something that the owner has to know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Event {
    /// The handshake goes on when the owner does this.
    Due(Due),
    /// The link is established: commands come and may be sent.
    Up,
    /// It is over.
    Ended(End),
}

/// What a handshake waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Due {
    /// [`Link::step`].
    Step,
    /// [`Link::accept`] or [`Link::reject`].
    Decision,
}

/// Why nothing was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SendError {
    /// The link is not, or no longer, established.
    #[error("the link is not established")]
    NotUp,
    /// There is too much that is not sent yet; [`Link::has_room`] says so beforehand.
    #[error("too much waits to be sent")]
    Full,
    /// The command cannot be encoded or is too large. The link is unharmed.
    #[error("the command cannot be sent: {0}")]
    Command(#[from] crate::CommandError),
    /// The frame could not be sealed.
    #[error("the command cannot be sealed: {0}")]
    Frame(#[from] FrameError),
}

impl Link {
    /// One end of a link whose connection is there. Costs nothing yet: an initiator's first step is due at once.
    pub fn new(
        config: SessionConfig,
        key: Arc<dyn KemDecapsulationKey>,
        additional_data: &[u8],
        limits: Limits,
        now: Instant,
    ) -> Self {
        let mut timers = TimerTable::new();
        timers.set(Timer::Handshake, now + limits.handshake);
        let mut event = None;
        match config.role {
            Role::Initiator => event = Some(Event::Due(Due::Step)),
            Role::Responder => timers.set(Timer::Message1, now + limits.message_1),
        }
        Self {
            shaking: Some(Box::new(Shaking::new(&config, key, additional_data))),
            config,
            limits,
            state: State { stage: Stage::Shaking, timers, event, end: None },
            sealer: None,
            opener: None,
            body_bytes: None,
            peer: None,
            clock_skew: None,
            handshake_hash: [0; 64],
            held: Held::default(),
            outbox: Outbox::default(),
            keep_alive: limits.keep_alive,
            is_used: false,
        }
    }

    // 1. What happened.

    /// Bytes have arrived. They are opened where they lie, as far as that is one place; `input` is moved behind what
    /// was taken. Call it again until it gives [`Input::Nothing`].
    pub fn handle_input<'a, 'i: 'a>(&'a mut self, now: Instant, input: &mut &'i mut [u8]) -> Input<'a> {
        match self.state.stage {
            Stage::Shaking => self.take_message(input),
            Stage::Finalizing => self.take_finalization(now, input),
            Stage::Up => self.take_frame(now, input),
            Stage::Ended => {
                *input = &mut [];
                Input::Nothing
            }
        }
    }

    /// A buffer of [`poll_output`](Self::poll_output) comes back, of which the connection has taken so many bytes: all,
    /// or it is lost. Returns how many packets are wholly sent with it.
    pub fn handle_sent(&mut self, buffer: Vec<u8>, taken: usize) -> usize {
        self.state.timers.stop(Timer::Send);
        let is_lost = taken < buffer.len();
        let packets = self.outbox.sent(buffer, taken);
        if is_lost {
            self.handle_closed(true);
        }
        packets
    }

    /// The connection took some of what it was given, though not yet all of it.
    pub fn handle_progress(&mut self, at: Instant) {
        if self.state.timers.runs(Timer::Send) {
            self.state.timers.set(Timer::Send, at + self.limits.send);
        }
    }

    /// The connection is closed, and the buffer that it had will not come back; so many bytes of that it has taken.
    /// Returns how many packets were wholly sent with them, and how many are lost.
    pub fn handle_lost(&mut self, taken: usize) -> (usize, usize) {
        let sent = self.outbox.taken(taken);
        (sent, self.outbox.packets())
    }

    /// The connection has ended: closed by the peer, or broken.
    pub fn handle_closed(&mut self, is_broken: bool) {
        let end = match self.state.stage {
            Stage::Shaking | Stage::Finalizing => End::Handshake(self.handshake_error(self.closed_reason())),
            _ if is_broken => End::Failed,
            _ => End::PeerClosed,
        };
        self.end(end);
    }

    /// The time of [`poll_timeout`](Self::poll_timeout) has come.
    pub fn handle_timeout(&mut self, now: Instant, random: &mut dyn Random) {
        for timer in Timer::ALL {
            if !self.state.timers.is_over(timer, now) {
                continue;
            }
            self.state.timers.stop(timer);
            match timer {
                Timer::Message1 | Timer::Handshake | Timer::Finalization => {
                    self.end(End::Handshake(self.handshake_error(HandshakeReason::TimedOut)));
                }
                Timer::Receive => self.end(End::Silent),
                Timer::Send => self.end(End::Stalled),
                Timer::KeepAlive => self.keep_alive(now, random),
                Timer::Reclaim => self.reclaim(now),
            }
        }
    }

    // 2. What it wants.

    /// What the owner has to know next.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.state.event.take()
    }

    /// Bytes for one send of their own; none while the connection has not taken what it was given before
    /// ([`handle_sent`](Self::handle_sent), to which the buffer goes back). Message 4 and the NoOp behind it are two, as
    /// they are from the reference.
    #[must_use]
    pub fn poll_output(&mut self, now: Instant) -> Option<Vec<u8>> {
        if self.state.stage == Stage::Ended {
            return None;
        }
        let buffer = self.outbox.take()?;
        self.state.timers.set(Timer::Send, now + self.limits.send);
        self.rest_from(now);
        self.use_buffers(now);
        Some(buffer)
    }

    /// When [`handle_timeout`](Self::handle_timeout) has something to do; [`Instant::NEVER`] if only input can change
    /// anything.
    #[must_use]
    pub fn poll_timeout(&self) -> Instant {
        self.state.timers.next()
    }

    // 3. What its owner wants.

    /// Takes the step that [`Event::Due`] announced; nothing happens if none is due. `unix_seconds` is the civil time
    /// at which the input arrived: a responder tells it to the peer, an initiator measures the skew by it.
    pub fn step(&mut self, now: Instant, unix_seconds: u64, random: &mut dyn Random) {
        if self.due() != Some(Due::Step) {
            return;
        }
        let Some(shaking) = &mut self.shaking else { return };
        match shaking.step(&self.config, unix_seconds, random) {
            Ok(()) => self.go_on(now, random),
            Err(error) => self.end(End::Handshake(error)),
        }
    }

    /// The peer is acceptable; nothing happens if that was not the question. Like a step, this costs a KEM operation.
    pub fn accept(&mut self, now: Instant, random: &mut dyn Random) {
        if self.due() != Some(Due::Decision) {
            return;
        }
        let Some(shaking) = &mut self.shaking else { return };
        match shaking.accept(random) {
            Ok(()) => self.go_on(now, random),
            Err(error) => self.end(End::Handshake(error)),
        }
    }

    /// The peer is not acceptable: the link ends.
    pub fn reject(&mut self) {
        if self.due() == Some(Due::Decision) {
            self.end(End::Handshake(self.handshake_error(HandshakeReason::Rejected)));
        }
    }

    /// Seals a command, of whatever size its session allows.
    pub fn send(&mut self, command: &Command<'_>) -> Result<(), SendError> {
        if !self.is_up() {
            return Err(SendError::NotUp);
        }
        if !self.has_room(self.commands().encoded_len(command)) {
            return Err(SendError::Full);
        }
        self.seal(command)
    }

    /// Seals a SendPacket from where it lies: `command` is room for its header and the packet behind it, which has the size
    /// of the session's packets, so that the command is not padded.
    pub fn send_packet(&mut self, command: &mut [u8]) -> Result<(), SendError> {
        let bytes = command.len();
        let foreign = SendError::Command(crate::CommandError::BodyLength { id: CommandId::SendPacket, bytes });
        let (header, packet) = command.split_first_chunk_mut::<COMMAND_HEADER_BYTES>().ok_or(foreign)?;
        let body_bytes = u32::try_from(packet.len()).map_err(|_| foreign)?;
        if self.commands().encoded_len(&Command::SendPacket { packet }) != bytes {
            return Err(foreign);
        }
        write_header(CommandId::SendPacket, body_bytes, header);
        if !self.is_up() {
            return Err(SendError::NotUp);
        }
        if !self.has_room(bytes) {
            return Err(SendError::Full);
        }
        let Some(sealer) = &mut self.sealer else { return Err(SendError::NotUp) };
        Ok(self.outbox.seal_packet(sealer, command, self.limits.output_bytes)?)
    }

    /// Sends a NoOp whenever nothing was sent for about so long, or none any more, whatever the limits said: for who
    /// learns only from the handshake what the peer expects.
    pub fn keep_alive_every(&mut self, wait: Option<Duration>, now: Instant, random: &mut dyn Random) {
        self.limits.keep_alive = wait;
        self.draw_keep_alive(random);
        self.state.timers.stop(Timer::KeepAlive);
        self.rest_from(now);
    }

    /// What the peer has sent waits to be read by the owner, who has no time for it: before `until` the peer is not silent.
    /// What this end owes is due as before.
    pub fn excuse_silence(&mut self, until: Instant) {
        self.state.timers.no_earlier_than(Timer::Receive, until);
    }

    /// From now on takes no frame with a larger body than this, tag included: for who knows only now how much the peer
    /// may have to say.
    pub fn receive_at_most(&mut self, body_bytes: usize) {
        if let Some(opener) = &mut self.opener {
            opener.lower_limit(body_bytes);
        }
    }

    /// Ends the link. The first reason stays.
    pub fn end(&mut self, end: End) {
        self.state.end(end);
    }

    // 4. The rest.

    /// What the handshake waits for, if it waits for the owner.
    pub fn due(&self) -> Option<Due> {
        self.shaking.as_ref().filter(|_| self.state.stage == Stage::Shaking)?.due()
    }

    /// Who the peer says it is, from the question about it on.
    pub fn peer(&self) -> Option<&PeerCredentials> {
        self.peer.as_ref().or_else(|| self.shaking.as_ref()?.peer())
    }

    /// The same once the link is up, for who keeps it himself: the link has no use for it then, and forgets it.
    pub fn take_peer(&mut self) -> Option<PeerCredentials> {
        self.peer.take()
    }

    /// Whether commands come and may be sent.
    pub fn is_up(&self) -> bool {
        self.state.stage == Stage::Up
    }

    /// Why it ended, if it has.
    pub fn ended(&self) -> Option<End> {
        self.state.end
    }

    /// The commands of the session.
    pub fn commands(&self) -> CommandSet {
        self.config.command_set()
    }

    /// Whether another command with an encoding of `command_bytes` may be sealed.
    pub fn has_room(&self, command_bytes: usize) -> bool {
        let waiting = self.outbox.waiting_bytes();
        self.is_up() && (waiting == 0 || waiting.saturating_add(frame_bytes(command_bytes)) <= self.limits.output_bytes)
    }

    /// Packets that are sealed and not wholly sent.
    pub fn unsent_packets(&self) -> usize {
        self.outbox.packets()
    }

    /// Whether all that was sealed is sent.
    pub fn is_flushed(&self) -> bool {
        self.outbox.is_empty()
    }

    /// Bytes without which nothing will happen: a driver that reads no more than these holds no surplus.
    pub fn input_due(&self) -> usize {
        let bytes = match (self.state.stage, &self.shaking) {
            (Stage::Ended, _) => 0,
            (Stage::Shaking, Some(shaking)) => shaking.message_bytes(&self.config),
            _ => self.body_bytes.unwrap_or(FRAME_HEADER_BYTES),
        };
        bytes.saturating_sub(self.held.len())
    }

    /// Bytes of a message or frame that are here before the rest of it.
    pub fn held_bytes(&self) -> usize {
        self.held.len()
    }

    /// Bytes of the body whose header is open. That a header opened shows that the peer has the key of its link: what it
    /// says in a handshake alone is only a claim, and a responder is up before it has heard anything more.
    pub fn announced_bytes(&self) -> Option<usize> {
        self.body_bytes
    }

    /// Initiator only: local clock minus the peer's, in seconds.
    pub fn clock_skew(&self) -> Option<i64> {
        self.clock_skew
    }

    /// Both directions of an established link for who drives frames by itself from here on; none while bytes of either
    /// direction are under way.
    pub fn into_transport(self) -> Option<Transport> {
        let is_idle = self.is_up() && self.is_flushed() && self.held.len() == 0 && self.body_bytes.is_none();
        Some(Transport {
            sealer: self.sealer?,
            opener: self.opener?,
            peer: self.peer?,
            clock_skew: self.clock_skew,
            handshake_hash: self.handshake_hash,
            role: self.config.role,
            kem: self.config.kem.info().name,
        })
        .filter(|_| is_idle)
    }

    fn take_frame<'a, 'i: 'a>(&'a mut self, now: Instant, input: &mut &'i mut [u8]) -> Input<'a> {
        let bytes = match self.open_header(now, input) {
            Ok(Some(bytes)) => bytes,
            Ok(None) => return Input::Nothing,
            Err(error) => {
                self.end(End::Frame(error));
                return Input::Event;
            }
        };
        let Some(opener) = &mut self.opener else { return Input::Nothing };
        match self.held.unit(bytes, input) {
            Some(unit) => {
                self.body_bytes = None;
                if let Some(limit) = self.limits.receive {
                    self.state.timers.set(Timer::Receive, now + limit);
                }
                Input::Frame(Frame { unit, opener, state: &mut self.state })
            }
            None => Input::Nothing,
        }
    }

    /// The bytes of the body that is due, once its header is there.
    fn open_header(&mut self, now: Instant, input: &mut &mut [u8]) -> Result<Option<usize>, FrameError> {
        if self.held.len() + input.len() > 0 {
            self.use_buffers(now);
        }
        if self.body_bytes.is_none()
            && let Some(unit) = self.held.unit(FRAME_HEADER_BYTES, input)
            && let Some(opener) = &mut self.opener
        {
            let mut header = [0; FRAME_HEADER_BYTES];
            unit.copy_to(&mut header);
            self.body_bytes = Some(opener.open_header(&mut header)?);
        }
        Ok(self.body_bytes)
    }

    fn seal(&mut self, command: &Command<'_>) -> Result<(), SendError> {
        let Some(sealer) = &mut self.sealer else { return Err(SendError::NotUp) };
        self.outbox.seal(sealer, &self.config.command_set(), command).map_err(|error| match error {
            Error::Command(error) => SendError::Command(error),
            Error::Frame(error) => SendError::Frame(error),
            Error::Handshake(_) => SendError::NotUp,
        })
    }

    /// Something was sent: the wait before the next NoOp begins anew.
    fn rest_from(&mut self, now: Instant) {
        if let Some(wait) = self.keep_alive.filter(|_| self.state.stage == Stage::Up) {
            self.state.timers.set(Timer::KeepAlive, now + wait);
        }
    }

    /// Nothing was sent for a while: if nothing waits to be sent either, a NoOp goes out.
    fn keep_alive(&mut self, now: Instant, random: &mut dyn Random) {
        self.draw_keep_alive(random);
        self.rest_from(now);
        if self.is_flushed()
            && let Err(SendError::Frame(error)) = self.send(&Command::NoOp)
        {
            self.end(End::Frame(error));
        }
    }

    /// Up to an eighth more or less than the limit says.
    fn draw_keep_alive(&mut self, random: &mut dyn Random) {
        self.keep_alive = self.limits.keep_alive.map(|limit| {
            let mut bytes = [0; 4];
            random.fill(&mut bytes);
            limit * 7 / 8 + (limit / 4).mul_f64(f64::from(u32::from_le_bytes(bytes)) / f64::from(u32::MAX))
        });
    }

    fn use_buffers(&mut self, now: Instant) {
        self.is_used = true;
        if !self.state.timers.runs(Timer::Reclaim) {
            self.state.timers.set(Timer::Reclaim, now + RECLAIM);
        }
    }

    fn reclaim(&mut self, now: Instant) {
        if !std::mem::take(&mut self.is_used) {
            self.held.reclaim();
            self.outbox.reclaim();
        }
        if self.held.has_memory() || self.outbox.has_memory() {
            self.state.timers.set(Timer::Reclaim, now + RECLAIM);
        }
    }
}

impl State {
    fn end(&mut self, end: End) {
        if self.end.is_none() {
            self.stage = Stage::Ended;
            self.timers = TimerTable::new();
            self.event = Some(Event::Ended(end));
            self.end = Some(end);
        }
    }

    fn go(&mut self, stage: Stage, event: Option<Event>) {
        self.stage = stage;
        self.event = event;
    }
}

impl Link {
    fn handshake_error(&self, reason: HandshakeReason) -> HandshakeError {
        let state = match (self.state.stage, &self.shaking) {
            (Stage::Shaking, Some(shaking)) => shaking.state(self.config.role),
            _ => HandshakeState::Finalization,
        };
        HandshakeError { state, reason, role: self.config.role }
    }
}
