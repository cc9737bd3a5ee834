//! The nodes before the measured one, which always have more to send, and those behind, which take everything. They
//! cost no time.

use super::card::Card;
use super::packets::Packets;
use super::parties::Identity;
use super::processor::Books;
use crypto_simd::random::SeededRandom;
use dataplane::io::sim::SimIo;
use dataplane::io::{ConnId, Event, Io, Received, Target};
use dataplane::link::carry::{self, Progress};
use dataplane::{Facts, Instant, Next};
use std::cell::RefCell;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;
use wire::link::Due;
use wire::{Command, CommandSet, FrameSealer, Link, Role};

/// Frames that a link has under way from one peer at once.
const BURST: usize = 32;
/// Between two looks at what the node has let out.
const PAUSE: Duration = Duration::from_micros(20);
/// Between two looks at what shards have taken out of a card's rings.
const RELEASE: Duration = Duration::from_micros(2);
/// What is received at once.
const RECEIVED_MAX: usize = 1 << 20;
/// What a peer behind a card has sent and the node has not read, beside what the path holds: then it keeps the rest back.
const WINDOW_BYTES: usize = 512 << 10;

/// One end of a link.
fn link(identity: &Identity, facts: &Facts, role: Role, now: Instant) -> Box<Link> {
    let (config, limits) = (facts.session(role), facts.link_limits(role));
    Box::new(Link::new(config, identity.link_key.clone(), &identity.id, limits, now))
}

/// A link that comes up; true when it is.
fn shake(link: &mut Link, io: &mut SimIo, conn: ConnId, random: &mut SeededRandom) -> bool {
    loop {
        match carry::shake(link, io, conn, io.now()) {
            Progress::Waits | Progress::Ended(_) => return false,
            Progress::Due(Due::Step) => link.step(io.now(), io.unix_now().as_secs(), random),
            Progress::Due(Due::Decision) => link.accept(io.now(), random),
            // What is left of the handshake has to be on its way before anything else.
            Progress::Up => return link.is_flushed(),
        }
    }
}

/// All nodes before.
pub struct Sources {
    identities: Vec<Identity>,
    to: SocketAddr,
    facts: Facts,
    commands: CommandSet,
    links: Vec<Source>,
    random: SeededRandom,
    supply: Option<Supply>,
}

struct Source {
    conn: ConnId,
    stage: Stage,
    is_sending: bool,
    /// What the node's card has given on, and the link has not taken yet.
    taken: Vec<u8>,
}

enum Stage {
    Dialling,
    Shaking(Box<Link>),
    Up(Box<FrameSealer>),
    Lost,
}

/// What they send: packets by number, as many as keep so many in the node.
pub struct Supply {
    /// All packets.
    pub packets: Rc<Packets>,
    /// The number of the next one.
    pub next: usize,
    /// The number behind the last one.
    pub end: usize,
    /// How many are in the node or on the way to it.
    pub window: usize,
    /// What says how many have left it.
    pub books: Books,
    /// A card through which they come at its pace; none lets them come as fast as the window is open.
    pub card: Option<Rc<RefCell<Card>>>,
}

impl Sources {
    /// Nodes that dial that address.
    pub fn new(identities: Vec<Identity>, to: SocketAddr, facts: Facts, random: SeededRandom) -> Self {
        let commands = facts.commands();
        Self { identities, to, facts, commands, links: Vec::new(), random, supply: None }
    }

    /// Whether all links are up.
    pub fn are_up(&self) -> bool {
        self.links.len() == self.identities.len() && self.links.iter().all(|link| matches!(link.stage, Stage::Up(_)))
    }

    /// Begins to send.
    pub fn begin(&mut self, supply: Supply) {
        self.supply = Some(supply);
    }

    /// Whether all has been sent.
    pub fn are_done(&self) -> bool {
        self.supply.as_ref().is_some_and(|supply| supply.next == supply.end)
            && self.links.iter().all(|link| link.taken.is_empty())
    }

    /// Goes as far as possible.
    pub fn poll(&mut self, io: &mut SimIo) -> Next {
        if self.links.is_empty() {
            for _ in &self.identities {
                let conn = io.connect(Target::tcp(self.to));
                self.links.push(Source { conn, stage: Stage::Dialling, is_sending: false, taken: Vec::new() });
            }
        }
        while let Some(event) = io.next_event() {
            self.heed(io, event);
        }
        for link in &mut self.links {
            if let Stage::Shaking(shaking) = &mut link.stage
                && shake(shaking, io, link.conn, &mut self.random)
                && let Stage::Shaking(up) = std::mem::replace(&mut link.stage, Stage::Lost)
                && let Some(transport) = up.into_transport()
            {
                link.stage = Stage::Up(Box::new(transport.sealer));
            }
        }
        let card = self.supply.as_ref().and_then(|supply| supply.card.clone());
        if let Some(card) = card {
            return self.send_through(&mut card.borrow_mut(), io);
        }
        self.send(io);
        match self.supply {
            Some(_) if !self.are_done() => Next::ParkUntil(io.now() + PAUSE),
            _ => Next::ParkUntil(Instant::NEVER),
        }
    }

    fn heed(&mut self, io: &mut SimIo, event: Event) {
        let Self { links, identities, facts, .. } = self;
        let of = match &event {
            Event::Connected { conn } | Event::ConnectFailed { conn, .. } | Event::Sent { conn, .. } => *conn,
            _ => return,
        };
        let found = links.iter_mut().zip(&*identities).find(|(link, _)| link.conn == of);
        let Some((link, identity)) = found else { return };
        match event {
            Event::Connected { .. } => {
                link.stage = Stage::Shaking(self::link(identity, facts, Role::Initiator, io.now()));
            }
            Event::Sent { buffer, taken, .. } => match &mut link.stage {
                Stage::Shaking(shaking) => drop(shaking.handle_sent(buffer, taken)),
                _ => link.is_sending = false,
            },
            _ => link.stage = Stage::Lost,
        }
    }

    /// A burst over each link that has nothing under way.
    fn send(&mut self, io: &mut SimIo) {
        let Some(supply) = &mut self.supply else { return };
        for link in &mut self.links {
            let Stage::Up(sealer) = &mut link.stage else { continue };
            let room = (supply.window + supply.books.sent()).saturating_sub(supply.next);
            let count = BURST.min(supply.end - supply.next).min(room);
            if link.is_sending || count == 0 {
                continue;
            }
            let mut frames = Vec::new();
            for number in supply.next..supply.next + count {
                let Some(packet) = supply.packets.get(number) else { continue };
                // A packet of the node's own geometry fits.
                let _sealed = sealer.seal_command(&self.commands, &Command::SendPacket { packet }, &mut frames);
            }
            supply.next += count;
            link.is_sending = true;
            io.send(link.conn, frames);
        }
    }
}

impl Sources {
    /// What comes over the line, into the rings; and what the shards have taken out of them, into the links.
    fn send_through(&mut self, card: &mut Card, io: &mut SimIo) -> Next {
        let Some(supply) = &mut self.supply else { return Next::ParkUntil(Instant::NEVER) };
        let (now, frame_bytes) = (io.now(), self.facts.frame_bytes());
        let links = &mut self.links;
        card.taken(|link, bytes| links[link].taken.extend(bytes));
        while supply.next < supply.end
            && let Some(coming) = card.next(now, frame_bytes)
        {
            let link = &mut links[coming.link];
            if link.taken.len() > WINDOW_BYTES {
                card.hold_back();
            } else if card.has_room(&coming, frame_bytes)
                && let Stage::Up(sealer) = &mut link.stage
                && let Some(packet) = supply.packets.get(supply.next)
            {
                let mut frame = Vec::new();
                // A packet of the node's own geometry fits.
                let _sealed = sealer.seal_command(&self.commands, &Command::SendPacket { packet }, &mut frame);
                card.put(&coming, frame);
                supply.next += 1;
            }
        }
        for link in links.iter_mut().filter(|link| !link.is_sending && !link.taken.is_empty()) {
            link.is_sending = true;
            io.send(link.conn, std::mem::take(&mut link.taken));
        }
        let more = if supply.next < supply.end { card.next_at(frame_bytes) } else { Instant::NEVER };
        let is_waiting = card.is_waiting() || links.iter().any(|link| !link.taken.is_empty());
        Next::ParkUntil(if is_waiting { more.min(now + RELEASE) } else { more })
    }
}

/// One node behind.
pub struct Sink {
    identity: Identity,
    facts: Facts,
    links: Vec<(ConnId, Box<Link>, bool)>,
    random: SeededRandom,
}

impl Sink {
    /// A node that takes what it gets, and does not look at it.
    pub fn new(identity: Identity, facts: Facts, random: SeededRandom) -> Self {
        Self { identity, facts, links: Vec::new(), random }
    }

    /// Goes as far as possible.
    pub fn poll(&mut self, io: &mut SimIo) -> Next {
        while let Some(event) = io.next_event() {
            match event {
                Event::Accepted { conn, .. } => {
                    let link = self::link(&self.identity, &self.facts, Role::Responder, io.now());
                    self.links.push((conn, link, false));
                }
                Event::Sent { conn, buffer, taken } => {
                    if let Some((_, link, _)) = self.links.iter_mut().find(|(of, ..)| *of == conn) {
                        link.handle_sent(buffer, taken);
                    }
                }
                _ => {}
            }
        }
        for (conn, link, is_up) in &mut self.links {
            *is_up = *is_up || shake(link, io, *conn, &mut self.random);
            while *is_up && matches!(io.recv(*conn, RECEIVED_MAX), Received::Bytes { .. }) {}
        }
        Next::ParkUntil(Instant::NEVER)
    }
}
