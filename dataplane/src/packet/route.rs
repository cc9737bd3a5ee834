//! What becomes of an unwrapped packet (server.md 3.7): a pure function of role, commands and sender, the rules for
//! delays, and where it goes.

#[cfg(test)]
mod tests;

use crate::shared::{DestinationId, Directory};
use crypto_simd::symmetric::equal;
use interplane::DropReason;
use pki::neighbours::Role;
use sphinx::commands::CommandsClass;
use sphinx::{Commands, NODE_ID_BYTES, RECIPIENT_ID_BYTES, SURB_ID_BYTES, Unwrapped, UnwrappedKind};
use std::time::Duration;

/// What a packet's sender says about it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sender {
    /// The sender is a client: the packet must go on (`must_forward`).
    pub is_client: bool,
}

/// What becomes of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// Hold it back, then send it on.
    Forward {
        /// To this node.
        next_hop: [u8; NODE_ID_BYTES],
        /// The delay that was asked for.
        delay_ms: u32,
    },
    /// It is the reply to one of this node's own loops.
    Decoy,
    /// It is for a user of this gateway.
    Gateway,
    /// It is for a service of this node.
    Service,
    /// Drop it.
    Drop(DropReason),
}

/// What is done with a packet that has arrived here. It stays with the packet on its way to the shard that does it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arrival {
    /// It waits until it is due, and goes on.
    Delay {
        /// To this node.
        next_hop: [u8; NODE_ID_BYTES],
        /// Which has this place among the destinations.
        destination: DestinationId,
    },
    /// It ends here: for a user or a service.
    Deliver(Delivery),
    /// It ends here: the reply to one of this node's own loops.
    Reply(Delivery),
}

/// For whom a packet is that ends here.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Delivery {
    /// The user, or the service.
    pub recipient: [u8; RECIPIENT_ID_BYTES],
    /// Set on replies: the id of the reply block.
    pub surb_id: Option<[u8; SURB_ID_BYTES]>,
    /// The delay that was asked for (server.md 6.2); 0 where the packet asks for none.
    pub delay_ms: u32,
}

impl Delivery {
    /// By the commands of a packet that ends here: each of the three sets has a recipient.
    fn of(commands: &Commands) -> Result<Self, DropReason> {
        let Commands { delay_ms, recipient, surb_reply, .. } = *commands;
        let recipient = recipient.ok_or(DropReason::InvalidPacket)?;
        Ok(Self { recipient, surb_id: surb_reply, delay_ms: delay_ms.unwrap_or(0) })
    }
}

/// By what packets are routed at this moment.
pub struct Routes<'a> {
    /// This node's role.
    pub role: Role,
    /// The longest delay that may be asked for at all.
    pub delay_limit: Duration,
    /// The longest delay by the current document.
    pub delay_max: Duration,
    /// All destinations.
    pub directory: &'a Directory,
    /// The recipient of this node's own loops, if it makes any.
    pub own_decoys: Option<&'a [u8; RECIPIENT_ID_BYTES]>,
    /// For each place of the directory: whether packets may be sent there now.
    pub is_open: &'a [bool],
}

impl Routes<'_> {
    /// What becomes of an unwrapped packet, and the time that it is to wait; or why it is dropped. `dwell` is the time
    /// that it has waited for its unwrap.
    pub fn judge(
        &self,
        unwrapped: &Unwrapped,
        sender: Sender,
        dwell: Duration,
    ) -> Result<(Arrival, Duration), DropReason> {
        let Unwrapped { commands, kind, .. } = unwrapped;
        match route(self.role, commands, *kind, sender, self.own_decoys, self.delay_limit) {
            Decision::Forward { next_hop, delay_ms } => {
                let delay = remaining_delay(delay_ms, dwell)?;
                if delay > self.delay_max {
                    return Err(DropReason::SchedulerDelayExceedsMax);
                }
                Ok((self.onward(next_hop)?, delay))
            }
            Decision::Gateway | Decision::Service => Ok((Arrival::Deliver(Delivery::of(commands)?), Duration::ZERO)),
            Decision::Decoy => Ok((Arrival::Reply(Delivery::of(commands)?), Duration::ZERO)),
            Decision::Drop(reason) => Err(reason),
        }
    }

    /// The way to a next hop, if packets may be sent there now.
    pub fn onward(&self, next_hop: [u8; NODE_ID_BYTES]) -> Result<Arrival, DropReason> {
        let is_open = |id: &DestinationId| self.is_open.get(id.0 as usize).copied().unwrap_or(false);
        let destination = self.directory.find(&next_hop).filter(is_open);
        let destination = destination.ok_or(DropReason::SchedulerNextHopInvalid)?;
        Ok(Arrival::Delay { next_hop, destination })
    }
}

/// The matrix of server.md 3.7, row by row. `own_decoys` is the recipient of this node's own loops, if it makes any.
pub fn route(
    role: Role,
    commands: &Commands,
    kind: UnwrappedKind,
    sender: Sender,
    own_decoys: Option<&[u8; RECIPIENT_ID_BYTES]>,
    delay_limit: Duration,
) -> Decision {
    let class = match commands.class() {
        Some(class) => class,
        None if is_to_user_without_surb(commands) => CommandsClass::ToUser,
        None => return Decision::Drop(DropReason::InvalidPacket),
    };
    if let (CommandsClass::Forward, Some(next), Some(delay_ms)) = (class, &commands.next_node, commands.delay_ms) {
        return if kind != UnwrappedKind::Forward {
            Decision::Drop(DropReason::UnwrapPayloadUnexpected)
        } else if role == Role::Service && !sender.is_client {
            // Service nodes end the paths of everybody but their own clients (`must_terminate`).
            Decision::Drop(DropReason::ProviderForwardFromMix)
        } else if Duration::from_millis(u64::from(delay_ms)) > delay_limit {
            Decision::Drop(DropReason::DelayImpossible)
        } else {
            Decision::Forward { next_hop: next.id, delay_ms }
        };
    }
    let is_decoy = class == CommandsClass::SurbReply
        && commands.recipient.as_ref().zip(own_decoys).is_some_and(|(recipient, own)| equal(recipient, own));
    match role {
        Role::Mix if is_decoy => Decision::Decoy,
        Role::Mix => Decision::Drop(DropReason::MixReceivedNonForward),
        _ if sender.is_client => Decision::Drop(DropReason::ClientToLocalUser),
        _ if is_decoy => Decision::Decoy,
        Role::Gateway => Decision::Gateway,
        Role::Service => Decision::Service,
    }
}

/// The fourth command set of server.md 3.7, which sphinx.md 9.2 does not have: a recipient alone.
fn is_to_user_without_surb(commands: &Commands) -> bool {
    let Commands { next_node, delay_ms, recipient, surb_reply, repeated } = commands;
    recipient.is_some() && next_node.is_none() && delay_ms.is_none() && surb_reply.is_none() && !repeated
}

/// The delay that is left after `dwell`, the time between arrival and unwrap (server.md 3.7).
pub fn remaining_delay(delay_ms: u32, dwell: Duration) -> Result<Duration, DropReason> {
    const LEAST: Duration = Duration::from_millis(1);
    let delay = Duration::from_millis(u64::from(delay_ms));
    if delay > dwell {
        Ok(delay - dwell)
    } else if delay_ms > 0 {
        Ok(LEAST)
    } else if dwell < LEAST {
        Ok(LEAST - dwell)
    } else {
        Err(DropReason::ZeroDelayExcessiveDwell)
    }
}
