//! What a key is to these kernels.
//!
//! A key travels as the unsigned word of its width. The order of a signed type,
//! or a descending one, is that of the word after an exclusive or with a constant:
//! `flip`, the sign bit for signed integers, its complement for descending order.
//! An exclusive or acts on each digit by itself, so a pass never transforms a key:
//! it takes the digit and flips the digit.

use core::ops::{BitAnd, BitXor, Not, Shl, Shr};
use cuda_std::word::Word;

/// Bits of a digit.
pub const DIGIT_BITS: u32 = 8;
/// Values of a digit.
pub const RADIX: usize = 1 << DIGIT_BITS;

/// An unsigned word that is sorted by its digits.
pub trait Key:
    Word
    + Ord
    + BitXor<Output = Self>
    + BitAnd<Output = Self>
    + Not<Output = Self>
    + Shl<u32, Output = Self>
    + Shr<u32, Output = Self>
{
    /// Digits of a key.
    const PLACES: usize = size_of::<Self>();
    /// Bits of a key.
    const BITS: u32 = 8 * size_of::<Self>() as u32;

    /// The digit from bit `shift` on, flipped by `flip`.
    #[inline(always)]
    fn digit(self, shift: u32, flip: u32) -> u32 {
        ((self >> shift).to_u64() as u32 & (RADIX as u32 - 1)) ^ flip
    }

    /// A key that no other is greater than in the order that `flip` makes.
    #[inline(always)]
    fn last(flip: Self) -> Self {
        !flip
    }
}

impl Key for u8 {}
impl Key for u16 {}
impl Key for u32 {}
impl Key for u64 {}
impl Key for u128 {}
