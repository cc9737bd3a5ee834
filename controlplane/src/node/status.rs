//! The node as the management socket sees it.

use super::live::{Live, Reloaded};
use super::questions::{self, Keeping};
use super::stop::StopOrder;
use super::supervise::PlaneHandle;
use crate::directory::{DirectoryStatus, Nodes, Reached, epoch_time};
use crate::health::Health;
use crate::logging::Log;
use crate::management::{self, Done, Limit, Line, Look};
use crate::plugins::Services;
use crate::users::{self, Answer, Users};
use config::schemes::KemScheme;
use interplane::Counter;
use interplane::counter::KeyEpoch;
use interplane::loops::LoopCounts;
use pki::{Epoch, EpochClock};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tokio::sync::oneshot;

/// The answer where nobody can tell.
const NO_DATA_PLANE: &str = "554 Transaction failed: the data plane does not answer; see the log";

/// How long a data plane may take to tell of its links.
const ANSWER_LIMIT: Duration = Duration::from_secs(5);

/// What was asked for, unless it takes too long or there is nobody to give it.
async fn answered<T>(answer: oneshot::Receiver<T>) -> Option<T> {
    tokio::time::timeout(ANSWER_LIMIT, answer).await.ok()?.ok()
}

/// What STATUS reads, and whom SHUTDOWN tells.
pub struct Managed {
    /// The configured name.
    pub identifier: String,
    /// Epochs.
    pub clock: EpochClock,
    /// The data plane's counters.
    pub counters: interplane::Counters,
    /// The directory worker's status.
    pub status: Arc<Mutex<DirectoryStatus>>,
    /// How the data plane fares.
    pub health: Arc<Health>,
    /// Which authorities answered when they were asked last.
    pub reached: Reached,
    /// Orders to stop.
    pub order: Arc<StopOrder>,
    /// The services of a service node.
    pub services: Option<Services>,
    /// The user database of a gateway that has one.
    pub users: Option<Users>,
    /// The KEM of link keys.
    pub kem: KemScheme,
    /// How its own loops fare.
    pub loops: LoopCounts,
    /// Whether it makes any.
    pub sends_loops: bool,
    /// Whether it has clients.
    pub has_clients: bool,
    /// Where a clean stop writes mix keys to, if it does.
    pub kept_folder: Option<PathBuf>,
    /// Who is asked about links and keys.
    pub plane: PlaneHandle,
    /// Who carries out changes of the configuration.
    pub live: Arc<Live>,
    /// When the node started.
    pub started: Instant,
    /// The log.
    pub log: Log,
}

impl Managed {
    /// The loops of the current epoch and the one before, by segment: where they are lost.
    fn loops(&self, epoch: Epoch, nodes: &Nodes) -> Vec<serde_json::Value> {
        let epochs = [epoch.before(1), epoch].into_iter();
        epochs.flat_map(|epoch| questions::loops(epoch, &self.loops.read(epoch), nodes)).collect()
    }

    fn directory_status(&self) -> DirectoryStatus {
        self.status.lock().unwrap_or_else(std::sync::PoisonError::into_inner).clone()
    }

    fn all_loops(&self) -> String {
        let epoch = epoch_time(&self.clock).epoch;
        let loops = self.loops(epoch, &self.directory_status().nodes);
        format!("250 {}", serde_json::json!({ "epoch": epoch.0, "sent_at_all": self.sends_loops, "loops": loops }))
    }
}

impl Managed {
    /// How full the replay set of each mix key is.
    fn mix_keys(&self) -> serde_json::Value {
        let keys = KeyEpoch::ALL.iter().map(|key| {
            let (tags, slots) = (Counter::replay_tags(*key), Counter::replay_slots(*key));
            let fill = serde_json::json!({
                "replay_tags": self.counters.total(tags), "replay_slots": self.counters.total(slots),
            });
            (key.label().to_owned(), fill)
        });
        keys.collect::<serde_json::Map<_, _>>().into()
    }
}

impl management::Node for Managed {
    fn shut_down(&self) {
        self.log.warning("mgmt", "shutdown requested over the management socket");
        self.order.stop();
    }

    fn drain(&self) {
        self.log.warning("mgmt", "told over the management socket to leave the consensus and then to stop");
        self.order.drain();
    }

    fn start_service(&self, capability: String) -> Done {
        let services = self.services.clone();
        Box::pin(async move {
            match services {
                Some(services) => services.start(&capability).await,
                None => false,
            }
        })
    }

    fn stop_service(&self, capability: String) -> Done {
        let services = self.services.clone();
        Box::pin(async move {
            match services {
                Some(services) => services.stop(&capability).await,
                None => false,
            }
        })
    }

    fn has_users(&self) -> bool {
        self.users.is_some()
    }

    fn order_users(&self, command: String, arguments: String) -> Line {
        let (users, order) = (self.users.clone(), users::parse(&command, &arguments, &*self.kem));
        Box::pin(async move {
            match (users, order) {
                (Some(users), Some(order)) => match users.obey(order).await {
                    Ok(Answer::Done) => management::DONE.into(),
                    Ok(Answer::Key(key)) => format!("250 {}", users::text(&key)),
                    Ok(Answer::Refused) => management::FAILED.into(),
                    Err(_) => management::FAILED.into(),
                },
                _ => management::MALFORMED.into(),
            }
        })
    }

    fn has_services(&self) -> bool {
        self.services.is_some()
    }

    fn look(&self, at: Look) -> Line {
        let (plane, clock) = (self.plane.clone(), self.clock);
        match at {
            Look::Loops => Box::pin(std::future::ready(self.all_loops())),
            Look::Peers => {
                let nodes = self.directory_status().nodes;
                Box::pin(async move {
                    let Some(roll) = answered(plane.call_roll()).await else { return NO_DATA_PLANE.into() };
                    format!("250 {}", questions::peers(&roll, &nodes, &epoch_time(&clock)))
                })
            }
            Look::Keys => {
                let (are_locked, folder) = (self.health.are_keys_locked(), self.kept_folder.clone());
                Box::pin(async move {
                    let Some(held) = answered(plane.list_keys()).await else { return NO_DATA_PLANE.into() };
                    let keeping = Keeping { are_locked, has_manager: held.has_manager, folder: folder.as_deref() };
                    format!("250 {}", questions::keys(&held.fills, &keeping, &epoch_time(&clock)))
                })
            }
        }
    }

    fn reload(&self) -> Line {
        let live = self.live.clone();
        self.live.carry_out(async move {
            match live.reload().await {
                Reloaded::Done(json) => format!("250 {json}"),
                Reloaded::Refused(json) => format!("554 {json}"),
            }
        })
    }

    fn has_clients(&self) -> bool {
        self.has_clients
    }

    fn limit(&self, limit: Limit) -> Line {
        let live = self.live.clone();
        self.live.carry_out(async move { live.limit(limit).await })
    }

    fn status(&self) -> String {
        let now = epoch_time(&self.clock);
        let status = self.directory_status();
        let (account, health) = (self.counters.account_total(), &self.health);
        serde_json::json!({
            "identifier": self.identifier,
            "version": env!("CARGO_PKG_VERSION"),
            "state": self.order.state().name(),
            "uptime_seconds": self.started.elapsed().as_secs(),
            "epoch": now.epoch.0,
            "epoch_seconds_left": now.till.as_secs(),
            "documents": status.documents,
            "published_epoch": status.published,
            "advertised_until_epoch": status.last_advertised(),
            "authorities": self.reached.by_name(),
            "mix_keys": self.mix_keys(),
            "data_plane": {
                "process": health.process(),
                "restarts": health.restarts(),
                "stalls": health.stalls(),
            },
            "shards": self.counters.shards(),
            "packets": account,
            "packets_unaccounted": account.difference(),
            "loops": self.loops(now.epoch, &status.nodes),
        })
        .to_string()
    }
}
