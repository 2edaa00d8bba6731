//! Global and shared memory, through accessors that copy values in and out.
//!
//! On the device an accessor is one pointer or address, and nothing is checked. In
//! the emulator it knows its allocation and checks every access. No reference into
//! device memory ever exists, so nothing can alias.
//!
//! All methods are `unsafe` for the same reason: the index must lie in the array, a read
//! element must have been written, and accesses of several threads to one element must
//! be atomic or ordered. In the emulator a breach of these is a finding, and the caller
//! only vouches that the array still exists.
#![allow(clippy::missing_safety_doc)] // One contract for all, above.

#[cfg(target_os = "cuda")]
use crate::device::intrinsics as nv;
#[cfg(not(target_os = "cuda"))]
use crate::emu::access_kind::AccessKind;
#[cfg(not(target_os = "cuda"))]
use crate::emu::atomics::MemoryOrder;
#[cfg(not(target_os = "cuda"))]
use crate::emu::launch::Launch;
#[cfg(not(target_os = "cuda"))]
use crate::emu::memory::{GlobalPointer, SharedPointer};
use crate::ext::{AtomicWord, Word};
use crate::ext::{Ordering, Scope};
use core::marker::PhantomData;
#[cfg(target_os = "cuda")]
use core::{arch::asm, hint::unreachable_unchecked};

#[cfg(target_os = "cuda")]
type GlobalPointer<T> = *mut T;
#[cfg(target_os = "cuda")]
type SharedPointer = u32;

/// An array in the device's memory. Indices count elements. The rules of access are
/// those of the [module](self).
#[derive(Clone, Copy)]
#[repr(transparent)]
pub struct Global<T>(pub(crate) GlobalPointer<T>);

impl<T: Word> Global<T> {
    twins! {
        /// Reads element `i`.
        unsafe fn get(self, i: usize) -> T {
            *self.0.add(i);
            self.0.add(i).with(size_of::<T>(), AccessKind::READ, Launch::read)
        }

        /// Writes element `i`.
        unsafe fn set(self, i: usize, value: T) {
            *self.0.add(i) = value;
            self.0.add(i).with(size_of::<T>(), AccessKind::WRITE, |launch, access| {
                launch.write(access, value)
            })
        }

        /// Reads element `i`, past the first-level cache, of an array that no thread
        /// writes during this launch and that is not read again.
        unsafe fn get_streamed(self, i: usize) -> T {
            load_streamed!(T, self.0.add(i));
            self.0.add(i).with(size_of::<T>(), AccessKind::STREAMED_READ, Launch::read)
        }

        /// Reads the 16 bytes from element `i` on, which must be aligned to 16 bytes.
        unsafe fn get_vector(self, i: usize) -> u128 {
            *(self.0.add(i) as *const u128);
            self.0.add(i).with(16, AccessKind::READ, Launch::read)
        }

        /// The address of element 0, in bytes, which tells how it is aligned.
        fn address(self) -> usize {
            self.0 as usize;
            self.0.address()
        }

        /// The same array, known to be in global memory: the compiler loses that where
        /// an array was chosen among several at run time.
        unsafe fn assume_global(self) -> Self {
            { assume_global!(self.0); self };
            self
        }
    }

    /// The array from element `i` on.
    #[inline(always)]
    pub unsafe fn offset(self, i: usize) -> Self {
        // SAFETY: the caller keeps the accessor's contract.
        Self(unsafe { self.0.add(i) })
    }

    /// The array from the element `i` away on, before element 0 if `i` is negative: an
    /// address, of which only elements of the array may be read or written.
    #[inline(always)]
    pub fn displaced(self, i: isize) -> Self {
        Self(self.0.wrapping_offset(i))
    }

    /// The same bytes as elements of another width.
    #[inline(always)]
    pub unsafe fn cast<U: Word>(self) -> Global<U> {
        Global(self.0.cast())
    }
}

impl<T: AtomicWord> Global<T> {
    twins! {
        /// Atomically reads element `i`; `order` is `Relaxed` or `Acquire`.
        unsafe fn load(self, i: usize, order: Ordering, scope: Scope) -> T {
            load!(T, self.0.add(i), order, scope);
            {
                assert!(
                    matches!(order, Ordering::Relaxed | Ordering::Acquire),
                    "a load is Relaxed or Acquire, not {order:?}"
                );
                let kind = AccessKind::READ.atomic(scope);
                T::from_u64(self.0.add(i).with(size_of::<T>(), kind, |launch, access| {
                    launch.load(access, MemoryOrder(order, scope))
                }))
            }
        }

        /// Atomically writes element `i`; `order` is `Relaxed` or `Release`.
        unsafe fn store(self, i: usize, value: T, order: Ordering, scope: Scope) {
            store!(T, self.0.add(i), value, order, scope);
            {
                assert!(
                    matches!(order, Ordering::Relaxed | Ordering::Release),
                    "a store is Relaxed or Release, not {order:?}"
                );
                let kind = AccessKind::WRITE.atomic(scope);
                self.0.add(i).with(size_of::<T>(), kind, |launch, access| {
                    launch.store(access, value.to_u64(), MemoryOrder(order, scope))
                })
            }
        }

        /// Atomically adds to element `i`, wrapping, and returns its value before.
        unsafe fn fetch_add(self, i: usize, value: T, order: Ordering, scope: Scope) -> T {
            fetch_add!(T, self.0.add(i), value, order, scope);
            {
                let kind = AccessKind::UPDATE.atomic(scope);
                T::from_u64(self.0.add(i).with(size_of::<T>(), kind, |launch, access| {
                    launch.fetch_add(access, value.to_u64(), MemoryOrder(order, scope))
                }))
            }
        }
    }
}

impl Global<u32> {
    twins! {
        /// Atomically reads elements `i` to `i + 3`, relaxed, each by itself but in one
        /// instruction; `i` must be a multiple of 4.
        unsafe fn load_four(self, i: usize, scope: Scope) -> [u32; 4] {
            {
                let (a, b, c, d): (u32, u32, u32, u32);
                let p = self.0.add(i);
                scoped!(scope, "ld.relaxed", ".global.v4.u32 {{{}, {}, {}, {}}}, [{}];",
                        out(reg32) a, out(reg32) b, out(reg32) c, out(reg32) d,
                        in(reg64) p, options(nostack));
                [a, b, c, d]
            };
            self.0.add(i).with(16, AccessKind::READ.atomic(scope), |launch, whole| {
                launch.require_valid(whole);
                let order = MemoryOrder(Ordering::Relaxed, scope);
                [0, 4, 8, 12].map(|byte| launch.load(&whole.part(byte, 4), order) as u32)
            })
        }

        /// Atomically writes elements `i` and `i + 1`, relaxed, each by itself but in
        /// one instruction; `i` must be even.
        unsafe fn store_pair(self, i: usize, values: [u32; 2], scope: Scope) {
            {
                let p = self.0.add(i);
                scoped!(scope, "st.relaxed", ".global.v2.u32 [{}], {{{}, {}}};", in(reg64) p,
                        in(reg32) values[0], in(reg32) values[1], options(nostack))
            };
            self.0.add(i).with(8, AccessKind::WRITE.atomic(scope), |launch, whole| {
                launch.require_valid(whole);
                for (j, value) in values.into_iter().enumerate() {
                    let order = MemoryOrder(Ordering::Relaxed, scope);
                    launch.store(&whole.part(4 * j, 4), value as u64, order);
                }
            })
        }
    }
}

/// An array in the block's shared memory. The rules of access are those of the [module](self).
///
/// On the device it is an address within shared memory, 32 bits wide, and not a pointer: LLVM loses
/// track of a pointer's state space, and generic accesses are slower.
#[derive(Clone, Copy)]
#[repr(transparent)]
pub struct Shared<T> {
    pub(crate) pointer: SharedPointer,
    pub(crate) element: PhantomData<T>,
}

impl<T: Word> Shared<T> {
    #[inline(always)]
    fn at(self, i: usize) -> SharedPointer {
        #[cfg(target_os = "cuda")]
        return self.pointer.wrapping_add((i * size_of::<T>()) as u32);
        #[cfg(not(target_os = "cuda"))]
        self.pointer.byte_add(i.wrapping_mul(size_of::<T>()))
    }

    twins! {
        /// Reads element `i`.
        unsafe fn get(self, i: usize) -> T {
            load_shared!(T, self.at(i));
            self.at(i).with(size_of::<T>(), AccessKind::READ, Launch::read)
        }

        /// Writes element `i`.
        unsafe fn set(self, i: usize, value: T) {
            store_shared!(T, self.at(i), value);
            self.at(i).with(size_of::<T>(), AccessKind::WRITE, |launch, access| {
                launch.write(access, value)
            })
        }
    }

    /// The array from element `i` on.
    #[inline(always)]
    pub unsafe fn offset(self, i: usize) -> Self {
        Self { pointer: self.at(i), ..self }
    }

    /// The same bytes as elements of another width.
    #[inline(always)]
    pub unsafe fn cast<U: Word>(self) -> Shared<U> {
        Shared::new(self.pointer)
    }
}

impl<T> Shared<T> {
    #[inline(always)]
    pub(crate) fn new(pointer: SharedPointer) -> Self {
        Self { pointer, element: PhantomData }
    }

    /// The array at an address within shared memory. For [`shared_words!`](crate::shared_words).
    #[cfg(target_os = "cuda")]
    #[doc(hidden)]
    #[inline(always)]
    pub fn from_address(address: u32) -> Self {
        Self::new(address)
    }

    /// The static array called `symbol`. For [`shared_words!`](crate::shared_words).
    #[cfg(not(target_os = "cuda"))]
    #[doc(hidden)]
    #[track_caller]
    pub fn from_symbol(symbol: &'static str, len: usize) -> Self {
        Self::new(SharedPointer::to_static::<T>(symbol, len))
    }
}

impl<T: AtomicWord> Shared<T> {
    twins! {
        /// Atomically reads element `i`: relaxed, among the threads of the block.
        unsafe fn load(self, i: usize) -> T {
            atomic_load_shared!(T, self.at(i));
            self.at(i).with(size_of::<T>(), AccessKind::READ.atomic(Scope::Block), |launch, access| {
                T::from_u64(launch.load(access, MemoryOrder(Ordering::Relaxed, Scope::Block)))
            })
        }

        /// Atomically writes `new` to element `i` if that is `current`, and returns its value
        /// before: relaxed, among the threads of the block.
        unsafe fn compare_exchange(self, i: usize, current: T, new: T) -> T {
            compare_exchange_shared!(T, self.at(i), current, new);
            self.at(i).with(size_of::<T>(), AccessKind::UPDATE.atomic(Scope::Block), |launch, access| {
                let order = MemoryOrder(Ordering::Relaxed, Scope::Block);
                let exchanged = |old| (old == current.to_u64()).then_some(new.to_u64());
                T::from_u64(launch.update(access, order, exchanged))
            })
        }
    }
}

impl Shared<u16> {
    twins! {
        /// Writes the low half of `value` to element `i`, with one instruction less than by a cast.
        unsafe fn set_low(self, i: usize, value: u32) {
            asm!("st.shared.u16 [{}], {};", in(reg32) self.at(i), in(reg32) value, options(nostack));
            self.set(i, value as u16)
        }
    }
}

impl Shared<u32> {
    twins! {
        /// Atomically adds to element `i`, wrapping, and returns its value before:
        /// relaxed, among the threads of the block.
        unsafe fn fetch_add(self, i: usize, value: u32) -> u32 {
            {
                let old: u32;
                asm!("atom.relaxed.cta.shared.add.u32 {}, [{}], {};", out(reg32) old,
                     in(reg32) self.at(i), in(reg32) value, options(nostack));
                old
            };
            self.at(i).with(4, AccessKind::UPDATE.atomic(Scope::Block), |launch, access| {
                let order = MemoryOrder(Ordering::Relaxed, Scope::Block);
                launch.fetch_add(access, value as u64, order) as u32
            })
        }

        /// [`fetch_add`](Self::fetch_add) without the result, which is faster.
        unsafe fn add(self, i: usize, value: u32) {
            asm!("red.relaxed.cta.shared.add.u32 [{}], {};", in(reg32) self.at(i),
                 in(reg32) value, options(nostack));
            { self.fetch_add(i, value); }
        }
    }
}

twins! {
    /// `len` elements of the launch's dynamic shared memory, from `byte_offset` on,
    /// which must be aligned to the element.
    unsafe fn dynamic_shared<T: Word>(byte_offset: usize, len: usize) -> Shared<T> {
        {
            let base: u32;
            // The symbol is declared by `#[kernel]`.
            asm!("mov.u32 {}, cuda_std_dynamic_shared;", out(reg32) base,
                 options(pure, nomem, nostack, preserves_flags));
            _ = len;
            Shared::new(base + byte_offset as u32)
        };
        Shared::new(SharedPointer::to_dynamic::<T>(byte_offset, len))
    }
}
