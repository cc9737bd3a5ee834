//! A link that a peer opened: from the first byte to opened packets (server.md 3.2, 3.3).

use super::handshake_budget::{ConnectionPermit, HandshakePermit};
use super::handshaking::Handshaking;
use crate::account::Account;
use crate::io::{ConnId, Io};
use crate::packet::pool::{Slot, Source};
use crate::packet::slots::Slots;
use crate::shared::sessions::SessionKey;
use crate::time::Instant;
use interplane::counter::{LinkEnd, Request};
use interplane::{Counter, DropReason};
use std::collections::VecDeque;
use std::net::SocketAddr;
use wire::command::Verdict;
use wire::{Acceptor, Command, CommandId, CommandSet, FRAME_HEADER_BYTES, FrameOpener, PeerCredentials, Transport};

/// A connection from a peer.
pub struct Incoming {
    /// Its name.
    pub conn: ConnId,
    /// Where it comes from.
    pub address: SocketAddr,
    /// How far it is.
    pub stage: Stage,
    /// Whether the shard has it on its list of links to read from.
    pub is_listed: bool,
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

/// An established link.
pub struct Up {
    opener: FrameOpener,
    /// Who it is.
    pub peer: PeerCredentials,
    /// What a newer connection of the same peer is recognised by.
    pub key: SessionKey,
    /// Whether its packets are taken now.
    pub may_send: bool,
    /// When it last sent a whole command.
    pub command_at: Instant,
    /// The beginning of a frame, until the rest arrives.
    tail: Box<[u8]>,
    tail_bytes: usize,
    /// The header of the frame that is under way said so.
    body_due: Option<usize>,
    /// Bytes of the body of a frame that carries a packet.
    packet_body_bytes: usize,
    /// The handshake's last message and the NoOp behind it, until they are handed over.
    rest: Vec<u8>,
}

/// Where opened packets go.
pub struct Intake<'a> {
    /// Empty slots.
    pub slots: &'a mut Slots,
    /// Opened packets.
    pub opened: &'a mut VecDeque<Box<Slot>>,
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

impl Up {
    /// A link after its handshake. `rest` is what the handshake has not sent; the finalization NoOp is added to it.
    /// None if the NoOp cannot be sealed.
    pub fn new(
        transport: Transport,
        mut rest: Vec<u8>,
        commands: &CommandSet,
        may_send: bool,
        frame_bytes: usize,
        now: Instant,
    ) -> Option<Self> {
        let Transport { mut sealer, opener, peer, .. } = transport;
        sealer.seal_command(commands, &Command::NoOp, &mut rest).ok()?;
        let key = SessionKey::new(&peer.additional_data, &peer.public_key);
        let tail = vec![0; frame_bytes].into_boxed_slice();
        Some(Self {
            opener,
            peer,
            key,
            may_send,
            command_at: now,
            tail,
            tail_bytes: 0,
            body_due: None,
            packet_body_bytes: frame_bytes.saturating_sub(FRAME_HEADER_BYTES),
            rest,
        })
    }

    /// Sends what the handshake left. After that nothing is ever sent here.
    pub fn flush(&mut self, io: &mut impl Io, conn: ConnId) {
        if !self.rest.is_empty() && io.sending(conn).is_none() {
            io.send(conn, std::mem::take(&mut self.rest));
        }
    }

    /// Bytes of the frame that is under way.
    pub fn tail_bytes(&self) -> usize {
        self.tail_bytes
    }

    /// Opens all whole frames in what is kept and in `bytes`, and keeps the rest for later. An error ends the link.
    pub fn consume(&mut self, mut bytes: &mut [u8], intake: &mut Intake<'_>) -> Result<(), LinkEnd> {
        loop {
            let due = self.body_due.unwrap_or(FRAME_HEADER_BYTES);
            if self.tail_bytes == 0 && bytes.len() >= due {
                let (piece, rest) = bytes.split_at_mut(due);
                bytes = rest;
                self.open_piece(piece, intake)?;
                continue;
            }
            let (missing, rest) = bytes.split_at_mut(bytes.len().min(due - self.tail_bytes));
            bytes = rest;
            let end = self.tail_bytes + missing.len();
            // Less than a header, or less than a body that the opener found small enough for a frame.
            self.tail.get_mut(self.tail_bytes..end).ok_or(LinkEnd::Protocol)?.copy_from_slice(missing);
            self.tail_bytes = end;
            if end < due {
                return Ok(());
            }
            self.tail_bytes = 0;
            let mut tail = std::mem::take(&mut self.tail);
            let opened = self.open_piece(&mut tail[..due], intake);
            self.tail = tail;
            opened?;
        }
    }

    /// Opens a header or a body.
    fn open_piece(&mut self, piece: &mut [u8], intake: &mut Intake<'_>) -> Result<(), LinkEnd> {
        match self.body_due.take() {
            None => self.body_due = Some(self.opener.open_header(piece).map_err(|_| LinkEnd::Protocol)?),
            Some(_) => self.open_frame(piece, intake)?,
        }
        Ok(())
    }

    fn open_frame(&mut self, body: &mut [u8], intake: &mut Intake<'_>) -> Result<(), LinkEnd> {
        self.command_at = intake.now;
        let slot = if body.len() == self.packet_body_bytes { intake.slots.take() } else { None };
        match slot {
            Some(slot) => self.open_in_slot(body, slot, intake),
            None => self.open_in_buffer(body, intake),
        }
    }

    /// The usual way: the frame has the size of those that carry packets.
    fn open_in_slot(&mut self, body: &[u8], mut slot: Box<Slot>, intake: &mut Intake<'_>) -> Result<(), LinkEnd> {
        slot.body_mut().copy_from_slice(body);
        let wish = match self.opener.open_body(slot.body_mut()) {
            Ok(command) => self.wish(command, intake),
            Err(_) => Wish::Close(LinkEnd::Protocol),
        };
        match wish {
            Wish::Packet => {
                intake.account.received();
                if self.may_send {
                    slot.recv_at = intake.now;
                    slot.source = intake.source;
                    intake.opened.push_back(slot);
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
    fn open_in_buffer(&mut self, body: &mut [u8], intake: &mut Intake<'_>) -> Result<(), LinkEnd> {
        let wish = match self.opener.open_body(body) {
            Ok(command) => self.wish(command, intake),
            Err(_) => Wish::Close(LinkEnd::Protocol),
        };
        match wish {
            Wish::Packet => {
                intake.account.received();
                let reason = if self.may_send { DropReason::PoolExhausted } else { DropReason::IncomingOutOfEpoch };
                intake.account.dropped(reason, intake.now);
                Ok(())
            }
            Wish::Nothing => Ok(()),
            Wish::Close(end) => Err(end),
        }
    }

    /// Judges a command in the order of server.md 3.3: parse, `can_send`, class, command.
    fn wish(&self, command: &[u8], intake: &Intake<'_>) -> Wish {
        let command = match intake.commands.parse(command) {
            Ok(command) => command,
            Err(_) => return Wish::Close(LinkEnd::Protocol),
        };
        if self.may_send {
            intake.account.count(Counter::request(request(command.id())));
        }
        match command {
            Command::SendPacket { packet } if packet.len() == intake.packet_bytes => Wish::Packet,
            Command::SendPacket { .. } => Wish::Close(LinkEnd::Protocol),
            _ if !self.may_send => Wish::Nothing,
            Command::Disconnect => Wish::Close(LinkEnd::PeerClosed),
            other => match Acceptor::NodeIncoming.verdict(other.id()) {
                Verdict::Accept | Verdict::Ignore => Wish::Nothing,
                Verdict::Close => Wish::Close(LinkEnd::Protocol),
            },
        }
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
