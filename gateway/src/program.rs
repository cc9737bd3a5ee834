//! What a program says that is asked over HTTP about users (server.md D.2): one value, under the name of the question.

#[cfg(test)]
mod tests;

use serde_json::Value;

/// Bytes of the longest answer that is looked at.
pub const ANSWER_BYTES_MAX: usize = 64 << 10;

/// Bytes of the longest key.
const KEY_BYTES_MAX: usize = 16 << 10;

/// What stands in an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Said {
    /// Yes or no.
    Truth(bool),
    /// Text.
    Text(String),
    /// Nothing under that name, or something else.
    Nothing,
}

/// The body of an answer is no JSON, or longer than any.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("is no JSON")]
pub struct NoJson;

/// What the body of an answer says to a question.
pub fn read(question: &str, body: &[u8]) -> Result<Said, NoJson> {
    if body.len() > ANSWER_BYTES_MAX {
        return Err(NoJson);
    }
    let mut answer: Value = serde_json::from_slice(body).map_err(|_| NoJson)?;
    Ok(match answer.get_mut(question).map(Value::take) {
        Some(Value::Bool(truth)) => Said::Truth(truth),
        Some(Value::String(text)) => Said::Text(text),
        _ => Said::Nothing,
    })
}

impl Said {
    /// Whether it is a plain yes, or a plain no.
    pub fn truth(&self) -> Option<bool> {
        match self {
            Self::Truth(truth) => Some(*truth),
            _ => None,
        }
    }

    /// The key whose hexadecimal digits it is; none if there are none.
    pub fn key(&self) -> Option<Vec<u8>> {
        let Self::Text(digits) = self else { return None };
        if digits.is_empty() || digits.len() % 2 != 0 || digits.len() > 2 * KEY_BYTES_MAX {
            return None;
        }
        let digit = |byte: u8| char::from(byte).to_digit(16);
        let byte = |pair: &[u8]| Some((digit(*pair.first()?)? * 16 + digit(*pair.get(1)?)?) as u8);
        digits.as_bytes().chunks(2).map(byte).collect()
    }
}
