//! Clients of a gateway with a user database, which is the test.

use super::*;
use crate::shard::tests::nodes::{geometry, link_kem};
use crate::shard::tests::peers::Send;
use gateway::archive::Record;
use gateway::users::{Question, Verdict};
use gateway::{UserId, users};
use interplane::counter::{Letter, LinkEnd, PeerRefusal};
use interplane::requests::{Answers, Bell, PluginRings, RequestId, Requests};

/// A gateway, and the other process's ends of its rings.
struct Site {
    gateway: Gateway,
    requests: Requests,
    answers: Answers,
    /// What was told to the store of mail.
    records: Vec<(RequestId, Vec<u8>)>,
}

/// What was asked: the name's client, whether it has shown that it has its key.
type Asked = (RequestId, u8, bool);

impl Site {
    fn new(shards: u16) -> Self {
        Self::with_mail(shards, false)
    }

    fn with_mail(shards: u16, keeps_mail: bool) -> Self {
        let mut plan = plan(shards, 0.0);
        plan.setup.clients.has_user_database = true;
        plan.setup.clients.keeps_mail = keeps_mail;
        plan.setup.clients.mailbox_messages = 1 << 14;
        let question_bytes = users::QUESTION_BYTES + link_kem().info().public_key_bytes;
        let letter_bytes = if keeps_mail { gateway::archive::RECORD_BYTES + 1024 } else { 0 };
        let (rings, _fd) =
            PluginRings::create(usize::from(shards), question_bytes.max(letter_bytes)).expect("memfds work");
        let [bell, answers] = [(); 2].map(|()| Bell::new().expect("eventfds work"));
        plan.plugins = Some((rings.clone(), bell));
        Self {
            gateway: Gateway::new(plan, 0),
            requests: rings.requests(),
            answers: rings.answers(answers),
            records: Vec::new(),
        }
    }

    fn add(&mut self, number: u8) -> usize {
        let client = add_client(&mut self.gateway.net, number);
        self.gateway.clients.push(client);
        self.gateway.clients.len() - 1
    }

    fn run(&mut self, milliseconds: u64) {
        self.gateway.net.run_for(Duration::from_millis(milliseconds));
    }

    /// The questions that have come, and that the keys are those of the names.
    fn asked(&mut self) -> Vec<Asked> {
        let mut asked = Vec::new();
        let records = &mut self.records;
        self.requests.take(1000, |request| {
            if request.id.plugin() == 1 {
                records.push((request.id, request.payload.to_vec()));
                return;
            }
            let Question { user, link_key, has_proven } = Question::read(request.payload).expect("a question");
            let number = (CLIENT..CLIENT + 100).find(|number| UserId(name(*number)) == user).expect("a client");
            assert_eq!(link_key.len(), link_kem().info().public_key_bytes);
            asked.push((request.id, number, has_proven));
        });
        asked
    }

    fn answer(&mut self, id: RequestId, verdict: Verdict) {
        assert!(self.answers.give(id, &[verdict as u8]));
        // What the attach thread does when its bell has rung.
        self.gateway.net.wake_all();
        self.run(50);
    }

    fn is_up(&mut self, client: usize) -> bool {
        self.gateway.net.peer(self.gateway.clients[client]).is_up()
    }

    /// It says something, by which it shows that it has its key.
    fn say(&mut self, client: usize) {
        self.gateway.net.peer(self.gateway.clients[client]).send_command(&Command::NoOp);
        self.run(50);
    }

    fn refused(&self, reason: PeerRefusal) -> u64 {
        self.gateway.net.total(Counter::peer_validation_failure(reason))
    }
}

#[test]
fn who_is_registered_comes_in_and_others_do_not() {
    for shards in 1..=2 {
        let mut site = Site::new(shards);
        let clients = [0, 1, 2].map(|number| site.add(CLIENT + number));
        site.run(100);
        let asked = site.asked();
        assert_eq!(asked.len(), 3, "each is asked about once");
        assert!(asked.iter().all(|(_, _, has_proven)| !has_proven));
        assert!(clients.iter().all(|client| !site.is_up(*client)), "nobody is let in before the answer");
        for (id, number, _) in asked {
            let verdict = [Verdict::Registered, Verdict::Refused, Verdict::Unknown][usize::from(number - CLIENT)];
            site.answer(id, verdict);
            // A second answer to the same question means nothing.
            site.answer(id, Verdict::Registered);
        }
        assert_eq!(clients.map(|client| site.is_up(client)), [true, false, false], "shards: {shards}");
        assert_eq!(site.refused(PeerRefusal::ClientDroppedFromUserdb), 1);
        assert_eq!(site.refused(PeerRefusal::UserdbAway), 1);
        // It gets its mail as soon as it has shown that it has its key, and not before.
        site.gateway.reply(&mut Mint::new(1), name(CLIENT), 1);
        site.run(50);
        assert_eq!(site.gateway.net.drops(), [(DropReason::GatewayInvalidRecipient, 1)]);
        site.say(0);
        site.gateway.reply(&mut Mint::new(2), name(CLIENT), 2);
        site.run(50);
        assert_eq!(site.gateway.messages(0), [(1, 2)]);
        assert_eq!(site.asked(), []);
        site.gateway.net.check_slots();
    }
}

/// A database that says nothing costs those who wait for it their handshakes, and nobody else anything.
#[test]
fn no_answer_holds_up_nobody_else() {
    let mut site = Site::new(1);
    let known = site.add(CLIENT);
    site.run(100);
    let (id, ..) = site.asked()[0];
    site.answer(id, Verdict::Registered);
    site.say(known);
    let waiting: Vec<_> = (1..=20).map(|number| site.add(CLIENT + number)).collect();
    site.run(100);
    let mut mint = Mint::new(1);
    for number in 0..50 {
        let packet = mint.packet(Order::to(DOWNSTREAM[0], 5 + number));
        let client = site.gateway.clients[known];
        site.gateway.net.peer(client).send(packet);
        site.gateway.reply(&mut mint, name(CLIENT), number as u8);
    }
    site.run(1000);
    let account = site.gateway.net.account();
    assert_eq!((account.received, account.sent, account.delivered), (100, 50, 50));
    assert_eq!(site.gateway.messages(known).len(), 50);
    // Their time runs out as that of any handshake.
    site.run(5000);
    assert!(waiting.iter().all(|client| !site.is_up(*client)));
    assert!(site.is_up(known));
    assert_eq!(site.gateway.net.total(Counter::connections(PeerClass::Handshaking)), 0);
    // Answers that come now are nobody's.
    for (id, ..) in site.asked() {
        site.answer(id, Verdict::Registered);
    }
    assert!(waiting.iter().all(|client| !site.is_up(*client)));
}

#[test]
fn connected_clients_are_asked_about_again() {
    let mut site = Site::new(1);
    let clients: Vec<_> = (0..3).map(|number| site.add(CLIENT + number)).collect();
    site.run(100);
    for (id, ..) in site.asked() {
        site.answer(id, Verdict::Registered);
    }
    clients.iter().for_each(|client| site.say(*client));
    let interval = site.gateway.net.shared.facts().live.reauth_interval.get();
    site.gateway.net.run_for(interval + Duration::from_secs(1));
    let asked = site.asked();
    assert_eq!(asked.len(), 3);
    for (id, number, has_proven) in asked {
        assert!(has_proven);
        // One is removed; of one nothing is known at the moment.
        let verdict = [Verdict::Registered, Verdict::Refused, Verdict::Unknown][usize::from(number - CLIENT)];
        site.answer(id, verdict);
    }
    let up: Vec<_> = clients.iter().map(|client| site.is_up(*client)).collect();
    assert_eq!(up, [true, false, true]);
    assert_eq!(site.gateway.net.total(Counter::link_ended(LinkEnd::NoLongerValid)), 1);
    // Without any answer all stay, whatever time goes by, and all are asked about each time.
    for _ in 0..3 {
        site.gateway.net.run_for(interval);
        clients.iter().for_each(|client| site.say(*client));
        let asked = site.asked();
        assert_eq!(asked.len(), 2, "{asked:?}");
    }
    assert!(site.is_up(clients[0]) && site.is_up(clients[2]));
}

/// A name is written down for a key that its owner has shown to have.
#[test]
fn trust_on_first_use_waits_for_the_first_frame() {
    let mut site = Site::new(1);
    let (one, other) = (site.add(CLIENT), site.add(CLIENT + 1));
    site.run(100);
    for (id, _, has_proven) in site.asked() {
        assert!(!has_proven);
        site.answer(id, Verdict::OnTrust);
    }
    assert!(site.is_up(one) && site.is_up(other));
    assert_eq!(site.asked(), [], "nobody is registered by a handshake alone");
    site.say(one);
    site.say(other);
    let asked = site.asked();
    assert_eq!(asked.len(), 2);
    site.gateway.reply(&mut Mint::new(1), name(CLIENT), 1);
    site.run(50);
    assert_eq!(site.gateway.net.drops(), [(DropReason::GatewayInvalidRecipient, 1)], "no mailbox before the answer");
    for (id, number, has_proven) in asked {
        assert!(has_proven);
        // Somebody else was faster with the second name.
        site.answer(id, if number == CLIENT { Verdict::Registered } else { Verdict::Refused });
    }
    assert!(site.is_up(one) && !site.is_up(other));
    site.gateway.reply(&mut Mint::new(2), name(CLIENT), 2);
    site.run(50);
    assert_eq!(site.gateway.messages(one), [(1, 2)]);
}

/// Names and link keys of registered clients are known to others, who must not end their connections or take their mail.
#[test]
fn a_handshake_alone_takes_nothing_away() {
    let mut site = Site::new(1);
    let owner = site.add(CLIENT);
    site.run(100);
    let (id, ..) = site.asked()[0];
    site.answer(id, Verdict::Registered);
    site.say(owner);
    // Another connection with the same name and key, which never sends a frame.
    let silent = site.add(CLIENT);
    site.run(100);
    let (id, ..) = site.asked()[0];
    site.answer(id, Verdict::Registered);
    site.gateway.reply(&mut Mint::new(1), name(CLIENT), 1);
    site.run(50);
    assert!(site.is_up(owner));
    assert_eq!((site.gateway.messages(owner), site.gateway.messages(silent)), (vec![(1, 1)], vec![]));
    // With its first frame it is the newer one.
    site.say(silent);
    site.gateway.reply(&mut Mint::new(2), name(CLIENT), 2);
    site.run(50);
    assert!(!site.is_up(owner));
    assert_eq!(site.gateway.messages(silent), [(1, 2)]);
}

/// The name is the same, the key is another: the database says so, and the mail that waits is for the new key.
#[test]
fn a_registered_client_gets_its_mailbox_back_with_a_new_key() {
    let mut site = Site::new(1);
    let before = site.add(CLIENT);
    site.run(100);
    let (id, ..) = site.asked()[0];
    site.answer(id, Verdict::Registered);
    site.say(before);
    let host = site.gateway.clients[before];
    site.gateway.net.peer(host).to_send.push_back(Send::Close);
    site.run(50);
    site.gateway.reply(&mut Mint::new(1), name(CLIENT), 1);
    site.run(50);
    let peer = FakePeer::client(CLIENT, name(CLIENT), address_of(OWN)).with_other_link_key();
    let client = site.gateway.net.add_peer(peer, CLIENT);
    site.gateway.clients.push(client);
    site.run(100);
    let (id, ..) = site.asked()[0];
    site.answer(id, Verdict::Registered);
    site.say(1);
    assert_eq!(site.gateway.messages(1), [(1, 1)]);
    assert_eq!(site.refused(PeerRefusal::NameTaken), 0);
    assert_eq!(site.gateway.net.total(Counter::letters(Letter::Acknowledged)), 1);
}

/// Nobody reads the ring: newcomers are refused at once, and who is there stays.
#[test]
fn a_ring_that_is_full_refuses_newcomers_and_nobody_else() {
    let mut site = Site::new(1);
    let known = site.add(CLIENT);
    site.run(100);
    let (id, ..) = site.asked()[0];
    site.answer(id, Verdict::Registered);
    let bytes = 1 << 20;
    let stranger = site.add(CLIENT + 1);
    let host = site.gateway.clients[stranger];
    site.gateway.net.peer(host).redials = true;
    let mut rounds = 0;
    while site.refused(PeerRefusal::UserdbAway) == 0 {
        site.run(1000);
        site.say(known);
        rounds += 1;
        assert!(rounds < 20 * bytes / 1000, "the ring never fills");
    }
    assert!(site.is_up(known));
    assert!(!site.asked().is_empty());
}

/// What was told to the store of mail, in short: what, of which client, which reply block.
fn told(site: &mut Site) -> Vec<(&'static str, u8, u8)> {
    assert_eq!(site.asked(), []);
    let records = std::mem::take(&mut site.records);
    let short = records.iter().map(|(_, bytes)| {
        let number =
            |user: UserId| (CLIENT..CLIENT + 100).find(|number| UserId(name(*number)) == user).expect("a client");
        match Record::read(bytes).expect("a record") {
            Record::Keep { user, surb_id, payload } => {
                assert_eq!(payload.len(), geometry().payload_tag_length + geometry().forward_payload_length);
                ("keep", number(user), surb_id[0])
            }
            Record::Gone { user, surb_id } => ("gone", number(user), surb_id[0]),
            Record::Fetch { user } => ("fetch", number(user), 0),
        }
    });
    short.collect()
}

/// A registered client comes in and shows that it has its key.
fn come_in(site: &mut Site, number: u8, verdict: Verdict) -> usize {
    let client = site.add(number);
    site.run(100);
    let (id, ..) = site.asked()[0];
    site.answer(id, verdict);
    site.say(client);
    client
}

#[test]
fn letters_of_registered_clients_are_kept_until_they_have_arrived() {
    for shards in 1..=2 {
        let mut site = Site::with_mail(shards, true);
        let mut mint = Mint::new(1);
        // Nobody has been here: the store knows whether somebody has the name.
        site.gateway.reply(&mut mint, name(CLIENT), 1);
        site.run(50);
        assert_eq!(told(&mut site), [("keep", CLIENT, 1)]);
        let registered = come_in(&mut site, CLIENT, Verdict::Registered);
        site.requests.take(1000, |request| site.records.push((request.id, request.payload.to_vec())));
        let (fetch, _) = site.records[0];
        assert_eq!(told(&mut site), [("fetch", CLIENT, 0)]);
        // The store gives what it has, one of it twice, what is no letter of this network, and nonsense.
        let letter = vec![7; geometry().payload_tag_length + geometry().forward_payload_length];
        for (surb_id, payload) in [(9, &letter[1..]), (1, &letter), (2, &letter), (2, &letter)] {
            let (user, surb_id) = (UserId(name(CLIENT)), [surb_id; 16]);
            let mut bytes = Vec::new();
            Record::Keep { user, surb_id, payload }.write_to(&mut bytes);
            assert!(site.answers.give(fetch, &bytes) && site.answers.give(fetch, &bytes[..20]));
        }
        site.gateway.net.wake_all();
        site.run(100);
        assert_eq!(site.gateway.messages(registered), [(1, 1), (2, 2)]);
        assert_eq!(told(&mut site), [("gone", CLIENT, 1), ("gone", CLIENT, 2)]);
        // One that comes now is kept, too, and gone as soon as it is acknowledged.
        site.gateway.reply(&mut mint, name(CLIENT), 3);
        site.run(100);
        assert_eq!(told(&mut site), [("keep", CLIENT, 3), ("gone", CLIENT, 3)]);
        // What is for a client that is not registered is in memory alone.
        come_in(&mut site, CLIENT + 1, Verdict::Ephemeral);
        site.gateway.reply(&mut mint, name(CLIENT + 1), 4);
        site.run(100);
        assert_eq!(told(&mut site), []);
        let account = site.gateway.net.account();
        assert_eq!((account.received, account.delivered), (3, 3), "shards: {shards}");
        // With the next answer about it the store is asked again: other gateways may have had letters for it.
        let interval = site.gateway.net.shared.facts().live.reauth_interval.get();
        site.gateway.net.run_for(interval);
        for (id, ..) in site.asked() {
            site.answer(id, Verdict::Registered);
        }
        assert!(told(&mut site).contains(&("fetch", CLIENT, 0)));
    }
}

/// The control plane stands still: letters are taken all the same, and it is told how many of them are in memory alone.
#[test]
fn letters_that_a_full_ring_does_not_take_are_counted() {
    let mut site = Site::with_mail(1, true);
    let client = come_in(&mut site, CLIENT, Verdict::Registered);
    let host = site.gateway.clients[client];
    site.gateway.net.peer(host).is_mute_to_messages = true;
    assert_eq!(told(&mut site), [("fetch", CLIENT, 0)]);
    let mut mint = Mint::new(1);
    let mut replies = 0;
    while site.gateway.net.total(Counter::letters(Letter::NotKept)) == 0 {
        for _ in 0..64 {
            site.gateway.reply(&mut mint, name(CLIENT), 1);
        }
        site.run(20);
        replies += 64;
        assert!(replies < 16_000, "the ring never fills");
    }
    let not_kept = site.gateway.net.total(Counter::letters(Letter::NotKept));
    let mut kept = 0;
    loop {
        match told(&mut site).len() as u64 {
            0 => break,
            more => kept += more,
        }
    }
    assert_eq!(kept + not_kept, replies);
    assert_eq!(site.gateway.net.drops(), []);
    // There is room again.
    site.gateway.reply(&mut mint, name(CLIENT), 2);
    site.run(20);
    assert_eq!(told(&mut site), [("keep", CLIENT, 2)]);
    assert_eq!(site.gateway.net.total(Counter::letters(Letter::NotKept)), not_kept);
}
