//! What a service node does with a request: reads its layout, answers it, and makes the answer the packet that the
//! request's reply block asks for (server.md 6).
//!
//! It never does I/O, reads no clock, and neither knows the network nor decides about delays: packets and requests come
//! in as arguments, replies and messages go out.
//!
//! | module | what lives there |
//! |---|---|
//! | [`endpoint`] | the name of a service as packets carry it |
//! | [`built_in`] | the services that need no program of their own |
//! | [`keyserver`] | whose identity key is which: requests, replies, and a list of keys |
//! | [`responder`] | from a request to its reply, in place |
//! | [`plugin`] | the messages between a node and its plugins |
//!
//! A request, and what becomes of it:
//!
//! ```
//! use service::{BuiltIn, Responder};
//! use sphinx::{Geometry, plaintext::BlockSphinxPlaintext};
//!
//! let geometry = Geometry::nike("x25519", 2000, 5, true)?;
//! let payload = BlockSphinxPlaintext::build(&geometry, None, b"anybody there?")?;
//! let mut packet = vec![0; geometry.packet_length];
//! let start = geometry.packet_length - payload.len();
//! packet[start..].copy_from_slice(&payload);
//!
//! let mut responder = Responder::new(&geometry);
//! let request = responder.read(&packet)?;
//! assert!(!request.wants_reply);
//! assert!(responder.payload(&packet).starts_with(b"anybody there?"));
//! assert_eq!(BuiltIn::named("echo"), Some(BuiltIn::Echo));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
#![forbid(unsafe_code)]

pub mod built_in;
pub mod endpoint;
pub mod keyserver;
pub mod plugin;
pub mod responder;

pub use built_in::{Answer, BuiltIn};
pub use endpoint::recipient;
pub use responder::{Request, RequestError, Responder};
