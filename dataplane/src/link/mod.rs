//! Links to other nodes: the handshake of both sides, what comes in, what goes out (wire.md 3, 4, 7; server.md 3).
//!
//! | module | what lives there |
//! |---|---|
//! | [`handshaking`] | one unfinished handshake with its bytes |
//! | [`incoming`] | a link that a peer opened: from received bytes to opened packets |
//! | [`outgoing`] | the link to one destination: dialling, its queue, frames out |
//! | [`out_buffer`] | sealed frames on their way into the connection |

pub mod handshaking;
pub mod incoming;
pub mod out_buffer;
pub mod outgoing;

use std::time::Duration;

/// The longest silence of a peer: the limit for receiving one command (wire.md 7.2).
pub const RECEIVE_LIMIT: Duration = Duration::from_secs(120);
/// The longest time in which a peer takes nothing of what is sent: the limit for sending one command (wire.md 7.2).
pub const SEND_LIMIT: Duration = Duration::from_secs(60);
/// After so long without a packet an outgoing link carries a NoOp, so that the peer's receive limit does not end it
/// (server.md 3.9).
pub const KEEP_ALIVE: Duration = Duration::from_secs(45);
