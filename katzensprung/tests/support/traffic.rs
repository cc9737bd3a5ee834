//! Packets through the node, from the node before it to the one behind it.

use super::folder::geometry;
use super::site::SOON;
use crypto_simd::random::OsRandom;
use pki::Epoch;
use pki::descriptor::MixDescriptor;
use sphinx::Sphinx;
use sphinx::create::{LoadCommand, LoadMaker};
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::{Duration, Instant};
use testnet::neighbours;
use testnet::network::Network;
use testnet::session::Session;
use wire::{Command, CommandSet, PeerCredentials, Role};

/// The delay that packets ask for.
const DELAY: Duration = Duration::from_millis(5);

/// A packet as it goes in and as it comes out.
#[derive(Clone)]
pub struct Packet {
    before: Vec<u8>,
    behind: Vec<u8>,
}

impl Packet {
    /// As it goes in.
    pub fn before(&self) -> &[u8] {
        &self.before
    }

    /// As it comes out.
    pub fn behind(&self) -> &[u8] {
        &self.behind
    }

    /// What the node knows the packet by, in hexadecimal.
    #[cfg(debug_assertions)]
    pub fn tag(&self) -> String {
        let mut tags = [[0; sphinx::REPLAY_TAG_BYTES]];
        sphinx::replay_tags(&geometry(), &[&self.before], &mut tags);
        tags[0].iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

/// Links through which packets go.
pub struct Traffic {
    network: Arc<Network>,
    node: PeerCredentials,
    address: SocketAddr,
    /// From the node before.
    upstream: Session,
    /// One for each link that the node makes to the node behind.
    linked: Receiver<()>,
    /// What comes out over any of them.
    received: Receiver<Vec<u8>>,
    /// The node behind reads nothing.
    deaf: Arc<AtomicBool>,
}

impl Traffic {
    /// Links the nodes before and behind.
    #[track_caller]
    pub fn new(network: Arc<Network>, node: PeerCredentials, address: SocketAddr, listener: TcpListener) -> Self {
        let ((link_sender, linked), (packet_sender, received)) = (channel(), channel());
        let deaf = Arc::new(AtomicBool::new(false));
        let behind = Behind {
            network: network.clone(),
            node: node.clone(),
            links: link_sender,
            packets: packet_sender,
            deaf: deaf.clone(),
        };
        std::thread::spawn(move || behind.accept(&listener));
        let upstream = dial(&network, &node, address);
        linked.recv_timeout(SOON).expect("the node dials the node behind");
        Self { network, node, address, upstream, linked, received, deaf }
    }

    /// Links both again after the node has dropped them.
    #[track_caller]
    pub fn relink(&mut self) {
        self.upstream = dial(&self.network, &self.node, self.address);
        self.linked.recv_timeout(SOON).expect("the node dials the node behind");
    }

    /// Has the node before dial again, which takes the place of its link.
    #[track_caller]
    pub fn dial_again(&mut self) {
        self.upstream = dial(&self.network, &self.node, self.address);
    }

    /// New packets for the mix key of `epoch` in the node's descriptor.
    pub fn packets(&self, descriptor: &MixDescriptor, epoch: Epoch, count: usize) -> Vec<Packet> {
        self.packets_with_delay(descriptor, epoch, count, DELAY)
    }

    /// The same with a delay of their own.
    pub fn packets_with_delay(
        &self,
        descriptor: &MixDescriptor,
        epoch: Epoch,
        count: usize,
        delay: Duration,
    ) -> Vec<Packet> {
        let delay_ms = delay.as_millis() as u32;
        let geometry = &self.network.geometry;
        let key = descriptor.mix_key(epoch).expect("a key of that epoch");
        let sphinx = Sphinx::new(geometry.clone()).expect("a geometry");
        let maker = LoadMaker::new(sphinx, key, &mut OsRandom).expect("a mix key");
        let next = self.network.downstream[0].identity.id;
        let commands: Vec<_> = (0..count).map(|_| LoadCommand::Forward { next, delay_ms }).collect();
        let empty = Packet { before: vec![0; geometry.packet_length], behind: vec![0; geometry.packet_length] };
        let mut packets = vec![empty; count];
        let (mut before, mut behind): (Vec<_>, Vec<_>) =
            packets.iter_mut().map(|packet| (&mut packet.before[..], &mut packet.behind[..])).unzip();
        maker.make(&commands, &mut OsRandom, &mut before, &mut behind).expect("packets");
        packets
    }

    /// Sends packets to the node without waiting for what comes of them.
    #[track_caller]
    pub fn send(&mut self, packets: &[Packet]) {
        for Packet { before, .. } in packets {
            self.upstream.send(&Command::SendPacket { packet: before }).expect("the node reads");
        }
    }

    /// How many links the node has made to the node behind since the last call.
    pub fn new_links(&self) -> usize {
        self.linked.try_iter().count()
    }

    /// Sends the node one packet of another kind.
    #[track_caller]
    pub fn send_bytes(&mut self, packet: &[u8]) {
        self.upstream.send(&Command::SendPacket { packet }).expect("the node reads");
    }

    /// The same to a node that may end before it has read them all.
    #[cfg(debug_assertions)]
    pub fn send_if_read(&mut self, packets: &[Packet]) {
        for Packet { before, .. } in packets {
            let _unread = self.upstream.send(&Command::SendPacket { packet: before });
        }
    }

    /// Whether the node behind reads anything from now on, but for one packet.
    pub fn set_deaf(&self, is_deaf: bool) {
        self.deaf.store(is_deaf, Ordering::Relaxed);
    }

    /// Waits until exactly these packets have come out, each once, in any order.
    #[track_caller]
    pub fn receive(&mut self, packets: &[Packet]) {
        let mut missing: Vec<&[u8]> = packets.iter().map(|packet| &packet.behind[..]).collect();
        let deadline = Instant::now() + SOON;
        while !missing.is_empty() {
            let rest = deadline.saturating_duration_since(Instant::now());
            let packet = self.received.recv_timeout(rest);
            let packet = packet.unwrap_or_else(|_| panic!("{} packets have not come out", missing.len()));
            let at = missing.iter().position(|expected| *expected == packet);
            missing.swap_remove(at.expect("a packet that was sent, and once"));
        }
        assert!(self.received.try_recv().is_err(), "more packets have come out than went in");
    }

    /// The next packet that comes out in that time.
    pub fn next(&mut self, limit: Duration) -> Option<Vec<u8>> {
        self.received.recv_timeout(limit).ok()
    }

    /// Packets through the node.
    #[track_caller]
    pub fn pass(&mut self, packets: &[Packet]) {
        self.send(packets);
        self.receive(packets);
    }

    /// Nothing comes out for a while.
    #[track_caller]
    pub fn nothing_comes(&mut self, time: Duration) {
        assert_eq!(self.received.recv_timeout(time), Err(RecvTimeoutError::Timeout), "a packet came out");
    }
}

/// Links the node before to the node.
#[track_caller]
fn dial(network: &Network, node: &PeerCredentials, address: SocketAddr) -> Session {
    let deadline = Instant::now() + SOON;
    neighbours::dial(network, &network.upstream[0], node, address, deadline).expect("the node lets it in")
}

/// The node behind.
struct Behind {
    network: Arc<Network>,
    node: PeerCredentials,
    links: Sender<()>,
    packets: Sender<Vec<u8>>,
    deaf: Arc<AtomicBool>,
}

impl Behind {
    fn accept(&self, listener: &TcpListener) {
        let set = self.network.mixnet_session(Role::Responder).command_set();
        neighbours::accept(&self.network, &self.network.downstream[0], &self.node, listener, |session| {
            // A link may be silent for as long as it likes.
            session.stream.set_read_timeout(None).expect("a socket");
            let (packets, deaf) = (self.packets.clone(), self.deaf.clone());
            std::thread::spawn(move || read(session, &set, &packets, &deaf));
            // The test is over if this fails.
            self.links.send(()).is_ok()
        });
    }
}

fn read(mut session: Session, set: &CommandSet, packets: &Sender<Vec<u8>>, deaf: &AtomicBool) {
    while let Ok(received) = session.receive() {
        while deaf.load(Ordering::Relaxed) {
            std::thread::sleep(Duration::from_millis(5));
        }
        match set.parse(&received) {
            Ok(Command::SendPacket { packet }) => {
                if packets.send(packet.to_vec()).is_err() {
                    return;
                }
            }
            Ok(Command::NoOp) => {}
            other => panic!("the node sent {other:?}"),
        }
    }
}
