//! Keys on the host: a word with a total order.

use std::cmp::Ordering;
use std::fmt::{self, Debug, Display};
use std::slice;

use cust::memory::DeviceCopy;
use host::gpu::{GpuKey, KeyType};
use rdst::RadixKey;

/// A type that engines sort.
///
/// Keys are compared by `Ord` and told apart by [`to_word`](GpuKey::to_word), so two
/// keys are equal exactly when their bits are. [`RadixKey`] is what the CPU's radix
/// sort takes its digits by.
pub trait Key: GpuKey + Ord + RadixKey + Debug + Display {
    /// Name of the type, as in records and benchmark names: `"u32"`.
    const NAME: &'static str = Self::TYPE.name;

    /// The key that `rank` other keys of the type precede, `rank` taken from the
    /// lowest bits: 0 gives the least key, all ones the greatest.
    fn from_rank(rank: u128) -> Self {
        Self::from_word(Self::TYPE.of_rank(rank))
    }

    /// The least key.
    fn least() -> Self {
        Self::from_rank(0)
    }

    /// The greatest key.
    fn greatest() -> Self {
        Self::from_rank(u128::MAX)
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

impl Key for u8 {}
impl Key for u16 {}
impl Key for u32 {}
impl Key for i32 {}
impl Key for u64 {}
impl Key for u128 {}

macro_rules! floats {
    ($($(#[$doc:meta])+ $key:ident($word:ident, $signed:ident) of $number:ty;)+) => { $(
        $(#[$doc])+
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        #[repr(transparent)]
        pub struct $key($word);

        // SAFETY: a transparent wrapper of a word.
        unsafe impl DeviceCopy for $key {}

        // SAFETY: a transparent wrapper of a number, by its bits, and of its type.
        unsafe impl GpuKey for $key {
            const TYPE: KeyType = <$number as GpuKey>::TYPE;

            type Word = <$number as GpuKey>::Word;
        }

        impl Key for $key {}

        impl $key {
            /// Number of bit patterns before it: [`KeyType::rank`] in its own width, for sorts
            /// that are timed.
            fn rank(self) -> $word {
                let top = $word::BITS - 1;
                self.0 ^ ((self.0 as $signed >> top) as $word | 1 << top)
            }
        }

        impl Ord for $key {
            fn cmp(&self, other: &Self) -> Ordering {
                self.rank().cmp(&other.rank())
            }
        }

        impl PartialOrd for $key {
            fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
                Some(self.cmp(other))
            }
        }

        impl RadixKey for $key {
            const LEVELS: usize = size_of::<$word>();

            fn get_level(&self, level: usize) -> u8 {
                (self.rank() >> (8 * level)) as u8
            }
        }
    )+ };
}

floats! {
    /// A single-precision number in the total order of IEEE 754, as the GPU sorts `f32`:
    /// -NaN, -infinity, .., -0, +0, .., infinity, NaN.
    F32(u32, i32) of f32;
    /// A half-precision number in the same order, as the GPU sorts `f16`.
    F16(u16, i16) of host::gpu::F16;
}

impl F32 {
    /// The number.
    pub fn new(number: f32) -> Self {
        Self(number.to_bits())
    }
}

impl Display for F32 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Display::fmt(&f32::from_bits(self.0), f)
    }
}

impl Display for F16 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "bits {:#06x}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ranks_ascend<K: Key>() {
        let step = K::TYPE.ones() / 97;
        let keys: Vec<K> = (0..=97).map(|i| K::from_rank(i * step)).collect();
        assert!(keys.is_sorted_by(|a, b| a < b));
        assert!(keys[0] == K::least() && keys[97] <= K::greatest());
        for key in keys {
            assert_eq!(K::from_word(key.to_word()), key);
            let digits =
                (0..K::LEVELS).map(|level| u128::from(key.get_level(level)) << (8 * level));
            assert_eq!(K::from_rank(digits.sum()), key);
        }
    }

    #[test]
    fn ranks_follow_the_order_of_the_type_and_so_do_digits() {
        ranks_ascend::<u8>();
        ranks_ascend::<u16>();
        ranks_ascend::<u32>();
        ranks_ascend::<i32>();
        ranks_ascend::<u64>();
        ranks_ascend::<u128>();
        ranks_ascend::<F16>();
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
    }

    #[test]
    fn bits_of_negative_keys_are_zero_extended() {
        assert_eq!((-1i32).to_word(), 0xFFFF_FFFF);
    }
}
