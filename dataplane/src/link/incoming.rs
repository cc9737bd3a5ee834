//! A link that a peer opened: from the first byte to opened packets (server.md 3.2, 3.3).

use super::carry::{self, Progress};
use super::client::{Client, KEEP_ALIVE, Library};
use super::outgoing::{carrier, ms};
use super::tally::Tally;
use crate::account::Account;
use crate::io::{ConnId, Io};
use crate::packet::batch::Backlog;
use crate::packet::pool::{Slot, Source};
use crate::packet::route::Sender;
use crate::packet::slots::Slots;
use crate::shared::Facts;
use crate::shared::admission::{ConnectionPermit, HandshakePermit};
use crate::shared::sessions::SessionKey;
use crate::time::Instant;
use crypto_simd::random::Random;
use crypto_simd::schemes::KemDecapsulationKey;
use gateway::Request;
use interplane::counter::{Direction, Request as RequestLabel};
use interplane::roll::{LinkReport, LinkState};
use interplane::{Counter, DropReason};
use std::net::SocketAddr;
use std::sync::Arc;
use wire::command::{COMMAND_HEADER_BYTES, Verdict};
use wire::link::{Due, End, Frame, Input};
use wire::{Acceptor, Command, CommandError, CommandId, CommandSet, Link, PeerCredentials, Role};

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
    /// Whether a node or a client.
    pub class: Class,
    /// A document in one piece is on its way to it.
    pub is_sent_whole: bool,
    /// Since when.
    since: Instant,
    /// Whether it has shown that it has its link key, as nobody has before the first frame that opens.
    proof: Proof,
}

/// How sure it is who a peer is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Proof {
    /// It has said so.
    Owed,
    /// It has just sealed its first frame.
    Fresh,
    /// That has been taken note of.
    Noted,
}

/// What kind of peer opened a link.
pub enum Class {
    /// A node of the network.
    Node {
        /// Whether its packets are taken now.
        may_send: bool,
        /// What it has sent.
        tally: Box<Tally>,
    },
    /// A client of this gateway.
    Client(Box<Client>),
}

impl Class {
    /// A node, from now on.
    pub fn node(may_send: bool, now: Instant) -> Self {
        Self::Node { may_send, tally: Box::new(Tally::new(now)) }
    }
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
    /// To take a packet, or the reason why it is dropped.
    Packet(Result<Sender, DropReason>),
    Nothing,
    Close(End),
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
    pub fn finish(mut self, now: Instant, class: impl FnOnce(&PeerCredentials) -> Class) -> Option<Up> {
        // A public key is more than a kilobyte: it is not to be there twice for each client.
        let peer = if self.link.is_up() { self.link.take_peer() } else { None }?;
        let key = SessionKey::new(&peer.additional_data, &peer.public_key);
        Some(Up {
            class: class(&peer),
            link: self.link,
            peer,
            key,
            is_sent_whole: false,
            since: now,
            proof: Proof::Owed,
        })
    }
}

impl Up {
    /// The client at the other end, if it is one.
    pub fn client(&mut self) -> Option<&mut Client> {
        match &mut self.class {
            Class::Node { .. } => None,
            Class::Client(client) => Some(client),
        }
    }

    /// Whether it is a client's.
    pub fn is_client(&self) -> bool {
        matches!(self.class, Class::Client(_))
    }

    /// Whether it is known since the last call who the peer is; told once.
    pub fn take_proof(&mut self) -> bool {
        let is_fresh = self.proof == Proof::Fresh;
        if is_fresh {
            self.proof = Proof::Noted;
        }
        is_fresh
    }

    /// How the link of a node fares; none of a client.
    pub fn report(&self, shard: usize, conn: ConnId, io: &impl Io, now: Instant) -> Option<LinkReport> {
        let Class::Node { may_send, tally } = &self.class else { return None };
        Some(LinkReport {
            node: self.peer.additional_data.as_slice().try_into().ok()?,
            direction: Direction::Incoming,
            shard: u16::try_from(shard).unwrap_or(u16::MAX),
            transport: Some(carrier(io, conn)),
            state: LinkState::Up,
            may_send: *may_send,
            state_ms: ms(now.since(self.since)),
            last_packet_ms: tally.last_packet(now).map(ms),
            queued: 0,
            sealed: 0,
            stalled_ms: io.sending(conn).map(|sending| ms(now.since(sending.progress_at))),
            failures: 0,
            all: tally.all(),
            lately: tally.lately(now),
        })
    }

    /// Whether it has shown who it is.
    pub fn has_proof(&self) -> bool {
        self.proof != Proof::Owed
    }

    /// A client hears something now and then; a node must not (wire.md 6.10).
    pub fn keep_alive(&mut self, now: Instant, random: &mut dyn Random) {
        let wait = self.is_client().then_some(KEEP_ALIVE);
        self.link.keep_alive_every(wait, now, random);
    }

    /// Seals what a client is to be told, and hands over what waits to be sent.
    pub fn flush(&mut self, io: &mut impl Io, conn: ConnId, library: &Library<'_>) -> Result<(), End> {
        let now = io.now();
        self.is_sent_whole &= !self.link.is_flushed();
        if let Class::Client(client) = &mut self.class {
            self.is_sent_whole |= client.speak(&mut self.link, library, now)?;
        }
        if !self.link.is_flushed() {
            carry::hand_over(&mut self.link, io, conn, now);
        }
        Ok(())
    }

    /// A buffer comes back, of which the connection took so much; the reason if that ends the link.
    pub fn handle_sent(&mut self, buffer: Vec<u8>, taken: usize) -> Option<End> {
        self.link.handle_sent(buffer, taken);
        self.link.ended()
    }

    /// Bytes of a frame that are here already.
    pub fn held_bytes(&self) -> usize {
        self.link.held_bytes()
    }

    /// When [`Up::handle_timeout`] has something to do.
    pub fn next_timeout(&self) -> Instant {
        match &self.class {
            Class::Node { .. } => self.link.poll_timeout(),
            Class::Client(client) => self.link.poll_timeout().min(client.next_timeout()),
        }
    }

    /// What the peer has sent waits to be read: until then it is not late with anything. What it is owed is due as before.
    pub fn excuse(&mut self, until: Instant) {
        self.link.excuse_silence(until);
        if let Some(client) = self.client() {
            client.excuse(until);
        }
    }

    /// Looks at the deadlines; the reason if one of them ends the link.
    pub fn handle_timeout(
        &mut self,
        io: &mut impl Io,
        conn: ConnId,
        now: Instant,
        random: &mut dyn Random,
    ) -> Option<End> {
        if self.client().is_some_and(|client| client.next_timeout() <= now) {
            return Some(End::Silent);
        }
        carry::time_out(&mut self.link, io, conn, now, random)
    }

    /// Opens all whole frames in what is held and in `bytes`; the link holds the rest. An error ends the link.
    pub fn consume(&mut self, mut bytes: &mut [u8], intake: &mut Intake<'_>) -> Result<(), End> {
        loop {
            match self.link.handle_input(intake.now, &mut bytes) {
                Input::Nothing => return Ok(()),
                Input::Frame(frame) => {
                    open_frame(frame, &mut self.class, intake)?;
                    if self.proof == Proof::Owed {
                        self.proof = Proof::Fresh;
                    }
                }
                Input::Event => {
                    while self.link.poll_event().is_some() {}
                    self.link.ended().map_or(Ok(()), Err)?;
                }
            }
        }
    }
}

fn open_frame(frame: Frame<'_>, class: &mut Class, intake: &mut Intake<'_>) -> Result<(), End> {
    let packet_command_bytes = COMMAND_HEADER_BYTES + intake.packet_bytes;
    let slot = if frame.command_bytes() == packet_command_bytes { intake.slots.take() } else { None };
    match slot {
        Some(slot) => open_in_slot(frame, slot, class, intake),
        None => open_in_place(frame, class, intake),
    }
}

/// The usual way: the frame has the size of those that carry packets.
fn open_in_slot(frame: Frame<'_>, mut slot: Box<Slot>, class: &mut Class, intake: &mut Intake<'_>) -> Result<(), End> {
    let wish = match frame.open_in(slot.command_mut()) {
        Ok(()) => wish(slot.command_mut(), class, intake),
        Err(error) => Wish::Close(error.into()),
    };
    match wish {
        Wish::Packet(Ok(sender)) => {
            intake.account.received();
            slot.recv_at = intake.now;
            slot.source = intake.source;
            slot.sender = sender;
            intake.opened.push(slot);
            Ok(())
        }
        Wish::Packet(Err(reason)) => {
            intake.account.received();
            intake.account.dropped(reason, intake.now);
            intake.slots.give(slot);
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
fn open_in_place(frame: Frame<'_>, class: &mut Class, intake: &mut Intake<'_>) -> Result<(), End> {
    let wish = match frame.open() {
        Ok(command) => wish(command, class, intake),
        Err(error) => Wish::Close(error.into()),
    };
    match wish {
        Wish::Packet(taken) => {
            intake.account.received();
            intake.account.dropped(taken.err().unwrap_or(DropReason::PoolExhausted), intake.now);
            Ok(())
        }
        Wish::Nothing => Ok(()),
        Wish::Close(end) => Err(end),
    }
}

/// Judges a command in the order of server.md 3.3: parse, `can_send`, class, command.
fn wish(command: &[u8], class: &mut Class, intake: &Intake<'_>) -> Wish {
    let command = match intake.commands.parse(command) {
        Ok(command) => command,
        Err(error) => return Wish::Close(error.into()),
    };
    if !matches!(class, Class::Node { may_send: false, .. }) {
        intake.account.count(Counter::request(request(command.id())));
    }
    match command {
        Command::SendPacket { packet } if packet.len() != intake.packet_bytes => {
            let (id, bytes) = (CommandId::SendPacket, packet.len());
            return Wish::Close(CommandError::BodyLength { id, bytes }.into());
        }
        Command::Disconnect if !matches!(class, Class::Node { may_send: false, .. }) => {
            return Wish::Close(End::PeerClosed);
        }
        _ => {}
    }
    match class {
        Class::Node { may_send, tally } => {
            if matches!(command, Command::SendPacket { .. }) {
                if *may_send { tally.passed(1, intake.now) } else { tally.dropped(intake.now) }
            }
            wish_of_node(&command, *may_send)
        }
        Class::Client(client) => wish_of_client(&command, client, intake.now),
    }
}

fn wish_of_node(command: &Command<'_>, may_send: bool) -> Wish {
    match command {
        Command::SendPacket { .. } if may_send => Wish::Packet(Ok(Sender::default())),
        Command::SendPacket { .. } => Wish::Packet(Err(DropReason::IncomingOutOfEpoch)),
        _ if !may_send => Wish::Nothing,
        other => match Acceptor::NodeIncoming.verdict(other.id()) {
            Verdict::Accept | Verdict::Ignore => Wish::Nothing,
            Verdict::Close => Wish::Close(End::Unexpected(other.id())),
        },
    }
}

fn wish_of_client(command: &Command<'_>, client: &mut Client, now: Instant) -> Wish {
    match *command {
        Command::NoOp => Wish::Nothing,
        Command::SendPacket { .. } if client.may_send(now) => Wish::Packet(Ok(Sender { is_client: true })),
        Command::SendPacket { .. } => Wish::Packet(Err(DropReason::GatewayRateLimited)),
        Command::MessageDelivered { sequence } => {
            client.handle_delivered(sequence);
            Wish::Nothing
        }
        Command::GetConsensus2 { epoch } => {
            client.handle_request(Request::Chunks(epoch));
            Wish::Nothing
        }
        Command::GetConsensus { epoch, .. } => {
            client.handle_request(Request::Whole(epoch));
            Wish::Nothing
        }
        // SendRetrievePacket too: no client has used it since messages are pushed (server.md 5.5).
        ref other => Wish::Close(End::Unexpected(other.id())),
    }
}

/// The label under which a command is counted.
fn request(id: CommandId) -> RequestLabel {
    match id {
        CommandId::NoOp => RequestLabel::NoOp,
        CommandId::Disconnect => RequestLabel::Disconnect,
        CommandId::SendPacket => RequestLabel::SendPacket,
        CommandId::SendRetrievePacket => RequestLabel::SendRetrievePacket,
        CommandId::RetrieveMessage => RequestLabel::RetrieveMessage,
        CommandId::MessageDelivered => RequestLabel::MessageDelivered,
        CommandId::GetConsensus => RequestLabel::GetConsensus,
        CommandId::GetConsensus2 => RequestLabel::GetConsensus2,
        _ => RequestLabel::Other,
    }
}
