//! What differs from role to role; every other file here is neutral of it.

use super::StartError;
use config::server::Role;

/// A role that this version can run as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NodeRole(pki::neighbours::Role);

impl NodeRole {
    /// The configured one.
    pub fn of(config: &Role) -> Result<Self, StartError> {
        match config {
            Role::Mix => Ok(Self(pki::neighbours::Role::Mix)),
            Role::Gateway(_) => Err(StartError::Role("a gateway")),
            Role::ServiceNode(_) => Err(StartError::Role("a service node")),
        }
    }

    /// As what documents list the node.
    pub fn listed_as(self) -> pki::neighbours::Role {
        self.0
    }
}
