//! Datagrams over AF_XDP: frames go from the card, or a virtual one, into our memory and back, past the kernel's stack.
//!
//! One [`Attachment`] per interface has the program that picks our datagrams out of what arrives. Each shard opens one [`Lane`]
//! over a [`Queue`] of it and puts a [`Bypass`] above the datagram half that its backend has anyway: what the program does not pick still
//! arrives there, and what cannot leave as a frame of ours leaves there. It is never the only way: an interface that
//! cannot carry frames gives a [`Refusal`] with its reason and its remedy, and the backend's sockets carry everything.
//!
//! How it works, and what to know of cards and kernels: `docs/internals/bypass.md`.
//!
//! | module | what lives there |
//! |---|---|
//! | `attachment` | the program at its interface, and which sockets it picks for |
//! | `bypass` | the datagram half of a shard |
//! | `check` | whether an interface could be bypassed, without touching it |
//! | `queue` | one queue of the interface: frames, and the four rings between us and the kernel |
//! | `neighbours` | to which address of Ethernet a datagram goes |
//! | [`netlink`] | what the kernel knows of interfaces, addresses, routes and neighbours |
//! | `program` | the program, instruction by instruction |
//! | `refusal` | why an interface is not bypassed |
//! | `bpf` | the calls that load it and hold it |
//! | `memory` | memory that the kernel has too |
#![deny(unsafe_code)]

mod attachment;
mod bpf;
mod bypass;
mod check;
mod memory;
mod neighbours;
pub mod netlink;
mod program;
mod queue;
mod refusal;

pub use attachment::{Attachment, Mode};
pub use bypass::{Bypass, Counters, Lane};
pub use check::check;
pub use queue::{Frames, Queue, QueueCounters};
pub use refusal::{Capability, Refusal, Step};
