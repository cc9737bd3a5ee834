//! A link that a peer opened: from the first byte to opened packets (server.md 3.2, 3.3).

use super::carry::{self, Progress};
use super::counted;
use crate::account::Account;
use crate::io::{ConnId, Io};
use crate::packet::batch::Backlog;
use crate::packet::pool::{Slot, Source};
use crate::packet::route::Sender;
use crate::packet::slots::Slots;
use crate::shared::Facts;
use crate::shared::handshake_budget::{ConnectionPermit, HandshakePermit};
use crate::shared::sessions::SessionKey;
use crate::time::Instant;
use crypto_simd::random::Random;
use crypto_simd::schemes::KemDecapsulationKey;
use interplane::counter::{LinkEnd, Request};
use interplane::{Counter, DropReason};
use std::net::SocketAddr;
use std::sync::Arc;
use wire::command::{COMMAND_HEADER_BYTES, Verdict};
use wire::link::{Due, Frame, Input};
use wire::{Acceptor, Command, CommandId, CommandSet, FRAME_BODY_TAG_BYTES, Link, PeerCredentials, Role};

/// A connection from a peer.
pub struct Incoming {
    /// Its name.
    pub conn: ConnId,
    /// Where it comes from.
    pub address: SocketAddr,
    /// How far it is.
    pub stage: Stage,
    /// Its place among all connections.
    pub permit: ConnectionPermit,
}

/// How far a connection is.
pub enum Stage {
    /// Nobody knows yet who it is.
    Handshaking(Box<Handshaking>, HandshakePermit),
    /// A link.
    Up(Box<Up>),
}

/// A link that is not established yet.
pub struct Handshaking {
    link: Link,
    /// When the connection was there.
    pub started_at: Instant,
}

/// An established link.
pub struct Up {
    link: Link,
    /// Who it is.
    pub peer: PeerCredentials,
    /// What a newer connection of the same peer is recognised by.
    pub key: SessionKey,
    /// Whether its packets are taken now.
    pub may_send: bool,
}

/// Where opened packets go.
pub struct Intake<'a> {
    /// Empty slots.
    pub slots: &'a mut Slots,
    /// Opened packets.
    pub opened: &'a mut Backlog,
    /// The books.
    pub account: &'a mut Account,
    /// The commands of links.
    pub commands: CommandSet,
    /// Bytes of a packet.
    pub packet_bytes: usize,
    /// What is noted on every packet.
    pub source: Source,
    /// When the bytes were received.
    pub now: Instant,
}

/// What a command asks for.
enum Wish {
    Packet,
    Nothing,
    Close(LinkEnd),
}

impl Handshaking {
    /// Begins. Nothing is computed before the first message is there.
    pub fn new(facts: &Facts, key: Arc<dyn KemDecapsulationKey>, now: Instant) -> Self {
        let (config, limits) = (facts.session(Role::Responder), facts.link_limits(Role::Responder));
        Self { link: Link::new(config, key, &facts.node_id, limits, now), started_at: now }
    }

    /// Goes as far as possible without a KEM operation.
    pub fn pump(&mut self, io: &mut impl Io, conn: ConnId, now: Instant) -> Progress {
        carry::shake(&mut self.link, io, conn, now)
    }

    /// What it waits for, if it waits for this node.
    pub fn due(&self) -> Option<Due> {
        self.link.due()
    }

    /// Takes the step that is due.
    pub fn step(&mut self, now: Instant, unix_seconds: u64, random: &mut dyn Random) {
        self.link.step(now, unix_seconds, random);
    }

    /// The peer's additional data and link key, once they are known.
    pub fn peer(&self) -> Option<&PeerCredentials> {
        self.link.peer()
    }

    /// The peer is acceptable.
    pub fn accept(&mut self, now: Instant, random: &mut dyn Random) {
        self.link.accept(now, random);
    }

    /// It is not.
    pub fn reject(&mut self) {
        self.link.reject();
    }

    /// A buffer comes back, of which the connection took so much. [`Handshaking::pump`] goes on.
    pub fn handle_sent(&mut self, buffer: Vec<u8>, taken: usize) {
        self.link.handle_sent(buffer, taken);
    }

    /// When [`Handshaking::handle_timeout`] has something to do.
    pub fn next_timeout(&self) -> Instant {
        self.link.poll_timeout()
    }

    /// Ends it if its time is over; [`Handshaking::pump`] tells.
    pub fn handle_timeout(&mut self, now: Instant, random: &mut dyn Random) {
        self.link.handle_timeout(now, random);
    }

    /// The link after it; none if it is not finished.
    pub fn finish(self, may_send: impl FnOnce(&PeerCredentials) -> bool) -> Option<Up> {
        let peer = self.link.peer().filter(|_| self.link.is_up())?.clone();
        let key = SessionKey::new(&peer.additional_data, &peer.public_key);
        Some(Up { may_send: may_send(&peer), link: self.link, peer, key })
    }
}

impl Up {
    /// Hands over what waits to be sent.
    pub fn flush(&mut self, io: &mut impl Io, conn: ConnId) {
        if !self.link.is_flushed() {
            let now = io.now();
            carry::hand_over(&mut self.link, io, conn, now);
        }
    }

    /// A buffer comes back, of which the connection took so much; the reason if that ends the link.
    pub fn handle_sent(&mut self, buffer: Vec<u8>, taken: usize) -> Option<LinkEnd> {
        self.link.handle_sent(buffer, taken);
        self.link.ended().map(counted)
    }

    /// Bytes of a frame that are here already.
    pub fn held_bytes(&self) -> usize {
        self.link.held_bytes()
    }

    /// When [`Up::handle_timeout`] has something to do.
    pub fn next_timeout(&self) -> Instant {
        self.link.poll_timeout()
    }

    /// Looks at the deadlines; the reason if one of them ends the link.
    pub fn handle_timeout(
        &mut self,
        io: &mut impl Io,
        conn: ConnId,
        now: Instant,
        random: &mut dyn Random,
    ) -> Option<LinkEnd> {
        carry::time_out(&mut self.link, io, conn, now, random).map(counted)
    }

    /// Opens all whole frames in what is held and in `bytes`; the link holds the rest. An error ends the link.
    pub fn consume(&mut self, mut bytes: &mut [u8], intake: &mut Intake<'_>) -> Result<(), LinkEnd> {
        loop {
            match self.link.handle_input(intake.now, &mut bytes) {
                Input::Nothing => return Ok(()),
                Input::Frame(frame) => open_frame(frame, self.may_send, intake)?,
                Input::Event => {
                    while self.link.poll_event().is_some() {}
                    self.link.ended().map_or(Ok(()), |end| Err(counted(end)))?;
                }
            }
        }
    }
}

fn open_frame(frame: Frame<'_>, may_send: bool, intake: &mut Intake<'_>) -> Result<(), LinkEnd> {
    let packet_body_bytes = COMMAND_HEADER_BYTES + intake.packet_bytes + FRAME_BODY_TAG_BYTES;
    let slot = if frame.body_bytes() == packet_body_bytes { intake.slots.take() } else { None };
    match slot {
        Some(slot) => open_in_slot(frame, slot, may_send, intake),
        None => open_in_place(frame, may_send, intake),
    }
}

/// The usual way: the frame has the size of those that carry packets.
fn open_in_slot(frame: Frame<'_>, mut slot: Box<Slot>, may_send: bool, intake: &mut Intake<'_>) -> Result<(), LinkEnd> {
    let wish = match frame.open_in(slot.body_mut()) {
        Ok(command) => wish(command, may_send, intake),
        Err(_) => Wish::Close(LinkEnd::Protocol),
    };
    match wish {
        Wish::Packet => {
            intake.account.received();
            if may_send {
                slot.recv_at = intake.now;
                slot.source = intake.source;
                // A mix has no clients.
                slot.sender = Sender::default();
                intake.opened.push(slot);
            } else {
                intake.account.dropped(DropReason::IncomingOutOfEpoch, intake.now);
                intake.slots.give(slot);
            }
            Ok(())
        }
        Wish::Nothing => {
            intake.slots.give(slot);
            Ok(())
        }
        Wish::Close(end) => {
            intake.slots.give(slot);
            Err(end)
        }
    }
}

/// Commands of other sizes, and packets for which there is no slot after all.
fn open_in_place(frame: Frame<'_>, may_send: bool, intake: &mut Intake<'_>) -> Result<(), LinkEnd> {
    let wish = match frame.open() {
        Ok(command) => wish(command, may_send, intake),
        Err(_) => Wish::Close(LinkEnd::Protocol),
    };
    match wish {
        Wish::Packet => {
            intake.account.received();
            let reason = if may_send { DropReason::PoolExhausted } else { DropReason::IncomingOutOfEpoch };
            intake.account.dropped(reason, intake.now);
            Ok(())
        }
        Wish::Nothing => Ok(()),
        Wish::Close(end) => Err(end),
    }
}

/// Judges a command in the order of server.md 3.3: parse, `can_send`, class, command.
fn wish(command: &[u8], may_send: bool, intake: &Intake<'_>) -> Wish {
    let command = match intake.commands.parse(command) {
        Ok(command) => command,
        Err(_) => return Wish::Close(LinkEnd::Protocol),
    };
    if may_send {
        intake.account.count(Counter::request(request(command.id())));
    }
    match command {
        Command::SendPacket { packet } if packet.len() == intake.packet_bytes => Wish::Packet,
        Command::SendPacket { .. } => Wish::Close(LinkEnd::Protocol),
        _ if !may_send => Wish::Nothing,
        Command::Disconnect => Wish::Close(LinkEnd::PeerClosed),
        other => match Acceptor::NodeIncoming.verdict(other.id()) {
            Verdict::Accept | Verdict::Ignore => Wish::Nothing,
            Verdict::Close => Wish::Close(LinkEnd::Protocol),
        },
    }
}

/// The label under which a command is counted.
fn request(id: CommandId) -> Request {
    match id {
        CommandId::NoOp => Request::NoOp,
        CommandId::Disconnect => Request::Disconnect,
        CommandId::SendPacket => Request::SendPacket,
        CommandId::SendRetrievePacket => Request::SendRetrievePacket,
        CommandId::RetrieveMessage => Request::RetrieveMessage,
        CommandId::MessageDelivered => Request::MessageDelivered,
        CommandId::GetConsensus => Request::GetConsensus,
        CommandId::GetConsensus2 => Request::GetConsensus2,
        _ => Request::Other,
    }
}
