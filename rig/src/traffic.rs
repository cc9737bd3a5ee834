//! Which way packets take through the measured node, and what follows from that.

use super::account::Exit;
use super::mill::Delays;
use super::peers::Ends;
use pki::document::delay_cap_ms;
use pki::neighbours::Role;
use testnet::session::Identity;

/// What answers at a service node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Service {
    /// The echo that is built in.
    Echo,
    /// A plugin that echoes: a process of its own.
    Plugin,
}

/// A way through the node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Traffic {
    /// From the layer before a mix to the one behind.
    Through,
    /// Requests to a service, whose replies go to the first layer.
    Requests(Service),
    /// From clients of a gateway to the first layer.
    FromClients,
    /// From the last layer to clients of a gateway.
    ToClients,
}

/// Rate of the delays in the public networks, per millisecond.
const NETWORK_MU: f64 = 0.005;
/// Short, so that few packets are inside the node at once, and spread.
const DELAYS: Delays = Delays { mean_ms: 20.0, max_ms: 200 };
/// Packets inside the node while its capacity is measured: the delayed ones and enough others to fill batches.
const WINDOW: u64 = 4096;
/// A node keeps 512 requests for its plugins and drops what goes beyond: fewer are under way, with shorter delays.
const PLUGIN_DELAYS: Delays = Delays { mean_ms: 4.0, max_ms: 40 };
const PLUGIN_WINDOW: u64 = 400;

impl Traffic {
    /// All that is measured of a node with a role.
    pub fn of(role: Role, service: Service) -> Vec<Self> {
        match role {
            Role::Mix => vec![Self::Through],
            Role::Gateway => vec![Self::FromClients, Self::ToClients],
            Role::Service => vec![Self::Requests(service)],
        }
    }

    /// The node's role.
    pub fn role(self) -> Role {
        match self {
            Self::Through => Role::Mix,
            Self::Requests(_) => Role::Service,
            Self::FromClients | Self::ToClients => Role::Gateway,
        }
    }

    /// Its name in reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::Through => "through",
            Self::Requests(Service::Echo) => "echo",
            Self::Requests(Service::Plugin) => "plugin",
            Self::FromClients => "from_clients",
            Self::ToClients => "to_clients",
        }
    }

    /// What the packets ask for: a network's delays, or short ones.
    pub fn delays(self, network: bool) -> Delays {
        match self {
            _ if network => {
                let max_ms = u16::try_from(delay_cap_ms(NETWORK_MU)).unwrap_or(u16::MAX);
                Delays { mean_ms: 1.0 / NETWORK_MU, max_ms }
            }
            Self::Requests(Service::Plugin) => PLUGIN_DELAYS,
            _ => DELAYS,
        }
    }

    /// Packets inside the node while its capacity is measured, if it is `capacity` packets per second at most.
    pub fn window(self, network: bool, capacity: f64) -> u64 {
        if self == Self::Requests(Service::Plugin) {
            return PLUGIN_WINDOW;
        }
        let delayed = (capacity * self.delays(network).mean_ms / 1000.0) as u64;
        match self {
            Self::ToClients => WINDOW,
            _ if network => WINDOW + delayed,
            // A node with many shards must not wait for its own delays.
            _ => WINDOW.max(2 * delayed),
        }
    }

    /// Who is at the ends of the packets' way.
    pub fn ends(self, clients: &[Identity]) -> Ends<'_> {
        match self {
            Self::Through | Self::Requests(_) => Ends::Mixes,
            Self::FromClients => Ends::ClientsBefore(clients),
            Self::ToClients => Ends::ClientsBehind(clients),
        }
    }

    /// Where packets leave the node's account.
    pub fn exit(self) -> Exit {
        if self == Self::ToClients { Exit::Delivered } else { Exit::Sent }
    }
}
