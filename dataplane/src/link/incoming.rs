//! A link that a peer opened: from the first byte to opened packets (server.md 3.2, 3.3).

use super::handshaking::Handshaking;
use crate::account::Account;
use crate::io::{ConnId, Io, Sent};
use crate::packet::batch::Backlog;
use crate::packet::pool::{Slot, Source};
use crate::packet::route::Sender;
use crate::packet::slots::Slots;
use crate::shared::handshake_budget::{ConnectionPermit, HandshakePermit};
use crate::shared::sessions::SessionKey;
use crate::time::Instant;
use interplane::counter::{LinkEnd, Request};
use interplane::{Counter, DropReason};
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
    /// Of the handshake's last message and the NoOp behind it: what is not sent yet.
    rest: Vec<u8>,
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
        Some(Self { opener, peer, key, may_send, command_at: now, tail, tail_bytes: 0, body_due: None, rest })
    }

    /// Sends what the handshake left. After that nothing is ever sent here. False if the connection is lost.
    pub fn flush(&mut self, io: &mut impl Io, conn: ConnId) -> bool {
        while !self.rest.is_empty() {
            match io.send(conn, &self.rest) {
                Sent::Bytes(count) => drop(self.rest.drain(..count)),
                Sent::WouldBlock => return true,
                Sent::Failed => return false,
            }
        }
        self.rest = Vec::new();
        true
    }

    /// Puts the beginning of the frame that is under way into the receive buffer; gives its length.
    pub fn restore_tail(&mut self, buffer: &mut [u8]) -> usize {
        let count = std::mem::take(&mut self.tail_bytes);
        buffer[..count].copy_from_slice(&self.tail[..count]);
        count
    }

    /// Opens all whole frames in `bytes` and keeps the rest for later. An error ends the link.
    pub fn consume(&mut self, bytes: &mut [u8], intake: &mut Intake<'_>) -> Result<(), LinkEnd> {
        let mut at = 0;
        loop {
            let due = match self.body_due {
                Some(due) => due,
                None => {
                    let Some(header) = bytes.get_mut(at..at + FRAME_HEADER_BYTES) else { break };
                    let due = self.opener.open_header(header).map_err(|_| LinkEnd::Protocol)?;
                    at += FRAME_HEADER_BYTES;
                    self.body_due = Some(due);
                    due
                }
            };
            let Some(body) = bytes.get_mut(at..at + due) else { break };
            self.body_due = None;
            at += due;
            self.open_frame(body, intake)?;
        }
        let rest = &bytes[at..];
        // Less than a header, or less than a body that the opener found small enough for a frame.
        let tail = self.tail.get_mut(..rest.len()).ok_or(LinkEnd::Protocol)?;
        tail.copy_from_slice(rest);
        self.tail_bytes = rest.len();
        Ok(())
    }

    fn open_frame(&mut self, body: &mut [u8], intake: &mut Intake<'_>) -> Result<(), LinkEnd> {
        self.command_at = intake.now;
        let slot = if body.len() == self.tail.len() - FRAME_HEADER_BYTES { intake.slots.take() } else { None };
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
