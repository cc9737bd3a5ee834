//! Directory authorities as processes.

mod bad_input;
mod consensus;
mod network;
mod peers;
