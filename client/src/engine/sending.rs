//! What goes out in a slot, and what comes back (client.md 10, 13, 14).

use super::{Client, Connection, Event, reply_limit};
use crate::awaited::{Awaited, SurbId};
use crate::compose::{self, ComposeError};
use crate::path::{PathError, RoundTrip, round_trip};
use crate::sample;
use crate::slots::Slot;
use crate::time::Now;
use crypto_simd::random::Random;
use pki::document::Consensus;
use pki::{EpochTime, NodeId};
use std::sync::Arc;

/// The capability that loops are sent to.
const LOOP_CAPABILITY: &str = "echo";
/// The most requests that wait for a slot.
const REQUESTS_MAX: usize = 1 << 10;

/// Where a request goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Service {
    /// The service node.
    pub node: NodeId,
    /// Its name.
    pub name: String,
    /// Which of its services.
    pub endpoint: String,
}

/// One packet to a service that wants an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// The owner's number for it.
    pub number: u64,
    /// Where it goes.
    pub service: Service,
    /// What it says, at most `UserForwardPayloadLength` bytes.
    pub payload: Vec<u8>,
}

/// Why there is no answer to a request.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Loss {
    /// It did not come in time.
    #[error("no answer in time")]
    TimedOut,
    /// The link over which it was to come is gone.
    #[error("the link was lost: {reason}")]
    LinkLost {
        /// Why the link ended.
        reason: String,
    },
    /// What came cannot be opened.
    #[error("the reply cannot be opened")]
    Unopened,
    /// There was no way.
    #[error("not sent: {0}")]
    NoPath(#[from] PathError),
    /// There was no packet.
    #[error("not sent: {0}")]
    NoPacket(#[from] ComposeError),
    /// Too many requests wait.
    #[error("not sent: too many requests wait")]
    Full,
}

/// A request that waits for its slot.
pub(super) struct Accepted(Request);

/// What a reply is to.
pub(super) enum Under {
    /// The request of that number.
    Request(u64),
    /// A loop.
    Loop,
}

/// All services with that capability.
pub fn services(consensus: &Consensus, capability: &str) -> Vec<Service> {
    let nodes = consensus.document().service_nodes.iter();
    nodes
        .flat_map(|node| node.endpoints().map(move |(name, endpoint)| (node, name, endpoint)))
        .filter(|(_, name, _)| *name == capability)
        .map(|(node, _, endpoint)| Service { node: node.id(), name: node.name.clone(), endpoint: endpoint.into() })
        .collect()
}

impl Client {
    pub(super) fn accept(&mut self, request: Request, now: Now) {
        if self.requests.len() < REQUESTS_MAX {
            self.requests.push_back(Accepted(request));
        } else {
            self.lose(Under::Request(request.number), Loss::Full, now);
        }
    }

    /// Whether something would be sent if there were a token.
    pub(super) fn wants_token(&self) -> bool {
        self.rates_of.is_some() && self.slot().is_some() && self.awaited.has_room()
    }

    /// The slot that is due. Where the document has no rate for what there is to say, it waits for tokens alone.
    fn slot(&self) -> Option<Slot> {
        self.slots.due().or_else(|| (!self.requests.is_empty() && self.slots.is_off()).then_some(Slot::Any))
    }

    /// Fills the slots that have come, as far as there are tokens and room.
    pub(super) fn send_what_is_due(&mut self, time: &EpochTime, now: Now, random: &mut dyn Random) {
        let Some(consensus) = self.documents.current(time.epoch).cloned() else { return };
        while let Some(slot) = self.slot() {
            let is_request = slot == Slot::Any && !self.requests.is_empty();
            if !is_request && !self.settings.sends_decoys {
                self.slots.take(slot);
                continue;
            }
            let has_room = matches!(&self.link, Connection::Linked(session) if session.has_room());
            if !has_room || !self.awaited.has_room() || !self.bucket.take(now.at) {
                return;
            }
            self.slots.take(slot);
            match if is_request { self.requests.pop_front() } else { None } {
                Some(Accepted(request)) => self.send_request(request, &consensus, now, random),
                None => self.send_loop(&consensus, now, random),
            }
        }
    }

    fn send_request(&mut self, request: Request, consensus: &Arc<Consensus>, now: Now, random: &mut dyn Random) {
        let Request { number, service, payload } = request;
        match self.send(&service, &payload, Under::Request(number), consensus, now, random) {
            Ok(trip) => {
                let epoch = consensus.epoch();
                self.events.push_back(Event::Sent { request: number, at: now, epoch, trip });
            }
            Err(loss) => self.lose(Under::Request(number), loss, now),
        }
    }

    fn send_loop(&mut self, consensus: &Arc<Consensus>, now: Now, random: &mut dyn Random) {
        let services = services(consensus, LOOP_CAPABILITY);
        // Without a service to loop over the slot stays empty.
        let Some(service) = sample::one(random, &services) else { return };
        let payload = vec![0; self.settings.geometry.user_forward_payload_length];
        let _an_empty_slot = self.send(service, &payload, Under::Loop, consensus, now, random);
    }

    fn send(
        &mut self,
        service: &Service,
        payload: &[u8],
        under: Under,
        consensus: &Consensus,
        now: Now,
        random: &mut dyn Random,
    ) -> Result<RoundTrip, Loss> {
        let Connection::Linked(session) = &mut self.link else {
            return Err(Loss::NoPath(PathError::NoGateway));
        };
        let (document, clock) = (consensus.document(), &self.settings.clock);
        let trip = round_trip(document, clock, &session.gateway().id, &service.node, now.unix, random)?;
        let recipient = compose::recipient(&service.endpoint)?;
        let composed = compose::packet(&self.sphinx, &trip, recipient, session.queue_id(), payload, random)?;
        session.send_packet(&composed.packet);
        let until = now.at + reply_limit(consensus);
        self.awaited.insert(composed.surb_id, Awaited { what: under, keys: composed.surb_keys, until });
        Ok(trip)
    }

    pub(super) fn handle_reply(&mut self, surb_id: &SurbId, mut payload: Vec<u8>, now: Now) {
        // Unknown ones are late, doubled or nobody's.
        let Some(mut awaited) = self.awaited.take(surb_id) else { return };
        let opened = sphinx::decrypt_surb_payload(&mut payload, &mut awaited.keys).map(<[u8]>::to_vec);
        match (awaited.what, opened) {
            (Under::Loop, _) => {}
            (Under::Request(request), Ok(payload)) => {
                self.events.push_back(Event::Answered { request, at: now, payload });
            }
            (under, Err(_)) => self.lose(under, Loss::Unopened, now),
        }
    }

    /// Tells that there will be no answer.
    pub(super) fn lose(&mut self, under: Under, loss: Loss, now: Now) {
        if let Under::Request(request) = under {
            self.events.push_back(Event::Lost { request, at: now, loss });
        }
    }
}
