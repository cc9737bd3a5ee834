//! Canonical writing: shortest heads and floats, maps sorted by the length of the encoded key, then bytewise.

use super::Value;

impl Value {
    /// The canonical encoding (pki.md 2.4). Of several entries with one key the last is written.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        self.write(&mut out);
        out
    }

    fn write(&self, out: &mut Vec<u8>) {
        match self {
            Self::Uint(number) => head(out, 0, *number),
            Self::Negative(number) => head(out, 1, *number),
            Self::Bytes(bytes) => {
                head(out, 2, bytes.len() as u64);
                out.extend_from_slice(bytes);
            }
            Self::Text(text) => {
                head(out, 3, text.len() as u64);
                out.extend_from_slice(text.as_bytes());
            }
            Self::Array(elements) => {
                head(out, 4, elements.len() as u64);
                elements.iter().for_each(|element| element.write(out));
            }
            Self::Map(entries) => write_map(out, entries),
            Self::Bool(flag) => out.push(if *flag { 0xf5 } else { 0xf4 }),
            Self::Null => out.push(0xf6),
            Self::Float(number) => write_float(out, *number),
            Self::Canonical(canonical) => out.extend_from_slice(canonical.as_bytes()),
        }
    }
}

pub(super) fn head(out: &mut Vec<u8>, major: u8, argument: u64) {
    let major = major << 5;
    if argument < 24 {
        out.push(major | argument as u8);
    } else if let Ok(argument) = u8::try_from(argument) {
        out.extend_from_slice(&[major | 24, argument]);
    } else if let Ok(argument) = u16::try_from(argument) {
        out.push(major | 25);
        out.extend_from_slice(&argument.to_be_bytes());
    } else if let Ok(argument) = u32::try_from(argument) {
        out.push(major | 26);
        out.extend_from_slice(&argument.to_be_bytes());
    } else {
        out.push(major | 27);
        out.extend_from_slice(&argument.to_be_bytes());
    }
}

fn write_map(out: &mut Vec<u8>, entries: &[(Value, Value)]) {
    let mut sorted: Vec<(Vec<u8>, &Value)> = entries.iter().map(|(key, value)| (key.encode(), value)).collect();
    // Reversed before a stable sort, so that of equal keys the last comes first and survives.
    sorted.reverse();
    sorted.sort_by(|(a, _), (b, _)| a.len().cmp(&b.len()).then_with(|| a.cmp(b)));
    sorted.dedup_by(|(later, _), (earlier, _)| later == earlier);
    head(out, 5, sorted.len() as u64);
    for (key, value) in sorted {
        out.extend_from_slice(&key);
        value.write(out);
    }
}

pub(super) fn write_float(out: &mut Vec<u8>, number: f64) {
    if let Some(half) = exact_half(number) {
        out.push(0xf9);
        out.extend_from_slice(&half.to_be_bytes());
    } else if f64::from(number as f32) == number {
        out.push(0xfa);
        out.extend_from_slice(&(number as f32).to_be_bytes());
    } else {
        out.push(0xfb);
        out.extend_from_slice(&number.to_be_bytes());
    }
}

/// The binary16 bits that hold `number` exactly, subnormals included; every NaN becomes the one canonical NaN.
fn exact_half(number: f64) -> Option<u16> {
    if number.is_nan() {
        return Some(0x7e00);
    }
    let bits = number.to_bits();
    let sign = ((bits >> 48) & 0x8000) as u16;
    if number == 0.0 {
        return Some(sign);
    }
    if number.is_infinite() {
        return Some(sign | 0x7c00);
    }
    let exponent = ((bits >> 52) & 0x7ff) as i32 - 1023;
    let fraction = bits & ((1 << 52) - 1);
    let (magnitude, dropped) = match exponent {
        -14..=15 => (((exponent + 15) as u64) << 10 | fraction >> 42, 42),
        -24..=-15 => {
            let dropped = 42 + (-14 - exponent) as u32;
            ((1 << 52 | fraction) >> dropped, dropped)
        }
        _ => return None,
    };
    let whole = if exponent >= -14 { fraction } else { 1 << 52 | fraction };
    (whole & ((1 << dropped) - 1) == 0).then_some(sign | magnitude as u16)
}
