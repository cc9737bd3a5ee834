//! Clients that mean harm.

use super::*;
use crate::io::sim::Path;
use crate::shard::tests::peers::Send;
use interplane::counter::{AdmissionRefusal, Letter, LinkEnd};
use interplane::event::{Event, Peer as EventPeer};

/// A packet each 100 ms on the mean, so a token each 90.9 ms.
const LAMBDA: f64 = 0.01;

#[test]
fn floods_beyond_the_rate_are_dropped_and_hurt_nobody_else() {
    let mut gateway = Gateway::new(plan(1, LAMBDA), 2);
    let mut mint = Mint::new(1);
    for _ in 0..300 {
        let packet = mint.packet(Order::to(DOWNSTREAM[0], 5));
        gateway.net.peer(gateway.clients[0]).send(packet);
    }
    gateway.net.run_for(Duration::from_millis(80));
    assert_eq!(gateway.net.drops(), [(DropReason::GatewayRateLimited, 299)], "one token to begin with");
    // An honest one at the rate of the document loses nothing meanwhile.
    for _ in 0..20 {
        let packet = mint.packet(Order::to(DOWNSTREAM[1], 5));
        gateway.net.peer(gateway.clients[1]).send(packet);
        gateway.net.run_for(Duration::from_millis(100));
    }
    gateway.net.run_until_received(gateway.downstream[1], 20);
    assert!(gateway.net.peer(gateway.clients[0]).is_up(), "its link stays");
    // What it did not send in these two seconds it may send now.
    for _ in 0..100 {
        let packet = mint.packet(Order::to(DOWNSTREAM[0], 5));
        gateway.net.peer(gateway.clients[0]).send(packet);
    }
    gateway.net.run_for(Duration::from_millis(50));
    let passed = gateway.net.peer(gateway.downstream[0]).received.len();
    assert!((20..=26).contains(&passed), "{passed} passed");
    assert_eq!(gateway.net.dropped(DropReason::GatewayRateLimited), 400 - passed as u64);
    assert_eq!(gateway.net.account().received, 420);
}

#[test]
fn nodes_have_no_rate_and_the_limit_can_be_switched_off() {
    let mut gateway = Gateway::new(plan(1, LAMBDA), 0);
    let mut mint = Mint::new(1);
    for _ in 0..50 {
        let packet = mint.packet(Order::to(DOWNSTREAM[0], 5));
        gateway.net.peer(gateway.upstream).send(packet);
    }
    gateway.net.run_until_received(gateway.downstream[0], 50);
    let mut plan = plan(1, LAMBDA);
    plan.setup.clients.rate.is_unlimited = true;
    let mut gateway = Gateway::new(plan, 1);
    for _ in 0..50 {
        let packet = mint.packet(Order::to(DOWNSTREAM[0], 5));
        gateway.net.peer(gateway.clients[0]).send(packet);
    }
    gateway.net.run_until_received(gateway.downstream[0], 50);
    assert_eq!(gateway.net.drops(), []);
}

#[test]
fn a_new_rate_counts_from_the_next_check_on() {
    let mut gateway = Gateway::new(plan(1, 0.0), 1);
    gateway.net.shared.publish_directory(gateway_snapshot(2, LAMBDA));
    gateway.net.wake_all();
    gateway.net.run_for(Duration::from_millis(1));
    let mut mint = Mint::new(1);
    for _ in 0..10 {
        let packet = mint.packet(Order::to(DOWNSTREAM[0], 5));
        gateway.net.peer(gateway.clients[0]).send(packet);
    }
    gateway.net.run_for(Duration::from_millis(50));
    assert_eq!(gateway.net.drops(), [(DropReason::GatewayRateLimited, 9)]);
}

/// Commands that no client has to send, or that make no sense.
#[test]
fn what_a_client_may_not_say_ends_its_link_alone() {
    let packet = Mint::new(1).packet(Order::to(DOWNSTREAM[0], 5));
    let garbage: [(&str, Send, LinkEnd); 6] = [
        ("an old client", plain(&Command::RetrieveMessage { sequence: 0 }), LinkEnd::Unexpected),
        ("an older one", plain(&Command::SendRetrievePacket { packet: &packet }), LinkEnd::Unexpected),
        ("a packet of another size", plain(&Command::SendPacket { packet: &packet[1..] }), LinkEnd::Command),
        ("a server's command", plain(&Command::Consensus { error_code: 0, payload: &[] }), LinkEnd::Unexpected),
        ("no command", Send::Plain(vec![77; 50]), LinkEnd::Command),
        ("no frame", Send::Raw(vec![7; 5000]), LinkEnd::Frame),
    ];
    for (what, send, end) in garbage {
        let mut gateway = Gateway::new(plan(1, 0.0), 2);
        gateway.net.peer(gateway.clients[0]).to_send.push_back(send);
        gateway.net.run_for(Duration::from_millis(100));
        assert!(!gateway.net.peer(gateway.clients[0]).is_up(), "{what}");
        assert_eq!(gateway.net.total(Counter::link_ended(end)), 1, "{what}");
        // The log is told what it did, and not who it was.
        let mut told = Vec::new();
        gateway.net.events.reader().drain(|_, event| {
            if let Event::LinkDown { peer, end, detail, .. } = event {
                assert_ne!(detail.to_string(), "", "{what}");
                told.push((peer, end));
            }
        });
        assert_eq!(told, [(EventPeer::default(), end)], "{what}");
        gateway.reply(&mut Mint::new(2), name(CLIENT + 1), 1);
        gateway.net.run_for(Duration::from_millis(100));
        assert_eq!(gateway.messages(1), [(1, 1)], "{what}");
    }
    // Acknowledgements of nothing mean nothing.
    let mut gateway = Gateway::new(plan(1, 0.0), 1);
    for sequence in [0, 1, u32::MAX] {
        gateway.net.peer(gateway.clients[0]).send_command(&Command::MessageDelivered { sequence });
    }
    gateway.net.run_for(Duration::from_millis(100));
    gateway.reply(&mut Mint::new(2), name(CLIENT), 1);
    gateway.net.run_for(Duration::from_millis(100));
    assert_eq!(gateway.messages(0), [(1, 1)]);
}

fn plain(command: &Command<'_>) -> Send {
    let mut plain = Vec::new();
    let set = crate::shard::tests::peers::config(wire::Role::Initiator).command_set();
    set.encode_into(command, &mut plain).expect("a possible command");
    Send::Plain(plain)
}

/// 1,000 handshakes that stop in the middle, from 40 addresses, opened again as they end.
#[test]
fn half_open_handshakes_keep_no_client_out() {
    for shards in 1..=2 {
        let mut plan = plan(shards, 0.0);
        plan.setup.limits.handshakes_of_strangers = 1024;
        let mut net = plan.build();
        let flooders = (130..170).map(|node| {
            let mut peer = FakePeer::new(node);
            peer.stops_after_first_message = true;
            net.add_peer(peer, node)
        });
        let flooders: Vec<_> = flooders.collect();
        for round in 0..25 {
            flooders.iter().for_each(|flooder| net.peer(*flooder).dial(address_of(OWN)));
            net.run_for(Duration::from_millis(if round < 24 { 1 } else { 100 }));
        }
        assert_eq!(net.shared.admission().handshakes(), 1000, "shards: {shards}");
        for number in 0..5 {
            let client = add_client(&mut net, CLIENT + number);
            net.run_until_up(client);
        }
        let node = net.add_dialler(UPSTREAM[0]);
        net.run_until_up(node);
        net.run_for(Duration::from_secs(5));
        assert_eq!(net.shared.admission().handshakes(), 0);
        assert_eq!(net.total(Counter::connections(PeerClass::Client)), 5);
    }
}

#[test]
fn one_address_has_so_many_connections_and_neighbours_any_number() {
    let mut plan = plan(1, 0.0);
    plan.setup.limits.connections_per_address = 3;
    let mut net = plan.build();
    // All from one address.
    let clients: Vec<_> = (0..5)
        .map(|number| net.add_peer(FakePeer::client(CLIENT + number, name(CLIENT + number), address_of(OWN)), CLIENT))
        .collect();
    let node = net.add_dialler(UPSTREAM[0]);
    net.run_until_up(node);
    net.run_for(Duration::from_millis(100));
    let up = clients.iter().filter(|client| net.peer(**client).is_up()).count();
    assert_eq!((up, net.total(Counter::connections(PeerClass::Client))), (3, 3));
    assert_eq!(net.total(Counter::admission_refused(AdmissionRefusal::AddressConnections)), 2);
    // Who leaves makes room.
    let first = clients.iter().copied().find(|client| net.peer(*client).is_up()).expect("three are up");
    net.peer(first).to_send.push_back(Send::Close);
    net.run_for(Duration::from_millis(100));
    let late = net.add_peer(FakePeer::client(CLIENT + 7, name(CLIENT + 7), address_of(OWN)), CLIENT);
    net.run_until_up(late);
}

/// Neither the log nor anything else that leaves the node says who a client is.
#[test]
fn events_hold_nothing_about_clients() {
    let mut gateway = Gateway::new(plan(1, LAMBDA), 2);
    gateway.net.peer(gateway.clients[0]).to_send.push_back(Send::Close);
    let mut stranger = FakePeer::dialling(90, address_of(OWN));
    stranger.stops_after_first_message = true;
    gateway.net.add_peer(stranger, 90);
    gateway.net.run_for(Duration::from_secs(10));
    let mut text = String::new();
    gateway.net.events.reader().drain(|_, event| text += &format!("{event:?}\n"));
    for number in [60, 61, 90] {
        assert!(!text.contains(&address_of(number).ip().to_string()), "{text}");
    }
    assert!(text.contains(&address_of(UPSTREAM[0]).ip().to_string()), "nodes are told: {text}");
}

/// Under one name, without end; and it acknowledges nothing.
#[test]
fn who_connects_again_and_again_costs_itself_mail_and_nobody_else_anything() {
    const ROUNDS: u64 = 30;
    for shards in 1..=2 {
        let mut gateway = Gateway::new(plan(shards, 0.0), 2);
        let (restless, mut mint) = (gateway.clients[0], Mint::new(1));
        gateway.net.peer(restless).is_mute_to_messages = true;
        (1..=5).for_each(|number| gateway.reply(&mut mint, name(CLIENT), number));
        for round in 0..ROUNDS {
            gateway.reply(&mut mint, name(CLIENT + 1), round as u8);
            // It comes before it has gone, and after.
            if round % 2 == 0 {
                gateway.net.peer(restless).to_send.push_back(Send::Close);
                gateway.net.run_for(Duration::from_millis(5));
            }
            gateway.net.peer(restless).dial(address_of(OWN));
            gateway.net.run_for(Duration::from_millis(50));
            assert_eq!(gateway.net.peer(restless).established as u64, round + 2, "shards: {shards}");
        }
        assert_eq!(gateway.messages(1).len() as u64, ROUNDS, "the other one gets its mail");
        assert_eq!(gateway.net.total(Counter::connections(PeerClass::Client)), 2);
        assert_eq!((gateway.net.total(Counter::MAILBOXES), gateway.net.shared.sessions().len()), (2, 3));
        // Nothing stays at the head of its mailbox for ever.
        assert_eq!(gateway.net.total(Counter::letters(Letter::Undeliverable)), 5);
        assert_eq!(gateway.net.drops(), []);
        gateway.net.check_slots();
    }
}

/// Its connection ends, whatever it waits for: answers, documents, mail.
#[test]
fn who_never_reads_is_gone_after_minutes() {
    let asks = |gateway: &mut Gateway, command: Command<'_>| {
        (0..200).for_each(|_| gateway.net.peer(gateway.clients[0]).send_command(&command));
    };
    type Way<'a> = (&'a str, &'a dyn Fn(&mut Gateway));
    let ways: [Way<'_>; 4] = [
        ("asks for what there is not", &|gateway| asks(gateway, Command::GetConsensus2 { epoch: EPOCH.after(9).0 })),
        ("in one piece", &|gateway| asks(gateway, Command::GetConsensus { epoch: EPOCH.after(9).0, padded: false })),
        ("gets mail", &|gateway| {
            let mut mint = Mint::new(3);
            (0..100).for_each(|number| gateway.reply(&mut mint, name(CLIENT), number));
        }),
        ("says that it is there", &|gateway| asks(gateway, Command::NoOp)),
    ];
    for (what, act) in ways {
        let mut gateway = Gateway::new(plan(1, 0.0), 0);
        gateway.net.simulation.network().set_path(Path { buffer_bytes: 8 << 10, ..Path::default() });
        gateway.clients = (0..2).map(|number| add_client(&mut gateway.net, CLIENT + number)).collect();
        gateway.clients.clone().into_iter().for_each(|client| gateway.net.run_until_up(client));
        act(&mut gateway);
        gateway.net.simulation.round();
        gateway.net.simulation.set_stopped(gateway.clients[0], true);
        let mut mint = Mint::new(4);
        for round in 0..6 {
            gateway.net.peer(gateway.clients[1]).send_command(&Command::NoOp);
            gateway.reply(&mut mint, name(CLIENT + 1), round);
            gateway.net.run_for(Duration::from_secs(25));
        }
        assert_eq!(gateway.net.total(Counter::connections(PeerClass::Client)), 1, "{what}");
        assert_eq!(gateway.messages(1).len(), 6, "{what}: the other one is served");
        assert_eq!(gateway.net.drops(), [], "{what}");
        gateway.net.check_slots();
    }
}
