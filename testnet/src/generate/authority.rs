//! `authority.toml` (pki.md 13.1, appendix C).

use super::text::{authorities, float, quoted, urls};
use super::{LOG_FILE, Network};
use crate::layout::{Member, Role};
use std::collections::BTreeMap;

/// What the reference's authorities take at most; it only tells them how many mixes there must be.
const DEBUG_LAYERS_MAX: usize = 3;

/// The file of `member`.
pub fn text(network: &Network<'_>, member: &Member) -> Result<String, String> {
    let (settings, layers) = (network.settings, layers(network));
    let rates = &settings.rates;
    let topology = match settings.is_topology_fixed {
        true => format!("[Topology]\n\n{}", layers.values().map(|names| layer(names)).collect::<String>()),
        false => String::new(),
    };
    Ok(format!(
        r#"[Server]
  Identifier = {name}
  WireKEMScheme = {kem}
  PKISignatureScheme = {signature}
  Addresses = [{urls}]
  DataDir = {data_dir}
  MetricsAddress = {metrics}
  AllowHostnameAddresses = {allow_hostnames}

{authorities}[Logging]
  Disable = false
  File = "{LOG_FILE}"
  Level = {log_level}

[Parameters]
  Mu = {mu}
  LambdaP = {lambda_p}
  LambdaL = {lambda_l}
  LambdaM = {lambda_m}
  LambdaR = {lambda_r}

[Debug]
  Layers = {debug_layers}
  MinNodesPerLayer = 1

{mixes}{gateways}{services}{topology}{geometry}"#,
        name = quoted(&member.name),
        kem = quoted(settings.wire_kem.info().name),
        signature = quoted(settings.signature.info().name),
        urls = urls(member),
        data_dir = network.data_dir(member)?,
        metrics = quoted(&member.metrics_address()),
        allow_hostnames = settings.allow_hostnames,
        authorities = authorities(network, "Authorities")?,
        log_level = quoted(&settings.log_level),
        mu = float(rates.mu),
        lambda_p = float(rates.lambda_p),
        lambda_l = float(rates.lambda_l),
        lambda_m = float(rates.lambda_m),
        lambda_r = float(rates.lambda_r),
        debug_layers = layers.len().min(DEBUG_LAYERS_MAX),
        mixes = nodes(network, "Mixes", |role| matches!(role, Role::Mix(_))),
        gateways = nodes(network, "GatewayNodes", |role| role == Role::Gateway),
        services = nodes(network, "ServiceNodes", |role| role == Role::ServiceNode),
        geometry = settings.geometry.to_toml(),
    ))
}

/// The mixes by layer, in each by their names as text: documents list them as the file does.
fn layers<'a>(network: &'a Network<'_>) -> BTreeMap<usize, Vec<&'a str>> {
    let mut layers: BTreeMap<usize, Vec<&str>> = BTreeMap::new();
    for member in &network.layout.members {
        if let Role::Mix(layer) = member.role {
            layers.entry(layer).or_default().push(&member.name);
        }
    }
    layers.values_mut().for_each(|names| names.sort_unstable());
    layers
}

fn layer(names: &[&str]) -> String {
    let nodes: String =
        names.iter().map(|name| format!("    [[Topology.Layers.Nodes]]\n{}\n", node(name, 6))).collect();
    format!("  [[Topology.Layers]]\n\n{nodes}")
}

fn nodes(network: &Network<'_>, table: &str, is_wanted: impl Fn(Role) -> bool) -> String {
    let mut names: Vec<&str> = network.layout.of(is_wanted).map(|member| member.name.as_str()).collect();
    names.sort_unstable();
    names.iter().map(|name| format!("[[{table}]]\n{}\n", node(name, 2))).collect()
}

/// The path is relative to the authority's folder, the only form that the reference takes.
fn node(name: &str, indent: usize) -> String {
    let pad = " ".repeat(indent);
    format!("{pad}Identifier = \"{name}\"\n{pad}IdentityPublicKeyPem = \"../{name}/identity.public.pem\"\n")
}
