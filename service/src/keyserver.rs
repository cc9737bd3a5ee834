//! The keyserver (server.md D.4): which identity key belongs to a name. Whoever has the keys gives them; this is what a
//! request and its reply look like.

#[cfg(test)]
mod tests;

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Longest name, as in user databases (server.md D.2).
const NAME_BYTES_MAX: usize = 32;

/// Whoever knows the identity keys of users.
pub trait Identities {
    /// The key of a user, as text; none too if there is no such user.
    fn identity_key(&self, user: &str) -> Option<&str>;
}

/// What came of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Status {
    Found = 0,
    SyntaxError = 1,
    NoIdentity = 2,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct Asked {
    #[serde(default)]
    version: u64,
    #[serde(default)]
    user: String,
}

/// Fields in the order of the alphabet.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Reply<'a> {
    public_key: &'a str,
    status_code: u8,
    user: &'a str,
    version: u64,
}

/// The reply to a request: the payload with its padding.
pub fn answer(payload: &[u8], identities: &impl Identities) -> Vec<u8> {
    let text = payload.iter().rposition(|byte| *byte != 0).map_or(&[][..], |last| &payload[..=last]);
    let asked = serde_json::from_slice::<Asked>(text).ok().filter(|asked| asked.version == 0);
    let (status, user, public_key) = match &asked {
        None => (Status::SyntaxError, "", ""),
        // Whether there is no user or no key, nobody learns.
        Some(Asked { user, .. }) => match identities.identity_key(user) {
            None => (Status::NoIdentity, user.as_str(), ""),
            Some(key) => (Status::Found, user.as_str(), key),
        },
    };
    let reply = Reply { public_key, status_code: status as u8, user, version: 0 };
    // Text and numbers can be written.
    serde_json::to_vec(&reply).unwrap_or_default()
}

/// Identity keys out of a text with one user in a line: the name, white space, the key. Empty lines and those that begin
/// with `#` say nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KeyList(BTreeMap<String, String>);

/// Why a text is no such list. It names no user: it goes into a log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {problem}")]
pub struct KeyListError {
    /// The line, counted from 1.
    pub line: usize,
    /// What is wrong with it.
    pub problem: &'static str,
}

impl KeyList {
    /// Reads it.
    pub fn parse(text: &str) -> Result<Self, KeyListError> {
        let mut keys = BTreeMap::new();
        for (at, line) in text.lines().enumerate() {
            let wrong = |problem| KeyListError { line: at + 1, problem };
            let mut words = line.split_whitespace();
            let Some(user) = words.next().filter(|user| !user.starts_with('#')) else { continue };
            let (Some(key), None) = (words.next(), words.next()) else {
                return Err(wrong("not a name and a key with white space between them"));
            };
            if user.len() > NAME_BYTES_MAX {
                return Err(wrong("the name has more than 32 bytes"));
            }
            if keys.insert(user.to_owned(), key.to_owned()).is_some() {
                return Err(wrong("the name is there a second time"));
            }
        }
        Ok(Self(keys))
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.0.len()
    }
}

impl Identities for KeyList {
    fn identity_key(&self, user: &str) -> Option<&str> {
        self.0.get(user).map(String::as_str)
    }
}
