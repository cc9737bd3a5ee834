//! Addresses in descriptors: which URLs are acceptable (pki.md 4.3), and how a node's configured addresses become
//! its descriptor's address map.

mod map;
mod target;
#[cfg(test)]
mod tests;

pub use map::Addresses;
pub use target::{Carrier, Target};

use std::borrow::Cow;
use std::net::Ipv6Addr;

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

/// Scheme and authority of a URL by the rules of Go's `net/url`: a document in which ours refuse what the reference's
/// take would split the network.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Url {
    /// The scheme in lower case.
    pub scheme: String,
    /// Host and port without escapes and user information; empty if there is none.
    pub authority: String,
}

impl Url {
    /// Splits a URL, or refuses what Go's parser refuses.
    pub fn parse(text: &str) -> Option<Self> {
        let (text, fragment) = text.split_once('#').unwrap_or((text, ""));
        if text.bytes().any(|byte| byte < 0x20 || byte == 0x7f) {
            return None;
        }
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
            // What does not begin with a slash is opaque: nobody looks into it.
            None if !rest.starts_with('/') => ("", ""),
            None => ("", rest),
        };
        let (user, host) = authority.rsplit_once('@').unwrap_or(("", authority));
        let authority = authority_of(host)?;
        let sound = user.bytes().all(is_user_byte) && [user, path, fragment].into_iter().all(is_escaped);
        sound.then(|| Self { scheme: scheme.to_ascii_lowercase(), authority })
    }

    /// Host (without brackets) and port text, which may be empty.
    pub fn host_and_port(&self) -> Option<(&str, &str)> {
        let (host, port) = self.authority.rsplit_once(':')?;
        let inner = match host.strip_prefix('[') {
            Some(inner) => inner.strip_suffix(']')?,
            None if host.contains(':') => return None,
            None => host,
        };
        (!inner.contains(['[', ']'])).then_some((inner, port))
    }
}

/// A host with an optional numeric port, its escapes undone, if Go accepts it.
fn authority_of(text: &str) -> Option<String> {
    let (host, port) = match text.strip_prefix('[') {
        Some(inner) => {
            let (host, port) = inner.rsplit_once(']')?;
            (Cow::Owned(format!("[{}]", bracketed(host)?)), port)
        }
        None => {
            let (host, port) = text.split_at(text.rfind(':').unwrap_or(text.len()));
            (unescaped(host, |byte| byte >= 0x80 || byte == b'%')?, port)
        }
    };
    let is_port =
        port.is_empty() || port.strip_prefix(':').is_some_and(|port| port.bytes().all(|b| b.is_ascii_digit()));
    // A bracket may only be the first.
    let is_literal = text.rfind('[').is_none_or(|at| at == 0);
    (is_port && is_literal).then(|| format!("{host}{port}"))
}

/// An IPv6 address with an optional zone, in which more may be escaped than elsewhere.
fn bracketed(text: &str) -> Option<String> {
    let (address, zone) = text.split_at(text.find("%25").unwrap_or(text.len()));
    let address = unescaped(address, |byte| byte >= 0x80 || byte == b'%')?;
    let zone = unescaped(zone, |byte| byte == b'%' || byte == b' ' || byte < 0x80 && is_host_byte(byte))?;
    let is_zone = zone.is_empty() || zone.len() > "%".len();
    (address.parse::<Ipv6Addr>().is_ok() && is_zone).then(|| format!("{address}{zone}"))
}

/// The text without its escapes, which may stand for bytes that `is_allowed`; other bytes are those of hosts. Bytes that
/// are no UTF-8 then, which no host can have that is ever dialled, are replaced.
fn unescaped(text: &str, is_allowed: impl Fn(u8) -> bool) -> Option<Cow<'_, str>> {
    if text.bytes().all(|byte| byte != b'%' && is_host_byte(byte)) {
        return Some(text.into());
    }
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        (rest, _) = match (byte, after) {
            (b'%', [high, low, after @ ..]) => {
                let byte = digit(*high)? << 4 | digit(*low)?;
                (after, out.push(Some(byte).filter(|byte| is_allowed(*byte))?))
            }
            _ => (after, out.push(Some(byte).filter(|byte| is_host_byte(*byte))?)),
        };
    }
    Some(String::from_utf8_lossy(&out).into_owned().into())
}

fn digit(hex: u8) -> Option<u8> {
    char::from(hex).to_digit(16).and_then(|digit| u8::try_from(digit).ok())
}

fn is_host_byte(byte: u8) -> bool {
    byte >= 0x80 || byte.is_ascii_alphanumeric() || b"-_.~!$&'()*+,;=:[]<>\"".contains(&byte)
}

fn is_user_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-_.~!$&'()*+,;=:%@".contains(&byte)
}

/// Whether every `%` starts an escape.
fn is_escaped(text: &str) -> bool {
    text.split('%')
        .skip(1)
        .all(|rest| matches!(rest.as_bytes(), [a, b, ..] if a.is_ascii_hexdigit() && b.is_ascii_hexdigit()))
}
