//! SHA-256 and SHA-512 (FIPS 180-4) over lanes: one compression function for both, in the standard's names.

#[cfg(target_arch = "x86_64")]
use super::sha_ni;
use super::{Blocks, Kernel, Rows, messages};
use crate::cpu::Proof;
use crate::lanes::words::{Words, Words32, Words64, load};

/// What differs between the two functions.
trait Sha2: Words {
    const ROUNDS: usize;
    const BLOCK_BYTES: usize;

    fn constant(self, round: usize) -> Self::Vector;
    /// The 16 words of one block in all lanes.
    fn splat_block(self, bytes: &[u8]) -> [Self::Vector; 16];
    fn big_sigma_0(self, x: Self::Vector) -> Self::Vector;
    fn big_sigma_1(self, x: Self::Vector) -> Self::Vector;
    fn small_sigma_0(self, x: Self::Vector) -> Self::Vector;
    fn small_sigma_1(self, x: Self::Vector) -> Self::Vector;
}

impl<T> Sha2 for Words32<T>
where
    Self: Words<Word = u32>,
{
    const ROUNDS: usize = 64;
    const BLOCK_BYTES: usize = 64;

    #[inline(always)]
    fn constant(self, round: usize) -> Self::Vector {
        // The first 32 bits of the fractional parts of the same cube roots.
        self.splat((K[round] >> 32) as u32)
    }

    #[inline(always)]
    fn splat_block(self, bytes: &[u8]) -> [Self::Vector; 16] {
        let mut words = [self.splat(0); 16];
        for (word, bytes) in words.iter_mut().zip(bytes.as_chunks().0) {
            *word = self.splat(u32::from_be_bytes(*bytes));
        }
        words
    }

    #[inline(always)]
    fn big_sigma_0(self, x: Self::Vector) -> Self::Vector {
        self.xor3(self.rotate_right::<2>(x), self.rotate_right::<13>(x), self.rotate_right::<22>(x))
    }

    #[inline(always)]
    fn big_sigma_1(self, x: Self::Vector) -> Self::Vector {
        self.xor3(self.rotate_right::<6>(x), self.rotate_right::<11>(x), self.rotate_right::<25>(x))
    }

    #[inline(always)]
    fn small_sigma_0(self, x: Self::Vector) -> Self::Vector {
        self.xor3(self.rotate_right::<7>(x), self.rotate_right::<18>(x), self.shift_right::<3>(x))
    }

    #[inline(always)]
    fn small_sigma_1(self, x: Self::Vector) -> Self::Vector {
        self.xor3(self.rotate_right::<17>(x), self.rotate_right::<19>(x), self.shift_right::<10>(x))
    }
}

impl<T> Sha2 for Words64<T>
where
    Self: Words<Word = u64>,
{
    const ROUNDS: usize = 80;
    const BLOCK_BYTES: usize = 128;

    #[inline(always)]
    fn constant(self, round: usize) -> Self::Vector {
        self.splat(K[round])
    }

    #[inline(always)]
    fn splat_block(self, bytes: &[u8]) -> [Self::Vector; 16] {
        let mut words = [self.splat(0); 16];
        for (word, bytes) in words.iter_mut().zip(bytes.as_chunks().0) {
            *word = self.splat(u64::from_be_bytes(*bytes));
        }
        words
    }

    #[inline(always)]
    fn big_sigma_0(self, x: Self::Vector) -> Self::Vector {
        self.xor3(self.rotate_right::<28>(x), self.rotate_right::<34>(x), self.rotate_right::<39>(x))
    }

    #[inline(always)]
    fn big_sigma_1(self, x: Self::Vector) -> Self::Vector {
        self.xor3(self.rotate_right::<14>(x), self.rotate_right::<18>(x), self.rotate_right::<41>(x))
    }

    #[inline(always)]
    fn small_sigma_0(self, x: Self::Vector) -> Self::Vector {
        self.xor3(self.rotate_right::<1>(x), self.rotate_right::<8>(x), self.shift_right::<7>(x))
    }

    #[inline(always)]
    fn small_sigma_1(self, x: Self::Vector) -> Self::Vector {
        self.xor3(self.rotate_right::<19>(x), self.rotate_right::<61>(x), self.shift_right::<6>(x))
    }
}

/// The first 64 bits of the fractional parts of the cube roots of the first 80 primes.
#[rustfmt::skip]
pub(super) const K: [u64; 80] = [
    0x428a_2f98_d728_ae22, 0x7137_4491_23ef_65cd, 0xb5c0_fbcf_ec4d_3b2f, 0xe9b5_dba5_8189_dbbc,
    0x3956_c25b_f348_b538, 0x59f1_11f1_b605_d019, 0x923f_82a4_af19_4f9b, 0xab1c_5ed5_da6d_8118,
    0xd807_aa98_a303_0242, 0x1283_5b01_4570_6fbe, 0x2431_85be_4ee4_b28c, 0x550c_7dc3_d5ff_b4e2,
    0x72be_5d74_f27b_896f, 0x80de_b1fe_3b16_96b1, 0x9bdc_06a7_25c7_1235, 0xc19b_f174_cf69_2694,
    0xe49b_69c1_9ef1_4ad2, 0xefbe_4786_384f_25e3, 0x0fc1_9dc6_8b8c_d5b5, 0x240c_a1cc_77ac_9c65,
    0x2de9_2c6f_592b_0275, 0x4a74_84aa_6ea6_e483, 0x5cb0_a9dc_bd41_fbd4, 0x76f9_88da_8311_53b5,
    0x983e_5152_ee66_dfab, 0xa831_c66d_2db4_3210, 0xb003_27c8_98fb_213f, 0xbf59_7fc7_beef_0ee4,
    0xc6e0_0bf3_3da8_8fc2, 0xd5a7_9147_930a_a725, 0x06ca_6351_e003_826f, 0x1429_2967_0a0e_6e70,
    0x27b7_0a85_46d2_2ffc, 0x2e1b_2138_5c26_c926, 0x4d2c_6dfc_5ac4_2aed, 0x5338_0d13_9d95_b3df,
    0x650a_7354_8baf_63de, 0x766a_0abb_3c77_b2a8, 0x81c2_c92e_47ed_aee6, 0x9272_2c85_1482_353b,
    0xa2bf_e8a1_4cf1_0364, 0xa81a_664b_bc42_3001, 0xc24b_8b70_d0f8_9791, 0xc76c_51a3_0654_be30,
    0xd192_e819_d6ef_5218, 0xd699_0624_5565_a910, 0xf40e_3585_5771_202a, 0x106a_a070_32bb_d1b8,
    0x19a4_c116_b8d2_d0c8, 0x1e37_6c08_5141_ab53, 0x2748_774c_df8e_eb99, 0x34b0_bcb5_e19b_48a8,
    0x391c_0cb3_c5c9_5a63, 0x4ed8_aa4a_e341_8acb, 0x5b9c_ca4f_7763_e373, 0x682e_6ff3_d6b2_b8a3,
    0x748f_82ee_5def_b2fc, 0x78a5_636f_4317_2f60, 0x84c8_7814_a1f0_ab72, 0x8cc7_0208_1a64_39ec,
    0x90be_fffa_2363_1e28, 0xa450_6ceb_de82_bde9, 0xbef9_a3f7_b2c6_7915, 0xc671_78f2_e372_532b,
    0xca27_3ece_ea26_619c, 0xd186_b8c7_21c0_c207, 0xeada_7dd6_cde0_eb1e, 0xf57d_4f7f_ee6e_d178,
    0x06f0_67aa_7217_6fba, 0x0a63_7dc5_a2c8_98a6, 0x113f_9804_bef9_0dae, 0x1b71_0b35_131c_471b,
    0x28db_77f5_2304_7d84, 0x32ca_ab7b_40c7_2493, 0x3c9e_be0a_15c9_bebc, 0x431d_67c4_9c10_0d4c,
    0x4cc5_d4be_cb3e_42b6, 0x597f_299c_fc65_7e2a, 0x5fcb_6fab_3ad6_faec, 0x6c44_198c_4a47_5817,
];

/// HMAC and HKDF with SHA-256 of several messages.
pub(crate) type Sha256 = Kernel<Calls256>;
/// SHA-512/256 of several messages.
pub(crate) type Sha512 = Kernel<fn(&[&[u8]], &mut [[u8; 32]])>;

/// See [`messages`].
#[derive(Clone, Copy)]
pub(crate) struct Calls256 {
    pub(crate) hmac: Hmac,
    pub(crate) hkdf_expand: HkdfExpand,
}

/// Keys, messages, tags.
type Hmac = fn(&[&[u8; 32]], &[&[u8]], &mut [[u8; 32]]);
/// Pseudorandom keys, `info`, outputs.
type HkdfExpand = fn(&[&[u8]], &[u8], &mut [&mut [u8]]);

/// The kernels that run everywhere: the twins with which the others are compared.
#[cfg(test)]
pub(crate) mod emulated {
    use super::*;
    use crate::lanes::Emulated;

    fn absorb_256(state: &mut Rows<u32, 16, 8>, blocks: Blocks<'_, u32, 16>) {
        absorb(Words32(Emulated::<16>), state, blocks);
    }

    pub(crate) const SHA256: Sha256 = Kernel {
        lanes: 16,
        worth: 1,
        call: Calls256 {
            hmac: |keys, texts, tags| messages::hmac_sha256(absorb_256, keys, texts, tags),
            hkdf_expand: |prks, info, outputs| messages::hkdf_expand_sha256(absorb_256, prks, info, outputs),
        },
    };

    pub(crate) const SHA512: Sha512 = Kernel {
        lanes: 8,
        worth: 1,
        call: |texts, digests| {
            messages::sha512_256::<8>(|state, blocks| absorb(Words64(Emulated::<8>), state, blocks), texts, digests);
        },
    };
}

/// The kernels for SHA-256 of several messages at a level, widest first.
pub(crate) fn kernels_256(proof: Proof) -> [Option<Sha256>; 2] {
    #[cfg(target_arch = "x86_64")]
    {
        let pair = crate::cpu::ShaNi::detect().map(sha_ni::kernel);
        match proof {
            Proof::Portable => [None, None],
            // Eight lanes without rotation are slower than the SHA instructions.
            Proof::Avx2(_) | Proof::Avx2Vaes(_) if pair.is_some() => [pair, None],
            Proof::Avx2(token) => [Some(x86::avx2_256(token)), None],
            Proof::Avx2Vaes(token) => [Some(x86::avx2_256(token.into())), None],
            Proof::Avx512(token) => [Some(x86::avx512_256(token)), pair],
        }
    }
    #[cfg(not(target_arch = "x86_64"))]
    match proof {
        Proof::Portable => [None, None],
    }
}

/// SHA-512 of several messages at a level.
pub(crate) fn kernel_512(proof: Proof) -> Option<Sha512> {
    match proof {
        #[cfg(target_arch = "x86_64")]
        Proof::Avx512(token) => Some(x86::avx512_512(token)),
        #[cfg(target_arch = "x86_64")]
        Proof::Avx2(token) => Some(x86::avx2_512(token)),
        #[cfg(target_arch = "x86_64")]
        Proof::Avx2Vaes(token) => Some(x86::avx2_512(token.into())),
        Proof::Portable => None,
    }
}

#[cfg(all(test, target_arch = "x86_64"))]
pub(crate) use x86::avx2_256;

/// The kernel of the function `$absorb`, which needs the features and is not inlined: it is large.
#[cfg(target_arch = "x86_64")]
macro_rules! kernel_256 {
    ($absorb:path, $lanes:expr, $worth:expr, $features:literal) => {{
        #[target_feature(enable = $features)]
        fn hmac(keys: &[&[u8; 32]], texts: &[&[u8]], tags: &mut [[u8; 32]]) {
            $crate::kernels::multibuffer::messages::hmac_sha256::<{ $lanes }>(
                |state, blocks| $absorb(state, blocks),
                keys,
                texts,
                tags,
            );
        }
        #[target_feature(enable = $features)]
        fn hkdf_expand(prks: &[&[u8]], info: &[u8], outputs: &mut [&mut [u8]]) {
            $crate::kernels::multibuffer::messages::hkdf_expand_sha256::<{ $lanes }>(
                |state, blocks| $absorb(state, blocks),
                prks,
                info,
                outputs,
            );
        }
        let call = $crate::kernels::multibuffer::sha2::Calls256 {
            // SAFETY: whoever has the kernel had the token, so the CPU has the features.
            hmac: |keys, texts, tags| unsafe { hmac(keys, texts, tags) },
            // SAFETY: likewise.
            hkdf_expand: |prks, info, outputs| unsafe { hkdf_expand(prks, info, outputs) },
        };
        Kernel { lanes: $lanes, worth: $worth, call }
    }};
}
#[cfg(target_arch = "x86_64")]
pub(super) use kernel_256;

#[cfg(target_arch = "x86_64")]
mod x86 {
    use super::*;
    use crate::cpu::{Avx2, Avx512};

    /// A function that absorbs with the features of a token, which whoever reaches it had.
    macro_rules! absorb {
        ($name:ident, $token:ident, $words:ident, $word:ty, $lanes:literal, $features:literal) => {
            #[target_feature(enable = $features)]
            #[inline(never)]
            fn $name(state: &mut Rows<$word, $lanes, 8>, blocks: Blocks<'_, $word, $lanes>) {
                // SAFETY: this function is reached through the kernel only, which the token's owner made.
                absorb($words(unsafe { $token::assume() }), state, blocks);
            }
        };
    }

    absorb!(absorb_avx512_256, Avx512, Words32, u32, 16, "avx512f,avx512bw,avx512dq,avx512vl");
    absorb!(absorb_avx512_512, Avx512, Words64, u64, 8, "avx512f,avx512bw,avx512dq,avx512vl");
    absorb!(absorb_avx2_256, Avx2, Words32, u32, 8, "avx2");
    absorb!(absorb_avx2_512, Avx2, Words64, u64, 4, "avx2");

    pub(super) fn avx512_256(_: Avx512) -> Sha256 {
        kernel_256!(absorb_avx512_256, 16, 7, "avx512f,avx512bw,avx512dq,avx512vl")
    }

    pub(crate) fn avx2_256(_: Avx2) -> Sha256 {
        kernel_256!(absorb_avx2_256, 8, 3, "avx2")
    }

    pub(super) fn avx512_512(_: Avx512) -> Sha512 {
        #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
        fn inner(texts: &[&[u8]], digests: &mut [[u8; 32]]) {
            messages::sha512_256::<8>(|state, blocks| absorb_avx512_512(state, blocks), texts, digests);
        }
        // SAFETY: whoever has the kernel had the token, so the CPU has the features.
        Kernel { lanes: 8, worth: 2, call: |texts, digests| unsafe { inner(texts, digests) } }
    }

    pub(super) fn avx2_512(_: Avx2) -> Sha512 {
        #[target_feature(enable = "avx2")]
        fn inner(texts: &[&[u8]], digests: &mut [[u8; 32]]) {
            messages::sha512_256::<4>(|state, blocks| absorb_avx2_512(state, blocks), texts, digests);
        }
        // SAFETY: whoever has the kernel had the token, so the CPU has the features.
        Kernel { lanes: 4, worth: 3, call: |texts, digests| unsafe { inner(texts, digests) } }
    }
}

/// Takes the blocks into the states of all lanes.
#[inline(always)]
fn absorb<S: Sha2, const LANES: usize>(s: S, rows: &mut Rows<S::Word, LANES, 8>, blocks: Blocks<'_, S::Word, LANES>)
where
    S::Word: zeroize::DefaultIsZeroes,
{
    let mut state = load(s, rows);
    match blocks {
        Blocks::Bytes(inputs) => {
            for block in 0..inputs[0].len() / S::BLOCK_BYTES {
                let words = s.load_block::<true>(inputs, block * S::BLOCK_BYTES);
                state = compress(s, state, words);
            }
        }
        Blocks::Shared(bytes, digests) => {
            let mut words = s.splat_block(bytes);
            if let Some(digests) = digests {
                words[..8].copy_from_slice(&load(s, digests));
            }
            state = compress(s, state, words);
        }
    }
    for row in 0..8 {
        s.store(state[row], &mut rows[row]);
    }
}

/// Runs `$step` for 0 to 15, so that indices of words are known when compiling.
macro_rules! sixteen {
    ($step:ident) => {
        $step!(0);
        $step!(1);
        $step!(2);
        $step!(3);
        $step!(4);
        $step!(5);
        $step!(6);
        $step!(7);
        $step!(8);
        $step!(9);
        $step!(10);
        $step!(11);
        $step!(12);
        $step!(13);
        $step!(14);
        $step!(15);
    };
}

#[inline(always)]
fn compress<S: Sha2>(s: S, before: [S::Vector; 8], mut w: [S::Vector; 16]) -> [S::Vector; 8] {
    let mut state = before;
    let mut first = 0;
    while first < S::ROUNDS - 16 {
        macro_rules! step {
            ($t:literal) => {
                state = round(s, state, s.add(w[$t], s.constant(first + $t)));
                // The word of 16 rounds later takes the place of this one.
                let sum = s.add(w[$t], w[($t + 9) % 16]);
                let sigmas = s.add(s.small_sigma_0(w[($t + 1) % 16]), s.small_sigma_1(w[($t + 14) % 16]));
                w[$t] = s.add(sum, sigmas);
            };
        }
        sixteen!(step);
        first += 16;
    }
    macro_rules! step {
        ($t:literal) => {
            state = round(s, state, s.add(w[$t], s.constant(first + $t)));
        };
    }
    sixteen!(step);
    for row in 0..8 {
        state[row] = s.add(state[row], before[row]);
    }
    state
}

/// One round with the sum of its word and its constant.
#[inline(always)]
fn round<S: Sha2>(s: S, [a, b, c, d, e, f, g, h]: [S::Vector; 8], word: S::Vector) -> [S::Vector; 8] {
    let (sum, chosen, sigma) = (s.add(h, word), s.choose(e, f, g), s.big_sigma_1(e));
    let next_e = s.add_in_order(s.add_in_order(s.add(d, sum), chosen), sigma);
    let t_1 = s.add_in_order(s.add_in_order(sum, chosen), sigma);
    let next_a = s.add_in_order(s.add_in_order(t_1, s.majority(a, b, c)), s.big_sigma_0(a));
    [next_a, a, b, c, next_e, e, f, g]
}
