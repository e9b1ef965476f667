//! Dice that fall the same way again for the same seed, on every machine.

/// A sequence of numbers that a seed determines (SplitMix64).
#[derive(Debug, Clone)]
pub(in crate::journal) struct Dice(u64);

impl Dice {
    /// The sequence of this seed.
    pub(in crate::journal) fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// Another sequence, for something that must not disturb this one.
    pub(in crate::journal) fn split(&mut self) -> Self {
        Self(self.next())
    }

    /// The next number.
    pub(in crate::journal) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ mixed >> 31
    }

    /// A number below `bound`, which is not 0.
    pub(in crate::journal) fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.next() % bound as u64).unwrap_or(0)
    }

    /// Yes, once in `times`.
    pub(in crate::journal) fn once_in(&mut self, times: usize) -> bool {
        self.below(times) == 0
    }
}
