//! Which gateway next, at which addresses, after which pause (client.md 11.1, 11.2).

use super::{Client, Connection, Event};
use crate::sample;
use crate::settings::{Gateway, Settings};
use crate::time::Now;
use crypto_simd::random::Random;
use pki::EpochTime;
use pki::address::Url;
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
        let known = match self.documents.current(time.epoch) {
            Some(consensus) => {
                consensus.document().gateway_nodes.iter().map(|node| listed(node, &self.settings)).collect()
            }
            None => self.settings.gateways.clone(),
        };
        let choices: Vec<(Gateway, Vec<String>)> = known
            .into_iter()
            .map(|gateway| (gateway.clone(), host_ports(&gateway.addresses, &self.settings.transports)))
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
                let reason = "no gateway is known with an address that can be dialled (tcp://host:port)".to_owned();
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

/// `host:port` of each URL whose scheme is one of `transports`; descriptors write `tcp://` under all keys of TCP.
fn host_ports(urls: &[String], transports: &[String]) -> Vec<String> {
    let is_tcp = |scheme: &str| matches!(scheme, "tcp" | "tcp4" | "tcp6");
    let has_tcp = transports.iter().any(|transport| is_tcp(transport));
    let host_port = |text: &String| {
        let url = Url::parse(text)?;
        let (host, port) = url.host_and_port()?;
        let is_v6 = host.contains(':');
        let text = if is_v6 { format!("[{host}]:{port}") } else { format!("{host}:{port}") };
        (has_tcp && is_tcp(&url.scheme)).then_some(text)
    };
    urls.iter().filter_map(host_port).collect()
}
