//! A handshake with a node by somebody whom it does not know: who answers there, without asking for anything.

use super::driver::{Driver, Happened};
use super::session::{Caller, unix_seconds};
use crypto_simd::random::{OsRandom, Random};
use crypto_simd::schemes::Kem;
use pki::address::Target;
use std::time::Duration;
use streams::Stream;
use tokio::time::timeout;
use wire::link::{Due, Event, Limits, Link};
use wire::{CommandSizes, Instant, PeerCredentials, Role, SessionConfig};

/// Bytes of the name under which a client connects, which is nobody's here.
const NAME_BYTES: usize = 32;

/// What a handshake has shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Greeting {
    /// Who says to be there: the id and the link key.
    pub peer: PeerCredentials,
    /// How far this host's clock is ahead of the node's, in seconds; none where the node hung up before it told its time.
    pub seconds_ahead: Option<i64>,
}

/// Why there is none.
#[derive(Debug, thiserror::Error)]
pub enum GreetError {
    /// The connection could not be made.
    #[error("cannot connect: {0}")]
    Connect(#[from] std::io::Error),
    /// Nothing came of the connection.
    #[error("nobody answers within {0:?}")]
    Silent(Duration),
    /// What is there speaks otherwise.
    #[error("it accepts connections, and does not speak the link protocol of this network: {0}")]
    Handshake(String),
}

/// Connects.
pub async fn reach(address: &Target, limit: Duration) -> Result<Stream, GreetError> {
    let connected = timeout(limit, streams::connect(address)).await;
    Ok(connected.map_err(|_| GreetError::Silent(limit))??)
}

/// Shakes hands over a connection as a client that nobody knows, and hangs up. Mixes and service nodes do so first.
pub async fn greet(
    stream: Stream,
    kem: &'static dyn Kem,
    sizes: CommandSizes,
    limit: Duration,
) -> Result<Greeting, GreetError> {
    let odd = |error: &dyn std::fmt::Display| GreetError::Handshake(error.to_string());
    let mut name = [0; NAME_BYTES];
    OsRandom.fill(&mut name);
    let caller = Caller::anonymous(kem).map_err(|error| odd(&error))?;
    let config = SessionConfig::mixnet(Role::Initiator, kem, sizes);
    let limits = Limits::exchange(limit, limit);
    let link = Link::new(config, caller.link_key, &name, limits, Instant::default());
    let mut driver = Driver::new(stream, link);
    let mut peer = None;
    loop {
        let happened = match driver.next().await {
            Ok(happened) => happened,
            // It has said who it is, and does not want to hear more.
            Err(error) => return peer.map(|peer| Greeting { peer, seconds_ahead: None }).ok_or_else(|| odd(&error)),
        };
        let now = driver.now();
        let link = &mut driver.link;
        match happened {
            Happened::Event(Event::Due(Due::Step)) => link.step(now, unix_seconds(), &mut OsRandom),
            Happened::Event(Event::Due(Due::Decision)) => {
                peer = link.peer().cloned();
                link.accept(now, &mut OsRandom);
            }
            Happened::Event(Event::Ended(end)) => {
                let seconds_ahead = link.clock_skew();
                return peer.map(|peer| Greeting { peer, seconds_ahead }).ok_or_else(|| odd(&end));
            }
            Happened::Event(Event::Up) | Happened::Announced(_) | Happened::Command(_) => {
                let seconds_ahead = link.clock_skew();
                return peer.map(|peer| Greeting { peer, seconds_ahead }).ok_or_else(|| odd(&"it is nobody"));
            }
        }
    }
}
