//! Pieces that several files have.

use super::Network;
use crate::layout::{Member, Role};
use crate::settings::Settings;
use crypto_simd::pem;
use std::fmt::Write;

/// A string as TOML takes it.
pub fn quoted(text: &str) -> String {
    let mut quoted = String::from("\"");
    for character in text.chars() {
        match character {
            '"' | '\\' => quoted.extend(['\\', character]),
            '\n' => quoted.push_str("\\n"),
            // Writing to a string cannot fail.
            control if control.is_control() => {
                let _written = write!(quoted, "\\u{:04X}", u32::from(control));
            }
            other => quoted.push(other),
        }
    }
    quoted + "\""
}

/// Where a member is reached, as elements of an array.
pub fn urls(member: &Member) -> String {
    member.urls().iter().map(|url| quoted(url)).collect::<Vec<_>>().join(", ")
}

/// A public key as a PEM text in quotes.
pub fn public_key(scheme: &str, bytes: &[u8]) -> Result<String, String> {
    let text = pem::encode(&pem::public_key_type(scheme), bytes).map_err(|error| error.to_string())?;
    Ok(quoted(&text))
}

/// A float as TOML takes it, never without a point.
pub fn float(number: f64) -> String {
    format!("{number:?}")
}

/// The authorities as an array of tables of that name.
pub fn authorities(network: &Network<'_>, table: &str) -> Result<String, String> {
    let mut text = String::new();
    for member in network.layout.of(|role| role == Role::Authority) {
        text += &authority(network.settings, network, member, table)?;
    }
    Ok(text)
}

fn authority(settings: &Settings, network: &Network<'_>, member: &Member, table: &str) -> Result<String, String> {
    let keys = network.keys(member)?;
    let (signature, kem) = (settings.signature.info().name, settings.wire_kem.info().name);
    Ok(format!(
        "[[{table}]]\n  Identifier = {name}\n  IdentityPublicKey = {identity}\n  PKISignatureScheme = {scheme}\n  \
         LinkPublicKey = {link}\n  WireKEMScheme = {kem_name}\n  Addresses = [{urls}]\n\n",
        name = quoted(&member.name),
        identity = public_key(signature, keys.identity.public())?,
        scheme = quoted(signature),
        link = public_key(kem, keys.link.public())?,
        kem_name = quoted(kem),
        urls = urls(member),
    ))
}
