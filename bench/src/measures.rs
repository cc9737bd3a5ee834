//! The table of cases: what is measured, in which sizes and batches. The `table` command and the criterion groups both
//! read it.

use crate::cases::{CASES, Case};
use crate::peers::implementations::Implementation;

/// The batch sizes of the criterion groups.
pub const BATCHES: &[usize] = &[1, 2, 4, 8, 16, 32, 64];

/// An operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Measure {
    /// Scalar multiplication on Curve25519.
    X25519,
    /// Scalar multiplication on Curve448.
    X448,
    /// Decapsulation of the KEM of that name.
    Decapsulate(&'static str),
    /// Deciphering with AEZ.
    Aez,
    /// AES-256 in counter mode with a new key for each message.
    Aes256Ctr,
    /// HMAC-SHA-256 with a new key for each message.
    HmacSha256,
    /// The key derivation of a packet: 160 bytes.
    HkdfExpand,
    /// The hash of replay tags.
    Sha512_256,
    /// Sealing with ChaCha20-Poly1305.
    Seal,
    /// Opening with ChaCha20-Poly1305.
    Open,
    /// Sealing and opening a frame of the link protocol.
    LinkFrame,
    /// Unwrapping a packet.
    Unwrap(&'static Case),
    /// The same over X25519, beside another implementation's unwrap in its own format.
    UnwrapBeside(Implementation),
}

impl Measure {
    /// The name in tables.
    pub fn name(self) -> &'static str {
        match self {
            Self::X25519 => "x25519",
            Self::X448 => "x448",
            Self::Decapsulate("MLKEM768") => "mlkem768_decapsulate",
            Self::Decapsulate("XWING") => "xwing_decapsulate",
            Self::Decapsulate(_) => "hybrid_decapsulate",
            Self::Aez => "aez",
            Self::Aes256Ctr => "aes256_ctr",
            Self::HmacSha256 => "hmac_sha256",
            Self::HkdfExpand => "hkdf_expand_sha256",
            Self::Sha512_256 => "sha512_256",
            Self::Seal => "chacha20poly1305_seal",
            Self::Open => "chacha20poly1305_open",
            Self::LinkFrame => "link_frame_seal_open",
            Self::Unwrap(_) | Self::UnwrapBeside(_) => "unwrap",
        }
    }

    /// The scheme as its registry or the reference's benchmark calls it; empty where there is only one.
    pub fn scheme(self) -> &'static str {
        match self {
            Self::Decapsulate(kem) => kem,
            Self::Unwrap(case) => case.label,
            Self::UnwrapBeside(implementation) => implementation.scheme(),
            _ => "",
        }
    }

    /// Bytes of message, or of payload for unwraps; 0 where there is no choice.
    pub fn sizes(self) -> &'static [usize] {
        match self {
            Self::Aez => &[2_000, 2_048, 30_000, 32_768],
            // Headers of X25519 and of ML-KEM packets, about.
            Self::Aes256Ctr | Self::HmacSha256 => &[500, 7_000],
            Self::Sha512_256 => &[32, 1_120],
            Self::Seal | Self::Open => &[64, 3_072, 16_384, 32_768],
            Self::LinkFrame => &[3_072, 32_768],
            Self::Unwrap(_) | Self::UnwrapBeside(_) => &[2_000, 30_000],
            _ => &[0],
        }
    }

    /// Whether ours takes several at once.
    pub fn is_batched(self) -> bool {
        !matches!(self, Self::Aez | Self::Seal | Self::Open | Self::LinkFrame)
    }

    /// The batch sizes of the table.
    pub fn table_batches(self) -> &'static [usize] {
        match self {
            Self::X25519 => &[1, 4, 8, 16, 32, 64],
            Self::X448 | Self::Decapsulate(_) | Self::Unwrap(_) => &[1, 8, 32],
            Self::UnwrapBeside(_) => &[32],
            Self::Aes256Ctr | Self::HmacSha256 | Self::HkdfExpand | Self::Sha512_256 => &[1, 32],
            Self::Aez | Self::Seal | Self::Open | Self::LinkFrame => &[1],
        }
    }

    /// Whether this is public-key work or contains it: what is called a scheme.
    pub fn is_scheme(self) -> bool {
        matches!(self, Self::X25519 | Self::X448 | Self::Decapsulate(_)) || self.is_unwrap()
    }

    /// Whether this is a packet's whole way through its cryptography.
    pub fn is_unwrap(self) -> bool {
        matches!(self, Self::Unwrap(_) | Self::UnwrapBeside(_))
    }
}

/// Everything but the unwraps.
pub const PRIMITIVES: &[Measure] = &[
    Measure::X25519,
    Measure::X448,
    Measure::Decapsulate("MLKEM768"),
    Measure::Decapsulate("XWING"),
    Measure::Decapsulate("MLKEM768-X25519"),
    Measure::Aez,
    Measure::Aes256Ctr,
    Measure::HmacSha256,
    Measure::HkdfExpand,
    Measure::Sha512_256,
    Measure::Seal,
    Measure::Open,
    Measure::LinkFrame,
];

/// The unwraps of all schemes.
pub fn unwraps() -> impl Iterator<Item = Measure> {
    CASES.iter().map(Measure::Unwrap)
}

/// One line of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Row {
    /// The operation.
    pub measure: Measure,
    /// One of its sizes.
    pub size: usize,
    /// How many at once.
    pub batch: usize,
}

/// All rows of the table.
pub fn table_rows() -> Vec<Row> {
    let beside = Implementation::ALL.map(Measure::UnwrapBeside);
    rows(PRIMITIVES.iter().copied().chain(unwraps()).chain(beside), Measure::table_batches)
}

/// The rows of some measures.
pub fn rows(measures: impl Iterator<Item = Measure>, batches: fn(Measure) -> &'static [usize]) -> Vec<Row> {
    measures
        .flat_map(|measure| {
            measure
                .sizes()
                .iter()
                .flat_map(move |&size| batches(measure).iter().map(move |&batch| Row { measure, size, batch }))
        })
        .collect()
}

/// The batch sizes of the criterion groups.
pub fn criterion_batches(measure: Measure) -> &'static [usize] {
    if measure.is_batched() { BATCHES } else { &[1] }
}
