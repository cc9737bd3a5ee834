//! The node as the management socket sees it.

use crate::directory::{DirectoryStatus, epoch_time};
use crate::health::Health;
use crate::logging::Log;
use crate::management::{self, Done};
use crate::plugins::Services;
use interplane::loops::LoopCounts;
use pki::{Epoch, EpochClock};
use std::sync::{Arc, Mutex};
use std::time::Instant;
use tokio::sync::Notify;

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
    /// Told to stop the node.
    pub shut_down: Arc<Notify>,
    /// The services of a service node.
    pub services: Option<Services>,
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

impl management::Node for Managed {
    fn shut_down(&self) {
        self.log.warning("mgmt", "shutdown requested over the management socket");
        self.shut_down.notify_one();
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
            "uptime_seconds": self.started.elapsed().as_secs(),
            "epoch": now.epoch.0,
            "epoch_seconds_left": now.till.as_secs(),
            "documents": status.documents,
            "published_epoch": status.published,
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
