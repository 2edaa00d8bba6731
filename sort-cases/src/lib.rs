//! What every back end of the kernels has to sort: one list, stamped on each.
//!
//! A back end is something that runs the kernels: the emulator
//! (`gpu-kernels/tests/emulator`) or a GPU (`suite/tests/device`). It stamps a test for
//! each line of [`for_every_type!`], draws cases of that type from [`Draws`], sorts
//! each in its own way and hands back what came out. What a case is made of (type,
//! size, distribution, order, payload, bits, place) and what has to come out is said
//! here, once. What a back end adds of its own is sizes: those about the edges of its
//! tiles are drawn more often.
//!
//! Keys and values travel as the words of their width, zero-extended to 128 bits.
//!
//! A failure is shrunk by proptest and prints the [`Case`] as text and what to run to
//! see it again.

mod case;
mod draws;
mod key_type;

pub use case::{Case, Distribution, Payload, Sorted};
pub use draws::{Draws, VARIABLE};
pub use key_type::{KeyType, Kind};

/// Calls the macro `$stamp` with a line for each type of key: the name of its test, its
/// [`KeyType`], the type that a host has for it, and the word of its width.
#[macro_export]
macro_rules! for_every_type {
    ($stamp:ident) => {
        $stamp! {
            sort_u8: U8, u8, u8;
            sort_u16: U16, u16, u16;
            sort_u32: U32, u32, u32;
            sort_u64: U64, u64, u64;
            sort_u128: U128, u128, u128;
            sort_i8: I8, i8, u8;
            sort_i16: I16, i16, u16;
            sort_i32: I32, i32, u32;
            sort_i64: I64, i64, u64;
            sort_i128: I128, i128, u128;
            sort_f16: F16, F16, u16;
            sort_bf16: BF16, Bf16, u16;
            sort_f32: F32, f32, u32;
            sort_f64: F64, f64, u64;
        }
    };
}
