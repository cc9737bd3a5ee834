//! Which gateway next, at which addresses, after which pause (client.md 11.1, 11.2).

use super::{Client, Connection, Event};
use crate::sample;
use crate::settings::{Gateway, Settings};
use crate::time::Now;
use crypto_simd::random::Random;
use pki::EpochTime;
use pki::address::{Carrier, Target};
use pki::descriptor::MixDescriptor;
use std::time::Duration;

/// The pause after the first attempt that failed, and after a link over which something had come.
const PAUSE_MIN: Duration = Duration::from_secs(1);
/// The longest pause.
const PAUSE_MAX: Duration = Duration::from_secs(30);

/// How long to wait before the next gateway is dialled: doubling from attempt to attempt.
pub struct Pause(Duration);

impl Default for Pause {
    fn default() -> Self {
        Self(PAUSE_MIN)
    }
}

impl Pause {
    /// The next one, by a quarter more or less, so that clients that lost their gateway at once do not return at once.
    pub fn next(&mut self, random: &mut dyn Random) -> Duration {
        let pause = self.0;
        self.0 = (pause * 2).min(PAUSE_MAX);
        let spread = sample::index(random, 1_000) as u32;
        pause * 3 / 4 + pause / 2 * spread / 1_000
    }

    /// A gateway has said something: the next failure is a first one.
    pub fn handle_command(&mut self) {
        self.0 = PAUSE_MIN;
    }
}

impl Client {
    /// Wants a gateway dialled: one of the document's, or of the configuration's as long as there is no document.
    pub(super) fn dial(&mut self, time: &EpochTime, now: Now, random: &mut dyn Random) {
        let known: Vec<Gateway> = match self.documents.current(time.epoch) {
            Some(consensus) => {
                consensus.document().gateway_nodes.iter().map(|node| listed(node, &self.settings)).collect()
            }
            None => self.settings.gateways.iter().map(|gateway| pinned(gateway, &self.settings)).collect(),
        };
        let choices: Vec<(Gateway, Vec<Target>)> = known
            .into_iter()
            .map(|gateway| (gateway.clone(), targets(&gateway.addresses, &self.settings.transports)))
            .filter(|(_, addresses)| !addresses.is_empty())
            .collect();
        match sample::one(random, &choices) {
            Some((gateway, addresses)) => {
                let dial = Event::Dial { gateway: gateway.name.clone(), addresses: addresses.clone() };
                self.link = Connection::Dialling(gateway.clone());
                self.events.push_back(dial);
            }
            None => {
                self.link = Connection::Resting(now.at + self.pause.next(random));
                let reason =
                    "no gateway is known with an address that can be dialled (tcp://host:port or quic://host:port)"
                        .to_owned();
                self.events.push_back(Event::Disconnected { gateway: String::new(), reason });
            }
        }
    }
}

/// A gateway as a document lists it, its addresses in the order of the settings.
fn listed(node: &MixDescriptor, settings: &Settings) -> Gateway {
    let of = |transport: &String| {
        let transport = transport.clone();
        node.addresses().filter(move |(key, _)| *key == transport).map(|(_, url)| url.to_owned())
    };
    Gateway {
        name: node.name.clone(),
        id: node.id(),
        link_key: node.link_key().to_vec(),
        addresses: settings.transports.iter().flat_map(of).collect(),
    }
}

/// A gateway that the configuration names, its addresses in the order of the settings: those over each carrier when the
/// first of its transports has its turn.
fn pinned(gateway: &Gateway, settings: &Settings) -> Gateway {
    let turn = |url: &String| Target::of_url(url).and_then(|target| turn(target.carrier, &settings.transports));
    let mut addresses = gateway.addresses.clone();
    addresses.sort_by_key(turn);
    Gateway { addresses, ..gateway.clone() }
}

/// Where the URLs lead that go over one of `transports`; descriptors write `tcp://` under all keys of TCP.
fn targets(urls: &[String], transports: &[String]) -> Vec<Target> {
    let targets = urls.iter().filter_map(|url| Target::of_url(url));
    targets.filter(|target| turn(target.carrier, transports).is_some()).collect()
}

/// The place of the first transport that a carrier is behind.
fn turn(carrier: Carrier, transports: &[String]) -> Option<usize> {
    let is_behind = |transport: &String| match carrier {
        Carrier::Tcp => matches!(transport.as_str(), "tcp" | "tcp4" | "tcp6"),
        Carrier::Quic => transport == "quic",
    };
    transports.iter().position(is_behind)
}
