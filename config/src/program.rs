//! Which program a configuration file is for, told from its outermost keys, so that the wrong file gets one clear
//! finding instead of a list of missing keys.

use toml::de::DeTable;

/// A program with a configuration file of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Program {
    /// Mix, gateway or service node.
    Server,
    /// Directory authority.
    Authority,
    /// Client daemon.
    ClientDaemon,
    /// Thin client.
    ThinClient,
    /// Storage replica.
    Replica,
    /// Courier.
    Courier,
    /// Our own knobs.
    Katzensprung,
}

impl Program {
    /// What the file is called in a sentence.
    pub fn file_kind(self) -> &'static str {
        match self {
            Self::Server => "a server's (katzenpost.toml)",
            Self::Authority => "a directory authority's (authority.toml)",
            Self::ClientDaemon => "a client daemon's (client.toml)",
            Self::ThinClient => "a thin client's (thinclient.toml)",
            Self::Replica => "a storage replica's (replica.toml)",
            Self::Courier => "a courier's (courier.toml)",
            Self::Katzensprung => "Katzensprung's own (katzensprung.toml)",
        }
    }

    /// The program whose file has this text; none when it could be several, or is no TOML.
    pub fn of_text(text: &str) -> Option<Self> {
        DeTable::parse(text).ok().and_then(|tree| Self::of(tree.get_ref()))
    }

    /// The program whose file has these outermost keys; none when it could be several.
    pub fn of(tree: &DeTable<'_>) -> Option<Self> {
        let has = |name: &str| tree.keys().any(|key| key.get_ref().eq_ignore_ascii_case(name));
        let any = |names: &[&str]| names.iter().any(|name| has(name));
        if has("Server") && has("PKI") {
            // Unknown tables beside these are for the unknown-key findings to tell.
            Some(Self::Server)
        } else if any(&["Authorities", "Mixes", "GatewayNodes", "ServiceNodes", "StorageReplicas", "Topology"]) {
            Some(Self::Authority)
        } else if any(&["VotingAuthority", "PinnedGateways", "UpstreamProxy", "Listen"]) {
            Some(Self::ClientDaemon)
        } else if has("Dial") {
            Some(Self::ThinClient)
        } else if any(&["ReplicaID", "ReplicaNIKEScheme"]) {
            Some(Self::Replica)
        } else if has("EnvelopeScheme") {
            Some(Self::Courier)
        } else if any(&["dataplane", "controlplane"]) {
            Some(Self::Katzensprung)
        } else if any(&["Server", "Gateway", "ServiceNode"]) {
            Some(Self::Server)
        } else {
            None
        }
    }
}
