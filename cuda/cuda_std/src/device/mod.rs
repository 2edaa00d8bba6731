//! The device side: every operation is one instruction, or a few.
//!
//! Two rules of rustc's NVPTX backend shape this code. `asm!` is not marked convergent, so LLVM may
//! duplicate or sink it: operations in which a warp or a block takes part together are LLVM
//! intrinsics, and `asm!` is left to one thread's own. And LLVM takes a pointer for a generic one
//! unless it can see where it comes from: shared memory is reached by address, in `asm!`, and
//! global memory through the kernel's own pointer parameters.

pub(crate) mod intrinsics;
pub(crate) mod warp;

#[panic_handler]
fn panic(_: &core::panic::PanicInfo) -> ! {
    // Kernels are compiled with immediate-abort panics: this is never reached, but the
    // language asks for it.
    intrinsics::trap()
}
