//! The configuration of a node with parsed types and no invalid states, from the reference's `server` file and our
//! own file beside it.

pub(crate) mod authorities;
mod debug;
mod gateway;
pub(crate) mod geometry;
pub mod live;
pub(crate) mod load;
pub(crate) mod logging;
pub(crate) mod network;
pub(crate) mod node;
pub mod own;
mod own_files;
pub mod raw;
pub mod removed;
mod roles;
pub(crate) mod sockets;
#[cfg(test)]
pub(crate) mod tests;
mod written;

pub use authorities::Authority;
pub use debug::Debug;
pub use gateway::{DataSource, ExternUrl, Gateway, MailStore, UserStore, Users};
pub use live::{Change, Changes};
pub use load::{Loaded, OWN_FILE_NAME, Sources, parse, read_text};
pub use logging::{LogDestination, LogLevel, Logging};
pub use network::Network;
pub use node::{MANAGEMENT_SOCKET, Management, Shutdown};
pub use own::{Backend, OwnConfig};
pub use roles::{BuiltIn, BuiltInService, Keyserver, PluginProtocol, PluginService, Role, ServiceNode};
pub use written::Written;

use crate::finding::Finding;
use crate::reader::Strictness;
use crate::schemes::{KemScheme, SignatureScheme};
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

/// Everything that the two files say.
#[derive(Clone, Debug, PartialEq)]
pub struct ServerConfig {
    /// Name in the directory, normalised.
    pub identifier: String,
    /// What the node does besides mixing.
    pub role: Role,
    /// KEM of the link protocol.
    pub wire_kem: KemScheme,
    /// Signature scheme of the directory.
    pub pki_signature_scheme: SignatureScheme,
    /// Sizes of the network's packets, checked.
    pub geometry: sphinx::Geometry,
    /// Addresses to advertise, to listen on and to serve metrics at.
    pub network: Network,
    /// Absolute path of the folder of keys and state.
    pub data_dir: PathBuf,
    /// What happens to advertised mix keys at a clean stop.
    pub shutdown: Shutdown,
    /// Log of the node.
    pub logging: Logging,
    /// The management socket.
    pub management: Management,
    /// The directory authorities, at least one.
    pub authorities: Vec<Authority>,
    /// Timeouts, queues and switches.
    pub debug: Debug,
    /// What `katzensprung.toml` beside the file says.
    pub own: OwnConfig,
    /// That file, if there is one.
    pub own_file: Option<PathBuf>,
    /// The main file.
    pub file: PathBuf,
    /// What is written in both.
    pub written: Written,
}

impl ServerConfig {
    /// Reads the file at `path` and `katzensprung.toml` beside it.
    ///
    /// With [`Strictness::Lenient`] unknown keys of the main file are warnings, as at a normal start; with
    /// [`Strictness::Strict`] they are errors, as under `--validate-only`. `Err` holds all findings, at least one of
    /// them an error; `Ok` may hold warnings and notes.
    pub fn load(path: &Path, strictness: Strictness) -> Result<Loaded, Vec<Finding>> {
        parse(&Sources::read(path)?, strictness)
    }

    /// Threads that forward packets on a host with that many processors: `dataplane.shards`, else one for each of
    /// `dataplane.pin_cpus`, else one for each processor, at most `Debug.NumSphinxWorkers`.
    pub fn shards(&self, processors: NonZeroUsize) -> NonZeroUsize {
        let workers = self.debug.num_sphinx_workers.unwrap_or(processors);
        self.own.dataplane.shards.unwrap_or_else(|| processors.min(workers))
    }
}
