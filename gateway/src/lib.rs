//! What a gateway keeps for its clients (server.md 3.4, 5): how fast each may send, the mail of each until it has
//! acknowledged it, and which documents it has asked for.
//!
//! Nothing here opens a socket, reads a clock or knows what a shard is: time and mail come in as arguments, letters,
//! deadlines and verdicts come out.
//!
//! | module | what it holds |
//! |---|---|
//! | [`bucket`] | the rate at which a client may send |
//! | [`mail_room`] | who has a mailbox, who is there to take its mail, what is under way |
//! | [`spool`] | the mail itself: the interface of stores, and the one in memory |
//! | [`archive`] | what is said to a store that keeps the letters of registered clients |
//! | [`shelf`] | which of them a file holds, and which have to go |
//! | [`push`] | one client's end of it: a numbered message, and the wait for its acknowledgement |
//! | [`requests`] | the documents that a client waits for |
//! | [`users`] | names of clients, and who may be one |
//! | [`program`] | what a program says that is asked about them |
//!
//! A reply on its way to a client:
//!
//! ```
//! use gateway::{MailLimits, MailRoom, MemorySpool, Push, UserId};
//! use wire::Instant;
//!
//! let now = Instant::default();
//! let mut room = MailRoom::new(MemorySpool::new(100, 1 << 20), MailLimits::default());
//! let user = UserId::of(b"0123456789abcdef0123456789abcdef");
//! // The client connects: its session is where its mail goes from now on.
//! assert!(room.handle_connected(user, [7; 32], "session 1", now)?.is_none());
//! let dispatch = room.handle_mail(&user, [1; 16], b"a reply")?.expect("somebody is there");
//! assert_eq!(dispatch.to, "session 1");
//! // The session's end.
//! let mut push = Push::default();
//! push.offer(dispatch.letter);
//! let message = push.poll_message(now).expect("nothing is under way");
//! assert_eq!((message.sequence, &*message.letter.payload), (1, &b"a reply"[..]));
//! assert!(push.handle_delivered(1));
//! assert!(room.handle_delivered(&user, "session 1").is_none());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
#![forbid(unsafe_code)]

pub mod archive;
pub mod bucket;
pub mod mail_room;
pub mod program;
pub mod push;
pub mod requests;
pub mod shelf;
pub mod spool;
pub mod users;

pub use bucket::{Rate, TokenBucket};
pub use mail_room::{Dispatch, MailLimits, MailRefusal, MailRoom, NameTaken, Tally};
pub use push::{Message, Push};
pub use requests::{Download, Request, Requests, refusal_code};
pub use spool::{Letter, MemorySpool, Spool, StoreError};
pub use users::{Question, Strangers, UserId, Verdict};
