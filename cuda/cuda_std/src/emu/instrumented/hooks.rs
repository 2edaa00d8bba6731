//! The functions that instrumented code calls, with its return address behind the arguments.

use super::{AccessKind, Line, MemoryOrder, checked_launch, inside};
use crate::order::{Ordering, Scope};

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
        inside(|| launch.plain(address, size, kind(number), at));
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
        inside(|| launch.fence(Scope::Device));
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

/// The atomic operations of one width. In a launch they are the emulator's; elsewhere, and on a
/// thread's own stack, the machine's.
macro_rules! width {
    ($module:ident, $word:ident, $atomic:ident) => {
        pub(super) mod $module {
            use super::*;
            use std::sync::atomic::{$atomic, Ordering::SeqCst};

            const SIZE: usize = size_of::<$word>();
            /// Set if the emulator keeps the history of words of this size.
            const IS_WORD: bool = SIZE >= 4;

            fn native<'a>(pointer: *mut $word) -> &'a $atomic {
                // SAFETY: the kernel's own operation.
                unsafe { $atomic::from_ptr(pointer) }
            }

            pub(in super::super) extern "C-unwind" fn load(
                pointer: *mut $word,
                number: i32,
                caller: usize,
            ) -> $word {
                let Some(launch) = checked_launch(pointer as usize) else {
                    return native(pointer).load(SeqCst);
                };
                let (at, kind) = (Line::of_return_address(caller), AccessKind::READ);
                let kind = kind.atomic(Scope::Device);
                inside(|| launch.atomic((pointer as usize, SIZE), kind, at, |access| {
                    match IS_WORD {
                        true => launch.load(access, order(number)) as $word,
                        false => {
                            launch.begin(access);
                            native(pointer).load(SeqCst)
                        }
                    }
                }))
            }

            pub(in super::super) extern "C-unwind" fn store(
                pointer: *mut $word,
                value: $word,
                number: i32,
                caller: usize,
            ) {
                let Some(launch) = checked_launch(pointer as usize) else {
                    return native(pointer).store(value, SeqCst);
                };
                let at = Line::of_return_address(caller);
                let kind = AccessKind::WRITE.atomic(Scope::Device);
                inside(|| launch.atomic((pointer as usize, SIZE), kind, at, |access| {
                    match IS_WORD {
                        true => launch.store(access, value as u64, order(number)),
                        false => {
                            launch.begin(access);
                            launch.note_progress();
                            native(pointer).store(value, SeqCst);
                        }
                    }
                }))
            }

            fn update(
                pointer: *mut $word,
                number: i32,
                caller: usize,
                new: impl Fn($word) -> Option<$word>,
            ) -> $word {
                let Some(launch) = checked_launch(pointer as usize) else {
                    let old = native(pointer).fetch_update(SeqCst, SeqCst, new);
                    return old.unwrap_or_else(|old| old);
                };
                let at = Line::of_return_address(caller);
                let kind = AccessKind::UPDATE.atomic(Scope::Device);
                inside(|| launch.atomic((pointer as usize, SIZE), kind, at, |access| {
                    if IS_WORD {
                        let new = |old: u64| new(old as $word).map(u64::from);
                        return launch.update(access, order(number), new) as $word;
                    }
                    launch.begin(access);
                    launch.note_progress();
                    let old = native(pointer).fetch_update(SeqCst, SeqCst, new);
                    old.unwrap_or_else(|old| old)
                }))
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

width!(bits8, u8, AtomicU8);
width!(bits16, u16, AtomicU16);
width!(bits32, u32, AtomicU32);
width!(bits64, u64, AtomicU64);
