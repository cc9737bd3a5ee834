//! The link protocol between two Katzenpost components (wire.md): post-quantum Noise handshake, frames, commands.
//!
//! It never opens a socket, reads a clock, draws randomness of its own or decides who may connect: bytes, time and
//! randomness come in as arguments, and whether a peer is acceptable is asked of the caller.
//!
//! | module | what it holds |
//! |---|---|
//! | [`session`] | session kinds, roles, sizes and limits that one network shares |
//! | [`handshake`] | the pqXX handshake as a state machine over exact byte counts |
//! | [`frame`] | sealing and opening of frames in place |
//! | [`command`] | ids, borrowing parser, encoder with padding, who may send what |
//! | [`consensus2`] | a consensus as compressed chunks, cut and joined |
//! | [`error`] | typed errors, their states for metrics and their two renderings |
//! | `cipher`, `symmetric` | Noise's cipher state and symmetric state |
//!
//! A session from both ends, over a transport that here is two function calls:
//!
//! ```
//! use crypto_simd::{random::OsRandom, schemes::kem};
//! use std::sync::Arc;
//! use wire::{CommandSizes, Handshake, Role, SessionConfig, Want};
//!
//! let scheme = kem::by_name("xwing")?;
//! let sizes = CommandSizes::mixnet(3082, 2618);
//! let mut ends = Vec::new();
//! for role in [Role::Initiator, Role::Responder] {
//!     let key = Arc::from(scheme.load(&scheme.generate(&mut OsRandom))?);
//!     let config = SessionConfig::mixnet(role, scheme, sizes);
//!     ends.push(Handshake::new(&config, key, b"who I am", &mut OsRandom)?);
//! }
//! let mut responder = ends.pop().expect("two ends");
//! let mut initiator = ends.pop().expect("two ends");
//! let unix_seconds = 1_800_000_000;
//! while responder.wants() != Want::Done || initiator.wants() != Want::Done {
//!     for turn in 0..2 {
//!         let (from, to) =
//!             if turn == 0 { (&mut initiator, &mut responder) } else { (&mut responder, &mut initiator) };
//!         if from.wants() == Want::Authenticate {
//!             from.accept(&mut OsRandom)?;
//!         }
//!         if from.wants() == Want::Write {
//!             let mut message = from.pending_write().to_vec();
//!             from.written();
//!             to.read(&mut message, unix_seconds, &mut OsRandom)?;
//!         }
//!     }
//! }
//! let (mut ours, mut theirs) = (initiator.into_transport()?, responder.into_transport()?);
//! let mut frame = vec![0; wire::frame_bytes(6)];
//! theirs.sealer.seal(&mut frame)?;
//! let (header, body) = frame.split_at_mut(wire::FRAME_HEADER_BYTES);
//! assert_eq!(ours.opener.open_header(header)?, body.len());
//! assert_eq!(ours.opener.open_body(body)?, [0; 6]);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
#![forbid(unsafe_code)]

mod cipher;
pub mod command;
pub mod consensus2;
pub mod error;
pub mod frame;
pub mod handshake;
#[cfg(test)]
mod scripted;
pub mod session;
mod symmetric;

pub use command::{Acceptor, Command, CommandError, CommandId, CommandSet};
pub use error::{ConnectionInfo, Error, FrameError, HandshakeError, HandshakeReason, HandshakeState};
pub use frame::{FRAME_BODY_TAG_BYTES, FRAME_HEADER_BYTES, FrameOpener, FrameSealer, frame_bytes};
pub use handshake::{Handshake, PeerCredentials, Transport, Want};
pub use session::{CommandSizes, MESSAGE_BYTES_MAX, Role, SessionConfig, SessionKind};
