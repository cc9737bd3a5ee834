//! Addresses in descriptors: which URLs are acceptable (pki.md 4.3), and how a node's configured addresses become
//! its descriptor's address map.

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::net::Ipv6Addr;

/// Transport names to URLs; a list may be null in what others send.
pub type Addresses = BTreeMap<String, Option<Vec<String>>>;

/// Why a URL may not stand in a descriptor.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    /// Not a URL.
    #[error("{0:?} is not a URL")]
    NotAUrl(String),
    /// A scheme that no transport has.
    #[error("{0:?} has none of the schemes tcp, tcp4, tcp6, quic, ws, onion")]
    Scheme(String),
    /// No host and port.
    #[error("{0:?} has no host and port")]
    NoPort(String),
    /// An onion address where none may be.
    #[error("{0:?}: only gateways may have onion addresses")]
    Onion(String),
    /// A host name without an address.
    #[error("{0:?} does not resolve to any address")]
    Unresolved(String),
    /// No address that could be advertised.
    #[error("no address to advertise")]
    None,
}

/// Checks one URL of a descriptor.
pub fn check(text: &str, onion_allowed: bool) -> Result<(), AddressError> {
    let url = Url::parse(text).ok_or_else(|| AddressError::NotAUrl(text.into()))?;
    match url.scheme.as_str() {
        "onion" if onion_allowed => Ok(()),
        "onion" => Err(AddressError::Onion(text.into())),
        "tcp" | "tcp4" | "tcp6" | "quic" | "ws" => match url.host_and_port() {
            Some(_) => Ok(()),
            None => Err(AddressError::NoPort(text.into())),
        },
        _ => Err(AddressError::Scheme(text.into())),
    }
}

/// Scheme and authority of a URL by the rules of Go's `net/url`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Url {
    /// The scheme in lower case.
    pub scheme: String,
    /// Host and port, without user information; empty if there is none.
    pub authority: String,
}

impl Url {
    /// Splits a URL, or refuses what Go's parser refuses.
    pub fn parse(text: &str) -> Option<Self> {
        if text.bytes().any(|byte| byte < 0x20 || byte == 0x7f) {
            return None;
        }
        let (text, fragment) = text.split_once('#').unwrap_or((text, ""));
        let (scheme, rest) = text.split_once(':')?;
        let mut letters = scheme.bytes();
        if !letters.next()?.is_ascii_alphabetic()
            || !letters.all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte))
        {
            return None;
        }
        let rest = rest.split_once('?').map_or(rest, |(rest, _)| rest);
        let (authority, path) = match rest.strip_prefix("//") {
            Some(rest) => rest.split_at(rest.find('/').unwrap_or(rest.len())),
            None => ("", rest),
        };
        let authority = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
        let sound = is_authority(authority) && is_escaped(path) && is_escaped(fragment);
        sound.then(|| Self { scheme: scheme.to_ascii_lowercase(), authority: authority.into() })
    }

    /// Host (without brackets) and port text, which may be empty.
    pub fn host_and_port(&self) -> Option<(&str, &str)> {
        let (host, port) = self.authority.rsplit_once(':')?;
        if let Some(inner) = host.strip_prefix('[') {
            return inner.strip_suffix(']').map(|host| (host, port));
        }
        (!host.contains([':', '[', ']'])).then_some((host, port))
    }
}

/// Whether Go accepts the text as a host with an optional numeric port.
fn is_authority(text: &str) -> bool {
    let (host, port) = match text.strip_prefix('[') {
        Some(inner) => match inner.split_once(']') {
            Some((host, port)) if is_bracketed_host(host) => ("", port),
            _ => return false,
        },
        None => text.split_at(text.rfind(':').unwrap_or(text.len())),
    };
    let is_port =
        port.is_empty() || port.strip_prefix(':').is_some_and(|port| port.bytes().all(|b| b.is_ascii_digit()));
    is_port && host.bytes().all(is_host_byte)
}

fn is_host_byte(byte: u8) -> bool {
    byte >= 0x80 || byte.is_ascii_alphanumeric() || b"-_.~!$&'()*+,;=:[]<>\"".contains(&byte)
}

/// An IPv6 address with an optional zone.
fn is_bracketed_host(host: &str) -> bool {
    let (address, zone) = host.split_once("%25").unwrap_or((host, "x"));
    address.parse::<Ipv6Addr>().is_ok() && !zone.is_empty() && zone.bytes().all(is_host_byte)
}

/// Whether every `%` starts an escape.
fn is_escaped(text: &str) -> bool {
    text.split('%')
        .skip(1)
        .all(|rest| matches!(rest.as_bytes(), [a, b, ..] if a.is_ascii_hexdigit() && b.is_ascii_hexdigit()))
}
