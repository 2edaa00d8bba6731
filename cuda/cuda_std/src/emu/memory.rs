//! The emulator's form of accessors: an allocation and an offset into it.

use super::access::Access;
use super::access_kind::AccessKind;
use super::allocation::Allocation;
use super::launch::{Launch, current};
use super::static_shared::Array;
use std::marker::PhantomData;
use std::panic::Location;

/// A pointer into a buffer.
#[derive(Clone, Copy)]
pub(crate) struct GlobalPointer<T> {
    pub(crate) allocation: *const Allocation,
    /// In bytes. May lie outside of the allocation, as a pointer may, as long as no
    /// access does.
    pub(crate) offset: usize,
    element: PhantomData<T>,
}

impl<T> GlobalPointer<T> {
    pub(crate) fn new(allocation: *const Allocation) -> Self {
        Self { allocation, offset: 0, element: PhantomData }
    }

    /// The array at an address in the memory of a device.
    pub(crate) fn on_device(address: u64) -> Self {
        Self { allocation: std::ptr::null(), offset: address as usize, element: PhantomData }
    }

    #[inline(always)]
    pub(crate) unsafe fn add(self, i: usize) -> Self {
        self.wrapping_offset(i as isize)
    }

    #[inline(always)]
    pub(crate) fn wrapping_offset(mut self, i: isize) -> Self {
        let bytes = i.wrapping_mul(size_of::<T>() as isize);
        self.offset = self.offset.wrapping_add_signed(bytes);
        self
    }

    pub(crate) fn cast<U>(self) -> GlobalPointer<U> {
        GlobalPointer { allocation: self.allocation, offset: self.offset, element: PhantomData }
    }

    pub(crate) fn address(self) -> usize {
        // SAFETY: as for an access; only the address is looked at.
        unsafe { (*self.allocation).address().wrapping_add(self.offset) }
    }

    /// Runs `f` on the running launch and an access to the `size` bytes from here on.
    #[inline(always)]
    #[track_caller]
    pub(crate) unsafe fn with<R>(
        self,
        size: usize,
        kind: AccessKind,
        f: impl FnOnce(&Launch, &Access) -> R,
    ) -> R {
        let access = Access {
            // SAFETY: the caller vouches that the buffer exists.
            memory: unsafe { &*self.allocation },
            offset: self.offset,
            size,
            kind,
            at: Location::caller(),
        };
        current(|launch| f(launch, &access))
    }
}

/// A pointer into the running block's shared memory.
#[derive(Clone, Copy)]
pub(crate) struct SharedPointer {
    /// Which of the block's allocations.
    array: Array,
    /// In bytes, in the allocation.
    offset: usize,
    /// The bytes that `dynamic_shared` gave out; of a static array, all.
    begin: u32,
    end: u32,
}

impl SharedPointer {
    #[inline(always)]
    pub(crate) fn byte_add(mut self, bytes: usize) -> Self {
        self.offset = self.offset.wrapping_add(bytes);
        self
    }

    /// Runs `f` on the running launch and an access to the `size` bytes from here on.
    #[inline(always)]
    #[track_caller]
    pub(crate) fn with<R>(
        self,
        size: usize,
        kind: AccessKind,
        f: impl FnOnce(&Launch, &Access) -> R,
    ) -> R {
        let at = Location::caller();
        current(|launch| {
            let memory = launch.shared(self.array);
            let access = Access { memory, offset: self.offset, size, kind, at };
            launch.require_region(&access, self.begin as usize, self.end as usize);
            f(launch, &access)
        })
    }
}

/// A part of the launch's dynamic shared memory.
#[track_caller]
pub(crate) fn carve<T>(byte_offset: usize, len: usize) -> SharedPointer {
    let at = Location::caller();
    let end = byte_offset.saturating_add(len.saturating_mul(size_of::<T>()));
    current(|launch| launch.require_carving(byte_offset, end, size_of::<T>(), at));
    SharedPointer {
        array: Array::DYNAMIC,
        offset: byte_offset,
        begin: byte_offset as u32,
        end: end as u32,
    }
}

/// The static array called `symbol`, of `len` elements.
#[track_caller]
pub(crate) fn static_array<T>(symbol: &'static str, len: usize) -> SharedPointer {
    let at = Location::caller();
    let bytes = len.saturating_mul(size_of::<T>());
    let array = current(|launch| launch.static_array(symbol, bytes, size_of::<T>(), at));
    SharedPointer { array, offset: 0, begin: 0, end: bytes as u32 }
}
