//! Requests to this node's services (server.md 6). Those to built-in services are answered at once, in the slots that
//! brought them, by the shard that unwrapped them; those to plugins are handed over, and their slots are free. A reply is
//! a new packet in the account, with a delay of its own.

use super::plugins::{Asked, Plugins};
use crate::account::Account;
use crate::packet::pool::Slot;
use crate::packet::route::{Arrival, Delivery, Routes, remaining_delay};
use crate::random::ShardRandom;
use crate::shared::{Facts, Live};
use crate::time::Instant;
use interplane::counter::{Destination, Origin};
use interplane::requests::ShardEnd;
use interplane::snapshot::Handler;
use interplane::{Counter, DropReason, Histogram};
use service::{Answer, BuiltIn, Responder};
use std::sync::Arc;
use std::time::Duration;

/// What became of a packet that ends here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Served {
    /// It is the reply now, and leaves after this time.
    Reply(Arrival, Duration),
    /// The service has taken it.
    Done,
    /// It is dropped.
    Refused(DropReason),
}

/// A plugin's answer that can be sent.
pub struct Reply {
    /// Where to.
    pub arrival: Arrival,
    /// When it leaves.
    pub due: Instant,
    /// When its request came.
    pub arrived_at: Instant,
}

/// With what a packet is served.
pub struct Bench<'a> {
    /// Where replies may go.
    pub routes: &'a Routes<'a>,
    /// The books.
    pub account: &'a Account,
    /// Random numbers.
    pub random: &'a mut ShardRandom,
    /// The round's time.
    pub now: Instant,
    /// The same by the wall clock.
    pub unix: Duration,
}

/// The services of one shard. Allocates nothing once they have seen their load.
pub struct Services {
    responder: Responder,
    plugins: Option<Plugins>,
    live: Arc<Live>,
}

impl Services {
    /// For packets of these facts on a shard, with its ends of the plugins' rings if there are any.
    pub fn new(facts: &Facts, shard: usize, plugins: Option<ShardEnd>) -> Self {
        Self {
            responder: Responder::new(&facts.geometry),
            plugins: plugins.map(|end| Plugins::new(shard, end)),
            live: Arc::clone(&facts.live),
        }
    }

    /// Lets the service for which a packet is have it.
    pub fn serve(&mut self, slot: &mut Slot, delivery: &Delivery, bench: &mut Bench<'_>) -> Served {
        let age = bench.now.since(slot.recv_at);
        if age > self.live.service_delay.get() {
            return Served::Refused(DropReason::ServiceDwellExceeded);
        }
        let Some(service) = bench.routes.directory.snapshot().service(&delivery.recipient) else {
            return Served::Refused(DropReason::ServiceUnknownRecipient);
        };
        let handler = service.handler;
        let of =
            |built_in, plugin| Served::Refused(if matches!(handler, Handler::BuiltIn(_)) { built_in } else { plugin });
        if delivery.surb_id.is_some() {
            return of(DropReason::ServiceKaetzchenSurbReply, DropReason::ServiceCborKaetzchenSurbReply);
        }
        if age > self.live.kaetzchen_delay.get() {
            return of(DropReason::KaetzchenDwellExceeded, DropReason::CborKaetzchenDwellExceeded);
        }
        bench.account.count(Counter::KAETZCHEN_REQUESTS);
        let Ok(request) = self.responder.read(slot.packet()) else {
            return of(DropReason::KaetzchenParseForwardFailed, DropReason::CborKaetzchenParseForwardFailed);
        };
        let served = match handler {
            Handler::BuiltIn(_) if !request.wants_reply => Ok(None),
            Handler::BuiltIn(built_in) => self.answer(slot, built_in).map(Some),
            Handler::Plugin { number } => {
                self.hand_over(slot, delivery, number, request.wants_reply, bench).map(|()| None)
            }
        };
        let first_hop = match served {
            Ok(first_hop) => first_hop,
            Err(reason) => return Served::Refused(reason),
        };
        bench.account.count(Counter::delivered(Destination::Service));
        let Some(first_hop) = first_hop else { return Served::Done };
        bench.account.observe_us(Histogram::KAETZCHEN_US, age);
        // The request has ended, and another packet begins.
        bench.account.count(Counter::originated(Origin::SurbReply));
        match bench.routes.onward(first_hop) {
            Ok(arrival) => {
                let delay = reply_delay(delivery.delay_ms, bench.now.since(slot.recv_at), bench.routes);
                Served::Reply(arrival, delay)
            }
            Err(reason) => Served::Refused(reason),
        }
    }

    fn answer(&mut self, slot: &mut Slot, built_in: BuiltIn) -> Result<[u8; 32], DropReason> {
        self.responder.answer(slot.packet_mut(), built_in.answer()).map_err(|_| DropReason::ServiceSurbFailed)
    }

    fn hand_over(
        &mut self,
        slot: &Slot,
        delivery: &Delivery,
        plugin: u16,
        wants_reply: bool,
        bench: &mut Bench<'_>,
    ) -> Result<(), DropReason> {
        let Some(plugins) = &mut self.plugins else { return Err(DropReason::CborKaetzchenNoHandler) };
        let since_arrival = bench.now.since(slot.recv_at);
        let asked = Asked {
            plugin,
            arrived_at: slot.recv_at,
            received_at: bench.unix.saturating_sub(since_arrival),
            due: bench.now + reply_delay(delivery.delay_ms, since_arrival, bench.routes),
            surb: wants_reply.then(|| self.responder.reply_block(slot.packet())),
            payload: self.responder.payload(slot.packet()),
        };
        let is_taken = plugins.ask(&asked, bench.now, bench.random);
        if is_taken { Ok(()) } else { Err(DropReason::ServiceRingFull) }
    }

    /// Makes replies of the answers that plugins have given, at most `most`, each in a slot that `take_slot` gives. Every
    /// answer is a packet in the account, one that cannot be sent as well: `give` gets it with what becomes of it.
    pub fn answers(
        &mut self,
        most: usize,
        routes: &Routes<'_>,
        mut take_slot: impl FnMut() -> Option<Box<Slot>>,
        mut give: impl FnMut(Option<Box<Slot>>, Result<Reply, DropReason>),
    ) {
        let (Some(plugins), responder) = (&mut self.plugins, &self.responder) else { return };
        plugins.answers(most, |waiting, payload| {
            let Some(waiting) = waiting else { return give(None, Err(DropReason::ServiceAnswerTooLate)) };
            let (surb, due, arrived_at) = (&waiting.surb, waiting.due, waiting.arrived_at);
            let Some(mut slot) = take_slot() else { return give(None, Err(DropReason::PoolExhausted)) };
            let first_hop = responder.reply(slot.packet_mut(), surb, Answer::Bytes(payload));
            let way =
                first_hop.map_err(|_| DropReason::ServiceSurbFailed).and_then(|first_hop| routes.onward(first_hop));
            give(Some(slot), way.map(|arrival| Reply { arrival, due, arrived_at }));
        });
    }

    /// Whether plugins have given answers.
    pub fn has_answers(&self) -> bool {
        self.plugins.as_ref().is_some_and(Plugins::has_answers)
    }

    /// Says that the shard is about to sleep; false if there are answers.
    pub fn fall_asleep(&self) -> bool {
        self.plugins.as_ref().is_none_or(Plugins::fall_asleep)
    }
}

/// How long a reply waits: what is left of the delay that its request asks for (server.md 6.2), never longer than the
/// document lets any packet wait.
fn reply_delay(delay_ms: u32, since_arrival: Duration, routes: &Routes<'_>) -> Duration {
    remaining_delay(delay_ms, since_arrival).unwrap_or_default().min(routes.delay_max)
}
