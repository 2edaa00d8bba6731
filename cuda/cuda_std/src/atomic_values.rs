//! Atomic operations on plain memory, under Rust-CUDA's names. The instructions have the scope that
//! a name states.

use crate::atomic_number::{AtomicInteger, AtomicNumber, ordered_fence};
use crate::ext::with_name;
use crate::ext::{Ordering, Scope};
use core::cell::UnsafeCell;

macro_rules! atomic_floats {
    ($($name:ident, $float:ident, $scope:expr, $threads:literal;)*) => { $(
        #[doc = concat!("An `", stringify!($float), "` that ", $threads, " access atomically.")]
        #[repr(transparent)]
        pub struct $name(UnsafeCell<$float>);

        // SAFETY: all accesses of several threads are atomic.
        unsafe impl Sync for $name {}

        impl $name {
            /// The cell that holds `value`.
            pub const fn new(value: $float) -> Self {
                Self(UnsafeCell::new(value))
            }

            /// The value, of a cell that no other thread has.
            pub fn into_inner(self) -> $float {
                self.0.into_inner()
            }

            /// The value.
            #[inline(always)]
            #[cfg_attr(not(target_os = "cuda"), track_caller)]
            pub fn load(&self, order: Ordering) -> $float {
                // SAFETY: the cell is accessed atomically.
                unsafe { AtomicNumber::load(self.0.get(), order, $scope) }
            }

            /// Sets the value.
            #[inline(always)]
            #[cfg_attr(not(target_os = "cuda"), track_caller)]
            pub fn store(&self, value: $float, order: Ordering) {
                // SAFETY: the cell is accessed atomically.
                unsafe { AtomicNumber::store(self.0.get(), value, order, $scope) }
            }

            atomic_floats!(@ $float, $scope, fetch_add = add, "Adds");
            atomic_floats!(@ $float, $scope, fetch_sub = sub, "Subtracts");
            atomic_floats!(@ $float, $scope, swap = exch, "Replaces");
            atomic_floats!(@ $float, $scope, fetch_and = and, "Keeps the bits that both have");
            atomic_floats!(@ $float, $scope, fetch_or = or, "Sets the bits that either has");
            atomic_floats!(@ $float, $scope, fetch_xor = xor, "Sets the bits that one of both has");
        }
    )* };
    (@ $float:ident, $scope:expr, $name:ident = $operation:ident, $does:literal) => {
        #[doc = concat!($does, ", and returns the value before.")]
        #[inline(always)]
        #[cfg_attr(not(target_os = "cuda"), track_caller)]
        pub fn $name(&self, value: $float, order: Ordering) -> $float {
            // SAFETY: the cell is accessed atomically.
            unsafe { AtomicNumber::$operation(self.0.get(), value, order, $scope) }
        }
    };
}

atomic_floats! {
    AtomicF32, f32, Scope::Device, "all threads of the device";
    AtomicF64, f64, Scope::Device, "all threads of the device";
    BlockAtomicF32, f32, Scope::Block, "the threads of a block";
    BlockAtomicF64, f64, Scope::Block, "the threads of a block";
    SystemAtomicF32, f32, Scope::System, "the device's threads and the host's";
    SystemAtomicF64, f64, Scope::System, "the device's threads and the host's";
}

/// Functions on raw pointers, of the scope that their name ends with. Their contract is that of
/// `core`'s atomic operations: the pointer is aligned, to memory that others access atomically too
/// or not at once.
#[allow(clippy::missing_safety_doc)]
pub mod mid {
    use super::*;

    /// The three scopes of each function.
    macro_rules! scopes {
        ($each:ident! $arguments:tt) => {
            scopes!(@ $each, block, Scope::Block, $arguments);
            scopes!(@ $each, device, Scope::Device, $arguments);
            scopes!(@ $each, system, Scope::System, $arguments);
        };
        (@ $each:ident, $name:ident, $scope:expr, ($($argument:tt)*)) => {
            $each!($name, $scope, $($argument)*);
        };
    }

    macro_rules! fences {
        ($name:ident, $scope:expr,) => {
            with_name! { [$name _thread_fence]
                /// A fence of the given order.
                #[inline(always)]
                pub fn NAME(order: Ordering) {
                    ordered_fence(order, $scope)
                }
            }
        };
    }
    scopes!(fences!());

    macro_rules! accesses {
        ($name:ident, $scope:expr, $bits:literal, $word:ident) => {
            with_name! { [atomic_load_ $bits _ $name]
                /// The value.
                #[inline(always)]
                #[cfg_attr(not(target_os = "cuda"), track_caller)]
                pub unsafe fn NAME(pointer: *mut $word, order: Ordering) -> $word {
                    // SAFETY: the caller's contract.
                    unsafe { AtomicNumber::load(pointer, order, $scope) }
                }
            }
            with_name! { [atomic_store_ $bits _ $name]
                /// Sets the value.
                #[inline(always)]
                #[cfg_attr(not(target_os = "cuda"), track_caller)]
                pub unsafe fn NAME(pointer: *mut $word, order: Ordering, value: $word) {
                    // SAFETY: the caller's contract.
                    unsafe { AtomicNumber::store(pointer, value, order, $scope) }
                }
            }
        };
    }
    scopes!(accesses!(32, u32));
    scopes!(accesses!(64, u64));

    macro_rules! updates {
        ($name:ident, $scope:expr, $number:ident, $of:ident, $($operation:ident)*) => { $(
            with_name! { [atomic_fetch_ $operation _ $number _ $name]
                /// Combines with `value`, and returns the value before.
                #[inline(always)]
                #[cfg_attr(not(target_os = "cuda"), track_caller)]
                pub unsafe fn NAME(pointer: *mut $number, order: Ordering, value: $number) -> $number {
                    // SAFETY: the caller's contract.
                    unsafe { $of::$operation(pointer, value, order, $scope) }
                }
            }
        )* };
    }

    macro_rules! swaps {
        ($name:ident, $scope:expr, $word:ident) => {
            with_name! { [atomic_compare_and_swap_ $word _ $name]
                /// Sets `new` where the value is `current`, and returns the value before.
                #[inline(always)]
                #[cfg_attr(not(target_os = "cuda"), track_caller)]
                pub unsafe fn NAME(
                    pointer: *mut $word,
                    current: $word,
                    new: $word,
                    order: Ordering,
                ) -> $word {
                    // SAFETY: the caller's contract.
                    unsafe { $word::compare_and_swap(pointer, current, new, order, $scope) }
                }
            }
        };
    }

    macro_rules! integers {
        ($($word:ident)*) => { $(
            scopes!(updates!($word, AtomicNumber, add sub and or xor exch));
            scopes!(updates!($word, AtomicInteger, min max));
            scopes!(swaps!($word));
        )* };
    }
    integers!(u32 u64 i32 i64);
    scopes!(updates!(f32, AtomicNumber, add sub exch));
    scopes!(updates!(f64, AtomicNumber, add sub exch));
}
