//! The state machine as others see it.

use pki::Epoch;
use pki::voting::{Documents, RoundStatus, State};

/// The latest look at the machine.
#[derive(Clone)]
pub struct Seen {
    /// The documents that are held.
    pub documents: Documents,
    /// The state; none before the first step.
    pub state: Option<State>,
    /// The epoch that is voted on.
    pub voting_epoch: Epoch,
    /// What the round has received.
    pub round: RoundStatus,
}
