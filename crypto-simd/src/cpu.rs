//! Levels of CPU, and the table of kernels that is chosen once per process.
//!
//! A token is a value of no size that only its `detect` makes: who has one may call code that needs these features.
//! The choice can be overridden by `KATZENSPRUNG_SIMD` (`portable`, `avx2`, `avx2+vaes`, `avx512`), to a level that the
//! CPU has.

use crate::multibuffer::{blake2b, chacha, sha2};
use crate::{aez, chacha20poly1305, curve448, curve25519, keccak, mlkem, symmetric};
use std::fmt;
use std::str::FromStr;
use std::sync::OnceLock;

/// The environment variable that overrides [`detect`].
pub const LEVEL_VARIABLE: &str = "KATZENSPRUNG_SIMD";

/// What a CPU can do, least first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Level {
    /// Any CPU.
    Portable,
    /// AVX2, FMA, BMI2 and AES-NI.
    Avx2,
    /// The same, and AES on 256-bit vectors.
    Avx2Vaes,
    /// AVX-512 (F, BW, DQ, VL, IFMA) and AES on 512-bit vectors.
    Avx512,
}

impl Level {
    /// Every level, least first.
    pub const ALL: [Self; 4] = [Self::Portable, Self::Avx2, Self::Avx2Vaes, Self::Avx512];

    /// The name that `KATZENSPRUNG_SIMD`, `--version` and the metrics use.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Portable => "portable",
            Self::Avx2 => "avx2",
            Self::Avx2Vaes => "avx2+vaes",
            Self::Avx512 => "avx512",
        }
    }
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Why `KATZENSPRUNG_SIMD` gives no level.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LevelError {
    /// Not the name of a level.
    #[error("{LEVEL_VARIABLE}={0:?} is not a level; known are: portable, avx2, avx2+vaes, avx512")]
    Unknown(String),
    /// The CPU lacks it.
    #[error("{LEVEL_VARIABLE}={asked} needs features that this CPU lacks; it has up to {best}")]
    Lacking {
        /// The level asked for.
        asked: Level,
        /// The best level of this CPU.
        best: Level,
    },
}

impl FromStr for Level {
    type Err = LevelError;

    fn from_str(name: &str) -> Result<Self, LevelError> {
        let known = Self::ALL.into_iter().find(|level| level.name().eq_ignore_ascii_case(name));
        known.ok_or_else(|| LevelError::Unknown(name.into()))
    }
}

#[cfg(target_arch = "x86_64")]
mod tokens {
    macro_rules! token {
        ($(#[$doc:meta])* $name:ident: $($feature:tt)*) => {
            $(#[$doc])*
            #[derive(Clone, Copy, Debug)]
            pub struct $name(());

            impl $name {
                /// The proof, when the CPU has the features.
                pub fn detect() -> Option<Self> {
                    ($(std::arch::is_x86_feature_detected!($feature) &&)* true).then_some(Self(()))
                }

                #[allow(dead_code, reason = "some functions need the features and no token")]
                /// The proof inside a function that carries the features.
                ///
                /// # Safety
                /// The CPU has the features.
                pub(crate) const unsafe fn assume() -> Self {
                    Self(())
                }
            }
        };
    }

    token!(
        /// Proof of `Level::Avx2`.
        Avx2: "avx2" "fma" "bmi2" "aes"
    );
    token!(
        /// Proof of `Level::Avx2Vaes`.
        Avx2Vaes: "avx2" "fma" "bmi2" "aes" "vaes"
    );
    token!(
        /// Proof of `Level::Avx512`.
        Avx512: "avx2" "fma" "bmi2" "aes" "vaes" "avx512f" "avx512bw" "avx512dq" "avx512vl" "avx512ifma"
    );

    token!(
        /// Proof of the SHA instructions, which no level promises.
        ShaNi: "sha" "sse2" "ssse3" "sse4.1"
    );

    impl From<Avx2Vaes> for Avx2 {
        fn from(_: Avx2Vaes) -> Self {
            Self(())
        }
    }

    impl From<Avx512> for Avx2 {
        fn from(_: Avx512) -> Self {
            Self(())
        }
    }
}

#[cfg(target_arch = "x86_64")]
pub use tokens::{Avx2, Avx2Vaes, Avx512, ShaNi};

/// A level with its token: what a module is asked with for its kernel.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Proof {
    Portable,
    #[cfg(target_arch = "x86_64")]
    Avx2(Avx2),
    #[cfg(target_arch = "x86_64")]
    Avx2Vaes(Avx2Vaes),
    #[cfg(target_arch = "x86_64")]
    Avx512(Avx512),
}

impl Proof {
    /// The proof, when the CPU has the level.
    pub(crate) fn of(level: Level) -> Option<Self> {
        match level {
            Level::Portable => Some(Self::Portable),
            #[cfg(target_arch = "x86_64")]
            Level::Avx2 => Avx2::detect().map(Self::Avx2),
            #[cfg(target_arch = "x86_64")]
            Level::Avx2Vaes => Avx2Vaes::detect().map(Self::Avx2Vaes),
            #[cfg(target_arch = "x86_64")]
            Level::Avx512 => Avx512::detect().map(Self::Avx512),
            #[cfg(not(target_arch = "x86_64"))]
            _ => None,
        }
    }
}

/// The functions of one level. Each module of kernels gives its own for the proof of a level; `None` where one operation after
/// the other is as fast.
#[derive(Clone, Copy)]
pub struct Kernels {
    /// The level.
    pub level: Level,
    pub(crate) aez: aez::Kernel,
    pub(crate) aes256_ctr: symmetric::stream::Kernel,
    /// Eight at a time, where that is faster than one after the other.
    pub(crate) x25519: Option<curve25519::Kernel>,
    pub(crate) mlkem: Option<mlkem::Kernel>,
    pub(crate) sha3_256: Option<keccak::batch::Kernel>,
    /// As many at a time as it has lanes.
    pub(crate) x448: Option<curve448::Kernel>,
    /// Widest first.
    pub(crate) sha256: [Option<sha2::Sha256>; 2],
    pub(crate) sha512: Option<sha2::Sha512>,
    pub(crate) blake2b: Option<blake2b::Blake2b>,
    pub(crate) chacha20: Option<chacha::ChaCha20>,
    /// Of the link, where it is faster than the library.
    pub(crate) chacha20poly1305: Option<chacha20poly1305::Kernel>,
}

impl Kernels {
    /// The kernels of a level, when the CPU has it.
    pub fn of(level: Level) -> Option<Self> {
        let proof = Proof::of(level)?;
        Some(Self {
            level,
            aez: aez::kernel(proof),
            x25519: curve25519::kernel(proof),
            mlkem: mlkem::kernel(proof),
            sha3_256: keccak::batch::kernel(proof),
            aes256_ctr: symmetric::stream::kernel(proof),
            x448: curve448::kernel(proof),
            sha256: sha2::kernels_256(proof),
            sha512: sha2::kernel_512(proof),
            blake2b: blake2b::kernel(proof),
            chacha20: chacha::kernel(proof),
            chacha20poly1305: chacha20poly1305::kernel(proof),
        })
    }
}

/// The best level of this CPU.
pub fn detect() -> Level {
    Level::ALL.into_iter().rfind(|level| Kernels::of(*level).is_some()).unwrap_or(Level::Portable)
}

/// The level of `name` (the value of `KATZENSPRUNG_SIMD`), or the best one.
pub fn choose(name: Option<&str>) -> Result<Level, LevelError> {
    let best = detect();
    match name {
        None | Some("") => Ok(best),
        Some(name) => match name.parse()? {
            asked if Kernels::of(asked).is_some() => Ok(asked),
            asked => Err(LevelError::Lacking { asked, best }),
        },
    }
}

/// The level that this process uses. A program asks at its start, to show the error before anything needs a kernel.
pub fn level() -> Result<Level, LevelError> {
    let value = std::env::var_os(LEVEL_VARIABLE);
    choose(value.map(|value| value.to_string_lossy().into_owned()).as_deref())
}

/// The kernels of this process, chosen at the first call.
///
/// # Panics
/// When `KATZENSPRUNG_SIMD` is wrong and the program has not asked for [`level`] first.
pub fn kernels() -> &'static Kernels {
    static KERNELS: OnceLock<Kernels> = OnceLock::new();
    KERNELS.get_or_init(|| {
        let level = level().unwrap_or_else(|error| panic!("{error}"));
        Kernels::of(level).expect("a chosen level has kernels")
    })
}

#[cfg(test)]
mod tests;
