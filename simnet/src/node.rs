//! One node: its shards, which are the ones that ship, and around it what its control plane does, by `pki::publish`. What
//! the two processes hand to each other stays here while either of them is down.

use crate::air::SharedAir;
use crate::members::{ENDPOINT, NodeKeys, Shape, draw};
use crate::twin::Twin;
use crypto_simd::random::SeededRandom;
use dataplane::shared::keys::{EpochKey, KeyRing};
use dataplane::{Facts, Instant, Instruments, Shard, Shared};
use interplane::counter::{Account, Counters};
use interplane::event::{Event, Peer};
use interplane::loops::LoopCounts;
use interplane::poison::InFlight;
use interplane::ring::{EventReader, EventRings};
use interplane::setup::{Clients, Limits, Machine, Times};
use interplane::snapshot::{ClientDocument, EncodedDocument, Handler, Service, Snapshot};
use interplane::{Counter, DropReason, ReplaySet, Setup};
use pki::descriptor::{LoopStats, MixDescriptor, OwnProfile, SignedUpload};
use pki::document::Consensus;
use pki::neighbours::{NeighbourMap, Role};
use pki::policy::View;
use pki::publish::{StoredUpload, Worker};
use pki::{Epoch, EpochClock, EpochTime, MIX_KEY_EPOCHS};
use sphinx::{Geometry, MixKey};
use std::collections::BTreeMap;
use std::sync::Arc;
use wire::CommandSizes;
use wire::consensus2::Packed;

/// Buckets of a replay set: far more than there are packets in an epoch.
const REPLAY_BUCKETS: u64 = 1 << 10;
/// Packet slots of a shard.
pub const SLOTS: u32 = 1 << 9;

/// A document that a node holds.
struct Held {
    raw: Arc<[u8]>,
    map: NeighbourMap,
    packed: Option<Packed>,
}

/// One node.
pub struct Node {
    /// Its identity.
    pub keys: NodeKeys,
    /// How it sees the world.
    pub air: SharedAir,
    /// The control plane's schedule; none while that process is down.
    pub worker: Option<Worker>,
    /// Grows with each start of the control plane: what was under way for an earlier one is lost.
    pub generation: u64,
    /// The data plane; none while that process is down.
    pub plane: Option<Arc<Shared>>,
    setup: Setup,
    counters: Counters,
    events: EventRings,
    reader: EventReader,
    drops_told: Vec<(DropReason, u64)>,
    in_flight: InFlight,
    loops: Option<LoopCounts>,
    mix_keys: BTreeMap<Epoch, EpochKey>,
    /// Tags in replay sets that are gone.
    tags_of_old: u64,
    documents: BTreeMap<Epoch, Held>,
    serial: u64,
    stored: Option<StoredUpload>,
    random: SeededRandom,
}

impl Node {
    /// A node of which neither process runs.
    pub fn new(
        keys: NodeKeys,
        geometry: &Geometry,
        shape: Shape,
        clock: EpochClock,
        air: SharedAir,
        random: SeededRandom,
    ) -> Self {
        let shards = usize::from(shape.shards);
        let events = EventRings::heap(shards);
        let setup = Setup {
            name: keys.own.name.clone(),
            node_id: keys.id,
            role: keys.own.role,
            geometry: geometry.clone(),
            wire_kem: crate::members::link_kem().info().name.into(),
            epoch_period: clock.period(),
            times: Times::default(),
            limits: Limits::default(),
            clients: Clients::default(),
            machine: Machine { shards: shape.shards.into(), slots_per_shard: SLOTS, ..Machine::default() },
            sends_decoys: shape.decoys,
            populates_replay_sets: false,
            replay_buckets: REPLAY_BUCKETS,
        };
        Self {
            keys,
            air,
            worker: None,
            generation: 0,
            plane: None,
            setup,
            counters: Counters::heap(shards),
            reader: events.reader(),
            drops_told: Vec::new(),
            events,
            in_flight: InFlight::heap(shards),
            loops: shape.decoys.then(|| LoopCounts::create().expect("anonymous memory").0),
            mix_keys: BTreeMap::new(),
            tags_of_old: 0,
            documents: BTreeMap::new(),
            serial: 0,
            stored: None,
            random,
        }
    }

    /// The control plane starts with what the data plane has kept of the last one.
    pub fn start_control(&mut self, authorities: usize) {
        self.generation += 1;
        let mut worker = Worker::new(authorities, self.stored.clone());
        worker.set_advertising(true);
        self.documents.keys().for_each(|epoch| worker.handle_document(*epoch));
        self.worker = Some(worker);
    }

    /// The control plane ends without a word.
    pub fn kill_control(&mut self) {
        self.worker = None;
    }

    /// The data plane starts, and is given what the control plane has for it.
    pub fn start_plane(&mut self, now: Instant) -> Vec<Shard> {
        let facts = Facts::new(&self.setup).expect("a sound setup");
        let mut shared = Shared::new(facts, Vec::new());
        if self.setup.sends_decoys {
            shared = shared.with_decoys(draw(&mut self.random));
        }
        let shared = Arc::new(shared);
        let mut shards = Vec::new();
        for index in 0..usize::from(self.setup.machine.shards) {
            let instruments = Instruments {
                counters: self.counters.shard(index).expect("a row"),
                events: self.events.shard(index).expect("a ring"),
                in_flight: self.in_flight.shard(index).expect("a place"),
                plugins: None,
                loops: self.loops.clone(),
            };
            let shard = Shard::new(index, shared.clone(), instruments, draw(&mut self.random), now);
            shards.push(shard.expect("a sound setup"));
        }
        self.plane = Some(shared);
        self.give_keys();
        self.give_documents();
        shards
    }

    /// The data plane ends without a word, with all packets in it; gives how many.
    pub fn kill_plane(&mut self) -> u64 {
        self.plane = None;
        self.counters.settle_after_crash()
    }

    /// All is lost that its two processes had together: nothing of it is on a disk.
    pub fn forget(&mut self) {
        self.tags_of_old += self.mix_keys.values().map(|key| key.replays.fill().tags).sum::<u64>();
        self.mix_keys.clear();
        self.documents.clear();
        self.stored = None;
    }

    /// Forgets which packets it has had, as no node may.
    #[cfg(test)]
    pub fn lose_tags(&mut self) {
        for key in self.mix_keys.values_mut() {
            key.replays = Arc::new(ReplaySet::heap(key.epoch.0, REPLAY_BUCKETS, [1; 16]));
        }
        self.give_keys();
    }

    /// Somebody who has this node's keys and its document of this epoch, if it has one.
    pub fn twin(&mut self, epoch: Epoch, now: Instant) -> Option<Twin> {
        let map = self.documents.get(&epoch)?.map.clone();
        let facts = Facts::new(&self.setup).expect("a sound setup");
        let random = SeededRandom::new(&draw(&mut self.random));
        Some(Twin::new(facts, self.keys.link_key.clone(), map, now, random))
    }

    /// Makes those keys from `first` on that are missing.
    pub fn make_keys(&mut self, first: Epoch) {
        for epoch in (0..MIX_KEY_EPOCHS).map(|n| first.after(n)) {
            if !self.mix_keys.contains_key(&epoch) {
                let key = MixKey::new(&self.setup.geometry, &draw(&mut self.random)).expect("32 bytes are a key");
                let mut hash_key = [0; 16];
                hash_key.copy_from_slice(&draw(&mut self.random)[..16]);
                let replays = Arc::new(ReplaySet::heap(epoch.0, REPLAY_BUCKETS, hash_key));
                self.mix_keys.insert(epoch, EpochKey { epoch, key: Arc::new(key), replays });
            }
        }
        self.give_keys();
    }

    /// Wipes keys of epochs outside.
    pub fn prune_keys(&mut self, before: Epoch, after: Option<Epoch>) {
        let is_kept = |epoch: &Epoch| *epoch >= before && after.is_none_or(|after| *epoch <= after);
        let gone = self.mix_keys.iter().filter(|(epoch, _)| !is_kept(epoch));
        self.tags_of_old += gone.map(|(_, key)| key.replays.fill().tags).sum::<u64>();
        self.mix_keys.retain(|epoch, _| is_kept(epoch));
        self.give_keys();
    }

    /// Makes the upload for an epoch, the same bytes for every authority.
    pub fn prepare(&mut self, epoch: Epoch, now: &EpochTime) {
        self.make_keys(epoch);
        let public = self.mix_keys.iter().map(|(epoch, key)| (*epoch, key.key.public_key().to_vec())).collect();
        let descriptor = MixDescriptor::of_node(&self.keys.own, &self.profile(), epoch, &public).expect("well formed");
        let stats = LoopStats { epoch, mix_identity_hash: Some(descriptor.id()), segment_ratios: None };
        let upload = SignedUpload::sign(descriptor, stats, &*self.keys.signer, &mut self.random).expect("its own key");
        let payload: Arc<[u8]> = upload.encode().into();
        let Some(worker) = &mut self.worker else { return };
        if worker.handle_prepared(epoch, payload.clone(), now).is_ok() {
            self.stored = Some(StoredUpload { epoch, payload, published: false });
        }
    }

    /// Enough authorities have the upload.
    pub fn published(&mut self, epoch: Epoch) {
        if let Some(stored) = self.stored.as_mut().filter(|stored| stored.epoch == epoch) {
            stored.published = true;
        }
    }

    /// A document was fetched and verified.
    pub fn take_document(&mut self, consensus: &Consensus) {
        let epoch = consensus.epoch();
        let Some(worker) = &mut self.worker else { return };
        let Ok(map) = NeighbourMap::new(consensus, &self.keys.own) else {
            worker.handle_unusable(epoch);
            return;
        };
        worker.handle_document(epoch);
        let packed = (self.keys.own.role == Role::Gateway).then(|| {
            let geometry = &self.setup.geometry;
            let reply_bytes = geometry.payload_tag_length + geometry.forward_payload_length;
            let sizes = CommandSizes::mixnet(geometry.packet_length, reply_bytes);
            Packed::new(consensus.raw(), sizes.server_to_client_bytes()).expect("it can be packed")
        });
        self.documents.insert(epoch, Held { raw: consensus.raw().clone(), map, packed });
        self.give_documents();
    }

    /// Lets go of old documents.
    pub fn prune_documents(&mut self, before: Epoch) {
        self.documents.retain(|epoch, _| *epoch >= before);
        self.give_documents();
    }

    /// What it has for clients who ask for an epoch's document.
    pub fn raw_document(&self, epoch: Epoch) -> Option<&Arc<[u8]>> {
        self.documents.get(&epoch).map(|held| &held.raw)
    }

    /// How many documents and mix keys it holds.
    pub fn holdings(&self) -> (usize, usize) {
        (self.documents.len(), self.mix_keys.len())
    }

    /// Where its packets are; so many are in its shards.
    pub fn account(&self, held: u64) -> Account {
        Account { held, ..self.counters.account_total() }
    }

    /// What its data plane has for the log, and what it has dropped since the last question.
    pub fn events(&mut self) -> Vec<String> {
        let mut events = Vec::new();
        self.reader.drain(|_, event| events.push(words(&event)));
        let drops = self.drops();
        let before = |reason: DropReason| self.drops_told.iter().find(|told| told.0 == reason).map_or(0, |told| told.1);
        let new = drops.iter().filter(|(reason, count)| *count > before(*reason));
        events.extend(new.map(|(reason, count)| format!("{} dropped: {}", count - before(*reason), reason.label())));
        self.drops_told = drops;
        events
    }

    /// Packets that are at its data plane for the second time.
    pub fn replays(&self) -> u64 {
        self.counters.total(Counter::dropped(DropReason::Replay))
    }

    /// Packets that it has opened and accepted, and tags of packets that it has ever seen.
    pub fn accepted_and_tags(&self) -> (u64, u64) {
        let tags = self.mix_keys.values().map(|key| key.replays.fill().tags).sum::<u64>();
        (self.counters.total(Counter::UNWRAPS), tags + self.tags_of_old)
    }

    /// Packets that it has dropped, by reason.
    pub fn drops(&self) -> Vec<(DropReason, u64)> {
        let count = |reason: &DropReason| (*reason, self.counters.total(Counter::dropped(*reason)));
        DropReason::ALL.iter().map(count).filter(|(_, count)| *count > 0).collect()
    }

    fn profile(&self) -> OwnProfile {
        let endpoint = BTreeMap::from([("endpoint".to_owned(), ENDPOINT.into())]);
        OwnProfile {
            addresses: BTreeMap::from([("tcp4".to_owned(), vec![self.keys.url()])]),
            services: BTreeMap::from([("echo".to_owned(), Some(endpoint))]),
            ..OwnProfile::default()
        }
    }

    fn give_keys(&self) {
        if let Some(plane) = &self.plane {
            let mix_keys = self.mix_keys.values().cloned().collect();
            plane.publish_keys(KeyRing { link_key: Some(self.keys.link_key.clone()), mix_keys });
        }
    }

    fn give_documents(&mut self) {
        let Some(plane) = &self.plane else { return };
        self.serial += 1;
        let role = self.keys.own.role;
        let client_document = |(epoch, held): (&Epoch, &Held)| {
            let packed = held.packed.as_ref()?;
            let chunk_bytes = u32::try_from(packed.chunk_bytes()).ok()?;
            let document = EncodedDocument { raw: held.raw.to_vec(), gzip: packed.bytes().to_vec(), chunk_bytes };
            Some(ClientDocument { epoch: *epoch, document: Some(document) })
        };
        let echo = Service {
            recipient: service::recipient(ENDPOINT).expect("it fits"),
            handler: Handler::BuiltIn(service::BuiltIn::Echo),
        };
        plane.publish_directory(Snapshot {
            serial: self.serial,
            view: View::new(role, self.documents.values().map(|held| held.map.clone()).collect()),
            delay_ms_max: self
                .documents
                .iter()
                .map(|(epoch, held)| (*epoch, pki::document::delay_cap_ms(held.map.mu)))
                .collect(),
            client_documents: self.documents.iter().filter_map(client_document).collect(),
            services: if role == Role::Service { vec![echo] } else { Vec::new() },
        });
    }
}

/// An event for people who look at a run: addresses instead of ids.
fn words(event: &Event) -> String {
    let of = |peer: &Peer| peer.address.map_or("a client".to_owned(), |address| address.ip().to_string());
    match event {
        Event::LinkUp { direction, peer } => format!("{direction:?} link up: {}", of(peer)),
        Event::LinkDown { direction, peer, end, .. } => format!("{direction:?} link down: {}, {end:?}", of(peer)),
        Event::HandshakeFailed { direction, state, peer, detail } => {
            format!("{direction:?} handshake failed: {}, {state:?}, {detail:?}", of(peer))
        }
        Event::DialFailed { peer, reason, .. } => format!("dial failed: {}, {reason:?}", of(peer)),
        Event::PeerRefused { reason, peer } => format!("peer refused: {}, {reason:?}", of(peer)),
        Event::PacketDropped { reason } => format!("packet dropped: {}", reason.label()),
        other => format!("{other:?}"),
    }
}
