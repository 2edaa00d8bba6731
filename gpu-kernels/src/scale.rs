//! How the words of a sort by ranges are split into digits, and a digit into bins; see
//! [`fused`](crate::fused).

use crate::key::Key;

/// Equal parts of what has some leading bits in common, to which other words are brought.
#[derive(Clone, Copy)]
pub(crate) struct Scale<W> {
    /// The least and the greatest word with these bits.
    pub(crate) least: W,
    pub(crate) greatest: W,
    /// Bits below the digit's.
    pub(crate) shift: u32,
}

impl<W: Key> Scale<W> {
    /// Of words that have all but the lower `varying` bits in common with `word`.
    #[inline(always)]
    pub(crate) fn of(word: W, varying: u32, digit: u32) -> Self {
        let below = match varying {
            0 => W::default(),
            _ => !W::default() >> (W::BITS - varying),
        };
        let shift = varying.saturating_sub(digit);
        Scale { least: word & !below, greatest: word | below, shift }
    }

    #[inline(always)]
    fn below(self, word: W) -> W {
        word.max(self.least).min(self.greatest) ^ self.least
    }

    #[inline(always)]
    pub(crate) fn digit(self, word: W) -> u32 {
        // One digit of whole words leaves as many bits as a word has.
        (self.below(word) >> (self.shift / 2) >> self.shift.div_ceil(2)).to_u64() as u32
    }

    /// The bin within a digit, of a power of two of them.
    #[inline(always)]
    pub(crate) fn bin(self, word: W, bins: u32) -> u32 {
        (self.below(word) >> self.shift.saturating_sub(bins.ilog2())).to_u64() as u32 % bins
    }
}
