//! What a node's control plane and a directory authority have in common as processes.
//!
//! | module | its job |
//! |---|---|
//! | `clock` | tells of steps of the wall clock |
//! | `listen` | sockets to listen at |
//! | `manager` | the service manager: told how it goes, keeps descriptors |
//! | `remedy` | what to do about errors of the operating system |
//! | `store_file` | what a file is that stands where a store is to be |
//! | `signals`, `tasks` | what ends a process, wanted and unwanted |

pub mod clock;
pub mod listen;
pub mod manager;
pub mod outcomes;
pub mod remedy;
pub mod rings;
pub mod signals;
pub mod store_file;
pub mod tasks;
