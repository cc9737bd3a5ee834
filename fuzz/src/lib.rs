//! One fuzz target for each parser of bytes that a peer, an authority, an operator or the other plane sent.
//!
//! It never asserts what a parser must refuse (the crates' own tests do): only that nothing panics, hangs or grows
//! without bound, and that what was accepted can be written, read and used again.
//!
//! | module | what it feeds |
//! |---|---|
//! | [`storm`] | the engine: inputs from seeds by a seeded generator, and the alarm |
//! | `packets` | Sphinx packets, routing commands, reply blocks, payloads |
//! | `links` | handshakes in both roles, frames, commands of each session kind, consensus chunks |
//! | `quic` | datagrams of strangers and of a dialled peer |
//! | `directory` | CBOR, certificates, descriptors, uploads, documents, the policy, a vote |
//! | `texts` | configuration files, PEM, URLs, names, durations |
//! | `planes` | control messages and shared memory between the two processes |
//! | `services` | requests to services, messages of plugins |
//! | `gateways` | what a gateway reads of its users and their mail: programs, databases, files, the other process |
//! | `schemes` | public keys, ciphertexts and signatures of all built-in schemes |
//! | `canary` | a target that fails on purpose, so that the alarm is known to ring |
#![forbid(unsafe_code)]

mod canary;
mod directory;
mod gateways;
mod links;
mod packets;
mod planes;
mod quic;
mod schemes;
mod services;
pub mod storm;
mod texts;

pub use canary::CANARY;

/// What a parser said about an input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is what the parser is for.
    Accepted,
    /// It was refused with a typed error.
    Refused,
}

impl Verdict {
    fn of(accepted: bool) -> Self {
        if accepted { Self::Accepted } else { Self::Refused }
    }
}

/// One parser under fire.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    /// Its name, also that of its libFuzzer entry point.
    pub name: &'static str,
    /// Feeds it one input. A panic is a finding.
    pub run: fn(&[u8]) -> Verdict,
    /// Good inputs to start from; every one of them is accepted.
    pub seeds: fn() -> Vec<Vec<u8>>,
}

/// Every target but the canary.
pub const TARGETS: &[Target] = &[
    packets::UNWRAP_NIKE,
    packets::UNWRAP_KEM,
    packets::COMMANDS,
    packets::SURB,
    packets::SURB_PAYLOAD,
    packets::PLAINTEXT,
    links::LINK_INITIATOR,
    links::LINK_RESPONDER,
    links::FRAMES,
    links::COMMANDS_MIXNET,
    links::COMMANDS_PKI,
    links::COMMANDS_REPLICA,
    links::CONSENSUS2,
    quic::ENDPOINT,
    directory::CBOR,
    directory::CERTIFICATE,
    directory::DESCRIPTOR,
    directory::REPLICA_DESCRIPTOR,
    directory::UPLOAD,
    directory::REPLICA_UPLOAD,
    directory::DOCUMENT,
    directory::CONSENSUS,
    directory::POLICY,
    directory::VOTING,
    texts::CONFIG_SERVER,
    texts::CONFIG_OWN,
    texts::CONFIG_AUTHORITY,
    texts::CONFIG_CLIENT,
    texts::PEM,
    texts::URL,
    texts::NAME,
    texts::DURATION,
    planes::TO_DATA,
    planes::TO_CONTROL,
    planes::SNAPSHOT,
    planes::ROLL,
    planes::SECRETS,
    planes::MEMORY,
    planes::EVENTS,
    services::REQUEST,
    services::PLUGIN,
    services::PLUGIN_HTTP,
    services::KEYSERVER,
    services::PLUGIN_PARAMETERS,
    gateways::PROGRAM,
    gateways::RECORD,
    gateways::QUESTION,
    gateways::HEAD,
    gateways::ROW,
    gateways::SHELF,
    schemes::KEYS,
];

/// The target of that name, the canary included.
pub fn find(name: &str) -> Option<&'static Target> {
    TARGETS.iter().chain([&CANARY]).find(|target| target.name == name)
}
