//! Documents for clients (server.md 5.6; wire.md 6.6).

use super::*;
use crate::io::sim::Path;
use crate::random::ShardRandom;
use crate::shard::tests::peers::config;
use crypto_simd::random::Random;
use gateway::requests;
use interplane::counter::{DocumentRefusal, LinkEnd};
use interplane::snapshot::{ClientDocument, EncodedDocument};
use pki::Epoch;
use wire::command::codes::consensus;
use wire::consensus2::{ChunkError, Joiner, Packed};

/// Incompressible, so that there are many chunks.
fn raw(epoch: Epoch) -> Vec<u8> {
    raw_of(epoch, 50_000)
}

fn raw_of(epoch: Epoch, bytes: usize) -> Vec<u8> {
    let mut raw = vec![0; bytes];
    ShardRandom::new([epoch.0 as u8; 32]).fill(&mut raw);
    raw
}

fn with_documents(shards: u16) -> Plan {
    with_documents_of(shards, 50_000)
}

fn with_documents_of(shards: u16, bytes: usize) -> Plan {
    let mut plan = plan(shards, 0.0);
    let chunk_bytes = config(wire::Role::Responder).sizes.server_to_client_bytes();
    let held = [EPOCH.before(1), EPOCH].map(|epoch| {
        let raw = raw_of(epoch, bytes);
        let gzip = Packed::new(&raw, chunk_bytes).expect("packs").bytes().to_vec();
        let document = EncodedDocument { raw, gzip, chunk_bytes: chunk_bytes as u32 };
        ClientDocument { epoch, document: Some(document) }
    });
    let snapshot = plan.snapshot.as_mut().expect("documents");
    snapshot.client_documents = held.to_vec();
    snapshot.client_documents.push(ClientDocument { epoch: EPOCH.after(1), document: None });
    plan
}

/// What each request was answered with: a document or a code.
fn answers(chunks: &[Vec<u8>]) -> Vec<Result<Vec<u8>, u8>> {
    let set = config(wire::Role::Initiator).command_set();
    let (mut answers, mut joiner) = (Vec::new(), Joiner::default());
    for chunk in chunks {
        match joiner.push(&set.parse(chunk).expect("a command")) {
            Ok(None) => continue,
            Ok(Some(document)) => answers.push(Ok(document)),
            Err(ChunkError::Refused { code }) => answers.push(Err(code)),
            Err(error) => panic!("{error}"),
        }
        joiner = Joiner::default();
    }
    answers
}

#[test]
fn documents_come_in_chunks_in_the_order_of_the_requests() {
    for shards in 1..=2 {
        let mut gateway = Gateway::new(with_documents(shards), 3);
        let epochs = [EPOCH, EPOCH.before(1), EPOCH.after(1), EPOCH.after(2), EPOCH.before(2), Epoch(u64::MAX), EPOCH];
        let expected = [
            Ok(raw(EPOCH)),
            Ok(raw(EPOCH.before(1))),
            Err(consensus::GONE),
            Err(consensus::NOT_FOUND),
            Err(consensus::GONE),
            Err(consensus::NOT_FOUND),
            Ok(raw(EPOCH)),
        ];
        for client in gateway.clients.clone() {
            for epoch in epochs {
                gateway.net.peer(client).send_command(&Command::GetConsensus2 { epoch: epoch.0 });
            }
        }
        gateway.net.run_for(Duration::from_secs(2));
        for client in gateway.clients.clone() {
            let chunks = &gateway.net.peer(client).heard.chunks;
            assert_eq!(answers(chunks), expected);
            let sizes = config(wire::Role::Initiator).sizes;
            // Full chunks are not padded, the last one is (wire.md 6.6).
            let full = sizes.server_to_client_bytes() + 15;
            assert!(chunks.iter().all(|chunk| (full - 15..=full).contains(&chunk.len())));
            assert_eq!(chunks[0].len(), full);
        }
        assert_eq!(gateway.net.drops(), []);
    }
}

/// Mail and heartbeats go on in between, and so do packets.
#[test]
fn mail_does_not_wait_for_documents() {
    let mut gateway = Gateway::new(with_documents_of(1, 1_000_000), 1);
    let client = gateway.clients[0];
    // Until it may take as many.
    gateway.net.run_for(requests::DOCUMENT_INTERVAL * 6);
    for _ in 0..12 {
        gateway.net.peer(client).send_command(&Command::GetConsensus2 { epoch: EPOCH.0 });
    }
    gateway.reply(&mut Mint::new(1), name(CLIENT), 9);
    gateway.net.run_until("a message", |simulation| match simulation.host(client) {
        Some(crate::shard::tests::net::Actor::Peer(peer)) => !peer.heard.messages.is_empty(),
        _ => false,
    });
    let before = answers(&gateway.net.peer(client).heard.chunks).len();
    assert!(before < 12, "it came after the last document");
    gateway.net.run_for(Duration::from_secs(5));
    assert_eq!(answers(&gateway.net.peer(client).heard.chunks).len(), 12);
}

/// Who asks without end is told to come again later, in either form; its session, and everybody else, goes on.
#[test]
fn a_client_takes_documents_at_a_rate_of_their_own() {
    for in_one_piece in [false, true] {
        let request = |epoch: Epoch| match in_one_piece {
            false => Command::GetConsensus2 { epoch: epoch.0 },
            true => Command::GetConsensus { epoch: epoch.0, padded: true },
        };
        let told = |gateway: &mut Gateway, client: usize| {
            let heard = &gateway.net.peer(gateway.clients[client]).heard;
            let answers: Vec<_> = match in_one_piece {
                false => {
                    answers(&heard.chunks).into_iter().map(|answer| answer.err().unwrap_or(consensus::OK)).collect()
                }
                true => heard.documents.iter().map(|(code, _)| *code).collect(),
            };
            let of = |code| answers.iter().filter(|told| **told == code).count();
            (of(consensus::OK), of(consensus::NOT_FOUND), of(consensus::GONE))
        };
        let mut gateway = Gateway::new(with_documents(1), 2);
        let (greedy, honest) = (gateway.clients[0], gateway.clients[1]);
        for _ in 0..100 {
            gateway.net.peer(greedy).send_command(&request(EPOCH));
        }
        gateway.net.run_for(Duration::from_millis(1900));
        let burst = requests::DOCUMENTS_AT_FIRST as usize;
        assert_eq!(told(&mut gateway, 0), (burst, 100 - burst, 0));
        let refused = Counter::document_refused(DocumentRefusal::RateLimited);
        assert_eq!(gateway.net.total(refused), (100 - burst) as u64);
        // One that connects and asks, and asks for the same again, gets what it asks for, retries included; what is not held costs it nothing.
        for epoch in [EPOCH, EPOCH.before(1), EPOCH.after(1), EPOCH.after(2)].repeat(3) {
            gateway.net.peer(honest).send_command(&request(epoch));
        }
        gateway.net.run_for(requests::DOCUMENT_INTERVAL);
        assert_eq!(told(&mut gateway, 1), (6, 3, 3));
        // The greedy one may go on as time passes, and its session is as good as ever.
        gateway.net.peer(greedy).send_command(&request(EPOCH));
        gateway.reply(&mut Mint::new(1), name(CLIENT), 9);
        gateway.net.run_for(Duration::from_secs(1));
        assert_eq!(told(&mut gateway, 0).0, burst + 1);
        assert_eq!((gateway.messages(0), gateway.net.total(refused)), (vec![(1, 9)], (100 - burst) as u64));
    }
}

/// The old command is answered as the reference at the pin answers it: in one piece, without padding.
#[test]
fn the_old_request_is_answered_in_one_piece() {
    let mut gateway = Gateway::new(with_documents(1), 1);
    let client = gateway.clients[0];
    for (epoch, padded) in [(EPOCH, true), (EPOCH.before(9), false), (EPOCH.before(1), true), (EPOCH.after(2), true)] {
        gateway.net.peer(client).send_command(&Command::GetConsensus { epoch: epoch.0, padded });
    }
    gateway.net.run_for(Duration::from_secs(2));
    let expected = [
        (consensus::OK, raw(EPOCH)),
        (consensus::GONE, vec![]),
        (consensus::OK, raw(EPOCH.before(1))),
        (consensus::NOT_FOUND, vec![]),
    ];
    assert_eq!(gateway.net.peer(client).heard.documents, expected);
    assert!(gateway.net.peer(client).is_up());
}

/// A whole document is memory until its client has taken it.
#[test]
fn only_some_get_a_document_in_one_piece_at_a_time() {
    let mut gateway = Gateway::new(with_documents(1), 0);
    gateway.net.simulation.network().set_path(Path { buffer_bytes: 8 << 10, ..Path::default() });
    let clients: Vec<_> = (0..40).map(|number| add_client(&mut gateway.net, CLIENT + number)).collect();
    for client in &clients {
        gateway.net.run_until_up(*client);
    }
    gateway.net.run_for(Duration::from_millis(10));
    // Each asks, and takes nothing of the answer for a while.
    for client in &clients {
        gateway.net.peer(*client).send_command(&Command::GetConsensus { epoch: EPOCH.0, padded: true });
        gateway.net.simulation.round();
        gateway.net.simulation.set_stopped(*client, true);
        gateway.net.run_for(Duration::from_millis(10));
    }
    for client in &clients {
        gateway.net.simulation.set_stopped(*client, false);
    }
    gateway.net.run_for(Duration::from_secs(5));
    let answers: Vec<_> = clients.iter().map(|client| gateway.net.peer(*client).heard.documents[0].clone()).collect();
    let (taken, told_to_wait): (Vec<_>, Vec<_>) = answers.into_iter().partition(|(code, _)| *code == consensus::OK);
    assert_eq!((taken.len(), told_to_wait.len()), (32, 8));
    assert!(taken.iter().all(|(_, document)| *document == raw(EPOCH)));
    assert!(told_to_wait.iter().all(|(code, _)| *code == consensus::NOT_FOUND));
    assert_eq!(gateway.net.total(Counter::document_refused(DocumentRefusal::WholeLimit)), 8);
    // Now that all is taken, whoever asks gets it.
    gateway.net.peer(clients[39]).send_command(&Command::GetConsensus { epoch: EPOCH.0, padded: true });
    gateway.net.run_for(Duration::from_secs(1));
    assert_eq!(gateway.net.peer(clients[39]).heard.documents[1].0, consensus::OK);
}

/// Whoever takes a byte of it now and then keeps in memory what was held when it asked.
#[test]
fn a_document_is_taken_within_five_minutes_or_the_connection_ends() {
    for (bytes, is_in_time) in [(50_000, true), (500_000, false)] {
        for request in
            [Command::GetConsensus2 { epoch: EPOCH.0 }, Command::GetConsensus { epoch: EPOCH.0, padded: true }]
        {
            let mut gateway = Gateway::new(with_documents_of(1, bytes), 0);
            let slow = Path { bytes_per_second: 1000, buffer_bytes: 8 << 10, ..Path::default() };
            gateway.net.simulation.network().set_path(slow);
            let client = add_client(&mut gateway.net, CLIENT);
            gateway.net.run_until_up(client);
            gateway.net.peer(client).send_command(&request);
            for _ in 0..7 {
                gateway.net.run_for(Duration::from_secs(55));
                gateway.net.peer(client).send_command(&Command::NoOp);
            }
            let clients = gateway.net.total(Counter::connections(PeerClass::Client));
            assert_eq!(clients, u64::from(is_in_time), "{request:?}, {bytes} bytes");
            // The mix that says nothing is idle too.
            assert_eq!(gateway.net.total(Counter::link_ended(LinkEnd::Idle)), 1 + u64::from(!is_in_time));
        }
    }
}
