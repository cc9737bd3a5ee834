//! The entry points of AEZ for each level of CPU.

use super::{Direction, KEY_BYTES, Kernel, Tweak, cipher};
use crate::aes::soft::Soft;
#[cfg(target_arch = "x86_64")]
use crate::cpu::{Avx2, Avx2Vaes, Avx512};

/// The entry points that run everywhere.
pub(super) const PORTABLE: Kernel = Kernel {
    cipher: |key, tweak, data, direction| cipher::cipher::<_, 2, 2>(Soft, key, tweak, data, direction),
    hash: |key, tweak| cipher::hash(Soft, key, tweak),
    prf: |key, delta, output| cipher::prf(Soft, key, delta, output),
};

/// Declares the entry points of one backend: safe functions that name the token, each around one function that carries
/// the target features and into which everything else is inlined.
#[cfg(target_arch = "x86_64")]
macro_rules! entry_points {
    ($kernel:ident, $token:ident, $group:literal, $step:literal, $features:literal) => {
        /// The entry points of this backend; the token is the proof that they may be called.
        pub(super) fn $kernel(_: $token) -> Kernel {
            #[inline(always)]
            fn token() -> $token {
                // SAFETY: the functions below are reached through the kernel only, which the token's owner made.
                unsafe { $token::assume() }
            }
            #[target_feature(enable = $features)]
            fn cipher_inner(key: &[u8; KEY_BYTES], tweak: &Tweak<'_>, data: &mut [u8], direction: Direction) {
                cipher::cipher::<_, $group, $step>(token(), key, tweak, data, direction);
            }
            #[target_feature(enable = $features)]
            fn hash_inner(key: &[u8; KEY_BYTES], tweak: &Tweak<'_>) -> [u8; 16] {
                cipher::hash(token(), key, tweak)
            }
            #[target_feature(enable = $features)]
            fn prf_inner(key: &[u8; KEY_BYTES], delta: &[u8; 16], output: &mut [u8]) {
                cipher::prf(token(), key, delta, output);
            }
            Kernel {
                // SAFETY: whoever has the kernel had the token, so the CPU has the features.
                cipher: |key, tweak, data, direction| unsafe { cipher_inner(key, tweak, data, direction) },
                // SAFETY: as above.
                hash: |key, tweak| unsafe { hash_inner(key, tweak) },
                // SAFETY: as above.
                prf: |key, delta, output| unsafe { prf_inner(key, delta, output) },
            }
        }
    };
}

#[cfg(target_arch = "x86_64")]
entry_points!(aes_ni, Avx2, 8, 4, "avx2,aes");
#[cfg(target_arch = "x86_64")]
entry_points!(vaes_256, Avx2Vaes, 4, 4, "avx2,aes,vaes");
#[cfg(target_arch = "x86_64")]
entry_points!(vaes_512, Avx512, 4, 4, "avx512f,avx512bw,avx512dq,avx512vl,aes,vaes");
