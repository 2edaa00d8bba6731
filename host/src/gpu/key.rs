//! The types of keys that the GPU sorts, and the orders they are sorted in.

use cuda_std::word::Word;
use cust::memory::DeviceCopy;
use gpu_kernels::entry::Entries;
use gpu_kernels::key::Bits;

use crate::error::Error;

/// A type of key: what the kernels have to know of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeyLayout {
    /// Bytes of a key.
    pub width: usize,
    /// Name of the type, as in records: `u32`.
    pub name: &'static str,
    /// What orders it as unsigned by exclusive or: the sign bit, or nothing.
    order_mask: u128,
    /// The bits of infinity, if it is a floating-point type.
    infinity: Option<u128>,
}

impl KeyLayout {
    /// All ones of this width.
    fn ones(&self) -> u128 {
        u128::MAX >> (128 - 8 * self.width)
    }

    /// What orders the bits as unsigned, by exclusive or.
    pub(super) fn order_mask(&self) -> u128 {
        self.order_mask
    }

    /// The bits that are complemented in negative keys, so that they ascend: all but the
    /// sign of floating-point numbers, and none of integers.
    pub(super) fn magnitude(&self) -> u128 {
        if self.is_float() { self.ones() >> 1 } else { 0 }
    }

    /// Whether the keys are floating-point numbers.
    pub fn is_float(&self) -> bool {
        self.infinity.is_some()
    }

    /// The bits of infinity; of a type that has none, 0.
    pub fn infinity(&self) -> u128 {
        self.infinity.unwrap_or(0)
    }
}

/// A key that the kernels sort.
///
/// # Safety
/// The type is a word of `LAYOUT.width` bytes without padding, of which every pattern of
/// bits is a key: an integer, a floating-point number, or a transparent wrapper of one
/// with the `LAYOUT` and the `Word` of what it wraps.
pub unsafe trait GpuKey: DeviceCopy + Default + PartialEq + Send + Sync + 'static {
    /// What the kernels have to know of it.
    const LAYOUT: KeyLayout;

    /// The word that it travels as.
    type Word: Entries;

    /// Its bits, zero-extended.
    fn to_word(self) -> u128 {
        let mut word = [0u8; 16];
        // SAFETY: a key is a word of at most 16 bytes without padding.
        unsafe {
            let from = std::ptr::from_ref(&self).cast::<u8>();
            std::ptr::copy_nonoverlapping(from, word.as_mut_ptr(), size_of::<Self>());
        }
        u128::from_le_bytes(word)
    }
}

/// A half-precision number (IEEE 754 binary16), by its bits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(transparent)]
pub struct F16(pub u16);

/// A number with the exponent of `f32` and 8 bits of precision (bfloat16), by its
/// bits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(transparent)]
pub struct Bf16(pub u16);

// SAFETY: a transparent wrapper of a word.
unsafe impl DeviceCopy for F16 {}
// SAFETY: a transparent wrapper of a word.
unsafe impl DeviceCopy for Bf16 {}

macro_rules! key_layouts {
    ($($key:ty: $word:ty, $name:literal, $order_mask:expr, $infinity:expr;)*) => { $(
        // SAFETY: a word, or a transparent wrapper of one, of this layout.
        unsafe impl GpuKey for $key {
            const LAYOUT: KeyLayout = KeyLayout {
                width: size_of::<$key>(),
                name: $name,
                order_mask: $order_mask,
                infinity: $infinity,
            };

            type Word = $word;
        }
    )* };
}

key_layouts! {
    u8: u8, "u8", 0, None;
    u16: u16, "u16", 0, None;
    u32: u32, "u32", 0, None;
    u64: u64, "u64", 0, None;
    u128: u128, "u128", 0, None;
    i8: u8, "i8", 1 << 7, None;
    i16: u16, "i16", 1 << 15, None;
    i32: u32, "i32", 1 << 31, None;
    i64: u64, "i64", 1 << 63, None;
    i128: u128, "i128", 1 << 127, None;
    F16: u16, "f16", 1 << 15, Some(0x7C00);
    Bf16: u16, "bf16", 1 << 15, Some(0x7F80);
    f32: u32, "f32", 1 << 31, Some(0x7F80_0000);
    f64: u64, "f64", 1 << 63, Some(0x7FF0_0000_0000_0000);
}

/// The order that a sort makes. Every sort is stable.
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
    /// From the least to the greatest. Floating-point numbers stand in the total
    /// order of IEEE 754: -NaN, -infinity, .., -0, +0, .., infinity, NaN.
    pub fn ascending() -> Self {
        Self::default()
    }

    /// From the greatest to the least; equal keys keep their order all the same.
    pub fn descending() -> Self {
        Order { descending: true, ..Self::default() }
    }

    /// By these bits of a key only, 0 the lowest. Not for numeric order; of
    /// floating-point numbers, the bits are those of the encoding that ascends with
    /// the number.
    pub fn bits(mut self, bits: std::ops::Range<u32>) -> Self {
        self.bits = Some((bits.start, bits.end));
        self
    }

    /// Floating-point numbers by their value: -0 equals +0, and all NaN are equal
    /// and come last (first when descending).
    pub fn numeric(mut self) -> Self {
        self.numeric = true;
        self
    }

    /// Ranks by match in every pass, and so never by atomics that are checked
    /// afterwards. The result is the same.
    pub fn match_ranking(mut self) -> Self {
        self.match_ranking = true;
        self
    }

    pub(super) fn is_numeric(&self, layout: KeyLayout) -> bool {
        self.numeric && layout.is_float()
    }

    pub(super) fn allows_atomics(&self) -> bool {
        !self.match_ranking && self.bits.is_none()
    }

    /// What the keys' bits are combined with.
    pub(super) fn order_mask<K: GpuKey>(&self) -> K::Word {
        let layout = K::LAYOUT;
        K::Word::from_u128(if self.descending {
            layout.order_mask ^ layout.ones()
        } else {
            layout.order_mask
        })
    }

    /// Which bits are sorted by.
    ///
    /// # Errors
    /// Bits that the key does not have, or none in order.
    pub(super) fn sorted_bits(&self, layout: KeyLayout) -> Result<Bits, Error> {
        let width = 8 * layout.width as u32;
        match self.bits {
            None => Ok(Bits { begin: 0, end: width }),
            Some((begin, end)) if begin < end && end <= width && !self.is_numeric(layout) => {
                Ok(Bits { begin, end })
            }
            Some((begin, end)) => {
                Err(Error::Bits { begin, end, width, numeric: self.is_numeric(layout) })
            }
        }
    }
}
