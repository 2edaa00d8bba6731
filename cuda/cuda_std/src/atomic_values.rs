//! Atomic operations on plain memory, under Rust-CUDA's names.
//!
//! They are `core`'s, of system scope: a narrower scope in a name is kept as a promise of the
//! caller's, not as an instruction. Only additions of floating-point numbers are instructions of
//! their own; in the emulator they are loops of compare-and-swap, as are least and greatest values,
//! which the compiler's instrumentation does not see otherwise.

use crate::with_name;
use core::cell::UnsafeCell;
use core::sync::atomic::{AtomicI32, AtomicI64, AtomicU32, AtomicU64, Ordering};
#[cfg(target_os = "cuda")]
use core::{arch::asm, sync::atomic::fence};

/// Returns true if an operation of this order is one that releases.
#[cfg(target_os = "cuda")]
fn releases(order: Ordering) -> bool {
    !matches!(order, Ordering::Relaxed | Ordering::Acquire)
}

/// Returns true if it is one that acquires.
#[cfg(target_os = "cuda")]
fn acquires(order: Ordering) -> bool {
    !matches!(order, Ordering::Relaxed | Ordering::Release)
}

/// The order of the load in a loop of compare-and-swap.
fn of_load(order: Ordering) -> Ordering {
    match order {
        Ordering::Release => Ordering::Relaxed,
        Ordering::AcqRel => Ordering::Acquire,
        other => other,
    }
}

/// Floats that are added to by the device's instruction `$instruction`.
macro_rules! add_floats {
    ($($name:ident, $float:ident, $atomic:ident, $register:ident, $instruction:literal;)*) => { $(
        /// Adds atomically and returns the value before.
        #[inline(always)]
        unsafe fn $name(pointer: *mut $float, value: $float, order: Ordering) -> $float {
            #[cfg(target_os = "cuda")]
            {
                let old: $float;
                if releases(order) {
                    fence(Ordering::Release);
                }
                // SAFETY: the caller's pointer is to a value that is accessed atomically.
                unsafe {
                    asm!($instruction, out($register) old, in(reg64) pointer, in($register) value,
                         options(nostack))
                };
                if acquires(order) {
                    fence(Ordering::Acquire);
                }
                old
            }
            #[cfg(not(target_os = "cuda"))]
            {
                // SAFETY: as above.
                let bits = unsafe { $atomic::from_ptr(pointer.cast()) };
                let add = |bits| Some(($float::from_bits(bits) + value).to_bits());
                let old = bits.fetch_update(order, of_load(order), add);
                $float::from_bits(old.unwrap_or_else(|old| old))
            }
        }
    )* };
}

add_floats! {
    add_f32, f32, AtomicU32, reg32, "atom.relaxed.sys.add.f32 {}, [{}], {};";
    add_f64, f64, AtomicU64, reg64, "atom.relaxed.sys.add.f64 {}, [{}], {};";
}

macro_rules! atomic_floats {
    ($($name:ident, $float:ident, $atomic:ident, $add:ident, $scope:literal;)*) => { $(
        #[doc = concat!("An `", stringify!($float), "` that ", $scope, " access atomically.")]
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

            #[inline(always)]
            fn bits(&self) -> &$atomic {
                // SAFETY: the cell is as aligned as its bits, and lives as long as the reference.
                unsafe { $atomic::from_ptr(self.0.get().cast()) }
            }

            /// The value.
            #[inline(always)]
            pub fn load(&self, order: Ordering) -> $float {
                $float::from_bits(self.bits().load(order))
            }

            /// Sets the value.
            #[inline(always)]
            pub fn store(&self, value: $float, order: Ordering) {
                self.bits().store(value.to_bits(), order)
            }

            /// Adds, and returns the value before.
            #[inline(always)]
            pub fn fetch_add(&self, value: $float, order: Ordering) -> $float {
                // SAFETY: the cell is accessed atomically.
                unsafe { $add(self.0.get(), value, order) }
            }

            /// Subtracts, and returns the value before.
            #[inline(always)]
            pub fn fetch_sub(&self, value: $float, order: Ordering) -> $float {
                self.fetch_add(-value, order)
            }

            /// Replaces, and returns the value before.
            #[inline(always)]
            pub fn swap(&self, value: $float, order: Ordering) -> $float {
                $float::from_bits(self.bits().swap(value.to_bits(), order))
            }

            /// The conjunction of the bits; returns the value before.
            #[inline(always)]
            pub fn fetch_and(&self, value: $float, order: Ordering) -> $float {
                $float::from_bits(self.bits().fetch_and(value.to_bits(), order))
            }

            /// The disjunction of the bits; returns the value before.
            #[inline(always)]
            pub fn fetch_or(&self, value: $float, order: Ordering) -> $float {
                $float::from_bits(self.bits().fetch_or(value.to_bits(), order))
            }

            /// The exclusive disjunction of the bits; returns the value before.
            #[inline(always)]
            pub fn fetch_xor(&self, value: $float, order: Ordering) -> $float {
                $float::from_bits(self.bits().fetch_xor(value.to_bits(), order))
            }
        }
    )* };
}

atomic_floats! {
    AtomicF32, f32, AtomicU32, add_f32, "all threads of the device";
    AtomicF64, f64, AtomicU64, add_f64, "all threads of the device";
    BlockAtomicF32, f32, AtomicU32, add_f32, "the threads of a block";
    BlockAtomicF64, f64, AtomicU64, add_f64, "the threads of a block";
    SystemAtomicF32, f32, AtomicU32, add_f32, "the device's threads and the host's";
    SystemAtomicF64, f64, AtomicU64, add_f64, "the device's threads and the host's";
}

/// Functions on raw pointers. Their contract is that of `core`'s atomic operations: the pointer is
/// aligned, to memory that others access atomically too or not at once.
#[allow(clippy::missing_safety_doc)]
pub mod mid {
    use super::*;

    /// The three scopes of each function.
    macro_rules! scopes {
        ($each:ident! $arguments:tt) => {
            scopes!(@ $each, block, $arguments);
            scopes!(@ $each, device, $arguments);
            scopes!(@ $each, system, $arguments);
        };
        (@ $each:ident, $scope:ident, ($($argument:tt)*)) => { $each!($scope, $($argument)*); };
    }

    macro_rules! fences {
        ($scope:ident,) => {
            with_name! { [$scope _thread_fence]
                /// A fence of the given order.
                #[inline(always)]
                pub fn NAME(order: Ordering) {
                    if order != Ordering::Relaxed {
                        core::sync::atomic::fence(order)
                    }
                }
            }
        };
    }
    scopes!(fences!());

    macro_rules! accesses {
        ($scope:ident, $bits:literal, $word:ident, $atomic:ident) => {
            with_name! { [atomic_load_ $bits _ $scope]
                /// The value.
                #[inline(always)]
                pub unsafe fn NAME(pointer: *mut $word, order: Ordering) -> $word {
                    // SAFETY: the caller's contract.
                    unsafe { $atomic::from_ptr(pointer) }.load(order)
                }
            }
            with_name! { [atomic_store_ $bits _ $scope]
                /// Sets the value.
                #[inline(always)]
                pub unsafe fn NAME(pointer: *mut $word, order: Ordering, value: $word) {
                    // SAFETY: the caller's contract.
                    unsafe { $atomic::from_ptr(pointer) }.store(value, order)
                }
            }
        };
    }
    scopes!(accesses!(32, u32, AtomicU32));
    scopes!(accesses!(64, u64, AtomicU64));

    macro_rules! updates {
        ($scope:ident, $word:ident, $atomic:ident, $($operation:ident = $method:ident),*) => { $(
            with_name! { [atomic_fetch_ $operation _ $word _ $scope]
                /// Combines with `value`, and returns the value before.
                #[inline(always)]
                pub unsafe fn NAME(pointer: *mut $word, order: Ordering, value: $word) -> $word {
                    // SAFETY: the caller's contract.
                    unsafe { $atomic::from_ptr(pointer) }.$method(value, order)
                }
            }
        )* };
    }

    macro_rules! extremes {
        ($scope:ident, $word:ident, $atomic:ident, $($operation:ident = $method:ident),*) => { $(
            with_name! { [atomic_fetch_ $operation _ $word _ $scope]
                /// The least or greatest of both values; returns the value before.
                #[inline(always)]
                pub unsafe fn NAME(pointer: *mut $word, order: Ordering, value: $word) -> $word {
                    // SAFETY: the caller's contract.
                    let word = unsafe { $atomic::from_ptr(pointer) };
                    #[cfg(target_os = "cuda")]
                    return word.$method(value, order);
                    #[cfg(not(target_os = "cuda"))]
                    {
                        let combine = |old: $word| Some(old.$operation(value));
                        let old = word.fetch_update(order, of_load(order), combine);
                        old.unwrap_or_else(|old| old)
                    }
                }
            }
        )* };
    }

    macro_rules! swaps {
        ($scope:ident, $word:ident, $atomic:ident) => {
            with_name! { [atomic_compare_and_swap_ $word _ $scope]
                /// Sets `new` where the value is `current`, and returns the value before.
                #[inline(always)]
                pub unsafe fn NAME(
                    pointer: *mut $word,
                    current: $word,
                    new: $word,
                    order: Ordering,
                ) -> $word {
                    // SAFETY: the caller's contract.
                    let word = unsafe { $atomic::from_ptr(pointer) };
                    let old = word.compare_exchange(current, new, order, of_load(order));
                    old.unwrap_or_else(|old| old)
                }
            }
        };
    }

    macro_rules! integers {
        ($($word:ident, $atomic:ident;)*) => { $(
            scopes!(updates!($word, $atomic, add = fetch_add, sub = fetch_sub, and = fetch_and,
                             or = fetch_or, xor = fetch_xor, exch = swap));
            scopes!(extremes!($word, $atomic, min = fetch_min, max = fetch_max));
            scopes!(swaps!($word, $atomic));
        )* };
    }
    integers! {
        u32, AtomicU32;
        u64, AtomicU64;
        i32, AtomicI32;
        i64, AtomicI64;
    }

    macro_rules! floats {
        ($scope:ident, $float:ident, $atomic:ident) => {
            with_name! { [atomic_fetch_add_ $float _ $scope]
                /// Adds, and returns the value before.
                #[inline(always)]
                pub unsafe fn NAME(pointer: *mut $float, order: Ordering, value: $float) -> $float {
                    // SAFETY: the caller's contract; the cell is the value alone.
                    unsafe { &*pointer.cast::<$atomic>() }.fetch_add(value, order)
                }
            }
            with_name! { [atomic_fetch_sub_ $float _ $scope]
                /// Subtracts, and returns the value before.
                #[inline(always)]
                pub unsafe fn NAME(pointer: *mut $float, order: Ordering, value: $float) -> $float {
                    // SAFETY: the caller's contract; the cell is the value alone.
                    unsafe { &*pointer.cast::<$atomic>() }.fetch_sub(value, order)
                }
            }
            with_name! { [atomic_fetch_exch_ $float _ $scope]
                /// Replaces, and returns the value before.
                #[inline(always)]
                pub unsafe fn NAME(pointer: *mut $float, order: Ordering, value: $float) -> $float {
                    // SAFETY: the caller's contract; the cell is the value alone.
                    unsafe { &*pointer.cast::<$atomic>() }.swap(value, order)
                }
            }
        };
    }
    scopes!(floats!(f32, AtomicF32));
    scopes!(floats!(f64, AtomicF64));
}
