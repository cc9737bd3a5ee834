//! Authorities and nodes in one thread, under a clock that only moves when nothing is left to be done.

use super::*;
use crate::authority::DocumentVerifier;
use crate::certificate::Certificate;
use crate::epoch::EpochClock;
use crypto_simd::random::SeededRandom;
use std::collections::{BTreeSet, VecDeque};
use std::sync::atomic::{AtomicUsize, Ordering};

/// The first epoch in which votes are made.
pub(super) const FIRST: Epoch = Epoch(1000);

/// A message on its way.
#[derive(Clone, Debug)]
pub(super) struct Flight {
    pub(super) from: usize,
    pub(super) to: usize,
    pub(super) message: Message,
    /// How long it takes.
    pub(super) delay: Duration,
}

/// What becomes of a message: nothing, itself, or others instead.
pub(super) type Weather = Box<dyn FnMut(Flight) -> Vec<Flight>>;

enum Event {
    Arrives(Flight),
    /// An authority's fetch reaches the others.
    Fetches {
        who: usize,
        epoch: Epoch,
    },
    /// Nodes upload for the epoch after this one.
    Uploads,
}

/// Whether the node with this seed reaches this authority for this epoch.
pub(super) type Reach = Box<dyn Fn(u8, usize, Epoch) -> bool>;

pub(super) struct Network {
    pub(super) clock: EpochClock,
    pub(super) now: Duration,
    pub(super) authorities: Vec<Option<Voting>>,
    pub(super) configurations: Vec<Arc<Configuration>>,
    pub(super) stores: Vec<BTreeMap<StoreKey, Vec<u8>>>,
    pub(super) weather: Weather,
    pub(super) reach: Reach,
    /// Who is cut off from everybody.
    pub(super) silent: BTreeSet<usize>,
    pub(super) published: BTreeMap<Epoch, BTreeMap<usize, Arc<[u8]>>>,
    pub(super) notices: Vec<(usize, Notice)>,
    pub(super) replies: Vec<(Flight, Status)>,
    pub(super) random: SeededRandom,
    events: BTreeMap<(Duration, u64), Event>,
    number: u64,
}

impl Network {
    /// `count` authorities over three layers of one mix.
    pub(super) fn new(count: u8) -> Self {
        Self::with((0..count).map(|own| configuration(count, own.into(), 3, 1)).collect(), [0; 32])
    }

    pub(super) fn with(configurations: Vec<Configuration>, seed: [u8; 32]) -> Self {
        let clock = EpochClock::with_period(Duration::from_secs(32)).expect("a period");
        let mut network = Self {
            clock,
            now: clock.start(FIRST.before(1)),
            authorities: configurations.iter().map(|_| None).collect(),
            stores: configurations.iter().map(|_| BTreeMap::new()).collect(),
            configurations: configurations.into_iter().map(Arc::new).collect(),
            weather: Box::new(|flight| vec![flight]),
            reach: Box::new(|_, _, _| true),
            silent: BTreeSet::new(),
            published: BTreeMap::new(),
            notices: Vec::new(),
            replies: Vec::new(),
            random: SeededRandom::new(&seed),
            events: BTreeMap::new(),
            number: 0,
        };
        (0..network.authorities.len()).for_each(|who| network.start(who));
        let uploads = network.now + network.clock.period() / 50;
        network.plan(uploads, Event::Uploads);
        network
    }

    pub(super) fn time(&self) -> EpochTime {
        self.clock.now(self.now).expect("after epoch 0")
    }

    pub(super) fn kill(&mut self, who: usize) {
        self.authorities[who] = None;
    }

    /// Starts an authority with what its store holds.
    pub(super) fn start(&mut self, who: usize) {
        let stored = self.stores[who].iter().map(|(key, value)| (*key, value.clone())).collect();
        let signer = signer(AUTHORITY + u8::try_from(who).expect("few authorities"));
        let voting = Voting::new(self.configurations[who].clone(), signer, stored, &self.time());
        self.authorities[who] = Some(voting.expect("a configuration to vote with"));
    }

    pub(super) fn get(&self, who: usize) -> &Voting {
        self.authorities[who].as_ref().expect("a running authority")
    }

    fn plan(&mut self, at: Duration, event: Event) {
        self.number += 1;
        self.events.insert((at, self.number), event);
    }

    /// Lets time pass until `until`, with all that happens before.
    pub(super) fn run_until(&mut self, until: Duration) {
        loop {
            let deadlines = self.authorities.iter().flatten().map(|voting| voting.next_deadline().max(self.now));
            let events = self.events.keys().next().map(|(at, _)| *at);
            let next = deadlines.chain(events).min().unwrap_or(until);
            if next > until {
                break;
            }
            self.now = self.now.max(next);
            self.happen();
            for who in 0..self.authorities.len() {
                self.poll(who);
            }
        }
        self.now = self.now.max(until);
    }

    /// Until the given part of the epoch before `epoch` has passed.
    pub(super) fn run_to(&mut self, epoch: Epoch, eighths: u32) {
        self.run_until(self.clock.start(epoch.before(1)) + self.clock.period() * eighths / 8);
    }

    /// Through the vote for `epoch`; what everybody has published for it.
    pub(super) fn vote(&mut self, epoch: Epoch) -> BTreeMap<usize, Arc<[u8]>> {
        self.run_to(epoch, 6);
        self.published.get(&epoch).cloned().unwrap_or_default()
    }

    fn happen(&mut self) {
        while let Some(entry) = self.events.first_entry() {
            if entry.key().0 > self.now {
                break;
            }
            match entry.remove() {
                Event::Arrives(flight) => self.arrive(flight),
                Event::Fetches { who, epoch } => self.fetch(who, epoch),
                Event::Uploads => {
                    self.upload_all();
                    self.plan(self.now + self.clock.period(), Event::Uploads);
                }
            }
        }
    }

    pub(super) fn poll(&mut self, who: usize) {
        let (now, random) = (self.time(), &mut self.random);
        let Some(voting) = self.authorities[who].as_mut() else { return };
        if voting.next_deadline() <= now.unix {
            let outputs = voting.poll(&now, random);
            assert!(voting.next_deadline() > now.unix, "authority {who} would be polled for ever");
            self.carry_out(who, outputs);
        }
    }

    fn carry_out(&mut self, who: usize, outputs: Vec<Output>) {
        for output in outputs {
            match output {
                Output::Store { key, value } => drop(self.stores[who].insert(key, value.to_vec())),
                Output::Prune { before } => self.stores[who].retain(|key, _| key.epoch() >= before),
                Output::Send { to, message, last_try, deadline } => {
                    assert!(!to.contains(&who) && last_try < deadline && self.now < deadline);
                    to.into_iter().for_each(|to| self.send(who, to, message.clone()));
                }
                Output::Fetch { epoch, deadline } => {
                    assert!(deadline > self.now);
                    let delay = self.delay();
                    self.plan(self.now + delay, Event::Fetches { who, epoch });
                }
                Output::Published { epoch, raw, .. } => {
                    self.published.entry(epoch).or_default().insert(who, raw);
                }
                Output::Notice(notice) => {
                    assert!(!notice.to_string().is_empty());
                    self.notices.push((who, notice));
                }
            }
        }
    }

    /// 5 to 100 ms.
    fn delay(&mut self) -> Duration {
        let mut byte = [0];
        self.random.fill(&mut byte);
        Duration::from_millis(5 + u64::from(byte[0]) * 95 / 255)
    }

    fn send(&mut self, from: usize, to: usize, message: Message) {
        let delay = self.delay();
        let flights = (self.weather)(Flight { from, to, message, delay });
        for flight in flights {
            if !self.silent.contains(&from) && !self.silent.contains(&to) {
                self.plan(self.now + flight.delay, Event::Arrives(flight));
            }
        }
    }

    fn arrive(&mut self, flight: Flight) {
        let request = Request::Message(flight.message.clone());
        let reply = self.ask(flight.to, Peer::Authority(flight.from), request);
        if let Some(Reply::MessageStatus { kind, status }) = reply {
            assert_eq!(kind, flight.message.kind);
            self.replies.push((flight, status));
        }
    }

    /// A request of a peer, as a process would serve it.
    pub(super) fn ask(&mut self, who: usize, peer: Peer, request: Request) -> Option<Reply> {
        let now = self.time();
        let voting = self.authorities[who].as_mut()?;
        assert!(peer.may_send(&request));
        let inspected = voting.configuration().clone().inspect(&peer, request, &now);
        let handled = voting.handle(inspected, &now);
        self.carry_out(who, handled.outputs);
        Some(handled.reply)
    }

    fn fetch(&mut self, who: usize, epoch: Epoch) {
        let now = self.time();
        if self.silent.contains(&who) || self.authorities[who].is_none() {
            return;
        }
        let others = self.configurations[who].others();
        let others: VecDeque<usize> = others.into_iter().filter(|other| !self.silent.contains(other)).collect();
        let found = others.iter().filter_map(|other| self.authorities[*other].as_ref());
        let raw = found.filter_map(|voting| voting.documents().answer(epoch, &now).1).next();
        let configuration = &self.configurations[who];
        let verifier = DocumentVerifier {
            authorities: configuration.authorities.clone(),
            geometry_hash: configuration.geometry_hash,
        };
        if let Some(raw) = raw
            && let Ok(consensus) = verifier.verify(raw, epoch, now.epoch)
        {
            let outputs = self.authorities[who].as_mut().map(|voting| voting.handle_fetched(consensus));
            self.carry_out(who, outputs.unwrap_or_default());
        }
    }

    /// Every configured node and replica posts to every authority that it reaches.
    fn upload_all(&mut self) {
        let epoch = self.time().epoch.after(1);
        let configuration = self.configurations[0].clone();
        let nodes = configuration.mixes.iter().chain(&configuration.gateways).chain(&configuration.service_nodes);
        let seeds: Vec<u8> = nodes.filter_map(|node| node.name.strip_prefix("node")?.parse().ok()).collect();
        for who in 0..self.authorities.len() {
            for seed in seeds.iter().filter(|seed| (self.reach)(**seed, who, epoch)).copied().collect::<Vec<_>>() {
                let payload = upload(seed, fixture::descriptor(seed, epoch));
                self.ask(who, Peer::Node(fixture::id(seed)), Request::PostDescriptor { epoch, payload });
            }
            for id in (0..2).filter(|id| (self.reach)(REPLICA + id, who, epoch)).collect::<Vec<_>>() {
                let payload = replica_upload(id, replica_descriptor(id, epoch));
                let peer = Peer::Replica(fixture::id(REPLICA + id));
                self.ask(who, peer, Request::PostReplicaDescriptor { epoch, payload });
            }
        }
    }

    /// The statuses with which one kind of message for `epoch` of one authority was answered.
    pub(super) fn answers(&self, from: usize, kind: MessageKind, epoch: Epoch) -> Vec<Status> {
        let is_it = |flight: &Flight| (flight.from, flight.message.kind, flight.message.epoch) == (from, kind, epoch);
        self.replies.iter().filter(|(flight, _)| is_it(flight)).map(|(_, status)| *status).collect()
    }

    /// The documents that were published for `epoch`, which must all be the same; who has published and how many have
    /// signed each. Panics if two differ.
    pub(super) fn agreed(&self, epoch: Epoch) -> Option<(crate::document::Document, BTreeMap<usize, usize>)> {
        let published = self.published.get(&epoch)?;
        let mut all = BTreeMap::new();
        let mut certified: Option<Vec<u8>> = None;
        for (who, raw) in published {
            let certificate = Certificate::decode(raw).expect("a certificate");
            let keys = self.configurations[*who].authorities.clone();
            let (payload, signers) =
                certificate.verify_threshold(keys.keys(), keys.threshold(), epoch).expect("a threshold of signatures");
            assert_eq!(*certified.get_or_insert_with(|| payload.to_vec()), payload, "epoch {epoch}: two documents");
            all.insert(*who, signers.good.len());
        }
        certified.map(|payload| (crate::document::Document::decode(&payload).expect("a document"), all))
    }
}

#[test]
fn three_authorities_agree_in_every_epoch() {
    let mut network = Network::new(3);
    for epoch in (0..6).map(|n| FIRST.after(n)) {
        assert_eq!(network.vote(epoch).len(), 3, "epoch {epoch}: {:?}", network.notices);
        let (document, signers) = network.agreed(epoch).expect("a consensus");
        assert_eq!(signers, BTreeMap::from([(0, 3), (1, 3), (2, 3)]));
        assert_eq!((document.genesis_epoch, document.topology.len()), (FIRST, 3));
        assert_eq!((document.gateway_nodes.len(), document.service_nodes.len()), (1, 1));
        assert_eq!(document.storage_replicas.len(), 2);
    }
    assert!(network.notices.iter().all(|(_, notice)| notice.level() <= Level::Notice), "{:?}", network.notices);
    // What is stored does not grow.
    let epochs: BTreeSet<Epoch> = network.stores[0].keys().map(StoreKey::epoch).collect();
    assert!(epochs.len() <= 6, "{epochs:?}");
}

/// Signatures may cost a second each: few are left for the moments at which others wait for them.
#[test]
fn what_can_be_signed_in_advance_is() {
    let mut network = Network::new(3);
    let count = Arc::new(AtomicUsize::new(0));
    let signer = CountingSigner { signer: signer(AUTHORITY), count: count.clone() };
    let now = network.time();
    network.authorities[0] =
        Some(Voting::new(network.configurations[0].clone(), Box::new(signer), Vec::new(), &now).expect("good"));
    for epoch in [FIRST, FIRST.after(1)] {
        let signatures = [0, 1, 2, 3, 4, 5].map(|eighths| {
            network.run_to(epoch, eighths);
            count.swap(0, Ordering::Relaxed)
        });
        assert_eq!(signatures, [2, 1, 0, 1, 2, 0], "{epoch}");
        network.agreed(epoch).expect("a consensus");
    }
}

struct CountingSigner {
    signer: Box<dyn SignatureSigningKey>,
    count: Arc<AtomicUsize>,
}

impl SignatureSigningKey for CountingSigner {
    fn scheme(&self) -> &'static dyn crypto_simd::schemes::Signature {
        self.signer.scheme()
    }

    fn public_key(&self) -> &[u8] {
        self.signer.public_key()
    }

    fn sign(&self, message: &[u8], random: &mut dyn Random) -> Vec<u8> {
        self.count.fetch_add(1, Ordering::Relaxed);
        self.signer.sign(message, random)
    }
}

/// pki.md 9.7 with a margin that short epochs can spare.
#[test]
fn no_try_begins_at_the_end_of_a_phase() {
    for (period, margin) in
        [(1200, Duration::from_secs(5)), (30, Duration::from_millis(937) + Duration::from_micros(500))]
    {
        let clock = EpochClock::with_period(Duration::from_secs(period)).expect("a period");
        let mut now = clock.now(clock.start(FIRST)).expect("a time");
        let mut voting =
            Voting::new(Arc::new(configuration(3, 0, 3, 1)), signer(AUTHORITY), Vec::new(), &now).expect("good");
        voting.poll(&now, &mut fixture::random());
        now = clock.now(voting.next_deadline().max(now.at(1, 8))).expect("a time");
        let outputs = voting.poll(&now, &mut fixture::random());
        let sent = outputs.into_iter().find_map(|output| match output {
            Output::Send { to, last_try, deadline, .. } => Some((to, last_try, deadline)),
            _ => None,
        });
        assert_eq!(sent, Some((vec![1, 2], now.at(2, 8) - margin, now.at(2, 8))));
    }
}
