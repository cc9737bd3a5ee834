//! Configuration: the reference's `server`, `dirauth` and `client` TOML, our own `katzensprung.toml`, and the key files in
//! DataDir.
//!
//! It never opens a socket, never starts a node, never overwrites a file, and never stops at the first mistake: all
//! findings come at once, each with file, line, key, problem and remedy.
//!
//! | module | what it holds |
//! |---|---|
//! | [`finding`] | what is wrong, where, and what to do |
//! | [`reader`] | TOML text to typed tables that know their places |
//! | [`program`] | which program a file is for |
//! | [`authority`] | a directory authority's configuration, and who may take part by it |
//! | [`server`] | a node's configuration: the reference's keys as written (`raw`), keys of older releases (`removed`), `katzensprung.toml` (`own`), and the checks |
//! | [`client`] | a client's configuration: gateways, authorities, geometry |
//! | [`schemes`] | schemes by the names in the file |
//! | [`address`] | listen, dial and advertised addresses |
//! | [`names`] | node identifiers and service endpoints |
//! | [`keys`] | DataDir, its lock, identity and link key files |
//! | [`sealing`] | files that one machine alone can read |
//! | [`manual`] | `docs/reference/config.md` from the declarations |
//! | [`explain`] | the same, one key at a time |
//! | [`migrate`] | a file of an older release as today's |
//!
//! A file with two mistakes gives findings for both:
//!
//! ```
//! use config::{Strictness, server};
//!
//! let text = "[Server]\nIdentifer = \"mix1\"\nDataDir = \"relative\"\n".to_owned();
//! let sources = server::Sources { path: "katzenpost.toml".into(), text, ..Default::default() };
//! let findings = server::parse(&sources, Strictness::Strict).expect_err("it cannot be used");
//! let keys: Vec<_> = findings.iter().map(|finding| finding.key.as_str()).collect();
//! assert!(keys.contains(&"Server.Identifer") && keys.contains(&"Server.DataDir"), "{findings:?}");
//! assert!(findings.iter().all(|finding| !finding.remedy.is_empty()));
//! ```
#![forbid(unsafe_code)]

pub mod address;
pub mod authority;
pub mod client;
pub mod explain;
pub mod finding;
pub mod keys;
pub mod manual;
pub mod migrate;
pub mod names;
pub mod program;
pub mod reader;
pub mod schemes;
pub mod sealing;
pub mod server;

pub use authority::AuthorityConfig;
pub use client::{ClientConfig, LoadedClient};
pub use finding::{Finding, Severity};
pub use reader::{Strictness, line_of};
pub use server::{Loaded, OwnConfig, ServerConfig};
