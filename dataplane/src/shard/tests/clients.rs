//! A gateway and its clients: packets in, replies out, documents, and clients that mean harm.

mod documents;
mod harm;
mod mail;
mod users;
mod wishes;

use super::net::{Net, Plan};
use super::nodes::{DOWNSTREAM, EPOCH, Mint, OWN, Order, UPSTREAM, address_of, gateway_document, snapshot_as};
use super::peers::FakePeer;
use crate::io::sim::HostId;
use interplane::counter::{Destination, PeerClass};
use interplane::snapshot::Snapshot;
use interplane::{Counter, DropReason};
use pki::neighbours::Role;
use sphinx::commands::RoutingCommand;
use std::time::Duration;
use wire::Command;

/// The number of the first client: no node has it.
const CLIENT: u8 = 60;

/// Documents that let clients send at a rate.
fn gateway_snapshot(serial: u64, lambda_p: f64) -> Snapshot {
    let epochs = [EPOCH.before(1), EPOCH, EPOCH.after(1)];
    let documents =
        epochs.map(|epoch| pki::document::Document { lambda_p, ..gateway_document(epoch, &DOWNSTREAM, &UPSTREAM) });
    snapshot_as(Role::Gateway, serial, &documents)
}

fn plan(shards: u16, lambda_p: f64) -> Plan {
    let mut plan = Plan::new(shards);
    plan.setup.role = Role::Gateway;
    plan.snapshot = Some(gateway_snapshot(1, lambda_p));
    plan
}

fn name(number: u8) -> [u8; 32] {
    let mut name = [0; 32];
    name.copy_from_slice(format!("{:08x}", u32::from(number).wrapping_mul(2_654_435_761)).repeat(4).as_bytes());
    name
}

fn add_client(net: &mut Net, number: u8) -> HostId {
    net.add_peer(FakePeer::client(number, name(number), address_of(OWN)), number)
}

/// A gateway with links to the first layer, one from the last, and some clients.
struct Gateway {
    net: Net,
    downstream: Vec<HostId>,
    upstream: HostId,
    clients: Vec<HostId>,
}

impl Gateway {
    fn new(plan: Plan, clients: u8) -> Self {
        let (mut net, downstream) = plan.build_with_downstream();
        let upstream = net.add_dialler(UPSTREAM[0]);
        let clients: Vec<_> = (0..clients).map(|number| add_client(&mut net, CLIENT + number)).collect();
        for peer in downstream.iter().chain([&upstream]).chain(&clients) {
            net.run_until_up(*peer);
        }
        net.run_for(Duration::from_millis(1));
        Self { net, downstream, upstream, clients }
    }

    /// A reply for a name comes from the last layer.
    fn reply(&mut self, mint: &mut Mint, to: [u8; 32], surb_id: u8) {
        let commands = vec![RoutingCommand::Recipient(to), RoutingCommand::SurbReply([surb_id; 16])];
        let packet = mint.ending_here(commands);
        self.net.peer(self.upstream).send(packet);
    }

    fn messages(&mut self, client: usize) -> Vec<(u32, u8)> {
        let heard = &self.net.peer(self.clients[client]).heard;
        heard.messages.iter().map(|(sequence, surb_id, _)| (*sequence, surb_id[0])).collect()
    }
}

#[test]
fn clients_send_through_to_the_first_layer() {
    for shards in 1..=2 {
        let mut gateway = Gateway::new(plan(shards, 0.0), 3);
        let mut mint = Mint::new(1);
        for number in 0..90 {
            let packet = mint.packet(Order::to(DOWNSTREAM[number % 3], 5 + number as u32));
            gateway.net.peer(gateway.clients[number / 30]).send(packet);
        }
        for peer in gateway.downstream.clone() {
            gateway.net.run_until_received(peer, 30);
        }
        assert_eq!(gateway.net.drops(), [], "shards: {shards}");
        let account = gateway.net.account();
        assert_eq!((account.received, account.sent, account.held), (90, 90, 0));
        assert_eq!(gateway.net.total(Counter::connections(PeerClass::Client)), 3);
        assert_eq!(gateway.net.total(Counter::connections(PeerClass::Incoming)), 1);
        gateway.net.check_slots();
    }
}

/// The rest of the matrix of server.md 3.7 that a gateway has.
#[test]
fn packets_that_have_no_end_here_are_dropped_by_reason() {
    let mut gateway = Gateway::new(plan(1, 0.0), 1);
    let mut mint = Mint::new(1);
    let (user, nobody) = (name(CLIENT), name(CLIENT + 50));
    // From the network: for nobody, and for a user but no reply.
    gateway.reply(&mut mint, nobody, 1);
    for commands in [
        vec![RoutingCommand::Recipient(user)],
        vec![RoutingCommand::NodeDelay { delay_ms: 5 }, RoutingCommand::Recipient(user)],
    ] {
        let packet = mint.ending_here(commands);
        gateway.net.peer(gateway.upstream).send(packet);
    }
    // From a client: packets that would end at its own gateway.
    for commands in [
        vec![RoutingCommand::Recipient(user), RoutingCommand::SurbReply([1; 16])],
        vec![RoutingCommand::Recipient(user)],
    ] {
        let packet = mint.ending_here(commands);
        gateway.net.peer(gateway.clients[0]).send(packet);
    }
    gateway.net.run_for(Duration::from_millis(50));
    let expected = [
        (DropReason::ClientToLocalUser, 2),
        (DropReason::GatewayNotAReply, 2),
        (DropReason::GatewayInvalidRecipient, 1),
    ];
    assert_eq!(gateway.net.drops(), expected);
    assert_eq!(gateway.messages(0), []);
    assert_eq!(gateway.net.total(Counter::delivered(Destination::Client)), 0);
    gateway.net.check_slots();
}

/// A gateway forwards what the last layer sends it to be forwarded (server.md 3.7).
#[test]
fn packets_of_the_last_layer_go_on_too() {
    let mut gateway = Gateway::new(plan(1, 0.0), 0);
    let packet = Mint::new(1).packet(Order::to(DOWNSTREAM[0], 5));
    gateway.net.peer(gateway.upstream).send(packet);
    gateway.net.run_until_received(gateway.downstream[0], 1);
    assert_eq!(gateway.net.drops(), []);
}

/// Clients give up a gateway that is silent for 15 s; a node's link stays silent (wire.md 6.10).
#[test]
fn clients_hear_something_within_ten_seconds_and_nodes_nothing() {
    let mut gateway = Gateway::new(plan(1, 0.0), 2);
    let mut heard = 1;
    for _ in 0..5 {
        gateway.net.run_for(Duration::from_secs(10));
        let now = gateway.net.peer(gateway.clients[0]).no_ops;
        assert!((heard + 1..=heard + 2).contains(&now), "{now} after {heard}");
        heard = now;
    }
    assert_eq!(gateway.net.peer(gateway.upstream).no_ops, 1);
    // Who says nothing at all is gone after two minutes.
    gateway.net.peer(gateway.clients[1]).send_command(&Command::NoOp);
    gateway.net.run_for(Duration::from_secs(71));
    assert!(!gateway.net.peer(gateway.clients[0]).is_up());
    assert!(gateway.net.peer(gateway.clients[1]).is_up());
    assert_eq!(gateway.net.total(Counter::connections(PeerClass::Client)), 1);
}

/// Where a shard has more to read than it can unwrap, every link waits to be read, and is owed its NoOps all the same.
#[test]
fn clients_hear_something_from_a_shard_that_reads_none_of_them_to_the_end() {
    let mut gateway = Gateway::new(plan(1, 0.0), 3);
    let packet = Mint::new(1).packet(Order::to(DOWNSTREAM[0], 5));
    let heard: Vec<_> = gateway.clients.iter().map(|client| gateway.net.peer(*client).no_ops).collect();
    for client in &gateway.clients {
        for _ in 0..1_000 {
            gateway.net.peer(*client).send(packet.clone());
        }
    }
    // One batch takes half a second.
    gateway.net.simulation.set_round(Duration::from_millis(500));
    gateway.net.run_for(Duration::from_secs(12));
    assert!(gateway.net.account().received < 3_000, "none was read to its end");
    assert!(gateway.net.total(Counter::OPENED_FULL) > 10);
    for (client, before) in gateway.clients.iter().zip(heard) {
        assert!(gateway.net.peer(*client).no_ops > before, "12 s of silence");
    }
}

/// A mix may know this gateway before this gateway knows it.
#[test]
fn a_client_that_turns_out_to_be_a_node_is_one_from_then_on() {
    let mut plan = plan(1, 0.0);
    let documents = [gateway_document(EPOCH, &DOWNSTREAM, &UPSTREAM[1..])];
    plan.snapshot = Some(snapshot_as(Role::Gateway, 1, &documents));
    let (mut net, downstream) = plan.build_with_downstream();
    let mix = net.add_dialler(UPSTREAM[0]);
    net.run_until_up(mix);
    net.run_until_up(downstream[0]);
    net.run_for(Duration::from_secs(1));
    assert_eq!(net.total(Counter::connections(PeerClass::Client)), 1);
    // What it sends until then is a client's, as where this node's clock is ahead and its documents are those of no mix.
    let commands = vec![RoutingCommand::Recipient(name(CLIENT)), RoutingCommand::SurbReply([1; 16])];
    let early = Mint::new(2).ending_here(commands);
    net.peer(mix).send(early);
    net.run_for(Duration::from_millis(50));
    let as_a_client = vec![(DropReason::ClientToLocalUser, 1)];
    assert_eq!(net.drops(), as_a_client);
    net.shared.publish_directory(gateway_snapshot(2, 0.0));
    net.wake_all();
    let user = add_client(&mut net, CLIENT);
    net.run_until_up(user);
    net.run_for(Duration::from_secs(20));
    assert_eq!(net.total(Counter::connections(PeerClass::Incoming)), 1);
    assert_eq!(net.peer(mix).no_ops, 1, "it hears nothing more");
    // What only nodes may send.
    let commands = vec![RoutingCommand::Recipient(name(CLIENT)), RoutingCommand::SurbReply([1; 16])];
    let packet = Mint::new(1).ending_here(commands);
    net.peer(mix).send(packet);
    net.run_for(Duration::from_millis(50));
    assert_eq!((net.drops(), net.peer(user).heard.messages.len()), (as_a_client, 1));
}
