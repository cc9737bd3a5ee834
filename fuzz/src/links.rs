//! The link protocol, up to the commands.

use crate::{Target, Verdict};
use crypto_simd::random::SeededRandom;
use crypto_simd::schemes::{Kem, KemDecapsulationKey, kem};
use std::sync::{Arc, LazyLock};
use wire::command::{Certified, DEK_BYTES};
use wire::consensus2::{Joiner, Packed, refusal};
use wire::{
    Acceptor, Command, CommandId, CommandSet, CommandSizes, FRAME_HEADER_BYTES, FrameOpener, Handshake, Role,
    SessionConfig, SessionKind, Transport, Want,
};

/// What a responder sends to us who dialled, then its frames.
pub const HANDSHAKE_INITIATOR: Target = Target {
    name: "wire_handshake_initiator",
    run: |data| receive(Role::Initiator, "xwing", data),
    seeds: || vec![record("xwing").to_initiator],
};
/// What an initiator sends to us who listen, then its frames.
pub const HANDSHAKE_RESPONDER: Target = Target {
    name: "wire_handshake_responder",
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
struct End {
    handshake: Handshake,
    random: SeededRandom,
    set: CommandSet,
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

impl End {
    fn new(role: Role, kem: &str) -> Self {
        let Keys { kem, initiator, responder } = Keys::of(kem);
        let config = SessionConfig::mixnet(role, *kem, sizes(SessionKind::Mixnet)).receive_client_to_server();
        let (key, seed) = match role {
            Role::Initiator => (initiator, 3),
            Role::Responder => (responder, 4),
        };
        let mut random = SeededRandom::new(&[seed; 32]);
        let handshake = Handshake::new(&config, Arc::clone(key), &[seed; 32], &mut random).expect("a good key");
        Self { handshake, random, set: config.command_set() }
    }

    /// Goes on until the end wants to read or is done; gives what it writes.
    fn write(&mut self) -> Vec<u8> {
        let mut written = Vec::new();
        loop {
            match self.handshake.wants() {
                Want::Write => {
                    written.extend_from_slice(self.handshake.pending_write());
                    assert!(!written.is_empty(), "a write of nothing");
                    self.handshake.written();
                }
                Want::Authenticate => {
                    let peer = self.handshake.peer().expect("somebody to authenticate");
                    assert!(peer.additional_data.len() <= 255, "too much additional data");
                    if let Err(error) = self.handshake.accept(&mut self.random) {
                        assert!(!error.to_string().is_empty(), "an error without a text");
                        assert_eq!(self.handshake.wants(), Want::Closed);
                    }
                }
                Want::Read(_) | Want::Done | Want::Closed => return written,
            }
        }
    }

    /// Takes what the handshake needs from the front of `rest`, and writes in between.
    fn read(&mut self, rest: &mut &[u8]) {
        while let Want::Read(bytes) = self.handshake.wants() {
            let (message, behind) = rest.split_at(bytes.min(rest.len()));
            *rest = behind;
            let read = self.handshake.read(&mut message.to_vec(), UNIX_SECONDS, &mut self.random);
            assert!(message.len() == bytes || read.is_err(), "a short message was taken");
            if let Err(error) = read {
                assert!(!format!("{error} {error:?}").is_empty(), "an error without a text");
                assert_eq!(self.handshake.wants(), Want::Closed, "an error that does not close");
            }
            if rest.is_empty() {
                return;
            }
            self.write();
        }
    }

    fn transport(self) -> Transport {
        self.handshake.into_transport().unwrap_or_else(|error| panic!("done, but {error}"))
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
    let (mut initiator, mut responder) = (End::new(Role::Initiator, kem), End::new(Role::Responder, kem));
    let (mut to_initiator, mut to_responder) = (Vec::new(), Vec::new());
    let mut message = initiator.write();
    while !message.is_empty() {
        to_responder.extend_from_slice(&message);
        responder.read(&mut message.as_slice());
        let answer = responder.write();
        to_initiator.extend_from_slice(&answer);
        initiator.read(&mut answer.as_slice());
        message = initiator.write();
    }
    let packet = vec![6; PACKET_BYTES];
    let commands = [Command::NoOp, Command::SendPacket { packet: &packet }, Command::NoOp, Command::Disconnect];
    let handshake_to_responder = to_responder.clone();
    let seal = |end: End, to: &mut Vec<u8>| {
        let set = end.set;
        let mut sealer = end.transport().sealer;
        commands.iter().for_each(|command| sealer.seal_command(&set, command, to).expect("commands of the set"));
    };
    seal(responder, &mut to_initiator);
    let mut frames = Vec::new();
    seal(initiator, &mut frames);
    to_responder.extend_from_slice(&frames);
    Record { to_initiator, to_responder, frames, handshake_to_responder }
}

fn receive(role: Role, kem: &str, data: &[u8]) -> Verdict {
    let mut end = End::new(role, kem);
    end.write();
    let mut rest = data;
    end.read(&mut rest);
    end.write();
    if end.handshake.wants() != Want::Done {
        return Verdict::Refused;
    }
    let set = end.set;
    Verdict::of(open_frames(&mut end.transport().opener, &set, rest))
}

fn frames(data: &[u8]) -> Verdict {
    let mut end = End::new(Role::Responder, "x25519");
    static HANDSHAKE: LazyLock<Vec<u8>> = LazyLock::new(|| record("x25519").handshake_to_responder);
    end.read(&mut HANDSHAKE.as_slice());
    end.write();
    let set = end.set;
    Verdict::of(open_frames(&mut end.transport().opener, &set, data))
}

/// Opens and parses frames until the bytes end; false after the first error, which is final.
fn open_frames(opener: &mut FrameOpener, set: &CommandSet, mut data: &[u8]) -> bool {
    while !data.is_empty() {
        let (header, rest) = data.split_at(FRAME_HEADER_BYTES.min(data.len()));
        let opened = opener.open_header(&mut header.to_vec()).map(|bytes| {
            assert!(bytes <= set.sizes().client_to_server_bytes() + 16, "beyond the limit");
            rest.split_at(bytes.min(rest.len()))
        });
        let opened = opened.and_then(|(body, rest)| {
            let mut body = body.to_vec();
            opener.open_body(&mut body).map(|plaintext| (command(set, plaintext), rest))
        });
        match opened {
            Ok((Verdict::Accepted, behind)) => data = behind,
            Ok((Verdict::Refused, _)) => return false,
            Err(_) => {
                assert!(opener.open_header(&mut header.to_vec()).is_err(), "an opener that rose again");
                return false;
            }
        }
    }
    true
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
