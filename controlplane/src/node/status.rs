//! The node as the management socket sees it.

use super::stop::StopOrder;
use crate::directory::{DirectoryStatus, Reached, epoch_time};
use crate::health::Health;
use crate::logging::Log;
use crate::management::{self, Done, Line};
use crate::plugins::Services;
use crate::users::{self, Answer, Users};
use config::schemes::KemScheme;
use interplane::Counter;
use interplane::counter::KeyEpoch;
use interplane::loops::LoopCounts;
use pki::{Epoch, EpochClock};
use std::sync::{Arc, Mutex};
use std::time::Instant;

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
    /// When the node started.
    pub started: Instant,
    /// The log.
    pub log: Log,
}

impl Managed {
    /// The loops of the current epoch and the one before, by segment: where they are lost.
    fn loops(&self, epoch: Epoch) -> Vec<serde_json::Value> {
        let of_epoch = |epoch: Epoch| self.loops.read(epoch).into_iter().map(move |count| (epoch, count));
        let counts = [epoch.before(1), epoch].into_iter().flat_map(of_epoch);
        let json = counts.map(|(epoch, count)| {
            let (from, to) = count.nodes();
            serde_json::json!({
                "epoch": epoch.0, "from": from, "to": to, "sent": count.sent, "completed": count.completed,
            })
        });
        json.collect()
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

    fn status(&self) -> String {
        let now = epoch_time(&self.clock);
        let status = self.status.lock().unwrap_or_else(std::sync::PoisonError::into_inner).clone();
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
            "loops": self.loops(now.epoch),
        })
        .to_string()
    }
}
