//! Global and shared memory, through accessors that are one pointer wide.

use super::intrinsics as nv;
use crate::atomic::{Ordering, Scope};
use crate::word::{AtomicWord, Word};
use core::arch::asm;
use core::marker::PhantomData;

/// An array in the device's memory.
///
/// Indices count elements. No access is checked on the device; in the emulator
/// every one is. All methods are `unsafe` for the same reason: the index must lie
/// in the array, what is read must have been written, and accesses of several
/// threads to one element must be atomic or ordered.
#[derive(Clone, Copy)]
#[repr(transparent)]
pub struct Global<T>(*mut T);

impl<T: Word> Global<T> {
    /// Reads element `i`.
    #[inline(always)]
    pub unsafe fn get(self, i: usize) -> T {
        unsafe { *self.0.add(i) }
    }

    /// Writes element `i`.
    #[inline(always)]
    pub unsafe fn set(self, i: usize, value: T) {
        unsafe { *self.0.add(i) = value }
    }

    /// Reads element `i` of an array that no thread writes during this launch and
    /// that is not read again: past the first-level cache.
    #[inline(always)]
    pub unsafe fn get_streamed(self, i: usize) -> T {
        unsafe { load_streamed(self.0.add(i)) }
    }

    /// Reads the 16 bytes from element `i` on, which must be aligned to 16 bytes.
    #[inline(always)]
    pub unsafe fn get_vector(self, i: usize) -> u128 {
        unsafe { *(self.0.add(i) as *const u128) }
    }

    /// Writes the 16 bytes from element `i` on, which must be aligned to 16 bytes.
    #[inline(always)]
    pub unsafe fn set_vector(self, i: usize, value: u128) {
        unsafe { *(self.0.add(i) as *mut u128) = value }
    }

    /// The array from element `i` on.
    #[inline(always)]
    pub unsafe fn offset(self, i: usize) -> Self {
        Self(unsafe { self.0.add(i) })
    }

    /// The array from the element `i` away on, before element 0 where that is negative: an
    /// address, of which only elements of the array may be read or written.
    #[inline(always)]
    pub fn displaced(self, i: isize) -> Self {
        Self(self.0.wrapping_offset(i))
    }

    /// The address of element 0, in bytes: to see how it is aligned.
    #[inline(always)]
    pub fn address(self) -> usize {
        self.0 as usize
    }

    /// The same array, known anew to be in global memory: where it was chosen at
    /// run time among several the compiler no longer knows.
    #[inline(always)]
    pub unsafe fn assume_global(self) -> Self {
        unsafe {
            let global = nv::is_global(self.0 as *const u8);
            asm!("// {0}", in(reg32) global as u32, options(nomem, nostack, preserves_flags));
            core::hint::assert_unchecked(global);
        }
        self
    }

    /// The same bytes as elements of another width.
    #[inline(always)]
    pub unsafe fn cast<U: Word>(self) -> Global<U> {
        Global(self.0 as *mut U)
    }
}

/// `asm!` with the suffix that `$scope` has in PTX.
macro_rules! scoped {
    ($scope:expr, $before:literal, $after:literal, $($operand:tt)*) => {
        match $scope {
            Scope::Block => asm!(concat!($before, ".cta", $after), $($operand)*),
            Scope::Device => asm!(concat!($before, ".gpu", $after), $($operand)*),
        }
    };
}

impl<T: AtomicWord> Global<T> {
    /// Atomically reads element `i`; `order` is `Relaxed` or `Acquire`.
    #[inline(always)]
    pub unsafe fn load(self, i: usize, order: Ordering, scope: Scope) -> T {
        unsafe {
            let p = self.0.add(i);
            if size_of::<T>() == 4 {
                let v: u32;
                match order {
                    Ordering::Relaxed => {
                        scoped!(scope, "ld.relaxed", ".global.u32 {}, [{}];", out(reg32) v, in(reg64) p, options(nostack))
                    }
                    _ => {
                        scoped!(scope, "ld.acquire", ".global.u32 {}, [{}];", out(reg32) v, in(reg64) p, options(nostack))
                    }
                }
                T::from_u64(v as u64)
            } else {
                let v: u64;
                match order {
                    Ordering::Relaxed => {
                        scoped!(scope, "ld.relaxed", ".global.u64 {}, [{}];", out(reg64) v, in(reg64) p, options(nostack))
                    }
                    _ => {
                        scoped!(scope, "ld.acquire", ".global.u64 {}, [{}];", out(reg64) v, in(reg64) p, options(nostack))
                    }
                }
                T::from_u64(v)
            }
        }
    }

    /// Atomically writes element `i`; `order` is `Relaxed` or `Release`.
    #[inline(always)]
    pub unsafe fn store(self, i: usize, value: T, order: Ordering, scope: Scope) {
        unsafe {
            let p = self.0.add(i);
            if size_of::<T>() == 4 {
                let v = value.to_u64() as u32;
                match order {
                    Ordering::Relaxed => {
                        scoped!(scope, "st.relaxed", ".global.u32 [{}], {};", in(reg64) p, in(reg32) v, options(nostack))
                    }
                    _ => {
                        scoped!(scope, "st.release", ".global.u32 [{}], {};", in(reg64) p, in(reg32) v, options(nostack))
                    }
                }
            } else {
                let v = value.to_u64();
                match order {
                    Ordering::Relaxed => {
                        scoped!(scope, "st.relaxed", ".global.u64 [{}], {};", in(reg64) p, in(reg64) v, options(nostack))
                    }
                    _ => {
                        scoped!(scope, "st.release", ".global.u64 [{}], {};", in(reg64) p, in(reg64) v, options(nostack))
                    }
                }
            }
        }
    }

    /// Atomically adds to element `i`, wrapping, and returns what it was.
    #[inline(always)]
    pub unsafe fn fetch_add(self, i: usize, value: T, order: Ordering, scope: Scope) -> T {
        unsafe {
            let p = self.0.add(i);
            if size_of::<T>() == 4 {
                let (old, v): (u32, u32);
                v = value.to_u64() as u32;
                match order {
                    Ordering::Relaxed => {
                        scoped!(scope, "atom.relaxed", ".global.add.u32 {}, [{}], {};", out(reg32) old, in(reg64) p, in(reg32) v, options(nostack))
                    }
                    Ordering::Acquire => {
                        scoped!(scope, "atom.acquire", ".global.add.u32 {}, [{}], {};", out(reg32) old, in(reg64) p, in(reg32) v, options(nostack))
                    }
                    Ordering::Release => {
                        scoped!(scope, "atom.release", ".global.add.u32 {}, [{}], {};", out(reg32) old, in(reg64) p, in(reg32) v, options(nostack))
                    }
                    _ => {
                        scoped!(scope, "atom.acq_rel", ".global.add.u32 {}, [{}], {};", out(reg32) old, in(reg64) p, in(reg32) v, options(nostack))
                    }
                }
                T::from_u64(old as u64)
            } else {
                let (old, v): (u64, u64);
                v = value.to_u64();
                match order {
                    Ordering::Relaxed => {
                        scoped!(scope, "atom.relaxed", ".global.add.u64 {}, [{}], {};", out(reg64) old, in(reg64) p, in(reg64) v, options(nostack))
                    }
                    Ordering::Acquire => {
                        scoped!(scope, "atom.acquire", ".global.add.u64 {}, [{}], {};", out(reg64) old, in(reg64) p, in(reg64) v, options(nostack))
                    }
                    Ordering::Release => {
                        scoped!(scope, "atom.release", ".global.add.u64 {}, [{}], {};", out(reg64) old, in(reg64) p, in(reg64) v, options(nostack))
                    }
                    _ => {
                        scoped!(scope, "atom.acq_rel", ".global.add.u64 {}, [{}], {};", out(reg64) old, in(reg64) p, in(reg64) v, options(nostack))
                    }
                }
                T::from_u64(old)
            }
        }
    }
}

impl Global<u32> {
    /// Atomically reads elements `i` to `i + 3`, relaxed, each by itself but in one
    /// instruction; `i` must be a multiple of 4.
    #[inline(always)]
    pub unsafe fn load_four(self, i: usize, scope: Scope) -> [u32; 4] {
        let (a, b, c, d): (u32, u32, u32, u32);
        unsafe {
            let p = self.0.add(i);
            scoped!(scope, "ld.relaxed", ".global.v4.u32 {{{}, {}, {}, {}}}, [{}];", out(reg32) a, out(reg32) b, out(reg32) c, out(reg32) d, in(reg64) p, options(nostack))
        }
        [a, b, c, d]
    }

    /// Atomically writes elements `i` and `i + 1`, relaxed, each by itself but in
    /// one instruction; `i` must be even.
    #[inline(always)]
    pub unsafe fn store_pair(self, i: usize, values: [u32; 2], scope: Scope) {
        unsafe {
            let p = self.0.add(i);
            scoped!(scope, "st.relaxed", ".global.v2.u32 [{}], {{{}, {}}};", in(reg64) p, in(reg32) values[0], in(reg32) values[1], options(nostack))
        }
    }
}

/// An array in the block's shared memory. The rules are those of [`Global`].
///
/// It is an address within shared memory, 32 bits wide, and not a pointer: LLVM
/// loses track of what space a pointer is in, and generic accesses are slower.
#[derive(Clone, Copy)]
#[repr(transparent)]
pub struct Shared<T> {
    address: u32,
    element: PhantomData<T>,
}

impl<T: Word> Shared<T> {
    /// The array at an address within shared memory. For
    /// [`shared_array!`](crate::shared_array).
    #[doc(hidden)]
    #[inline(always)]
    pub unsafe fn from_address(address: u32) -> Self {
        Self {
            address,
            element: PhantomData,
        }
    }

    #[inline(always)]
    fn at(self, i: usize) -> u32 {
        self.address.wrapping_add((i * size_of::<T>()) as u32)
    }

    /// Reads element `i`.
    #[inline(always)]
    pub unsafe fn get(self, i: usize) -> T {
        let p = self.at(i);
        unsafe {
            match size_of::<T>() {
                1 => {
                    let v: u32;
                    asm!("ld.shared.u8 {}, [{}];", out(reg32) v, in(reg32) p, options(nostack));
                    T::from_u64(v as u64)
                }
                2 => {
                    let v: u32;
                    asm!("ld.shared.u16 {}, [{}];", out(reg32) v, in(reg32) p, options(nostack));
                    T::from_u64(v as u64)
                }
                4 => {
                    let v: u32;
                    asm!("ld.shared.u32 {}, [{}];", out(reg32) v, in(reg32) p, options(nostack));
                    T::from_u64(v as u64)
                }
                8 => {
                    let v: u64;
                    asm!("ld.shared.u64 {}, [{}];", out(reg64) v, in(reg32) p, options(nostack));
                    T::from_u64(v)
                }
                _ => {
                    let (low, high): (u64, u64);
                    asm!("ld.shared.v2.u64 {{{}, {}}}, [{}];", out(reg64) low, out(reg64) high, in(reg32) p, options(nostack));
                    T::from_u128(low as u128 | (high as u128) << 64)
                }
            }
        }
    }

    /// Writes element `i`.
    #[inline(always)]
    pub unsafe fn set(self, i: usize, value: T) {
        let p = self.at(i);
        let v = value.to_u64();
        unsafe {
            match size_of::<T>() {
                1 => {
                    asm!("st.shared.u8 [{}], {};", in(reg32) p, in(reg32) v as u32, options(nostack))
                }
                2 => {
                    asm!("st.shared.u16 [{}], {};", in(reg32) p, in(reg32) v as u32, options(nostack))
                }
                4 => {
                    asm!("st.shared.u32 [{}], {};", in(reg32) p, in(reg32) v as u32, options(nostack))
                }
                8 => asm!("st.shared.u64 [{}], {};", in(reg32) p, in(reg64) v, options(nostack)),
                _ => {
                    asm!("st.shared.v2.u64 [{}], {{{}, {}}};", in(reg32) p, in(reg64) v, in(reg64) (value.to_u128() >> 64) as u64, options(nostack))
                }
            }
        }
    }

    /// The array from element `i` on.
    #[inline(always)]
    pub unsafe fn offset(self, i: usize) -> Self {
        Self {
            address: self.at(i),
            element: PhantomData,
        }
    }

    /// The same bytes as elements of another width.
    #[inline(always)]
    pub unsafe fn cast<U: Word>(self) -> Shared<U> {
        Shared {
            address: self.address,
            element: PhantomData,
        }
    }
}

impl Shared<u16> {
    /// Writes the low half of `value` to element `i`: one instruction less than to
    /// cut the value off first.
    #[inline(always)]
    pub unsafe fn set_low(self, i: usize, value: u32) {
        unsafe {
            asm!("st.shared.u16 [{}], {};", in(reg32) self.at(i), in(reg32) value, options(nostack));
        }
    }
}

impl Shared<u32> {
    /// Atomically adds to element `i`, wrapping, and returns what it was: relaxed,
    /// among the threads of the block.
    #[inline(always)]
    pub unsafe fn fetch_add(self, i: usize, value: u32) -> u32 {
        let old: u32;
        unsafe {
            asm!("atom.relaxed.cta.shared.add.u32 {}, [{}], {};", out(reg32) old, in(reg32) self.at(i), in(reg32) value, options(nostack));
        }
        old
    }

    /// [`fetch_add`](Self::fetch_add) without the result, which is faster.
    #[inline(always)]
    pub unsafe fn add(self, i: usize, value: u32) {
        unsafe {
            asm!("red.relaxed.cta.shared.add.u32 [{}], {};", in(reg32) self.at(i), in(reg32) value, options(nostack));
        }
    }
}

/// `len` elements of the launch's dynamic shared memory, from `byte_offset` on,
/// which must be aligned to the element.
#[inline(always)]
pub unsafe fn dynamic_shared<T: Word>(byte_offset: usize, _len: usize) -> Shared<T> {
    let base: u32;
    unsafe {
        // The symbol is declared by `#[kernel]`.
        asm!("mov.u32 {}, cuda_std_dynamic_shared;", out(reg32) base,
             options(pure, nomem, nostack, preserves_flags));
    }
    Shared {
        address: base + byte_offset as u32,
        element: PhantomData,
    }
}

#[inline(always)]
unsafe fn load_streamed<T: Word>(p: *const T) -> T {
    unsafe {
        match size_of::<T>() {
            4 => {
                let v: u32;
                asm!("ld.global.cg.u32 {}, [{}];", out(reg32) v, in(reg64) p,
                     options(pure, readonly, nostack, preserves_flags));
                T::from_u64(v as u64)
            }
            8 => {
                let v: u64;
                asm!("ld.global.cg.u64 {}, [{}];", out(reg64) v, in(reg64) p,
                     options(pure, readonly, nostack, preserves_flags));
                T::from_u64(v)
            }
            _ => *p,
        }
    }
}
