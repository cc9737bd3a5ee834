//! A node of one thread without the work that the rig measures: it opens frames and seals them again. What the rig does
//! with it is the rig's ceiling. With another [`Forward`] it is a small mix that tests the rig itself.

use super::cpu;
use super::link::{Awaited, Incoming, Outgoing, wait};
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use testnet::network::Network;
use testnet::session::{Identity, Session};
use wire::{CommandSet, PeerCredentials, Role};

/// Where a forwarder puts packets: the node behind, the delay, the bytes; none are a heartbeat.
pub type Emit<'a> = dyn FnMut(usize, Duration, &[u8]) + 'a;

/// Decides what becomes of a packet from the node before with that number.
pub type Forward = Box<dyn FnMut(usize, &mut [u8], &mut Emit<'_>) + Send>;

/// Everything is passed on as it is, from the nth link to the nth, at once.
pub fn pass_on() -> Forward {
    Box::new(|link, packet, emit| emit(link, Duration::ZERO, packet))
}

/// A running node.
pub struct NullNode {
    /// Where it listens.
    pub address: SocketAddr,
    /// Who it is.
    pub credentials: PeerCredentials,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<Result<(), String>>>,
}

impl NullNode {
    /// Starts; `processor` is where it runs.
    pub fn start(network: Arc<Network>, forward: Forward, processor: Option<usize>) -> Result<Self, String> {
        let identity = Identity::generate([0x55; 32], network.kem)?;
        let credentials = PeerCredentials {
            additional_data: identity.id.to_vec(),
            public_key: identity.link_key.public_key().to_vec(),
        };
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).map_err(|error| error.to_string())?;
        let address = listener.local_addr().map_err(|error| error.to_string())?;
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = stop.clone();
        let thread = std::thread::Builder::new().name("null node".into()).spawn(move || {
            cpu::pin(processor)?;
            let mut node = Running::connect(&network, &identity, &listener, forward)?;
            while !stopped.load(Ordering::Relaxed) {
                node.round()?;
            }
            Ok(())
        });
        let thread = thread.map_err(|error| error.to_string())?;
        Ok(Self { address, credentials, stop, thread: Some(thread) })
    }

    /// Stops and says how it went.
    pub fn stop(mut self) -> Result<(), String> {
        self.stop.store(true, Ordering::Relaxed);
        let thread = self.thread.take().ok_or("stopped already")?;
        thread.join().map_err(|_| "the null node's thread ended badly")?
    }
}

impl Drop for NullNode {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

struct Running {
    upstream: Vec<Incoming>,
    downstream: Vec<Outgoing>,
    forward: Forward,
    delayed: Delayed,
    commands: CommandSet,
}

/// When it is due, its place among those due then, the node behind, the bytes.
type DelayedPacket = (Instant, u64, usize, Vec<u8>);

/// Packets that wait, by the moment at which they are due.
#[derive(Default)]
struct Delayed {
    heap: BinaryHeap<Reverse<DelayedPacket>>,
    count: u64,
}

impl Running {
    fn connect(
        network: &Network,
        identity: &Identity,
        listener: &TcpListener,
        forward: Forward,
    ) -> Result<Self, String> {
        let config = network.mixnet_session(Role::Responder);
        let mut upstream: Vec<Option<Incoming>> = network.upstream.iter().map(|_| None).collect();
        while upstream.iter().any(Option::is_none) {
            let (stream, _) = listener.accept().map_err(|error| error.to_string())?;
            let known = |peer: &PeerCredentials| network.upstream.iter().any(|known| known.identity.is(peer));
            let session = Session::establish(stream, &config, identity, known)?;
            let number =
                network.upstream.iter().position(|known| session.peer().is_some_and(|peer| known.identity.is(peer)));
            let number = number.ok_or("an unknown node has connected")?;
            upstream[number] = Some(Incoming::new(session, config.command_set())?);
        }
        let config = network.mixnet_session(Role::Initiator);
        let dial = |peer: &testnet::network::Peer| {
            let address = peer.address.ok_or("a node behind listens")?;
            let stream = TcpStream::connect(address).map_err(|error| error.to_string())?;
            Outgoing::new(Session::establish(stream, &config, identity, |answering| peer.identity.is(answering))?)
        };
        let downstream = network.downstream.iter().map(dial).collect::<Result<_, String>>()?;
        Ok(Self {
            upstream: upstream.into_iter().flatten().collect(),
            downstream,
            forward,
            delayed: Delayed::default(),
            commands: config.command_set(),
        })
    }

    fn round(&mut self) -> Result<(), String> {
        let Self { upstream, downstream, forward, delayed, commands } = self;
        let mut progress = false;
        for (number, link) in upstream.iter_mut().enumerate() {
            // The rig hangs up when it is done.
            let Ok(any) = link.fill() else {
                std::thread::sleep(Duration::from_millis(1));
                continue;
            };
            progress |= any;
            while let Some(packet) = link.next_packet()? {
                let mut failure = None;
                forward(number, packet, &mut |to, delay, packet| {
                    if delay.is_zero() {
                        failure = downstream.get_mut(to).and_then(|link| link.push(packet).err());
                    } else {
                        delayed.push(Instant::now() + delay, to, packet);
                    }
                });
                failure.map_or(Ok(()), Err)?;
            }
        }
        while let Some((to, packet)) = delayed.pop_due(Instant::now()) {
            let Some(link) = downstream.get_mut(to) else { continue };
            if packet.is_empty() { link.push_heartbeat(commands) } else { link.push(&packet) }?;
        }
        for link in downstream.iter_mut() {
            // As above: a rig that is done reads no more.
            progress |= link.flush().unwrap_or(false);
        }
        if !progress {
            let limit = delayed.until_next(Instant::now()).unwrap_or(Duration::from_millis(10));
            let connections = upstream.iter().map(Awaited::awaited).chain(downstream.iter().map(Awaited::awaited));
            wait(connections.collect(), limit)?;
        }
        Ok(())
    }
}

impl Delayed {
    fn push(&mut self, due: Instant, to: usize, packet: &[u8]) {
        self.count += 1;
        self.heap.push(Reverse((due, self.count, to, packet.to_vec())));
    }

    fn pop_due(&mut self, now: Instant) -> Option<(usize, Vec<u8>)> {
        let Reverse((due, ..)) = self.heap.peek()?;
        if *due > now {
            return None;
        }
        self.heap.pop().map(|Reverse((_, _, to, packet))| (to, packet))
    }

    fn until_next(&self, now: Instant) -> Option<Duration> {
        self.heap.peek().map(|Reverse((due, ..))| due.saturating_duration_since(now))
    }
}
