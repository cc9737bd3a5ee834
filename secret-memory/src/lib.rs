//! Where private keys live: one arena of locked pages that is left out of core dumps, for whatever a piece of code
//! allocates while it works with secrets.
//!
//! Never frees a page of it, never lets freed bytes stand: a block is wiped when it is given back.
//!
//! | module | what lives there |
//! |---|---|
//! | [`arena`] | the pages and their blocks |
//! | [`allocator`] | the program's allocator: blocks of the arena inside [`within`], the system's elsewhere |
//! | [`process`] | what the kernel is told about the process and its threads' stacks |
//!
//! A program says `#[global_allocator] static ALLOCATOR: SecretAllocator = SecretAllocator;` once. From then on, what
//! is allocated inside [`within`] lies in the arena for as long as it lives, whoever drops it. Without that line,
//! as in most tests, [`within`] only wipes the stack that its closure used.
//!
//! ```
//! use secret_memory::{SecretAllocator, is_secret, within};
//!
//! #[global_allocator]
//! static ALLOCATOR: SecretAllocator = SecretAllocator;
//!
//! let key = within(|| vec![7_u8; 32]);
//! let public = vec![8_u8; 32];
//! assert!(is_secret(&key) && !is_secret(&public));
//! ```

pub mod allocator;
pub mod arena;
pub mod process;

pub use allocator::{SecretAllocator, within};
pub use arena::is_secret;
pub use process::{Protection, harden, locked_bytes, protect_stack, protection, with_protected_stack};
