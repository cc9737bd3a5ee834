//! What ends at this node instead of passing through: packets for its users and services, and replies to its own
//! loops. Every role that ends packets gets a room of its own here; a mix has none of them.
//!
//! | module | what lives there |
//! |---|---|
//! | [`gateway`] | the mail of a gateway's clients |
//! | [`decoys`] | the node's own loops |
//! | [`service`] | what answers on a service node |

pub mod decoys;
pub mod gateway;
mod plugins;
pub mod service;
#[cfg(test)]
mod tests;

use crate::packet::route::{Arrival, Delivery};
use crate::shared::Facts;
use ::gateway::UserId;
use interplane::DropReason;
use pki::neighbours::Role;

/// Why nothing at this node takes a packet that has arrived, or none if the packet is one that goes on or that
/// somebody takes.
pub fn refusal(role: Role, arrival: &Arrival) -> Option<DropReason> {
    match (arrival, role) {
        (Arrival::Delay { .. }, _) | (Arrival::Deliver(_), Role::Gateway) => None,
        // The matrix of server.md 3.7: a mix delivers nothing, and its own loops have come home by then.
        (Arrival::Deliver(_) | Arrival::Reply(_), Role::Mix) => Some(DropReason::MixReceivedNonForward),
        // A service node has answered by then, and own loops have come home.
        (Arrival::Reply(_), Role::Gateway) | (Arrival::Deliver(_) | Arrival::Reply(_), Role::Service) => {
            Some(DropReason::InvalidPacket)
        }
    }
}

/// The shard that is to have a packet which ends here; none if any may.
pub fn home(facts: &Facts, delivery: &Delivery) -> Option<usize> {
    // A mailbox has one home, wherever its client is connected.
    (facts.role == Role::Gateway).then(|| UserId(delivery.recipient).share(facts.shards))
}
