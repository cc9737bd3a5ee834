//! A node from start to stop (server.md 1.7, 1.8).

mod events;
mod listen;
mod memory;
mod plane;
mod supervise;

use crate::directory::session::{Caller, Dialler};
use crate::directory::{Directory, DirectoryOptions, DirectoryStatus, Plane, Stored, epoch_time};
use crate::keys::{MixKeys, Scheme};
use crate::logging::{Level, Log};
use crate::{management, metrics};
use config::keys::{self, DataDir, KeyError, KeyPair};
use config::server::{LogDestination, LogLevel, Role, Shutdown};
use config::{ServerConfig, address};
use crypto_simd::random::OsRandom;
use interplane::channel::{Channel, SOCKET_NAME};
use interplane::counter::Account;
use interplane::replay::replay_capacity;
use interplane::setup::{Limits, Machine, Setup, Times};
use listen::ListenError;
use pki::authority::{Authorities, Authority};
use pki::descriptor::OwnProfile;
use pki::neighbours::OwnNode;
use pki::{EpochClock, VerifyingKey};
use plane::{DataPlane, Inheritance, PlaneError, SharedPlane};
use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, ToSocketAddrs};
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::time::{Duration, Instant};
use supervise::Supervision;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::{Notify, watch};

const MODULE: &str = "server";

/// How long a data plane may take to send what is due and end.
const STOP_LIMIT: Duration = Duration::from_secs(5);

/// How long the end of a data plane that was killed may take to be noticed.
const KILL_LIMIT: Duration = Duration::from_secs(1);

/// Connections' worth of line rate that one peer's queue may hold, in milliseconds of it.
const LINK_QUEUE_MS: u64 = 50;

/// Why a node does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// Not yet.
    #[error(
        "{0} is not in this version yet: this node can run as a mix only (Server.IsGatewayNode, Server.IsServiceNode)"
    )]
    Role(&'static str),
    /// The period of epochs.
    #[error("{0}")]
    Period(#[from] pki::epoch::PeriodVariableError),
    /// The level of the vector kernels.
    #[error("{0}")]
    Simd(#[from] crypto_simd::cpu::LevelError),
    /// The line rate.
    #[error("{0}")]
    Memory(#[from] memory::MemoryTooSmall),
    /// DataDir or its keys.
    #[error("{0}")]
    Keys(#[from] KeyError),
    /// The log file.
    #[error("cannot open the log file {file}: {error} (Logging.File)")]
    Log {
        /// The file.
        file: PathBuf,
        /// The reason.
        error: std::io::Error,
    },
    /// A listening socket.
    #[error("{0}")]
    Listen(#[from] ListenError),
    /// The metrics' address.
    #[error("cannot serve metrics on {address}: {error} (Server.MetricsAddress)")]
    Metrics {
        /// The address.
        address: String,
        /// The reason.
        error: std::io::Error,
    },
    /// The management socket.
    #[error("cannot serve management at {path}: {error} (Management.Path)")]
    Management {
        /// The path.
        path: PathBuf,
        /// The reason.
        error: std::io::Error,
    },
    /// The advertised addresses.
    #[error("Server.Addresses: {0}")]
    Addresses(String),
    /// The authorities.
    #[error("PKI.Voting.Authorities: {0}")]
    Authorities(String),
    /// A key that its scheme refuses.
    #[error("{what}: {error}")]
    Scheme {
        /// Which key.
        what: &'static str,
        /// The reason.
        error: crypto_simd::schemes::SchemeError,
    },
    /// The data plane.
    #[error("data plane: {0}")]
    Plane(#[from] PlaneError),
    /// The operating system.
    #[error("{0}")]
    Os(#[from] std::io::Error),
}

/// Runs a node until it is told to stop.
pub fn run(config: ServerConfig) -> Result<(), StartError> {
    match config.role {
        Role::Mix => {}
        Role::Gateway(_) => return Err(StartError::Role("a gateway")),
        Role::ServiceNode(_) => return Err(StartError::Role("a service node")),
    }
    let level = crypto_simd::cpu::level()?;
    let clock = EpochClock::from_variable(std::env::var(pki::epoch::PERIOD_VARIABLE).ok().as_deref())?;
    memory::check(config.own.dataplane.line_rate_packets_per_second, clock.period())?;
    let data_dir = DataDir::open(&config.data_dir)?;
    let log = open_log(&config)?;
    log.notice(MODULE, format_args!("Katzensprung {} ({level})", env!("CARGO_PKG_VERSION")));
    log.notice(MODULE, format_args!("Server identifier is: '{}'", config.identifier));
    let identity = keys::identity(&data_dir, config.pki_signature_scheme, &mut OsRandom)?;
    log.notice(MODULE, format_args!("Server identity public key hash is: {}", hex(&pki::hash(&identity.public))));
    let link = keys::link(&data_dir, config.wire_kem, &mut OsRandom)?;
    log.notice(MODULE, format_args!("Server link public key hash is: {}", hex(&pki::hash(&link.public))));
    for finding in identity.findings.iter().chain(&link.findings) {
        log.warning(MODULE, finding);
    }
    if config.debug.generate_only {
        return Ok(());
    }
    if config.debug.send_decoy_traffic {
        log.warning(MODULE, "Debug.SendDecoyTraffic is not in this version yet: no decoys are sent");
    }
    if matches!(config.shutdown, Shutdown::PersistMixKeys(_)) {
        log.warning(MODULE, "Server.PersistMixKeysOnShutdown is not in this version yet: a stop forgets the mix keys");
    }
    let node = Node { config, clock, log, identity, link };
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(node.serve(&data_dir))
}

struct Node {
    config: ServerConfig,
    clock: EpochClock,
    log: Log,
    identity: KeyPair,
    link: KeyPair,
}

/// What a start finds or makes.
struct Started {
    plane: SharedPlane,
    resumed: Option<Channel>,
    mix_keys: MixKeys,
    stored: Stored,
}

impl Node {
    async fn serve(self, data_dir: &DataDir) -> Result<(), StartError> {
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

    /// Waits for a signal or command, and withdraws from the consensus first where that is configured.
    async fn until_told_to_stop(
        &self,
        mut signals: Signals,
        shut_down: &Notify,
        advertise: &watch::Sender<bool>,
        status: &Mutex<DirectoryStatus>,
    ) {
        loop {
            tokio::select! {
                () = wait_for_stop(&mut signals.interrupt, &mut signals.terminate) => break,
                () = shut_down.notified() => break,
                _ = signals.hangup.recv() => match self.log.reopen() {
                    Ok(()) => self.log.notice(MODULE, "log reopened"),
                    Err(error) => self.log.error(MODULE, format_args!("cannot reopen the log: {error}; the old file stays in use")),
                },
            }
        }
        self.log.notice(MODULE, "Starting graceful shutdown.");
        if self.withdraws() {
            // A send can fail only without a directory worker, which then advertises nothing either.
            let _no_worker = advertise.send(false);
            tokio::select! {
                () = self.withdraw(status) => {}
                () = wait_for_stop(&mut signals.interrupt, &mut signals.terminate) => {
                    eprintln!("Received a second interrupt signal, aborting graceful shutdown.");
                }
            }
        }
    }

    fn withdraws(&self) -> bool {
        let configured = self.config.own.controlplane.shutdown_withdraw;
        configured.unwrap_or(self.config.shutdown == Shutdown::WithdrawFirst)
    }

    async fn withdraw(&self, status: &Mutex<DirectoryStatus>) {
        loop {
            let now = epoch_time(&self.clock);
            let last = status.lock().unwrap_or_else(std::sync::PoisonError::into_inner).last_advertised();
            match last {
                Some(last) if last >= now.epoch.0 => {
                    let wait = now.till + self.clock.period() * u32::try_from(last - now.epoch.0).unwrap_or(1);
                    self.log.notice(MODULE, format_args!("Advertised until epoch {last}: {} s to go.", wait.as_secs()));
                    tokio::time::sleep(now.till + Duration::from_millis(10)).await;
                }
                _ => {
                    let epoch = now.epoch.0;
                    self.log.notice(
                        MODULE,
                        format_args!("Consensus withdrawal complete: node is not advertised in epoch {epoch}."),
                    );
                    return;
                }
            }
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

    /// Goes on with a living data plane if it works as this configuration wants; else makes one that inherits from it.
    fn find_or_make_plane(&self, socket: &Path) -> Result<Started, StartError> {
        let (setup, link_key) = (self.setup(), &self.link.private);
        let scheme =
            Scheme::of_geometry(&self.config.geometry).map_err(|error| StartError::Authorities(error.to_string()))?;
        let mut mix_keys = MixKeys::new(scheme);
        let bad_key = |error| StartError::Scheme { what: "mix key", error };
        let addresses = self.listen_addresses()?;
        let (mut inheritance, mut replaced) = (Inheritance::default(), None);
        if let Some((channel, Some(handed_back))) = plane::greet(socket)? {
            if handed_back.works_as(&setup, &addresses, link_key) {
                let (plane, keys, stored) = DataPlane::adopt(handed_back, link_key.clone(), self.log.clone())?;
                mix_keys.adopt(keys).map_err(bad_key)?;
                self.log.notice(MODULE, "going on with the data plane that is at work");
                return Ok(Started { plane: share(plane), resumed: Some(channel), mix_keys, stored });
            }
            inheritance = handed_back.inheritance(&setup, link_key)?;
            mix_keys.adopt(std::mem::take(&mut inheritance.mix_keys)).map_err(bad_key)?;
            replaced = Some(channel);
        }
        let listeners = listen::bind_all(&addresses, std::mem::take(&mut inheritance.listeners))?;
        let stored = std::mem::take(&mut inheritance.stored);
        let mut plane =
            DataPlane::new(setup, link_key.clone(), listeners, self.log.clone()).map_err(PlaneError::from)?;
        // Only now that nothing can fail any more.
        if let Some(channel) = replaced {
            self.log.notice(MODULE, "the configuration has changed: replacing the data plane that is at work");
            plane::end(&channel, STOP_LIMIT);
        }
        plane.inherit(inheritance);
        let mut plane = share(plane);
        if !mix_keys.epochs().is_empty() {
            // The directory worker tells of keys only when it makes some.
            plane.set_keys(&mix_keys);
        }
        Ok(Started { plane, resumed: None, mix_keys, stored })
    }

    fn listen_addresses(&self) -> Result<Vec<SocketAddr>, ListenError> {
        let mut addresses = Vec::new();
        for address in &self.config.network.listen {
            addresses.extend(listen::resolve(address)?);
        }
        Ok(addresses)
    }

    fn setup(&self) -> Setup {
        let (config, own) = (&self.config, &self.config.own.dataplane);
        let processors = std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN);
        let shards = config.shards(processors).get().min(interplane::counter::SHARDS_MAX);
        let line_rate = u64::from(own.line_rate_packets_per_second);
        let small = |value: usize| u16::try_from(value).unwrap_or(u16::MAX);
        Setup {
            name: config.identifier.clone(),
            node_id: pki::hash(&self.identity.public),
            role: pki::neighbours::Role::Mix,
            geometry: config.geometry.clone(),
            wire_kem: config.wire_kem.info().name.into(),
            epoch_period: self.clock.period(),
            times: times(&config.debug),
            limits: Limits {
                scheduler_queue_packets: config.debug.scheduler_queue_size.map_or(0, |size| size.get() as u64),
                link_queue_packets: u32::try_from((line_rate * LINK_QUEUE_MS / 1000).max(64)).unwrap_or(u32::MAX),
                ..Limits::default()
            },
            machine: Machine {
                shards: small(shards),
                cpus: own.pin_cpus.iter().take(shards).map(|&cpu| small(cpu)).collect(),
                batch_packets_max: small(own.batch_max.min(interplane::setup::BATCH_PACKETS_MAX)),
                batch_wait_us: u32::try_from(own.batch_wait.as_micros()).unwrap_or(u32::MAX),
                slots_per_shard: u32::try_from(own.slots).unwrap_or(u32::MAX),
                ..Machine::default()
            },
            decoys: false,
            rate_limit: !config.debug.disable_rate_limit,
            replay_buckets: replay_capacity(line_rate, self.clock.period().as_secs()),
        }
    }

    fn directory_options(&self) -> Result<DirectoryOptions, StartError> {
        let config = &self.config;
        let own = OwnNode {
            name: config.identifier.clone(),
            identity_key: self.identity.public.clone(),
            link_key: self.link.public.clone(),
            role: pki::neighbours::Role::Mix,
        };
        let identity = config
            .pki_signature_scheme
            .load(&self.identity.private)
            .map_err(|error| StartError::Scheme { what: "identity.private.pem", error })?;
        let link = config
            .wire_kem
            .load(&self.link.private)
            .map_err(|error| StartError::Scheme { what: "link.private.pem", error })?;
        let caller = Caller { link_key: Arc::from(link), additional_data: pki::hash(&own.identity_key).to_vec() };
        Ok(DirectoryOptions {
            clock: self.clock,
            authorities: Arc::new(authorities(config)?),
            geometry_hash: config.geometry.hash(),
            dialler: dialler(config),
            profile: OwnProfile { addresses: advertised(config)?, ..OwnProfile::default() },
            own,
            identity: Arc::from(identity),
            caller,
        })
    }
}

/// The configured authorities.
pub fn authorities(config: &ServerConfig) -> Result<Authorities, StartError> {
    let list = config.authorities.iter().map(|authority| {
        let identity = VerifyingKey::new(authority.pki_signature_scheme.0, &authority.identity_public_key)
            .map_err(|error| StartError::Authorities(format!("{}: {error}", authority.identifier)))?;
        Ok(Authority {
            name: authority.identifier.clone(),
            identity,
            link_key: authority.link_public_key.clone(),
            addresses: authority.addresses.iter().map(|address| address.url().into()).collect(),
        })
    });
    let list = list.collect::<Result<_, StartError>>()?;
    Authorities::new(list).map_err(|error| StartError::Authorities(error.to_string()))
}

/// How this configuration reaches authorities. The reference hands on whole seconds, 0 meaning 30 and 3 (server.md 2.6).
pub fn dialler(config: &ServerConfig) -> Dialler {
    Dialler {
        kem: config.wire_kem.0,
        pki_public_key_bytes: config.pki_signature_scheme.info().public_key_bytes,
        connect_limit: config.debug.connect_timeout,
        handshake_limit: config.debug.handshake_timeout,
        answer_limit: Duration::from_secs(30),
    }
}

fn advertised(config: &ServerConfig) -> Result<BTreeMap<String, Vec<String>>, StartError> {
    address::advertised(&config.network.advertised, |name| {
        let found = (name, 0).to_socket_addrs();
        found.map(|found| found.map(|address| address.ip()).collect()).map_err(|error| {
            StartError::Addresses(format!("{name} cannot be resolved: {error}; write an address, or mend the name"))
        })
    })
}

fn times(debug: &config::server::Debug) -> Times {
    let ms = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
    Times {
        unwrap_delay_ms: ms(debug.unwrap_delay),
        gateway_delay_ms: ms(debug.gateway_delay),
        service_delay_ms: ms(debug.service_delay),
        kaetzchen_delay_ms: ms(debug.kaetzchen_delay),
        scheduler_slack_ms: ms(debug.scheduler_slack),
        send_slack_ms: ms(debug.send_slack),
        decoy_slack_ms: ms(debug.decoy_slack),
        connect_timeout_ms: ms(debug.connect_timeout),
        handshake_timeout_ms: ms(debug.handshake_timeout),
        reauth_interval_ms: ms(debug.reauth_interval),
    }
}

fn open_log(config: &ServerConfig) -> Result<Log, StartError> {
    let level = match config.logging.level {
        LogLevel::Error => Level::Error,
        LogLevel::Warning => Level::Warning,
        LogLevel::Notice => Level::Notice,
        LogLevel::Info => Level::Info,
        LogLevel::Debug => Level::Debug,
    };
    match &config.logging.destination {
        LogDestination::Silent => Ok(Log::silent()),
        LogDestination::Stdout => Ok(Log::to_stdout(level)),
        LogDestination::File(file) => {
            Log::to_file(level, file).map_err(|error| StartError::Log { file: file.clone(), error })
        }
    }
}

fn share(plane: DataPlane) -> SharedPlane {
    SharedPlane(Arc::new(Mutex::new(plane)))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

struct Signals {
    interrupt: Signal,
    terminate: Signal,
    hangup: Signal,
}

impl Signals {
    fn new() -> std::io::Result<Self> {
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            hangup: signal(SignalKind::hangup())?,
        })
    }
}

async fn wait_for_stop(interrupt: &mut Signal, terminate: &mut Signal) {
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
}

/// The node as the management socket sees it.
struct Managed {
    identifier: String,
    clock: EpochClock,
    counters: interplane::Counters,
    status: Arc<Mutex<DirectoryStatus>>,
    shut_down: Arc<Notify>,
    started: Instant,
    log: Log,
}

impl management::Node for Managed {
    fn shut_down(&self) {
        self.log.warning("mgmt", "shutdown requested over the management socket");
        self.shut_down.notify_one();
    }

    fn status(&self) -> String {
        let now = epoch_time(&self.clock);
        let status = self.status.lock().unwrap_or_else(std::sync::PoisonError::into_inner).clone();
        let account = self.counters.account_total();
        serde_json::json!({
            "identifier": self.identifier,
            "version": env!("CARGO_PKG_VERSION"),
            "uptime_seconds": self.started.elapsed().as_secs(),
            "epoch": now.epoch.0,
            "epoch_seconds_left": now.till.as_secs(),
            "documents": status.documents,
            "published_epoch": status.published,
            "shards": self.counters.shards(),
            "packets": account,
            "packets_unaccounted": account.difference(),
        })
        .to_string()
    }
}
