//! The parts of a node, started in their order and stopped in the other one (server.md 1.7, 1.8).

use super::live::Live;
use super::plane::{DataPlane, PlaneError};
use super::role::Part;
use super::setup::descriptors;
use super::status::Managed;
use super::stop::StopOrder;
use super::supervise::{self, Ended, PlaneHandle, Supervised, Supervision};
use super::{MODULE, Node, StartError, events};
use crate::directory::{Directory, DirectoryStatus, Reached};
use crate::health::Health;
use crate::plugins::{self, Board, Plugins, Services, Settings, Tally, Wires};
use crate::process::clock;
use crate::process::manager::Manager;
use crate::process::signals::Signals;
use crate::process::tasks::{TaskEnd, Tasks};
use crate::selfcheck::SelfCheck;
use crate::users::{self, Desk, KeptMail, Users};
use crate::{management, metrics, selfcheck};
use config::address;
use config::keys::DataDir;
use config::server::Role;
use interplane::Counters;
use interplane::channel::SOCKET_NAME;
use interplane::counter::Account;
use interplane::loops::LoopCounts;
use interplane::message::Listener;
use interplane::ring::EventRings;
use interplane::setup::Limits;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tokio::sync::{oneshot, watch};

/// How long the supervisor may take to end a data plane, one that has to be killed included.
const END_LIMIT: Duration = Duration::from_secs(10);
/// Mail of registered clients that is kept, if `katzensprung.toml` says nothing else.
const KEPT_MAIL_MIB: u32 = 1024;
const KEPT_MAIL_DAYS: u32 = 30;

impl Node {
    /// Runs until the node is told to stop.
    pub(super) async fn serve(self, data_dir: &DataDir) -> Result<(), StartError> {
        // From here on a signal waits for its turn: nothing that was started is left behind.
        let mut signals = Signals::new()?;
        let mut sockets = Sockets { metrics: self.bind_metrics()?, management: self.bind_management()? };
        let socket = data_dir.sockets().join(SOCKET_NAME);
        let users = self.open_users()?;
        let selfcheck = selfcheck::known_or_measured(data_dir.path(), &self.config.geometry, &self.log);
        let found = self.find_or_make_plane(&socket)?;
        let (mut options, outside) = self.directory_options(found.plane.loops())?;
        let (reached, health) = (outside.reached(), Arc::new(Health::default()));
        let (counters, events, loops) = (found.plane.counters(), found.plane.events(), found.plane.loops());
        let (listens_at, wires) = (found.plane.listens_at(), found.plane.plugin_wires());
        let metrics_at = sockets.metrics.as_ref().and_then(|listener| listener.local_addr().ok());
        let supervision = self.supervision(socket, found.plane, &health);
        let Supervised { handle, started, mut ended } = supervise::start(supervision, found.resumed)?;
        let mut plugins = match self.come_up(started, wires.clone(), &handle, &mut signals).await {
            Ok(Some(plugins)) => plugins,
            ended_early => {
                self.end_plane(&handle, &health, ended).await;
                return ended_early.map(|_| self.log.notice(MODULE, "Shutdown complete."));
            }
        };
        plugins.iter().for_each(|(board, _)| options.offer = board.offer());
        let (advertise, advertising) = watch::channel(true);
        let (mut tasks, status) = (Tasks::default(), Arc::new(Mutex::new(DirectoryStatus::default())));
        self.start_users(users.as_ref(), wires, &mut tasks);
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
        let shared = Shared {
            counters,
            events,
            status,
            reached,
            health: health.clone(),
            selfcheck,
            order: Arc::default(),
            services: plugins.as_ref().map(|(_, plugins)| plugins.services()),
            loops,
            users,
            plane: handle.clone(),
            tallies: plugins.as_ref().map(|(_, plugins)| plugins.tallies()).unwrap_or_default(),
        };
        for part in self.role.parts() {
            self.start_part(*part, &mut tasks, &mut sockets, &shared);
        }
        self.report_start(&listens_at, metrics_at);

        let fault = tokio::select! {
            () = self.until_told_to_stop(&mut signals, &shared.order) => None,
            end = tasks.first_end() => Some(end),
            reason = first_end_of(&mut plugins) => Some(TaskEnd { task: "keeper of plugins", reason }),
            _ = &mut ended => Some(supervisor_ended()),
        };
        match &fault {
            None => self.withdraw_first(&mut signals, &advertise, &shared.status, &shared.order).await,
            Some(end) => self.log.error(MODULE, format_args!("{end}; the node stops")),
        }
        self.end_plane(&handle, &health, ended).await;
        end_all(tasks, plugins, shared.users).await;
        self.log.notice(MODULE, "Shutdown complete.");
        fault.map_or(Ok(()), |end| Err(StartError::Ended(end)))
    }

    /// The user database of a gateway that has one.
    fn open_users(&self) -> Result<Option<Users>, StartError> {
        let Role::Gateway(gateway) = &self.config.role else { return Ok(None) };
        let (geometry, own) = (&self.config.geometry, &self.config.own.controlplane);
        let days = u64::from(own.kept_mail_days.unwrap_or(KEPT_MAIL_DAYS));
        let limits = users::Limits {
            letter_bytes: geometry.payload_tag_length + geometry.forward_payload_length,
            bytes_max: u64::from(own.kept_mail_mib.unwrap_or(KEPT_MAIL_MIB)) << 20,
            age_max: Duration::from_secs(days * 24 * 3600),
            sweep_every: users::Limits::SWEEP_EVERY,
        };
        let mail = gateway.mail.map(|store| KeptMail { store, path: gateway.spool_path.clone(), limits });
        Ok(gateway.users.as_ref().map(|users| Users::open(users, mail.as_ref(), &self.log)).transpose()?)
    }

    /// Lets the data plane's questions be answered.
    fn start_users(&self, users: Option<&Users>, wires: Option<Wires>, tasks: &mut Tasks) {
        let (Some(users), Some(wires)) = (users, wires) else { return };
        let desk = Desk::new(wires, users.clone());
        if let Some(writer) = desk.writer(&self.log) {
            tasks.spawn("store of mail", writer);
        }
        tasks.spawn("user database", desk.run(self.log.clone()));
    }

    fn supervision(&self, socket: PathBuf, plane: DataPlane, health: &Arc<Health>) -> Supervision {
        let foreign = self.config.own.dataplane.run_as_two_units;
        Supervision { socket, foreign, plane, health: health.clone(), log: self.log.clone() }
    }

    /// Waits until the data plane is at work and the services are up; none if a signal comes first.
    async fn come_up(
        &self,
        started: oneshot::Receiver<Result<(), PlaneError>>,
        wires: Option<Wires>,
        plane: &PlaneHandle,
        signals: &mut Signals,
    ) -> Result<Option<Option<Running>>, StartError> {
        let up = async {
            started.await.map_err(|_| StartError::Ended(supervisor_ended()))??;
            self.start_services(wires, plane).await
        };
        tokio::select! {
            up = up => up.map(Some),
            () = self.until_signal(signals) => Ok(None),
        }
    }

    /// Starts the services of a service node; their sockets are up when it is done.
    async fn start_services(&self, wires: Option<Wires>, plane: &PlaneHandle) -> Result<Option<Running>, StartError> {
        let (Role::ServiceNode(node), Some(wires)) = (&self.config.role, wires) else { return Ok(None) };
        let plane = plane.clone();
        let board = Arc::new(Board::new(node, Box::new(move |services| plane.set_services(services))));
        let geometry = &self.config.geometry;
        let settings = Settings {
            surb_bytes: geometry.surb_length,
            payload_bytes: geometry.user_forward_payload_length,
            // This very program, whatever stands under its name by now.
            launcher: Some("/proc/self/exe".into()),
            kaetzchen_delay: self.config.debug.kaetzchen_delay,
            call_limit: plugins::CALL_LIMIT,
        };
        let plugins = Plugins::start(node, &settings, wires, board.clone(), &self.log).await?;
        Ok(Some((board, plugins)))
    }

    /// Starts what this node's role has.
    fn start_part(&self, part: Part, tasks: &mut Tasks, sockets: &mut Sockets, shared: &Shared) {
        let log = self.log.clone();
        match part {
            Part::ClockWatch => tasks.spawn("clock watch", clock::watch(log)),
            Part::Events => tasks.spawn("log of the data plane's events", events::drain(shared.events.clone(), log)),
            Part::Metrics => {
                let Some(listener) = sockets.metrics.take() else { return };
                let sources = metrics::Sources {
                    identifier: self.config.identifier.clone(),
                    history: metrics::History::default(),
                    order: shared.order.clone(),
                    counters: shared.counters.clone(),
                    directory: shared.status.clone(),
                    reached: shared.reached.clone(),
                    health: shared.health.clone(),
                    clock: self.clock,
                    selfcheck: shared.selfcheck.clone(),
                    plugins: shared.tallies.clone(),
                    users: shared.users.as_ref().map(Users::tally),
                    loops: shared.loops.clone(),
                };
                tasks.spawn("metrics endpoint", async move {
                    metrics::serve(listener, sources, log)
                        .await
                        .err()
                        .map_or("no reason".into(), |error| error.to_string())
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
            order: shared.order.clone(),
            reached: shared.reached.clone(),
            services: shared.services.clone(),
            users: shared.users.clone(),
            kem: self.config.wire_kem,
            loops: shared.loops.clone(),
            sends_loops: self.config.debug.send_decoy_traffic,
            has_clients: self.role.has_clients(),
            kept_folder: self.kept_folder(),
            plane: shared.plane.clone(),
            live: Arc::new(Live::new(
                self.config.clone(),
                shared.plane.clone(),
                self.clock,
                shared.status.clone(),
                self.log.clone(),
            )),
            started: Instant::now(),
            log: self.log.clone(),
        }
    }

    /// Stops the data plane, waits for its end, and keeps its keys where that is wanted.
    async fn end_plane(&self, plane: &PlaneHandle, health: &Health, ended: oneshot::Receiver<Ended>) {
        // Not earlier: from here on a service manager has limited patience, and a withdrawal takes two epochs.
        Manager::of_environment(std::iter::empty()).iter().for_each(Manager::stopping);
        plane.stop();
        match tokio::time::timeout(END_LIMIT, ended).await {
            Ok(ended) => {
                let Ended { account, plane } = ended.unwrap_or(Ended { account: None, plane: None });
                self.report_account(account);
                self.keep_keys(plane);
            }
            Err(_) => {
                let process = health.process().unwrap_or(0);
                let news = format_args!("the data plane (process {process}) cannot be ended; end it by hand");
                self.log.error(MODULE, news);
                self.keep_keys(None);
            }
        }
    }

    /// What an operator compares with what was meant; the service manager is told too.
    fn report_start(&self, listens_at: &[Listener], metrics_at: Option<SocketAddr>) {
        let (config, setup) = (&self.config, self.setup());
        let addresses: Vec<_> = listens_at.iter().map(ToString::to_string).collect();
        self.log.notice(MODULE, format_args!("listening on {}", addresses.join(", ")));
        match metrics_at {
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
        let (shards, slots) = (setup.machine.shards, setup.machine.slots_per_shard);
        self.log.notice(MODULE, format_args!("shards: {shards}, each with room for {slots} packets"));
        self.log.notice(MODULE, "Started.");
        Manager::of_environment(std::iter::empty()).iter().for_each(Manager::ready);
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
            // Not served, so that whatever is there is in nobody's way.
            if let Err(error) = management::remove_stale(&settings.path, &self.log) {
                let path = settings.path.display();
                self.log.warning(MODULE, format_args!("cannot look after {path}: {error} (Management.Path)"));
            }
            Ok(None)
        }
    }
}

pub(super) fn metrics_address((host, port): &(Option<address::Host>, u16)) -> String {
    match host {
        None => SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), *port).to_string(),
        Some(address::Host::Ip(ip)) => SocketAddr::new(*ip, *port).to_string(),
        Some(address::Host::Name(name)) => format!("{}:{port}", name.as_str()),
    }
}

/// What was bound before anything was started.
struct Sockets {
    metrics: Option<std::net::TcpListener>,
    management: Option<management::Socket>,
}

/// The services of a service node.
type Running = (Arc<Board>, Plugins);

/// What several parts read.
struct Shared {
    counters: Counters,
    events: EventRings,
    status: Arc<Mutex<DirectoryStatus>>,
    reached: Reached,
    health: Arc<Health>,
    selfcheck: SelfCheck,
    order: Arc<StopOrder>,
    services: Option<Services>,
    tallies: Vec<Arc<Tally>>,
    loops: LoopCounts,
    users: Option<Users>,
    plane: PlaneHandle,
}

/// Waits for the end of what keeps plugins running, if this node has any.
async fn first_end_of(plugins: &mut Option<Running>) -> String {
    match plugins {
        Some((_, plugins)) => plugins.first_end().await,
        None => std::future::pending().await,
    }
}

/// Ends what runs beside the data plane.
async fn end_all(mut tasks: Tasks, plugins: Option<Running>, users: Option<Users>) {
    if let Some(users) = users {
        users.settle().await;
    }
    // Waiting for them removes the management socket's file.
    tasks.shut_down().await;
    if let Some((_, plugins)) = plugins {
        plugins.shut_down().await;
    }
}

fn supervisor_ended() -> TaskEnd {
    TaskEnd { task: "supervisor of the data plane", reason: "it gave no reason".into() }
}
