//! Coordinates and scalars at the edges, in the manner of Wycheproof's tables: points of small order, encodings that are
//! not reduced, and patterns that fill or empty the limbs of every representation in use.

use super::source::Source;
use std::sync::LazyLock;

/// Places at which some representation of the field cuts the number: radices 2^51 and 2^52 (IFMA), 2^25.5 and 2^21.25
/// (doubles), 2^26, 2^28, 2^56, 2^64 and 2^22.4 (X448 in twenty limbs).
const CUTS: [u32; 9] = [21, 22, 25, 26, 28, 51, 52, 56, 64];

/// Edge coordinates of X25519.
pub static X25519: LazyLock<Vec<[u8; 32]>> = LazyLock::new(|| {
    // Points of order 8 on the curve, beside 0 (order 2 and 4 on curve and twist), 1 and p - 1.
    let order_8 = [
        "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
        "5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
    ];
    let mut p = [0xff; 32];
    (p[0], p[31]) = (0xed, 0x7f);
    let mut edges = patterns(255);
    edges.extend(order_8.map(|text| <[u8; 32]>::try_from(hex::decode(text).unwrap()).unwrap()));
    // Encodings of p - 20 … p + 18, the last of which is 2^255 - 1.
    edges.extend((-20..=18).map(|offset| add(p, offset)));
    // The ignored bit set.
    let ignored: Vec<_> = edges.iter().map(|edge| with_bit(*edge, 255)).collect();
    edges.extend(ignored);
    edges
});

/// Edge coordinates of X448.
pub static X448: LazyLock<Vec<[u8; 56]>> = LazyLock::new(|| {
    let mut p = [0xff; 56];
    p[28] = 0xfe;
    let mut edges = patterns(448);
    edges.extend((-20..=20).map(|offset| add(p, offset)));
    // Around 2^448 - 1, the largest encoding.
    edges.extend((-20..=0).map(|offset| add([0xff; 56], offset)));
    edges
});

/// Small numbers, single bits, and for each cut the limbs all ones alternating with zeros.
fn patterns<const N: usize>(bits: usize) -> Vec<[u8; N]> {
    let mut edges: Vec<[u8; N]> = (0..20).map(|value| add([0; N], value)).collect();
    edges.extend((0..bits).step_by(7).map(|bit| with_bit([0; N], bit)));
    for cut in CUTS {
        for phase in 0..4 {
            edges.push(from_bits(bits, |bit| (bit as u32 / cut + phase).is_multiple_of(2)));
            edges.push(from_bits(bits, |bit| (bit as u32).is_multiple_of(cut) ^ (phase == 0)));
            edges.push(from_bits(bits, |bit| bit as u32 >= cut * (phase + 1)));
            edges.push(from_bits(bits, |bit| (bit as u32) < cut * (phase + 1)));
        }
    }
    edges
}

/// A scalar: mostly random, else an edge (clamping happens inside the multiplication).
pub fn scalar<const N: usize>(source: &mut Source) -> Vec<u8> {
    let bytes = if source.once_in(8) { *source.pick(&patterns::<N>(8 * N)) } else { source.array() };
    bytes.to_vec()
}

/// A point: mostly random, which is on the curve or on its twist; else an edge, else of a wrong length.
pub fn point<const N: usize>(source: &mut Source, edges: &[[u8; N]]) -> Vec<u8> {
    match source.below(64) {
        0 => source.bytes(N - 1),
        1..8 => source.pick(edges).to_vec(),
        _ => source.bytes(N),
    }
}

fn from_bits<const N: usize>(bits: usize, is_set: impl Fn(usize) -> bool) -> [u8; N] {
    (0..bits).filter(|bit| is_set(*bit)).fold([0; N], with_bit)
}

fn with_bit<const N: usize>(mut bytes: [u8; N], bit: usize) -> [u8; N] {
    bytes[bit / 8] |= 1 << (bit % 8);
    bytes
}

/// The number plus `offset`, modulo 2^(8 N).
fn add<const N: usize>(mut bytes: [u8; N], offset: i32) -> [u8; N] {
    let mut carry = offset;
    for byte in &mut bytes {
        carry += i32::from(*byte);
        *byte = carry as u8;
        carry >>= 8;
    }
    bytes
}
