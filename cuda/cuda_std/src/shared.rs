//! Shared memory by raw pointers. Static arrays are `#[address_space(shared)] static mut` or
//! [`shared_array!`](crate::shared_array), both in the body of a kernel.

#[cfg(not(target_os = "cuda"))]
use crate::emu::{launch::current, location::Line};
#[cfg(target_os = "cuda")]
use {crate::device::intrinsics as nv, core::arch::asm};

/// The pointer to an address within shared memory, of which LLVM knows the state space.
///
/// # Safety
/// The address is one of shared memory.
#[cfg(target_os = "cuda")]
#[doc(hidden)]
#[inline(always)]
pub unsafe fn from_address<T>(address: u32) -> *mut T {
    let pointer: *mut T;
    // SAFETY: the conversion has no effect but its result, and the caller vouches for the space.
    unsafe {
        asm!("cvta.shared.u64 {}, {};", out(reg64) pointer, in(reg64) address as u64,
             options(pure, nomem, nostack, preserves_flags));
        let shared = nv::is_shared(pointer as *const u8);
        // Keeps the test alive until LLVM has used it.
        asm!("// {0}", in(reg32) shared as u32, options(nomem, nostack, preserves_flags));
        core::hint::assert_unchecked(shared);
    }
    pointer
}

twins! {
    /// The launch's dynamic shared memory, uninitialised in every block.
    fn dynamic_shared_mem<T>() -> *mut T {
        {
            let address: u32;
            // SAFETY: the symbol is declared by `#[kernel]`, and is one of shared memory.
            unsafe {
                asm!("mov.u32 {}, cuda_std_dynamic_shared;", out(reg32) address,
                     options(pure, nomem, nostack, preserves_flags));
                from_address(address)
            }
        };
        {
            let at = Line::of_kernel();
            current(|launch| {
                let memory = launch.dynamic_shared(0..0, 1, at);
                // SAFETY: it exists as long as the launch.
                unsafe { (*memory).base.cast() }
            })
        }
    }
}
