//! Levels of CPU: their names, the tokens that prove them, and which one this process uses.
//!
//! A token is a value of no size that only its `detect` makes: who has one may call code that needs these features.
//! The choice can be overridden by `KATZENSPRUNG_SIMD` (`portable`, `avx2`, `avx2+vaes`, `avx512`), to a level that the
//! CPU has.

use std::fmt;
use std::str::FromStr;

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

impl Level {
    /// Public-key operations that the kernels do together.
    pub const fn lanes(self) -> usize {
        match self {
            Self::Portable => 1,
            Self::Avx2 | Self::Avx2Vaes => 4,
            Self::Avx512 => 8,
        }
    }

    /// Whether this CPU has it.
    pub fn is_here(self) -> bool {
        Proof::of(self).is_some()
    }
}

/// The best level of this CPU.
pub fn detect() -> Level {
    Level::ALL.into_iter().rfind(|level| level.is_here()).unwrap_or(Level::Portable)
}

/// The level of `name` (the value of `KATZENSPRUNG_SIMD`), or the best one.
pub fn choose(name: Option<&str>) -> Result<Level, LevelError> {
    let best = detect();
    match name {
        None | Some("") => Ok(best),
        Some(name) => match name.parse::<Level>()? {
            asked if asked.is_here() => Ok(asked),
            asked => Err(LevelError::Lacking { asked, best }),
        },
    }
}

/// The level that this process uses. A program asks at its start, to show the error before anything needs a kernel.
pub fn level() -> Result<Level, LevelError> {
    let value = std::env::var_os(LEVEL_VARIABLE);
    choose(value.map(|value| value.to_string_lossy().into_owned()).as_deref())
}

#[cfg(test)]
mod tests;
