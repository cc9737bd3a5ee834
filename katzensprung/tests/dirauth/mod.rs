//! Directory authorities as processes.

mod bad_input;
mod consensus;
mod hostile;
mod network;
mod peers;
