//! Arguments of kernels on a device, which a host passes by the address of each.

use super::memory::GlobalPointer;
use crate::ext::Word;
use crate::ext::memory::Global;
use std::ffi::c_void;
use std::ptr;

mod sealed {
    pub trait Sealed {}
}

/// A type that kernels have parameters of: a word, or an array in device memory.
pub trait Parameter: sealed::Sealed {
    /// The address of the argument, with the bytes that the parameter has on a device.
    fn address(&self) -> *const c_void;
}

impl<T: Word> sealed::Sealed for T {}
impl<T: Word> Parameter for T {
    fn address(&self) -> *const c_void {
        ptr::from_ref(self).cast()
    }
}

impl<T> sealed::Sealed for Global<T> {}
impl<T: Word> Parameter for Global<T> {
    fn address(&self) -> *const c_void {
        ptr::from_ref(&self.0.offset).cast()
    }
}

impl<T: Word> Global<T> {
    /// The array at an address in the memory of a device, as an argument of a launch there.
    /// It has no elements here: nothing may be read or written through it.
    pub fn on_device(address: u64) -> Self {
        Self(GlobalPointer::new(ptr::null(), address as usize))
    }
}
