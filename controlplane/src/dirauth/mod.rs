//! A directory authority (pki.md 8 to 13): the process around `pki::voting`, which decides everything.
//!
//! | module | its job |
//! |---|---|
//! | `configuration` | from the file to what the others go by |
//! | `listen`, `door`, `serve` | connections of peers: accepting, caps, one request and one answer |
//! | `inspections` | whose request is verified when |
//! | `machine` | the thread that owns the state machine and the store |
//! | `store` | what outlives the process |
//! | `send` | messages to other authorities, and documents asked of them |
//! | `shared`, `seen`, `metrics` | what listeners and scrapes see |
//! | `error` | why an authority does not start, or stopped |

mod configuration;
mod door;
mod error;
mod inspections;
mod listen;
mod machine;
mod metrics;
mod seen;
mod send;
mod serve;
mod shared;
mod store;
#[cfg(test)]
mod tests;

pub use error::StartError;

use crate::directory::session::{Caller, Clocks, Dialler, Skews};
use crate::directory::{Internet, epoch_time};
use crate::logging::{Flushed, Log};
use crate::metrics as endpoint;
use crate::process::clock;
use crate::process::listen::{self as sockets, Families};
use crate::process::remedy;
use crate::process::signals::{Signals, Told};
use crate::process::tasks::{TaskEnd, Tasks};
use config::address::{Host, Transport};
use config::authority::{AuthorityConfig, REFERENCE_STORE_FILE};
use config::keys::{self, DataDir, KeyPair};
use crypto_simd::random::OsRandom;
use crypto_simd::schemes::KemDecapsulationKey;
use door::Door;
use inspections::Inspections;
use interplane::message::Listener;
use machine::{Ended, Errand, Machine, Orders};
use metrics::Metrics;
use pki::authority::DocumentVerifier;
use pki::voting::{Configuration, Voting};
use pki::{EpochClock, hash};
use rustix::process::{Resource, getrlimit};
use secret_memory::within;
use send::Sender;
use serve::Desk;
use shared::{Scraped, Shared};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex};
use std::time::{SystemTime, UNIX_EPOCH};
use store::Store;
use tokio::sync::mpsc;

const MODULE: &str = "authority";

/// Connections at once, if there are descriptors for twice as many.
const CONNECTIONS_MAX: usize = 1024;

/// Threads that verify, and look up names: there are always some left for names.
const HELPERS_MAX: usize = inspections::UPLOADS_MAX + inspections::MESSAGES_MAX + 4;

/// Runs an authority until it is told to stop.
pub fn run(config: AuthorityConfig) -> Result<(), StartError> {
    let level = crypto_simd::cpu::level()?;
    let clock = EpochClock::from_variable(std::env::var(pki::epoch::PERIOD_VARIABLE).ok().as_deref())?;
    clock.now(SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default())?;
    if config.generate_only {
        DataDir::check_owner(&config.data_dir)?;
    }
    let data_dir = DataDir::open(&config.data_dir)?;
    if data_dir.is_read_only() {
        return Err(StartError::ReadOnly(config.data_dir));
    }
    let log = Log::open(&config.logging)?;
    let _written_at_the_end = Flushed(log.clone());
    log.notice(MODULE, format_args!("Katzensprung {} ({level}), directory authority", env!("CARGO_PKG_VERSION")));
    let identity = keys::identity(&data_dir, config.pki_signature_scheme, &mut OsRandom)?;
    log.notice(MODULE, format_args!("Authority identity public key hash is: {}", hex(&hash(&identity.public))));
    let link = keys::link(&data_dir, config.wire_kem, &mut OsRandom)?;
    log.notice(MODULE, format_args!("Authority link public key hash is: {}", hex(&hash(&link.public))));
    for finding in data_dir.findings().iter().chain(&identity.findings).chain(&link.findings) {
        log.warning(MODULE, finding.text());
    }
    if !secret_memory::protection().locked {
        log.warning(MODULE, remedy::unlocked("private keys", 0));
    }
    if config.generate_only {
        return Ok(());
    }
    let voting = Arc::new(configuration::voting(&config, &identity)?);
    let authority = Authority { config, clock, log, voting, identity, link };
    authority.report_configuration();
    if authority.uses_quic() {
        streams::warm_up();
    }
    // Last of all that may fail: what does not start has changed nothing.
    let sockets = Sockets { listeners: authority.bind()?, metrics: authority.bind_metrics()? };
    let store = Store::open(data_dir.path())?;
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    runtime.enable_all().max_blocking_threads(HELPERS_MAX).on_thread_start(secret_memory::protect_stack);
    runtime.build()?.block_on(authority.run(store, sockets))
}

struct Authority {
    config: AuthorityConfig,
    clock: EpochClock,
    log: Log,
    voting: Arc<Configuration>,
    identity: KeyPair,
    link: KeyPair,
}

/// What was bound before anything was started.
struct Sockets {
    listeners: Vec<(Listener, OwnedFd)>,
    metrics: Option<(SocketAddr, std::net::TcpListener)>,
}

/// What serves and sends.
struct Parts {
    desk: Arc<Desk>,
    sender: Sender,
    errands: mpsc::UnboundedReceiver<Errand>,
    ended: Ended,
}

impl Authority {
    async fn run(self, store: Store, sockets: Sockets) -> Result<(), StartError> {
        let mut signals = Signals::new()?;
        let metrics = Metrics::new(self.voting.authorities.clone()).map_err(std::io::Error::other)?;
        let Parts { desk, sender, errands, mut ended } = self.start_machine(store, metrics.clone())?;
        let shared = desk.shared.clone();
        let mut tasks = Tasks::default();
        let door = Door::new(places(), configuration::known_addresses(&self.config), metrics);
        for (address, socket) in sockets.listeners {
            self.log.notice(MODULE, format_args!("listening on {address}"));
            tasks.spawn("listener", listen::listen(socket, door.clone(), desk.clone(), self.log.clone()));
        }
        tasks.spawn("sender", sender.run(errands));
        tasks.spawn("clock watch", clock::watch(self.log.clone()));
        match sockets.metrics {
            None => self.log.notice(MODULE, "no metrics (Server.MetricsAddress is not set)"),
            Some((address, listener)) => {
                self.log.notice(MODULE, format_args!("metrics on http://{address}/metrics"));
                let log = self.log.clone();
                tasks.spawn("metrics endpoint", async move {
                    let outcome = endpoint::serve(listener, Scraped(shared), log).await;
                    outcome.err().map_or("no reason".into(), |error| error.to_string())
                });
            }
        }
        self.log.notice(MODULE, "Started.");
        let fault = tokio::select! {
            () = self.until_told_to_stop(&mut signals) => None,
            end = tasks.first_end() => Some(end),
            error = &mut ended => Some(TaskEnd {
                task: "voting",
                reason: error.map_or("it gave no reason".into(), |error| error.to_string()),
            }),
        };
        if let Some(end) = &fault {
            self.log.error(MODULE, format_args!("{end}; the authority stops"));
        }
        tasks.shut_down().await;
        self.log.notice(MODULE, "Shutdown complete.");
        fault.map_or(Ok(()), |end| Err(StartError::Ended(end)))
    }

    async fn until_told_to_stop(&self, signals: &mut Signals) {
        while signals.next().await == Told::ReopenLog {
            self.log.reopen();
        }
        self.log.notice(MODULE, "Stopping.");
    }

    /// Starts the state machine's thread with what the store holds, and makes what stands around it.
    fn start_machine(&self, store: Store, metrics: Metrics) -> Result<Parts, StartError> {
        let config = &self.config;
        let signer = within(|| config.pki_signature_scheme.load(&self.identity.private))
            .map_err(|error| StartError::Scheme { what: "identity.private.pem".into(), error })?;
        let link_key: Arc<dyn KemDecapsulationKey> = within(|| config.wire_kem.load(&self.link.private).map(Arc::from))
            .map_err(|error| StartError::Scheme { what: "link.private.pem".into(), error })?;
        let voting = Voting::new(self.voting.clone(), signer, store.load()?, &epoch_time(&self.clock))?;
        let shared = Arc::new(Shared::new(self.clock, metrics, voting.documents()));
        let machine = Machine { voting, store, clock: self.clock, shared: shared.clone(), log: self.log.clone() };
        let (orders, errands, ended) = machine::start(machine)?;
        let desk = Desk {
            configuration: self.voting.clone(),
            kem: config.wire_kem.0,
            link_key: link_key.clone(),
            public_key_bytes: config.pki_signature_scheme.info().public_key_bytes,
            timeouts: config.timeouts,
            shared: shared.clone(),
            orders: orders.clone(),
            inspections: Inspections::new(&self.voting, processors()),
        };
        let sender = self.sender(link_key, shared, orders);
        Ok(Parts { desk: Arc::new(desk), sender, errands, ended })
    }

    fn sender(&self, link_key: Arc<dyn KemDecapsulationKey>, shared: Arc<Shared>, orders: Orders) -> Sender {
        let (config, timeouts) = (&self.config, self.config.timeouts);
        let dialler = Dialler {
            kem: config.wire_kem.0,
            pki_public_key_bytes: config.pki_signature_scheme.info().public_key_bytes,
            connect_limit: timeouts.dial,
            handshake_limit: timeouts.handshake,
            answer_limit: timeouts.response,
            clocks: Clocks::default(),
        };
        let caller = Caller { link_key, additional_data: hash(&self.identity.public).to_vec() };
        Sender {
            authorities: configuration::dialled(config, &self.voting.authorities),
            internet: Internet::new(dialler.clone(), caller.clone()),
            dialler,
            caller,
            retry: config.peer_retry,
            verifier: DocumentVerifier {
                authorities: self.voting.authorities.clone(),
                geometry_hash: self.voting.geometry_hash,
            },
            clock: self.clock,
            shared,
            orders,
            skews: Mutex::new(Skews::default()),
            log: self.log.clone(),
        }
    }

    fn uses_quic(&self) -> bool {
        let others = self.config.authorities.iter().flat_map(|authority| &authority.addresses);
        self.config.network.listen.iter().chain(others).any(|address| address.transport == Transport::Quic)
    }

    fn bind(&self) -> Result<Vec<(Listener, OwnedFd)>, StartError> {
        let listen = &self.config.network.listen;
        for address in listen.iter().filter(|address| !address.can_listen()) {
            self.log
                .warning(MODULE, format_args!("not listening on {address}: Tor does, and comes to another address"));
        }
        let listened: Vec<_> = listen.iter().filter(|address| address.can_listen()).cloned().collect();
        Ok(sockets::bind_all(&sockets::resolve(&listened, Families::of_host())?, Vec::new())?)
    }

    fn bind_metrics(&self) -> Result<Option<(SocketAddr, std::net::TcpListener)>, StartError> {
        let Some((host, port)) = &self.config.network.metrics else { return Ok(None) };
        let address = match host {
            None => SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), *port).to_string(),
            Some(Host::Ip(ip)) => SocketAddr::new(*ip, *port).to_string(),
            Some(Host::Name(name)) => format!("{name}:{port}"),
        };
        let bound = std::net::TcpListener::bind(&address).and_then(|listener| Ok((listener.local_addr()?, listener)));
        bound.map(Some).map_err(|error| StartError::Metrics { address, error })
    }

    /// What an operator compares with what was meant.
    fn report_configuration(&self) {
        let (voting, config) = (&self.voting, &self.config);
        let authorities = &voting.authorities;
        self.log.notice(
            MODULE,
            format_args!(
                "one of {} authorities, {} of which make a consensus; epochs of {} s",
                authorities.list().len(),
                authorities.threshold(),
                self.clock.period().as_secs_f64()
            ),
        );
        let members = &config.members;
        self.log.notice(
            MODULE,
            format_args!(
                "{} mixes, {} gateways, {} service nodes and {} replicas may take part",
                members.mixes.len(),
                members.gateways.len(),
                members.service_nodes.len(),
                members.replicas.len()
            ),
        );
        let own = &authorities.list()[voting.own];
        if own.link_key != self.link.public {
            self.log.error(
                MODULE,
                format_args!(
                    "LinkPublicKey of authority '{}' is not the key in link.public.pem: the others refuse this \
                     authority; give all of them the present one",
                    own.name
                ),
            );
        }
        if config.data_dir.join(REFERENCE_STORE_FILE).exists() {
            self.log.notice(
                MODULE,
                format_args!(
                    "{REFERENCE_STORE_FILE} in DataDir is the reference's and left alone: documents come from the other \
                     authorities; it may be deleted when the reference will not run here again"
                ),
            );
        }
    }
}

/// Connections for which there are descriptors beside those for what this authority opens itself.
fn places() -> usize {
    let descriptors = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
    usize::try_from(descriptors / 2).unwrap_or(usize::MAX).min(CONNECTIONS_MAX)
}

fn processors() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
