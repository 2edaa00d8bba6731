//! Keys, as these kernels see them.
//!
//! A key travels as the unsigned word of its width, and is sorted by 8-bit digits of it. Two
//! things make other orders of that:
//!
//! - **Order mask.** The order of a signed type, or a descending one, is that of the word after
//!   an exclusive or with a constant: the sign bit for signed integers, its complement for
//!   descending order. An exclusive or acts on each digit by itself, so no key is changed for it:
//!   a pass takes the digit and then applies the mask.
//! - **Encoding.** Floating-point numbers, as sign and magnitude, run backwards below zero. The
//!   first pass complements the magnitude of negative numbers as it reads them, and the last one
//!   undoes it as it writes; with the sign bit flipped that is the total order of IEEE 754: -NaN,
//!   -infinity, .., -0, +0, .., NaN.

use core::ops::{BitAnd, BitOr, BitXor, Not, Shl, Shr};
use cuda_std::ext::{Word, hint};

pub const DIGIT_BITS: u32 = 8;
pub const RADIX: usize = 1 << DIGIT_BITS;

/// An unsigned word that is sorted by its digits.
pub trait Key:
    Word
    + Ord
    + BitXor<Output = Self>
    + BitAnd<Output = Self>
    + BitOr<Output = Self>
    + Not<Output = Self>
    + Shl<u32, Output = Self>
    + Shr<u32, Output = Self>
{
    /// Most digits of a key.
    const DIGITS: usize = size_of::<Self>();
    const BITS: u32 = 8 * size_of::<Self>() as u32;

    /// All ones if the highest bit is set, else 0.
    fn sign(self) -> Self;

    /// The digit from bit `shift` on, under `mask`, combined with `order_mask`.
    #[inline(always)]
    fn digit(self, shift: u32, mask: u32, order_mask: u32) -> u32 {
        ((self >> shift).to_u64() as u32 & mask) ^ order_mask
    }

    /// A key that no other is greater than in the order that `order_mask` makes.
    #[inline(always)]
    fn last(order_mask: Self) -> Self {
        !order_mask
    }

    /// A floating-point number's bits made to ascend with it, but for the sign bit; and back
    /// again.
    #[inline(always)]
    fn encode(self) -> Self {
        self ^ (self.sign() >> 1)
    }

    /// The same key, of 4 or 8 bytes, unknown to the compiler: see [`hint::opaque`].
    #[inline(always)]
    fn opaque(self) -> Self {
        const { assert!(matches!(Self::BITS, 32 | 64)) };
        let half = |shift: u32| hint::opaque((self >> shift).to_u64() as u32) as u64;
        match Self::BITS {
            32 => Self::from_u64(half(0)),
            _ => Self::from_u64(half(0) | half(32) << 32),
        }
    }
}

macro_rules! keys {
    ($($word:ty, $signed:ty;)*) => { $(
        impl Key for $word {
            #[inline(always)]
            fn sign(self) -> Self {
                (self as $signed >> (Self::BITS - 1)) as $word
            }
        }
    )* };
}

keys! {
    u8, i8;
    u16, i16;
    u32, i32;
    u64, i64;
    u128, i128;
}

/// Which bits of a key are sorted by, digit by digit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bits {
    /// The lowest bit.
    pub begin: u32,
    /// One more than the highest.
    pub end: u32,
}

impl Bits {
    /// Digits in these bits: the last may be short.
    #[inline(always)]
    pub fn digits(self) -> u32 {
        (self.end - self.begin).div_ceil(DIGIT_BITS)
    }

    /// Where digit `position` begins, and the mask of its bits.
    #[inline(always)]
    pub fn digit(self, position: u32) -> (u32, u32) {
        let shift = self.begin + DIGIT_BITS * position;
        let bits = (self.end - shift).min(DIGIT_BITS);
        (shift, (1 << bits) - 1)
    }
}
