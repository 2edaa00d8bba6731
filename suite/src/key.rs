//! Keys on the host: a word with a total order.

use std::cmp::Ordering;
use std::fmt::{Debug, Display};
use std::slice;

use cust::memory::DeviceCopy;
use host::gpu::{GpuKey, KeyType};
use rdst::RadixKey;

/// A type that engines sort.
///
/// Keys are compared by `Ord` and told apart by [`to_bits`](Key::to_bits), so two
/// keys are equal exactly when their bits are. [`RadixKey`] is what the CPU's radix
/// sort takes its digits by.
pub trait Key: GpuKey + Ord + RadixKey + Debug + Display {
    /// Name of the type, as in records and benchmark names: `"u32"`.
    const NAME: &'static str = Self::TYPE.name;

    /// The raw bits, zero-extended.
    fn to_bits(self) -> u64 {
        self.to_word() as u64
    }

    /// The key with the low bits of `bits` as its raw bits.
    fn from_bits(bits: u64) -> Self {
        Self::from_word(bits.into())
    }

    /// The key that `rank` other keys of the type precede, `rank` taken from the
    /// lowest bits: 0 gives the least key, all ones the greatest.
    fn from_rank(rank: u64) -> Self {
        Self::from_word(Self::TYPE.of_rank(rank.into()))
    }

    /// The least key.
    fn least() -> Self {
        Self::from_rank(0)
    }

    /// The greatest key.
    fn greatest() -> Self {
        Self::from_rank(u64::MAX)
    }
}

/// The bytes of keys.
pub(crate) fn bytes<K: GpuKey>(keys: &[K]) -> &[u8] {
    // SAFETY: keys are words without padding.
    unsafe { slice::from_raw_parts(keys.as_ptr().cast(), size_of_val(keys)) }
}

/// The bytes of keys, to be overwritten.
pub(crate) fn bytes_mut<K: GpuKey>(keys: &mut [K]) -> &mut [u8] {
    // SAFETY: keys are words without padding, of which every pattern of bits is one.
    unsafe { slice::from_raw_parts_mut(keys.as_mut_ptr().cast(), size_of_val(keys)) }
}

impl Key for u32 {}
impl Key for i32 {}
impl Key for u64 {}
impl Key for F32 {}

/// A single-precision number in the total order of IEEE 754, as the GPU sorts `f32`:
/// -NaN, -infinity, .., -0, +0, .., infinity, NaN.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(transparent)]
pub struct F32(u32);

// SAFETY: a transparent wrapper of a word.
unsafe impl DeviceCopy for F32 {}

// SAFETY: a transparent wrapper of an `f32`, by its bits, and of its type.
unsafe impl GpuKey for F32 {
    const TYPE: KeyType = <f32 as GpuKey>::TYPE;

    type Word = <f32 as GpuKey>::Word;
}

impl F32 {
    /// The number.
    pub fn new(number: f32) -> Self {
        Self(number.to_bits())
    }

    /// Number of bit patterns before it: [`KeyType::rank`] in 32 bits, for sorts that are timed.
    fn rank(self) -> u32 {
        self.0 ^ ((self.0 as i32 >> 31) as u32 | 1 << 31)
    }
}

impl Ord for F32 {
    fn cmp(&self, other: &Self) -> Ordering {
        self.rank().cmp(&other.rank())
    }
}

impl PartialOrd for F32 {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Display for F32 {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        Display::fmt(&f32::from_bits(self.0), f)
    }
}

impl RadixKey for F32 {
    const LEVELS: usize = 4;

    fn get_level(&self, level: usize) -> u8 {
        (self.rank() >> (8 * level)) as u8
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
        ranks_ascend::<F32>();
        assert_eq!((u32::least(), u32::greatest()), (u32::MIN, u32::MAX));
        assert_eq!((i32::least(), i32::greatest()), (i32::MIN, i32::MAX));
    }

    #[test]
    fn floats_stand_in_total_order() {
        let numbers = [-f32::NAN, f32::NEG_INFINITY, -1.5, -0.0, 0.0, 1e-40, 2.0, f32::NAN];
        let keys = numbers.map(F32::new);
        assert!(keys.is_sorted_by(|a, b| a < b));
        assert!(numbers.is_sorted_by(|a, b| a.total_cmp(b).is_lt()));
        for key in keys {
            assert_eq!(F32::from_rank(u64::from(key.rank())), key);
        }
    }

    #[test]
    fn bits_of_negative_keys_are_zero_extended() {
        assert_eq!((-1i32).to_bits(), 0xFFFF_FFFF);
    }
}
