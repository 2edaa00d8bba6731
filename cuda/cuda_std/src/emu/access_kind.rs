//! The kinds of accesses to memory, and conflicts between two of them.

use super::clock::BLOCK;
use super::location::{Site, location};
use crate::ext::Scope;

/// The properties of an access, as a set.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct AccessKind(u32);

impl AccessKind {
    pub(crate) const READ: Self = Self(1 << 27);
    pub(crate) const WRITE: Self = Self(1 << 28);
    pub(crate) const UPDATE: Self = Self(Self::READ.0 | Self::WRITE.0);
    pub(crate) const ATOMIC: Self = Self(1 << 29);
    pub(crate) const BLOCK_SCOPE: Self = Self(1 << 30);
    pub(crate) const STREAMED: Self = Self(1 << 31);
    pub(crate) const STREAMED_READ: Self = Self(Self::READ.0 | Self::STREAMED.0);
    /// The bits that a set uses; records keep an epoch below them.
    pub(crate) const BITS: u32 = !(Self::READ.0 - 1);

    /// The same, atomically.
    pub(crate) fn atomic(self, scope: Scope) -> Self {
        let block = if scope == Scope::Block { Self::BLOCK_SCOPE.0 } else { 0 };
        Self(self.0 | Self::ATOMIC.0 | block)
    }

    pub(crate) fn bits(self) -> u32 {
        self.0
    }

    pub(crate) fn from_bits(bits: u32) -> Self {
        Self(bits & Self::BITS)
    }

    /// Returns true if the set has one of `properties`.
    #[inline(always)]
    pub(crate) fn has(self, properties: Self) -> bool {
        self.0 & properties.0 != 0
    }

    /// In words, for a report.
    pub(crate) fn describe(self) -> String {
        let scope = if self.has(Self::BLOCK_SCOPE) { "block-scope " } else { "" };
        let atomic = |operation| format!("{scope}atomic {operation}");
        match (self.has(Self::ATOMIC), self.has(Self::READ), self.has(Self::WRITE)) {
            (false, _, true) => "write".to_owned(),
            (false, ..) if self.has(Self::STREAMED) => "streamed read".to_owned(),
            (false, ..) => "read".to_owned(),
            (true, true, true) => atomic("update"),
            (true, _, true) => atomic("store"),
            (true, ..) => atomic("load"),
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
    pub(crate) fn site(self) -> Site {
        let (block, thread) = (self.thread / BLOCK, self.thread % BLOCK);
        Site { block, thread, location: location(self.location) }
    }
}

/// The reason why an access is a fault.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Conflict {
    /// It reads unwritten memory.
    Unwritten,
    /// It writes memory that another thread has read before.
    WrittenLate,
    /// It is not ordered with this one.
    Race(Past),
    /// A streamed read and a write in one launch.
    Streamed(Past),
}
