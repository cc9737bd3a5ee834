//! The control plane of a node: keys, directory, supervision of the data plane, management and metrics.
//!
//! It never touches a packet: the data plane goes on without it, across epoch boundaries too.
//!
//! | module | what lives there |
//! |---|---|
//! | [`node`] | start and stop order of a node, supervision of its data plane |
//! | [`keys`] | the mix-key schedule |
//! | [`dirauth`] | a directory authority: the process around `pki::voting` |
//! | [`directory`] | publishing and fetching: carries out what `pki::publish` decides |
//! | [`plugins`] | services that are programs of their own, and which services answer now |
//! | [`users`] | the user database of a gateway that has one |
//! | [`management`] | the management socket |
//! | [`metrics`] | the Prometheus endpoint |
//! | [`health`] | what is known of the data plane's health |
//! | [`selfcheck`] | how many packets a second this host unwraps |
//! | [`logging`] | the log file |
//! | `process` | what both have in common as processes: signals, tasks, sockets, the watch over the clock |
#![forbid(unsafe_code)]

pub mod dirauth;
pub mod directory;
pub mod health;
pub mod keys;
pub mod logging;
pub mod management;
pub mod metrics;
pub mod node;
pub mod plugins;
mod process;
pub mod selfcheck;
pub mod users;
