//! What differs from role to role; every other file here is neutral of it.

use config::server::Role;

/// A role that this version can run as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NodeRole {
    /// It stands in a mix layer.
    Mix,
    /// Clients connect to it.
    Gateway,
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
    pub fn of(config: &Role) -> Self {
        match config {
            Role::Mix => Self::Mix,
            Role::Gateway(_) => Self::Gateway,
            Role::ServiceNode(_) => Self::ServiceNode,
        }
    }

    /// As what documents list the node.
    pub fn listed_as(self) -> pki::neighbours::Role {
        match self {
            Self::Mix => pki::neighbours::Role::Mix,
            Self::Gateway => pki::neighbours::Role::Gateway,
            Self::ServiceNode => pki::neighbours::Role::Service,
        }
    }

    /// The parts in the order in which they start. They are ended together, after the data plane.
    pub fn parts(self) -> &'static [Part] {
        match self {
            Self::Mix | Self::Gateway | Self::ServiceNode => COMMON,
        }
    }

    /// Whether clients connect to it.
    pub fn has_clients(self) -> bool {
        self == Self::Gateway
    }
}
