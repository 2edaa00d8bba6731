//! The device memory that a sort works in beside its arguments.

use cust::memory::DeviceBuffer;
use gpu_kernels::control;

/// Alignment of the parts of a workspace.
const ALIGNMENT: u64 = 256;

/// Device memory for the runs of a sort, one at a time.
pub struct Workspace {
    pub(super) memory: DeviceBuffer<u8>,
    /// Key width whose counter and bins are zero.
    pub(super) cleared_for: usize,
}

impl Workspace {
    /// A workspace in the caller's memory.
    pub fn over(memory: DeviceBuffer<u8>) -> Self {
        Workspace {
            memory,
            cleared_for: 0,
        }
    }

    /// Its size.
    pub fn bytes(&self) -> u64 {
        self.memory.len() as u64
    }
}

/// Where the parts of a workspace begin, from its first byte.
pub(super) struct Layout {
    /// Values' second buffer, or that of the indices that stand for them.
    pub(super) values: u64,
    /// Indices that stand for values, sorted.
    pub(super) index: u64,
    /// Codes of numeric order.
    pub(super) codes: u64,
    /// What is gathered in place.
    pub(super) gathered: u64,
    /// Keys' second buffer; in numeric order, the codes'.
    pub(super) keys: u64,
    pub(super) end: u64,
}

/// What a sort needs parts for.
pub(super) struct Parts {
    /// Keys, and bytes of one.
    pub(super) n: u64,
    pub(super) width: usize,
    /// Tiles of a pass.
    pub(super) tiles: usize,
    /// Whether 4-byte values pass along with the keys.
    pub(super) paired: bool,
    /// Whether codes are sorted in place of the keys.
    pub(super) numeric: bool,
    /// Bytes of a value that is gathered at the end, 0 if none is.
    pub(super) gathered_width: u64,
    /// Whether indices are sorted that the caller does not ask for.
    pub(super) indexed: bool,
}

impl Layout {
    /// The control words, then what of the rest is needed, each part aligned.
    pub(super) fn of(parts: &Parts) -> Self {
        let n = parts.n;
        let width = parts.width as u64;
        let mut at = 4 * control::words(parts.width, parts.tiles) as u64;
        let mut part = |wanted: bool, bytes: u64| {
            let begin = at.next_multiple_of(ALIGNMENT);
            if wanted {
                at = begin + bytes;
            }
            begin
        };
        let values = part(parts.paired, n * 4);
        let index = part(parts.indexed, n * 4);
        let codes = part(parts.numeric, n * width);
        let gathered = part(parts.gathered_width > 0, n * parts.gathered_width);
        // Last, because the caller may have one.
        let keys = part(true, n * width);
        Layout {
            keys,
            values,
            index,
            codes,
            gathered,
            end: at,
        }
    }
}
