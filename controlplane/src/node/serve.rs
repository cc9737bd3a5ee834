//! The parts of a node, started in their order and stopped in the other one (server.md 1.7, 1.8).

use super::signals::Signals;
use super::status::Managed;
use super::stop::STOP_LIMIT;
use super::supervise::Supervision;
use super::{MODULE, Node, StartError, events, supervise};
use crate::directory::{Directory, DirectoryStatus};
use crate::{management, metrics};
use config::address;
use config::keys::DataDir;
use interplane::channel::SOCKET_NAME;
use interplane::counter::Account;
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
        let socket = data_dir.path().join(SOCKET_NAME);
        let started = self.find_or_make_plane(&socket)?;
        let plane = started.plane;
        let status = Arc::new(Mutex::new(DirectoryStatus::default()));
        let stopping = Arc::new(AtomicBool::new(false));
        let supervision = Supervision {
            socket,
            foreign: self.config.own.dataplane.run_as_two_units,
            stopping: stopping.clone(),
            plane: plane.clone(),
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
            let sources = metrics::Sources { counters: counters.clone(), directory: status.clone() };
            let log = self.log.clone();
            tokio::spawn(async move {
                if let Err(error) = metrics::serve(listener, sources).await {
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

    fn report_account(&self, account: Option<Account>) {
        match account {
            Some(account) => self.log.info(MODULE, format_args!("last account: {account:?}")),
            None => self.log.info(MODULE, "the data plane gave no last account"),
        }
    }

    fn bind_metrics(&self) -> Result<Option<std::net::TcpListener>, StartError> {
        let Some((host, port)) = &self.config.network.metrics else { return Ok(None) };
        let address = match host {
            None => SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), *port).to_string(),
            Some(address::Host::Ip(ip)) => SocketAddr::new(*ip, *port).to_string(),
            Some(address::Host::Name(name)) => format!("{}:{port}", name.as_str()),
        };
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
