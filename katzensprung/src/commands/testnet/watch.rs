//! Waiting for a network: what its members say of themselves, and the document that they agree on.

use super::super::fetch;
use super::Say;
use super::network::Network;
use super::options::file_of;
use super::scrape::Metrics;
use config::{ServerConfig, Strictness};
use controlplane::directory::epoch_time;
use controlplane::node;
use pki::authority::Authorities;
use pki::document::Consensus;
use pki::epoch::EpochTime;
use pki::{Epoch, EpochClock};
use std::collections::BTreeMap;
use std::time::Duration;
use testnet::layout::Role;

/// Between two looks.
const PAUSE: Duration = Duration::from_millis(500);
/// Epochs after which something is wrong: two are what a start takes at most, one may be lost.
const EPOCHS_MAX: u32 = 4;
/// The names of the voting's states by their numbers (pki.md 9.3).
const PHASES: [&str; 6] = [
    "waiting for an epoch",
    "taking descriptors",
    "taking votes",
    "taking reveals",
    "taking certificates",
    "taking signatures",
];

/// A network as it is at one moment.
pub struct View {
    /// The time by its epochs.
    pub now: EpochTime,
    /// What each member says; those that do not answer are not in it.
    pub metrics: BTreeMap<String, Metrics>,
    /// The document of the current epoch, if there is one.
    pub consensus: Option<Consensus>,
    /// The next epoch's.
    pub next: Option<Consensus>,
}

impl View {
    /// Whether that node says that it takes part in the epoch.
    pub fn is_ready(&self, name: &str) -> bool {
        self.metrics.get(name).is_some_and(|metrics| metrics.lack_of_readiness(self.now.epoch).is_none())
    }

    /// What the authorities are at, by their names.
    pub fn phases(&self) -> BTreeMap<&str, &'static str> {
        let phase = |metrics: &Metrics| {
            let number = metrics.sum("katzenpost_dirauth_voting_phase")?;
            PHASES.get(number as usize).copied().filter(|_| number >= 0.0)
        };
        self.metrics.iter().filter_map(|(name, metrics)| Some((name.as_str(), phase(metrics)?))).collect()
    }
}

/// Who looks.
pub struct Watcher {
    config: ServerConfig,
    documents: BTreeMap<Epoch, Consensus>,
}

impl Watcher {
    /// With what a node's file says of authorities and packets.
    pub fn new(network: &Network) -> Result<Self, String> {
        let member = network.layout.of(|role| role != Role::Authority).next().ok_or("the network has no nodes")?;
        let file = file_of(network.folder.path(), member);
        let loaded = ServerConfig::load(&file, Strictness::Lenient)
            .map_err(|findings| super::super::findings_text(&findings))?;
        Ok(Self { config: loaded.config, documents: BTreeMap::new() })
    }

    /// Looks once.
    pub async fn look(&mut self, network: &Network) -> View {
        let now = epoch_time(&network.clock);
        let mut metrics = BTreeMap::new();
        for member in &network.layout.members {
            if let Ok(found) = Metrics::of(&member.metrics_address()).await {
                metrics.insert(member.name.clone(), found);
            }
        }
        // Votes are counted when five eighths of the epoch are over.
        let next_is_due = now.elapsed > now.period * 5 / 8;
        for epoch in [Some(now.epoch), next_is_due.then(|| now.epoch.after(1))].into_iter().flatten() {
            if !self.documents.contains_key(&epoch)
                && let Ok(consensus) = fetch::fetch(&self.config, &network.clock, epoch).await
            {
                self.documents.insert(epoch, consensus);
            }
        }
        self.documents.retain(|epoch, _| *epoch >= now.epoch);
        let (consensus, next) =
            (self.documents.get(&now.epoch).cloned(), self.documents.get(&now.epoch.after(1)).cloned());
        View { now, metrics, consensus, next }
    }
}

impl Watcher {
    /// What each authority gives as the document of an epoch, by their names.
    pub async fn documents_of_all(&self, clock: &EpochClock, epoch: Epoch) -> Result<BTreeMap<String, String>, String> {
        let all = node::authorities(&self.config).map_err(|error| error.to_string())?;
        let mut told = BTreeMap::new();
        for authority in all.list() {
            let alone = Authorities::new(vec![authority.clone()]).map_err(|error| error.to_string())?;
            let text = match fetch::fetch_from(&self.config, &alone, clock, epoch).await {
                Ok(consensus) => {
                    let good = &consensus.signers().good;
                    let signers = all.list().iter().filter(|other| good.contains(other.identity.id()));
                    let names: Vec<&str> = signers.map(|signer| signer.name.as_str()).collect();
                    format!("{}, signed by {}", fetch::hex(&consensus.sum256()), names.join(", "))
                }
                Err(error) => error.replace("\n  ", " "),
            };
            told.insert(authority.name.clone(), text);
        }
        Ok(told)
    }
}

/// The names of all nodes that a document lists.
pub fn listed(consensus: &Consensus) -> Vec<String> {
    consensus.document().nodes().map(|(_, node)| node.name.clone()).collect()
}

/// Waits until the current epoch has a document that lists every node and every node works by it. Gives that view.
pub async fn wait(network: &mut Network, say: Say<'_>) -> Result<View, String> {
    let mut watcher = Watcher::new(network)?;
    let deadline = network.clock.period() * EPOCHS_MAX;
    let begun = tokio::time::Instant::now();
    let mut said = String::new();
    loop {
        network.check()?;
        let view = watcher.look(network).await;
        let missing = missing(network, &view);
        let line = progress(network, &view);
        if line != said {
            say(&line);
            said = line;
        }
        if view.consensus.is_some() && missing.is_empty() {
            return Ok(view);
        }
        if begun.elapsed() > deadline {
            return Err(format!("after {} s: {said}{}", begun.elapsed().as_secs(), blamed(network, &view, &missing)));
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// The nodes that the document lacks or that are not ready.
fn missing(network: &Network, view: &View) -> Vec<String> {
    let listed = view.consensus.as_ref().map(listed).unwrap_or_default();
    let nodes = network.layout.of(|role| role != Role::Authority);
    let missing = nodes.filter(|node| !listed.contains(&node.name) || !view.is_ready(&node.name));
    missing.map(|node| node.name.clone()).collect()
}

/// How far the network is, in a line.
pub fn progress(network: &Network, view: &View) -> String {
    let missing = missing(network, view);
    let epoch = view.now.epoch;
    let nodes = network.layout.of(|role| role != Role::Authority).count();
    let told = |consensus: &Consensus| {
        format!("signed by {}, {} of {nodes} nodes", consensus.signers().good.len(), listed(consensus).len())
    };
    match (&view.consensus, &view.next) {
        (Some(consensus), _) if missing.is_empty() => format!("epoch {epoch}: document {}, all ready", told(consensus)),
        (Some(consensus), _) => {
            format!("epoch {epoch}: document {}; not ready: {}", told(consensus), missing.join(", "))
        }
        (None, Some(next)) => {
            format!("the document of epoch {} is there, {}; the epoch begins soon", epoch.after(1), told(next))
        }
        (None, None) => {
            let phases = view.phases();
            let states: Vec<String> = PHASES
                .iter()
                .filter_map(|phase| {
                    let names: Vec<_> =
                        phases.iter().filter(|(_, other)| *other == phase).map(|(name, _)| *name).collect();
                    (!names.is_empty()).then(|| format!("{} {phase}", names.join(", ")))
                })
                .collect();
            let (answers, members) = (view.metrics.len(), network.layout.members.len());
            let answers = format!("epoch {epoch}: no document yet; {answers} of {members} members answer");
            [vec![answers], states].concat().join("; ")
        }
    }
}

/// Whose last words may say why.
fn blamed(network: &Network, view: &View, missing: &[String]) -> String {
    let authorities: Vec<String> = match view.consensus {
        Some(_) => Vec::new(),
        None => network.layout.of(|role| role == Role::Authority).map(|member| member.name.clone()).collect(),
    };
    let names = authorities.iter().chain(missing).take(6);
    names.map(|name| format!("\n  {name}:\n  {}", network.last_words(name))).collect()
}
