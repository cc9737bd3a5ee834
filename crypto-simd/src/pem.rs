//! The PEM encoding of keys (sphinx.md 13.1): block type, standard base64 in lines of 64 characters, no headers.

use base64::Engine;
use base64::alphabet;
use base64::engine::general_purpose::{GeneralPurpose, PAD, STANDARD};
use zeroize::Zeroizing;

const LINE_CHARACTERS: usize = 64;
const BEGIN: &str = "-----BEGIN ";
const END: &str = "-----END ";
const DASHES: &str = "-----";

/// Standard base64 that does not look at the bits after the last byte, as the reference's does not.
const READER: GeneralPurpose = GeneralPurpose::new(&alphabet::STANDARD, PAD.with_decode_allow_trailing_bits(true));

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
    let body = Zeroizing::new(STANDARD.encode(bytes));
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
///
/// Accepted is what the reference's reader accepts: text around the block, lines `Name: value` at its beginning, white
/// space in the base64, and blocks before it that are malformed.
pub fn decode(text: &str, expected_type: &str) -> Result<Vec<u8>, PemError> {
    let mut error = PemError::NoBlock;
    let mut rest = text;
    while let Some((found, block)) = next_begin(rest) {
        match body(found, block).and_then(decode_body) {
            Some(_) if found.to_uppercase() != expected_type => {
                return Err(PemError::WrongType { expected: expected_type.into(), found: found.into() });
            }
            Some(bytes) => return Ok(bytes),
            None if error == PemError::NoBlock => error = PemError::Malformed(found.into()),
            None => {}
        }
        rest = block;
    }
    Err(error)
}

/// The type in the next begin line, and what follows the line.
fn next_begin(text: &str) -> Option<(&str, &str)> {
    let mut lines = Lines(text);
    loop {
        let (line, rest) = lines.next()?;
        if let Some(block_type) = line.strip_prefix(BEGIN).and_then(|begun| begun.strip_suffix(DASHES)) {
            return Some((block_type, rest));
        }
    }
}

/// What stands between the headers and the end line of that type; none where there is no such line.
fn body<'a>(block_type: &str, block: &'a str) -> Option<&'a str> {
    let (mut lines, mut start) = (Lines(block), block);
    while let Some((_, rest)) = lines.next().filter(|(line, _)| line.contains(':') && !line.starts_with(END)) {
        start = rest;
    }
    lines = Lines(start);
    let mut bytes = 0;
    loop {
        let (line, rest) = lines.next()?;
        if let Some(ended) = line.strip_prefix(END) {
            // Behind headers there is a line of its own, be it empty.
            let is_whole = ended.strip_suffix(DASHES) == Some(block_type) && (bytes > 0 || start == block);
            return is_whole.then(|| &start[..bytes]);
        }
        bytes = start.len() - rest.len();
    }
}

/// Lines without the white space at their ends, each with the text behind it.
struct Lines<'a>(&'a str);

impl<'a> Lines<'a> {
    fn next(&mut self) -> Option<(&'a str, &'a str)> {
        if self.0.is_empty() {
            return None;
        }
        let (line, rest) = match self.0.split_once('\n') {
            Some((line, rest)) => (line.strip_suffix('\r').unwrap_or(line), rest),
            None => (self.0, ""),
        };
        self.0 = rest;
        Some((line.trim_end_matches([' ', '\t']), rest))
    }
}

fn decode_body(body: &str) -> Option<Vec<u8>> {
    let mut digits = Zeroizing::new(String::with_capacity(body.len()));
    digits.extend(body.chars().filter(|c| !matches!(c, ' ' | '\t' | '\r' | '\n')));
    READER.decode(digits.as_bytes()).ok()
}

#[cfg(test)]
mod tests;
