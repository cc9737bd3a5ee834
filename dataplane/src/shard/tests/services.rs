//! A service node: requests that end here, and the replies that begin here.

use super::net::{Net, Plan};
use super::nodes::{self, DELAY_MS_MAX, DOWNSTREAM, EPOCH, MIDDLE, Mint, OWN, UPSTREAM, geometry, id_of, mix_key};
use super::peers::Received;
use crate::io::sim::HostId;
use interplane::counter::Family;
use interplane::requests::{Answers, Bell, PluginRings, RequestId, Requests};
use interplane::snapshot::{Handler, Service};
use interplane::{Counter, DropReason};
use pki::Epoch;
use pki::neighbours::Role;
use service::BuiltIn;
use sphinx::commands::RoutingCommand;
use sphinx::path::{Terminal, compose};
use sphinx::plaintext::{BlockSphinxPlaintext, pad_reply};
use sphinx::surb::Surb;
use sphinx::{PathHop, Unwrapper, decrypt_surb_payload};
use std::collections::HashMap;
use std::time::Duration;

const ECHO: &str = "+echo";
const TESTDEST: &str = "+testdest";
const LOOP: &str = "+loop";
const PLUGIN: &str = "+plugin";

/// A service node with links on both sides.
struct Site {
    net: Net,
    upstream: HostId,
    downstream: Vec<HostId>,
    mint: Mint,
}

fn recipient(endpoint: &str) -> [u8; 32] {
    service::recipient(endpoint).expect("it fits")
}

fn built_in(endpoint: &str, built_in: BuiltIn) -> Service {
    Service { recipient: recipient(endpoint), handler: Handler::BuiltIn(built_in) }
}

fn plan(shards: u16) -> Plan {
    let mut plan = Plan::new(shards);
    plan.setup.role = Role::Service;
    let documents = [EPOCH.before(1), EPOCH, EPOCH.after(1)].map(nodes::service_document);
    let mut snapshot = nodes::snapshot_as(Role::Service, 1, &documents);
    snapshot.services =
        vec![built_in(ECHO, BuiltIn::Echo), built_in(TESTDEST, BuiltIn::TestDest), built_in(LOOP, BuiltIn::Loop)];
    plan.snapshot = Some(snapshot);
    plan
}

fn site(plan: Plan) -> Site {
    let (mut net, downstream) = plan.build_with_downstream();
    let upstream = net.add_dialler(UPSTREAM[0]);
    net.run_until_up(upstream);
    downstream.iter().for_each(|peer| net.run_until_up(*peer));
    net.run_for(Duration::from_millis(1));
    Site { net, upstream, downstream, mint: Mint::new(1) }
}

/// What a request is.
#[derive(Clone, Copy)]
struct Ask<'a> {
    endpoint: &'a str,
    delay_ms: u32,
    /// The first hop of the reply.
    back: u8,
    payload: &'a [u8],
}

impl Ask<'_> {
    fn echo(payload: &[u8]) -> Ask<'_> {
        Ask { endpoint: ECHO, delay_ms: 20, back: DOWNSTREAM[0], payload }
    }
}

impl Site {
    /// A reply block through two mixes.
    fn surb(&mut self, back: u8) -> Surb {
        let hop = |node: u8| (id_of(node), mix_key(node, EPOCH).public_key().to_vec());
        let terminal = Terminal { recipient: [9; 32], surb_id: Some([8; 16]), delay_ms: None };
        let path = compose([hop(back), hop(MIDDLE)], &[7], &terminal).expect("one delay");
        self.mint.sphinx.new_surb(&path, &mut self.mint.random).expect("a reply path")
    }

    /// A packet that ends here with these commands and this content.
    fn packet(&mut self, commands: Vec<RoutingCommand>, content: &[u8]) -> Vec<u8> {
        let public_key = mix_key(OWN, EPOCH).public_key().to_vec();
        let path = [PathHop { id: id_of(OWN), public_key, commands }];
        self.mint.sphinx.new_packet(&path, content, &mut self.mint.random).expect("a possible packet")
    }

    /// A request with a reply block, and what opens the reply.
    fn request(&mut self, ask: Ask<'_>) -> (Vec<u8>, Surb) {
        let surb = self.surb(ask.back);
        let content = BlockSphinxPlaintext::build(&geometry(), Some(&surb.bytes), ask.payload).expect("it fits");
        let commands = vec![
            RoutingCommand::NodeDelay { delay_ms: ask.delay_ms },
            RoutingCommand::Recipient(recipient(ask.endpoint)),
        ];
        (self.packet(commands, &content), surb)
    }

    fn send(&mut self, packet: Vec<u8>) {
        self.net.peer(self.upstream).send(packet);
    }

    fn received(&mut self, place: usize) -> Vec<Received> {
        std::mem::take(&mut self.net.peer(self.downstream[place]).received)
    }
}

/// What the client reads in a reply that came to its first hop.
fn open(back: u8, mut packet: Vec<u8>, surb: &Surb) -> Option<Vec<u8>> {
    let mut unwrapper = Unwrapper::new(&geometry(), 1).expect("a sound geometry");
    unwrapper.unwrap(&mix_key(back, EPOCH), &mut packet).ok()?;
    let last = unwrapper.unwrap(&mix_key(MIDDLE, EPOCH), &mut packet).ok()?;
    assert_eq!(last.commands.surb_reply, Some([8; 16]));
    let mut keys = surb.keys.to_vec();
    decrypt_surb_payload(&mut packet[geometry().header_length..], &mut keys).ok().map(<[u8]>::to_vec)
}

/// The user payload with its padding, as the reply to an echo holds it.
fn echoed(payload: &[u8]) -> Vec<u8> {
    pad_reply(&geometry(), payload).expect("it fits")
}

#[test]
fn requests_come_back_by_their_reply_blocks_after_their_delays() {
    for shards in 1..=2 {
        let mut site = site(plan(shards));
        let mut due = HashMap::new();
        let start = site.net.now();
        for number in 0..300u32 {
            let (place, endpoint) = (number as usize % 3, [ECHO, TESTDEST][number as usize % 2]);
            let ask = Ask {
                endpoint,
                delay_ms: [0, 1, 20, 333][number as usize % 4],
                back: DOWNSTREAM[place],
                payload: &number.to_le_bytes(),
            };
            let (packet, surb) = site.request(ask);
            due.insert(number, (place, ask.delay_ms, surb));
            site.send(packet);
        }
        site.net.run_for(Duration::from_secs(1));
        for place in 0..3 {
            for Received { at, packet } in site.received(place) {
                // Which of the reply blocks it was is not to be seen from outside.
                let opened = due.iter().find_map(|(number, (to, delay_ms, surb))| {
                    let reply = open(DOWNSTREAM[place], packet.clone(), surb)?;
                    Some((*number, *to, *delay_ms, reply))
                });
                let (number, to, delay_ms, reply) = opened.expect("a reply to one of the requests");
                due.remove(&number);
                assert_eq!((to, reply), (place, echoed(&number.to_le_bytes())));
                assert!(at.since(start) >= Duration::from_millis(u64::from(delay_ms)), "{number} left early");
            }
        }
        assert!(due.is_empty(), "{} requests have no answer", due.len());
        assert_eq!(site.net.drops(), []);
        let account = site.net.account();
        assert_eq!((account.received, account.delivered, account.originated), (300, 300, 300));
        assert_eq!((account.sent, account.held), (300, 0));
        assert_eq!(site.net.total(Counter::KAETZCHEN_REQUESTS), 300);
        assert_eq!(site.net.observed(Family::KaetzchenDuration).0, 300);
        site.net.check_slots();
    }
}

#[test]
fn loop_sends_nothing_but_zeros() {
    let mut site = site(plan(1));
    let (packet, surb) = site.request(Ask { endpoint: LOOP, ..Ask::echo(b"not to be seen again") });
    site.send(packet);
    site.net.run_for(Duration::from_secs(1));
    let reply = site.received(0).remove(0).packet;
    assert_eq!(open(DOWNSTREAM[0], reply, &surb), Some(echoed(b"")));
}

#[test]
fn a_request_without_a_reply_block_is_taken_and_not_answered() {
    let mut site = site(plan(1));
    let content = BlockSphinxPlaintext::build(&geometry(), None, b"farewell").expect("it fits");
    let with_delay = vec![RoutingCommand::NodeDelay { delay_ms: 5 }, RoutingCommand::Recipient(recipient(ECHO))];
    for commands in [vec![RoutingCommand::Recipient(recipient(ECHO))], with_delay] {
        let packet = site.packet(commands, &content);
        site.send(packet);
    }
    site.net.run_for(Duration::from_secs(1));
    assert_eq!(site.net.drops(), []);
    let account = site.net.account();
    assert_eq!((account.received, account.delivered, account.originated, account.sent), (2, 2, 0, 0));
    site.net.check_slots();
}

#[test]
fn what_no_service_can_answer_is_dropped_for_one_reason() {
    let mut site = site(plan(1));
    let surb = site.surb(DOWNSTREAM[0]);
    let good = BlockSphinxPlaintext::build(&geometry(), Some(&surb.bytes), b"hello").expect("it fits");
    let to = |endpoint: &str| {
        vec![RoutingCommand::NodeDelay { delay_ms: 5 }, RoutingCommand::Recipient(recipient(endpoint))]
    };
    let changed = |at: usize, value: u8| {
        let mut content = good.clone();
        content[at] = value;
        content
    };
    let strange_hop = changed(2 + geometry().header_length + 3, 0x55);
    let reply = vec![RoutingCommand::Recipient(recipient(ECHO)), RoutingCommand::SurbReply([1; 16])];
    let packets = [
        site.packet(to("+nobody"), &good),
        site.packet(to(ECHO), &changed(0, 2)),
        site.packet(to(ECHO), &changed(0, 0xff)),
        site.packet(to(ECHO), &changed(1, 1)),
        site.packet(to(ECHO), &vec![0xA5; good.len()]),
        site.packet(reply, &good),
        site.packet(to(ECHO), &strange_hop),
        site.packet(vec![RoutingCommand::NodeDelay { delay_ms: 1 }], &good),
    ];
    let through = site.mint.packet(nodes::Order::to(DOWNSTREAM[0], 20));
    let count = packets.len() as u64 + 1;
    packets.into_iter().chain([through]).for_each(|packet| site.send(packet));
    site.net.run_for(Duration::from_secs(1));
    let expected = [
        (DropReason::ProviderForwardFromMix, 1),
        (DropReason::InvalidPacket, 1),
        (DropReason::SchedulerNextHopInvalid, 1),
        (DropReason::ServiceKaetzchenSurbReply, 1),
        (DropReason::ServiceUnknownRecipient, 1),
        (DropReason::KaetzchenParseForwardFailed, 4),
    ];
    assert_eq!(site.net.drops(), expected);
    let account = site.net.account();
    // The request whose reply has nowhere to go was answered.
    assert_eq!((account.received, account.delivered, account.originated, account.sent), (count, 1, 1, 0));
    site.net.check_slots();
    let upstream = site.upstream;
    assert!(site.net.peer(upstream).is_up(), "bad packets do not end a link");
}

#[test]
fn a_request_is_answered_once() {
    let mut site = site(plan(2));
    let (packet, _) = site.request(Ask::echo(b"once"));
    for _ in 0..4 {
        site.send(packet.clone());
    }
    site.net.run_for(Duration::from_secs(1));
    assert_eq!(site.net.drops(), [(DropReason::Replay, 3)]);
    assert_eq!(site.received(0).len(), 1);
}

/// The request says how long its reply waits; a mix would drop a packet that asks for so much.
#[test]
fn no_reply_waits_longer_than_the_document_allows() {
    let mut site = site(plan(1));
    let start = site.net.now();
    let (packet, surb) = site.request(Ask { delay_ms: u32::MAX, ..Ask::echo(b"patience") });
    site.send(packet);
    site.net.run_until_received(site.downstream[0], 1);
    let Received { at, packet } = site.received(0).remove(0);
    let took = at.since(start);
    let most = Duration::from_millis(DELAY_MS_MAX);
    assert!(took >= most && took <= most + Duration::from_millis(10), "{took:?}");
    assert_eq!(open(DOWNSTREAM[0], packet, &surb), Some(echoed(b"patience")));
}

#[test]
fn a_node_that_is_too_late_says_so() {
    for (service, kaetzchen, reason) in
        [(0, 1000, DropReason::ServiceDwellExceeded), (1000, 0, DropReason::KaetzchenDwellExceeded)]
    {
        let mut plan = plan(1);
        plan.setup.times.service_delay_ms = service;
        plan.setup.times.kaetzchen_delay_ms = kaetzchen;
        let mut site = site(plan);
        site.net.simulation.set_round(Duration::from_millis(2));
        // Two wait for company, where one would not.
        for number in 0..2 {
            let (packet, _) = site.request(Ask::echo(&[number]));
            site.send(packet);
        }
        site.net.run_for(Duration::from_secs(1));
        assert_eq!(site.net.drops(), [(reason, 2)]);
        site.net.check_slots();
    }
}

#[test]
fn services_come_and_go_with_snapshots() {
    let mut site = site(plan(1));
    let documents: Vec<_> = [EPOCH, EPOCH.after(1)].map(|epoch: Epoch| nodes::service_document(epoch)).into();
    site.net.shared.publish_directory(nodes::snapshot_as(Role::Service, 2, &documents));
    site.net.wake_all();
    let (packet, _) = site.request(Ask::echo(b"gone"));
    site.send(packet);
    site.net.run_for(Duration::from_secs(1));
    assert_eq!(site.net.drops(), [(DropReason::ServiceUnknownRecipient, 1)]);
}

/// A service node with a plugin, and the control plane's end.
fn with_plugin(shards: u16) -> (Site, Requests, Answers) {
    let mut plan = plan(shards);
    let most = geometry().user_forward_payload_length;
    let (rings, _fd) = PluginRings::create(usize::from(shards), most).expect("memfds work");
    let bells = [(); 2].map(|()| Bell::new().expect("eventfds work"));
    let [requests, answers] = bells;
    plan.plugins = Some((rings.clone(), requests));
    let service = Service { recipient: recipient(PLUGIN), handler: Handler::Plugin { number: 3 } };
    plan.snapshot.as_mut().expect("there is one").services.push(service);
    (site(plan), rings.requests(), rings.answers(answers))
}

/// What came over: the number, whether an answer is wanted, the payload.
fn asked(requests: &mut Requests) -> Vec<(RequestId, bool, Vec<u8>)> {
    let mut found = Vec::new();
    requests.take(1000, |request| found.push((request.id, request.wants_reply, request.payload.to_vec())));
    found
}

#[test]
fn requests_to_plugins_cross_and_their_answers_become_replies() {
    for shards in 1..=2 {
        let (mut site, mut there, mut back) = with_plugin(shards);
        let start = site.net.now();
        let mut surbs = HashMap::new();
        for number in 0..100u32 {
            let (packet, surb) =
                site.request(Ask { endpoint: PLUGIN, delay_ms: 200, ..Ask::echo(&number.to_le_bytes()) });
            surbs.insert(number, surb);
            site.send(packet);
        }
        site.net.run_for(Duration::from_millis(50));
        let mut requests = asked(&mut there);
        assert_eq!(requests.len(), 100);
        // In any order; one is never answered, the others with something else than they ask.
        requests.reverse();
        for (id, wants_reply, payload) in &requests[1..] {
            assert!(wants_reply);
            assert_eq!((payload.len(), id.plugin()), (geometry().user_forward_payload_length, 3));
            let answer: Vec<u8> = payload[..4].iter().map(|byte| !byte).collect();
            assert!(back.give(*id, &answer));
        }
        site.net.wake_all();
        site.net.run_for(Duration::from_secs(1));
        let replies = site.received(0);
        assert_eq!(replies.len(), 99);
        for Received { at, packet } in replies {
            assert!(at.since(start) >= Duration::from_millis(200), "the delay counts from the request's arrival");
            let opened = surbs
                .iter()
                .find_map(|(number, surb)| open(DOWNSTREAM[0], packet.clone(), surb).map(|reply| (*number, reply)));
            let (number, reply) = opened.expect("a reply to one of the requests");
            surbs.remove(&number);
            assert_eq!(reply, echoed(&(!number).to_le_bytes()));
        }
        assert_eq!(site.net.drops(), []);
        let account = site.net.account();
        assert_eq!((account.received, account.delivered, account.originated, account.sent), (100, 100, 99, 99));
        let (answers, microseconds) = site.net.observed(Family::KaetzchenDuration);
        assert!(answers == 99 && microseconds >= 99 * 40_000, "{answers} answers in {microseconds} us");
        site.net.check_slots();
    }
}

#[test]
fn answers_that_nobody_waits_for_are_counted_and_dropped() {
    let (mut site, mut there, mut back) = with_plugin(1);
    let (packet, _) = site.request(Ask { endpoint: PLUGIN, ..Ask::echo(b"once") });
    site.send(packet);
    let content = BlockSphinxPlaintext::build(&geometry(), None, b"no answer").expect("it fits");
    let packet = site.packet(vec![RoutingCommand::Recipient(recipient(PLUGIN))], &content);
    site.send(packet);
    site.net.run_for(Duration::from_millis(50));
    let requests = asked(&mut there);
    assert_eq!(requests.iter().map(|(_, wants_reply, _)| *wants_reply).collect::<Vec<_>>(), [true, false]);
    let [(first, ..), (second, ..)] = requests[..] else { panic!("two requests") };
    // Twice the same, one that wanted none, and ids that were never given.
    let stray = [RequestId::new(0, 9, 1), RequestId::new(0, 3, first.number().wrapping_add(500)), RequestId(0)];
    for id in [first, first, second].into_iter().chain(stray) {
        assert!(back.give(id, b"answer"));
    }
    site.net.wake_all();
    site.net.run_for(Duration::from_secs(1));
    assert_eq!(site.net.drops(), [(DropReason::ServiceAnswerTooLate, 5)]);
    assert_eq!(site.received(0).len(), 1);
    let account = site.net.account();
    assert_eq!((account.received, account.delivered, account.originated, account.sent), (2, 2, 6, 1));
    site.net.check_slots();
}

/// A plugin may take its time: several thousand requests may be in it.
#[test]
fn a_slow_plugin_is_waited_for() {
    let (mut site, mut there, mut back) = with_plugin(1);
    let mut waiting = Vec::new();
    for round in 0..30u32 {
        for number in 0..100u32 {
            let (packet, _) =
                site.request(Ask { endpoint: PLUGIN, ..Ask::echo(&(round * 100 + number).to_le_bytes()) });
            site.send(packet);
        }
        site.net.run_for(Duration::from_millis(50));
        waiting.append(&mut asked(&mut there));
    }
    assert_eq!(waiting.len(), 3000);
    for batch in waiting.chunks(100) {
        assert!(batch.iter().all(|(id, _, payload)| back.give(*id, payload)));
        site.net.wake_all();
        site.net.run_for(Duration::from_millis(50));
    }
    site.net.run_for(Duration::from_secs(1));
    assert_eq!((site.received(0).len(), site.net.drops()), (3000, vec![]));
    site.net.check_slots();
}

/// A plugin that takes nothing costs its own requests their place, and nothing else stands still.
#[test]
fn a_full_ring_drops_at_once() {
    let (mut site, mut there, mut back) = with_plugin(1);
    const REQUESTS: u64 = 3000;
    for number in 0..REQUESTS {
        let (packet, _) = site.request(Ask { endpoint: PLUGIN, ..Ask::echo(&number.to_le_bytes()) });
        site.send(packet);
    }
    site.net.run_for(Duration::from_secs(2));
    let dropped = site.net.dropped(DropReason::ServiceRingFull);
    assert!(dropped > 0 && dropped < REQUESTS, "{dropped}");
    assert_eq!(site.net.drops(), [(DropReason::ServiceRingFull, dropped)]);
    let (packet, _) = site.request(Ask::echo(b"still here"));
    site.send(packet);
    site.net.run_for(Duration::from_secs(1));
    assert_eq!(site.received(0).len(), 1);
    // What is read now makes room. The oldest have given their places to newer ones.
    let mut requests = Vec::new();
    loop {
        let more = asked(&mut there);
        if more.is_empty() {
            break;
        }
        requests.extend(more);
    }
    assert_eq!(requests.len() as u64 + dropped, REQUESTS);
    let (packet, surb) = site.request(Ask { endpoint: PLUGIN, ..Ask::echo(b"room again") });
    site.send(packet);
    site.net.run_for(Duration::from_millis(50));
    let (id, ..) = asked(&mut there).remove(0);
    assert!(back.give(id, b"yes"));
    site.net.wake_all();
    site.net.run_for(Duration::from_secs(1));
    let reply = site.received(0).remove(0).packet;
    assert_eq!(open(DOWNSTREAM[0], reply, &surb), Some(echoed(b"yes")));
    site.net.check_slots();
}

#[test]
fn what_no_plugin_can_be_asked_is_dropped_under_the_names_for_plugins() {
    let (mut site, _there, _back) = with_plugin(1);
    let content = vec![0xA5; geometry().forward_payload_length];
    let recipient = RoutingCommand::Recipient(recipient(PLUGIN));
    let garbage = site.packet(vec![recipient], &content);
    let reply = site.packet(vec![recipient, RoutingCommand::SurbReply([1; 16])], &content);
    [garbage, reply].into_iter().for_each(|packet| site.send(packet));
    site.net.run_for(Duration::from_secs(1));
    let expected = [(DropReason::ServiceCborKaetzchenSurbReply, 1), (DropReason::CborKaetzchenParseForwardFailed, 1)];
    assert_eq!(site.net.drops(), expected);
}
