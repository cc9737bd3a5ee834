//! How a host has to be set for a node: what is set otherwise, why that matters, and the few writes that mend it, each of
//! which can be taken back.
//!
//! It never changes anything but in [`change::apply`] and [`change::undo`]: a host is read once, from its root folder, and
//! what is found and planned are functions of that snapshot.
//!
//! | module | what lives there |
//! |---|---|
//! | [`values`] | lists and masks of processors as the kernel writes them |
//! | [`host`] | the snapshot of `/proc` and `/sys` |
//! | [`profile`] | `hw-profiles/*.toml`: what is wanted on which kind of processor |
//! | [`topology`] | processors, their siblings and nodes, network cards; where shards go |
//! | [`finding`] | what a stage reports |
//! | [`stages`] | the table of all stages |
//! | [`change`] | making the changes and taking them back |
#![forbid(unsafe_code)]

pub mod change;
pub mod finding;
#[cfg(test)]
mod fixture;
pub mod host;
pub mod profile;
pub mod stages;
pub mod topology;
pub mod values;
