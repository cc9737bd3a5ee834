//! Keys of older releases that the reference ignores today (pki.md 13.1), and what became of them.

/// What became of the key with that dotted path; none for keys that never existed.
pub fn hint(path: &str) -> Option<&'static str> {
    let path: Vec<String> = path.split('.').map(|part| bare(part).to_ascii_lowercase()).collect();
    let parts: Vec<&str> = path.iter().map(String::as_str).collect();
    Some(match parts.as_slice() {
        ["parameters", "lambdag"] => "remove it; it is computed from the gateways and the largest layer",
        ["parameters", key] if key.ends_with("maxdelay") => "remove it; limits of delays follow from the rates",
        ["parameters", "lambdad" | "sendrateperminute"] => "remove it",
        ["authority"] => "it is called [Server] now",
        ["providers"] => {
            "a provider is a gateway or a service node now: list it under [[GatewayNodes]] or [[ServiceNodes]]"
        }
        ["mixes" | "gatewaynodes" | "servicenodes", "identitykey" | "identitykeypem"] => {
            "use IdentityPublicKeyPem, the path of a file with the key"
        }
        ["authorities", "identitypublickeypem"] => "use IdentityPublicKey, the PEM text itself",
        ["authorities", "linkpublickeypem"] => "use LinkPublicKey, the PEM text itself",
        ["authorities", "bindaddresses"] => "remove it; an authority binds what its own [Server] says",
        _ => return None,
    })
}

/// A part of a path without its array index.
fn bare(part: &str) -> &str {
    part.split('[').next().unwrap_or(part)
}
