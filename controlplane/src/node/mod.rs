//! A node from start to stop (server.md 1.7, 1.8).
//!
//! | module | its job |
//! |---|---|
//! | `error` | why a node does not start |
//! | `role`, `version` | what differs from role to role; what this version cannot do |
//! | [`memory`] | what a start looks after before it begins |
//! | `look` | the same without a start, for whoever asks |
//! | `setup`, `network` | what the configuration asks of the data plane and of the directory worker |
//! | `takeover`, `handed_back` | finds a data plane that is at work, and goes on with it or replaces it |
//! | `kept` | mix keys over a clean stop |
//! | `serve`, `stop` | the parts in their order, and what ends them |
//! | `stored` | what a service manager keeps over the end of both processes |
//! | `plane`, `supervise` | what the data plane is given, and that there is one that works |
//! | `events`, `status`, `questions` | what the data plane says for the log; what is answered to operators |
//! | `live` | what of the configuration may change meanwhile |

mod error;
mod events;
mod handed_back;
mod kept;
mod live;
mod look;
pub mod memory;
mod network;
mod plane;
mod questions;
mod role;
mod serve;
mod setup;
mod status;
mod stop;
mod stored;
mod supervise;
mod takeover;
mod version;

pub use error::StartError;
pub use handed_back::stop_orphan;
pub use kept::{kept_folder, unseal_kept};
pub use look::{Look, Verdict, look};
pub use network::{authorities, dialler};
pub use setup::backend;
pub(crate) use stop::{State, StopOrder};
pub use version::{Limit, findings_of_limits, limits_of_this_version};

use crate::logging::{Flushed, Level, Log};
use crate::process::remedy;
use config::ServerConfig;
use config::keys::{self, DataDir, KeyPair};
use config::sealing::SealKey;
use config::server::MANAGEMENT_SOCKET;
use crypto_simd::random::OsRandom;
use pki::EpochClock;
use role::NodeRole;

const MODULE: &str = "server";

/// Makes what a service manager gives to this process its own, before the process opens anything itself.
pub fn secure_inherited() {
    interplane::inherited::secure();
}

/// Runs a node until it is told to stop.
pub fn run(mut config: ServerConfig) -> Result<(), StartError> {
    let role = NodeRole::of(&config.role);
    let level = crypto_simd::cpu::level()?;
    let clock = EpochClock::from_variable(std::env::var(pki::epoch::PERIOD_VARIABLE).ok().as_deref())?;
    let host = memory::Host::look();
    let sizes = setup::wanted(&config, &clock).sizes(&host)?;
    if !config.debug.generate_only && setup::descriptors() < setup::DESCRIPTORS_MIN {
        return Err(StartError::Descriptors(setup::descriptors()));
    }
    if config.debug.generate_only {
        DataDir::check_owner(&config.data_dir)?;
    }
    let data_dir = DataDir::open(&config.data_dir)?;
    if data_dir.is_read_only() && config.management.path == data_dir.path().join(MANAGEMENT_SOCKET) {
        config.management.path = data_dir.sockets().join(MANAGEMENT_SOCKET);
    }
    let log = Log::open(&config.logging)?;
    let _written_at_the_end = Flushed(log.clone());
    log.notice(MODULE, format_args!("Katzensprung {} ({level})", env!("CARGO_PKG_VERSION")));
    log.notice(MODULE, format_args!("Server identifier is: '{}'", config.identifier));
    let seal = kept::seal_key(&config)?;
    let identity = keys::identity(&data_dir, config.pki_signature_scheme, &mut OsRandom)?;
    log.notice(MODULE, format_args!("Server identity public key hash is: {}", hex(&pki::hash(&identity.public))));
    let link = keys::link(&data_dir, config.wire_kem, &mut OsRandom)?;
    log.notice(MODULE, format_args!("Server link public key hash is: {}", hex(&pki::hash(&link.public))));
    if identity.created {
        report_new_identity(&config, link.created, &log);
    }
    for finding in data_dir.findings().iter().chain(&identity.findings).chain(&link.findings) {
        log.warning(MODULE, finding.text());
    }
    if config.debug.generate_only {
        // A node that goes on is told when both of its processes have their keys.
        if !secret_memory::protection().locked {
            log.warning(MODULE, remedy::unlocked("private keys", 0));
        }
        return Ok(());
    }
    for limit in limits_of_this_version(&config).iter().filter(|limit| !limit.is_fatal) {
        log.warning(MODULE, format_args!("{}: {}; {}", limit.key, limit.problem, limit.remedy));
    }
    if let config::server::Role::Gateway(gateway) = &config.role
        && gateway.mail.is_none()
    {
        log.notice(
            MODULE,
            format_args!(
                "messages for clients are kept in memory: {} (Gateway.SpoolDB) is neither read nor written",
                gateway.spool_path.display()
            ),
        );
    }
    match &config.own_file {
        Some(path) => log.notice(MODULE, format_args!("own settings are those of {}", path.display())),
        None => log.notice(MODULE, "own settings have their defaults: there is no katzensprung.toml beside the file"),
    }
    match sizes.report(&host) {
        (text, false) => log.notice(MODULE, text),
        (text, true) => log.warning(MODULE, text),
    }
    let node = Node { config, sizes, role, clock, log, identity, link, seal };
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    runtime.enable_all().on_thread_start(secret_memory::protect_stack).build()?.block_on(node.serve(&data_dir))
}

/// Nobody knows the node by a new key. Beside an older link key it is the end of the node that was there.
fn report_new_identity(config: &ServerConfig, has_new_link: bool, log: &Log) {
    let level = if has_new_link { Level::Notice } else { Level::Warning };
    let news = format_args!(
        "made a new identity key in {}: the authorities' operators must be given identity.public.pem and the name '{}'",
        config.data_dir.display(),
        config.identifier
    );
    log.write(level, MODULE, news);
}

struct Node {
    config: ServerConfig,
    sizes: memory::Sizes,
    role: NodeRole,
    clock: EpochClock,
    log: Log,
    identity: KeyPair,
    link: KeyPair,
    /// With what kept keys are sealed, where the unit has it.
    seal: Option<SealKey>,
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
