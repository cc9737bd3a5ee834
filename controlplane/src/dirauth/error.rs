//! Why a directory authority does not start, or stopped.

use super::store::StoreError;
use crate::logging::OpenError;
use crate::process::listen::ListenError;
use crate::process::remedy::{remedy, remedy_at_address};
use crate::process::tasks::TaskEnd;
use config::keys::KeyError;
use std::path::PathBuf;

/// Why a directory authority does not start, or stopped.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The period of epochs.
    #[error("{0}")]
    Period(#[from] pki::epoch::PeriodVariableError),
    /// The clock of the host.
    #[error("{0}; set the clock of this host: epochs go by it")]
    Clock(#[from] pki::epoch::BeforeGenesis),
    /// The level of the vector kernels.
    #[error("{0}")]
    Simd(#[from] crypto_simd::cpu::LevelError),
    /// DataDir or its keys.
    #[error("{0}")]
    Keys(#[from] KeyError),
    /// DataDir cannot be written.
    #[error(
        "dir '{0}' is read-only; an authority keeps documents and descriptors there: mount it writable (Server.DataDir)"
    )]
    ReadOnly(PathBuf),
    /// The log.
    #[error("{0}")]
    Log(#[from] OpenError),
    /// The store.
    #[error("{0}")]
    Store(#[from] StoreError),
    /// A listening socket.
    #[error("{0}")]
    Listen(#[from] ListenError),
    /// The metrics' address.
    #[error("cannot serve metrics on {address}: {error} (Server.MetricsAddress){}", remedy_at_address(.error))]
    Metrics {
        /// The address.
        address: String,
        /// The reason.
        error: std::io::Error,
    },
    /// The list of authorities.
    #[error("Authorities: {0}")]
    Authorities(String),
    /// What the state machine says of the configuration.
    #[error("{0}")]
    Configuration(#[from] pki::voting::ConfigurationError),
    /// A key that its scheme refuses.
    #[error("{what}: {error}")]
    Scheme {
        /// Which key.
        what: String,
        /// The reason.
        error: crypto_simd::schemes::SchemeError,
    },
    /// The operating system.
    #[error("{error}{}", remedy(.0), error = .0)]
    Os(#[from] std::io::Error),
    /// A part of the running authority ended by itself.
    #[error("{0}; the authority has stopped")]
    Ended(TaskEnd),
}

impl StartError {
    /// Whether the authority had started.
    pub fn came_later(&self) -> bool {
        matches!(self, Self::Ended(_))
    }
}
