//! A packet on its way through one node.
//!
//! | module | what lives there |
//! |---|---|
//! | [`pool`] | what a slot is, and the free ones of one shard |
//! | [`slots`] | a shard's access to slots, and their way home |
//! | [`batch`] | packets that are unwrapped together, and those that wait for it |
//! | [`unwrap`] | from an opened packet to its commands: dwell, replays, keys |
//! | [`route`] | from its commands to what becomes of it |

pub mod batch;
pub mod pool;
pub mod route;
pub mod slots;
pub mod unwrap;
