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
        let below = ones::<W>(varying);
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

    /// Returns true if what varies has so many digits, a power of two.
    #[inline(always)]
    pub(crate) fn has_digits(self, digits: u32) -> bool {
        (self.greatest ^ self.least).to_u64() >= digits as u64 - 1
    }

    /// The greatest word of a digit, if there are as many as words are split into.
    #[inline(always)]
    pub(crate) fn greatest_of(self, digit: u32) -> W {
        self.least | W::from_u64((digit as u64) << self.shift) | ones(self.shift)
    }

    /// The bin within a digit, of a power of two of them.
    #[inline(always)]
    pub(crate) fn bin(self, word: W, bins: u32) -> u32 {
        (self.below(word) >> self.shift.saturating_sub(bins.ilog2())).to_u64() as u32 % bins
    }
}

/// So many of the lowest bits.
#[inline(always)]
fn ones<W: Key>(bits: u32) -> W {
    if bits == 0 { W::default() } else { !W::default() >> (W::BITS - bits) }
}
