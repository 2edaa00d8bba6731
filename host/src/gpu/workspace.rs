//! The device memory that a sort works in beside its arguments.

use cust::memory::DeviceBuffer;
use gpu_kernels::{buckets, control};

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
    /// Where buckets begin, if they are counted.
    pub(super) buckets: u64,
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
    /// Tiles of a pass; none where one block sorts all, which needs neither control
    /// words nor second buffers.
    pub(super) tiles: Option<usize>,
    /// Whether passes may go by buckets.
    pub(super) by_bucket: bool,
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
        let words = |tiles| 4 * control::words(parts.width, tiles) as u64;
        let mut at = parts.tiles.map_or(0, words);
        let passes = parts.tiles.is_some();
        let mut part = |wanted: bool, bytes: u64| {
            let begin = at.next_multiple_of(ALIGNMENT);
            if wanted {
                at = begin + bytes;
            }
            begin
        };
        let buckets = part(parts.by_bucket, 4 * (buckets::BUCKETS as u64 + 1));
        let values = part(parts.paired && passes, n * 4);
        let index = part(parts.indexed, n * 4);
        let codes = part(parts.numeric, n * width);
        let gathered = part(parts.gathered_width > 0, n * parts.gathered_width);
        // Last, because the caller may have one.
        let keys = part(passes, n * width);
        Layout {
            buckets,
            keys,
            values,
            index,
            codes,
            gathered,
            end: at,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Keys alone.
    fn keys(n: u64, width: usize, tiles: Option<usize>) -> Parts {
        Parts {
            n,
            width,
            tiles,
            by_bucket: false,
            paired: false,
            numeric: false,
            gathered_width: 0,
            indexed: false,
        }
    }

    #[test]
    fn what_one_block_sorts_takes_nothing() {
        let alone = keys(4096, 4, None);
        let pairs = Parts {
            paired: true,
            ..keys(4096, 8, None)
        };
        for parts in [alone, pairs] {
            let layout = Layout::of(&parts);
            assert_eq!((layout.end, layout.keys), (0, 0));
        }
    }

    #[test]
    fn what_one_block_sorts_by_index_takes_what_is_gathered() {
        let layout = Layout::of(&Parts {
            paired: true,
            gathered_width: 16,
            indexed: true,
            ..keys(1000, 4, None)
        });
        assert_eq!((layout.index, layout.gathered), (0, 4096));
        assert_eq!(layout.end, 4096 + 16 * 1000);
    }

    /// The figures of an H200, whose tiles are those of the shapes for so few keys.
    #[test]
    fn passes_take_the_keys_once_more_and_the_words_they_agree_by() {
        for (exponent, width, tile, beside) in [
            (14, 4, 256 * 8, 36_096),
            (16, 4, 256 * 8, 60_672),
            (18, 4, 256 * 16, 93_440),
            (20, 4, 512 * 16, 158_976),
            (14, 8, 512 * 8, 56_576),
            (16, 8, 512 * 8, 68_864),
            (18, 8, 512 * 8, 118_016),
            (20, 8, 512 * 16, 183_552),
        ] {
            let n = 1u64 << exponent;
            let tiles = n.div_ceil(tile) as usize;
            let layout = Layout::of(&keys(n, width, Some(tiles)));
            let case = format!("2^{exponent} keys of {width} bytes");
            assert_eq!(layout.end - n * width as u64, beside, "{case}");
            assert_eq!(layout.keys, beside, "{case}");
        }
    }

    #[test]
    fn parts_are_aligned_and_apart() {
        let parts = Parts {
            by_bucket: true,
            paired: true,
            numeric: true,
            gathered_width: 8,
            indexed: true,
            ..keys(1001, 2, Some(3))
        };
        let layout = Layout::of(&parts);
        let begins = [
            layout.buckets,
            layout.values,
            layout.index,
            layout.codes,
            layout.gathered,
            layout.keys,
        ];
        let mut bytes = [0, 4, 4, 2, 8, 2].map(|width| width * parts.n);
        bytes[0] = 4 * (buckets::BUCKETS as u64 + 1);
        assert!(begins[0] >= 4 * control::words(2, 3) as u64);
        for (index, begin) in begins.into_iter().enumerate() {
            let next = begins.get(index + 1).copied().unwrap_or(layout.end);
            assert!(begin % ALIGNMENT == 0 && begin + bytes[index] <= next);
        }
        assert_eq!(layout.end, layout.keys + 2 * parts.n);
    }
}
