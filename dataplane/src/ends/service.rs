//! Requests to this node's services (server.md 6): answered at once, in the slots that brought them, by the shard that
//! unwrapped them. A reply is a new packet in the account, with a delay of its own.

use crate::account::Account;
use crate::packet::pool::Slot;
use crate::packet::route::{Arrival, Delivery, Routes, remaining_delay};
use crate::shared::Facts;
use crate::time::Instant;
use interplane::counter::{Destination, Origin};
use interplane::snapshot::Handler;
use interplane::{Counter, DropReason};
use service::Responder;
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

/// The services of one shard. Allocates nothing once it is made.
pub struct Services {
    responder: Responder,
    service_delay: Duration,
    kaetzchen_delay: Duration,
}

impl Services {
    /// For packets of these facts.
    pub fn new(facts: &Facts) -> Self {
        Self {
            responder: Responder::new(&facts.geometry),
            service_delay: facts.service_delay,
            kaetzchen_delay: facts.kaetzchen_delay,
        }
    }

    /// Lets the service for which a packet is have it. `slot.dispatch_at` says when the unwrap of its batch began.
    pub fn serve(
        &mut self,
        slot: &mut Slot,
        delivery: &Delivery,
        routes: &Routes<'_>,
        account: &Account,
        now: Instant,
    ) -> Served {
        let age = now.since(slot.dispatch_at);
        if age > self.service_delay {
            return Served::Refused(DropReason::ServiceDwellExceeded);
        }
        let Some(service) = routes.directory.snapshot().service(&delivery.recipient) else {
            return Served::Refused(DropReason::ServiceUnknownRecipient);
        };
        let Handler::BuiltIn(built_in) = service.handler;
        if delivery.surb_id.is_some() {
            return Served::Refused(DropReason::ServiceKaetzchenSurbReply);
        }
        if age > self.kaetzchen_delay {
            return Served::Refused(DropReason::KaetzchenDwellExceeded);
        }
        account.count(Counter::KAETZCHEN_REQUESTS);
        match self.responder.read(slot.packet()) {
            Err(_) => return Served::Refused(DropReason::KaetzchenParseForwardFailed),
            Ok(request) if !request.wants_reply => {
                account.count(Counter::delivered(Destination::Service));
                return Served::Done;
            }
            Ok(_) => {}
        }
        let Ok(next_hop) = self.responder.answer(slot.packet_mut(), built_in.answer()) else {
            return Served::Refused(DropReason::ServiceSurbFailed);
        };
        // The request ends here, and another packet begins.
        account.count(Counter::delivered(Destination::Service));
        account.count(Counter::originated(Origin::SurbReply));
        match routes.onward(next_hop) {
            Ok(arrival) => Served::Reply(arrival, reply_delay(delivery.delay_ms, now.since(slot.recv_at), routes)),
            Err(reason) => Served::Refused(reason),
        }
    }
}

/// How long a reply waits: what is left of the delay that its request asks for (server.md 6.2), never longer than the
/// document lets any packet wait.
fn reply_delay(delay_ms: u32, since_arrival: Duration, routes: &Routes<'_>) -> Duration {
    remaining_delay(delay_ms, since_arrival).unwrap_or_default().min(routes.delay_max)
}
