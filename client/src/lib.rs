//! A client of the network: one session with a gateway, verified documents, packets to services and their replies.
//!
//! All but [`driver`] is without I/O: time, bytes and randomness come in, bytes, events and deadlines go out. Nothing that
//! a gateway sends can make it panic, and no packet is sent twice.
//!
//! | module | what it holds |
//! |---|---|
//! | [`settings`] | what a client has to know: gateways, authorities, geometry |
//! | [`time`] | the two clocks that are handed in |
//! | [`sample`] | uniform choices and exponential times |
//! | [`bucket`] | the client's copy of its gateway's token bucket |
//! | [`documents`] | which documents are held, and when to ask for which |
//! | [`path`] | the ways there and back, and their delays |
//! | [`compose`] | a packet with its reply block |
//! | [`awaited`] | replies that may still come |
//! | [`slots`] | when something may be sent: the Poisson processes of real and cover traffic |
//! | [`session`] | one link to a gateway, and what is said over it |
//! | [`engine`] | the whole client as one machine |
//! | [`driver`] | the sockets and clocks around it |
//! | [`ping`] | pings, one after the other or several at a time, and the report about them |
#![forbid(unsafe_code)]

pub mod awaited;
pub mod bucket;
pub mod compose;
pub mod documents;
pub mod driver;
pub mod engine;
pub mod path;
pub mod ping;
pub mod sample;
pub mod session;
pub mod settings;
pub mod slots;
#[cfg(test)]
mod tests;
pub mod time;

pub use engine::{Client, Event};
pub use ping::{Outcome, Ping, Plan, Progress, Report};
pub use settings::{Gateway, Settings};
pub use time::Now;
