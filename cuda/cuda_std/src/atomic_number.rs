//! Atomic operations on numbers in plain memory, by pointers.
//!
//! On the device each is one instruction of the given order and scope, behind a fence if it is
//! sequentially consistent (PTX ISA, "Memory Consistency Model"). In the emulator it is checked as
//! an access by a raw pointer.

#[cfg(not(target_os = "cuda"))]
use crate::emu::{atomics::MemoryOrder, location::Line, raw_atomics};
use crate::ext::{Ordering, Scope};
#[cfg(target_os = "cuda")]
use core::arch::asm;

/// Numbers with atomic instructions.
///
/// # Safety
/// Pointers are aligned, to memory that no other thread accesses at once but atomically.
#[allow(clippy::missing_safety_doc)] // The contract is the trait's.
pub(crate) trait AtomicNumber: Copy {
    /// The value.
    unsafe fn load(pointer: *mut Self, order: Ordering, scope: Scope) -> Self;
    /// Sets the value.
    unsafe fn store(pointer: *mut Self, value: Self, order: Ordering, scope: Scope);
    /// Adds, wrapping, and returns the value before.
    unsafe fn add(pointer: *mut Self, value: Self, order: Ordering, scope: Scope) -> Self;
    /// Subtracts, wrapping, and returns the value before.
    unsafe fn sub(pointer: *mut Self, value: Self, order: Ordering, scope: Scope) -> Self;
    /// Keeps the bits that both have, and returns the value before.
    unsafe fn and(pointer: *mut Self, value: Self, order: Ordering, scope: Scope) -> Self;
    /// Sets the bits that either has, and returns the value before.
    unsafe fn or(pointer: *mut Self, value: Self, order: Ordering, scope: Scope) -> Self;
    /// Sets the bits that one of both has, and returns the value before.
    unsafe fn xor(pointer: *mut Self, value: Self, order: Ordering, scope: Scope) -> Self;
    /// Replaces, and returns the value before.
    unsafe fn exch(pointer: *mut Self, value: Self, order: Ordering, scope: Scope) -> Self;
}

/// Integers with the atomic instructions that floats do not have. The contract is
/// [`AtomicNumber`]'s.
#[allow(clippy::missing_safety_doc)]
pub(crate) trait AtomicInteger: AtomicNumber {
    /// Keeps the least, and returns the value before.
    unsafe fn min(pointer: *mut Self, value: Self, order: Ordering, scope: Scope) -> Self;
    /// Keeps the greatest, and returns the value before.
    unsafe fn max(pointer: *mut Self, value: Self, order: Ordering, scope: Scope) -> Self;
    /// Sets `new` where the value is `current`, and returns the value before.
    unsafe fn compare_and_swap(
        pointer: *mut Self,
        current: Self,
        new: Self,
        order: Ordering,
        scope: Scope,
    ) -> Self;
}

/// `$instruction`, with the word for `$order`, and a fence before it if that is sequentially
/// consistent.
#[cfg(target_os = "cuda")]
macro_rules! in_order {
    ($order:expr, $scope:expr, $words:tt, $after:expr, $operands:tt) => {{
        if $order == Ordering::SeqCst {
            scoped!($scope, "fence.sc", ";", options(nostack));
        }
        ordered!($order, $scope, $words, $after, $operands)
    }};
}

/// The instruction `atom.$what`, with an operand for each value behind the pointer.
#[cfg(target_os = "cuda")]
macro_rules! atom {
    ($what:expr, $register:ident, $operands:literal, $pointer:expr, $order:expr, $scope:expr, $($value:expr),*) => {{
        let old: Self;
        in_order!($order, $scope, {
                      Ordering::Relaxed => "atom.relaxed", Ordering::Acquire => "atom.acquire",
                      Ordering::Release => "atom.release", _ => "atom.acq_rel"
                  },
                  concat!(".", $what, $operands),
                  (out($register) old, in(reg64) $pointer, $(in($register) $value,)* options(nostack)));
        old
    }};
}

/// An update of the value by another: its instruction, and the function of both.
macro_rules! update {
    ($name:ident, $bits:ident, $width:ident, $register:ident, $instruction:expr, $combined:expr) => {
        #[inline(always)]
        #[cfg_attr(not(target_os = "cuda"), track_caller)]
        unsafe fn $name(pointer: *mut Self, value: Self, order: Ordering, scope: Scope) -> Self {
            #[cfg(target_os = "cuda")]
            // SAFETY: the trait's contract.
            unsafe {
                atom!($instruction, $register, " {}, [{}], {};", pointer, order, scope, value)
            }
            #[cfg(not(target_os = "cuda"))]
            {
                let new = |old: $bits| Some($combined(Self::of_bits(old), value).bits());
                let order = MemoryOrder(order, scope);
                Self::of_bits(raw_atomics::$width::update(
                    pointer.cast(),
                    order,
                    Line::of_kernel(),
                    new,
                ))
            }
        }
    };
}

/// The operations that are the same for integers and floats.
macro_rules! common {
    ($bits:ident, $width:ident, $register:ident, $number:literal, $untyped:literal) => {
        #[inline(always)]
        #[cfg_attr(not(target_os = "cuda"), track_caller)]
        unsafe fn load(pointer: *mut Self, order: Ordering, scope: Scope) -> Self {
            #[cfg(target_os = "cuda")]
            // SAFETY: the trait's contract.
            unsafe {
                let value: Self;
                in_order!(order, scope, { Ordering::Relaxed => "ld.relaxed", _ => "ld.acquire" },
                          concat!(".", $untyped, " {}, [{}];"),
                          (out($register) value, in(reg64) pointer, options(nostack)));
                value
            }
            #[cfg(not(target_os = "cuda"))]
            {
                let order = MemoryOrder(order, scope);
                Self::of_bits(raw_atomics::$width::load(pointer.cast(), order, Line::of_kernel()))
            }
        }

        #[inline(always)]
        #[cfg_attr(not(target_os = "cuda"), track_caller)]
        unsafe fn store(pointer: *mut Self, value: Self, order: Ordering, scope: Scope) {
            #[cfg(target_os = "cuda")]
            // SAFETY: the trait's contract.
            unsafe {
                in_order!(order, scope, { Ordering::Relaxed => "st.relaxed", _ => "st.release" },
                          concat!(".", $untyped, " [{}], {};"),
                          (in(reg64) pointer, in($register) value, options(nostack)))
            }
            #[cfg(not(target_os = "cuda"))]
            {
                let order = MemoryOrder(order, scope);
                raw_atomics::$width::store(pointer.cast(), value.bits(), order, Line::of_kernel())
            }
        }

        update!(exch, $bits, $width, $register, concat!("exch.", $untyped), |_, value: Self| value);
    };
}

macro_rules! integers {
    ($($word:ident, $bits:ident, $width:ident, $register:ident, $sum:literal, $ordered:literal, $untyped:literal;)*) => { $(
        impl Bits<$bits> for $word {
            #[inline(always)]
            fn bits(self) -> $bits {
                self as $bits
            }
            #[inline(always)]
            fn of_bits(bits: $bits) -> Self {
                bits as $word
            }
        }

        impl AtomicNumber for $word {
            common!($bits, $width, $register, $ordered, $untyped);
            update!(add, $bits, $width, $register, concat!("add.", $sum), Self::wrapping_add);
            update!(and, $bits, $width, $register, concat!("and.", $untyped), |old, value| old & value);
            update!(or, $bits, $width, $register, concat!("or.", $untyped), |old, value| old | value);
            update!(xor, $bits, $width, $register, concat!("xor.", $untyped), |old, value| old ^ value);

            #[inline(always)]
            #[cfg_attr(not(target_os = "cuda"), track_caller)]
            unsafe fn sub(pointer: *mut Self, value: Self, order: Ordering, scope: Scope) -> Self {
                // SAFETY: the trait's contract.
                unsafe { Self::add(pointer, value.wrapping_neg(), order, scope) }
            }
        }

        impl AtomicInteger for $word {
            update!(min, $bits, $width, $register, concat!("min.", $ordered), Ord::min);
            update!(max, $bits, $width, $register, concat!("max.", $ordered), Ord::max);

            #[inline(always)]
            #[cfg_attr(not(target_os = "cuda"), track_caller)]
            unsafe fn compare_and_swap(
                pointer: *mut Self,
                current: Self,
                new: Self,
                order: Ordering,
                scope: Scope,
            ) -> Self {
                #[cfg(target_os = "cuda")]
                // SAFETY: the trait's contract.
                unsafe {
                    atom!(concat!("cas.", $untyped), $register, " {}, [{}], {}, {};",
                          pointer, order, scope, current, new)
                }
                #[cfg(not(target_os = "cuda"))]
                {
                    let new = |old: $bits| (Self::of_bits(old) == current).then_some(new.bits());
                    let order = MemoryOrder(order, scope);
                    Self::of_bits(raw_atomics::$width::update(pointer.cast(), order, Line::of_kernel(), new))
                }
            }
        }
    )* };
}

macro_rules! floats {
    ($($float:ident, $bits:ident, $width:ident, $register:ident, $sum:literal, $untyped:literal;)*) => { $(
        impl Bits<$bits> for $float {
            #[inline(always)]
            fn bits(self) -> $bits {
                self.to_bits()
            }
            #[inline(always)]
            fn of_bits(bits: $bits) -> Self {
                $float::from_bits(bits)
            }
        }

        impl AtomicNumber for $float {
            common!($bits, $width, $register, $sum, $untyped);
            update!(add, $bits, $width, $register, concat!("add.", $sum), |old, value| old + value);
            floats!(@ $float, $bits, and, or, xor);

            #[inline(always)]
            #[cfg_attr(not(target_os = "cuda"), track_caller)]
            unsafe fn sub(pointer: *mut Self, value: Self, order: Ordering, scope: Scope) -> Self {
                // SAFETY: the trait's contract.
                unsafe { Self::add(pointer, -value, order, scope) }
            }
        }
    )* };
    (@ $float:ident, $bits:ident, $($operation:ident),*) => { $(
        #[inline(always)]
        #[cfg_attr(not(target_os = "cuda"), track_caller)]
        unsafe fn $operation(pointer: *mut Self, value: Self, order: Ordering, scope: Scope) -> Self {
            // SAFETY: the trait's contract; the bits are as wide.
            let old = unsafe { $bits::$operation(pointer.cast(), value.to_bits(), order, scope) };
            $float::from_bits(old)
        }
    )* };
}

/// The bits of a number, as an unsigned one.
trait Bits<B> {
    fn bits(self) -> B;
    fn of_bits(bits: B) -> Self;
}

integers! {
    u32, u32, bits32, reg32, "u32", "u32", "b32";
    i32, u32, bits32, reg32, "u32", "s32", "b32";
    u64, u64, bits64, reg64, "u64", "u64", "b64";
    i64, u64, bits64, reg64, "u64", "s64", "b64";
}
floats! {
    f32, u32, bits32, reg32, "f32", "b32";
    f64, u64, bits64, reg64, "f64", "b64";
}

/// A fence of the given order among the threads of `scope`; none if it is relaxed.
#[inline(always)]
pub(crate) fn ordered_fence(order: Ordering, scope: Scope) {
    if order == Ordering::Relaxed {
        return;
    }
    #[cfg(target_os = "cuda")]
    // SAFETY: a fence.
    unsafe {
        match order {
            Ordering::SeqCst => scoped!(scope, "fence.sc", ";", options(nostack)),
            _ => scoped!(scope, "fence.acq_rel", ";", options(nostack)),
        }
    }
    #[cfg(not(target_os = "cuda"))]
    if crate::emu::launch::current_or_none().is_some() {
        crate::emu::launch::current(|launch| launch.fence(scope))
    }
}
