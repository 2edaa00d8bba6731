//! Orderings and scopes of atomic operations.

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
