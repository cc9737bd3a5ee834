//! The parts of a node, started in their order and stopped in the other one (server.md 1.7, 1.8).

use super::setup::descriptors;
use super::signals::Signals;
use super::status::Managed;
use super::stop::STOP_LIMIT;
use super::supervise::Supervision;
use super::{MODULE, Node, StartError, events, supervise};
use crate::directory::{Directory, DirectoryStatus};
use crate::health::Health;
use crate::{management, metrics, selfcheck};
use config::address;
use config::keys::DataDir;
use interplane::channel::SOCKET_NAME;
use interplane::counter::Account;
use interplane::setup::Limits;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::time::{Duration, Instant};
use tokio::sync::{Notify, watch};

/// How long the end of a data plane that was killed may take to be noticed.
const KILL_LIMIT: Duration = Duration::from_secs(1);

impl Node {
    /// Runs until the node is told to stop.
    pub(super) async fn serve(self, data_dir: &DataDir) -> Result<(), StartError> {
        // From here on a signal waits for its turn: nothing that was started is left behind.
        let signals = Signals::new()?;
        let metrics_listener = self.bind_metrics()?;
        let management = self.bind_management()?;
        let options = self.directory_options()?;
        let socket = data_dir.sockets().join(SOCKET_NAME);
        let selfcheck = selfcheck::known_or_measured(data_dir.path(), &self.config.geometry, &self.log);
        let started = self.find_or_make_plane(&socket)?;
        let plane = started.plane;
        let status = Arc::new(Mutex::new(DirectoryStatus::default()));
        let stopping = Arc::new(AtomicBool::new(false));
        let health = Arc::new(Health::default());
        let supervision = Supervision {
            socket,
            foreign: self.config.own.dataplane.run_as_two_units,
            stopping: stopping.clone(),
            plane: plane.clone(),
            health: health.clone(),
            log: self.log.clone(),
        };
        let attached = supervise::start(&supervision, started.resumed)?;
        let (ended, has_ended) = mpsc::channel();
        std::thread::Builder::new()
            .name("supervisor".into())
            .spawn(move || supervise::watch(&supervision, attached, &ended))?;

        let (advertise, advertising) = watch::channel(true);
        let directory =
            Directory::new(options, started.mix_keys, started.stored, status.clone(), plane.clone(), self.log.clone());
        tokio::spawn(directory.run(advertising));
        let (counters, events) = {
            let plane = plane.lock();
            (plane.counters(), plane.events())
        };
        tokio::spawn(events::drain(events, self.log.clone()));
        if let Some(listener) = metrics_listener {
            let sources = metrics::Sources {
                counters: counters.clone(),
                directory: status.clone(),
                health: health.clone(),
                clock: self.clock,
                selfcheck,
            };
            let log = self.log.clone();
            tokio::spawn(async move {
                if let Err(error) = metrics::serve(listener, sources, log.clone()).await {
                    log.error(MODULE, format_args!("metrics ended: {error}"));
                }
            });
        }
        let shut_down = Arc::new(Notify::new());
        let managed = Arc::new(Managed {
            identifier: self.config.identifier.clone(),
            clock: self.clock,
            counters,
            status: status.clone(),
            shut_down: shut_down.clone(),
            started: Instant::now(),
            log: self.log.clone(),
        });
        let management = management.map(|socket| {
            tokio::spawn(management::serve(socket, managed.identifier.clone(), managed, self.log.clone()))
        });
        self.report_start();
        self.log.notice(MODULE, "Started.");

        self.until_told_to_stop(signals, &shut_down, &advertise, &status).await;

        stopping.store(true, Ordering::SeqCst);
        plane.lock().stop();
        let log = self.log.clone();
        let ending = tokio::task::spawn_blocking(move || {
            has_ended.recv_timeout(STOP_LIMIT).unwrap_or_else(|_| {
                log.error(MODULE, format_args!("the data plane does not end within {STOP_LIMIT:?}: killing it"));
                plane.lock().kill();
                has_ended.recv_timeout(KILL_LIMIT).ok().flatten()
            })
        });
        self.report_account(ending.await.unwrap_or_default());
        if let Some(management) = management {
            management.abort();
            // Aborted on purpose; waiting for it removes the socket's file.
            let _aborted = management.await;
        }
        self.log.notice(MODULE, "Shutdown complete.");
        Ok(())
    }

    /// What an operator compares with what was meant.
    fn report_start(&self) {
        let (config, setup) = (&self.config, self.setup());
        let addresses = self.listen_addresses().unwrap_or_default();
        let addresses: Vec<_> = addresses.iter().map(ToString::to_string).collect();
        self.log.notice(MODULE, format_args!("listening on {}", addresses.join(", ")));
        match config.network.metrics.as_ref().map(metrics_address) {
            Some(address) => self.log.notice(MODULE, format_args!("metrics on http://{address}/metrics")),
            None => self.log.notice(MODULE, "no metrics (Server.MetricsAddress is not set)"),
        }
        match &config.management {
            settings if settings.enabled => {
                self.log.notice(MODULE, format_args!("management at {}", settings.path.display()));
            }
            _ => self.log.notice(MODULE, "no management socket (Management.Enable is not set)"),
        }
        let (connections, wanted) = (setup.limits.connections, Limits::default().connections);
        if connections < wanted {
            self.log.warning(
                MODULE,
                format_args!(
                    "{connections} of {wanted} connections fit the limit of {} open files; raise it (LimitNOFILE= of \
                     the unit, ulimit -Hn)",
                    descriptors()
                ),
            );
        }
        let rate = config.own.dataplane.line_rate_packets_per_second;
        self.log.notice(
            MODULE,
            format_args!(
                "{} shards with {} slots of {} bytes each; replay sets for {rate} packets per second take up to {} MB",
                setup.machine.shards,
                setup.machine.slots_per_shard,
                config.geometry.packet_length,
                super::memory::wanted_bytes(rate, self.clock.period()) / 1_000_000,
            ),
        );
    }

    fn report_account(&self, account: Option<Account>) {
        match account {
            Some(account) => self.log.info(MODULE, format_args!("last account: {account:?}")),
            None => self.log.info(MODULE, "the data plane gave no last account"),
        }
    }

    fn bind_metrics(&self) -> Result<Option<std::net::TcpListener>, StartError> {
        let Some(address) = self.config.network.metrics.as_ref().map(metrics_address) else { return Ok(None) };
        std::net::TcpListener::bind(&address).map(Some).map_err(|error| StartError::Metrics { address, error })
    }

    fn bind_management(&self) -> Result<Option<management::Socket>, StartError> {
        let settings = &self.config.management;
        let failed = |error| StartError::Management { path: settings.path.clone(), error };
        if settings.enabled {
            management::Socket::bind(&settings.path, &self.log).map(Some).map_err(failed)
        } else {
            management::remove_stale(&settings.path, &self.log).map_err(failed)?;
            Ok(None)
        }
    }
}

fn metrics_address((host, port): &(Option<address::Host>, u16)) -> String {
    match host {
        None => SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), *port).to_string(),
        Some(address::Host::Ip(ip)) => SocketAddr::new(*ip, *port).to_string(),
        Some(address::Host::Name(name)) => format!("{}:{port}", name.as_str()),
    }
}
