// SPDX-License-Identifier: MIT OR Apache-2.0
//! Deterministic bytes from a seed: file content and forged checkpoints. Host and guest compute the
//! same bytes.

/// A SplitMix64 generator. Different seeds give different streams.
pub struct Prng(u64);

impl Prng {
    /// Creates the generator of `seed`.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Prng(seed.wrapping_mul(0xD1B5_4A32_D192_ED03))
    }

    /// Fills `bytes` with the next bytes of the stream. Each started group of eight bytes consumes
    /// one word.
    pub fn fill(&mut self, bytes: &mut [u8]) {
        for word in bytes.chunks_mut(8) {
            word.copy_from_slice(&self.next_u64().to_le_bytes()[..word.len()]);
        }
    }

    /// Returns the next word of the stream.
    pub fn next_u64(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }
}
