//! The tuning parameters of the kernels, in one place: the host launches what it
//! reads here.

use crate::key::RADIX;

/// How a kernel cuts its input: `threads` in a block, `items` for each of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape {
    pub threads: usize,
    pub items: usize,
    /// Blocks that fit a multiprocessor at once: what bounds the registers.
    pub blocks: usize,
}

impl Shape {
    /// Keys in a tile.
    pub const fn tile(&self) -> usize {
        self.threads * self.items
    }
}

/// One radix pass over 4-byte keys on chips with 100 KB of shared memory or more
/// a multiprocessor. The items are odd and the tile an odd multiple of 512, so
/// that a warp's scatter of sorted input meets different banks.
pub const ONESWEEP_LARGE: Shape = Shape {
    threads: 512,
    items: 23,
    blocks: 2,
};

/// The same for inputs of a few tiles, where many small tiles fill the chip.
pub const ONESWEEP_SMALL: Shape = Shape {
    threads: 256,
    items: 15,
    blocks: 3,
};

/// Merging two runs of 4-byte keys.
pub const MERGE: Shape = Shape {
    threads: 256,
    items: 15,
    blocks: 4,
};

/// The checks: one read, no tile.
pub const VERIFY: Shape = Shape {
    threads: 512,
    items: 1,
    blocks: 2,
};

/// Threads of the histogram kernel.
pub const HISTOGRAM_THREADS: usize = 1024;

/// Copies of every bin in shared memory, when a block may have 128 KB of it: one
/// for each lane, so that no two lanes meet in a bank whatever the keys are.
pub const HISTOGRAM_COPIES_LARGE: usize = 32;
/// The same within the 48 KB that every block may have.
pub const HISTOGRAM_COPIES_SMALL: usize = 8;

/// Bytes of dynamic shared memory of a histogram block.
pub const fn histogram_shared_bytes(places: usize, copies: usize) -> usize {
    places * RADIX * copies * 4
}
