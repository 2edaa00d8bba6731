//! The types of keys that the GPU sorts, and the orders of sorts.

use cuda_std::ext::Word;
use cust::memory::DeviceCopy;
use gpu_kernels::entry::Entries;
use gpu_kernels::key::Bits;
use sort_cases::KeyType;

use crate::error::Error;

/// A type of key that the kernels sort.
///
/// # Safety
/// The type is a word of `TYPE.bits` without padding, and every bit pattern is a key. It is an
/// integer, a floating-point number, or a transparent wrapper of one with the same `TYPE` and
/// `Word`.
pub unsafe trait GpuKey: DeviceCopy + Default + PartialEq + Send + Sync + 'static {
    const TYPE: KeyType;

    /// The word that holds a key in the kernels.
    type Word: Entries;

    /// The bits of the key, zero-extended.
    fn to_word(self) -> u128 {
        let mut word = [0u8; 16];
        // SAFETY: a key is a word of at most 16 bytes without padding.
        unsafe {
            let from = std::ptr::from_ref(&self).cast::<u8>();
            std::ptr::copy_nonoverlapping(from, word.as_mut_ptr(), size_of::<Self>());
        }
        u128::from_le_bytes(word)
    }

    /// The key with the lowest bits of `word`.
    fn from_word(word: u128) -> Self {
        let mut key = Self::default();
        // SAFETY: a key is a word of at most 16 bytes, of which every pattern of bits is one.
        unsafe {
            let to = std::ptr::from_mut(&mut key).cast::<u8>();
            std::ptr::copy_nonoverlapping(word.to_le_bytes().as_ptr(), to, size_of::<Self>());
        }
        key
    }
}

/// A half-precision number (IEEE 754 binary16), as its bits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(transparent)]
pub struct F16(pub u16);

/// A number with the exponent of `f32` and 8 bits of precision (bfloat16), as its bits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(transparent)]
pub struct Bf16(pub u16);

// SAFETY: a transparent wrapper of a word.
unsafe impl DeviceCopy for F16 {}
// SAFETY: a transparent wrapper of a word.
unsafe impl DeviceCopy for Bf16 {}

/// Bits that the encoding of such keys complements where the highest is set: all others of
/// floating-point numbers, and none of other keys.
pub(super) fn magnitude<K: GpuKey>() -> K::Word {
    K::Word::from_u128(if K::TYPE.is_float() { K::TYPE.ones() >> 1 } else { 0 })
}

macro_rules! gpu_keys {
    ($($test:ident: $constant:ident, $name:literal, $key:ident, $word:ty, $kind:expr;)*) => { $(
        // SAFETY: a word, or a transparent wrapper of one, of this type.
        unsafe impl GpuKey for $key {
            const TYPE: KeyType = KeyType::$constant;

            type Word = $word;
        }
    )* };
}

sort_cases::for_every_type!(gpu_keys);

/// The order of a sort. Every sort is stable.
///
/// ```
/// use host::gpu::Order;
///
/// let by_high_byte = Order::descending().bits(24..32);
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Order {
    descending: bool,
    bits: Option<(u32, u32)>,
    numeric: bool,
    match_ranking: bool,
}

impl Order {
    /// From the least to the greatest key. Floating-point numbers are in the total order of IEEE
    /// 754: -NaN, -infinity, .., -0, +0, .., infinity, NaN.
    pub fn ascending() -> Self {
        Self::default()
    }

    /// From the greatest to the least key. Equal keys still keep their order.
    pub fn descending() -> Self {
        Self::ascending().downwards()
    }

    /// Reverses this order. Equal keys still keep their order.
    pub fn downwards(mut self) -> Self {
        self.descending = !self.descending;
        self
    }

    /// Sorts only by these bits of a key, 0 the lowest. For floating-point numbers, they are bits
    /// of the encoding that ascends with the number. Not for numeric order.
    pub fn bits(mut self, bits: std::ops::Range<u32>) -> Self {
        self.bits = Some((bits.start, bits.end));
        self
    }

    /// Sorts floating-point numbers by value: -0 equals +0, and all NaN are equal and come last
    /// (first if descending).
    pub fn numeric(mut self) -> Self {
        self.numeric = true;
        self
    }

    /// Ranks by match in every pass, never by atomics that are checked afterwards. The result is
    /// the same.
    pub fn match_ranking(mut self) -> Self {
        self.match_ranking = true;
        self
    }

    /// Returns true if keys of this type are sorted by value, not by their bits.
    pub fn is_numeric(&self, key: KeyType) -> bool {
        self.numeric && key.is_float()
    }

    /// Returns a function from keys, given as words, to numbers that ascend in this order. Keys
    /// that the order does not distinguish have equal numbers.
    ///
    /// # Errors
    /// Bits that the key does not have, or none in order.
    pub fn rank(&self, key: KeyType) -> Result<impl Fn(u128) -> u128 + Copy + use<>, Error> {
        let bits = self.sorted_bits(key)?;
        let (numeric, descending) = (self.is_numeric(key), self.descending);
        Ok(move |word| key.rank_by(word, numeric, (bits.begin, bits.end), descending))
    }

    /// Returns true if the order distinguishes all keys of this type with different bits.
    pub fn is_total(&self, key: KeyType) -> bool {
        let all = self.bits.is_none_or(|bits| bits == (0, key.bits));
        all && !self.is_numeric(key)
    }

    pub(super) fn allows_atomics(&self) -> bool {
        !self.match_ranking && self.bits.is_none()
    }

    /// The mask that the keys' bits are combined with.
    pub(super) fn order_mask<K: GpuKey>(&self) -> K::Word {
        let mask = K::TYPE.order_mask();
        K::Word::from_u128(if self.descending { mask ^ K::TYPE.ones() } else { mask })
    }

    /// Checks that all bits of such keys are sorted by, for a `sort` that can do no other.
    ///
    /// # Errors
    /// Some bits only, or the order of values, which `otherwise` has.
    pub(super) fn require_total(
        &self,
        key: KeyType,
        sort: &'static str,
        otherwise: &'static str,
    ) -> Result<(), Error> {
        self.sorted_bits(key)?;
        match self.is_total(key) {
            true => Ok(()),
            false => Err(Error::Order { sort, otherwise }),
        }
    }

    /// Which bits are sorted by.
    ///
    /// # Errors
    /// Bits that the key does not have, or none in order.
    pub(super) fn sorted_bits(&self, key: KeyType) -> Result<Bits, Error> {
        let width = key.bits;
        match self.bits {
            None => Ok(Bits { begin: 0, end: width }),
            Some((begin, end)) if begin < end && end <= width && !self.is_numeric(key) => {
                Ok(Bits { begin, end })
            }
            Some((begin, end)) => {
                Err(Error::Bits { begin, end, width, numeric: self.is_numeric(key) })
            }
        }
    }
}
