//! What an operator is told: each with what failed, on what, why, and what to do where something can be done.

use super::message::{MessageKind, PostStatus, Status};
use super::shared_random::Strike;
use crate::epoch::Epoch;
use std::fmt;

/// How loudly a notice is said.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Level {
    /// For who looks closely.
    Info,
    /// The course of things.
    Notice,
    /// Something is wrong with one peer or one node.
    Warning,
    /// A round is or may be lost.
    Error,
}

/// Something for the log.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Notice {
    /// Something stored could not be used.
    NotRestored {
        /// What it was.
        what: String,
        /// Why not.
        reason: String,
    },
    /// A round that an earlier process had begun goes on.
    Resumed {
        /// The epoch voted on.
        epoch: Epoch,
    },
    /// Too late to vote in this epoch.
    Waiting {
        /// The epoch that will be voted on.
        epoch: Epoch,
    },
    /// The clock has left the epoch in which the round began, or the vote's time has passed unused.
    RoundMissed {
        /// The epoch that was voted on.
        epoch: Epoch,
    },
    /// A descriptor has been stored.
    DescriptorAccepted {
        /// Whose.
        name: String,
        /// For which epoch.
        epoch: Epoch,
        /// Whether the own vote goes, or went, without it.
        late: bool,
    },
    /// A descriptor has been refused.
    DescriptorRefused {
        /// Whose session it was.
        name: String,
        /// For which epoch.
        epoch: Epoch,
        /// What was answered.
        status: PostStatus,
        /// Why.
        reason: String,
    },
    /// Another authority's message has been refused.
    MessageRefused {
        /// Whose, if it was an authority's.
        authority: Option<String>,
        /// What.
        kind: MessageKind,
        /// The command's epoch.
        epoch: Epoch,
        /// What was answered.
        status: Status,
        /// Why.
        reason: String,
    },
    /// Another authority has refused an own message.
    AnsweredBadly {
        /// Who.
        authority: String,
        /// What was sent.
        kind: MessageKind,
        /// What it said; `None` for a code without a meaning here.
        status: Option<Status>,
    },
    /// A vote shows that its author is configured otherwise.
    Disagreement {
        /// Whose vote.
        authority: String,
        /// The configuration's tables or keys that differ.
        what: Vec<&'static str>,
    },
    /// The own vote has been made.
    Voted {
        /// For which epoch.
        epoch: Epoch,
        /// Descriptors in it.
        descriptors: usize,
        /// Descriptors of replicas in it.
        replicas: usize,
        /// Whether the chain of documents begins here, as the one of the epoch before is not held.
        genesis: bool,
    },
    /// Nodes that are in some votes, but will not be in the consensus.
    LeftOut {
        /// For which epoch.
        epoch: Epoch,
        /// Their names.
        names: Vec<String>,
    },
    /// Authorities from which nothing of a kind has come when it was needed.
    Missing {
        /// For which epoch.
        epoch: Epoch,
        /// What.
        kind: MessageKind,
        /// Their names.
        names: Vec<String>,
    },
    /// A step of the round failed.
    StepFailed {
        /// For which epoch.
        epoch: Epoch,
        /// What was to be made.
        kind: MessageKind,
        /// Why it could not.
        reason: String,
    },
    /// An authority does not count for the shared random.
    Struck {
        /// For which epoch.
        epoch: Epoch,
        /// Who.
        authority: String,
        /// Why.
        strike: Strike,
    },
    /// An authority has signed another document.
    SignedOther {
        /// For which epoch.
        epoch: Epoch,
        /// Who.
        authority: String,
    },
    /// There is a consensus.
    Consensus {
        /// For which epoch.
        epoch: Epoch,
        /// How many have signed.
        signatures: usize,
        /// How many there are.
        authorities: usize,
        /// Who has not.
        missing: Vec<String>,
    },
    /// There is none, at this authority at least.
    RoundLost {
        /// For which epoch.
        epoch: Epoch,
        /// Why.
        reason: String,
    },
    /// A document has come from another authority.
    Fetched {
        /// For which epoch.
        epoch: Epoch,
    },
}

impl Notice {
    /// How loudly it is said.
    pub fn level(&self) -> Level {
        match self {
            Self::DescriptorAccepted { late: false, .. } => Level::Info,
            Self::MessageRefused { status: Status::AlreadyReceived, .. } => Level::Info,
            Self::AnsweredBadly { status: Some(Status::AlreadyReceived), .. } => Level::Info,
            Self::Resumed { .. } | Self::Waiting { .. } | Self::Voted { .. } | Self::Fetched { .. } => Level::Notice,
            Self::Consensus { missing, .. } if missing.is_empty() => Level::Notice,
            Self::StepFailed { .. } | Self::RoundLost { .. } => Level::Error,
            _ => Level::Warning,
        }
    }
}

impl fmt::Display for Notice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotRestored { what, reason } => write!(f, "stored {what} is not used: {reason}"),
            Self::Resumed { epoch } => write!(f, "epoch {epoch}: the vote that was under way goes on"),
            Self::Waiting { epoch } => write!(f, "too late to vote in this epoch; the next vote is for epoch {epoch}"),
            Self::RoundMissed { epoch } => {
                write!(f, "epoch {epoch}: no vote, its time passed while this process or its clock stood elsewhere")
            }
            Self::DescriptorAccepted { name, epoch, late } => {
                let late = if *late { ", too late for the vote of this authority" } else { "" };
                write!(f, "{name}: descriptor for epoch {epoch} stored{late}")
            }
            Self::DescriptorRefused { name, epoch, status, reason } => {
                write!(f, "{name}: descriptor for epoch {epoch} refused ({}): {reason}", status.label())
            }
            Self::MessageRefused { authority, kind, epoch, status, reason } => {
                let who = authority.as_deref().unwrap_or("unknown authority");
                write!(f, "{who}: {kind} for epoch {epoch} refused ({}): {reason}", status.label())
            }
            Self::AnsweredBadly { authority, kind, status } => {
                write!(f, "{authority} refused our {kind}: {}", status.map_or("unknown code", Status::label))
            }
            Self::Disagreement { authority, what } => {
                let what = what.join(", ");
                write!(f, "{authority} votes with another {what}: compare the configurations, all must be the same")
            }
            Self::Voted { epoch, descriptors, replicas, genesis } => {
                let genesis = if *genesis { ", beginning a new chain of documents" } else { "" };
                write!(f, "epoch {epoch}: voted for {descriptors} nodes and {replicas} replicas{genesis}")
            }
            Self::LeftOut { epoch, names } => {
                let names = names.join(", ");
                write!(
                    f,
                    "epoch {epoch}: no majority has the same descriptor of {names}: see which authorities it reached"
                )
            }
            Self::Missing { epoch, kind, names } => {
                write!(f, "epoch {epoch}: no {kind} of {}", names.join(", "))
            }
            Self::StepFailed { epoch, kind, reason } => write!(f, "epoch {epoch}: no {kind} of ours: {reason}"),
            Self::Struck { epoch, authority, strike } => {
                write!(f, "epoch {epoch}: {authority} does not count for the shared random: {strike}")
            }
            Self::SignedOther { epoch, authority } => {
                write!(f, "epoch {epoch}: {authority} has signed another document than ours")
            }
            Self::Consensus { epoch, signatures, authorities, missing } => {
                write!(f, "epoch {epoch}: consensus, signed by {signatures} of {authorities} authorities")?;
                if missing.is_empty() { Ok(()) } else { write!(f, ", not by {}", missing.join(", ")) }
            }
            Self::RoundLost { epoch, reason } => write!(f, "epoch {epoch}: no consensus: {reason}"),
            Self::Fetched { epoch } => write!(f, "epoch {epoch}: got the consensus from another authority"),
        }
    }
}
