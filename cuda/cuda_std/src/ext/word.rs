//! The types that device memory is made of.

mod sealed {
    pub trait Sealed {}
}

/// A plain number that one instruction loads or stores: an integer of 8 to 128 bits, `f32` or
/// `f64`. Other types travel as the word of their width, so that every bit pattern is valid and
/// none is padding.
pub trait Word: sealed::Sealed + Copy + Default + PartialEq + core::fmt::Debug + 'static {
    /// The word that `v` has in its low bits.
    fn from_u64(v: u64) -> Self;
    /// The low 64 bits of this word.
    fn to_u64(self) -> u64;
    /// The word that `v` has in its low bits.
    fn from_u128(v: u128) -> Self;
    /// This word, widened by zeros.
    fn to_u128(self) -> u128;
}

/// A word on which atomic operations exist: `u32` and `u64`.
pub trait AtomicWord: Word {}

macro_rules! words {
    ($($word:ty),*) => { $(
        impl sealed::Sealed for $word {}
        impl Word for $word {
            #[inline(always)]
            fn from_u64(v: u64) -> Self {
                v as $word
            }
            #[inline(always)]
            fn to_u64(self) -> u64 {
                self as u64
            }
            #[inline(always)]
            fn from_u128(v: u128) -> Self {
                v as $word
            }
            #[inline(always)]
            fn to_u128(self) -> u128 {
                self as u128
            }
        }
    )* };
}
words!(u8, u16, u32, u64, u128, i8, i16, i32, i64, i128);

macro_rules! floats {
    ($($float:ident as $bits:ident),*) => { $(
        impl sealed::Sealed for $float {}
        impl Word for $float {
            #[inline(always)]
            fn from_u64(v: u64) -> Self {
                $float::from_bits(v as $bits)
            }
            #[inline(always)]
            fn to_u64(self) -> u64 {
                self.to_bits() as u64
            }
            #[inline(always)]
            fn from_u128(v: u128) -> Self {
                $float::from_bits(v as $bits)
            }
            #[inline(always)]
            fn to_u128(self) -> u128 {
                self.to_bits() as u128
            }
        }
    )* };
}
floats!(f32 as u32, f64 as u64);

impl AtomicWord for u32 {}
impl AtomicWord for u64 {}
