//! Orderings, scopes and fences.

use super::launch::current;
pub use std::sync::atomic::Ordering;

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
pub fn fence(scope: Scope) {
    current(|launch| launch.fence(scope))
}
