//! The link protocol, up to the commands.

use crate::{Target, Verdict};
use crypto_simd::random::SeededRandom;
use crypto_simd::schemes::{Kem, KemDecapsulationKey, kem};
use std::sync::{Arc, LazyLock};
use std::time::Duration;
use wire::command::{Certified, DEK_BYTES};
use wire::consensus2::{Joiner, Packed, refusal};
use wire::link::{Due, End, Event, Input, Limits, Link};
use wire::{
    Acceptor, Command, CommandId, CommandSet, CommandSizes, FRAME_BODY_TAG_BYTES, FRAME_HEADER_BYTES, Instant, Role,
    SessionConfig, SessionKind,
};

/// What a responder sends to us who dialled, then its frames.
pub const LINK_INITIATOR: Target = Target {
    name: "wire_link_initiator",
    run: |data| receive(Role::Initiator, "xwing", data),
    seeds: || vec![record("xwing").to_initiator],
};
/// What an initiator sends to us who listen, then its frames.
pub const LINK_RESPONDER: Target = Target {
    name: "wire_link_responder",
    run: |data| receive(Role::Responder, "xwing", data),
    seeds: || vec![record("xwing").to_responder],
};
/// Frames after a good handshake.
pub const FRAMES: Target = Target { name: "wire_frames", run: frames, seeds: || vec![record("x25519").frames] };
/// Commands of sessions between clients, gateways, mixes and service nodes.
pub const COMMANDS_MIXNET: Target = Target {
    name: "wire_commands_mixnet",
    run: |data| command(&set(SessionKind::Mixnet), data),
    seeds: || encoded(&set(SessionKind::Mixnet)),
};
/// Commands of sessions with authorities.
pub const COMMANDS_PKI: Target = Target {
    name: "wire_commands_pki",
    run: |data| command(&set(SessionKind::Pki), data),
    seeds: || encoded(&set(SessionKind::Pki)),
};
/// Commands of sessions with replicas.
pub const COMMANDS_REPLICA: Target = Target {
    name: "wire_commands_replica",
    run: |data| command(&set(SessionKind::Replica), data),
    seeds: || encoded(&set(SessionKind::Replica)),
};
/// Chunks of a consensus: commands, each behind two bytes of length.
pub const CONSENSUS2: Target = Target { name: "wire_consensus2", run: consensus2, seeds: chunks };

const UNIX_SECONDS: u64 = 1_800_000_000;
const NOW: Instant = Instant(1);
const PACKET_BYTES: usize = 300;
const SURB_REPLY_BYTES: usize = 132;
const ACCEPTORS: [Acceptor; 11] = [
    Acceptor::Client,
    Acceptor::GatewayFromClient,
    Acceptor::NodeIncoming,
    Acceptor::NodeOutgoing,
    Acceptor::AuthorityFromAnonymous,
    Acceptor::AuthorityFromNode,
    Acceptor::AuthorityFromAuthority,
    Acceptor::AuthorityFromReplica,
    Acceptor::Courier,
    Acceptor::ReplicaOutgoing,
    Acceptor::ReplicaIncoming,
];

fn sizes(kind: SessionKind) -> CommandSizes {
    match kind {
        SessionKind::Mixnet => CommandSizes::mixnet(PACKET_BYTES, SURB_REPLY_BYTES),
        SessionKind::Pki => CommandSizes::pki(32),
        SessionKind::Replica => CommandSizes::replica(600, 32),
    }
}

fn set(kind: SessionKind) -> CommandSet {
    CommandSet::new(kind, sizes(kind))
}

/// One end, with keys and randomness that never change: what was recorded from the other end stays valid.
struct Side {
    link: Link,
    random: SeededRandom,
    set: CommandSet,
    written: Vec<u8>,
    /// Commands that came and parse.
    commands: usize,
}

/// The static keys of both ends by role, for one KEM.
struct Keys {
    kem: &'static dyn Kem,
    initiator: Arc<dyn KemDecapsulationKey>,
    responder: Arc<dyn KemDecapsulationKey>,
}

impl Keys {
    fn new(kem: &str) -> Self {
        let kem = kem::by_name(kem).expect("built in");
        let key = |seed| kem.load(&kem.generate(&mut SeededRandom::new(&[seed; 32]))).expect("a fresh key").into();
        Self { kem, initiator: key(1), responder: key(2) }
    }

    fn of(kem: &str) -> &'static Self {
        static XWING: LazyLock<Keys> = LazyLock::new(|| Keys::new("xwing"));
        static X25519: LazyLock<Keys> = LazyLock::new(|| Keys::new("x25519"));
        if kem == "xwing" { &XWING } else { &X25519 }
    }
}

impl Side {
    fn new(role: Role, kem: &str) -> Self {
        let Keys { kem, initiator, responder } = Keys::of(kem);
        let config = SessionConfig::mixnet(role, *kem, sizes(SessionKind::Mixnet)).receive_client_to_server();
        let (key, seed) = match role {
            Role::Initiator => (initiator, 3),
            Role::Responder => (responder, 4),
        };
        let limits = Limits::exchange(Duration::from_secs(3), Duration::from_secs(60));
        let link = Link::new(config, Arc::clone(key), &[seed; 32], limits, NOW);
        let random = SeededRandom::new(&[seed; 32]);
        let mut side = Self { link, random, set: config.command_set(), written: Vec::new(), commands: 0 };
        side.heed();
        side
    }

    /// Does all that the link wants.
    fn heed(&mut self) {
        while let Some(event) = self.link.poll_event() {
            match event {
                Event::Due(Due::Step) => self.link.step(NOW, UNIX_SECONDS, &mut self.random),
                Event::Due(Due::Decision) => {
                    let peer = self.link.peer().expect("somebody to decide about");
                    assert!(peer.additional_data.len() <= 255, "too much additional data");
                    self.link.accept(NOW, &mut self.random);
                }
                Event::Up => assert!(self.link.is_up() && self.link.peer().is_some()),
                Event::Ended(end) => {
                    assert!(!format!("{end} {end:?}").is_empty(), "an end without a text");
                    assert_eq!((self.link.ended(), self.link.poll_timeout()), (Some(end), Instant::NEVER));
                }
            }
        }
        while let Some(buffer) = self.link.poll_output(NOW) {
            assert!(!buffer.is_empty(), "a send of nothing");
            self.written.extend_from_slice(&buffer);
            let taken = buffer.len();
            self.link.handle_sent(buffer, taken);
        }
    }

    /// Takes bytes that arrive in pieces.
    fn receive(&mut self, data: &[u8], piece_bytes: usize) {
        for piece in data.chunks(piece_bytes.max(1)) {
            let mut piece = piece.to_vec();
            let mut input = &mut piece[..];
            loop {
                match self.link.handle_input(NOW, &mut input) {
                    Input::Nothing => break,
                    Input::Event => self.heed(),
                    Input::Frame(frame) => {
                        let most = self.set.sizes().client_to_server_bytes() + FRAME_BODY_TAG_BYTES;
                        assert!(frame.command_bytes() + FRAME_BODY_TAG_BYTES <= most, "beyond the limit");
                        let Ok(plaintext) = frame.open() else { continue };
                        match self.set.parse(plaintext) {
                            Ok(_) => assert_eq!(command(&self.set, plaintext), Verdict::Accepted),
                            Err(error) => self.link.end(End::Command(error)),
                        }
                        self.commands += usize::from(self.link.is_up());
                    }
                }
            }
            assert!(input.is_empty(), "input is taken or held");
            self.heed();
        }
    }

    fn send(&mut self, command: &Command<'_>) {
        self.link.send(command).expect("a command of the set");
        self.heed();
    }

    /// Whether it is up and nothing is missing.
    fn verdict(&self) -> Verdict {
        Verdict::of(self.link.is_up() && self.link.input_due() == FRAME_HEADER_BYTES)
    }
}

/// Everything that two ends say to each other.
struct Record {
    to_initiator: Vec<u8>,
    to_responder: Vec<u8>,
    /// What follows the handshake in `to_responder`.
    frames: Vec<u8>,
    handshake_to_responder: Vec<u8>,
}

fn record(kem: &str) -> Record {
    let (mut initiator, mut responder) = (Side::new(Role::Initiator, kem), Side::new(Role::Responder, kem));
    let (mut seen_initiator, mut seen_responder) = (0, 0);
    while !initiator.link.is_up() {
        let to_responder = initiator.written[seen_initiator..].to_vec();
        seen_initiator = initiator.written.len();
        responder.receive(&to_responder, usize::MAX);
        let to_initiator = responder.written[seen_responder..].to_vec();
        seen_responder = responder.written.len();
        initiator.receive(&to_initiator, usize::MAX);
    }
    let handshake_to_responder = initiator.written.clone();
    let packet = vec![6; PACKET_BYTES];
    for command in [Command::NoOp, Command::SendPacket { packet: &packet }, Command::NoOp, Command::Disconnect] {
        initiator.send(&command);
        responder.send(&command);
    }
    let frames = initiator.written[handshake_to_responder.len()..].to_vec();
    Record { to_initiator: responder.written, to_responder: initiator.written, frames, handshake_to_responder }
}

fn receive(role: Role, kem: &str, data: &[u8]) -> Verdict {
    pieces(data, || Side::new(role, kem))
}

fn frames(data: &[u8]) -> Verdict {
    static HANDSHAKE: LazyLock<Vec<u8>> = LazyLock::new(|| record("x25519").handshake_to_responder);
    pieces(data, || {
        let mut side = Side::new(Role::Responder, "x25519");
        side.receive(&HANDSHAKE, usize::MAX);
        side
    })
}

/// What comes of bytes does not depend on how they arrive.
fn pieces(data: &[u8], side: impl Fn() -> Side) -> Verdict {
    let (mut whole, mut cut) = (side(), side());
    whole.receive(data, usize::MAX);
    cut.receive(data, 1 + data.len() % 97);
    assert_eq!(whole.link.ended(), cut.link.ended(), "another end in pieces");
    assert_eq!((whole.commands, whole.written == cut.written), (cut.commands, true), "otherwise in pieces");
    assert_eq!(whole.link.input_due(), cut.link.input_due());
    whole.verdict()
}

fn command(set: &CommandSet, data: &[u8]) -> Verdict {
    let Ok(command) = set.parse(data) else { return Verdict::Refused };
    for acceptor in ACCEPTORS {
        let _ = acceptor.verdict(command.id());
    }
    let (mut once, mut twice) = (Vec::new(), Vec::new());
    set.encode_into(&command, &mut once).expect("a parsed command is encodable");
    assert_eq!(once.len(), set.encoded_len(&command));
    let again = set.parse(&once).expect("an encoded command parses");
    assert_eq!(again.id(), command.id());
    set.encode_into(&again, &mut twice).expect("a parsed command is encodable");
    assert_eq!(once, twice, "encoding is not stable");
    Verdict::Accepted
}

/// Every command that the set has.
fn encoded(set: &CommandSet) -> Vec<Vec<u8>> {
    let (packet, reply, key) = ([1; PACKET_BYTES], [2; SURB_REPLY_BYTES], [3; 32]);
    let certified = Certified { epoch: 12, public_key: &key, payload: b"certificate" };
    let payload = &b"payload"[..];
    let commands = [
        Command::NoOp,
        Command::Disconnect,
        Command::SendPacket { packet: &packet },
        Command::SendRetrievePacket { packet: &packet },
        Command::SendRetrievePacketReply { surb_id: &[4; 16], payload },
        Command::MessageDelivered { sequence: 7 },
        Command::ReplicaMessage { sender_public_key: &key, dek: &[5; DEK_BYTES], ciphertext: payload },
        Command::ReplicaMessageReply { error_code: 0, envelope_hash: &key, replica_id: 1, envelope_reply: payload },
        Command::PostReplicaDescriptorStatus { error_code: 0 },
        Command::PostReplicaDescriptor { epoch: 12, payload },
        Command::ReplicaWrite { box_id: &key, signature: &[6; 64], payload },
        Command::ReplicaWriteReply { error_code: 0 },
        Command::RetrieveMessage { sequence: 7 },
        Command::Message { sequence: 7, surb_id: &[4; 16], payload: &reply },
        Command::GetConsensus { epoch: 12, padded: true },
        Command::GetConsensus { epoch: 12, padded: false },
        Command::Consensus { error_code: 0, payload },
        Command::PostDescriptor { epoch: 12, payload },
        Command::PostDescriptorStatus { error_code: 0 },
        Command::Vote(certified),
        Command::VoteStatus { error_code: 0 },
        Command::GetVote { epoch: 12, public_key: &key },
        Command::Reveal(certified),
        Command::RevealStatus { error_code: 0 },
        Command::Sig(certified),
        Command::SigStatus { error_code: 0 },
        Command::Cert(certified),
        Command::CertStatus { error_code: 0 },
        Command::Consensus2 { error_code: 0, chunk: 0, chunks: 1, payload },
        Command::GetConsensus2 { epoch: 12 },
        Command::ReplicaDecoy,
    ];
    let of_set = commands.iter().filter(|command| set.contains(command.id()));
    of_set
        .map(|command| {
            let mut bytes = Vec::new();
            set.encode_into(command, &mut bytes).expect("a command of the set");
            bytes
        })
        .collect()
}

/// The chunks of a text that packs well, of one that does not, and a refusal.
fn chunks() -> Vec<Vec<u8>> {
    let set = set(SessionKind::Mixnet);
    let noise = crate::storm::Dice::new(5).noise(700);
    let documents = [vec![b'x'; 3000], noise];
    let packed = documents.map(|document| Packed::new(&document, 250).expect("a good size"));
    let frame = |command: &Command<'_>| {
        let mut bytes = vec![0; 2];
        set.encode_into(command, &mut bytes).expect("a command of the set");
        let length = (bytes.len() - 2) as u16;
        bytes[..2].copy_from_slice(&length.to_be_bytes());
        bytes
    };
    packed.iter().map(|packed| packed.commands().flat_map(|command| frame(&command)).collect()).collect()
}

fn consensus2(mut data: &[u8]) -> Verdict {
    const PACKED_BYTES_MAX: usize = 4 << 10;
    const DOCUMENT_BYTES_MAX: usize = 64 << 10;
    let set = set(SessionKind::Mixnet);
    let mut joiner = Joiner::new(PACKED_BYTES_MAX, DOCUMENT_BYTES_MAX);
    assert!(joiner.push(&refusal(1)).is_err(), "a refusal is no chunk");
    while let Some((length, rest)) = data.split_first_chunk() {
        let (bytes, rest) = rest.split_at(usize::from(u16::from_be_bytes(*length)).min(rest.len()));
        data = rest;
        let Ok(command) = set.parse(bytes) else { return Verdict::Refused };
        match joiner.push(&command) {
            Ok(None) => assert_eq!(command.id(), CommandId::Consensus2),
            Ok(Some(document)) => {
                assert!(document.len() <= DOCUMENT_BYTES_MAX, "beyond the limit");
                return Verdict::Accepted;
            }
            Err(_) => return Verdict::Refused,
        }
    }
    Verdict::Refused
}
