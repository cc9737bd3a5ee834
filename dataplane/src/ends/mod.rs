//! What ends at this node instead of passing through: packets for its users and services, and replies to its own
//! loops. Every role that ends packets gets a room of its own here; a mix has none of them.

mod plugins;
pub mod service;
#[cfg(test)]
mod tests;

use crate::packet::route::Arrival;
use interplane::DropReason;
use pki::neighbours::Role;

/// Why nothing at this node takes a packet that has arrived, or none if the packet is one that goes on.
pub fn refusal(role: Role, arrival: &Arrival) -> Option<DropReason> {
    match (arrival, role) {
        (Arrival::Delay { .. }, _) => None,
        // The matrix of server.md 3.7: a mix delivers nothing, and this one makes no loops that could come home.
        (Arrival::Deliver(_) | Arrival::Reply, Role::Mix) => Some(DropReason::MixReceivedNonForward),
        // A service node has answered by then, and makes no loops; `Facts::new` refuses gateways.
        (Arrival::Deliver(_) | Arrival::Reply, Role::Gateway | Role::Service) => Some(DropReason::InvalidPacket),
    }
}
