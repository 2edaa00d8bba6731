//! Scopes of atomic operations, and fences.

#[cfg(target_os = "cuda")]
use core::arch::asm;
pub use core::sync::atomic::Ordering;

/// The threads among which an atomic operation or a fence orders memory.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Scope {
    /// The threads of one block (`cta`).
    Block,
    /// All threads on the device (`gpu`).
    Device,
    /// All threads of the devices and of the host (`sys`). The emulator has one device alone.
    System,
}

twins! {
    /// Orders this thread's accesses before it against those after it, as seen from
    /// `scope`: a release for what precedes, an acquire for what follows.
    fn fence(scope: Scope) {
        // SAFETY: a fence.
        unsafe { scoped!(scope, "fence.acq_rel", ";", options(nostack)) };
        crate::emu::launch::current(|launch| launch.fence(scope))
    }
}
