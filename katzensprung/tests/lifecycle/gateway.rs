//! A gateway with a client.

use super::LONG;
use crate::support::site::{SOON, Site};
use crate::support::wait_for;
use crypto_simd::random::OsRandom;
use pki::document::Consensus;
use pki::{NodeId, VerifyingKey};
use sphinx::commands::RoutingCommand;
use sphinx::{PathHop, Sphinx};
use std::net::TcpStream;
use std::sync::Arc;
use testnet::session::{Identity, Session};
use wire::Command;
use wire::consensus2::Joiner;

const NAME: &[u8; 32] = b"0123456789abcdef0123456789abcdef";

/// A client's session; the gateway closes connections as long as it has no document.
fn connect(site: &Site) -> Session {
    let own = Identity::generate(*NAME, site.network.kem).expect("a link key");
    let config = site.network.client_session();
    wait_for("a gateway that takes clients", SOON, || {
        let stream = TcpStream::connect(site.folder.address).ok()?;
        Session::establish(stream, &config, &own, |peer| *peer == site.credentials).ok()
    })
}

/// The next command but heartbeats.
fn receive(client: &mut Session, site: &Site, mut take: impl FnMut(Command<'_>)) {
    let set = site.network.client_session().command_set();
    loop {
        let plain = client.receive().expect("the gateway answers");
        match set.parse(&plain).expect("a command") {
            Command::NoOp => {}
            command => return take(command),
        }
    }
}

#[test]
fn a_client_sends_gets_documents_and_replies() {
    let site = Site::of_gateway(LONG);
    let authority = site.start_authority();
    let mut node = site.start_node();
    let (mut traffic, descriptor, epoch) = site.traffic(&authority);
    assert!(descriptor.is_gateway_node);
    assert_eq!(descriptor.authentication_type, "tofu");
    let mut client = connect(&site);

    // Through the gateway to the first layer.
    let packets = traffic.packets(&descriptor, epoch, 20);
    for packet in &packets {
        client.send(&Command::SendPacket { packet: packet.before() }).expect("the gateway reads");
    }
    traffic.receive(&packets);

    // The document of this epoch, as an authority signed it; and the answer about one that nobody will ever make.
    let current = site.network.epoch();
    client.send(&Command::GetConsensus2 { epoch: current.0 }).expect("the gateway reads");
    let (mut joiner, mut document) = (Joiner::default(), None);
    while document.is_none() {
        receive(&mut client, &site, |command| document = joiner.push(&command).expect("the next chunk"));
    }
    let key = VerifyingKey::new(
        crypto_simd::schemes::signature::by_name(testnet::network::SIGNATURE_SCHEME).expect("built in"),
        site.network.authority.public_key(),
    );
    let raw = Arc::from(document.expect("a document"));
    let hash = site.network.geometry.hash();
    Consensus::verify(raw, &[key.expect("a key")], 1, current, &hash, current).expect("a good document");
    client.send(&Command::GetConsensus2 { epoch: current.0 - 9 }).expect("the gateway reads");
    receive(&mut client, &site, |command| {
        assert!(matches!(command, Command::Consensus2 { error_code: 2, chunk: 0, chunks: 1, payload: [] }));
    });

    // A reply from the last layer.
    let id: NodeId = site.credentials.additional_data.as_slice().try_into().expect("an id");
    let commands = vec![RoutingCommand::Recipient(*NAME), RoutingCommand::SurbReply([7; 16])];
    let public_key = descriptor.mix_key(epoch).expect("a key").to_vec();
    let sphinx = Sphinx::new(site.network.geometry.clone()).expect("a geometry");
    let payload = vec![1; site.network.geometry.forward_payload_length];
    let packet = sphinx.new_packet(&[PathHop { id, public_key, commands }], &payload, &mut OsRandom);
    traffic.send_bytes(&packet.expect("a packet"));
    receive(&mut client, &site, |command| {
        assert!(matches!(command, Command::Message { sequence: 1, surb_id: [7, ..], .. }), "{command:?}");
    });
    client.send(&Command::MessageDelivered { sequence: 1 }).expect("the gateway reads");

    let log = site.log();
    assert!(log.contains("messages for clients are kept in memory"), "{log}");
    assert!(!log.contains(" ERRO "), "{log}");
    node.stop();
    site.is_quiet();
}
