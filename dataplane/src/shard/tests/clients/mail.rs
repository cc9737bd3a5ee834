//! Replies on their way to clients.

use super::*;
use crate::shard::tests::nodes::geometry;
use gateway::UserId;
use interplane::counter::{Letter, LinkEnd, PeerRefusal};

#[test]
fn replies_are_pushed_one_by_one_in_their_order() {
    for shards in 1..=2 {
        let mut gateway = Gateway::new(plan(shards, 0.0), 8);
        let mut mint = Mint::new(1);
        for round in 0..5 {
            for client in 0..8 {
                gateway.reply(&mut mint, name(CLIENT + client), round * 8 + client);
            }
        }
        gateway.net.run_for(Duration::from_secs(1));
        for client in 0..8 {
            let expected: Vec<_> = (0..5).map(|round| (u32::from(round) + 1, round * 8 + client)).collect();
            assert_eq!(gateway.messages(usize::from(client)), expected, "shards: {shards}");
        }
        let bytes = geometry().payload_tag_length + geometry().forward_payload_length;
        assert_eq!(gateway.net.peer(gateway.clients[0]).heard.messages[0].2.len(), bytes);
        let account = gateway.net.account();
        assert_eq!((account.received, account.delivered, account.held), (40, 40, 0));
        assert_eq!(gateway.net.drops(), []);
        for event in [Letter::Stored, Letter::Acknowledged] {
            assert_eq!(gateway.net.total(Counter::letters(event)), 40);
        }
        assert_eq!(gateway.net.total(Counter::LETTERS_WAITING), 0);
        assert_eq!(gateway.net.total(Counter::MAILBOXES), 8);
        gateway.net.check_slots();
    }
}

#[test]
fn who_acknowledges_nothing_gets_one_message_and_loses_its_connection() {
    let mut gateway = Gateway::new(plan(1, 0.0), 1);
    gateway.net.peer(gateway.clients[0]).is_mute_to_messages = true;
    let mut mint = Mint::new(1);
    (1..=3).for_each(|number| gateway.reply(&mut mint, name(CLIENT), number));
    gateway.net.run_for(Duration::from_secs(59));
    assert_eq!(gateway.messages(0), [(1, 1)]);
    assert!(gateway.net.peer(gateway.clients[0]).is_up());
    gateway.net.run_for(Duration::from_secs(2));
    assert!(!gateway.net.peer(gateway.clients[0]).is_up());
    assert_eq!(gateway.net.total(Counter::link_ended(LinkEnd::Idle)), 1);
    // It comes back under its name, and gets all of it.
    gateway.net.peer(gateway.clients[0]).is_mute_to_messages = false;
    gateway.net.peer(gateway.clients[0]).dial(address_of(OWN));
    gateway.net.run_for(Duration::from_secs(1));
    assert_eq!(gateway.messages(0), [(1, 1), (1, 1), (2, 2), (3, 3)]);
    assert_eq!(gateway.net.total(Counter::letters(Letter::Acknowledged)), 3);
}

#[test]
fn mailboxes_fill_up() {
    for (mailbox_messages, spool_bytes, reason) in
        [(3, 1 << 20, DropReason::GatewayMailboxFull), (100, 3 * 1000, DropReason::GatewaySpoolFull)]
    {
        let mut plan = plan(1, 0.0);
        plan.setup.clients.mailbox_messages = mailbox_messages;
        plan.setup.clients.spool_bytes = spool_bytes;
        let mut gateway = Gateway::new(plan, 1);
        gateway.net.peer(gateway.clients[0]).is_mute_to_messages = true;
        let mut mint = Mint::new(1);
        (1..=20).for_each(|number| gateway.reply(&mut mint, name(CLIENT), number));
        gateway.net.run_for(Duration::from_secs(1));
        let account = gateway.net.account();
        assert_eq!((account.received, account.delivered + account.dropped), (20, 20));
        assert_eq!(gateway.net.drops(), [(reason, account.dropped)]);
        assert!(account.delivered >= 3 && account.dropped > 0, "{account:?}");
        assert_eq!(gateway.net.total(Counter::LETTERS_WAITING), account.delivered);
        gateway.net.check_slots();
    }
}

#[test]
fn mail_of_the_gone_waits_for_an_epoch() {
    let mut gateway = Gateway::new(plan(1, 0.0), 2);
    let mut mint = Mint::new(1);
    gateway.net.peer(gateway.clients[0]).to_send.push_back(crate::shard::tests::peers::Send::Close);
    gateway.net.run_for(Duration::from_secs(1));
    gateway.reply(&mut mint, name(CLIENT), 1);
    gateway.net.run_for(Duration::from_secs(1));
    assert_eq!((gateway.net.account().delivered, gateway.net.total(Counter::LETTERS_WAITING)), (1, 1));
    let period = gateway.net.shared.facts().clock.period();
    gateway.net.run_for(period);
    assert_eq!(gateway.net.total(Counter::letters(Letter::Expired)), 1);
    assert_eq!(gateway.net.total(Counter::LETTERS_WAITING), 0);
}

#[test]
fn of_two_connections_of_one_client_the_newer_one_gets_the_mail() {
    for shards in 1..=2 {
        let mut gateway = Gateway::new(plan(shards, 0.0), 1);
        let newer = add_client(&mut gateway.net, CLIENT);
        gateway.net.run_until_up(newer);
        gateway.net.run_for(Duration::from_millis(10));
        assert!(!gateway.net.peer(gateway.clients[0]).is_up(), "shards: {shards}");
        gateway.reply(&mut Mint::new(1), name(CLIENT), 1);
        gateway.net.run_for(Duration::from_millis(50));
        assert_eq!((gateway.messages(0), gateway.net.peer(newer).heard.messages.len()), (vec![], 1));
    }
}

/// Whoever learns a client's name must not get its mail.
#[test]
fn a_name_is_not_to_be_had_twice() {
    for shards in 1..=2 {
        let mut gateway = Gateway::new(plan(shards, 0.0), 1);
        let thief = FakePeer::client(CLIENT + 9, name(CLIENT), address_of(OWN));
        let thief = gateway.net.add_peer(thief, CLIENT + 9);
        gateway.net.run_for(Duration::from_millis(100));
        assert!(!gateway.net.peer(thief).is_up(), "shards: {shards}");
        assert_eq!(gateway.net.total(Counter::peer_validation_failure(PeerRefusal::NameTaken)), 1);
        gateway.reply(&mut Mint::new(1), name(CLIENT), 1);
        gateway.net.run_for(Duration::from_millis(50));
        assert_eq!((gateway.messages(0), gateway.net.peer(thief).heard.messages.len()), (vec![(1, 1)], 0));
    }
}

/// A shard that does not take what it is sent holds up the mail that it is home to, and no other.
#[test]
fn a_home_without_room_keeps_no_other_mail_waiting() {
    // Of two shards one has the last layer's link. The other one stands still.
    let delivered = [0, 1].map(|still| {
        let mut plan = plan(2, 0.0);
        plan.setup.machine.slots_per_shard = 4096;
        let mut gateway = Gateway::new(plan, 8);
        let stalled = gateway.net.shards[still];
        let home = |client: u8| UserId(name(CLIENT + client)).share(2);
        let of = |wanted: usize| (0..8).find(|client| home(*client) == wanted).expect("eight names in two shards");
        gateway.net.simulation.set_stopped(stalled, true);
        let mut mint = Mint::new(1);
        // More than its inbox holds.
        for _ in 0..1100 {
            gateway.reply(&mut mint, name(CLIENT + of(still)), 1);
        }
        for _ in 0..5 {
            gateway.reply(&mut mint, name(CLIENT + of(1 - still)), 2);
        }
        gateway.net.run_for(Duration::from_millis(400));
        gateway.net.total(Counter::delivered(Destination::Client))
    });
    assert_eq!(delivered.iter().max(), Some(&5), "{delivered:?}");
}
