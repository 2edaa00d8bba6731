//! Atomic operations on words by raw pointers. In a launch of instrumented kernels they are checked
//! and are the emulator's; elsewhere, and on a thread's own stack, they are the machine's.

use super::atomics::MemoryOrder;
use super::location::Line;
#[cfg(feature = "instrumented")]
use super::{access_kind::AccessKind, instrumented::checked_launch};

macro_rules! width {
    ($module:ident, $word:ident, $atomic:ident) => {
        #[cfg_attr(not(feature = "instrumented"), allow(unused_variables, unused_imports))]
        pub(crate) mod $module {
            use super::*;
            use std::sync::atomic::{Ordering::SeqCst, $atomic};

            #[cfg(feature = "instrumented")]
            const SIZE: usize = size_of::<$word>();
            /// Set if the emulator keeps the history of words of this size.
            #[cfg(feature = "instrumented")]
            const IS_WORD: bool = SIZE >= 4;

            fn native<'a>(pointer: *mut $word) -> &'a $atomic {
                // SAFETY: the kernel's own operation.
                unsafe { $atomic::from_ptr(pointer) }
            }

            pub(crate) fn load(pointer: *mut $word, order: MemoryOrder, at: Line) -> $word {
                #[cfg(feature = "instrumented")]
                if let Some(launch) = checked_launch(pointer as usize) {
                    let kind = AccessKind::READ.atomic(order.1);
                    return launch.inside(|| {
                        launch.atomic((pointer as usize, SIZE), kind, at, |access| match IS_WORD {
                            true => launch.load(access, order) as $word,
                            false => {
                                launch.begin(access);
                                native(pointer).load(SeqCst)
                            }
                        })
                    });
                }
                native(pointer).load(SeqCst)
            }

            pub(crate) fn store(pointer: *mut $word, value: $word, order: MemoryOrder, at: Line) {
                #[cfg(feature = "instrumented")]
                if let Some(launch) = checked_launch(pointer as usize) {
                    let kind = AccessKind::WRITE.atomic(order.1);
                    return launch.inside(|| {
                        launch.atomic((pointer as usize, SIZE), kind, at, |access| match IS_WORD {
                            true => launch.store(access, value as u64, order),
                            false => {
                                launch.begin(access);
                                launch.note_progress();
                                native(pointer).store(value, SeqCst);
                            }
                        })
                    });
                }
                native(pointer).store(value, SeqCst)
            }

            /// Replaces the value by what `new` makes of it, if it makes anything, and returns the
            /// value before.
            pub(crate) fn update(
                pointer: *mut $word,
                order: MemoryOrder,
                at: Line,
                new: impl Fn($word) -> Option<$word>,
            ) -> $word {
                let native = |new| {
                    let old = native(pointer).fetch_update(SeqCst, SeqCst, new);
                    old.unwrap_or_else(|old| old)
                };
                #[cfg(feature = "instrumented")]
                if let Some(launch) = checked_launch(pointer as usize) {
                    let kind = AccessKind::UPDATE.atomic(order.1);
                    return launch.inside(|| {
                        launch.atomic((pointer as usize, SIZE), kind, at, |access| {
                            if IS_WORD {
                                let new = |old: u64| new(old as $word).map(u64::from);
                                return launch.update(access, order, new) as $word;
                            }
                            launch.begin(access);
                            launch.note_progress();
                            native(&new)
                        })
                    });
                }
                native(&new)
            }
        }
    };
}

#[cfg(feature = "instrumented")]
width!(bits8, u8, AtomicU8);
#[cfg(feature = "instrumented")]
width!(bits16, u16, AtomicU16);
width!(bits32, u32, AtomicU32);
width!(bits64, u64, AtomicU64);
