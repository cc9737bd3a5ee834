//! One connection of a peer (pki.md 8.1 to 8.3): handshake, one request, one answer, the end.

use super::door::Place;
use super::inspections::Inspections;
use super::machine::{Order, Orders};
use super::shared::Shared;
use crate::directory::driver::{Driver, Happened};
use crate::directory::epoch_time;
use crate::directory::session::unix_seconds;
use config::authority::Timeouts;
use crypto_simd::random::OsRandom;
use crypto_simd::schemes::{Kem, KemDecapsulationKey};
use pki::Epoch;
use pki::voting::{Configuration, Message, MessageKind, Peer, Reply, Request};
use std::sync::Arc;
use std::time::Duration;
use streams::Visitor;
use tokio::sync::oneshot;
use tokio::task::spawn_blocking;
use tokio::time::{Instant, timeout};
use wire::command::{Certified, CommandSet};
use wire::link::{Due, End, Event, Limits, Link};
use wire::{Command, CommandSizes, FrameError, Role, SessionConfig};

/// Bytes that somebody may send who only asks for a document, and bytes around what others send.
const CLIENT_BYTES_MAX: usize = 1 << 10;

/// Bytes of the largest message of another authority: votes of large networks stay far below.
const MESSAGE_BYTES_MAX: usize = 64 << 20;

/// What conversations go by.
pub struct Desk {
    /// Who may come.
    pub configuration: Arc<Configuration>,
    /// The link KEM.
    pub kem: &'static dyn Kem,
    /// The own link key.
    pub link_key: Arc<dyn KemDecapsulationKey>,
    /// Bytes of an identity key.
    pub public_key_bytes: usize,
    /// How long steps may take.
    pub timeouts: Timeouts,
    /// Documents and counters.
    pub shared: Arc<Shared>,
    /// The state machine.
    pub orders: Orders,
    /// Whose request is verified when.
    pub inspections: Inspections,
}

impl Desk {
    /// Serves one connection. How it ends is the peer's affair.
    pub async fn serve(self: Arc<Self>, visitor: Visitor, place: Place) {
        let Ok(stream) = visitor.admit().await else { return };
        let began = Instant::now();
        let mut driver = Driver::new(stream, self.link());
        let Some(peer) = self.shake_hands(&mut driver, &place, began).await else { return };
        let Some(request) = self.hear(&mut driver, peer, &place).await else { return };
        let Some(reply) = self.answer(request, peer, &place).await else { return };
        if driver.link.send(&command_of(&reply)).is_ok() && driver.flush().await.is_ok() {
            let _the_peer_may_be_gone = driver.close().await;
        }
    }

    fn link(&self) -> Link {
        let sizes = CommandSizes::pki(self.public_key_bytes);
        let config = SessionConfig::pki(Role::Responder, self.kem, sizes);
        let limits = Limits::exchange(self.timeouts.handshake, self.timeouts.response);
        let own = self.configuration.authorities.list()[self.configuration.own].identity.id();
        Link::new(config, self.link_key.clone(), own, limits, wire::Instant::default())
    }

    /// Until the peer has said who it is, and may be that.
    async fn shake_hands(&self, driver: &mut Driver, place: &Place, began: Instant) -> Option<Peer> {
        let mut peer = None;
        loop {
            let Happened::Event(event) = driver.next().await.ok()? else { return None };
            let now = driver.now();
            match event {
                Event::Due(Due::Step) => driver.link.step(now, unix_seconds(), &mut OsRandom),
                Event::Due(Due::Decision) => {
                    let classify = |peer: &wire::PeerCredentials| {
                        self.configuration.classify(&peer.additional_data, &peer.public_key)
                    };
                    peer = driver.link.peer().and_then(classify).filter(|peer| place.claims(*peer));
                    match peer {
                        Some(_) => driver.link.accept(now, &mut OsRandom),
                        None => driver.link.reject(),
                    }
                }
                Event::Up => {
                    self.handshake_took(began.elapsed(), "success");
                    let peer = peer?;
                    driver.link.receive_at_most(self.bytes_max(peer));
                    return Some(peer);
                }
                Event::Ended(end) => {
                    if let End::Handshake(error) = end {
                        self.handshake_took(began.elapsed(), "failure");
                        self.shared.metrics.handshake_failures.with_label_values(&["incoming", error.label()]).inc();
                    }
                    return None;
                }
            }
        }
    }

    fn handshake_took(&self, time: Duration, result: &str) {
        self.shared.metrics.handshake_seconds.with_label_values(&["incoming", result]).observe(time.as_secs_f64());
    }

    /// Uploads that are too large are refused with a reason up to twice what is allowed; more is not read.
    fn bytes_max(&self, peer: Peer) -> usize {
        match peer {
            Peer::Client => CLIENT_BYTES_MAX,
            Peer::Node(_) | Peer::Replica(_) => {
                CLIENT_BYTES_MAX + 2 * self.configuration.upload_bytes_max(self.configuration.segments_max())
            }
            Peer::Authority(_) => MESSAGE_BYTES_MAX,
        }
    }

    /// The first command, if it is a request. An honest peer sends it as soon as the handshake is done, so that its
    /// beginning is here within the time that a whole handshake may take; a silent one has shown nothing by then.
    async fn hear(&self, driver: &mut Driver, peer: Peer, place: &Place) -> Option<Request> {
        let mut happened = timeout(self.timeouts.handshake, driver.next()).await.ok()?.ok()?;
        if let Happened::Event(event) = happened {
            if let Event::Ended(End::Frame(FrameError::TooLarge { bytes, bytes_max })) = event {
                self.orders.give(Order::TooLarge { peer, bytes, bytes_max });
            }
            return None;
        }
        if !place.is_heard() {
            return None;
        }
        if let Happened::Announced(bytes) = happened {
            if !place.takes(bytes) {
                return None;
            }
            happened = driver.next().await.ok()?;
        }
        let Happened::Command(command) = happened else { return None };
        let command = command.ok()?;
        // What came whole was not announced.
        if !place.takes(command.len()) {
            return None;
        }
        place.has_asked();
        request_of(driver.link.commands(), &command)
    }

    /// What is said to a request; nothing to what has no place here.
    async fn answer(&self, request: Request, peer: Peer, place: &Place) -> Option<Reply> {
        if !peer.may_send(&request) {
            return None;
        }
        if let Request::GetConsensus { epoch } = request {
            let (code, payload) = self.shared.seen().documents.answer(epoch, &epoch_time(&self.shared.clock));
            let payload = payload.unwrap_or_default();
            // It is sealed for this peer alone, and stays until the peer has taken it.
            return place.takes(payload.len()).then_some(Reply::Consensus { code, payload });
        }
        let is_vote = matches!(&request, Request::Message(message) if message.kind == MessageKind::Vote);
        let reply = timeout(self.timeouts.response, self.ask_machine(peer, request)).await.ok()??;
        self.count(&reply, is_vote);
        Some(reply)
    }

    /// Verifies the request on another thread, then has it handled.
    async fn ask_machine(&self, peer: Peer, request: Request) -> Option<Reply> {
        let turn = self.inspections.turn(&peer).await?;
        let (configuration, now) = (self.configuration.clone(), epoch_time(&self.shared.clock));
        let inspected = spawn_blocking(move || {
            let inspected = configuration.inspect(&peer, request, &now);
            drop(turn);
            inspected
        });
        let (answer, answered) = oneshot::channel();
        self.orders.give(Order::Handle(Box::new(inspected.await.ok()?), answer));
        answered.await.ok()
    }

    fn count(&self, reply: &Reply, is_vote: bool) {
        let metrics = &self.shared.metrics;
        let post = |kind: &str, status: pki::voting::PostStatus| match status {
            pki::voting::PostStatus::Ok => metrics.descriptors_accepted.with_label_values(&[kind]).inc(),
            status => metrics.descriptors_rejected.with_label_values(&[kind, status.label()]).inc(),
        };
        match reply {
            Reply::PostDescriptorStatus(status) => post("mix", *status),
            Reply::PostReplicaDescriptorStatus(status) => post("replica", *status),
            Reply::MessageStatus { status, .. } if is_vote => {
                metrics.votes_received.with_label_values(&[status.label()]).inc();
            }
            Reply::MessageStatus { .. } | Reply::Consensus { .. } => {}
        }
    }
}

/// The request in a command; none in what is no request.
fn request_of(set: CommandSet, bytes: &[u8]) -> Option<Request> {
    let message = |kind, certified: Certified<'_>| {
        Request::Message(Message {
            kind,
            epoch: Epoch(certified.epoch),
            public_key: certified.public_key.to_vec(),
            payload: certified.payload.into(),
        })
    };
    Some(match set.parse(bytes).ok()? {
        Command::GetConsensus { epoch, .. } => Request::GetConsensus { epoch: Epoch(epoch) },
        Command::PostDescriptor { epoch, payload } => {
            Request::PostDescriptor { epoch: Epoch(epoch), payload: payload.into() }
        }
        Command::PostReplicaDescriptor { epoch, payload } => {
            Request::PostReplicaDescriptor { epoch: Epoch(epoch), payload: payload.into() }
        }
        Command::Vote(certified) => message(MessageKind::Vote, certified),
        Command::Reveal(certified) => message(MessageKind::Reveal, certified),
        Command::Cert(certified) => message(MessageKind::Certificate, certified),
        Command::Sig(certified) => message(MessageKind::Signature, certified),
        _ => return None,
    })
}

/// The command of an answer.
fn command_of(reply: &Reply) -> Command<'_> {
    let error_code = reply.code();
    match reply {
        Reply::Consensus { payload, .. } => Command::Consensus { error_code, payload },
        Reply::PostDescriptorStatus(_) => Command::PostDescriptorStatus { error_code },
        Reply::PostReplicaDescriptorStatus(_) => Command::PostReplicaDescriptorStatus { error_code },
        Reply::MessageStatus { kind: MessageKind::Vote, .. } => Command::VoteStatus { error_code },
        Reply::MessageStatus { kind: MessageKind::Reveal, .. } => Command::RevealStatus { error_code },
        Reply::MessageStatus { kind: MessageKind::Certificate, .. } => Command::CertStatus { error_code },
        Reply::MessageStatus { kind: MessageKind::Signature, .. } => Command::SigStatus { error_code },
    }
}

/// The command of a message.
pub fn command_of_message(message: &Message) -> Command<'_> {
    let certified = Certified { epoch: message.epoch.0, public_key: &message.public_key, payload: &message.payload };
    match message.kind {
        MessageKind::Vote => Command::Vote(certified),
        MessageKind::Reveal => Command::Reveal(certified),
        MessageKind::Certificate => Command::Cert(certified),
        MessageKind::Signature => Command::Sig(certified),
    }
}

/// The code in the answer to a message; none in what does not answer it.
pub fn code_in_answer(kind: MessageKind, answer: &Command<'_>) -> Option<u8> {
    match (kind, answer) {
        (MessageKind::Vote, Command::VoteStatus { error_code })
        | (MessageKind::Reveal, Command::RevealStatus { error_code })
        | (MessageKind::Certificate, Command::CertStatus { error_code })
        | (MessageKind::Signature, Command::SigStatus { error_code }) => Some(*error_code),
        _ => None,
    }
}
