//! ML-KEM-768 decapsulation (FIPS 203) of several packets at once under one key.
//!
//! Lanes are packets: every polynomial is a vector's worth of polynomials, every coefficient of the key a constant for
//! all lanes, and nothing moves between packets but where ciphertexts come in. A vector of 16-bit words holds a *pair*
//! of neighbouring coefficients of each packet, because products modulo X² - z and the hardware's scalar product of
//! pairs fit each other; sixteen packets at AVX-512, eight at AVX2. The hashes run on lanes of 64 bits, half as many
//! per vector, so that there are two *groups* of them.
//!
//! | module | what it holds |
//! |---|---|
//! | `ring` | coefficients modulo q: Montgomery's products, products of pairs, compression |
//! | `ntt` | the transform and its inverse |
//! | `units` | words of hashes and ciphertexts to pairs of coefficients and back |
//! | `key` | the constants of a key |
//! | `decapsulate` | the algorithm |

mod decapsulate;
mod key;
mod ntt;
mod ring;
mod units;

pub(crate) use key::{Key, PRIVATE_KEY_BYTES};

use crate::cpu::Proof;
use crate::lanes::Emulated;
use decapsulate::Steps;
use ring::Polynomial;

/// Bytes of a ciphertext.
pub(crate) const CIPHERTEXT_BYTES: usize = 1088;

/// Bytes of a secret.
pub(crate) const SECRET_BYTES: usize = 32;

/// Bits of a number in the two parts of a ciphertext.
const DU: u32 = 10;
const DV: u32 = 4;

/// Packets in one call, at most, of any kernel.
pub(crate) const BATCH_MAX: usize = 16;

/// A kernel and for what it is good.
#[derive(Clone, Copy)]
pub(crate) struct Kernel {
    /// Packets in one call, at most.
    pub(crate) batch: usize,
    /// Fewer packets than this are faster one by one in a library.
    pub(crate) least: usize,
    /// Writes the secret of each ciphertext; there are as many of both, not more than `batch` and at least one.
    pub(crate) decapsulate: Decapsulate,
}

type Decapsulate = fn(&Key, &[&[u8; CIPHERTEXT_BYTES]], &mut [[u8; SECRET_BYTES]]);

/// The kernel for a level, where it is faster than the library.
pub(crate) fn kernel(proof: Proof) -> Option<Kernel> {
    match proof {
        Proof::Portable => None,
        #[cfg(target_arch = "x86_64")]
        Proof::Avx2(token) => Some(x86::avx2(token)),
        #[cfg(target_arch = "x86_64")]
        Proof::Avx2Vaes(token) => Some(x86::avx2(token.into())),
        #[cfg(target_arch = "x86_64")]
        Proof::Avx512(token) => Some(x86::avx512(token)),
    }
}

/// The kernels' twin, which runs everywhere.
#[cfg_attr(not(test), expect(dead_code, reason = "the library is faster than the twin"))]
pub(crate) fn emulated<const LANES: usize>() -> Kernel {
    Kernel {
        batch: decapsulate::GROUPS * LANES,
        least: 1,
        decapsulate: |key, ciphertexts, secrets| {
            let groups = ciphertexts.len().div_ceil(LANES);
            decapsulate::decapsulate(Emulated::<LANES>, groups, key, ciphertexts, secrets);
        },
    }
}

impl<const N: usize> Steps for Emulated<N> {
    fn forward(self, polynomial: &mut Polynomial<[u64; N]>) {
        ntt::forward(self, polynomial);
    }

    fn inverse(self, polynomial: &mut Polynomial<[u64; N]>) {
        ntt::inverse(self, polynomial);
    }
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use super::{CIPHERTEXT_BYTES, Decapsulate, Kernel, Key, SECRET_BYTES, Steps, decapsulate, ntt, ring::Polynomial};
    use crate::cpu::{Avx2, Avx512};
    use crate::lanes::Lanes;
    use std::arch::x86_64::{__m256i, __m512i};

    macro_rules! level {
        ($(#[$doc:meta])* $name:ident, $token:ident, $vector:ty, $features:literal) => {
            impl Steps for $token {
                #[inline(always)]
                fn forward(self, polynomial: &mut Polynomial<$vector>) {
                    #[target_feature(enable = $features)]
                    fn inner(token: $token, polynomial: &mut Polynomial<$vector>) {
                        ntt::forward(token, polynomial);
                    }
                    // SAFETY: the token proves the features.
                    unsafe { inner(self, polynomial) }
                }

                #[inline(always)]
                fn inverse(self, polynomial: &mut Polynomial<$vector>) {
                    #[target_feature(enable = $features)]
                    fn inner(token: $token, polynomial: &mut Polynomial<$vector>) {
                        ntt::inverse(token, polynomial);
                    }
                    // SAFETY: the token proves the features.
                    unsafe { inner(self, polynomial) }
                }
            }

            $(#[$doc])*
            pub(super) fn $name(_: $token) -> Kernel {
                #[target_feature(enable = $features)]
                fn inner(key: &Key, ciphertexts: &[&[u8; CIPHERTEXT_BYTES]], secrets: &mut [[u8; SECRET_BYTES]]) {
                    // SAFETY: this function is reached through the kernel only, which the token's owner made.
                    let token = unsafe { $token::assume() };
                    let groups = ciphertexts.len().div_ceil($token::LANES);
                    decapsulate::decapsulate(token, groups, key, ciphertexts, secrets);
                }
                let decapsulate: Decapsulate = |key, ciphertexts, secrets| {
                    // SAFETY: whoever has the kernel had the token, so the CPU has the features.
                    unsafe { inner(key, ciphertexts, secrets) }
                };
                Kernel { batch: decapsulate::GROUPS * $token::LANES, least: 2, decapsulate }
            }
        };
    }

    level!(
        /// The kernel for AVX2; the token is the proof that it may be called.
        avx2, Avx2, __m256i, "avx2"
    );
    level!(
        /// The kernel for AVX-512; the token is the proof that it may be called.
        avx512, Avx512, __m512i, "avx512f,avx512bw,avx512dq,avx512vl"
    );
}

#[cfg(test)]
mod tests;
