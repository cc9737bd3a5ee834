//! Vectors of AES blocks: what AEZ and the counter mode need from a CPU.
//!
//! AES-NI, VAES with 256 or 512 bits (`x86`), or a bit-sliced AES that is constant time everywhere (`soft`). The counter
//! mode itself is in `ctr`.

#[cfg(any(test, target_arch = "x86_64"))]
mod counter;
pub(crate) mod ctr;
pub(crate) mod soft;
#[cfg(target_arch = "x86_64")]
mod x86;

/// Sixteen bytes of a message or a key.
pub(crate) type Block = [u8; 16];

/// Thirty-two bytes of a message: `M_i`, then `M'_i`.
pub(crate) type Pair = [u8; 32];

/// `LANES` AES blocks that go through the same operations. A value of the implementing type is the proof that the CPU
/// can do them. A vector with the same block in every lane is called a splat.
pub(crate) trait Blocks: Copy {
    /// Blocks in one vector; divides 8.
    const LANES: usize;

    /// The blocks.
    type Vector: Copy;

    /// The blocks as 128-bit integers whose most significant byte is the block's first.
    type Number: Copy;

    /// The same block in every lane.
    fn splat(self, block: &Block) -> Self::Vector;

    /// The block in the first lane.
    fn first(self, vector: Self::Vector) -> Block;

    /// Lane k of the vector number k, for [`Self::LANES`] vectors.
    fn set(self, vectors: &[Self::Vector]) -> Self::Vector;

    /// The blocks of all lanes, added up, in every lane.
    fn sum(self, vector: Self::Vector) -> Self::Vector;

    /// The first `count` lanes; zeros in the others.
    fn only(self, vector: Self::Vector, count: usize) -> Self::Vector;

    /// The first and the second halves of at most [`Self::LANES`] pairs; zeros in the lanes of missing ones.
    fn load(self, pairs: &[Pair]) -> (Self::Vector, Self::Vector);

    /// Writes the first and the second halves of at most [`Self::LANES`] pairs.
    fn store(self, first: Self::Vector, second: Self::Vector, pairs: &mut [Pair]);

    /// Two vectors from the room of [`Self::LANES`] pairs where [`Self::put`] left them.
    fn get(self, room: &[Pair]) -> (Self::Vector, Self::Vector);

    /// Leaves two vectors in the room of [`Self::LANES`] pairs, in whatever form is cheapest.
    fn put(self, first: Self::Vector, second: Self::Vector, room: &mut [Pair]);

    /// Addition of blocks.
    fn xor(self, a: Self::Vector, b: Self::Vector) -> Self::Vector;

    /// The bits set in both.
    fn and(self, a: Self::Vector, b: Self::Vector) -> Self::Vector;

    /// One AES round: SubBytes, ShiftRows, MixColumns, then the round key.
    fn round(self, state: Self::Vector, key: Self::Vector) -> Self::Vector;

    /// Leaves the vectors as they are, and has all of them computed before anything that uses one: a compiler that
    /// finishes one chain of rounds after the other fills the CPU's window with what has to wait.
    #[inline(always)]
    fn in_step(self, _vectors: &mut [Self::Vector]) {}

    /// The blocks as integers.
    fn number(self, vector: Self::Vector) -> Self::Number;

    /// The inverse of [`Self::number`].
    fn vector(self, number: Self::Number) -> Self::Vector;

    /// Multiplication by x in the field whose polynomial is x^128 + x^7 + x^2 + x + 1, the number's bits being the
    /// coefficients.
    fn double(self, number: Self::Number) -> Self::Number;
}
