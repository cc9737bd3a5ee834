//! What a configuration asks for that this version does not have: known from the file alone, so that a check of the file
//! says what a start would say.

use crate::keys::Scheme;
use config::address::{Address, Transport};
use config::{Finding, ServerConfig, Severity};
use std::path::Path;

/// One wish that this version cannot grant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limit {
    /// The key that asks for it.
    pub key: String,
    /// What is not there.
    pub problem: String,
    /// What to do.
    pub remedy: String,
    /// Whether the node does not start; else it runs without.
    pub is_fatal: bool,
}

impl Limit {
    fn new(is_fatal: bool, key: impl Into<String>, problem: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { key: key.into(), problem: problem.into(), remedy: remedy.into(), is_fatal }
    }
}

/// All such wishes.
pub fn limits_of_this_version(config: &ServerConfig) -> Vec<Limit> {
    let mut limits = Vec::new();
    limits.extend(sphinx(&config.geometry));
    limits.extend(authorities(config));
    limits
}

/// The same as findings about the file.
pub fn findings_of_limits(file: &Path, config: &ServerConfig) -> impl Iterator<Item = Finding> {
    limits_of_this_version(config).into_iter().map(|limit| Finding {
        severity: if limit.is_fatal { Severity::Error } else { Severity::Warning },
        code: "not-in-this-version",
        file: file.to_path_buf(),
        line: config::line_of(file, &limit.key),
        key: limit.key,
        problem: limit.problem,
        remedy: limit.remedy,
    })
}

fn sphinx(geometry: &::sphinx::Geometry) -> Option<Limit> {
    let error = Scheme::of(geometry).err()?;
    let key = if geometry.kem_name.is_empty() { "SphinxGeometry.NIKEName" } else { "SphinxGeometry.KEMName" };
    Some(Limit::new(true, key, error.to_string(), "this version cannot be a node of this network"))
}

fn authorities(config: &ServerConfig) -> impl Iterator<Item = Limit> {
    let is_dialled = |address: &Address| address.transport != Transport::Onion;
    config.authorities.iter().enumerate().filter_map(move |(index, authority)| {
        if authority.addresses.is_empty() || authority.addresses.iter().any(is_dialled) {
            return None;
        }
        let problem =
            format!("'{}' has no tcp:// or quic:// address: this version cannot reach it", authority.identifier);
        let remedy = "ask its operator for one; until then this node neither posts to it nor fetches from it";
        Some(Limit::new(false, format!("PKI.Voting.Authorities[{index}].Addresses"), problem, remedy))
    })
}
