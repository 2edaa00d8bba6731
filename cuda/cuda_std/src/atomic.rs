//! Atomic floats, and atomic operations on raw pointers.

pub use crate::atomic_values::{
    AtomicF32, AtomicF64, BlockAtomicF32, BlockAtomicF64, SystemAtomicF32, SystemAtomicF64, mid,
};
pub use core::sync::atomic::Ordering;
