//! Orderings, scopes and fences; atomic floats, and operations on raw pointers.

pub use crate::atomic_values::{
    AtomicF32, AtomicF64, BlockAtomicF32, BlockAtomicF64, SystemAtomicF32, SystemAtomicF64, mid,
};
pub use crate::order::{Ordering, Scope};
#[cfg(target_os = "cuda")]
use core::arch::asm;

twins! {
    /// Orders this thread's accesses before it against those after it, as seen from
    /// `scope`: a release for what precedes, an acquire for what follows.
    fn fence(scope: Scope) {
        // SAFETY: a fence.
        unsafe { scoped!(scope, "fence.acq_rel", ";", options(nostack)) };
        crate::emu::launch::current(|launch| launch.fence(scope))
    }
}
