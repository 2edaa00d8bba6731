//! One access to memory, as the checks see it.

use super::access_kind::AccessKind;
use super::allocation::Allocation;
use super::history::AtomicBytes;
use super::location::SourceLocation;

/// `size` bytes from `offset` on. `size` is a power of two, at most 16.
#[derive(Clone, Copy)]
pub(crate) struct Access<'a> {
    pub memory: &'a Allocation,
    pub offset: usize,
    pub size: usize,
    pub kind: AccessKind,
    pub at: SourceLocation,
}

impl Access<'_> {
    /// Returns true if the bytes lie in the allocation and are aligned to their size.
    #[inline(always)]
    pub(crate) fn is_valid(&self) -> bool {
        self.offset & (self.size - 1) == 0
            && self.offset < self.memory.bytes
            && self.size <= self.memory.bytes - self.offset
    }

    /// The `size` bytes from `offset` on within this access.
    pub(crate) fn part(&self, offset: usize, size: usize) -> Self {
        Self { offset: self.offset + offset, size, ..*self }
    }

    /// The address of the bytes. Only for a valid access, as are the methods below.
    #[inline(always)]
    pub(crate) fn pointer(&self) -> *mut u8 {
        // SAFETY: a valid access lies in the allocation.
        unsafe { self.memory.base.add(self.offset) }
    }

    /// The value of the bytes, zero extended.
    #[inline(always)]
    pub(crate) fn value(&self) -> u128 {
        let pointer = self.pointer();
        // SAFETY: the access is valid, so the pointer is aligned to its size.
        unsafe {
            match self.size {
                1 => *pointer as u128,
                2 => *pointer.cast::<u16>() as u128,
                4 => *pointer.cast::<u32>() as u128,
                8 => *pointer.cast::<u64>() as u128,
                _ => *pointer.cast::<u128>(),
            }
        }
    }

    /// Writes the bytes.
    #[inline(always)]
    pub(crate) fn put(&self, value: u128) {
        let pointer = self.pointer();
        // SAFETY: the access is valid, so the pointer is aligned to its size.
        unsafe {
            match self.size {
                1 => *pointer = value as u8,
                2 => *pointer.cast() = value as u16,
                4 => *pointer.cast() = value as u32,
                8 => *pointer.cast() = value as u64,
                _ => *pointer.cast() = value,
            }
        }
    }

    /// The bytes of an atomic access, for the history of stores.
    pub(crate) fn atomic_bytes(&self) -> AtomicBytes {
        AtomicBytes { offset: self.offset, size: self.size, value: self.value() as u64 }
    }

    /// Returns true if the two accesses share a byte.
    pub(crate) fn overlaps(&self, other: &Access) -> bool {
        std::ptr::eq(self.memory, other.memory)
            && self.offset < other.offset + other.size
            && other.offset < self.offset + self.size
    }

    /// The same access, to be kept for as long as the launch runs.
    pub(crate) fn outliving(&self) -> Access<'static> {
        // SAFETY: buffers and shared memory outlive the launches that use them, and the
        // state of a launch does not outlive it.
        unsafe { std::mem::transmute::<Access<'_>, Access<'static>>(*self) }
    }

    /// For a report: "write of element 3 (4 bytes wide) of global memory `keys`".
    pub(crate) fn report(&self) -> String {
        format!("{} of {}", self.kind.describe(), self.describe())
    }

    /// For a report: "element 3 (4 bytes wide) of global memory `keys`".
    pub(crate) fn describe(&self) -> String {
        let (offset, size) = (self.offset as isize, self.size as isize);
        let rest = match offset.rem_euclid(size) {
            0 => String::new(),
            rest => format!(" and {rest} bytes"),
        };
        let index = offset.div_euclid(size);
        format!("element {index}{rest} ({size} bytes wide) of {}", self.memory.describe())
    }
}
