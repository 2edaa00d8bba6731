//! Device memory, as a test owns it.

use super::access::Access;
use super::access_kind::AccessKind;
use super::allocation::{Allocation, Space};
use super::expectation::Expectation;
use super::location::Line;
use super::memory::GlobalPointer;
use super::options::Options;
use crate::ext::Word;
use crate::ext::memory::Global;
use std::marker::PhantomData;
use std::ops::Range;

/// An array in the emulated device's memory. Kernels reach it through
/// [`global`](Self::global); the buffer must outlive every launch that uses it.
pub struct Buffer<T> {
    allocation: Box<Allocation>,
    len: usize,
    element: PhantomData<T>,
}

impl<T: Word> Buffer<T> {
    /// `len` unwritten elements.
    pub fn uninitialised(len: usize) -> Self {
        let bytes = len.checked_mul(size_of::<T>()).expect("a size below 2^64");
        let allocation = Box::new(Allocation::new(Space::Global, bytes, size_of::<T>()));
        #[cfg(feature = "instrumented")]
        super::addresses::register(&allocation);
        Self { allocation, len, element: PhantomData }
    }

    /// `len` zeros.
    pub fn zeroed(len: usize) -> Self {
        let buffer = Self::uninitialised(len);
        (0..len).for_each(|i| buffer.write(i, T::default()));
        buffer
    }

    /// A copy of `values`.
    pub fn from_slice(values: &[T]) -> Self {
        let buffer = Self::uninitialised(values.len());
        values.iter().enumerate().for_each(|(i, &v)| buffer.write(i, v));
        buffer
    }

    /// The same, called `name` in findings.
    pub fn named(self, name: &'static str) -> Self {
        self.allocation.name.set(name);
        self
    }

    /// The accessor that a kernel takes as its parameter.
    pub fn global(&self) -> Global<T> {
        Global(GlobalPointer::new(&*self.allocation, 0))
    }

    /// The address of element 0, for a kernel that takes a raw pointer.
    pub fn as_mut_ptr(&self) -> *mut T {
        self.allocation.base.cast()
    }

    /// The array, for a kernel that takes a slice.
    ///
    /// # Safety
    /// The slice is used by kernels alone, and no longer than the buffer exists.
    pub unsafe fn slice<'a>(&self) -> &'a [T] {
        // SAFETY: the allocation has these bytes, of which every pattern is a value.
        unsafe { std::slice::from_raw_parts(self.as_mut_ptr(), self.len) }
    }

    /// The same, mutable.
    ///
    /// # Safety
    /// As for [`slice`](Self::slice).
    #[allow(clippy::mut_from_ref)] // Each thread of a kernel has it at once, as on a device.
    pub unsafe fn slice_mut<'a>(&self) -> &'a mut [T] {
        // SAFETY: as above.
        unsafe { std::slice::from_raw_parts_mut(self.as_mut_ptr(), self.len) }
    }

    /// The number of elements.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Returns true if there is no element.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Writes element `i` from the host, between launches.
    pub fn write(&self, i: usize, value: T) {
        let access = self.element(i, AccessKind::WRITE);
        access.put(value.to_u128());
        self.allocation.shadow.borrow_mut().set_written(access.offset, access.size);
    }

    /// Reads element `i` from the host, between launches. Panics if it was not written.
    pub fn read(&self, i: usize) -> T {
        let access = self.element(i, AccessKind::READ);
        self.allocation.believe_written();
        let written = self.allocation.shadow.borrow().is_written(access.offset, access.size);
        assert!(written, "the host reads {}, which was not written", access.describe());
        T::from_u128(access.value())
    }

    /// All elements. Panics if one was not written.
    pub fn to_vec(&self) -> Vec<T> {
        (0..self.len).map(|i| self.read(i)).collect()
    }

    #[track_caller]
    fn element(&self, i: usize, kind: AccessKind) -> Access<'_> {
        assert!(i < self.len, "element {i} of a buffer of {}", self.len);
        let size = size_of::<T>();
        Access { memory: &self.allocation, offset: i * size, size, kind, at: Line::caller() }
    }
}

impl Options {
    /// The same, and the launch expects `elements` of `table` to be zero when it begins.
    /// Panics if the table does not have these elements.
    pub fn expect_zero<T: Word>(mut self, table: Global<T>, elements: Range<usize>) -> Self {
        let (memory, element) = (table.0.allocation, size_of::<T>());
        let bytes =
            table.0.offset + elements.start * element..table.0.offset + elements.end * element;
        // SAFETY: the accessor's buffer exists.
        let available = unsafe { (*memory).bytes };
        assert!(bytes.end <= available, "expect_zero: {elements:?} is not in the table");
        self.expectations.push(Expectation { memory, bytes, element });
        self
    }
}

#[cfg(feature = "instrumented")]
impl<T> Drop for Buffer<T> {
    fn drop(&mut self) {
        super::addresses::unregister(&self.allocation);
    }
}
