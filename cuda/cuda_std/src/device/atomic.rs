//! Orderings, scopes and fences.

use core::arch::asm;
pub use core::sync::atomic::Ordering;

/// Among which threads an atomic operation or a fence orders memory.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Scope {
    /// The threads of one block (`cta`).
    Block,
    /// All threads on the device (`gpu`).
    Device,
}

/// Orders this thread's accesses before it against those after it, as seen from
/// `scope`: a release for what precedes, an acquire for what follows.
#[inline(always)]
pub fn fence(scope: Scope) {
    unsafe {
        match scope {
            Scope::Block => asm!("fence.acq_rel.cta;", options(nostack)),
            Scope::Device => asm!("fence.acq_rel.gpu;", options(nostack)),
        }
    }
}
