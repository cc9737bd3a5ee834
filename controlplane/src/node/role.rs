//! What differs from role to role; every other file here is neutral of it.

use super::StartError;
use config::server::Role;

/// A role that this version can run as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NodeRole {
    /// It stands in a mix layer.
    Mix,
    /// Services answer on it.
    ServiceNode,
}

/// A part of a running node besides its data plane and its directory worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// Tells of steps of the wall clock.
    ClockWatch,
    /// Writes what the data plane tells into the log.
    Events,
    /// Answers scrapes.
    Metrics,
    /// Answers operators.
    Management,
}

/// What every role has.
const COMMON: &[Part] = &[Part::ClockWatch, Part::Events, Part::Metrics, Part::Management];

impl NodeRole {
    /// The configured one.
    pub fn of(config: &Role) -> Result<Self, StartError> {
        match config {
            Role::Mix => Ok(Self::Mix),
            Role::Gateway(_) => Err(StartError::Role("a gateway")),
            Role::ServiceNode(_) => Ok(Self::ServiceNode),
        }
    }

    /// As what documents list the node.
    pub fn listed_as(self) -> pki::neighbours::Role {
        match self {
            Self::Mix => pki::neighbours::Role::Mix,
            Self::ServiceNode => pki::neighbours::Role::Service,
        }
    }

    /// The parts in the order in which they start. They are ended together, after the data plane.
    pub fn parts(self) -> &'static [Part] {
        match self {
            Self::Mix | Self::ServiceNode => COMMON,
        }
    }
}
