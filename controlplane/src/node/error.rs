//! Why a node does not start.

use super::memory::MemoryTooSmall;
use super::plane::PlaneError;
use crate::process::listen::ListenError;
use crate::process::remedy::{remedy, remedy_at_address, remedy_at_path};
use crate::process::tasks::TaskEnd;
use config::keys::KeyError;
use std::path::PathBuf;

/// Why a node does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// A plugin.
    #[error("ServiceNode.CBORPluginKaetzchen: {0}")]
    Plugin(#[from] crate::plugins::ChildError),
    /// The user database.
    #[error("{0}")]
    Users(#[from] crate::users::StoreError),
    /// The period of epochs.
    #[error("{0}")]
    Period(#[from] pki::epoch::PeriodVariableError),
    /// The level of the vector kernels.
    #[error("{0}")]
    Simd(#[from] crypto_simd::cpu::LevelError),
    /// The line rate.
    #[error("{0}")]
    Memory(#[from] MemoryTooSmall),
    /// Open files.
    #[error(
        "this process may have {0} open files, which is too few for a node: raise the limit (LimitNOFILE= of the unit, \
         ulimit -Hn) to {least} at least, better to 65536",
        least = super::setup::DESCRIPTORS_MIN
    )]
    Descriptors(u64),
    /// DataDir or its keys.
    #[error("{0}")]
    Keys(#[from] KeyError),
    /// The key to seal with.
    #[error("{0} (keys.seal of katzensprung.toml)")]
    Seal(#[from] config::sealing::SealError),
    /// Mix keys that an earlier node has left.
    #[error("{0}")]
    Kept(#[from] crate::keys::kept::KeptError),
    /// The log.
    #[error("{0}")]
    Log(#[from] crate::logging::OpenError),
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
    /// The management socket.
    #[error("cannot serve management at {path}: {error} (Management.Path){}", remedy_at_path(.error))]
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
    #[error("{error}{}", remedy(.0), error = .0)]
    Os(#[from] std::io::Error),
    /// A part of the running node ended by itself.
    #[error("{0}; the node has stopped")]
    Ended(TaskEnd),
}

impl StartError {
    /// Whether the node had started.
    pub fn came_later(&self) -> bool {
        matches!(self, Self::Ended(_))
    }
}
