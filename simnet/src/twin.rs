//! Somebody who has a node's keys and dials that node's neighbours in its place: a peer that sends packets, and each of
//! them again, at once and later, over other links and in other epochs.

use crypto_simd::random::{Random, SeededRandom};
use crypto_simd::schemes::KemDecapsulationKey;
use dataplane::io::{ConnId, Event, Io, Received, Target};
use dataplane::link::carry::{self, Progress};
use dataplane::{Facts, Instant, Next};
use pki::Epoch;
use pki::document::Layer;
use pki::neighbours::{Direction, NeighbourMap, NodeEntry};
use sphinx::path::{Terminal, compose};
use sphinx::plaintext::BlockSphinxPlaintext;
use sphinx::{PathHop, RECIPIENT_ID_BYTES, SURB_ID_BYTES, Sphinx};
use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use wire::link::Due;
use wire::{Command, Link, Role};

/// Between two packets to one neighbour, each of which is followed by two that it has had already.
const PAUSE: Duration = Duration::from_millis(400);
/// Before a neighbour is dialled again.
const DIAL_PAUSE: Duration = Duration::from_secs(1);
/// Packets that are kept for each neighbour.
const RECORDED_MAX: usize = 64;

/// The twin of a node.
pub struct Twin {
    facts: Facts,
    link_key: Arc<dyn KemDecapsulationKey>,
    sphinx: Sphinx,
    map: NeighbourMap,
    epoch: Epoch,
    victims: Vec<Victim>,
    random: SeededRandom,
}

/// A neighbour to which the node sends.
struct Victim {
    entry: NodeEntry,
    address: SocketAddr,
    stage: Stage,
    recorded: VecDeque<Vec<u8>>,
    next_at: Instant,
}

enum Stage {
    Down { until: Instant },
    Dialling { conn: ConnId, until: Instant },
    Linked { conn: ConnId, link: Box<Link> },
}

impl Twin {
    /// Of the node with these facts, this key and this view of the document of the current epoch.
    pub fn new(
        facts: Facts,
        link_key: Arc<dyn KemDecapsulationKey>,
        map: NeighbourMap,
        now: Instant,
        random: SeededRandom,
    ) -> Self {
        let victims = map.neighbours(Direction::Outgoing).filter_map(|entry| {
            let address = entry.urls("tcp4").find_map(|url| url.strip_prefix("tcp://")?.parse().ok())?;
            let stage = Stage::Down { until: now };
            Some(Victim { entry: entry.clone(), address, stage, recorded: VecDeque::new(), next_at: now })
        });
        let victims = victims.collect();
        let sphinx = Sphinx::new(facts.geometry.clone()).expect("a sound geometry");
        Self { facts, link_key, sphinx, epoch: map.epoch, map, victims, random }
    }

    /// One round.
    pub fn poll(&mut self, io: &mut impl Io) -> Next {
        while let Some(event) = io.next_event() {
            self.heed(io, event);
        }
        for at in 0..self.victims.len() {
            self.go_on(io, at);
        }
        let next = self.victims.iter().map(|victim| match &victim.stage {
            Stage::Down { until } | Stage::Dialling { until, .. } => *until,
            Stage::Linked { link, .. } if link.is_up() => victim.next_at.min(link.poll_timeout()),
            Stage::Linked { link, .. } => link.poll_timeout(),
        });
        Next::ParkUntil(next.min().unwrap_or(Instant::NEVER).max(io.now() + Duration::from_millis(1)))
    }

    fn heed(&mut self, io: &mut impl Io, event: Event) {
        match event {
            Event::Connected { conn } => {
                for victim in &mut self.victims {
                    if matches!(victim.stage, Stage::Dialling { conn: dialled, .. } if dialled == conn) {
                        let (config, limits) =
                            (self.facts.session(Role::Initiator), self.facts.link_limits(Role::Initiator));
                        let link = Link::new(config, self.link_key.clone(), &self.facts.node_id, limits, io.now());
                        victim.stage = Stage::Linked { conn, link: Box::new(link) };
                    }
                }
            }
            Event::ConnectFailed { conn, .. } => {
                let dialled =
                    |victim: &&mut Victim| matches!(victim.stage, Stage::Dialling { conn: own, .. } if own == conn);
                match self.victims.iter_mut().find(dialled) {
                    Some(victim) => victim.give_up(io),
                    None => drop(io.close(conn)),
                }
            }
            Event::Sent { conn, buffer, taken } => {
                for victim in &mut self.victims {
                    if let Stage::Linked { conn: own, link } = &mut victim.stage
                        && *own == conn
                    {
                        link.handle_sent(buffer, taken);
                        return;
                    }
                }
            }
            // Nobody finds it where the node listens.
            Event::Accepted { conn, .. } | Event::Adopted { conn, .. } => drop(io.close(conn)),
            Event::Readable { .. } | Event::AcceptFailed { .. } => {}
        }
    }

    fn go_on(&mut self, io: &mut impl Io, at: usize) {
        let now = io.now();
        let victim = &mut self.victims[at];
        match &mut victim.stage {
            Stage::Down { until } if *until <= now => {
                let conn = io.connect(Target::tcp(victim.address));
                victim.stage = Stage::Dialling { conn, until: now + DIAL_PAUSE * 5 };
            }
            Stage::Dialling { until, .. } if *until <= now => victim.give_up(io),
            Stage::Down { .. } | Stage::Dialling { .. } => {}
            Stage::Linked { conn, link } => {
                let conn = *conn;
                link.handle_timeout(now, &mut self.random);
                loop {
                    match carry::shake(link, io, conn, now) {
                        Progress::Waits => return,
                        Progress::Due(Due::Step) => link.step(now, io.unix_now().as_secs(), &mut self.random),
                        Progress::Due(Due::Decision) => link.accept(now, &mut self.random),
                        Progress::Ended(_) => return victim.give_up(io),
                        Progress::Up => break,
                    }
                }
                // Nothing is ever said on such a link.
                if io.recv(conn, 1) != Received::WouldBlock {
                    return victim.give_up(io);
                }
                if victim.next_at <= now {
                    victim.next_at = now + PAUSE;
                    self.send(at);
                    if let Stage::Linked { link, .. } = &mut self.victims[at].stage {
                        carry::hand_over(link, io, conn, now);
                    }
                }
            }
        }
    }

    /// A new packet, the same again, and one of the older ones.
    fn send(&mut self, at: usize) {
        let Some(packet) = self.compose(at) else { return };
        let victim = &mut self.victims[at];
        victim.recorded.push_back(packet.clone());
        if victim.recorded.len() > RECORDED_MAX {
            victim.recorded.pop_front();
        }
        let mut bytes = [0; 8];
        self.random.fill(&mut bytes);
        let older = (u64::from_le_bytes(bytes) % victim.recorded.len() as u64) as usize;
        let older = victim.recorded[older].clone();
        let Stage::Linked { link, .. } = &mut victim.stage else { return };
        for packet in [&packet, &packet, &older] {
            let _is_full_or_over = link.send(&Command::SendPacket { packet });
        }
    }

    /// A packet from a neighbour on to a service, or to nobody's mailbox at a gateway.
    fn compose(&mut self, at: usize) -> Option<Vec<u8>> {
        let mut way = vec![self.victims[at].entry.clone()];
        let mut recipient = [0; RECIPIENT_ID_BYTES];
        let mut surb_id = None;
        if let Layer::Mix(layer) = way[0].layer {
            for next in layer + 1..self.map.layers {
                way.push(self.map.layer(Layer::Mix(next)).next()?.clone());
            }
            way.push(self.map.layer(Layer::Service).next()?.clone());
        }
        match way.last()?.layer {
            Layer::Service => recipient = service::recipient(crate::members::ENDPOINT)?,
            _ => {
                self.random.fill(&mut recipient);
                let mut id = [0; SURB_ID_BYTES];
                self.random.fill(&mut id);
                surb_id = Some(id);
            }
        }
        let keys = way.iter().map(|node| Some((node.id, node.mix_key(self.epoch)?.to_vec())));
        let delays = vec![10; way.len() - 1];
        let hops: Vec<PathHop> =
            compose(keys.collect::<Option<Vec<_>>>()?, &delays, &Terminal { recipient, surb_id, delay_ms: None })?;
        let payload = BlockSphinxPlaintext::build(self.sphinx.geometry(), None, &[]).ok()?;
        self.sphinx.new_packet(&hops, &payload, &mut self.random).ok()
    }
}

impl Victim {
    fn give_up(&mut self, io: &mut impl Io) {
        if let Stage::Dialling { conn, .. } | Stage::Linked { conn, .. } = &self.stage {
            io.close(*conn);
        }
        self.stage = Stage::Down { until: io.now() + DIAL_PAUSE };
    }
}
