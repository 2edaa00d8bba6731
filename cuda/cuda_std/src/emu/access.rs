//! One access to memory, as the checks see it.

use super::allocation::Allocation;
use crate::atomic::Scope;
use std::panic::Location;

/// What an access does, as a set of properties.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Kind(u32);

impl Kind {
    const READS: u32 = 1 << 27;
    const WRITES: u32 = 1 << 28;
    const ATOMIC: u32 = 1 << 29;
    const BLOCK_SCOPE: u32 = 1 << 30;
    const STREAMED: u32 = 1 << 31;
    /// The bits that [`Kind`] uses; the shadow memory keeps other things below.
    pub const BITS: u32 = !(Self::READS - 1);

    pub const READ: Kind = Kind(Self::READS);
    pub const WRITE: Kind = Kind(Self::WRITES);
    pub const UPDATE: Kind = Kind(Self::READS | Self::WRITES);
    pub const STREAMED_READ: Kind = Kind(Self::READS | Self::STREAMED);

    /// The same, atomically.
    pub fn atomic(self, scope: Scope) -> Kind {
        Kind(
            self.0
                | Self::ATOMIC
                | match scope {
                    Scope::Block => Self::BLOCK_SCOPE,
                    Scope::Device => 0,
                },
        )
    }

    pub fn bits(self) -> u32 {
        self.0
    }

    pub fn from_bits(bits: u32) -> Kind {
        Kind(bits & Self::BITS)
    }

    pub fn reads(self) -> bool {
        self.0 & Self::READS != 0
    }

    pub fn writes(self) -> bool {
        self.0 & Self::WRITES != 0
    }

    pub fn is_atomic(self) -> bool {
        self.0 & Self::ATOMIC != 0
    }

    pub fn is_block_scope(self) -> bool {
        self.0 & Self::BLOCK_SCOPE != 0
    }

    pub fn is_streamed(self) -> bool {
        self.0 & Self::STREAMED != 0
    }

    /// In words, for a report.
    pub fn describe(self) -> &'static str {
        match (
            self.is_atomic(),
            self.is_block_scope(),
            self.reads(),
            self.writes(),
        ) {
            (false, _, _, true) => "write",
            (false, ..) if self.is_streamed() => "streamed read",
            (false, ..) => "read",
            (true, false, false, _) => "atomic store",
            (true, false, true, false) => "atomic load",
            (true, false, true, true) => "atomic update",
            (true, true, false, _) => "block-scope atomic store",
            (true, true, true, false) => "block-scope atomic load",
            (true, true, true, true) => "block-scope atomic update",
        }
    }
}

/// `size` bytes from `offset` on. `size` is a power of two.
pub(crate) struct Access<'a> {
    pub memory: &'a Allocation,
    pub offset: usize,
    pub size: usize,
    pub kind: Kind,
    pub at: &'static Location<'static>,
}

impl Access<'_> {
    /// Whether the bytes lie in the allocation and are aligned to their size.
    #[inline(always)]
    pub fn is_valid(&self) -> bool {
        self.offset & (self.size - 1) == 0
            && self.offset < self.memory.bytes()
            && self.size <= self.memory.bytes() - self.offset
    }

    /// Where the bytes are. Only for a valid access.
    #[inline(always)]
    pub fn pointer(&self) -> *mut u8 {
        // SAFETY: a valid access lies in the allocation.
        unsafe { self.memory.base().add(self.offset) }
    }

    /// What the bytes hold, zero extended.
    pub fn value(&self) -> u64 {
        let mut bytes = [0; 8];
        // SAFETY: the access is valid and at most 8 bytes wide, as atomics are.
        unsafe {
            self.pointer()
                .copy_to_nonoverlapping(bytes.as_mut_ptr(), self.size)
        };
        u64::from_le_bytes(bytes)
    }

    /// For a report: "element 3 of global memory `keys`".
    pub fn place(&self) -> String {
        let index = (self.offset as isize).div_euclid(self.size as isize);
        let rest = (self.offset as isize).rem_euclid(self.size as isize);
        let rest = if rest == 0 {
            String::new()
        } else {
            format!(" and {rest} bytes")
        };
        format!(
            "element {index}{rest} ({} bytes wide) of {}",
            self.size,
            self.memory.describe()
        )
    }
}
