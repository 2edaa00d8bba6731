//! The functions that instrumented code calls, with its return address behind the arguments.

use super::{AccessKind, Line, MemoryOrder, checked_launch};
use crate::ext::{Ordering, Scope};

/// The kind of the numbers in `symbols`.
fn kind(number: u32) -> AccessKind {
    match number {
        1 => AccessKind::READ,
        2 => AccessKind::WRITE,
        _ => AccessKind::UPDATE,
    }
}

/// An access is about to be made.
pub(super) extern "C-unwind" fn access(address: usize, caller: usize, size: usize, number: u32) {
    if let Some(launch) = checked_launch(address) {
        let at = Line::of_return_address(caller);
        launch.inside(|| launch.plain(address, size, kind(number), at));
    }
}

/// Copies, as `memmove`.
pub(super) unsafe extern "C-unwind" fn copy(
    to: *mut u8,
    from: *const u8,
    bytes: usize,
    caller: usize,
) -> *mut u8 {
    access(from as usize, caller, bytes, 1);
    access(to as usize, caller, bytes, 2);
    // SAFETY: the kernel's own copy, of bytes found to be there.
    unsafe { std::ptr::copy(from, to, bytes) };
    to
}

/// Fills, as `memset`.
pub(super) unsafe extern "C-unwind" fn fill(
    to: *mut u8,
    value: i32,
    bytes: usize,
    caller: usize,
) -> *mut u8 {
    access(to as usize, caller, bytes, 2);
    // SAFETY: the kernel's own store, to bytes found to be there.
    unsafe { std::ptr::write_bytes(to, value as u8, bytes) };
    to
}

pub(super) extern "C-unwind" fn fence(order: i32, _caller: usize) {
    if order != 0
        && let Some(launch) = checked_launch(0)
    {
        launch.inside(|| launch.fence(Scope::Device));
    }
}

/// Called once for each crate, at the start of the program.
#[unsafe(no_mangle)]
extern "C" fn __tsan_init() {}

/// A fence among the thread and its own signal handlers, of which a device has none.
#[unsafe(no_mangle)]
extern "C" fn __tsan_atomic_signal_fence(_order: i32) {}

/// The order of LLVM's number, among all threads of the device: narrower scopes are not seen.
fn order(number: i32) -> MemoryOrder {
    let order = match number {
        0 => Ordering::Relaxed,
        1 | 2 => Ordering::Acquire,
        3 => Ordering::Release,
        4 => Ordering::AcqRel,
        _ => Ordering::SeqCst,
    };
    MemoryOrder(order, Scope::Device)
}

/// The atomic operations of one width.
macro_rules! width {
    ($module:ident, $word:ident) => {
        pub(super) mod $module {
            use super::*;
            use crate::emu::raw_atomics::$module as operations;

            pub(in super::super) extern "C-unwind" fn load(
                pointer: *mut $word,
                number: i32,
                caller: usize,
            ) -> $word {
                operations::load(pointer, order(number), Line::of_return_address(caller))
            }

            pub(in super::super) extern "C-unwind" fn store(
                pointer: *mut $word,
                value: $word,
                number: i32,
                caller: usize,
            ) {
                operations::store(pointer, value, order(number), Line::of_return_address(caller))
            }

            fn update(
                pointer: *mut $word,
                number: i32,
                caller: usize,
                new: impl Fn($word) -> Option<$word>,
            ) -> $word {
                operations::update(pointer, order(number), Line::of_return_address(caller), new)
            }

            width!(@ $word, exchange, |_old, value| value);
            width!(@ $word, add, $word::wrapping_add);
            width!(@ $word, sub, $word::wrapping_sub);
            width!(@ $word, and, |old, value| old & value);
            width!(@ $word, or, |old, value| old | value);
            width!(@ $word, xor, |old, value| old ^ value);
            width!(@ $word, nand, |old: $word, value: $word| !(old & value));

            pub(in super::super) extern "C-unwind" fn compare_exchange(
                pointer: *mut $word,
                expected: $word,
                value: $word,
                number: i32,
                _failure: i32,
                caller: usize,
            ) -> $word {
                update(pointer, number, caller, |old| (old == expected).then_some(value))
            }
        }
    };
    (@ $word:ident, $name:ident, $combine:expr) => {
        pub(in super::super) extern "C-unwind" fn $name(
            pointer: *mut $word,
            value: $word,
            number: i32,
            caller: usize,
        ) -> $word {
            update(pointer, number, caller, |old| Some($combine(old, value)))
        }
    };
}

width!(bits8, u8);
width!(bits16, u16);
width!(bits32, u32);
width!(bits64, u64);
