//! The directory of the network: epochs, signed objects, who may talk to whom, and when to publish and fetch.
//!
//! Nothing here reads a clock, draws randomness by itself or touches a socket or a file: time, randomness and bytes
//! come in as arguments. Nothing that a peer sends can make it panic.
//!
//! | module | what it holds |
//! |---|---|
//! | [`epoch`] | numbered periods of time and positions inside them |
//! | [`cbor`] | the canonical writer and the bounded reader of every signed object |
//! | [`identity`] | node ids and verifying keys |
//! | [`certificate`] | payloads with an expiration and any number of signatures |
//! | [`name`], [`address`] | identifiers and URLs that descriptors may carry |
//! | [`descriptor`] | what a node or a replica says about itself, and its signed upload |
//! | [`document`] | the consensus: parsing, verifying, look-ups, and signing for test networks |
//! | [`neighbours`] | one consensus as seen by one node, compact enough for shared memory |
//! | [`policy`] | whether a peer may connect and send now |
//! | [`publish`] | when to make keys, upload and fetch: the directory worker's schedule |
//! | [`authority`] | the client's half of talking to directory authorities |
//! | [`voting`] | a directory authority: from descriptors to a consensus |
//!
//! Time is a number from the caller, so that a test may choose it:
//!
//! ```
//! use pki::{Epoch, EpochClock};
//! use std::time::Duration;
//!
//! let clock = EpochClock::default();
//! let now = clock.now(Duration::from_secs(1_800_000_300))?;
//! assert_eq!((now.epoch, now.till), (Epoch(253_104), Duration::from_secs(900)));
//! assert_eq!(clock.start(now.epoch.after(1)), now.unix + now.till);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
#![forbid(unsafe_code)]

// Members of test networks are made in one file, which knows this crate by its name.
#[cfg(test)]
extern crate self as pki;

pub mod address;
pub mod authority;
pub mod cbor;
pub mod certificate;
pub mod descriptor;
pub mod document;
pub mod epoch;
#[path = "../../testnet/src/members.rs"]
#[cfg(test)]
mod fixture;
pub mod identity;
pub mod name;
pub mod neighbours;
pub mod policy;
pub mod publish;
pub mod voting;

pub use epoch::{Epoch, EpochClock, EpochTime};
pub use identity::{NodeId, VerifyingKey, hash};

/// Epochs of mix keys that a descriptor carries, and of documents that a node holds up to now (`NumMixKeys`).
pub const MIX_KEY_EPOCHS: u64 = 3;
