//! The kinds of accesses to memory, and conflicts between two of them.

use super::clock::BLOCK;
use super::location::{Site, location};
use crate::order::Scope;

/// The properties of an access, as a set.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct AccessKind(u32);

impl AccessKind {
    const READS: u32 = 1 << 27;
    const WRITES: u32 = 1 << 28;
    const ATOMIC: u32 = 1 << 29;
    const BLOCK_SCOPE: u32 = 1 << 30;
    const STREAMED: u32 = 1 << 31;
    /// The bits that an [`AccessKind`] uses; the shadow memory keeps other things below.
    pub(crate) const BITS: u32 = !(Self::READS - 1);

    pub(crate) const READ: AccessKind = AccessKind(Self::READS);
    pub(crate) const WRITE: AccessKind = AccessKind(Self::WRITES);
    pub(crate) const UPDATE: AccessKind = AccessKind(Self::READS | Self::WRITES);
    pub(crate) const STREAMED_READ: AccessKind = AccessKind(Self::READS | Self::STREAMED);

    /// The same, atomically.
    pub(crate) fn atomic(self, scope: Scope) -> AccessKind {
        let scope = match scope {
            Scope::Block => Self::BLOCK_SCOPE,
            Scope::Device => 0,
        };
        AccessKind(self.0 | Self::ATOMIC | scope)
    }

    pub(crate) fn bits(self) -> u32 {
        self.0
    }

    pub(crate) fn from_bits(bits: u32) -> AccessKind {
        AccessKind(bits & Self::BITS)
    }

    pub(crate) fn reads(self) -> bool {
        self.0 & Self::READS != 0
    }

    pub(crate) fn writes(self) -> bool {
        self.0 & Self::WRITES != 0
    }

    pub(crate) fn is_atomic(self) -> bool {
        self.0 & Self::ATOMIC != 0
    }

    pub(crate) fn is_block_scope(self) -> bool {
        self.0 & Self::BLOCK_SCOPE != 0
    }

    pub(crate) fn is_streamed(self) -> bool {
        self.0 & Self::STREAMED != 0
    }

    /// In words, for a report.
    pub(crate) fn describe(self) -> &'static str {
        let (atomic, block) = (self.is_atomic(), self.is_block_scope());
        match (self.reads(), self.writes()) {
            (_, true) if !atomic => "write",
            _ if self.is_streamed() => "streamed read",
            _ if !atomic => "read",
            (false, _) if block => "block-scope atomic store",
            (false, _) => "atomic store",
            (true, false) if block => "block-scope atomic load",
            (true, false) => "atomic load",
            (true, true) if block => "block-scope atomic update",
            (true, true) => "atomic update",
        }
    }
}

/// An access of the past, as a report names it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Past {
    pub thread: u32,
    pub kind: AccessKind,
    /// See [`location`].
    pub location: u32,
}

impl Past {
    /// For a report.
    pub(crate) fn site(self) -> Site {
        Site {
            block: self.thread / BLOCK,
            thread: self.thread % BLOCK,
            location: location(self.location),
        }
    }
}

/// Why an access may not be.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Conflict {
    /// It reads what nobody has written.
    Unwritten,
    /// It is not ordered with this one.
    Race(Past),
    /// A streamed read and a write in one launch.
    Streamed(Past),
}
