//! The emulator's accessors: an allocation and an offset into it.

use super::access::Access;
use super::access_kind::AccessKind;
use super::allocation::Allocation;
use super::launch::{Launch, current};
use super::location::Line;
use std::marker::PhantomData;

/// A pointer into a buffer.
#[derive(Clone, Copy)]
pub(crate) struct GlobalPointer<T> {
    pub(crate) allocation: *const Allocation,
    /// In bytes. May lie outside of the allocation, as a pointer may, as long as no access does.
    pub(crate) offset: usize,
    element: PhantomData<T>,
}

impl<T> GlobalPointer<T> {
    pub(crate) fn new(allocation: *const Allocation, offset: usize) -> Self {
        Self { allocation, offset, element: PhantomData }
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
        GlobalPointer::new(self.allocation, self.offset)
    }

    pub(crate) fn address(self) -> usize {
        // SAFETY: the caller vouches that the buffer exists.
        unsafe { ((*self.allocation).base as usize).wrapping_add(self.offset) }
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
        // SAFETY: the caller vouches that the buffer exists.
        let memory = unsafe { &*self.allocation };
        let access = Access { memory, offset: self.offset, size, kind, at: Line::of_kernel() };
        current(|launch| f(launch, &access))
    }
}

/// A pointer into the running block's shared memory.
#[derive(Clone, Copy)]
pub(crate) struct SharedPointer {
    allocation: *const Allocation,
    /// In bytes, in the allocation.
    offset: usize,
    /// The bytes that `dynamic_shared` gave out; of a static array, all.
    begin: u32,
    end: u32,
}

impl SharedPointer {
    /// A part of the launch's dynamic shared memory.
    #[track_caller]
    pub(crate) fn to_dynamic<T>(offset: usize, len: usize) -> Self {
        let at = Line::caller();
        let end = offset.saturating_add(len.saturating_mul(size_of::<T>()));
        let allocation = current(|launch| launch.dynamic_shared(offset..end, size_of::<T>(), at));
        Self { allocation, offset, begin: offset as u32, end: end as u32 }
    }

    /// The static array called `symbol`, of `len` elements.
    #[track_caller]
    pub(crate) fn to_static<T>(symbol: &'static str, len: usize) -> Self {
        let at = Line::caller();
        let bytes = len.saturating_mul(size_of::<T>());
        let allocation = current(|launch| launch.static_shared(symbol, bytes, size_of::<T>(), at));
        Self { allocation, offset: 0, begin: 0, end: bytes as u32 }
    }

    #[inline(always)]
    pub(crate) fn byte_add(mut self, bytes: usize) -> Self {
        self.offset = self.offset.wrapping_add(bytes);
        self
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
        // SAFETY: shared memory exists as long as the launch, whose thread calls.
        let memory = unsafe { &*self.allocation };
        let access = Access { memory, offset: self.offset, size, kind, at: Line::of_kernel() };
        current(|launch| {
            launch.require_region(&access, self.begin as usize..self.end as usize);
            f(launch, &access)
        })
    }
}
