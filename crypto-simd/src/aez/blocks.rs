//! Vectors of AES blocks: what the AEZ algorithm needs from a CPU.

/// Thirty-two bytes of the message: `M_i`, then `M'_i`.
pub(super) type Pair = [u8; 32];

/// `LANES` AES blocks that go through the same operations. A value of the implementing type is the proof that the CPU
/// can do them.
pub(super) trait Blocks: Copy {
    /// Blocks in one vector; divides 8.
    const LANES: usize;

    /// The blocks.
    type Vector: Copy;

    /// The same block in every lane.
    fn splat(self, block: u128) -> Self::Vector;

    /// The block in the first lane.
    fn first(self, vector: Self::Vector) -> u128;

    /// One block per lane.
    fn set(self, blocks: &[u128]) -> Self::Vector;

    /// The blocks of all lanes, added up.
    fn sum(self, vector: Self::Vector) -> u128;

    /// The first and the second halves of [`Self::LANES`] pairs.
    fn load(self, pairs: &[Pair]) -> (Self::Vector, Self::Vector);

    /// Writes the first and the second halves of [`Self::LANES`] pairs.
    fn store(self, first: Self::Vector, second: Self::Vector, pairs: &mut [Pair]);

    /// Addition of blocks.
    fn xor(self, a: Self::Vector, b: Self::Vector) -> Self::Vector;

    /// One AES round: SubBytes, ShiftRows, MixColumns, then the round key.
    fn round(self, state: Self::Vector, key: Self::Vector) -> Self::Vector;
}
