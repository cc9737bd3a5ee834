//! Fake peers: they dial or listen, speak the link protocol, and do what a test tells them.

use super::nodes::{geometry, id_of, link_kem, link_key};
use crate::io::{ConnId, Event, Io, Received as Recv, Target, Transport};
use crate::link::carry::{self, Progress};
use crate::random::ShardRandom;
use crate::shard::Next;
use crate::time::Instant;
use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::Duration;
use wire::link::{Due, Limits};
use wire::{Command, CommandSizes, FRAME_HEADER_BYTES, FrameOpener, FrameSealer, Link, Role, SessionConfig};

/// Something to send, in order.
pub enum Send {
    /// A packet in a SendPacket.
    Packet(Vec<u8>),
    /// Any command's plaintext in a frame.
    Plain(Vec<u8>),
    /// Bytes without a frame.
    Raw(Vec<u8>),
    /// Ends the connection.
    Close,
}

/// What came in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Received {
    pub at: Instant,
    pub packet: Vec<u8>,
}

/// What a client is told.
#[derive(Default)]
pub struct Heard {
    /// Messages: number, id of the reply block, payload.
    pub messages: Vec<(u32, [u8; 16], Vec<u8>)>,
    /// The plaintext of each Consensus2.
    pub chunks: Vec<Vec<u8>>,
    /// Documents in one piece, with their codes.
    pub documents: Vec<(u8, Vec<u8>)>,
}

/// One peer with any number of connections.
pub struct FakePeer {
    node: u8,
    key_edition: u8,
    /// The name of a client; none is a node.
    name: Option<[u8; 32]>,
    /// What it is told as a client.
    pub heard: Heard,
    /// As a client: leaves messages without acknowledgement.
    pub is_mute_to_messages: bool,
    dials: Option<SocketAddr>,
    /// What it dials over.
    pub over: Transport,
    /// Dials again when a connection ends.
    pub redials: bool,
    connections: Vec<Session>,
    pub to_send: VecDeque<Send>,
    pub received: Vec<Received>,
    pub no_ops: usize,
    /// Established connections that have been seen.
    pub established: usize,
    /// Connections that have ended.
    pub ended: usize,
    dials_again: Option<SocketAddr>,
    random: ShardRandom,
    /// Does not do the handshake: for tests that send garbage instead.
    pub mute: bool,
    /// Takes nobody: it does not know the peer yet.
    pub refuses: bool,
    /// When connections came.
    pub accepted_at: Vec<Instant>,
    /// Says no more than the first message of its handshake.
    pub stops_after_first_message: bool,
    /// Bytes per send, to cut frames at odd places.
    pub send_bytes_max: usize,
}

struct Session {
    conn: ConnId,
    stage: Stage,
    out: Vec<u8>,
    incoming: Vec<u8>,
    body_due: Option<usize>,
    has_begun: bool,
    is_lost: bool,
}

enum Stage {
    Mute,
    Shaking(Box<Link>),
    Up { sealer: FrameSealer, opener: FrameOpener },
}

pub fn config(role: Role) -> SessionConfig {
    let geometry = geometry();
    let surb_reply_bytes = geometry.payload_tag_length + geometry.forward_payload_length;
    SessionConfig::mixnet(role, link_kem(), CommandSizes::mixnet(geometry.packet_length, surb_reply_bytes))
}

impl FakePeer {
    pub fn new(node: u8) -> Self {
        Self {
            node,
            key_edition: 0,
            name: None,
            heard: Heard::default(),
            is_mute_to_messages: false,
            dials: None,
            over: Transport::Tcp,
            redials: false,
            connections: Vec::new(),
            to_send: VecDeque::new(),
            received: Vec::new(),
            no_ops: 0,
            established: 0,
            ended: 0,
            dials_again: None,
            random: ShardRandom::new([node; 32]),
            mute: false,
            refuses: false,
            stops_after_first_message: false,
            accepted_at: Vec::new(),
            send_bytes_max: usize::MAX,
        }
    }

    /// Dials at once.
    pub fn dialling(node: u8, to: SocketAddr) -> Self {
        Self { dials: Some(to), ..Self::new(node) }
    }

    /// A client of this name, with the link key that belongs to the number.
    pub fn client(number: u8, name: [u8; 32], to: SocketAddr) -> Self {
        Self { name: Some(name), ..Self::dialling(number, to) }
    }

    /// Sends any command.
    pub fn send_command(&mut self, command: &Command<'_>) {
        let mut plain = Vec::new();
        config(Role::Initiator).command_set().encode_into(command, &mut plain).expect("a possible command");
        self.to_send.push_back(Send::Plain(plain));
    }

    /// Does not do the handshake.
    pub fn muted(self) -> Self {
        Self { mute: true, ..self }
    }

    /// Has another link key than documents say.
    pub fn with_other_link_key(self) -> Self {
        Self { key_edition: 1, ..self }
    }

    /// Dials once more, whatever connections there are.
    pub fn dial(&mut self, to: SocketAddr) {
        self.dials = Some(to);
    }

    pub fn is_up(&self) -> bool {
        self.connections.iter().any(|session| matches!(session.stage, Stage::Up { .. }))
    }

    pub fn open_connections(&self) -> usize {
        self.connections.len()
    }

    pub fn send(&mut self, packet: Vec<u8>) {
        self.to_send.push_back(Send::Packet(packet));
    }

    pub fn poll(&mut self, io: &mut impl Io) -> Next {
        if let Some(to) = self.dials.take() {
            io.connect(Target { transport: self.over, address: to });
            self.dials_again = self.redials.then_some(to);
        }
        while let Some(event) = io.next_event() {
            match event {
                Event::Connected { conn } => self.open(io, conn, Role::Initiator),
                Event::Accepted { conn, .. } => {
                    self.accepted_at.push(io.now());
                    self.open(io, conn, Role::Responder);
                }
                Event::ConnectFailed { conn, .. } => {
                    io.close(conn);
                    self.ended += 1;
                }
                Event::Sent { conn, buffer, taken } => self.handle_sent(conn, buffer, taken),
                Event::Adopted { .. } | Event::AcceptFailed { .. } | Event::Readable { .. } => {}
            }
        }
        let mut wake_at = Instant::NEVER;
        let sessions = std::mem::take(&mut self.connections);
        for mut session in sessions {
            if self.pump(io, &mut session) {
                self.connections.push(session);
            } else {
                io.close(session.conn);
                self.ended += 1;
                if let Some(to) = self.dials_again.filter(|_| self.redials) {
                    self.dials = Some(to);
                    wake_at = io.now();
                }
            }
        }
        Next::ParkUntil(wake_at)
    }

    fn handle_sent(&mut self, conn: ConnId, buffer: Vec<u8>, taken: usize) {
        for session in self.connections.iter_mut().filter(|session| session.conn == conn) {
            session.is_lost |= taken < buffer.len();
            if let Stage::Shaking(link) = &mut session.stage {
                link.handle_sent(buffer, taken);
                return;
            }
        }
    }

    fn open(&mut self, io: &impl Io, conn: ConnId, role: Role) {
        let stage = if self.mute {
            Stage::Mute
        } else {
            let limits = Limits::node(role, Duration::from_secs(60));
            let key = link_key(self.node, self.key_edition);
            let name = self.name.unwrap_or_else(|| id_of(self.node));
            Stage::Shaking(Box::new(Link::new(config(role), key, &name, limits, io.now())))
        };
        self.connections.push(Session {
            conn,
            stage,
            out: Vec::new(),
            incoming: Vec::new(),
            body_due: None,
            has_begun: false,
            is_lost: false,
        });
    }

    /// Goes as far as possible; false when the connection has ended.
    fn pump(&mut self, io: &mut impl Io, session: &mut Session) -> bool {
        while let Stage::Shaking(link) = &mut session.stage {
            match carry::shake(link, io, session.conn, io.now()) {
                Progress::Waits => return true,
                // The first step makes the first message.
                Progress::Due(Due::Step) if self.stops_after_first_message && session.has_begun => return true,
                Progress::Due(Due::Step) => {
                    session.has_begun = true;
                    link.step(io.now(), io.unix_now().as_secs(), &mut self.random);
                }
                Progress::Due(Due::Decision) if self.refuses => link.reject(),
                Progress::Due(Due::Decision) => link.accept(io.now(), &mut self.random),
                // Its NoOp has to be on its way before frames are made by hand.
                Progress::Up if !link.is_flushed() => return true,
                Progress::Up => self.finish(session),
                Progress::Ended(_) => return false,
            }
        }
        self.receive(io, session) && self.send_everything(io, session)
    }

    fn finish(&mut self, session: &mut Session) {
        let Stage::Shaking(link) = std::mem::replace(&mut session.stage, Stage::Mute) else { return };
        let transport = link.into_transport().expect("nothing is under way");
        // An initiator has seen the finalization NoOp.
        self.no_ops += usize::from(transport.role == Role::Initiator);
        self.established += 1;
        session.stage = Stage::Up { sealer: transport.sealer, opener: transport.opener };
    }

    fn receive(&mut self, io: &mut impl Io, session: &mut Session) -> bool {
        loop {
            match io.recv(session.conn, 1 << 16) {
                Recv::Bytes { bytes, .. } => session.incoming.extend_from_slice(bytes),
                Recv::WouldBlock => break,
                Recv::Closed | Recv::Failed => return false,
            }
        }
        self.open_frames(io.now(), session);
        true
    }

    fn open_frames(&mut self, now: Instant, session: &mut Session) {
        let set = config(Role::Initiator).command_set();
        loop {
            let opener = match &mut session.stage {
                Stage::Up { opener, .. } => opener,
                Stage::Mute | Stage::Shaking(_) => return,
            };
            let due = match session.body_due {
                Some(due) => due,
                None if session.incoming.len() < FRAME_HEADER_BYTES => return,
                None => {
                    let due = opener.open_header(&mut session.incoming[..FRAME_HEADER_BYTES]).expect("a good header");
                    session.incoming.drain(..FRAME_HEADER_BYTES);
                    session.body_due = Some(due);
                    due
                }
            };
            if session.incoming.len() < due {
                return;
            }
            session.body_due = None;
            let mut body: Vec<u8> = session.incoming.drain(..due).collect();
            let command = opener.open_body(&mut body).expect("a good body");
            match set.parse(command).expect("a command") {
                Command::NoOp => self.no_ops += 1,
                Command::SendPacket { packet } => self.received.push(Received { at: now, packet: packet.to_vec() }),
                Command::Message { sequence, surb_id, payload } if self.name.is_some() => {
                    self.heard.messages.push((sequence, *surb_id, payload.to_vec()));
                    if !self.is_mute_to_messages {
                        self.send_command(&Command::MessageDelivered { sequence });
                    }
                }
                Command::Consensus2 { .. } if self.name.is_some() => self.heard.chunks.push(command.to_vec()),
                Command::Consensus { error_code, payload } if self.name.is_some() => {
                    self.heard.documents.push((error_code, payload.to_vec()));
                }
                other => panic!("unexpected {other:?}"),
            }
        }
    }

    /// Seals and sends; false when the connection has ended.
    fn send_everything(&mut self, io: &mut impl Io, session: &mut Session) -> bool {
        let set = config(Role::Initiator).command_set();
        let is_ready = matches!(session.stage, Stage::Up { .. } | Stage::Mute);
        while is_ready && session.out.len() < 1 << 20 {
            match (self.to_send.pop_front(), &mut session.stage) {
                (Some(Send::Packet(packet)), Stage::Up { sealer, .. }) => {
                    let command = Command::SendPacket { packet: &packet };
                    sealer.seal_command(&set, &command, &mut session.out).expect("a packet fits");
                }
                (Some(Send::Plain(plain)), Stage::Up { sealer, .. }) => {
                    let mut frame = vec![0; wire::frame_bytes(plain.len())];
                    frame[FRAME_HEADER_BYTES..FRAME_HEADER_BYTES + plain.len()].copy_from_slice(&plain);
                    sealer.seal(&mut frame).expect("sealable");
                    session.out.extend_from_slice(&frame);
                }
                (Some(Send::Raw(bytes)), _) => session.out.extend_from_slice(&bytes),
                (Some(Send::Close), _) => return false,
                (None, _) => break,
                _ => {}
            }
        }
        if !session.out.is_empty() && io.sending(session.conn).is_none() {
            let count = session.out.len().min(self.send_bytes_max);
            io.send(session.conn, session.out.drain(..count).collect());
        }
        !session.is_lost
    }
}
