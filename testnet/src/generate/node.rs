//! `katzenpost.toml` of mixes, gateways and service nodes (server.md 2).

use super::text::{authorities, quoted, urls};
use super::{LOG_FILE, Network};
use crate::layout::{Member, Role};
use crate::settings::Settings;

/// The file of `member`.
pub fn text(network: &Network<'_>, member: &Member) -> Result<String, String> {
    let settings = network.settings;
    let urls = urls(member);
    Ok(format!(
        r#"[Server]
  Identifier = {name}
  WireKEM = {kem}
  PKISignatureScheme = {signature}
  Addresses = [{urls}]
  BindAddresses = [{urls}]
  MetricsAddress = {metrics}
  DataDir = {data_dir}
  IsGatewayNode = {is_gateway}
  IsServiceNode = {is_service}
  AllowHostnameAddresses = {allow_hostnames}
{kept}
[Logging]
  Disable = false
  File = "{LOG_FILE}"
  Level = {log_level}

{role}{authorities}[Management]
  Enable = true

[Debug]
{debug}
{geometry}"#,
        name = quoted(&member.name),
        kem = quoted(settings.wire_kem.info().name),
        signature = quoted(settings.signature.info().name),
        metrics = quoted(&member.metrics_address()),
        data_dir = network.data_dir(member)?,
        is_gateway = member.role == Role::Gateway,
        is_service = member.role == Role::ServiceNode,
        allow_hostnames = settings.allow_hostnames,
        log_level = quoted(&settings.log_level),
        kept = kept(network, member)?,
        role = role(network, member)?,
        authorities = authorities(network, "PKI.Voting.Authorities")?,
        debug = debug(settings, member.role),
        geometry = settings.geometry.to_toml(),
    ))
}

/// Beside the other files of the node, not in the folder for all nodes of the host that is the default.
fn kept(network: &Network<'_>, member: &Member) -> Result<String, String> {
    if !network.settings.keeps_mix_keys {
        return Ok(String::new());
    }
    let folder = quoted(&path(network, member, "mixkeys")?);
    Ok(format!("  PersistMixKeysOnShutdown = true\n  PersistMixKeysOnShutdownDir = {folder}\n"))
}

fn path(network: &Network<'_>, member: &Member, name: &str) -> Result<String, String> {
    let path = network.base.join(&member.name).join(name);
    path.to_str().map(str::to_owned).ok_or_else(|| "the path of the network's folder is not UTF-8 text".into())
}

fn role(network: &Network<'_>, member: &Member) -> Result<String, String> {
    Ok(match member.role {
        Role::Authority | Role::Mix(_) => String::new(),
        Role::Gateway => {
            let spool = quoted(&path(network, member, "spool.db")?);
            format!(
                "[Gateway]\n  [Gateway.SpoolDB]\n    Backend = \"bolt\"\n    [Gateway.SpoolDB.Bolt]\n      SpoolDB = {spool}\n\n"
            )
        }
        Role::ServiceNode => {
            let service = |name: &str| {
                format!(
                    "  [[ServiceNode.Kaetzchen]]\n    Capability = \"{name}\"\n    Endpoint = \"+{name}\"\n    Disable = false\n\n"
                )
            };
            format!("[ServiceNode]\n\n{}{}", service("echo"), service("testdest"))
        }
    })
}

fn debug(settings: &Settings, role: Role) -> String {
    let decoys = match role {
        Role::Gateway => settings.decoys.gateways,
        Role::Mix(_) => settings.decoys.mixes,
        Role::Authority | Role::ServiceNode => false,
    };
    let mut text = format!("  SendDecoyTraffic = {decoys}\n");
    if settings.lateness_ms_max > 0 {
        let keys = ["UnwrapDelay", "GatewayDelay", "ServiceDelay", "KaetzchenDelay", "SchedulerSlack", "SendSlack"];
        text.extend(keys.map(|key| format!("  {key} = {}\n", settings.lateness_ms_max)));
    }
    text
}
