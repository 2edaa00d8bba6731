//! Where things stand in the dynamic shared memory of a block.

use core::marker::PhantomData;
use cuda_std::ext::Word;
use cuda_std::ext::memory::{Shared, dynamic_shared};

/// Lays parts out one after the other.
pub(crate) struct Builder {
    end: usize,
}

impl Builder {
    pub const fn new() -> Self {
        Builder { end: 0 }
    }

    /// A part of `len` elements, aligned as they are.
    pub const fn part<T>(&mut self, len: usize) -> Part<T> {
        let at = self.end.next_multiple_of(align_of::<T>());
        self.end = at + len * size_of::<T>();
        Part { at, len, element: PhantomData }
    }

    pub const fn bytes(&self) -> usize {
        self.end
    }
}

#[derive(Clone, Copy)]
pub(crate) struct Part<T> {
    at: usize,
    len: usize,
    element: PhantomData<T>,
}

impl<T: Word> Part<T> {
    /// The block's memory of it.
    #[inline(always)]
    pub unsafe fn shared(&self) -> Shared<T> {
        dynamic_shared(self.at, self.len)
    }
}
