//! Which services answer now: the data plane goes by it at once, the node's next descriptor lists them.

use super::parameters::Parameters;
use config::reader::Value as Setting;
use config::server::{BuiltInService, PluginService, ServiceNode};
use interplane::snapshot::{Handler, Service};
use pki::cbor::Value;
use pki::descriptor::Capabilities;
use service::BuiltIn;
use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use tokio::sync::watch;

/// What a descriptor says of services.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Offer {
    /// Capabilities with their parameters.
    pub services: Capabilities,
    /// What the operator says about them.
    pub advertized_data: Capabilities,
}

/// The capability of the keyserver, which is asked as plugins are, after all of them.
pub const KEYSERVER: &str = "keyserver";

/// Told which services answer, each time that it changes.
pub type Announce = Box<dyn Fn(Vec<Service>) + Send + Sync>;

/// Where a service stands in the configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// Among the built-in services.
    BuiltIn(usize),
    /// Among the plugins.
    Plugin(usize),
}

struct Entry {
    place: Place,
    capability: String,
    endpoint: String,
    handler: Handler,
    advertised: Option<BTreeMap<String, Value>>,
    /// What the service itself wants to be published.
    parameters: Parameters,
    answers: bool,
}

/// The services of a node.
pub struct Board {
    entries: Mutex<Vec<Entry>>,
    offer: watch::Sender<Offer>,
    announce: Announce,
}

impl Board {
    /// The configured services; the built-in ones answer.
    pub fn new(node: &ServiceNode, announce: Announce) -> Self {
        let built_in = node.built_in.iter().enumerate().map(|(at, configured)| Entry {
            place: Place::BuiltIn(at),
            capability: configured.service.capability().into(),
            endpoint: configured.endpoint.clone(),
            handler: Handler::BuiltIn(built_in(configured.service)),
            advertised: None,
            parameters: Parameters::new(),
            answers: true,
        });
        let plugins = node.plugins.iter().zip(0..).map(|(configured, number)| Entry {
            place: Place::Plugin(number.into()),
            capability: configured.capability.clone(),
            endpoint: configured.endpoint.clone(),
            handler: Handler::Plugin { number },
            advertised: advertised(configured),
            parameters: Parameters::new(),
            answers: false,
        });
        let keyserver = node.keyserver.iter().map(|keyserver| Entry {
            place: Place::BuiltIn(node.built_in.len()),
            capability: KEYSERVER.into(),
            endpoint: keyserver.endpoint.clone(),
            handler: Handler::Plugin { number: u16::try_from(node.plugins.len()).unwrap_or(u16::MAX) },
            advertised: None,
            parameters: Parameters::new(),
            answers: true,
        });
        let entries: Vec<_> = built_in.chain(plugins).chain(keyserver).collect();
        let (offer, _) = watch::channel(offer(&entries));
        let board = Self { entries: Mutex::new(entries), offer, announce };
        board.tell(&board.entries());
        board
    }

    /// What the next descriptor says.
    pub fn offer(&self) -> watch::Receiver<Offer> {
        self.offer.subscribe()
    }

    /// The service of a capability, and whether it answers.
    pub fn find(&self, capability: &str) -> Option<(Place, bool)> {
        let entries = self.entries();
        entries.iter().find(|entry| entry.capability == capability).map(|entry| (entry.place, entry.answers))
    }

    /// A service answers from now on, or no longer.
    pub fn set(&self, place: Place, answers: bool) {
        let mut entries = self.entries();
        for entry in entries.iter_mut().filter(|entry| entry.place == place) {
            entry.answers = answers;
        }
        self.tell(&entries);
    }

    /// What a service wants to be published about it from now on.
    pub fn describe(&self, place: Place, parameters: Parameters) {
        let mut entries = self.entries();
        for entry in entries.iter_mut().filter(|entry| entry.place == place) {
            entry.parameters.clone_from(&parameters);
        }
        self.offer.send_replace(offer(&entries));
    }

    fn tell(&self, entries: &[Entry]) {
        self.offer.send_replace(offer(entries));
        let answering = entries.iter().filter(|entry| entry.answers);
        // The configuration has checked that endpoints fit.
        let services = answering.filter_map(|entry| {
            Some(Service { recipient: service::recipient(&entry.endpoint)?, handler: entry.handler })
        });
        (self.announce)(services.collect());
    }

    // The entries are whole after every statement.
    fn entries(&self) -> MutexGuard<'_, Vec<Entry>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The reference publishes what operators say of a plugin whether it runs or not (server.md 6.4); here both go together.
fn offer(entries: &[Entry]) -> Offer {
    let answering = || entries.iter().filter(|entry| entry.answers);
    let parameters = |entry: &Entry| {
        let mut parameters = entry.parameters.clone();
        parameters.insert("endpoint".into(), entry.endpoint.as_str().into());
        parameters
    };
    Offer {
        services: answering().map(|entry| (entry.capability.clone(), Some(parameters(entry)))).collect(),
        advertized_data: answering()
            .filter_map(|entry| Some((entry.capability.clone(), Some(entry.advertised.clone()?))))
            .collect(),
    }
}

fn built_in(service: BuiltInService) -> BuiltIn {
    match service {
        BuiltInService::Echo => BuiltIn::Echo,
        BuiltInService::TestDest => BuiltIn::TestDest,
        BuiltInService::Loop => BuiltIn::Loop,
    }
}

fn advertised(plugin: &PluginService) -> Option<BTreeMap<String, Value>> {
    let data = plugin.advertised.as_ref()?;
    Some(data.iter().map(|(key, setting)| (key.clone(), cbor(setting))).collect())
}

/// A setting as the descriptor's CBOR has it.
fn cbor(setting: &Setting) -> Value {
    match setting {
        Setting::Text(text) | Setting::Datetime(text) => text.as_str().into(),
        Setting::Integer(number) => match u64::try_from(*number) {
            Ok(number) => number.into(),
            // -1 - n
            Err(_) => Value::Negative(number.unsigned_abs() - 1),
        },
        Setting::Float(number) => (*number).into(),
        Setting::Boolean(flag) => (*flag).into(),
        Setting::Array(list) => Value::Array(list.iter().map(cbor).collect()),
        Setting::Table(table) => {
            Value::Map(table.iter().map(|(key, setting)| (key.as_str().into(), cbor(setting))).collect())
        }
    }
}
