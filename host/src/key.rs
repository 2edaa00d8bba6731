//! What a key is on the host: an integer with a total order and a word of raw bits.

use std::fmt::{Debug, Display};

use cust::memory::DeviceCopy;
use rdst::RadixKey;

/// A type that engines sort.
///
/// Keys are compared by `Ord` and told apart by [`to_bits`](Key::to_bits), so two
/// keys are equal exactly when their bits are. [`RadixKey`] is what the CPU's radix
/// sort takes its digits by.
pub trait Key:
    Copy + Ord + RadixKey + DeviceCopy + Send + Sync + Debug + Display + 'static
{
    /// Name of the type, as in records and benchmark names: `"u32"`.
    const NAME: &'static str;

    /// What the bits are combined with, by exclusive or, to be ordered as unsigned:
    /// how the GPU's kernels take the order of a type (`gpu_kernels::key`).
    const FLIP: u32;

    /// The raw bits, zero-extended.
    fn to_bits(self) -> u64;

    /// The key with the low bits of `bits` as its raw bits.
    fn from_bits(bits: u64) -> Self;

    /// The key that `rank` other keys of the type precede, `rank` taken from the
    /// lowest bits: 0 gives the least key, all ones the greatest.
    fn from_rank(rank: u64) -> Self;

    /// The key of this numeric value. A value that the type cannot hold wraps.
    fn from_value(value: u32) -> Self;

    /// The least key.
    fn least() -> Self {
        Self::from_rank(0)
    }

    /// The greatest key.
    fn greatest() -> Self {
        Self::from_rank(u64::MAX)
    }
}

impl Key for u32 {
    const NAME: &'static str = "u32";
    const FLIP: u32 = 0;

    fn to_bits(self) -> u64 {
        u64::from(self)
    }

    fn from_bits(bits: u64) -> Self {
        bits as Self
    }

    fn from_rank(rank: u64) -> Self {
        rank as Self
    }

    fn from_value(value: u32) -> Self {
        value
    }
}

impl Key for i32 {
    const NAME: &'static str = "i32";
    const FLIP: u32 = 1 << 31;

    fn to_bits(self) -> u64 {
        u64::from(self as u32)
    }

    fn from_bits(bits: u64) -> Self {
        bits as u32 as Self
    }

    // Signed order is that of the bits with the sign bit flipped.
    fn from_rank(rank: u64) -> Self {
        rank as u32 as Self ^ Self::MIN
    }

    fn from_value(value: u32) -> Self {
        value as Self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ranks_ascend<K: Key>() {
        let step = u64::from(u32::MAX / 97);
        let keys: Vec<K> = (0..=97).map(|i| K::from_rank(i * step)).collect();
        assert!(keys.is_sorted_by(|a, b| a < b));
        for key in keys {
            assert_eq!(K::from_bits(key.to_bits()), key);
        }
    }

    #[test]
    fn ranks_follow_the_order_of_the_type() {
        ranks_ascend::<u32>();
        ranks_ascend::<i32>();
        assert_eq!((u32::least(), u32::greatest()), (u32::MIN, u32::MAX));
        assert_eq!((i32::least(), i32::greatest()), (i32::MIN, i32::MAX));
    }

    #[test]
    fn bits_of_negative_keys_are_zero_extended() {
        assert_eq!((-1i32).to_bits(), 0xFFFF_FFFF);
        assert_eq!(i32::from_value(1_000_000), 1_000_000);
    }
}
