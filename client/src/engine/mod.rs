//! The whole client as one machine: which gateway it talks to, what it holds, what it sends and what it waits for.
//!
//! | file | what it holds |
//! |---|---|
//! | `dial` | which gateway next, at which addresses, after which pause |
//! | `sending` | what goes out in a slot, and what comes back |

mod dial;
mod sending;
#[cfg(test)]
mod tests;

pub use sending::{Loss, Request, Service, services};

use crate::awaited::AwaitedReplies;
use crate::bucket::{Bucket, refill_interval};
use crate::documents::Documents;
use crate::path::RoundTrip;
use crate::session::{EndReason, Heard, Session};
use crate::settings::{Gateway, Settings};
use crate::slots::Slots;
use crate::time::Now;
use crypto_simd::random::Random;
use dial::Pause;
use pki::address::{Carrier, Target};
use pki::authority::DocumentVerifier;
use pki::document::{Consensus, DocumentError};
use pki::{Epoch, EpochTime};
use sending::{Accepted, Under};
use sphinx::{SetupError, Sphinx};
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;
use wire::Instant;

/// How long a clock is left alone that shows a time before epoch 0.
const CLOCK_PAUSE: Duration = Duration::from_secs(1);

/// A client. It opens no socket and reads no clock:
///
/// 1. What happened goes in: the `handle_` methods.
/// 2. What it wants done, and what its owner has to know, is polled: after each call of the first or third kind,
///    [`poll_event`](Self::poll_event), [`poll_output`](Self::poll_output), then [`poll_timeout`](Self::poll_timeout).
/// 3. What its owner wants is commanded: [`request`](Self::request), [`stop`](Self::stop).
pub struct Client {
    settings: Settings,
    sphinx: Sphinx,
    documents: Documents,
    /// The epoch of the document whose rates are in force.
    rates_of: Option<Epoch>,
    link: Connection,
    pause: Pause,
    bucket: Bucket,
    slots: Slots,
    requests: VecDeque<Accepted>,
    awaited: AwaitedReplies<Under>,
    events: VecDeque<Event>,
    /// Nothing more is begun.
    is_stopped: bool,
}

enum Connection {
    /// The next gateway is dialled then.
    Resting(Instant),
    /// The owner is dialling.
    Dialling(Gateway),
    /// There is a link, perhaps not yet up.
    Linked(Box<Session>),
}

/// Something for the owner to do or to know.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// Connect to one of these, the first first; then call [`Client::handle_connected`] or
    /// [`Client::handle_unreachable`].
    Dial {
        /// The gateway's name.
        gateway: String,
        /// Its addresses.
        addresses: Vec<Target>,
    },
    /// The link is up.
    Connected {
        /// The gateway's name.
        gateway: String,
        /// Local clock minus the gateway's, in seconds.
        clock_skew: Option<i64>,
    },
    /// The link, or the attempt to make one, is over. The owner closes the connection if there is one.
    Disconnected {
        /// The gateway's name.
        gateway: String,
        /// Why.
        reason: String,
    },
    /// A document was verified and is held.
    Document {
        /// Its epoch.
        epoch: Epoch,
    },
    /// The gateway has no document of that epoch.
    NoDocument {
        /// The epoch.
        epoch: Epoch,
    },
    /// What the gateway sent is not a document that can be used.
    BadDocument {
        /// The epoch that was asked for.
        epoch: Epoch,
        /// What is wrong with it.
        error: DocumentError,
    },
    /// A request was sent.
    Sent {
        /// Its number.
        request: u64,
        /// When.
        at: Now,
        /// The epoch of the document that its ways were chosen from.
        epoch: Epoch,
        /// Its ways.
        trip: RoundTrip,
    },
    /// A reply to a request is there: `ForwardPayloadLength` bytes.
    Answered {
        /// The request's number.
        request: u64,
        /// When.
        at: Now,
        /// The answer with its padding.
        payload: Vec<u8>,
    },
    /// There will be no reply to a request.
    Lost {
        /// Its number.
        request: u64,
        /// When that was known.
        at: Now,
        /// Why.
        loss: Loss,
    },
}

impl Client {
    /// A client that has not begun yet: the first [`handle_timeout`](Self::handle_timeout) is due at once.
    pub fn new(settings: Settings, now: Instant) -> Result<Self, SetupError> {
        let sphinx = Sphinx::new(settings.geometry.clone())?;
        let verifier =
            DocumentVerifier { authorities: settings.authorities.clone(), geometry_hash: settings.geometry.hash() };
        Ok(Self {
            sphinx,
            documents: Documents::new(verifier),
            rates_of: None,
            link: Connection::Resting(now),
            pause: Pause::default(),
            bucket: Bucket::new(None, now),
            slots: Slots::default(),
            requests: VecDeque::new(),
            awaited: AwaitedReplies::default(),
            events: VecDeque::new(),
            is_stopped: false,
            settings,
        })
    }

    /// Whether one of the gateways that are dialled first is reached over QUIC.
    pub fn may_dial_quic(&self) -> bool {
        let mut urls = self.settings.gateways.iter().flat_map(|gateway| &gateway.addresses);
        urls.any(|url| Target::of_url(url).is_some_and(|target| target.carrier == Carrier::Quic))
    }

    // 1. What happened.

    /// The gateway of [`Event::Dial`] is connected.
    pub fn handle_connected(&mut self, now: Now, random: &mut dyn Random) {
        let Connection::Dialling(gateway) = &self.link else { return };
        match Session::new(&self.settings, gateway.clone(), now.at, random) {
            Ok(session) => {
                self.link = Connection::Linked(Box::new(session));
                self.hear(&mut [], now, random);
            }
            Err(error) => self.handle_unreachable(&format!("no link key can be made: {error}"), now, random),
        }
    }

    /// It cannot be connected.
    pub fn handle_unreachable(&mut self, reason: &str, now: Now, random: &mut dyn Random) {
        if let Connection::Dialling(gateway) = &self.link {
            let (gateway, reason) = (gateway.name.clone(), reason.to_owned());
            self.link = Connection::Resting(now.at + self.pause.next(random));
            self.events.push_back(Event::Disconnected { gateway, reason });
        }
    }

    /// Bytes have arrived.
    pub fn handle_input(&mut self, input: &mut [u8], now: Now, random: &mut dyn Random) {
        self.hear(input, now, random);
    }

    /// The connection has taken so many bytes of what [`poll_output`](Self::poll_output) gave: all, or it is lost.
    pub fn handle_sent(&mut self, buffer: Vec<u8>, taken: usize, now: Now, random: &mut dyn Random) {
        if let Connection::Linked(session) = &mut self.link {
            session.handle_sent(buffer, taken);
        }
        self.hear(&mut [], now, random);
    }

    /// The connection is closed, or broken.
    pub fn handle_closed(&mut self, is_broken: bool, now: Now, random: &mut dyn Random) {
        if let Connection::Linked(session) = &mut self.link {
            session.handle_closed(is_broken);
        }
        self.hear(&mut [], now, random);
    }

    /// The time of [`poll_timeout`](Self::poll_timeout) has come.
    pub fn handle_timeout(&mut self, now: Now, random: &mut dyn Random) {
        if let Connection::Linked(session) = &mut self.link {
            session.handle_timeout(now.at, random);
        }
        self.hear(&mut [], now, random);
    }

    // 2. What it wants.

    /// What the owner has to do or to know next.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// Bytes for one send of their own.
    pub fn poll_output(&mut self, now: Instant) -> Option<Vec<u8>> {
        match &mut self.link {
            Connection::Linked(session) => session.poll_output(now),
            _ => None,
        }
    }

    /// When [`handle_timeout`](Self::handle_timeout) has something to do.
    pub fn poll_timeout(&mut self, now: Now) -> Instant {
        let Some(time) = self.time(now) else { return now.at + CLOCK_PAUSE };
        let until_next = match &self.link {
            Connection::Resting(until) => *until,
            Connection::Dialling(_) => Instant::NEVER,
            Connection::Linked(session) if !session.is_up() => session.poll_timeout(),
            Connection::Linked(session) => {
                let next_pass = if session.is_asking() { Instant::NEVER } else { self.documents.next_pass() };
                let has_room = session.has_room();
                let deadline = session.poll_timeout().min(next_pass).min(self.slots.next_tick());
                // An epoch later another document counts.
                let epoch_end = now.at + time.till;
                let next_token =
                    if has_room && self.wants_token() { self.bucket.next_token(now.at) } else { epoch_end };
                deadline.min(epoch_end).min(next_token)
            }
        };
        until_next.min(self.awaited.next_expiry())
    }

    // 3. What its owner wants.

    /// Sends a request when there is a slot for it. Whatever comes of it is told by an event, once.
    pub fn request(&mut self, request: Request, now: Now, random: &mut dyn Random) {
        self.accept(request, now);
        self.go_on(now, random);
    }

    /// Begins nothing more, and says good-bye if the link is up: poll output once more, then drop it.
    pub fn stop(&mut self) {
        self.is_stopped = true;
        if let Connection::Linked(session) = &mut self.link {
            session.say_good_bye();
        }
    }

    // 4. The rest only looks.

    /// The document that counts now.
    pub fn document(&self, now: Now) -> Option<&Arc<Consensus>> {
        self.documents.current(self.time(now)?.epoch)
    }

    /// Whether requests can leave: the link is up and there is a document.
    pub fn is_ready(&self, now: Now) -> bool {
        self.is_linked() && self.document(now).is_some()
    }

    /// Whether a link is up.
    pub fn is_linked(&self) -> bool {
        matches!(&self.link, Connection::Linked(session) if session.is_up())
    }

    fn time(&self, now: Now) -> Option<EpochTime> {
        self.settings.clock.now(now.unix).ok()
    }

    /// Takes all that the gateway has said, then goes on.
    fn hear(&mut self, mut input: &mut [u8], now: Now, random: &mut dyn Random) {
        while let Connection::Linked(session) = &mut self.link
            && let Some(heard) = session.hear(&mut input, now, random)
        {
            self.pause.handle_command();
            match heard {
                Heard::Up => self.handle_up(now),
                Heard::Reply { surb_id, payload } => self.handle_reply(&surb_id, payload, now),
                Heard::Document { wanted, raw } => self.handle_document(raw, wanted, now),
                Heard::NoDocument { wanted, is_gone } => {
                    if is_gone {
                        self.documents.handle_gone(wanted);
                    }
                    self.events.push_back(Event::NoDocument { epoch: wanted });
                }
                Heard::Ended(reason) => self.handle_end(&reason, now, random),
            }
        }
        self.go_on(now, random);
    }

    fn handle_up(&mut self, now: Now) {
        let Connection::Linked(session) = &self.link else { return };
        let (gateway, clock_skew) = (session.gateway().name.clone(), session.clock_skew());
        self.bucket = Bucket::new(None, now.at);
        self.rates_of = None;
        self.documents.handle_link(now.at);
        self.events.push_back(Event::Connected { gateway, clock_skew });
    }

    fn handle_document(&mut self, raw: Vec<u8>, wanted: Epoch, now: Now) {
        let Some(time) = self.time(now) else { return };
        self.events.push_back(match self.documents.handle_document(raw, wanted, time.epoch) {
            Ok(()) => Event::Document { epoch: wanted },
            Err(error) => Event::BadDocument { epoch: wanted, error },
        });
    }

    /// The link is over: no reply that was to come over it can come any more.
    fn handle_end(&mut self, reason: &EndReason, now: Now, random: &mut dyn Random) {
        let Connection::Linked(session) = &self.link else { return };
        let gateway = session.gateway().name.clone();
        self.link = Connection::Resting(now.at + self.pause.next(random));
        self.slots.stop();
        self.rates_of = None;
        self.events.push_back(Event::Disconnected { gateway, reason: reason.to_string() });
        for lost in self.awaited.drain() {
            self.lose(lost, Loss::LinkLost { reason: reason.to_string() }, now);
        }
    }

    /// Does what is due by now.
    fn go_on(&mut self, now: Now, random: &mut dyn Random) {
        for lost in self.awaited.expired(now.at) {
            self.lose(lost, Loss::TimedOut, now);
        }
        let Some(time) = self.time(now).filter(|_| !self.is_stopped) else { return };
        if let Connection::Resting(until) = self.link
            && until <= now.at
        {
            self.dial(&time, now, random);
        }
        if let Connection::Linked(session) = &mut self.link
            && session.is_up()
        {
            if !session.is_asking()
                && let Some(wanted) = self.documents.next_request(now.at, &time)
            {
                session.ask(wanted, now.at);
            }
            self.heed_document(&time, now, random);
            self.slots.handle_time(now.at, random);
            self.send_what_is_due(&time, now, random);
        }
    }

    /// Takes up the rates of the document that counts, where that is another one than before; a gateway that it does
    /// not list is left.
    fn heed_document(&mut self, time: &EpochTime, now: Now, random: &mut dyn Random) {
        let Some(consensus) = self.documents.current(time.epoch) else {
            self.rates_of = None;
            self.slots.stop();
            return;
        };
        if self.rates_of == Some(consensus.epoch()) {
            return;
        }
        let document = consensus.document();
        let Connection::Linked(session) = &self.link else { return };
        let gateway = session.gateway();
        let listed = document.gateway_nodes.iter().find(|node| node.id() == gateway.id);
        if listed.is_none_or(|node| node.link_key() != gateway.link_key) {
            self.handle_end(&EndReason::NoLongerListed, now, random);
            return;
        }
        let (any, loops) = (document.lambda_p, document.lambda_l);
        self.rates_of = Some(consensus.epoch());
        self.bucket.set(refill_interval(any, loops), now.at);
        self.slots.set_rates(any, if self.settings.sends_decoys { loops } else { 0.0 }, now.at, random);
    }
}

/// How long a reply is waited for: as long as all hops take that wait the longest, and half a second more for each
/// (client.md 17.1).
pub fn reply_limit(consensus: &Consensus) -> Duration {
    let document = consensus.document();
    let hops = 2 * document.topology.len() as u64 + 3;
    Duration::from_millis(hops.saturating_mul(pki::document::delay_cap_ms(document.mu).saturating_add(500)))
}
