//! One link to a gateway, and what is said over it (client.md 11.3, 11.4).

use crate::awaited::SurbId;
use crate::compose::QUEUE_ID_BYTES;
use crate::settings::{Gateway, Settings};
use crate::time::Now;
use crypto_simd::random::Random;
use crypto_simd::schemes::SchemeError;
use pki::Epoch;
use pki::document::SIGNED_BYTES_MAX;
use secret_memory::within;
use std::sync::Arc;
use std::time::Duration;
use wire::command::{Acceptor, Verdict, codes};
use wire::consensus2::{ChunkError, Joiner};
use wire::link::{Due, End, Event, Input, Limits, Link};
use wire::{Command, CommandId, Instant, Role, SessionConfig};

/// The whole handshake (wire.md 7.2).
const HANDSHAKE_LIMIT: Duration = Duration::from_secs(60);
/// No command for so long: gateways say something every 10 s.
const RECEIVE_LIMIT: Duration = Duration::from_secs(15);
/// One command is sent in this time.
const SEND_LIMIT: Duration = Duration::from_secs(60);
/// Gateways close links over which nothing came for 120 s: a client without cover traffic sends a NoOp in time.
const KEEP_ALIVE: Duration = Duration::from_secs(45);
/// A document is there in this time.
const DOCUMENT_LIMIT: Duration = Duration::from_secs(30);
/// Frames from a gateway: a padded command or a chunk of a document, and room for chunks of another size.
const RECEIVE_BYTES_MIN: usize = 1 << 20;

/// What a gateway said.
#[derive(Debug, PartialEq, Eq)]
pub enum Heard {
    /// The link is up.
    Up,
    /// The reply to a reply block, still under its keys. It is acknowledged already.
    Reply {
        /// The id of the block.
        surb_id: SurbId,
        /// Tag and payload.
        payload: Vec<u8>,
    },
    /// A document, not verified.
    Document {
        /// For the epoch that was asked for.
        wanted: Epoch,
        /// The signed document.
        raw: Vec<u8>,
    },
    /// There is no document of that epoch.
    NoDocument {
        /// The epoch that was asked for.
        wanted: Epoch,
        /// Whether there never will be one.
        is_gone: bool,
    },
    /// The link has ended.
    Ended(EndReason),
}

/// Why a link to a gateway ended.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EndReason {
    /// As links end.
    #[error(transparent)]
    Link(#[from] End),
    /// Somebody else answered at the gateway's address.
    #[error("the peer is not the gateway that was dialled")]
    OtherPeer,
    /// Chunks that make no document.
    #[error("a document in pieces: {0}")]
    Chunk(#[from] ChunkError),
    /// The document that was asked for did not come.
    #[error("no answer to the question for a document")]
    NoDocument,
    /// A piece of a document that nobody had asked for.
    #[error("a document that nobody asked for")]
    Unasked,
    /// The documents no longer list the gateway with this link key.
    #[error("the gateway is no longer listed with this key")]
    NoLongerListed,
}

/// A document that was asked for.
struct Asked {
    wanted: Epoch,
    joiner: Joiner,
    until: Instant,
}

/// One link to a gateway.
pub struct Session {
    link: Link,
    gateway: Gateway,
    queue_id: [u8; QUEUE_ID_BYTES],
    asked: Option<Asked>,
    end: Option<EndReason>,
    is_end_told: bool,
}

impl Session {
    /// A link over a connection that is there: fresh link key, fresh queue id.
    pub fn new(
        settings: &Settings,
        gateway: Gateway,
        now: Instant,
        random: &mut dyn Random,
    ) -> Result<Self, SchemeError> {
        let kem = settings.kem;
        let key = within(|| kem.load(&kem.generate(random)).map(Arc::from))?;
        let queue_id = queue_id(random);
        let config = SessionConfig::mixnet(Role::Initiator, kem, settings.command_sizes());
        let receive_bytes_max = (2 * config.sizes.server_to_client_bytes()).max(RECEIVE_BYTES_MIN);
        let config = SessionConfig { receive_bytes_max, ..config };
        let limits = Limits {
            message_1: HANDSHAKE_LIMIT,
            handshake: HANDSHAKE_LIMIT,
            finalization: RECEIVE_LIMIT,
            receive: Some(RECEIVE_LIMIT),
            send: SEND_LIMIT,
            keep_alive: Some(KEEP_ALIVE),
            output_bytes: 256 << 10,
        };
        let link = Link::new(config, key, &queue_id, limits, now);
        Ok(Self { link, gateway, queue_id, asked: None, end: None, is_end_told: false })
    }

    /// The gateway at the other end.
    pub fn gateway(&self) -> &Gateway {
        &self.gateway
    }

    /// The recipient of replies.
    pub fn queue_id(&self) -> [u8; QUEUE_ID_BYTES] {
        self.queue_id
    }

    /// Whether commands may be sent.
    pub fn is_up(&self) -> bool {
        self.link.is_up()
    }

    /// Whether a document is on its way.
    pub fn is_asking(&self) -> bool {
        self.asked.is_some()
    }

    /// Local clock minus the gateway's, in seconds.
    pub fn clock_skew(&self) -> Option<i64> {
        self.link.clock_skew()
    }

    /// The next thing that the gateway said. `input` is what has arrived: what of it is used up is cut off; call again
    /// until there is nothing more to hear.
    pub fn hear(&mut self, input: &mut &mut [u8], now: Now, random: &mut dyn Random) -> Option<Heard> {
        loop {
            if let Some(heard) = self.heed(now, random) {
                return Some(heard);
            }
            let set = self.link.commands();
            let heard = match self.link.handle_input(now.at, input) {
                Input::Nothing => return self.ended(),
                Input::Event => None,
                Input::Frame(frame) => match frame.open() {
                    // The link has ended, and tells it next.
                    Err(_) => None,
                    Ok(command) => match set.parse(command) {
                        Ok(command) => Some(take(&command, &mut self.asked)),
                        Err(error) => Some(Took::End(End::Command(error).into())),
                    },
                },
            };
            match heard {
                None | Some(Took::Nothing) => {}
                Some(Took::Reply { sequence, surb_id, payload }) => {
                    self.say(&Command::MessageDelivered { sequence });
                    return Some(Heard::Reply { surb_id, payload });
                }
                Some(Took::Document(heard)) => return Some(heard),
                Some(Took::End(reason)) => self.end(reason),
            }
        }
    }

    /// Asks for a document; one at a time.
    pub fn ask(&mut self, wanted: Epoch, now: Instant) {
        self.say(&Command::GetConsensus2 { epoch: wanted.0 });
        let joiner = Joiner::new(SIGNED_BYTES_MAX, SIGNED_BYTES_MAX);
        self.asked = Some(Asked { wanted, joiner, until: now + DOCUMENT_LIMIT });
    }

    /// Whether a packet may be sent now.
    pub fn has_room(&self) -> bool {
        // And an acknowledgement beside it.
        self.link.has_room(2 * self.link.commands().sizes().client_to_server_bytes())
    }

    /// Sends a packet.
    pub fn send_packet(&mut self, packet: &[u8]) {
        self.say(&Command::SendPacket { packet });
    }

    /// Says good-bye, if the link is up.
    pub fn say_good_bye(&mut self) {
        self.say(&Command::Disconnect);
    }

    /// Ends the link. The first reason stays.
    pub fn end(&mut self, reason: EndReason) {
        self.end.get_or_insert(reason);
        self.link.end(End::Shutdown);
    }

    /// Bytes for one send.
    pub fn poll_output(&mut self, now: Instant) -> Option<Vec<u8>> {
        self.link.poll_output(now)
    }

    /// So many bytes of what [`poll_output`](Self::poll_output) gave are taken: all, or the connection is lost.
    pub fn handle_sent(&mut self, buffer: Vec<u8>, taken: usize) {
        self.link.handle_sent(buffer, taken);
    }

    /// The connection is closed, or broken.
    pub fn handle_closed(&mut self, is_broken: bool) {
        self.link.handle_closed(is_broken);
    }

    /// The time of [`poll_timeout`](Self::poll_timeout) has come.
    pub fn handle_timeout(&mut self, now: Instant, random: &mut dyn Random) {
        if self.link.poll_timeout() <= now {
            self.link.handle_timeout(now, random);
        }
        if self.asked.as_ref().is_some_and(|asked| asked.until <= now) {
            self.end(EndReason::NoDocument);
        }
    }

    /// When something is to be done.
    pub fn poll_timeout(&self) -> Instant {
        self.asked.as_ref().map_or(Instant::NEVER, |asked| asked.until).min(self.link.poll_timeout())
    }

    fn say(&mut self, command: &Command<'_>) {
        // A link that is not up says so by an event, and its room was asked for before anything large.
        let _told_by_event = self.link.send(command);
    }

    /// Does what the link wants done.
    fn heed(&mut self, now: Now, random: &mut dyn Random) -> Option<Heard> {
        while let Some(event) = self.link.poll_event() {
            match event {
                Event::Due(Due::Step) => self.link.step(now.at, now.unix.as_secs(), random),
                Event::Due(Due::Decision) => match self.is_gateway() {
                    true => self.link.accept(now.at, random),
                    false => {
                        self.link.reject();
                        self.end.get_or_insert(EndReason::OtherPeer);
                    }
                },
                Event::Up => return Some(Heard::Up),
                Event::Ended(_) => return self.ended(),
            }
        }
        None
    }

    /// The end, told once.
    fn ended(&mut self) -> Option<Heard> {
        let end = self.link.ended()?;
        if std::mem::replace(&mut self.is_end_told, true) {
            return None;
        }
        Some(Heard::Ended(self.end.clone().unwrap_or(EndReason::Link(end))))
    }

    fn is_gateway(&self) -> bool {
        let peer = self.link.peer();
        peer.is_some_and(|peer| peer.additional_data == self.gateway.id && peer.public_key == self.gateway.link_key)
    }
}

enum Took {
    Nothing,
    Reply { sequence: u32, surb_id: SurbId, payload: Vec<u8> },
    Document(Heard),
    End(EndReason),
}

fn take(command: &Command<'_>, asked: &mut Option<Asked>) -> Took {
    let id = command.id();
    match Acceptor::Client.verdict(id) {
        Verdict::Accept => {}
        Verdict::Ignore => return Took::Nothing,
        Verdict::Close if id == CommandId::Disconnect => return Took::End(End::PeerClosed.into()),
        Verdict::Close => return Took::End(End::Unexpected(id).into()),
    }
    match *command {
        Command::Message { sequence, surb_id, payload } => {
            Took::Reply { sequence, surb_id: *surb_id, payload: payload.to_vec() }
        }
        Command::Consensus2 { .. } => take_chunk(command, asked),
        _ => Took::Nothing,
    }
}

fn take_chunk(command: &Command<'_>, asked: &mut Option<Asked>) -> Took {
    let Some(question) = asked else { return Took::End(EndReason::Unasked) };
    let wanted = question.wanted;
    let heard = match question.joiner.push(command) {
        Ok(None) => return Took::Nothing,
        Ok(Some(raw)) => Heard::Document { wanted, raw },
        Err(ChunkError::Refused { code }) => Heard::NoDocument { wanted, is_gone: code == codes::consensus::GONE },
        Err(error) => return Took::End(error.into()),
    };
    *asked = None;
    Took::Document(heard)
}

/// 16 random bytes in lower-case hexadecimal (client.md 11.3).
fn queue_id(random: &mut dyn Random) -> [u8; QUEUE_ID_BYTES] {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut bytes = [0; QUEUE_ID_BYTES / 2];
    random.fill(&mut bytes);
    let mut text = [0; QUEUE_ID_BYTES];
    for (pair, byte) in text.chunks_exact_mut(2).zip(bytes) {
        pair[0] = DIGITS[usize::from(byte >> 4)];
        pair[1] = DIGITS[usize::from(byte & 15)];
    }
    text
}
