//! The PEM encoding of keys (sphinx.md 13.1): block type, standard base64 in lines of 64 characters, no headers.

use base64::{Engine, engine::general_purpose::STANDARD};

const LINE_CHARACTERS: usize = 64;
const BEGIN: &str = "-----BEGIN ";
const END: &str = "-----END ";
const DASHES: &str = "-----";

/// Why a PEM text does not give the expected key, or a key no PEM text.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PemError {
    /// The text has no PEM block.
    #[error("no PEM block found")]
    NoBlock,
    /// The first block is of another type.
    #[error("PEM block is {found:?}, expected {expected:?}")]
    WrongType {
        /// The type that the caller needs.
        expected: String,
        /// The type that the block has.
        found: String,
    },
    /// The block has no matching end line, or its body is not base64.
    #[error("PEM block {0:?} is malformed")]
    Malformed(String),
    /// A key of zeros was never made by a generator: it is not written.
    #[error("refusing to write an all-zero key")]
    AllZero,
}

/// The block type of public keys of the scheme with that canonical name.
pub fn public_key_type(scheme_name: &str) -> String {
    format!("{} PUBLIC KEY", scheme_name.to_uppercase())
}

/// The block type of private keys of the scheme with that canonical name.
pub fn private_key_type(scheme_name: &str) -> String {
    format!("{} PRIVATE KEY", scheme_name.to_uppercase())
}

/// The PEM text of a key, with a final line end.
pub fn encode(block_type: &str, bytes: &[u8]) -> Result<String, PemError> {
    if bytes.iter().fold(0, |all, byte| all | byte) == 0 {
        return Err(PemError::AllZero);
    }
    let body = zeroize::Zeroizing::new(STANDARD.encode(bytes));
    let lines = body.len().div_ceil(LINE_CHARACTERS);
    let mut text = String::with_capacity(body.len() + lines + 2 * (block_type.len() + 18));
    text.extend([BEGIN, block_type, DASHES, "\n"]);
    let mut rest = body.as_str();
    while !rest.is_empty() {
        let (line, later) = rest.split_at(rest.len().min(LINE_CHARACTERS));
        text.extend([line, "\n"]);
        rest = later;
    }
    text.extend([END, block_type, DASHES, "\n"]);
    Ok(text)
}

/// The bytes of the first PEM block of `text`, whose upper-cased type must be `expected_type`.
pub fn decode(text: &str, expected_type: &str) -> Result<Vec<u8>, PemError> {
    let (found, body) = first_block(text)?;
    if found.to_uppercase() != expected_type {
        return Err(PemError::WrongType { expected: expected_type.into(), found: found.into() });
    }
    let body: zeroize::Zeroizing<String> = body.chars().filter(|c| !c.is_ascii_whitespace()).collect::<String>().into();
    STANDARD.decode(body.as_bytes()).map_err(|_| PemError::Malformed(found.into()))
}

/// Type and body of the first block: what stands between its begin line and its end line.
fn first_block(text: &str) -> Result<(&str, &str), PemError> {
    let mut offset = 0;
    let mut open: Option<(&str, usize)> = None;
    for line in text.split_inclusive('\n') {
        let bare = line.trim_end();
        let start = offset;
        offset += line.len();
        match open {
            None => {
                let found = bare.strip_prefix(BEGIN).and_then(|rest| rest.strip_suffix(DASHES));
                open = found.map(|block_type| (block_type, offset));
            }
            Some((block_type, body)) => {
                if let Some(ending) = bare.strip_prefix(END) {
                    return match ending.strip_suffix(DASHES) {
                        Some(ended) if ended == block_type => Ok((block_type, &text[body..start])),
                        _ => Err(PemError::Malformed(block_type.into())),
                    };
                }
            }
        }
    }
    Err(open.map_or(PemError::NoBlock, |(block_type, _)| PemError::Malformed(block_type.into())))
}

#[cfg(test)]
mod tests;
