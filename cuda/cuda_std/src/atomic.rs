//! Orderings, scopes and fences.

pub use crate::order::{Ordering, Scope};
#[cfg(target_os = "cuda")]
use core::arch::asm;

twins! {
    /// Orders this thread's accesses before it against those after it, as seen from
    /// `scope`: a release for what precedes, an acquire for what follows.
    fn fence(scope: Scope) {
        // SAFETY: a fence.
        unsafe {
            match scope {
                Scope::Block => asm!("fence.acq_rel.cta;", options(nostack)),
                Scope::Device => asm!("fence.acq_rel.gpu;", options(nostack)),
            }
        };
        crate::emu::launch::current(|launch| launch.fence(scope))
    }
}
