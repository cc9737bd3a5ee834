//! Keys of older releases that the reference ignores today (client.md 3.2), and what became of them.

/// What became of the key with that dotted path; none for keys that never existed.
pub fn hint(path: &str) -> Option<&'static str> {
    let path: Vec<String> = path.split('.').map(|part| bare(part).to_ascii_lowercase()).collect();
    Some(match path.join(".").as_str() {
        "ratchetnikescheme" => "remove it; there is no such scheme any more",
        "listennetwork" | "listenaddress" => "use [Listen.Tcp] or [Listen.Unix]",
        "pinnedproviders" => "use [[PinnedGateways.Gateways]]",
        "nonvotingauthority" => "non-voting authorities were removed; use [[VotingAuthority.Peers]]",
        "votingauthority.peers.identitypublickeypem" => "use IdentityPublicKey, the PEM text itself",
        "votingauthority.peers.linkpublickeypem" => "use LinkPublicKey, the PEM text itself",
        "clientlogging" => "it is called [Logging] now",
        "debug.casesensitiveuseridentifiers" => "remove it; clients have no user names any more",
        "debug.disabledecoyloops" => "use Debug.DisableDecoyTraffic",
        _ => return None,
    })
}

/// A part of a path without its array index.
fn bare(part: &str) -> &str {
    part.split('[').next().unwrap_or(part)
}
