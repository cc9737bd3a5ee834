//! Shards on real threads with real sockets: what one thread cannot show about the queues between them and about
//! parking. Times are loose, because other tests run at the same moment.

use super::net::setup;
use super::nodes::{DOWNSTREAM, EPOCH, Mint, OWN, Order, UPSTREAM, id_of, key_ring, usual_snapshot};
use super::peers::FakePeer;
use super::sockets::{Process, SocketIo};
use crate::io::Io;
use crate::shard::{Instruments, Next, Shard};
use crate::shared::{Facts, Shared};
use crate::time::Instant;
use interplane::counter::{Account, Counters};
use interplane::poison::InFlight;
use interplane::ring::EventRings;
use interplane::{Counter, DropReason};
use std::collections::HashMap;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

fn listener() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.set_nonblocking(true).expect("a socket");
    let address = listener.local_addr().expect("a bound socket");
    (listener, address)
}

/// What all threads of the test use.
#[derive(Clone)]
struct Stage {
    start: std::time::Instant,
    addresses: Arc<HashMap<SocketAddr, SocketAddr>>,
    stop: Arc<AtomicBool>,
}

impl Stage {
    fn io(&self, shard: usize, process: &Arc<Process>, listener: Option<TcpListener>) -> SocketIo {
        SocketIo::new(shard, process, self.start, listener, &self.addresses)
    }

    /// Polls a shard until the end. Sockets cannot wake it, so it sleeps half a millisecond at most, unless it is woken.
    fn run_shard(&self, index: usize, process: &Process, mut shard: Shard, mut io: SocketIo) -> (Shard, SocketIo) {
        process.register(index);
        while !self.stop.load(Ordering::Relaxed) {
            io.gather();
            match shard.poll(&mut io) {
                Next::Busy => {}
                Next::ParkUntil(at) => {
                    let longest = at.since(io.now()).min(Duration::from_micros(500));
                    std::thread::park_timeout(longest);
                }
            }
        }
        (shard, io)
    }

    fn run_peer(&self, peer: &mut FakePeer, mut io: SocketIo) {
        while !self.stop.load(Ordering::Relaxed) {
            io.gather();
            let _ = peer.poll(&mut io);
            std::thread::sleep(Duration::from_micros(500));
        }
    }
}

#[test]
fn three_threads_forward_every_packet_once() {
    const PACKETS: usize = 6000;
    let setup = setup(3);
    let facts = Facts::new(&setup).expect("a sound setup");
    let shared = Arc::new(Shared::new(facts, []));
    shared.publish_keys(key_ring([EPOCH.0]));
    shared.publish_directory(usual_snapshot(1));
    let (counters, events, in_flight) = (Counters::heap(3), EventRings::heap(3), InFlight::heap(3));
    let (own_listener, own_address) = listener();
    let downstream: Vec<_> = DOWNSTREAM.iter().map(|node| (*node, listener())).collect();
    let addresses = downstream.iter().map(|(node, (_, address))| (super::nodes::address_of(*node), *address));
    let stage = Stage {
        start: std::time::Instant::now(),
        addresses: Arc::new(addresses.collect()),
        stop: Arc::new(AtomicBool::new(false)),
    };
    let process = Arc::new(Process::default());
    let mut own_listener = Some(own_listener);
    let mut mint = Mint::new(1);
    let mut next = |number: usize| mint.packet(Order::to(DOWNSTREAM[number % 3], 1 + number as u32 % 50));
    let packets: Vec<_> = (0..PACKETS).map(&mut next).collect();
    let received = std::thread::scope(|scope| {
        let shards: Vec<_> = (0..3)
            .map(|index| {
                let instruments = Instruments {
                    counters: counters.shard(index).expect("a row"),
                    events: events.shard(index).expect("a ring"),
                    in_flight: in_flight.shard(index).expect("a place"),
                    plugins: None,
                    loops: None,
                };
                let shard = Shard::new(index, Arc::clone(&shared), instruments, [index as u8; 32], Instant(0));
                let (stage, process) = (stage.clone(), Arc::clone(&process));
                let io = stage.io(index, &process, own_listener.take());
                scope.spawn(move || stage.run_shard(index, &process, shard.expect("a sound setup"), io))
            })
            .collect();
        let others = Arc::new(Process::default());
        let receivers: Vec<_> = downstream
            .into_iter()
            .map(|(node, (listener, _))| {
                let (stage, io) = (stage.clone(), stage.io(9, &others, Some(listener)));
                scope.spawn(move || {
                    let mut peer = FakePeer::new(node);
                    stage.run_peer(&mut peer, io);
                    peer.received
                })
            })
            .collect();
        // The links out first; then two links in, each with every packet.
        let link_count = || {
            let links =
                (0..3).map(|row| counters.get(row, Counter::connections(interplane::counter::PeerClass::Outgoing)));
            links.sum::<u64>()
        };
        wait_until("links out", || link_count() == 3);
        for node in &UPSTREAM[..2] {
            let (stage, io, packets) = (stage.clone(), stage.io(9, &others, None), packets.clone());
            scope.spawn(move || {
                let mut peer = FakePeer::dialling(*node, own_address);
                packets.into_iter().for_each(|packet| peer.send(packet));
                stage.run_peer(&mut peer, io);
            });
        }
        wait_until("the end", || {
            let account = counters.account_total();
            account.received == 2 * PACKETS as u64 && account.sent + account.dropped == account.received
        });
        std::thread::sleep(Duration::from_millis(20));
        stage.stop.store(true, Ordering::Relaxed);
        let free: usize = shards.into_iter().map(|thread| thread.join().expect("no panic").0.free_slots()).sum();
        assert_eq!(free, 3 * shared.facts().slots, "all slots are at home");
        receivers.into_iter().flat_map(|thread| thread.join().expect("no panic")).collect::<Vec<_>>()
    });
    let account = counters.account_total();
    let replays = counters.total(Counter::dropped(DropReason::Replay));
    assert_eq!(replays, PACKETS as u64);
    // A slow machine may be late for some packets; none may be lost without a reason.
    assert_eq!(account.sent + account.dropped, 2 * PACKETS as u64);
    let mut distinct: Vec<_> = received.iter().map(|received| received.packet.as_slice()).collect();
    distinct.sort_unstable();
    distinct.dedup();
    assert_eq!((distinct.len(), received.len()), (account.sent as usize, account.sent as usize));
    assert_eq!(Account { held: 0, ..account }.difference(), 0);
    assert!(account.sent > PACKETS as u64 / 2, "{account:?}, {:?}", id_of(OWN));
}

fn wait_until(what: &str, mut done: impl FnMut() -> bool) {
    for _ in 0..3000 {
        if done() {
            return;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    panic!("{what} did not come within 30 s");
}
