//! The orders of operators about users (server.md 9.4), without I/O: lines to orders, answers to lines.

use super::change::Change;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use crypto_simd::schemes::Kem;
use gateway::UserId;

#[cfg(test)]
mod tests;

/// The largest identity key that is taken: one of any scheme but McEliece.
const IDENTITY_BYTES_MAX: usize = 8192;
/// How the hexadecimal digits of a name begin that is no text.
const BINARY: &str = "0x";

/// What is ordered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Order {
    /// Something is written.
    Change(Change),
    /// The link key of a name is asked for.
    Link(UserId),
    /// Its identity key.
    Identity(UserId),
}

/// What became of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// It is done.
    Done,
    /// This key was asked for.
    Key(Vec<u8>),
    /// The name is there already, or is not there, or has no such key.
    Refused,
}

impl Answer {
    /// A key that was asked for, if it is there.
    pub fn of_key(key: Option<Vec<u8>>) -> Self {
        key.map_or(Self::Refused, Self::Key)
    }
}

/// A key as answers have it.
pub fn text(key: &[u8]) -> String {
    STANDARD.encode(key)
}

/// Whether a command is one of these, in capital letters.
pub fn is_about_users(command: &str) -> bool {
    matches!(
        command,
        "ADD_USER"
            | "UPDATE_USER"
            | "REMOVE_USER"
            | "SET_USER_IDENTITY"
            | "REMOVE_USER_IDENTITY"
            | "USER_IDENTITY"
            | "USER_LINK"
    )
}

/// The order of a command in capital letters with its arguments; none if they are not right.
pub fn parse(command: &str, arguments: &str, kem: &dyn Kem) -> Option<Order> {
    let mut words = arguments.split(' ');
    let user = name(words.next()?)?;
    let key = words.next();
    if words.next().is_some() {
        return None;
    }
    let link_key = |text: &str| bytes(text).filter(|key| kem.check_public_key(key).is_ok());
    Some(match (command, key) {
        ("ADD_USER", Some(key)) => Order::Change(Change::Add(user, link_key(key)?)),
        ("UPDATE_USER", Some(key)) => Order::Change(Change::Update(user, link_key(key)?)),
        ("REMOVE_USER", None) => Order::Change(Change::Remove(user)),
        ("SET_USER_IDENTITY", Some(key)) => {
            let key = bytes(key).filter(|key| (1..=IDENTITY_BYTES_MAX).contains(&key.len()))?;
            Order::Change(Change::SetIdentity(user, Some(key)))
        }
        ("SET_USER_IDENTITY" | "REMOVE_USER_IDENTITY", None) => Order::Change(Change::SetIdentity(user, None)),
        ("USER_IDENTITY", None) => Order::Identity(user),
        ("USER_LINK", None) => Order::Link(user),
        _ => return None,
    })
}

/// A name is text of 1 to 32 bytes, mapped to lower case as it always was (PRECIS), or `0x` and the hexadecimal digits of
/// all its 32 bytes.
fn name(text: &str) -> Option<UserId> {
    if let Some(digits) = text.strip_prefix(BINARY).filter(|digits| digits.len() == 64) {
        let name = hex::decode(digits).ok()?.try_into().ok().map(UserId);
        return name.filter(|name| !name.trimmed().is_empty());
    }
    let name = config::names::user_name(text)?;
    Some(UserId::of(name.as_bytes()))
}

/// A key in hexadecimal digits or base64.
fn bytes(text: &str) -> Option<Vec<u8>> {
    hex::decode(text).ok().or_else(|| STANDARD.decode(text).ok())
}
