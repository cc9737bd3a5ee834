//! Keccak-f\[1600\] of one state per lane, and what is made of it for batches.

use crate::lanes::{Emulated, Lanes};

/// Words of a state; word x + 5y is the lane (x, y) of FIPS 202 3.1.2.
pub(crate) const STATE_WORDS: usize = 25;

/// Words per block of the functions with a capacity of 512 bits: SHA3-256 and SHAKE256.
pub(crate) const RATE_WORDS: usize = super::RATE_BYTES / 8;

/// The states of as many messages as there are lanes.
pub(crate) type State<L> = [<L as Lanes>::Vector; STATE_WORDS];

/// Lanes with the permutation as a function of its own, which is not inlined where it is used.
pub(crate) trait Permute: Lanes {
    /// Permutes every lane's state.
    fn permute(self, state: &mut State<Self>);
}

impl<const N: usize> Permute for Emulated<N> {
    fn permute(self, state: &mut State<Self>) {
        f1600(self, state);
    }
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use super::{Permute, State, f1600};
    use crate::cpu::{Avx2, Avx512};

    impl Permute for Avx2 {
        #[inline(always)]
        fn permute(self, state: &mut State<Self>) {
            #[target_feature(enable = "avx2")]
            fn inner(token: Avx2, state: &mut State<Avx2>) {
                f1600(token, state);
            }
            // SAFETY: the token proves the feature.
            unsafe { inner(self, state) }
        }
    }

    impl Permute for Avx512 {
        #[inline(always)]
        fn permute(self, state: &mut State<Self>) {
            #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
            fn inner(token: Avx512, state: &mut State<Avx512>) {
                f1600(token, state);
            }
            // SAFETY: the token proves the features.
            unsafe { inner(self, state) }
        }
    }
}

/// FIPS 202 3.2.5.
const ROUND_CONSTANTS: [u64; 24] = [
    0x0000_0000_0000_0001,
    0x0000_0000_0000_8082,
    0x8000_0000_0000_808a,
    0x8000_0000_8000_8000,
    0x0000_0000_0000_808b,
    0x0000_0000_8000_0001,
    0x8000_0000_8000_8081,
    0x8000_0000_0000_8009,
    0x0000_0000_0000_008a,
    0x0000_0000_0000_0088,
    0x0000_0000_8000_8009,
    0x0000_0000_8000_000a,
    0x0000_0000_8000_808b,
    0x8000_0000_0000_008b,
    0x8000_0000_0000_8089,
    0x8000_0000_0000_8003,
    0x8000_0000_0000_8002,
    0x8000_0000_0000_0080,
    0x0000_0000_0000_800a,
    0x8000_0000_8000_000a,
    0x8000_0000_8000_8081,
    0x8000_0000_0000_8080,
    0x0000_0000_8000_0001,
    0x8000_0000_8000_8008,
];

#[inline(always)]
fn f1600<L: Lanes>(l: L, state: &mut State<L>) {
    let mut a = *state;
    for constant in ROUND_CONSTANTS {
        a = round(l, &a, constant);
    }
    *state = a;
}

/// One round: theta, then row by row rho, pi and chi, then iota.
#[inline(always)]
fn round<L: Lanes>(l: L, a: &State<L>, constant: u64) -> State<L> {
    macro_rules! column {
        ($x:literal) => {
            l.xor_3(l.xor_3(a[$x], a[$x + 5], a[$x + 10]), a[$x + 15], a[$x + 20])
        };
    }
    let c = [column!(0), column!(1), column!(2), column!(3), column!(4)];
    macro_rules! effect {
        ($left:literal, $right:literal) => {
            l.xor(c[$left], l.rotate_left::<1>(c[$right]))
        };
    }
    let d = [effect!(4, 1), effect!(0, 2), effect!(1, 3), effect!(2, 4), effect!(3, 0)];
    macro_rules! from {
        ($index:literal) => {
            l.xor(a[$index], d[$index % 5])
        };
        ($index:literal, $bits:literal) => {
            l.rotate_left::<$bits>(from!($index))
        };
    }
    let [s0, s1, s2, s3, s4] = chi(l, [from!(0), from!(6, 44), from!(12, 43), from!(18, 21), from!(24, 14)]);
    let [s5, s6, s7, s8, s9] = chi(l, [from!(3, 28), from!(9, 20), from!(10, 3), from!(16, 45), from!(22, 61)]);
    let [s10, s11, s12, s13, s14] = chi(l, [from!(1, 1), from!(7, 6), from!(13, 25), from!(19, 8), from!(20, 18)]);
    let [s15, s16, s17, s18, s19] = chi(l, [from!(4, 27), from!(5, 36), from!(11, 10), from!(17, 15), from!(23, 56)]);
    let [s20, s21, s22, s23, s24] = chi(l, [from!(2, 62), from!(8, 55), from!(14, 39), from!(15, 41), from!(21, 2)]);
    let s0 = l.xor(s0, l.splat(constant));
    [s0, s1, s2, s3, s4, s5, s6, s7, s8, s9, s10, s11, s12, s13, s14, s15, s16, s17, s18, s19, s20, s21, s22, s23, s24]
}

#[inline(always)]
fn chi<L: Lanes>(l: L, b: [L::Vector; 5]) -> [L::Vector; 5] {
    [
        l.xor_and_not(b[0], b[1], b[2]),
        l.xor_and_not(b[1], b[2], b[3]),
        l.xor_and_not(b[2], b[3], b[4]),
        l.xor_and_not(b[3], b[4], b[0]),
        l.xor_and_not(b[4], b[0], b[1]),
    ]
}

#[cfg(test)]
mod tests;
