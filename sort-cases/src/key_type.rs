//! Types of keys, and the order of each.

/// A type of key.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct KeyType {
    /// As records name it: `u32`.
    pub name: &'static str,
    /// Bits of a key.
    pub bits: u32,
    /// How its bits are ordered.
    pub kind: Kind,
}

/// How the bits of a type are ordered.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Kind {
    /// An unsigned integer.
    Unsigned,
    /// A signed integer.
    Signed,
    /// A number of IEEE 754 or in its way, whose infinity has these bits.
    Float {
        /// The bits of infinity.
        infinity: u128,
    },
}

macro_rules! types {
    ($($constant:ident: $name:literal, $bits:literal, $kind:expr;)*) => {
        $(
            /// The type of this name.
            pub const $constant: KeyType = KeyType { name: $name, bits: $bits, kind: $kind };
        )*
        /// All of them.
        pub const ALL: &[KeyType] = &[$(Self::$constant),*];
    };
}

impl KeyType {
    types! {
        U8: "u8", 8, Kind::Unsigned;
        U16: "u16", 16, Kind::Unsigned;
        U32: "u32", 32, Kind::Unsigned;
        U64: "u64", 64, Kind::Unsigned;
        U128: "u128", 128, Kind::Unsigned;
        I8: "i8", 8, Kind::Signed;
        I16: "i16", 16, Kind::Signed;
        I32: "i32", 32, Kind::Signed;
        I64: "i64", 64, Kind::Signed;
        I128: "i128", 128, Kind::Signed;
        F16: "f16", 16, Kind::Float { infinity: 0x7C00 };
        BF16: "bf16", 16, Kind::Float { infinity: 0x7F80 };
        F32: "f32", 32, Kind::Float { infinity: 0x7F80_0000 };
        F64: "f64", 64, Kind::Float { infinity: 0x7FF0_0000_0000_0000 };
    }

    /// The unsigned type of so many bits: 8, 16, 32, 64 or 128.
    pub fn unsigned(bits: u32) -> Self {
        let found = Self::ALL.iter().find(|key| key.bits == bits);
        *found.expect("the unsigned types come first, in every width")
    }

    /// All ones of this width.
    pub fn ones(&self) -> u128 {
        u128::MAX >> (128 - self.bits)
    }

    /// The highest bit.
    pub fn sign(&self) -> u128 {
        1 << (self.bits - 1)
    }

    /// Whether the keys are floating-point numbers.
    pub fn is_float(&self) -> bool {
        matches!(self.kind, Kind::Float { .. })
    }

    /// A number that ascends with the key. Floating-point numbers stand in the total
    /// order of IEEE 754.
    pub fn rank(&self, word: u128) -> u128 {
        match self.kind {
            Kind::Unsigned => word,
            Kind::Signed => word ^ self.sign(),
            Kind::Float { .. } if word & self.sign() == 0 => word | self.sign(),
            Kind::Float { .. } => !word & self.ones(),
        }
    }

    /// A number that ascends with the value of a floating-point key: zeros are equal,
    /// and so are all that are no numbers, which come last.
    pub fn numeric_rank(&self, word: u128) -> u128 {
        let magnitude = word & !self.sign();
        match self.kind {
            Kind::Float { infinity } if magnitude > infinity => u128::MAX,
            Kind::Float { .. } if magnitude == 0 => self.rank(0),
            _ => self.rank(word),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ordered<T>(values: &[T], rank: impl Fn(&T) -> u128) -> bool {
        values.is_sorted_by(|a, b| rank(a) < rank(b))
    }

    #[test]
    fn ranks_ascend_with_the_values_of_the_type() {
        let integers = [i16::MIN, -2, -1, 0, 1, i16::MAX];
        assert!(ordered(&integers, |&v| KeyType::I16.rank(v as u16 as u128)));
        let total =
            [-f64::NAN, f64::NEG_INFINITY, -1.5, -0.0, 0.0, 1e-300, f64::INFINITY, f64::NAN];
        assert!(ordered(&total, |v| KeyType::F64.rank(v.to_bits().into())));
    }

    #[test]
    fn by_value_zeros_are_equal_and_nan_last() {
        let rank = |v: f32| KeyType::F32.numeric_rank(v.to_bits().into());
        assert_eq!(rank(-0.0), rank(0.0));
        assert_eq!(rank(-f32::NAN), rank(f32::NAN));
        assert!(ordered(&[f32::NEG_INFINITY, -1.0, 0.0, 1.0, f32::INFINITY, f32::NAN], |&v| rank(
            v
        )));
    }

    #[test]
    fn unsigned_types_are_found_by_width() {
        for bits in [8, 16, 32, 64, 128] {
            let found = KeyType::unsigned(bits);
            assert_eq!((found.bits, found.kind), (bits, Kind::Unsigned));
        }
    }
}
