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
    let mut c = [a[0]; 5];
    for x in 0..5 {
        c[x] = l.xor_3(l.xor_3(a[x], a[x + 5], a[x + 10]), a[x + 15], a[x + 20]);
    }
    let mut d = c;
    for x in 0..5 {
        d[x] = l.xor(c[(x + 4) % 5], l.rotate_left::<1>(c[(x + 1) % 5]));
    }
    macro_rules! from {
        ($index:literal) => {
            l.xor(a[$index], d[$index % 5])
        };
        ($index:literal, $bits:literal) => {
            l.rotate_left::<$bits>(from!($index))
        };
    }
    let rows = [
        [from!(0), from!(6, 44), from!(12, 43), from!(18, 21), from!(24, 14)],
        [from!(3, 28), from!(9, 20), from!(10, 3), from!(16, 45), from!(22, 61)],
        [from!(1, 1), from!(7, 6), from!(13, 25), from!(19, 8), from!(20, 18)],
        [from!(4, 27), from!(5, 36), from!(11, 10), from!(17, 15), from!(23, 56)],
        [from!(2, 62), from!(8, 55), from!(14, 39), from!(15, 41), from!(21, 2)],
    ];
    let mut state = *a;
    for (index, vector) in state.iter_mut().enumerate() {
        let (b, x) = (rows[index / 5], index % 5);
        *vector = l.xor_and_not(b[x], b[(x + 1) % 5], b[(x + 2) % 5]);
    }
    state[0] = l.xor(state[0], l.splat(constant));
    state
}

#[cfg(test)]
mod tests;
