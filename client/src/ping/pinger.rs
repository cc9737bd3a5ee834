//! A run of pings as a machine around a client.

use super::{Outcome, Ping, PingError, Plan, Progress, Report, Stop};
use crate::driver::Owner;
use crate::engine::{Client, Event, Loss, Request, Service, reply_limit, services};
use crate::path::{Hop, RoundTrip};
use crate::sample;
use crate::time::Now;
use crypto_simd::random::Random;
use pki::Epoch;
use pki::cbor::Value;
use pki::document::{Consensus, DocumentError};
use std::collections::BTreeMap;
use std::time::Duration;
use wire::Instant;

/// Random bytes by which an answer is known.
const RANDOM_BYTES: usize = 32;
/// What the rest of a ping says.
const TEXT: &[u8] = b"Whoever reads this on the way has opened somebody else's letter.";
/// Bytes of CBOR around it.
const CBOR_BYTES_MAX: usize = 3;
/// Bytes of the smallest payload that has room for a ping.
pub const PAYLOAD_BYTES_MIN: usize = RANDOM_BYTES + CBOR_BYTES_MAX;

/// A run of pings.
pub struct Pinger<'a> {
    plan: Plan,
    tell: &'a mut (dyn FnMut(Progress<'_>) + Send),
    payload_bytes: usize,
    /// The service of all pings, once it is chosen.
    service: Option<Service>,
    /// The number of the next ping.
    next: u64,
    waiting: BTreeMap<u64, Waiting>,
    done: BTreeMap<u64, Ping>,
    /// Since when nothing can be sent.
    idle_since: Option<Instant>,
    /// What was seen last of a beginning that does not come.
    last: String,
    fatal: Option<PingError>,
}

/// A ping without an answer yet.
struct Waiting {
    payload: Vec<u8>,
    sent: Option<Sent>,
}

struct Sent {
    at: Instant,
    unix: Duration,
    epoch: Epoch,
    trip: RoundTrip,
}

impl<'a> Pinger<'a> {
    /// A run that begins when the client is ready. `payload_bytes` is what fits in a packet.
    pub fn new(
        plan: Plan,
        payload_bytes: usize,
        tell: &'a mut (dyn FnMut(Progress<'_>) + Send),
    ) -> Result<Self, PingError> {
        if payload_bytes < PAYLOAD_BYTES_MIN {
            let problem = format!("payloads of {payload_bytes} bytes have no room for a ping of {PAYLOAD_BYTES_MIN}");
            return Err(PingError::Settings(problem));
        }
        Ok(Self {
            plan,
            tell,
            payload_bytes,
            service: None,
            next: 0,
            waiting: BTreeMap::new(),
            done: BTreeMap::new(),
            idle_since: None,
            last: "nothing".into(),
            fatal: None,
        })
    }

    /// Chooses the service and tells of the beginning, at the first time.
    fn begin(&mut self, consensus: &Consensus, random: &mut dyn Random) -> Result<(), PingError> {
        if self.service.is_some() {
            return Ok(());
        }
        let service = self.choose(consensus, random)?;
        (self.tell)(Progress::Begins {
            endpoint: &service.endpoint,
            node: &service.name,
            timeout: reply_limit(consensus),
            expected: expected(&self.plan, consensus),
        });
        self.service = Some(service);
        Ok(())
    }

    fn choose(&self, consensus: &Consensus, random: &mut dyn Random) -> Result<Service, PingError> {
        let found = services(consensus, &self.plan.service);
        sample::one(random, &found).cloned().ok_or_else(|| {
            let nodes = consensus.document().service_nodes.iter();
            let mut known: Vec<_> = nodes.flat_map(|node| node.endpoints()).map(|(name, _)| name).collect();
            known.sort_unstable();
            known.dedup();
            let known = if known.is_empty() { "none".into() } else { known.join(", ") };
            PingError::NoService { epoch: consensus.epoch(), service: self.plan.service.clone(), known }
        })
    }

    /// The service of the next ping: the one of the run for as long as it is listed.
    fn service(&self, consensus: &Consensus, random: &mut dyn Random) -> Result<Service, PingError> {
        let chosen = self.service.as_ref().filter(|_| !self.plan.service_for_each);
        match chosen.filter(|service| services(consensus, &self.plan.service).contains(service)) {
            Some(service) => Ok(service.clone()),
            None => self.choose(consensus, random),
        }
    }

    /// Asks for as many pings as may be under way.
    fn fill(&mut self, client: &mut Client, consensus: &Consensus, now: Now, random: &mut dyn Random) {
        while self.next < self.plan.count && self.waiting.len() < self.plan.concurrency.max(1) {
            // A service that was there when the run began and is gone by now.
            let Ok(service) = self.service(consensus, random) else { return };
            let number = self.next;
            self.next += 1;
            let payload = payload(self.payload_bytes, random);
            self.waiting.insert(number, Waiting { payload: payload.clone(), sent: None });
            client.request(Request { number, service, payload }, now, random);
        }
    }

    fn finish(&mut self, number: u64, outcome: impl FnOnce(&Waiting) -> Outcome) {
        let Some(waiting) = self.waiting.remove(&number) else { return };
        let outcome = outcome(&waiting);
        let stops = |hops: &[Hop]| hops.iter().map(stop).collect();
        let ping = match waiting.sent {
            Some(sent) => Ping {
                number,
                epoch: Some(sent.epoch),
                sent_unix: Some(sent.unix),
                forward: stops(&sent.trip.forward),
                reply: stops(&sent.trip.reply),
                outcome,
            },
            None => Ping { number, epoch: None, sent_unix: None, forward: vec![], reply: vec![], outcome },
        };
        (self.tell)(Progress::Done(&ping));
        self.done.insert(number, ping);
    }

    /// What there is to do for want of a link or a document: nothing, up to the limit.
    fn bear_silence(&mut self, client: &Client, now: Now) -> Option<Result<Report, PingError>> {
        let since = *self.idle_since.get_or_insert(now.at);
        if now.at.since(since) < self.plan.start_limit {
            return None;
        }
        let what = match client.is_linked() {
            true => "no document of the current epoch",
            false => "no link to a gateway",
        };
        let error = PingError::NoStart { what, limit: self.plan.start_limit, last: self.last.clone() };
        if self.service.is_none() {
            return Some(Err(error));
        }
        let numbers: Vec<u64> = self.waiting.keys().copied().chain(self.next..self.plan.count).collect();
        for number in numbers {
            self.waiting.entry(number).or_insert(Waiting { payload: Vec::new(), sent: None });
            self.finish(number, |_| Outcome::NotSent { reason: error.to_string() });
        }
        self.next = self.plan.count;
        Some(Ok(self.report()))
    }

    fn report(&mut self) -> Report {
        Report { pings: std::mem::take(&mut self.done).into_values().collect() }
    }

    fn handle_bad_document(&mut self, epoch: Epoch, error: &DocumentError) {
        self.last = format!("the document of epoch {epoch} cannot be used: {error}");
        // Nothing will ever work (client.md 12.4).
        if *error == DocumentError::GeometryMismatch && self.service.is_none() {
            let problem = format!(
                "{}; copy [SphinxGeometry] from the network's configuration, or check that it is the right network",
                self.last
            );
            self.fatal = Some(PingError::OtherNetwork(problem));
        }
    }
}

impl Owner for Pinger<'_> {
    type Outcome = Result<Report, PingError>;

    fn handle_event(&mut self, event: Event) {
        match event {
            Event::Dial { .. } => {}
            Event::Connected { gateway, clock_skew } => {
                self.last = format!("connected to {gateway}");
                (self.tell)(Progress::Connected { gateway: &gateway, clock_skew });
            }
            Event::Disconnected { gateway, reason } => {
                self.last = format!("{gateway}: {reason}");
                (self.tell)(Progress::Disconnected { reason: &self.last });
            }
            Event::Document { epoch } => (self.tell)(Progress::Document { epoch }),
            Event::NoDocument { epoch } => self.last = format!("the gateway has no document of epoch {epoch}"),
            Event::BadDocument { epoch, error } => self.handle_bad_document(epoch, &error),
            Event::Sent { request, at, epoch, trip } => {
                if let Some(waiting) = self.waiting.get_mut(&request) {
                    waiting.sent = Some(Sent { at: at.at, unix: at.unix, epoch, trip });
                    (self.tell)(Progress::Sent { number: request });
                }
            }
            Event::Answered { request, at, payload } => self.finish(request, |waiting| {
                let (rtt, sent) = (under_way(waiting, at), waiting.payload.clone());
                let got = payload.get(..sent.len()).unwrap_or(&payload).to_vec();
                if got == sent { Outcome::Answered { rtt } } else { Outcome::WrongAnswer { rtt, sent, got } }
            }),
            Event::Lost { request, at, loss } => self.finish(request, |waiting| {
                let after = under_way(waiting, at);
                match loss {
                    Loss::TimedOut => Outcome::TimedOut { after },
                    Loss::LinkLost { reason } => Outcome::LinkLost { after, reason },
                    Loss::Unopened => Outcome::Unopened { after },
                    loss => Outcome::NotSent { reason: loss.to_string() },
                }
            }),
        }
    }

    fn go_on(&mut self, client: &mut Client, now: Now, random: &mut dyn Random) -> Option<Self::Outcome> {
        if let Some(error) = self.fatal.take() {
            return Some(Err(error));
        }
        if self.done.len() as u64 >= self.plan.count && self.waiting.is_empty() {
            return Some(Ok(self.report()));
        }
        if !client.is_ready(now) {
            return self.bear_silence(client, now);
        }
        self.idle_since = None;
        let consensus = client.document(now)?.clone();
        if let Err(error) = self.begin(&consensus, random) {
            return Some(Err(error));
        }
        self.fill(client, &consensus, now, random);
        None
    }

    fn poll_timeout(&self) -> Instant {
        self.idle_since.map_or(Instant::NEVER, |since| since + self.plan.start_limit)
    }
}

fn under_way(waiting: &Waiting, now: Now) -> Duration {
    waiting.sent.as_ref().map_or(Duration::ZERO, |sent| now.at.since(sent.at))
}

fn stop(hop: &Hop) -> Stop {
    Stop { node: hop.name.clone(), delay: hop.delay_ms.map(|ms| Duration::from_millis(ms.into())) }
}

/// A CBOR byte string of random bytes and text, as far as there is room.
fn payload(bytes_max: usize, random: &mut dyn Random) -> Vec<u8> {
    let mut bytes = vec![0; RANDOM_BYTES];
    random.fill(&mut bytes);
    let room = bytes_max.saturating_sub(RANDOM_BYTES + CBOR_BYTES_MAX);
    bytes.extend_from_slice(&TEXT[..TEXT.len().min(room)]);
    Value::Bytes(bytes).encode()
}

/// How long the pings take on average: each waits for its slot, then for the delays of both ways.
fn expected(plan: &Plan, consensus: &Consensus) -> Duration {
    let document = consensus.document();
    let mean_ms = |rate: f64| if rate.is_finite() && rate > 0.0 { 1.0 / rate } else { 0.0 };
    let hops = (2 * document.topology.len() + 1) as f64;
    let (slot_ms, way_ms) = (mean_ms(document.lambda_p), hops * mean_ms(document.mu));
    let each_ms = ((slot_ms + way_ms) / plan.concurrency.max(1) as f64).max(slot_ms);
    Duration::try_from_secs_f64((each_ms * plan.count as f64 + way_ms) / 1_000.0).unwrap_or(Duration::MAX)
}
