//! The parts of a node, started in their order and stopped in the other one (server.md 1.7, 1.8).

use super::role::Part;
use super::signals::Signals;
use super::status::Managed;
use super::supervise::{self, PlaneHandle, Supervised, Supervision};
use super::tasks::{TaskEnd, Tasks};
use super::{MODULE, Node, StartError, clock, events};
use crate::directory::{Directory, DirectoryStatus};
use crate::health::Health;
use crate::{management, metrics};
use config::address;
use config::keys::DataDir;
use interplane::Counters;
use interplane::channel::SOCKET_NAME;
use interplane::counter::Account;
use interplane::ring::EventRings;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tokio::sync::{Notify, oneshot, watch};

/// How long the supervisor may take to end a data plane, one that has to be killed included.
const END_LIMIT: Duration = Duration::from_secs(10);

impl Node {
    /// Runs until the node is told to stop.
    pub(super) async fn serve(self, data_dir: &DataDir) -> Result<(), StartError> {
        // From here on a signal waits for its turn: nothing that was started is left behind.
        let mut signals = Signals::new()?;
        let mut sockets = Sockets { metrics: self.bind_metrics()?, management: self.bind_management()? };
        let (options, outside) = self.directory_options()?;
        let socket = data_dir.path().join(SOCKET_NAME);
        let found = self.find_or_make_plane(&socket)?;
        let health = Arc::new(Health::default());
        let (counters, events) = (found.plane.counters(), found.plane.events());
        let supervision = Supervision {
            socket,
            foreign: self.config.own.dataplane.run_as_two_units,
            plane: found.plane,
            health: health.clone(),
            log: self.log.clone(),
        };
        let Supervised { handle, started, mut ended } = supervise::start(supervision, found.resumed)?;
        tokio::select! {
            outcome = started => match outcome {
                Ok(outcome) => outcome?,
                Err(_) => return Err(StartError::Ended(supervisor_ended())),
            },
            () = self.until_signal(&mut signals) => {
                self.end_plane(&handle, &health, ended).await;
                self.log.notice(MODULE, "Shutdown complete.");
                return Ok(());
            }
        }

        let (advertise, advertising) = watch::channel(true);
        let mut tasks = Tasks::default();
        let status = Arc::new(Mutex::new(DirectoryStatus::default()));
        let directory = Directory::new(
            options,
            outside,
            found.mix_keys,
            found.stored,
            status.clone(),
            handle.clone(),
            self.log.clone(),
        );
        tasks.spawn("directory worker", directory.run(advertising));
        let shared = Shared { counters, events, status, health: health.clone(), shut_down: Arc::default() };
        for part in self.role.parts() {
            self.start_part(*part, &mut tasks, &mut sockets, &shared);
        }
        self.log.notice(MODULE, "Started.");

        let fault = tokio::select! {
            () = self.until_told_to_stop(&mut signals, &shared.shut_down) => None,
            end = tasks.first_end() => Some(end),
            _ = &mut ended => Some(supervisor_ended()),
        };
        match &fault {
            None => self.withdraw_first(&mut signals, &advertise, &shared.status).await,
            Some(end) => self.log.error(MODULE, format_args!("{end}; the node stops")),
        }
        self.end_plane(&handle, &health, ended).await;
        // Waiting for them removes the management socket's file.
        tasks.shut_down().await;
        self.log.notice(MODULE, "Shutdown complete.");
        fault.map_or(Ok(()), |end| Err(StartError::Ended(end)))
    }

    /// Starts what this node's role has.
    fn start_part(&self, part: Part, tasks: &mut Tasks, sockets: &mut Sockets, shared: &Shared) {
        let log = self.log.clone();
        match part {
            Part::ClockWatch => tasks.spawn("clock watch", clock::watch(log)),
            Part::Events => tasks.spawn("log of the data plane's events", events::drain(shared.events.clone(), log)),
            Part::Metrics => {
                let Some(listener) = sockets.metrics.take() else { return };
                let sources = metrics::Sources { counters: shared.counters.clone(), directory: shared.status.clone() };
                tasks.spawn("metrics endpoint", async move {
                    metrics::serve(listener, sources).await.err().map_or("no reason".into(), |error| error.to_string())
                });
            }
            Part::Management => {
                let Some(socket) = sockets.management.take() else { return };
                let managed = Arc::new(self.managed(shared));
                let identifier = self.config.identifier.clone();
                tasks.spawn("management socket", management::serve(socket, identifier, managed, log));
            }
        }
    }

    fn managed(&self, shared: &Shared) -> Managed {
        Managed {
            identifier: self.config.identifier.clone(),
            clock: self.clock,
            counters: shared.counters.clone(),
            status: shared.status.clone(),
            health: shared.health.clone(),
            shut_down: shared.shut_down.clone(),
            started: Instant::now(),
            log: self.log.clone(),
        }
    }

    /// Stops the data plane and waits for its end.
    async fn end_plane(&self, plane: &PlaneHandle, health: &Health, ended: oneshot::Receiver<Option<Account>>) {
        plane.stop();
        match tokio::time::timeout(END_LIMIT, ended).await {
            Ok(account) => self.report_account(account.ok().flatten()),
            Err(_) => self.log.error(
                MODULE,
                format_args!(
                    "the data plane (process {}) cannot be ended; end it by hand",
                    health.process().unwrap_or(0)
                ),
            ),
        }
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

/// What was bound before anything was started.
struct Sockets {
    metrics: Option<std::net::TcpListener>,
    management: Option<management::Socket>,
}

/// What several parts read.
struct Shared {
    counters: Counters,
    events: EventRings,
    status: Arc<Mutex<DirectoryStatus>>,
    health: Arc<Health>,
    shut_down: Arc<Notify>,
}

fn supervisor_ended() -> TaskEnd {
    TaskEnd { task: "supervisor of the data plane", reason: "it gave no reason".into() }
}
