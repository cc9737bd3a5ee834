//! One request and one answer over a PKI session (wire.md 6.7, 7.6): dial, shake hands, ask, close.

use super::driver::{Driver, Happened};
use crypto_simd::random::{OsRandom, Random};
use crypto_simd::schemes::{Kem, KemDecapsulationKey};
use pki::address::Target;
use pki::authority::Authority;
use secret_memory::within;
use std::collections::{BTreeMap, BTreeSet};
use std::io::ErrorKind;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use streams::Stream;
use tokio::time::timeout;
use wire::link::{CLOCK_SKEW_SECONDS_MAX, Due, End, Event, Limits, Link};
use wire::{Command, CommandSizes, HandshakeReason, HandshakeState, Instant, Role, SessionConfig};

#[cfg(test)]
mod tests;

/// The largest answer that is taken: a document.
const ANSWER_BYTES_MAX: usize = pki::document::SIGNED_BYTES_MAX;

/// Why an exchange with an authority brought nothing.
#[derive(Debug, thiserror::Error)]
pub enum ExchangeError {
    /// None of the authority's addresses can be dialled by this node.
    #[error("no address that can be dialled (tcp://host:port or quic://host:port)")]
    NoAddress,
    /// The connection could not be made.
    #[error("cannot connect to {address}: {error}")]
    Connect {
        /// The address.
        address: Target,
        /// The operating system's reason.
        error: std::io::Error,
    },
    /// A step took too long.
    #[error("no {step} within {limit:?}")]
    TimedOut {
        /// The step.
        step: &'static str,
        /// Its limit.
        limit: Duration,
    },
    /// The connection broke.
    #[error("the connection broke: {0}")]
    Broken(#[from] std::io::Error),
    /// The handshake failed.
    #[error("{0}")]
    Handshake(wire::HandshakeError),
    /// Somebody else answered at the authority's address.
    #[error("the peer is not the configured authority")]
    OtherPeer,
    /// A frame or command that does not belong here.
    #[error("the answer is not acceptable: {0}")]
    Answer(String),
}

impl ExchangeError {
    /// Whether trying again at once may help (wire.md 7.6).
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::Connect { .. } | Self::TimedOut { .. } | Self::Broken(_))
    }
}

/// How far this host's clock was ahead of each authority's at the last handshake, in seconds, by the authority's name
/// (server.md 8.11); cheap to clone.
#[derive(Clone, Default)]
pub struct Clocks(Arc<Mutex<BTreeMap<String, i64>>>);

impl Clocks {
    fn note(&self, authority: &str, seconds_ahead: i64) {
        self.lock().insert(authority.into(), seconds_ahead);
    }

    /// All of them.
    pub fn seconds_ahead(&self) -> BTreeMap<String, i64> {
        self.lock().clone()
    }

    // A map is whole after every statement.
    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, i64>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Of which authorities it was told that their clocks differ from this host's.
#[derive(Default)]
pub struct Skews(BTreeSet<String>);

impl Skews {
    /// What is to be told of what is known now: once of each authority, until its clock agrees again.
    pub fn compare(&mut self, seconds_ahead: &BTreeMap<String, i64>) -> Vec<String> {
        let mut news = Vec::new();
        for (authority, seconds) in seconds_ahead {
            if seconds.unsigned_abs() <= CLOCK_SKEW_SECONDS_MAX {
                self.0.remove(authority);
            } else if self.0.insert(authority.clone()) {
                let direction = if *seconds > 0 { "ahead of" } else { "behind" };
                let seconds = seconds.unsigned_abs();
                news.push(format!(
                    "the clock of this host is {seconds} s {direction} that of authority {authority}: see to it that \
                     time synchronisation works on this host"
                ));
            }
        }
        news
    }
}

/// How to reach authorities.
#[derive(Clone)]
pub struct Dialler {
    /// The network's link KEM.
    pub kem: &'static dyn Kem,
    /// Bytes of a public key of the PKI signature scheme.
    pub pki_public_key_bytes: usize,
    /// Limit of a dial.
    pub connect_limit: Duration,
    /// Limit of the whole handshake.
    pub handshake_limit: Duration,
    /// Limit of sending the request, and of the answer.
    pub answer_limit: Duration,
    /// What the handshakes have shown of the authorities' clocks.
    pub clocks: Clocks,
}

/// Who asks: a node posts under its own identity, a fetcher stays anonymous with a fresh key.
#[derive(Clone)]
pub struct Caller {
    /// The link key.
    pub link_key: Arc<dyn KemDecapsulationKey>,
    /// The node id, or nothing.
    pub additional_data: Vec<u8>,
}

impl Caller {
    /// A fresh link key and no identity.
    pub fn anonymous(kem: &'static dyn Kem) -> Result<Self, crypto_simd::schemes::SchemeError> {
        let link_key = within(|| kem.load(&kem.generate(&mut OsRandom)).map(Arc::from))?;
        Ok(Self { link_key, additional_data: Vec::new() })
    }
}

impl Dialler {
    /// Sends `command` to `authority` and gives what `take` makes of the answer.
    pub async fn exchange<T>(
        &self,
        authority: &Authority,
        caller: &Caller,
        command: &Command<'_>,
        take: impl FnOnce(&Command<'_>) -> Option<T>,
    ) -> Result<T, ExchangeError> {
        let sizes = CommandSizes::pki(self.pki_public_key_bytes);
        let config = SessionConfig {
            receive_bytes_max: ANSWER_BYTES_MAX,
            ..SessionConfig::pki(Role::Initiator, self.kem, sizes)
        };
        let stream = self.dial(authority).await?;
        let limits = Limits::exchange(self.handshake_limit, self.answer_limit);
        let link = Link::new(config, caller.link_key.clone(), &caller.additional_data, limits, Instant::default());
        let mut conversation = Conversation { driver: Driver::new(stream, link), dialler: self, authority };
        conversation.ask(command, take).await
    }

    async fn dial(&self, authority: &Authority) -> Result<Stream, ExchangeError> {
        let mut last = ExchangeError::NoAddress;
        for address in dialled_addresses(authority, &mut OsRandom) {
            match timeout(self.connect_limit, streams::connect(&address)).await {
                Ok(Ok(stream)) => return Ok(stream),
                Ok(Err(error)) => last = ExchangeError::Connect { address, error },
                Err(_) => last = ExchangeError::TimedOut { step: "connection", limit: self.connect_limit },
            }
        }
        Err(last)
    }
}

/// Where an authority can be dialled, over whatever transport, in random order (server.md 8.10).
fn dialled_addresses(authority: &Authority, random: &mut dyn Random) -> Vec<Target> {
    let mut addresses: Vec<_> = authority.addresses.iter().filter_map(|url| Target::of_url(url)).collect();
    for last in (1..addresses.len()).rev() {
        let mut bytes = [0; 8];
        random.fill(&mut bytes);
        // A handful of addresses: the remainder's bias is far below anything that could be seen.
        addresses.swap(last, (u64::from_le_bytes(bytes) % (last as u64 + 1)) as usize);
    }
    addresses
}

/// A link to an authority, for one request.
struct Conversation<'a> {
    driver: Driver,
    dialler: &'a Dialler,
    authority: &'a Authority,
}

impl Conversation<'_> {
    async fn ask<T>(
        &mut self,
        command: &Command<'_>,
        take: impl FnOnce(&Command<'_>) -> Option<T>,
    ) -> Result<T, ExchangeError> {
        loop {
            match self.driver.next().await? {
                Happened::Event(event) => self.heed(event, command)?,
                Happened::Announced(_) => {}
                Happened::Command(answer) => {
                    let answer = answer.map_err(|error| ExchangeError::Answer(error.to_string()))?;
                    let set = self.driver.link.commands();
                    let answer = set.parse(&answer).map_err(|error| ExchangeError::Answer(error.to_string()))?;
                    return take(&answer).ok_or_else(|| ExchangeError::Answer(format!("{:?}", answer.id())));
                }
            }
        }
    }

    /// Does what the link wants done; sends the request as soon as it is up.
    fn heed(&mut self, event: Event, command: &Command<'_>) -> Result<(), ExchangeError> {
        let now = self.driver.now();
        let link = &mut self.driver.link;
        match event {
            Event::Due(Due::Step) => link.step(now, unix_seconds(), &mut OsRandom),
            Event::Due(Due::Decision) => {
                let peer = link.peer();
                if !peer.is_some_and(|peer| self.authority.is_peer(&peer.additional_data, &peer.public_key)) {
                    return Err(ExchangeError::OtherPeer);
                }
                link.accept(now, &mut OsRandom);
            }
            Event::Up => {
                if let Some(seconds) = link.clock_skew() {
                    self.dialler.clocks.note(&self.authority.name, seconds);
                }
                link.send(command).map_err(|error| ExchangeError::Answer(error.to_string()))?;
            }
            Event::Ended(end) => return Err(self.dialler.error_of(end)),
        }
        Ok(())
    }
}

impl Dialler {
    /// An end as the outcome of an exchange.
    fn error_of(&self, end: End) -> ExchangeError {
        use HandshakeReason::{Closed, ClosedBeforeFirstByte, TimedOut};
        let (handshake, answer) = (self.handshake_limit, self.answer_limit);
        match end {
            End::Handshake(error) => match (error.reason, error.state) {
                (TimedOut, HandshakeState::Finalization) => {
                    ExchangeError::TimedOut { step: "finalization", limit: answer }
                }
                (TimedOut, _) => ExchangeError::TimedOut { step: "handshake", limit: handshake },
                (Closed | ClosedBeforeFirstByte, _) => ExchangeError::Broken(ErrorKind::UnexpectedEof.into()),
                _ => ExchangeError::Handshake(error),
            },
            End::Silent => ExchangeError::TimedOut { step: "answer", limit: answer },
            End::Stalled => ExchangeError::TimedOut { step: "room to send", limit: answer },
            End::PeerClosed | End::Failed => ExchangeError::Broken(ErrorKind::UnexpectedEof.into()),
            other => ExchangeError::Answer(other.to_string()),
        }
    }
}

/// What is told to peers of the clock.
pub(crate) fn unix_seconds() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}
