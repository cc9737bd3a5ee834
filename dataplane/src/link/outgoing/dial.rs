//! From "not connected" to "up": addresses, waiting times, handshake (server.md 3.9).

use super::patience::{beyond_the_boundary, longest};
use super::{Peer, Stage, Surroundings};
use crate::io::{ConnId, ConnectFailure, Io};
use crate::link::carry::{self, Progress};
use crate::random::ShardRandom;
use crate::shared::DestinationId;
use crate::shared::directory::dial_addresses;
use crypto_simd::schemes::KemDecapsulationKey;
use interplane::Counter;
use interplane::counter::{DialFailure, Direction};
use interplane::event::{Detail, Event};
use pki::document::Layer;
use pki::epoch::EpochTime;
use pki::neighbours::{self, NodeEntry};
use pki::policy::{self, PeerCredentials, Verdict, View};
use std::sync::Arc;
use std::time::Duration;
use wire::link::Due;
use wire::{HandshakeError, Link, Role};

/// How long after its epoch has begun a gateway is dialled at the earliest: by its clock it has begun too, then.
const GATEWAY_MARGIN: Duration = Duration::from_millis(500);

/// What came of a push.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Pushed {
    /// Nothing more for now.
    Waits,
    /// The next step costs a KEM operation.
    Expensive,
    /// The link is up.
    Up,
}

/// What decides about a peer.
#[derive(Clone, Copy)]
pub struct Judge<'a> {
    /// The documents.
    pub view: &'a View,
    /// The time.
    pub epoch: &'a EpochTime,
}

impl Peer {
    /// What the documents say about the peer as it is expected.
    pub fn verdict(&self, judge: Judge<'_>) -> Verdict {
        let peer = PeerCredentials { additional_data: &self.node, link_key: &self.link_key };
        policy::authenticate(judge.view, peer, neighbours::Direction::Outgoing, judge.epoch)
    }

    /// Dials the next address if it is time. The documents are asked before each round of addresses; false if they do
    /// not have the destination any more.
    pub fn dial_if_due<I: Io>(&mut self, judge: Judge<'_>, with: &mut Surroundings<'_, I>) -> bool {
        match self.stage {
            Stage::Waiting { until } if until <= with.now => {}
            _ => return true,
        }
        if self.next_address >= self.addresses.len() {
            let Some(index) = policy::destination(judge.view, &self.node, judge.epoch) else { return false };
            let Some(entry) = judge.view.node(index) else { return false };
            self.link_key.clone_from(&entry.link_key);
            self.addresses = dial_addresses(entry);
            self.addresses.retain(|target| with.io.carries(target.transport));
            self.next_address = 0;
            let verdict = self.verdict(judge);
            self.is_early = verdict.valid && !verdict.may_send;
            self.is_gateway = entry.layer == Layer::Gateway;
            if self.is_early && self.is_gateway {
                // Before its epoch it would take this node for a client, and drop what comes over the link later
                // (server.md 3.2, 3.7 row 7). The boundary ends the wait.
                let wait = beyond_the_boundary(with.facts.clock.period());
                self.enter(Stage::Waiting { until: with.now + wait }, with.now);
                return true;
            }
            self.tell_reachable(entry, with);
        }
        match self.addresses.get(self.next_address) {
            Some(&target) => {
                self.next_address += 1;
                self.dialled_at = with.now;
                let conn = with.io.connect(target);
                let deadline = with.now + with.facts.live.connect_timeout.get();
                self.enter(Stage::Connecting { conn, deadline }, with.now);
            }
            None => {
                with.account.count(Counter::dial_failure(DialFailure::NoTransport));
                let longest = longest(with.facts.clock.period());
                self.wait(longest, with);
            }
        }
        true
    }

    /// Says once that a peer lists nothing that this node can dial.
    fn tell_reachable<I>(&mut self, entry: &NodeEntry, with: &mut Surroundings<'_, I>) {
        let is_unreachable = self.addresses.is_empty();
        if is_unreachable && !self.is_told_unreachable {
            let transports: Vec<&str> = entry.addresses.iter().map(|address| address.transport.as_str()).collect();
            let detail = Detail::new(format_args!("it lists {}", transports.join(", ")));
            let peer = self.event_peer();
            with.account.tell(Event::DialFailed { peer, reason: DialFailure::NoTransport, detail });
        }
        self.is_told_unreachable = is_unreachable;
    }

    /// Documents or the epoch have changed: whatever failed before may go well now, so the next dial is due at once, or
    /// nearly: nodes that heard of it together do not come together.
    pub fn dial_afresh<I>(&mut self, with: &mut Surroundings<'_, I>) {
        if self.link_key.is_empty() {
            // It is new, and its first dial is due as it is.
            return;
        }
        let is_dialling = self.conn().is_some() && !self.is_up();
        self.patience.renew(is_dialling);
        if let Stage::Waiting { until } = &mut self.stage {
            let mut wait = jitter(with.facts.clock.period() / 1024, with.random);
            if self.is_early && self.is_gateway {
                wait += GATEWAY_MARGIN;
            }
            *until = (*until).min(with.now + wait);
            self.next_address = self.addresses.len();
        }
    }

    /// A dial or a handshake failed.
    fn wait_after_failure<I>(&mut self, has_another_address: bool, with: &mut Surroundings<'_, I>) {
        let period = with.facts.clock.period();
        self.failures = self.failures.saturating_add(1);
        let wait = self.patience.after_a_failure(has_another_address, self.is_early, period);
        self.wait(wait, with);
    }

    /// Waits for so long, up to an eighth more or less, so that nodes that lost each other together do not return
    /// together.
    pub(super) fn wait<I>(&mut self, wait: Duration, with: &mut Surroundings<'_, I>) {
        let until = with.now + wait * 7 / 8 + jitter(wait / 4, with.random);
        self.enter(Stage::Waiting { until }, with.now);
    }

    /// The connection is there; the handshake waits for its turn.
    pub fn handle_connected<I: Io>(&mut self, with: &mut Surroundings<'_, I>) -> Pushed {
        let Stage::Connecting { conn, .. } = self.stage else { return Pushed::Waits };
        with.account.count(Counter::CONNECTIONS_MADE);
        self.enter(Stage::Connected { conn }, with.now);
        Pushed::Expensive
    }

    /// It could not be made.
    pub fn handle_connect_failed<I: Io>(&mut self, failure: ConnectFailure, with: &mut Surroundings<'_, I>) {
        let Stage::Connecting { conn, .. } = self.stage else { return };
        with.io.close(conn);
        let reason = match failure {
            ConnectFailure::Refused => DialFailure::Refused,
            ConnectFailure::TimedOut => DialFailure::Timeout,
            ConnectFailure::NoRoute => DialFailure::NoRoute,
            ConnectFailure::Other => DialFailure::Other,
        };
        with.account.count(Counter::dial_failure(reason));
        let peer = self.event_peer();
        with.account.tell(Event::DialFailed { peer, reason, detail: Detail::default() });
        self.wait_after_failure(self.next_address < self.addresses.len(), with);
    }

    /// Goes as far as the connection allows.
    pub fn push<I: Io>(&mut self, judge: Judge<'_>, with: &mut Surroundings<'_, I>) -> Pushed {
        let Stage::Linked { conn, link } = &mut self.stage else { return Pushed::Waits };
        if link.is_up() {
            return Pushed::Waits;
        }
        match carry::shake(link, with.io, *conn, with.now) {
            Progress::Waits => Pushed::Waits,
            Progress::Due(_) => Pushed::Expensive,
            Progress::Up => self.up(judge, with),
            Progress::Ended(end) => {
                self.end(end, with);
                Pushed::Waits
            }
        }
    }

    /// Takes one step that costs a KEM operation, if one is due.
    pub fn step<I: Io>(
        &mut self,
        link_key: Option<&Arc<dyn KemDecapsulationKey>>,
        unix: Duration,
        judge: Judge<'_>,
        with: &mut Surroundings<'_, I>,
    ) -> Pushed {
        if let Stage::Connected { conn } = self.stage {
            self.begin_handshake(conn, link_key, with);
        }
        let is_welcome = self.is_welcome(judge);
        if let Stage::Linked { link, .. } = &mut self.stage {
            match link.due() {
                Some(Due::Step) => link.step(with.now, unix.as_secs(), with.random),
                Some(Due::Decision) if is_welcome => link.accept(with.now, with.random),
                Some(Due::Decision) => link.reject(),
                None => {}
            }
        }
        self.push(judge, with)
    }

    fn begin_handshake<I: Io>(
        &mut self,
        conn: ConnId,
        link_key: Option<&Arc<dyn KemDecapsulationKey>>,
        with: &mut Surroundings<'_, I>,
    ) {
        let Some(key) = link_key else {
            // No key yet: it comes before long.
            with.io.close(conn);
            return self.wait_after_failure(false, with);
        };
        let (config, limits) = (with.facts.session(Role::Initiator), with.facts.link_limits(Role::Initiator));
        let link = Link::new(config, Arc::clone(key), &with.facts.node_id, limits, with.now);
        self.enter(Stage::Linked { conn, link: Box::new(link) }, with.now);
    }

    /// The peer must be the one that was dialled, and one that may be sent to (wire.md 5.5).
    fn is_welcome(&self, judge: Judge<'_>) -> bool {
        let peer = self.link().and_then(Link::peer);
        peer.is_some_and(|peer| peer.additional_data == self.node && peer.public_key == self.link_key)
            && self.verdict(judge).valid
    }

    fn up<I: Io>(&mut self, judge: Judge<'_>, with: &mut Surroundings<'_, I>) -> Pushed {
        self.may_send = self.verdict(judge).may_send;
        self.patience.reward();
        (self.since, self.failures) = (with.now, 0);
        self.tally.came_up(with.now);
        let (peer, took) = (self.event_peer(), with.now.since(self.dialled_at));
        with.account.link_up(Direction::Outgoing, Some(peer), took);
        // Nothing was received beyond the NoOp: what follows it must be looked for once, to be told of the rest.
        self.handle_readable_up(with);
        Pushed::Up
    }

    pub(super) fn handshake_failed<I: Io>(&mut self, failure: HandshakeError, with: &mut Surroundings<'_, I>) {
        let (peer, took) = (self.event_peer(), with.now.since(self.dialled_at));
        with.account.handshake_failed(Direction::Outgoing, &failure, Some(peer), took);
        if let Some(conn) = self.conn() {
            with.io.close(conn);
        }
        // Another address leads to the same node.
        self.next_address = self.addresses.len();
        self.wait_after_failure(false, with);
    }
}

/// Up to `most`, in microseconds.
fn jitter(most: Duration, random: &mut ShardRandom) -> Duration {
    let most_us = u32::try_from(most.as_micros()).unwrap_or(u32::MAX);
    Duration::from_micros(u64::from(random.below(most_us.max(1))))
}

/// Who waits for a KEM step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Waiter {
    /// An incoming connection, by its place in the table and its generation.
    Incoming(crate::io::ConnId),
    /// An outgoing link.
    Outgoing(DestinationId),
}
