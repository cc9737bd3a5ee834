//! The program from outside: real processes, real files, real sockets.
//!
//! | module | what it tries |
//! |---|---|
//! | `bad_input` | what an operator can get wrong: exit status 1, one clear line, nothing overwritten |
//! | `bench` | `bench node` in every role: every packet is accounted for; `bench scale` without the host; `bench plan` |
//! | `bypass` | datagrams past the kernel, in network namespaces |
//! | `commands` | what the subcommands do when all is well |
//! | `dirauth` | directory authorities: three that agree, and what their operators can get wrong |
//! | `genconfig` | where it cannot go on: all of a network's files, or none |
//! | `hosts` | what hosts are like, and what an operator reads of it |
//! | `lifecycle` | start, stop, crashes of either process, and what the authority sees of them |
//! | `limits` | what a host may refuse |
//! | `migrate` | configuration files of older releases |
//! | `over_quic` | a node whose links go over QUIC: floods of strangers, and datagrams that are lost, late, doubled, damaged |
//! | `package` | what packages hold; the Debian package installed, upgraded, removed |
//! | `ping` | what a user of `ping` can get wrong, and what is said where there is no network |
//! | `secrets` | where private keys lie in the memory of both processes |
//! | `status_page` | the status page in a headless browser |
//! | `testnet` | whole networks from one command |
//! | `support` | the program, a node's folder, the authority and the neighbours |
//! | `tuning` | how a host is set: looked at, changed on a made-up one, and taken back |
//! | `typos` | what an operator types a little wrong: the advice fits, and nothing of anybody's is lost |
//! | `watching` | alert rules and dashboards ask for what a running network exports |
#![allow(missing_docs, reason = "a test binary has no public interface")]

mod bad_input;
mod bench;
mod bypass;
mod commands;
mod dirauth;
mod genconfig;
mod hosts;
mod lifecycle;
mod limits;
mod migrate;
mod over_quic;
mod package;
mod ping;
mod profiling;
mod secrets;
mod status_page;
mod support;
mod testnet;
mod tuning;
mod typos;
mod watching;
