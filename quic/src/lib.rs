//! Links over QUIC: connections of one stream each, without input and output of their own.
//!
//! | module | what lives there |
//! |---|---|
//! | [`profile`] | what an observer sees: TLS, certificate, transport parameters; for users of the crate `quinn`, too |
//! | [`endpoint`] | the connections of one shard: datagrams and time in, datagrams, bytes and deadlines out |
//! | [`limits`] | what strangers may cost, with reasons |
//! | `clock` | our instants as the library's |
//!
//! It never opens a socket, never waits, and never panics over what a peer sends. The state machine of QUIC is `quinn-proto`'s, called directly. What it takes of the operating system is random numbers: TLS
//! makes its keys of them.
#![forbid(unsafe_code)]

mod clock;
pub mod endpoint;
pub mod limits;
pub mod profile;

pub use endpoint::{
    Arrived, Common, ConnectFailure, Counts, Departure, Endpoint, Event, Handle, NeedsPort, PortId, Read, Wrote,
};
