//! The link protocol between two Katzenpost components (wire.md): post-quantum Noise handshake, frames, commands.
//!
//! It never opens a socket, reads a clock, draws randomness of its own or decides who may connect: bytes, time and
//! randomness come in as arguments, and whether a peer is acceptable is asked of the caller.
//!
//! | module | what it holds |
//! |---|---|
//! | [`link`] | one end of a link as one state machine: all that most callers need |
//! | [`handshake`] | the pqXX handshake as a state machine over exact byte counts |
//! | [`frame`] | sealing and opening of frames in place |
//! | [`command`] | ids, borrowing parser, encoder with padding, who may send what |
//! | [`consensus2`] | a consensus as compressed chunks, cut and joined |
//! | [`config`], [`sizes`], [`peer`] | what a session is told, what it is measured by, who is at the other end |
//! | [`error`], [`time`] | typed errors with their states for metrics; instants |
//! | `cipher`, `symmetric` | Noise's cipher state and symmetric state |
//!
//! Both ends of a link, over a transport that here is a function call:
//!
//! ```
//! use crypto_simd::{random::OsRandom, schemes::kem};
//! use std::{sync::Arc, time::Duration};
//! use wire::link::{Due, Event, Input, Limits, Link};
//! use wire::{Command, CommandSizes, Instant, Role, SessionConfig};
//!
//! let scheme = kem::by_name("xwing")?;
//! let now = Instant::default();
//! let end = |role| -> Result<Link, Box<dyn std::error::Error>> {
//!     let config = SessionConfig::mixnet(role, scheme, CommandSizes::mixnet(3082, 2618));
//!     let key = Arc::from(scheme.load(&scheme.generate(&mut OsRandom))?);
//!     Ok(Link::new(config, key, b"who I am", Limits::node(role, Duration::from_secs(3)), now))
//! };
//! let (mut client, mut server) = (end(Role::Initiator)?, end(Role::Responder)?);
//!
//! /// Everything that one end wants done; a driver would send the bytes and sleep until the timeout.
//! fn drive(link: &mut Link, now: Instant, mut received: &mut [u8]) -> Vec<u8> {
//!     let mut out = Vec::new();
//!     loop {
//!         while let Some(event) = link.poll_event() {
//!             match event {
//!                 Event::Due(Due::Step) => link.step(now, 1_800_000_000, &mut OsRandom),
//!                 Event::Due(Due::Decision) => link.accept(now, &mut OsRandom),
//!                 Event::Up => {}
//!                 Event::Ended(end) => panic!("{end}"),
//!             }
//!         }
//!         while let Some(bytes) = link.poll_output(now) {
//!             out.extend_from_slice(&bytes);
//!             let taken = bytes.len();
//!             link.handle_sent(bytes, taken);
//!         }
//!         let commands = link.commands();
//!         match link.handle_input(now, &mut received) {
//!             Input::Nothing => return out,
//!             Input::Event => {}
//!             Input::Frame(frame) => {
//!                 let command = frame.open().expect("what the other end sealed");
//!                 assert_eq!(commands.parse(command), Ok(Command::Disconnect));
//!             }
//!         }
//!     }
//! }
//!
//! let mut to_server = drive(&mut client, now, &mut []);
//! while !to_server.is_empty() {
//!     let mut to_client = drive(&mut server, now, &mut to_server);
//!     to_server = drive(&mut client, now, &mut to_client);
//! }
//! assert!(client.is_up() && server.is_up());
//! client.send(&Command::Disconnect)?;
//! let mut to_server = drive(&mut client, now, &mut []);
//! drive(&mut server, now, &mut to_server);
//! assert!(client.poll_timeout() > now);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
#![forbid(unsafe_code)]

mod cipher;
pub mod command;
pub mod config;
pub mod consensus2;
pub mod error;
pub mod frame;
pub mod handshake;
pub mod link;
pub mod peer;
#[cfg(test)]
mod scripted;
pub mod sizes;
mod symmetric;
pub mod time;

pub use command::{Acceptor, Command, CommandError, CommandId, CommandSet};
pub use config::{MESSAGE_BYTES_MAX, SessionConfig};
pub use error::{Error, FrameError, HandshakeError, HandshakeReason, HandshakeState};
pub use frame::{FRAME_BODY_TAG_BYTES, FRAME_HEADER_BYTES, FrameOpener, FrameSealer, frame_bytes};
pub use handshake::{Handshake, Transport, Want};
pub use link::Link;
pub use peer::PeerCredentials;
pub use sizes::{CommandSizes, Role, SessionKind};
pub use time::Instant;
