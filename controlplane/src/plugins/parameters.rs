//! What a plugin wants its node to publish about it (server.md 6.4, D.3), beside its endpoint.

use pki::cbor::{Canonical, CborError, Value, decode};
use std::collections::BTreeMap;

/// Parameters of one plugin.
const PARAMETERS_MAX: usize = 64;
/// Bytes of all of them: each descriptor and each document has them.
pub const BYTES_MAX: usize = 4096;

/// What a descriptor says of a service.
pub type Parameters = BTreeMap<String, Value>;

/// Why they are not published.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParametersError {
    /// No map with text for keys.
    #[error("they are no CBOR map with text for keys: {0}")]
    Malformed(#[from] CborError),
    /// More than a descriptor should carry.
    #[error(
        "they are {entries} entries in {bytes} bytes; {PARAMETERS_MAX} entries and {BYTES_MAX} bytes are published"
    )]
    TooMuch {
        /// How many.
        entries: usize,
        /// Bytes of all.
        bytes: usize,
    },
}

/// Reads a map with text for keys, or null.
pub fn read(bytes: &[u8]) -> Result<Parameters, ParametersError> {
    let value = |item| Canonical::any(item).map(Value::Canonical);
    let map = decode(bytes)?.into_map("parameters", |key| key.into_text("parameters"), value)?.unwrap_or_default();
    if map.len() > PARAMETERS_MAX || bytes.len() > BYTES_MAX {
        return Err(ParametersError::TooMuch { entries: map.len(), bytes: bytes.len() });
    }
    Ok(map)
}
