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
    ($($test:ident: $constant:ident, $name:literal, $key:ident, $word:ty, $kind:expr;)*) => {
        impl KeyType {
            $(
                /// The type of this name.
                pub const $constant: KeyType =
                    KeyType { name: $name, bits: 8 * size_of::<$word>() as u32, kind: $kind };
            )*
            /// All of them.
            pub const ALL: &[KeyType] = &[$(Self::$constant),*];
        }
    };
}

crate::for_every_type!(types);

impl KeyType {
    /// The unsigned type of so many bits: 8, 16, 32, 64 or 128.
    pub fn unsigned(bits: u32) -> Self {
        let found = Self::ALL.iter().find(|key| key.bits == bits);
        *found.expect("the unsigned types come first, in every width")
    }

    /// All ones of this width.
    pub const fn ones(&self) -> u128 {
        u128::MAX >> (128 - self.bits)
    }

    /// The highest bit.
    pub const fn sign(&self) -> u128 {
        1 << (self.bits - 1)
    }

    /// Returns true if the keys are floating-point numbers.
    pub const fn is_float(&self) -> bool {
        matches!(self.kind, Kind::Float { .. })
    }

    /// The bits of infinity; of a type that has none, 0.
    pub const fn infinity(&self) -> u128 {
        match self.kind {
            Kind::Float { infinity } => infinity,
            _ => 0,
        }
    }

    /// The bits whose exclusive or with a word, encoded if it is a floating-point number, orders
    /// it as unsigned.
    pub const fn order_mask(&self) -> u128 {
        match self.kind {
            Kind::Unsigned => 0,
            _ => self.sign(),
        }
    }

    /// A number that ascends with the key. Floating-point numbers stand in the total order of
    /// IEEE 754.
    pub fn rank(&self, word: u128) -> u128 {
        match self.kind {
            Kind::Unsigned => word,
            Kind::Signed => word ^ self.sign(),
            Kind::Float { .. } if word & self.sign() == 0 => word | self.sign(),
            Kind::Float { .. } => !word & self.ones(),
        }
    }

    /// The word of a rank: the inverse of [`rank`](Self::rank).
    pub const fn of_rank(&self, rank: u128) -> u128 {
        let word = match self.kind {
            Kind::Unsigned => rank,
            Kind::Float { .. } if rank & self.sign() == 0 => !rank,
            _ => rank ^ self.sign(),
        };
        word & self.ones()
    }

    /// A number that ascends with the value of a floating-point key: zeros are equal, and so are
    /// all that are no numbers, which come last.
    pub fn numeric_rank(&self, word: u128) -> u128 {
        let magnitude = word & !self.sign();
        match self.kind {
            Kind::Float { infinity } if magnitude > infinity => u128::MAX,
            Kind::Float { .. } if magnitude == 0 => self.rank(0),
            _ => self.rank(word),
        }
    }

    /// A number that ascends with the key in an order: by value if `numeric`, else by these bits
    /// of its rank, the first and one past the last; from the greatest on if `descending`.
    pub fn rank_by(
        &self,
        word: u128,
        numeric: bool,
        (begin, end): (u32, u32),
        descending: bool,
    ) -> u128 {
        let rank = match numeric {
            true => self.numeric_rank(word),
            false => (self.rank(word) >> begin) & (u128::MAX >> (128 - (end - begin))),
        };
        if descending { !rank } else { rank }
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
    fn every_rank_is_that_of_its_word() {
        for key in KeyType::ALL {
            for i in 0..=97 {
                let rank = key.ones() / 97 * i;
                assert_eq!(key.rank(key.of_rank(rank)), rank, "{}", key.name);
            }
        }
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
    fn infinities_are_those_of_the_formats() {
        assert_eq!(KeyType::F32.infinity(), f32::INFINITY.to_bits().into());
        assert_eq!(KeyType::F64.infinity(), f64::INFINITY.to_bits().into());
        assert_eq!(KeyType::BF16.infinity(), KeyType::F32.infinity() >> 16);
        // Five bits of exponent above ten of fraction.
        assert_eq!(KeyType::F16.infinity(), 0b11111 << 10);
    }

    #[test]
    fn unsigned_types_are_found_by_width() {
        for bits in [8, 16, 32, 64, 128] {
            let found = KeyType::unsigned(bits);
            assert_eq!((found.bits, found.kind), (bits, Kind::Unsigned));
        }
    }
}
