//! The configuration of a directory authority with parsed types and no invalid states, from the reference's
//! `authority.toml` (pki.md 13.1).

mod load;
mod members;
mod network;
mod numbers;
pub mod raw;
pub(crate) mod removed;
#[cfg(test)]
mod tests;

pub use load::{Loaded, Purpose, Sources, parse};
pub use members::{ListedNode, ListedReplica, Members};
pub use network::{AUTHORITY_PORT_DEFAULT, Network};
pub use numbers::{Layout, PeerRetry, Timeouts};

use crate::finding::Finding;
use crate::reader::Strictness;
use crate::schemes::{KemScheme, SignatureScheme};
use crate::server::{Authority, Logging};
use std::path::{Path, PathBuf};

/// Name of the file in DataDir with documents and descriptors.
pub const STORE_FILE: &str = "authority.redb";

/// Name of the reference's file for the same.
pub const REFERENCE_STORE_FILE: &str = "persistence.db";

/// Everything that the file says.
#[derive(Clone, Debug)]
pub struct AuthorityConfig {
    /// Name for the log.
    pub identifier: String,
    /// KEM of the link protocol.
    pub wire_kem: KemScheme,
    /// Signature scheme of the directory.
    pub pki_signature_scheme: SignatureScheme,
    /// Addresses to listen on, to be reached at and to serve metrics at.
    pub network: Network,
    /// Absolute path of the folder of keys and state.
    pub data_dir: PathBuf,
    /// How long steps of a connection may take.
    pub timeouts: Timeouts,
    /// When sending to another authority is tried again.
    pub peer_retry: PeerRetry,
    /// All authorities, this one included.
    pub authorities: Vec<Authority>,
    /// Log of the authority.
    pub logging: Logging,
    /// The rates to vote for.
    pub parameters: pki::voting::Parameters,
    /// Layers of mixes.
    pub layout: Layout,
    /// Who may take part.
    pub members: Members,
    /// Sizes of the network's packets, checked.
    pub geometry: sphinx::Geometry,
    /// Whether it makes its keys and stops.
    pub generate_only: bool,
}

impl AuthorityConfig {
    /// Reads the file at `path` and the key files that it names.
    ///
    /// With [`Strictness::Lenient`] unknown keys are warnings, as at a normal start; with [`Strictness::Strict`] they
    /// are errors, as under `--validate-only`. `Err` holds all findings, at least one of them an error; `Ok` may hold
    /// warnings and notes.
    pub fn load(path: &Path, strictness: Strictness, purpose: Purpose) -> Result<Loaded, Vec<Finding>> {
        parse(&Sources::read(path)?, strictness, purpose)
    }
}
