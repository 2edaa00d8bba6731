//! Global and shared memory, through accessors that know their allocation.
//!
//! An accessor is a pointer to its allocation and an offset into it. Every method
//! copies values in and out; no reference into device memory ever exists, so
//! there is nothing for two threads' accesses to alias. The methods are `unsafe`
//! because they are on the device. Here a wrong index or an unwritten element is a
//! finding; what is left to the caller is that the buffer still exists.
#![allow(clippy::missing_safety_doc)] // See the types: it is one contract for all.

use super::access::{Access, Kind};
use super::allocation::Allocation;
use super::launch::current;
use super::static_shared::Array;
use crate::atomic::{Ordering, Scope};
use crate::word::{AtomicWord, Word};
use std::marker::PhantomData;
use std::panic::Location;

/// An array in the device's memory, made by [`Buffer::global`](super::Buffer::global).
///
/// Indices count elements. All methods are `unsafe` for the same reason: the index
/// must lie in the array, what is read must have been written, and accesses of
/// several threads to one element must be atomic or ordered.
pub struct Global<T> {
    allocation: *const Allocation,
    /// In bytes. May lie outside of the allocation, as a pointer may, as long as
    /// no access does.
    offset: usize,
    element: PhantomData<T>,
}

impl<T> Clone for Global<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Global<T> {}

impl<T: Word> Global<T> {
    pub(super) fn new(allocation: *const Allocation) -> Self {
        Self {
            allocation,
            offset: 0,
            element: PhantomData,
        }
    }

    pub(super) fn allocation(self) -> *const Allocation {
        self.allocation
    }

    pub(super) fn byte_offset(self) -> usize {
        self.offset
    }

    #[inline(always)]
    fn access(
        self,
        i: usize,
        size: usize,
        kind: Kind,
        at: &'static Location<'static>,
    ) -> Access<'static> {
        Access {
            // SAFETY: the caller of every method vouches that the buffer exists.
            memory: unsafe { &*self.allocation },
            offset: self.offset.wrapping_add(i.wrapping_mul(size_of::<T>())),
            size,
            kind,
            at,
        }
    }

    /// Reads element `i`.
    #[track_caller]
    #[inline(always)]
    pub unsafe fn get(self, i: usize) -> T {
        let access = self.access(i, size_of::<T>(), Kind::READ, Location::caller());
        current(|launch| launch.read(&access))
    }

    /// Writes element `i`.
    #[track_caller]
    #[inline(always)]
    pub unsafe fn set(self, i: usize, value: T) {
        let access = self.access(i, size_of::<T>(), Kind::WRITE, Location::caller());
        current(|launch| launch.write(&access, value))
    }

    /// Reads element `i` of an array that no thread writes during this launch and
    /// that is not read again: past the first-level cache.
    #[track_caller]
    #[inline(always)]
    pub unsafe fn get_streamed(self, i: usize) -> T {
        let access = self.access(i, size_of::<T>(), Kind::STREAMED_READ, Location::caller());
        current(|launch| launch.read(&access))
    }

    /// Reads the 16 bytes from element `i` on, which must be aligned to 16 bytes.
    #[track_caller]
    #[inline(always)]
    pub unsafe fn get_vector(self, i: usize) -> u128 {
        let access = self.access(i, 16, Kind::READ, Location::caller());
        current(|launch| launch.read(&access))
    }

    /// Writes the 16 bytes from element `i` on, which must be aligned to 16 bytes.
    #[track_caller]
    #[inline(always)]
    pub unsafe fn set_vector(self, i: usize, value: u128) {
        let access = self.access(i, 16, Kind::WRITE, Location::caller());
        current(|launch| launch.write(&access, value))
    }

    /// The array from element `i` on.
    #[inline(always)]
    pub unsafe fn offset(self, i: usize) -> Self {
        Self {
            offset: self.offset.wrapping_add(i.wrapping_mul(size_of::<T>())),
            ..self
        }
    }

    /// The array from the element `i` away on, before element 0 where that is negative: an
    /// address, of which only elements of the array may be read or written.
    #[inline(always)]
    pub fn displaced(self, i: isize) -> Self {
        Self {
            offset: self
                .offset
                .wrapping_add_signed(i.wrapping_mul(size_of::<T>() as isize)),
            ..self
        }
    }

    /// The address of element 0, in bytes: to see how it is aligned.
    pub fn address(self) -> usize {
        // SAFETY: as for an access; only the address is looked at.
        unsafe { (*self.allocation).address().wrapping_add(self.offset) }
    }

    /// The same array.
    pub unsafe fn assume_global(self) -> Self {
        self
    }

    /// The same bytes as elements of another width.
    pub unsafe fn cast<U: Word>(self) -> Global<U> {
        Global {
            allocation: self.allocation,
            offset: self.offset,
            element: PhantomData,
        }
    }
}

impl<T: AtomicWord> Global<T> {
    #[inline(always)]
    fn atomic(
        self,
        i: usize,
        kind: Kind,
        scope: Scope,
        at: &'static Location<'static>,
    ) -> Access<'static> {
        self.access(i, size_of::<T>(), kind.atomic(scope), at)
    }

    /// Atomically reads element `i`; `order` is `Relaxed` or `Acquire`.
    #[track_caller]
    pub unsafe fn load(self, i: usize, order: Ordering, scope: Scope) -> T {
        assert!(
            matches!(order, Ordering::Relaxed | Ordering::Acquire),
            "a load is Relaxed or Acquire, not {order:?}"
        );
        let access = self.atomic(i, Kind::READ, scope, Location::caller());
        T::from_u64(current(|launch| launch.load(&access, order, scope)))
    }

    /// Atomically writes element `i`; `order` is `Relaxed` or `Release`.
    #[track_caller]
    pub unsafe fn store(self, i: usize, value: T, order: Ordering, scope: Scope) {
        assert!(
            matches!(order, Ordering::Relaxed | Ordering::Release),
            "a store is Relaxed or Release, not {order:?}"
        );
        let access = self.atomic(i, Kind::WRITE, scope, Location::caller());
        current(|launch| launch.store(&access, value.to_u64(), order, scope))
    }

    /// Atomically adds to element `i`, wrapping, and returns what it was.
    #[track_caller]
    pub unsafe fn fetch_add(self, i: usize, value: T, order: Ordering, scope: Scope) -> T {
        let access = self.atomic(i, Kind::UPDATE, scope, Location::caller());
        T::from_u64(current(|launch| {
            launch.fetch_add(&access, value.to_u64(), order, scope)
        }))
    }
}

impl Global<u32> {
    /// Atomically reads elements `i` to `i + 3`, relaxed, each by itself but in one
    /// instruction; `i` must be a multiple of 4.
    #[track_caller]
    pub unsafe fn load_four(self, i: usize, scope: Scope) -> [u32; 4] {
        let at = Location::caller();
        let whole = self.access(i, 16, Kind::READ.atomic(scope), at);
        current(|launch| {
            launch.require_valid(&whole);
            [0, 1, 2, 3].map(|j| {
                let access = self.atomic(i + j, Kind::READ, scope, at);
                launch.load(&access, Ordering::Relaxed, scope) as u32
            })
        })
    }

    /// Atomically writes elements `i` and `i + 1`, relaxed, each by itself but in
    /// one instruction; `i` must be even.
    #[track_caller]
    pub unsafe fn store_pair(self, i: usize, values: [u32; 2], scope: Scope) {
        let at = Location::caller();
        let whole = self.access(i, 8, Kind::WRITE.atomic(scope), at);
        current(|launch| {
            launch.require_valid(&whole);
            for (j, value) in values.into_iter().enumerate() {
                let access = self.atomic(i + j, Kind::WRITE, scope, at);
                launch.store(&access, value as u64, Ordering::Relaxed, scope);
            }
        })
    }
}

/// An array in the block's shared memory. The rules are those of [`Global`].
pub struct Shared<T> {
    /// Which of the block's allocations.
    array: Array,
    /// In bytes, in the allocation.
    offset: usize,
    /// The bytes that [`dynamic_shared`] gave out; of a static array, all.
    begin: u32,
    end: u32,
    element: PhantomData<T>,
}

impl<T> Clone for Shared<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Shared<T> {}

impl<T: Word> Shared<T> {
    /// Runs `f` on the access to element `i` in the running block's memory.
    #[inline(always)]
    fn access<R>(
        self,
        i: usize,
        kind: Kind,
        at: &'static Location<'static>,
        f: impl FnOnce(&super::launch::Launch, &Access) -> R,
    ) -> R {
        current(|launch| {
            let access = Access {
                memory: launch.shared(self.array),
                offset: self.offset.wrapping_add(i.wrapping_mul(size_of::<T>())),
                size: size_of::<T>(),
                kind,
                at,
            };
            launch.require_region(&access, self.begin as usize, self.end as usize);
            f(launch, &access)
        })
    }

    /// Reads element `i`.
    #[track_caller]
    #[inline(always)]
    pub unsafe fn get(self, i: usize) -> T {
        self.access(i, Kind::READ, Location::caller(), |launch, access| {
            launch.read(access)
        })
    }

    /// Writes element `i`.
    #[track_caller]
    #[inline(always)]
    pub unsafe fn set(self, i: usize, value: T) {
        self.access(i, Kind::WRITE, Location::caller(), |launch, access| {
            launch.write(access, value)
        })
    }

    /// The array from element `i` on.
    #[inline(always)]
    pub unsafe fn offset(self, i: usize) -> Self {
        Self {
            offset: self.offset.wrapping_add(i.wrapping_mul(size_of::<T>())),
            ..self
        }
    }

    /// The same bytes as elements of another width.
    pub unsafe fn cast<U: Word>(self) -> Shared<U> {
        Shared {
            array: self.array,
            offset: self.offset,
            begin: self.begin,
            end: self.end,
            element: PhantomData,
        }
    }
}

impl Shared<u16> {
    /// Writes the low half of `value` to element `i`.
    #[inline(always)]
    #[track_caller]
    pub unsafe fn set_low(self, i: usize, value: u32) {
        unsafe { self.set(i, value as u16) }
    }
}

impl Shared<u32> {
    /// Atomically adds to element `i`, wrapping, and returns what it was: relaxed,
    /// among the threads of the block.
    #[track_caller]
    pub unsafe fn fetch_add(self, i: usize, value: u32) -> u32 {
        let kind = Kind::UPDATE.atomic(Scope::Block);
        self.access(i, kind, Location::caller(), |launch, access| {
            launch.fetch_add(access, value as u64, Ordering::Relaxed, Scope::Block) as u32
        })
    }

    /// [`fetch_add`](Self::fetch_add) without the result, which is faster.
    #[track_caller]
    pub unsafe fn add(self, i: usize, value: u32) {
        unsafe { self.fetch_add(i, value) };
    }
}

/// `len` elements of the launch's dynamic shared memory, from `byte_offset` on,
/// which must be aligned to the element.
#[track_caller]
pub unsafe fn dynamic_shared<T: Word>(byte_offset: usize, len: usize) -> Shared<T> {
    let at = Location::caller();
    let end = byte_offset.saturating_add(len.saturating_mul(size_of::<T>()));
    current(|launch| launch.require_carving(byte_offset, end, size_of::<T>(), at));
    Shared {
        array: Array::DYNAMIC,
        offset: byte_offset,
        begin: byte_offset as u32,
        end: end as u32,
        element: PhantomData,
    }
}

/// The static array called `symbol`, of `len` elements. For
/// [`shared_array!`](crate::shared_array).
#[doc(hidden)]
#[track_caller]
pub fn static_shared<T: Word>(symbol: &'static str, len: usize) -> Shared<T> {
    let at = Location::caller();
    let bytes = len.saturating_mul(size_of::<T>());
    Shared {
        array: current(|launch| launch.static_array(symbol, bytes, size_of::<T>(), at)),
        offset: 0,
        begin: 0,
        end: bytes as u32,
        element: PhantomData,
    }
}
