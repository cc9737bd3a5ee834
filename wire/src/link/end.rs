//! Why a link ends: every reason there is. After how long: [`Limits`](super::Limits).

use crate::command::{CommandError, CommandId};
use crate::error::{FrameError, HandshakeError};

/// Why a link ended. [`End::Talked`] and the last three are for whoever owns the link to give.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum End {
    /// It never was one: the handshake failed, finalization included.
    #[error(transparent)]
    Handshake(#[from] HandshakeError),
    /// The peer closed the connection, or said that it would.
    #[error("the peer closed the link")]
    PeerClosed,
    /// The connection broke.
    #[error("the connection broke")]
    Failed,
    /// The peer sent no whole command for longer than the receive limit.
    #[error("the peer was silent for too long")]
    Silent,
    /// The peer took nothing of what was sent for longer than the send limit.
    #[error("the peer took nothing for too long")]
    Stalled,
    /// A frame that cannot be opened, or one that could not be sealed.
    #[error(transparent)]
    Frame(#[from] FrameError),
    /// A frame with something that is no command of this session.
    #[error(transparent)]
    Command(#[from] CommandError),
    /// A command that this end does not take from this peer.
    #[error("the peer sent {0:?}, which has no place here")]
    Unexpected(CommandId),
    /// Bytes on a link on which the peer has nothing to say.
    #[error("the peer spoke on a link on which it has nothing to say")]
    Talked,
    /// The documents no longer allow it.
    #[error("the peer is no longer valid")]
    NoLongerValid,
    /// The peer made a newer connection.
    #[error("the peer made a newer connection")]
    Replaced,
    /// This end is stopping.
    #[error("this end is stopping")]
    Shutdown,
}

impl End {
    /// The value of the `reason` label under which ends of established links are counted.
    pub fn label(&self) -> &'static str {
        match self {
            Self::PeerClosed => "peer_closed",
            Self::Failed => "failed",
            Self::Stalled => "stalled",
            Self::Silent => "idle",
            Self::Handshake(_) => "handshake",
            Self::Frame(_) => "frame",
            Self::Command(_) => "command",
            Self::Unexpected(_) | Self::Talked => "unexpected",
            Self::NoLongerValid => "no_longer_valid",
            Self::Replaced => "replaced",
            Self::Shutdown => "shutdown",
        }
    }
}
