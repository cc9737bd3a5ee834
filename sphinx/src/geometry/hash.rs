//! `SphinxGeometryHash` of the directory's documents (sphinx.md 3.3).

use super::Geometry;
use crypto_simd::symmetric::blake2b_256;

const MAJOR_UNSIGNED: u8 = 0;
const MAJOR_TEXT: u8 = 3;
const MAJOR_MAP: u8 = 5;

impl Geometry {
    /// BLAKE2b-256 of [`Geometry::canonical_cbor`]. It covers the spelling of the scheme's name.
    pub fn hash(&self) -> [u8; 32] {
        blake2b_256(&self.canonical_cbor())
    }

    /// The canonical CBOR (RFC 7049 3.9) of the fields: a map with shorter keys first, then bytewise.
    pub fn canonical_cbor(&self) -> Vec<u8> {
        let numbers = self.numbers().map(|(field, value)| (field, Value::Number(value)));
        let names = [("NIKEName", Value::Text(&self.nike_name)), ("KEMName", Value::Text(&self.kem_name))];
        let mut fields: Vec<(&str, Value)> = numbers.into_iter().chain(names).collect();
        fields.sort_by_key(|(field, _)| (field.len(), *field));
        let mut cbor = Vec::new();
        head(&mut cbor, MAJOR_MAP, fields.len());
        for (field, value) in fields {
            text(&mut cbor, field);
            match value {
                Value::Number(number) => head(&mut cbor, MAJOR_UNSIGNED, number),
                Value::Text(name) => text(&mut cbor, name),
            }
        }
        cbor
    }
}

enum Value<'a> {
    Number(usize),
    Text(&'a str),
}

fn text(cbor: &mut Vec<u8>, text: &str) {
    head(cbor, MAJOR_TEXT, text.len());
    cbor.extend_from_slice(text.as_bytes());
}

/// Major type and argument in the shortest form.
fn head(cbor: &mut Vec<u8>, major: u8, argument: usize) {
    let major = major << 5;
    let bytes = (argument as u64).to_be_bytes();
    match argument {
        0..=23 => cbor.push(major | bytes[7]),
        24..=0xff => cbor.extend_from_slice(&[major | 24, bytes[7]]),
        0x100..=0xffff => {
            cbor.push(major | 25);
            cbor.extend_from_slice(&bytes[6..]);
        }
        0x1_0000..=0xffff_ffff => {
            cbor.push(major | 26);
            cbor.extend_from_slice(&bytes[4..]);
        }
        _ => {
            cbor.push(major | 27);
            cbor.extend_from_slice(&bytes);
        }
    }
}
