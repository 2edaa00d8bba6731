//! The types of keys, and what every back end of the kernels has to sort: one list of each.
//!
//! A back end runs the kernels: the emulator (`gpu-kernels/tests/emulator`) or a GPU
//! (`suite/tests/device`). It stamps a test for each line of [`for_every_type!`], draws cases of
//! that type from `Draws`, sorts each in its own way and hands back the result. The parts of a
//! case and its expected result stand here, once. A back end adds sizes: those about the edges of
//! its tiles are drawn more often. Keys and values travel as the words of their width,
//! zero-extended to 128 bits.
//!
//! A failure is shrunk by proptest and prints the [`Case`] as text and what to run to see it
//! again.

mod case;
#[cfg(feature = "draws")]
mod draws;
mod key_type;

pub use case::{Case, Distribution, Payload, Sorted};
#[cfg(feature = "draws")]
pub use draws::{Draws, VARIABLE};
pub use key_type::{KeyType, Kind};

/// The one list of key types. Calls the macro `$then` with `$with` and a line for each: the name
/// of its test, its [`KeyType`], its name, the type that a host has for it, the word of its
/// width, and its [`Kind`].
#[macro_export]
macro_rules! for_every_type {
    ($then:ident $($with:tt)*) => {
        $then! {
            $($with)*
            sort_u8: U8, "u8", u8, u8, Kind::Unsigned;
            sort_u16: U16, "u16", u16, u16, Kind::Unsigned;
            sort_u32: U32, "u32", u32, u32, Kind::Unsigned;
            sort_u64: U64, "u64", u64, u64, Kind::Unsigned;
            sort_u128: U128, "u128", u128, u128, Kind::Unsigned;
            sort_i8: I8, "i8", i8, u8, Kind::Signed;
            sort_i16: I16, "i16", i16, u16, Kind::Signed;
            sort_i32: I32, "i32", i32, u32, Kind::Signed;
            sort_i64: I64, "i64", i64, u64, Kind::Signed;
            sort_i128: I128, "i128", i128, u128, Kind::Signed;
            sort_f16: F16, "f16", F16, u16, Kind::Float { infinity: 0x7C00 };
            sort_bf16: BF16, "bf16", Bf16, u16, Kind::Float { infinity: 0x7F80 };
            sort_f32: F32, "f32", f32, u32, Kind::Float { infinity: 0x7F80_0000 };
            sort_f64: F64, "f64", f64, u64, Kind::Float { infinity: 0x7FF0_0000_0000_0000 };
        }
    };
}
