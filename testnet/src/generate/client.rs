//! `client.toml` and `thinclient.toml` (client.md 3.2, 3.3).

use super::Network;
use super::text::{authorities, public_key, quoted, urls};
use crate::layout::Role;

/// The file of the client and of its daemon.
pub fn text(network: &Network<'_>) -> Result<String, String> {
    let settings = network.settings;
    let (kem, signature) = (settings.wire_kem.info().name, settings.signature.info().name);
    let mut gateways = String::new();
    for member in network.layout.of(|role| role == Role::Gateway) {
        let keys = network.keys(member)?;
        gateways += &format!(
            "  [[PinnedGateways.Gateways]]\n    Name = {name}\n    WireKEMScheme = {kem_name}\n    PKISignatureScheme = {scheme}\n    \
             IdentityKey = {identity}\n    LinkKey = {link}\n    Addresses = [{urls}]\n\n",
            name = quoted(&member.name),
            kem_name = quoted(kem),
            scheme = quoted(signature),
            identity = public_key(signature, keys.identity.public())?,
            link = public_key(kem, keys.link.public())?,
            urls = urls(member),
        );
    }
    Ok(format!(
        r#"PKISignatureScheme = {signature}
WireKEMScheme = {kem}
MetricsAddress = ""
AllowHostnameAddresses = {allow_hostnames}

[Listen]
  [Listen.Tcp]
    Address = "127.0.0.1:{port}"
    Network = "tcp"

{geometry}
[Logging]
  Disable = false
  File = ""
  Level = {log_level}

[UpstreamProxy]
  Type = "none"

[Debug]
  DisableDecoyTraffic = {no_decoys}

[PinnedGateways]

{gateways}[VotingAuthority]

{authorities}"#,
        signature = quoted(signature),
        kem = quoted(kem),
        allow_hostnames = settings.allow_hostnames,
        port = network.layout.client_port,
        geometry = settings.geometry.to_toml(),
        log_level = quoted(&settings.log_level),
        no_decoys = !settings.decoys.clients,
        authorities = authorities(network, "VotingAuthority.Peers")?,
    ))
}

/// The file of programs that talk to the daemon.
pub fn thin_text(network: &Network<'_>) -> String {
    let port = network.layout.client_port;
    format!("[Dial]\n  [Dial.Tcp]\n    Address = \"127.0.0.1:{port}\"\n    Network = \"tcp\"\n")
}
