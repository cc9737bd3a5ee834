//! What the other process sent or left in memory: it may have crashed in the middle of a write, or be another version.

use crate::storm::Dice;
use crate::{Target, Verdict};
use interplane::channel::Channel;
use interplane::counter::{Counters, Direction};
use interplane::event::{Detail, Event, Peer};
use interplane::loops::LoopCounts;
use interplane::memory::{self, SharedMemory};
use interplane::message::{Descriptor, Listener, Order, ToControl, ToData, Transport, VERSION};
use interplane::poison::InFlight;
use interplane::replay::ReplaySet;
use interplane::requests::{Bell, PluginRings, RequestId};
use interplane::ring::EventRings;
use interplane::roll::{LinkReport, LinkState, Passed, Roll};
use interplane::secret::{SecretBytes, Secrets};
use interplane::setup::{Limits, Machine, Times};
use interplane::snapshot::{ClientDocument, EncodedDocument, Handler, Service, Snapshot};
use interplane::{DropReason, Setup};
use pki::neighbours::Role;
use pki::policy::{self, PeerCredentials, View};
use pki::{Epoch, EpochClock};
use rustix::fd::{AsFd, BorrowedFd};
use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags};
use serde::Serialize;
use serde::de::DeserializeOwned;
use service::BuiltIn;
use std::mem::MaybeUninit;
use std::sync::atomic::Ordering;
use std::time::Duration;

/// Messages to the data plane: one byte with the number of descriptors, then the message with their meanings.
pub const TO_DATA: Target = Target { name: "interplane_to_data", run: to_data, seeds: messages_to_data };
/// Messages to the control plane, in the same form.
pub const TO_CONTROL: Target = Target { name: "interplane_to_control", run: to_control, seeds: messages_to_control };
/// The bytes of a snapshot.
pub const SNAPSHOT: Target = Target { name: "interplane_snapshot", run: snapshot, seeds: snapshots };
/// The bytes of what is said of links.
pub const ROLL: Target = Target { name: "interplane_roll", run: roll, seeds: rolls };
/// The bytes of secrets.
pub const SECRETS: Target = Target { name: "interplane_secrets", run: secrets, seeds: secret_files };
/// Shared memory of every kind, from its first word.
pub const MEMORY: Target = Target { name: "interplane_memory", run: attach, seeds: memories };
/// A ring of events: changes of words, each four bytes of place and eight of value.
pub const EVENTS: Target = Target { name: "interplane_events", run: events, seeds: || vec![Vec::new(), vec![0; 12]] };

const DESCRIPTORS_MAX: usize = 4;

fn setup() -> Setup {
    Setup {
        name: "mix1".into(),
        node_id: [1; 32],
        role: Role::Mix,
        geometry: sphinx::Geometry::nike("x25519", 100, 3, true).expect("a sound geometry"),
        wire_kem: "XWING".into(),
        epoch_period: EpochClock::PERIOD,
        times: Times::default(),
        limits: Limits::default(),
        clients: interplane::setup::Clients::default(),
        machine: Machine::default(),
        sends_decoys: false,
        populates_replay_sets: false,
        replay_buckets: 1000,
    }
}

/// A message as the channel encodes it.
fn encoded<M: Serialize>(descriptors: &[Descriptor], message: &M) -> Vec<u8> {
    [vec![descriptors.len() as u8], postcard::to_stdvec(&(descriptors, message)).expect("small")].concat()
}

fn messages_to_data() -> Vec<Vec<u8>> {
    let listener = Listener { address: ([127, 0, 0, 1], 3219).into(), transport: Transport::Tcp };
    let attach = ToData::Attach { setup: Box::new(setup()), refused: vec![[7; 32]] };
    let memories = [Descriptor::Counters, Descriptor::Events, Descriptor::InFlight, Descriptor::Listener(listener)];
    let keys = ToData::Keys { epochs: vec![Epoch(1000), Epoch(1001)] };
    let sets = [Descriptor::Secrets, Descriptor::ReplaySet { epoch: Epoch(1000) }];
    vec![
        encoded(&[], &ToData::Hello { version: VERSION }),
        encoded(&memories, &attach),
        encoded(&[Descriptor::Snapshot { serial: 3 }], &ToData::Publish { serial: 3 }),
        encoded(&sets, &keys),
        encoded(&[Descriptor::Remembered], &ToData::Remember),
        encoded(&[], &ToData::Ping { number: 7 }),
        encoded(&[], &ToData::Adjust { number: 7, to: setup().adjustable() }),
        encoded(&[], &ToData::CallRoll { number: 7 }),
        encoded(&[], &ToData::Stop),
    ]
}

fn messages_to_control() -> Vec<Vec<u8>> {
    let epochs = vec![Epoch(1000)];
    let state =
        ToControl::State { version: VERSION, setup: Some(Box::new(setup())), serial: 3, epochs: epochs.clone() };
    vec![
        encoded(&[Descriptor::Snapshot { serial: 3 }, Descriptor::Secrets], &state),
        encoded(&[], &ToControl::Attached),
        encoded(&[], &ToControl::Applied { serial: 3 }),
        encoded(&[], &ToControl::KeysLoaded { epochs, locked: true }),
        encoded(&[], &ToControl::Failed { order: Order::Keys, reason: "no".into() }),
        encoded(&[], &ToControl::Pong { number: 7 }),
        encoded(&[], &ToControl::Adjusted { number: 7 }),
        encoded(&[Descriptor::Roll], &ToControl::Roll { number: 7 }),
        encoded(&[], &ToControl::Ending),
        encoded(&[], &ToControl::Stopped { account: Default::default() }),
    ]
}

/// Sends the bytes through a real channel, with as many descriptors as the first byte says.
fn receive<M: DeserializeOwned>(data: &[u8]) -> Option<M> {
    let (ours, theirs) = Channel::pair().expect("a pair of sockets");
    let (count, bytes) = data.split_first()?;
    let fds = [theirs.as_fd(); DESCRIPTORS_MAX];
    let fds: &[BorrowedFd<'_>] = &fds[..usize::from(*count) % (DESCRIPTORS_MAX + 1)];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(DESCRIPTORS_MAX))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    assert!(fds.is_empty() || control.push(SendAncillaryMessage::ScmRights(fds)), "room for the descriptors");
    let parts = [rustix::io::IoSlice::new(bytes)];
    rustix::net::sendmsg(&theirs, &parts, &mut control, SendFlags::DONTWAIT).expect("an empty socket takes a message");
    let received = ours.try_recv::<M>().ok()??;
    assert_eq!(received.attachments.len(), fds.len(), "a descriptor was lost");
    Some(received.message)
}

fn to_data(data: &[u8]) -> Verdict {
    let message = receive::<ToData>(data);
    if let Some(ToData::Attach { setup, .. }) = &message {
        check_setup(setup);
    }
    Verdict::of(message.is_some())
}

fn to_control(data: &[u8]) -> Verdict {
    let message = receive::<ToControl>(data);
    match &message {
        Some(ToControl::State { setup: Some(setup), .. }) => check_setup(setup),
        Some(ToControl::Stopped { account }) => drop(account.difference()),
        _ => {}
    }
    Verdict::of(message.is_some())
}

fn check_setup(setup: &Setup) {
    if setup.check().is_ok() {
        assert!(setup.epoch_clock().is_ok_and(|clock| clock.now(Duration::from_secs(1_800_000_000)).is_ok()));
    }
}

fn snapshots() -> Vec<Vec<u8>> {
    let view = View::new(Role::Mix, Vec::new());
    let document = EncodedDocument { raw: vec![1; 20], gzip: vec![2; 10], chunk_bytes: 4 };
    let empty =
        Snapshot { serial: 1, view, delay_ms_max: Vec::new(), client_documents: Vec::new(), services: Vec::new() };
    let full = Snapshot {
        serial: 2,
        view: crate::directory::view(),
        delay_ms_max: vec![(Epoch(999), 5000), (Epoch(1000), 6000)],
        client_documents: vec![
            ClientDocument { epoch: Epoch(1000), document: Some(document) },
            ClientDocument { epoch: Epoch(999), document: None },
        ],
        services: vec![Service { recipient: [1; 32], handler: Handler::BuiltIn(BuiltIn::Echo) }],
    };
    [empty, full].map(|snapshot| postcard::to_stdvec(&snapshot).expect("small")).into()
}

fn rolls() -> Vec<Vec<u8>> {
    let link = LinkReport {
        node: [7; 32],
        direction: Direction::Outgoing,
        shard: 1,
        transport: Some(Transport::Quic),
        state: LinkState::Up,
        may_send: true,
        state_ms: 5,
        last_packet_ms: Some(3),
        queued: 1,
        sealed: 2,
        stalled_ms: None,
        failures: 0,
        all: Passed { packets: 9, too_late: 1, dropped: 0 },
        lately: Passed::default(),
    };
    vec![postcard::to_stdvec(&Roll(vec![link])).expect("small")]
}

fn roll(data: &[u8]) -> Verdict {
    let fd = memory::seal("fuzz", data).expect("a memfd");
    let Ok(roll) = Roll::open(&fd) else { return Verdict::Refused };
    let _ = roll.0.iter().filter(|link| link.is_slow()).count();
    Verdict::Accepted
}

fn snapshot(data: &[u8]) -> Verdict {
    let fd = memory::seal("fuzz", data).expect("a memfd");
    let Ok(snapshot) = Snapshot::open(&fd) else { return Verdict::Refused };
    let _ = (snapshot.delay_ms_max(Epoch(1000)), snapshot.service(&[1; 32]));
    if let Some(document) = snapshot.client_document(Epoch(1000)).and_then(|answer| answer.document.as_ref()) {
        assert_eq!(document.chunks().map(<[u8]>::len).sum::<usize>(), document.gzip.len());
    }
    // Documents need not be in order here: nothing that was found may be wrong, but it may be nothing.
    let clock = EpochClock::default();
    let now = clock.now(clock.start(Epoch(1000))).expect("after epoch 0");
    let nodes: Vec<_> = snapshot.view.documents().iter().flat_map(|map| map.nodes()).take(8).collect();
    for node in nodes {
        let peer = PeerCredentials { additional_data: &node.id, link_key: &node.link_key };
        let _ = policy::classify_incoming(&snapshot.view, peer, &now);
        let _ = policy::destination(&snapshot.view, &node.id, &now);
    }
    let _ = policy::destinations(&snapshot.view, &now);
    Verdict::Accepted
}

fn secret_files() -> Vec<Vec<u8>> {
    let key = |byte| SecretBytes::new(&[byte; 32]).expect("a short key");
    let secrets = Secrets { link_private_key: key(1), mix_keys: vec![(Epoch(1000), key(2)), (Epoch(1001), key(3))] };
    let bytes = postcard::to_stdvec(&secrets).expect("small");
    vec![[&(bytes.len() as u64).to_le_bytes()[..], &bytes].concat()]
}

fn secrets(data: &[u8]) -> Verdict {
    let Ok((memory, fd)) = SharedMemory::create("fuzz", data.len()) else { return Verdict::Refused };
    memory.store(data);
    let Ok(secrets) = Secrets::open(&fd) else { return Verdict::Refused };
    let _ = secrets.is_locked();
    let again = secrets.to_file().expect("no more than there was");
    let again = Secrets::open(&again).expect("our own secrets");
    assert_eq!(again.link_private_key.expose(), secrets.link_private_key.expose());
    assert_eq!(again.mix_keys.len(), secrets.mix_keys.len());
    Verdict::Accepted
}

/// The first words of memory of each kind; the rest is zero.
fn memories() -> Vec<Vec<u8>> {
    let (_, counters) = Counters::create(1).expect("memory");
    let (_, events) = EventRings::create(1).expect("memory");
    let (_, in_flight) = InFlight::create(1).expect("memory");
    let (_, replay) = ReplaySet::create(1000, 1000, [4; 16]).expect("memory");
    let (_, plugins) = PluginRings::create(1, 10).expect("memory");
    let (_, loops) = LoopCounts::create().expect("memory");
    [counters, events, in_flight, replay, plugins, loops]
        .map(|fd| {
            let memory = SharedMemory::attach(&fd, "fuzz").expect("our own memory");
            let mut bytes = vec![0; 64.min(memory.bytes())];
            memory.load(&mut bytes);
            bytes
        })
        .into()
}

fn attach(data: &[u8]) -> Verdict {
    // As large as the largest of the seeds needs, so that sizes are not all that is wrong.
    const BYTES: usize = 1 << 18;
    // Pages that nobody touches cost nothing.
    const LOOPS_BYTES: usize = 6 << 20;
    let bytes = if data.starts_with(b"kz-loops") { LOOPS_BYTES } else { BYTES };
    let Ok((memory, fd)) = SharedMemory::create("fuzz", data.len().max(bytes)) else { return Verdict::Refused };
    memory.store(data);
    let mut accepted = false;
    if let Ok(counters) = Counters::attach(&fd) {
        accepted = true;
        let _ = counters.account_total();
        let _ = counters.settle_after_crash();
    }
    if let Ok(rings) = PluginRings::attach(&fd)
        && let Ok(bell) = Bell::new()
        && let Some(mut shard) = rings.shard(0, bell.clone())
    {
        accepted = true;
        rings.requests().take(100, |_| ());
        shard.answers(100, |_, _| ());
        let id = RequestId::new(0, 1, 2);
        assert!(rings.answers(bell).give(id, b""));
        let mut answers = 0;
        shard.answers(1, |found, answer| answers += u32::from(found == id && answer.is_empty()));
        assert_eq!(answers, 1);
    }
    if let Ok(counts) = LoopCounts::attach(&fd) {
        accepted = true;
        let _ = counts.epochs();
        counts.writer().sent(Epoch(1000), &[7; 64]);
        let _ = counts.read(Epoch(1000));
    }
    if let Ok(rings) = EventRings::attach(&fd) {
        accepted = true;
        let _ = rings.dropped();
        rings.reader().drain(|_, _| {});
        rings.process().write(&Event::NoDocument);
    }
    if let Ok(in_flight) = InFlight::attach(&fd) {
        accepted = true;
        let _ = in_flight.take();
    }
    if let Ok(set) = ReplaySet::attach(&fd) {
        accepted = true;
        let _ = (set.insert(&[5; 32]), set.contains(&[6; 32]), set.fill());
    }
    Verdict::of(accepted)
}

/// Some events, in some places of the ring.
fn fill(rings: &EventRings, dice: &mut Dice) {
    let mut writer = rings.shard(0).expect("shard 0");
    for _ in 0..dice.below(40) {
        let peer = Peer { id: Some([1; 32]), address: Some(([192, 0, 2, 1], 3219).into()) };
        writer.write(&Event::AcceptFailed { detail: Detail::new("x".repeat(dice.below(200))) });
        writer.write(&Event::PacketDropped { reason: DropReason::ALL[dice.below(DropReason::ALL.len())] });
        writer.write(&Event::LinkUp { direction: interplane::counter::Direction::Incoming, peer });
        if dice.below(4) == 0 {
            rings.reader().drain(|_, _| {});
        }
    }
}

fn events(data: &[u8]) -> Verdict {
    let (rings, fd) = EventRings::create(1).expect("memory");
    let memory = SharedMemory::attach(&fd, "fuzz").expect("our own memory");
    let mut dice = Dice::new(data.len() as u64);
    fill(&rings, &mut dice);
    let words = memory.words();
    let (changes, _) = data.as_chunks::<12>();
    for change in changes {
        let (place, value) = change.split_first_chunk().map_or(([0; 4], &change[..]), |(place, value)| (*place, value));
        let value = u64::from_le_bytes(value.try_into().unwrap_or_default());
        // Mostly the positions and the first records, where it hurts.
        let place = u32::from_le_bytes(place) as usize;
        let place = if place.is_multiple_of(4) { place / 4 % 80 } else { place } % words.len();
        words[place].store(value, Ordering::Relaxed);
    }
    let mut reader = rings.reader();
    let mut taken = 0u32;
    reader.drain(|ring, event| {
        assert!(ring < 2, "an event of no ring");
        let _ = event.level();
        taken += 1;
    });
    assert!(taken <= 20_000, "more events than a ring holds");
    // Whatever was there, the next event comes through.
    let mut found = false;
    rings.shard(0).expect("shard 0").write(&Event::NoDocument);
    rings.reader().drain(|_, event| found |= event == Event::NoDocument);
    assert!(found, "the ring is stuck");
    Verdict::of(reader.damaged() == 0)
}
