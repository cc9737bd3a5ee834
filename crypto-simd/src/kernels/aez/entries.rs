//! The entry points of AEZ for each level of CPU.

use super::{Delta, Direction, KEY_BYTES, Kernel, Tweak, cipher};
#[cfg(target_arch = "x86_64")]
use crate::cpu::{Avx2, Avx2Vaes, Avx512};
#[cfg(target_arch = "x86_64")]
use crate::kernels::aes::Blocks;
use crate::kernels::aes::soft::Soft;
#[cfg(target_arch = "x86_64")]
use std::mem::MaybeUninit;

/// The entry points that run everywhere.
pub(super) const PORTABLE: Kernel = Kernel {
    core: |key, delta, data, direction| cipher::core::<_, 2, 2>(Soft, key, delta, data, direction),
    tiny: |key, delta, data, direction| cipher::tiny(Soft, key, delta, data, direction),
    hash: |key, tweak| cipher::hash(Soft, key, tweak),
    prf: |key, delta, output| cipher::prf(Soft, key, delta, output),
};

/// Overwrites as much of the stack as the caller's last call used for what did not fit into registers, which the
/// disassembly shows; on 512 bits everything fits. Short messages go through `zeroize::zeroize_stack`, which takes as
/// long as half a payload.
#[cfg(target_arch = "x86_64")]
#[inline(always)]
fn wipe<B: Blocks, const VECTORS: usize>(b: B) {
    let mut room = [const { MaybeUninit::<B::Vector>::uninit() }; VECTORS];
    for vector in &mut room {
        // SAFETY: the place is that of a vector.
        unsafe { vector.as_mut_ptr().write_volatile(b.splat(&[0; 16])) };
    }
}

/// Declares the entry points of one backend: safe functions that name the token, each around one function that carries
/// the target features and into which everything else is inlined.
#[cfg(target_arch = "x86_64")]
macro_rules! entry_points {
    ($kernel:ident, $token:ident, $group:literal, $step:literal, $stack:literal, $features:literal) => {
        /// The entry points of this backend; the token is the proof that they may be called.
        pub(super) fn $kernel(_: $token) -> Kernel {
            #[inline(always)]
            fn token() -> $token {
                // SAFETY: the functions below are reached through the kernel only, which the token's owner made.
                unsafe { $token::assume() }
            }
            #[target_feature(enable = $features)]
            fn core_inner(key: &[u8; KEY_BYTES], delta: Delta<'_>, data: &mut [u8], direction: Direction) {
                cipher::core::<_, $group, $step>(token(), key, delta, data, direction);
            }
            #[target_feature(enable = $features)]
            fn tiny_inner(key: &[u8; KEY_BYTES], delta: Delta<'_>, data: &mut [u8], direction: Direction) {
                cipher::tiny(token(), key, delta, data, direction);
            }
            #[inline(never)]
            #[target_feature(enable = $features)]
            fn wipe_stack() {
                wipe::<_, { $stack / (16 * <$token as Blocks>::LANES) }>(token());
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
                core: |key, delta, data, direction| {
                    // SAFETY: whoever has the kernel had the token, so the CPU has the features.
                    unsafe { core_inner(key, delta, data, direction) };
                    // SAFETY: as above.
                    unsafe { wipe_stack() };
                },
                tiny: |key, delta, data, direction| {
                    // SAFETY: as above.
                    unsafe { tiny_inner(key, delta, data, direction) };
                    zeroize::zeroize_stack::<2048>();
                },
                // SAFETY: as above.
                hash: |key, tweak| unsafe { hash_inner(key, tweak) },
                // SAFETY: as above.
                prf: |key, delta, output| unsafe { prf_inner(key, delta, output) },
            }
        }
    };
}

#[cfg(target_arch = "x86_64")]
entry_points!(aes_ni, Avx2, 8, 4, 704, "avx2,aes");
#[cfg(target_arch = "x86_64")]
entry_points!(vaes_256, Avx2Vaes, 4, 4, 1024, "avx2,aes,vaes");
#[cfg(target_arch = "x86_64")]
entry_points!(vaes_512, Avx512, 2, 2, 256, "avx512f,avx512bw,avx512dq,avx512vl,aes,vaes");
