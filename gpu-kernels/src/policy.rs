//! The tuning parameters of the kernels, in one place: the entry points are made from them, and
//! the host launches what it reads here.

use crate::key::RADIX;

/// How a kernel splits its input: `threads` in a block, `items` for each of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape {
    pub threads: usize,
    /// Keys of a thread.
    pub items: usize,
    /// Blocks that fit a multiprocessor at once: what bounds the registers.
    pub blocks: usize,
    /// Elements of a sort from which on it is worth its time.
    pub from: u64,
}

impl Shape {
    pub const fn new(threads: usize, items: usize, blocks: usize) -> Self {
        Shape { threads, items, blocks, from: 0 }
    }

    /// The same for so many elements and more.
    const fn from(self, from: u64) -> Self {
        Shape { from, ..self }
    }

    pub const fn tile(&self) -> usize {
        self.threads * self.items
    }
}

/// True if kernels are compiled for chips before compute capability 9.0, where blocks of 64
/// registers a thread would spill.
const BASELINE: bool = cfg!(all(target_os = "cuda", not(target_feature = "sm_90")));

/// Shapes of the radix passes of many tiles, by the width of keys.
///
/// Large inputs take large tiles, for their long runs. A tile is no multiple of 1024 keys where
/// many tiles sort: of dense sorted input it has equally many of each digit, and a warp's
/// scatter, of 32 neighbouring digits, would meet few of the banks.
///
/// `_BASELINE` is for fewer elements than the shape of the same name without it, for chips before
/// compute capability 9.0, where the registers of the other would spill, and where a block may
/// not have the other's shared memory: 68 KB to 107 KB.
pub mod onesweep {
    use super::Shape;

    pub const KEYS_U8: Shape = Shape::new(512, 17, 2);
    pub const KEYS_U16: Shape = Shape::new(384, 34, 2);
    pub const KEYS_U16_BASELINE: Shape = Shape::new(512, 23, 2);
    pub const KEYS_U32: Shape = Shape::new(384, 34, 2).from(1 << 24);
    /// For fewer, in tiles that a block is done with sooner.
    pub const KEYS_U32_MANY: Shape = Shape::new(512, 25, 2).from(1 << 23);
    pub const KEYS_U32_BASELINE: Shape = Shape::new(512, 21, 2);
    /// For match ranking in every pass.
    pub const KEYS_U32_MATCH: Shape = Shape::new(256, 35, 3);
    pub const KEYS_U64: Shape = Shape::new(512, 15, 2);
    pub const KEYS_U64_BASELINE: Shape = Shape::new(512, 13, 2);
    pub const KEYS_U128: Shape = Shape::new(512, 7, 2);
    pub const KEYS_U128_BASELINE: Shape = Shape::new(256, 7, 2);
    pub const PAIRS_U8: Shape = Shape::new(512, 15, 2);
    pub const PAIRS_U16: Shape = Shape::new(384, 31, 2).from(1 << 24);
    pub const PAIRS_U16_BASELINE: Shape = Shape::new(512, 15, 2);
    pub const PAIRS_U32: Shape = Shape::new(512, 23, 2);
    pub const PAIRS_U32_BASELINE: Shape = Shape::new(256, 15, 3);
    pub const PAIRS_U64: Shape = Shape::new(512, 13, 2).from(1 << 22);
    pub const PAIRS_U64_BASELINE: Shape = Shape::new(384, 11, 2);
    pub const PAIRS_U128: Shape = Shape::new(384, 9, 2);
    pub const PAIRS_U128_BASELINE: Shape = Shape::new(256, 7, 2);
}

/// Shapes of the passes of a single wave of tiles (`all_gather`): small inputs are bound by the
/// time of one tile, and take tiles such that each multiprocessor has at most one. Where several
/// fit it all the same, sorts on other streams are done beside; the largest have no registers to
/// spare for that, nor have most pairs.
pub mod single_wave {
    use super::{BASELINE, Shape};
    use crate::control::TILES_MAX;

    pub const KEYS_LEAST: Shape = Shape::new(256, 8, if BASELINE { 3 } else { 4 });
    pub const KEYS_FEW: Shape = Shape::new(512, 8, if BASELINE { 1 } else { 2 });
    pub const KEYS_SOME: Shape = Shape::new(512, 16, 1);
    /// Pairs, and keys of 16 bytes.
    pub const PAIRS_LEAST: Shape = Shape::new(256, 8, 2);
    /// Pairs with keys of 4 bytes.
    pub const PAIRS_NEXT: Shape = Shape::new(256, 12, 2);
    /// Pairs, and keys of 1 and 16 bytes.
    pub const PAIRS_FEW: Shape = Shape::new(512, 8, 1);
    pub const PAIRS_SOME: Shape = Shape::new(512, 16, 1);

    /// Most tiles of `tile` elements, with keys of `width` bytes: a tile a multiprocessor, or
    /// fewer where more tiles read more of each other than is gained by smaller ones, and take
    /// more memory than CUB does.
    pub const fn most_tiles(width: usize, paired: bool, tile: usize) -> usize {
        match (width, paired, tile) {
            (4, _, 2048) => 16,
            (4, true, 3072) => 24,
            (1 | 2, true, 2048) | (8, false, 2048) => 32,
            (8 | 16, _, 2048) => 64,
            _ => TILES_MAX,
        }
    }
}

/// Shapes of the sort in one block, in order of size; the blocks do not share a multiprocessor.
pub mod block {
    use super::Shape;

    pub const SMALL: Shape = Shape::new(256, 4, 1);
    pub const MEDIUM: Shape = Shape::new(512, 8, 1);
}

/// Shapes of the sort in one launch of many blocks, in order of size: `items` are those of a
/// range. Blocks of a multiprocessor are so many that small chips have room for all.
pub mod fused {
    use super::{BASELINE, Shape};

    /// Up to 2^15 keys, from what the smaller blocks of the sort in one block take.
    pub const TO_15: Shape = Shape::new(256, 4, if BASELINE { 3 } else { 4 }).from((1 << 10) + 1);
    pub const PAIRS_TO_15: Shape = TO_15.from(1 << 12);
    /// Of words of 8 bytes, this shape and the next are compiled from compute capability 9.0 on:
    /// elsewhere they would spill.
    pub const TO_16: Shape = Shape::new(512, 4, 2).from(1 << 12);
    pub const TO_17: Shape = Shape::new(1024, 4, 1).from(1 << 12);
    /// Of 8-byte keys, whose passes are twice as many; a block holds twice the mean of a range.
    pub const TO_19: Shape = Shape::new(1024, 8, 1).from(1 << 12);
}

/// Shapes of the sort in two launches: of tiles, and of blocks that sort ranges.
pub mod partition {
    use super::Shape;

    pub const TILES: [Shape; 2] = [Shape::new(512, 8, 1), Shape::new(512, 16, 1)];
    pub const RANGE: Shape = Shape::new(512, 8, 2);
}

/// Shapes of the local sort, by the width of keys and the size of a bucket, which a block has.
/// The least are of one warp, which needs no barriers.
pub mod local {
    use super::Shape;

    pub const U32_384: Shape = Shape::new(32, 12, 32);
    pub const U32_704: Shape = Shape::new(32, 22, 24);
    pub const U32_1280: Shape = Shape::new(128, 10, 10);
    pub const U32_2304: Shape = Shape::new(128, 18, 8);
    pub const U32_4608: Shape = Shape::new(256, 18, 4);
    pub const U32_9216: Shape = Shape::new(512, 18, 2);

    pub const U64_384: Shape = Shape::new(32, 12, 32);
    pub const U64_704: Shape = Shape::new(32, 22, 20);
    pub const U64_1280: Shape = Shape::new(128, 10, 8);
    pub const U64_2304: Shape = Shape::new(128, 18, 6);
    pub const U64_2304_PAIRS: Shape = Shape::new(256, 9, 5);
    pub const U64_4608: Shape = Shape::new(256, 18, 3);
    pub const U64_4608_PAIRS: Shape = Shape::new(384, 12, 3);
    pub const U64_9216: Shape = Shape::new(1024, 9, 1);
}

/// Shapes of the local sort of buckets that stand in several places, where fewer blocks share a
/// multiprocessor than of one that stands in one: finding them takes registers.
pub mod gathered {
    use super::Shape;

    pub const U64_2304: Shape = Shape::new(128, 18, 5);
    pub const U64_4608: Shape = Shape::new(256, 18, 2);
}

/// Shapes of the sort of segments, by their lengths.
pub mod segments {
    use super::{BASELINE, Shape};

    /// Most keys of a segment that a warp sorts.
    pub const WARP_MOST: usize = 256;
    /// Lists of longer ones, and the keys of a segment that each has at most: a little above
    /// powers of two, which lengths like to be.
    pub const BLOCKS: usize = 5;
    pub const MOST: [usize; BLOCKS] = [640, 1152, 2176, 4352, 8704];
    /// The first lists are sorted by one kernel, with so many keys of a thread.
    pub const SHORT: usize = 3;
    pub const SHORT_ITEMS: [usize; SHORT] = [5, 9, 17];
    /// The kernel that makes the lists, with some segments for each thread.
    pub const LIST: Shape = Shape::new(256, 4, 4);
    /// Items are the keys of a lane where a warp sorts.
    pub const WARPS_U32: Shape = Shape::new(128, 16, if BASELINE { 6 } else { 9 });
    pub const WARPS_U64: Shape = Shape::new(128, 8, if BASELINE { 7 } else { 10 });
    /// The first lists, with the keys of the last.
    pub const SHORT_U32: Shape = Shape::new(128, 17, if BASELINE { 5 } else { 8 });
    pub const SHORT_U64: Shape = Shape::new(128, 17, if BASELINE { 4 } else { 6 });
    pub const SHORT_PAIRS: Shape = Shape::new(128, 17, if BASELINE { 3 } else { 5 });
    /// The other lists. Words of pairs are those of keys of 8 bytes.
    pub const U32: [Shape; BLOCKS - SHORT] = [
        Shape::new(256, 17, if BASELINE { 2 } else { 4 }),
        Shape::new(512, 17, if BASELINE { 1 } else { 2 }),
    ];
    pub const U64: [Shape; BLOCKS - SHORT] = [
        Shape::new(256, 17, if BASELINE { 2 } else { 3 }),
        if BASELINE { Shape::new(512, 17, 1) } else { Shape::new(1024, 9, 1) },
    ];
}

/// Shapes of the local sort of a top digit, by how many keys of it a block holds.
pub mod by_digit {
    use super::Shape;

    pub const TILE_8704: Shape = Shape::new(512, 17, 2);
    pub const TILE_17408: Shape = Shape::new(1024, 17, 1);
}

/// Shapes of the sort by top bits.
pub mod by_top {
    use super::Shape;

    /// Its tile is the most keys of a bucket.
    pub const SORT: Shape = Shape::new(512, 17, 2);
    pub const U32_MANY: Shape = Shape::new(1024, 32, 1).from((1 << 22) + 1);
    pub const U32_FEW: Shape = Shape::new(512, 32, 2);
    pub const U64_MANY: Shape = Shape::new(1024, 16, 1).from((1 << 22) + 1);
    pub const U64_FEW: Shape = Shape::new(512, 16, 2);
}

/// The shortcut: a block a multiprocessor. Two of keys alone have room on one, so that none waits
/// for the block that makes the plan.
pub mod shortcut {
    use super::Shape;

    pub const KEYS: Shape = Shape::new(512, 0, 2);
    pub const PAIRS: Shape = Shape::new(1024, 0, 1);
    /// In blocks of 1024 threads registers would spill.
    pub const PAIRS_U64: Shape = Shape::new(512, 0, 1);
}

/// Merging two runs of 4-byte keys.
pub const MERGE: Shape = Shape::new(256, 15, 4);

/// The checks: one read, no tile.
pub const VERIFY: Shape = Shape::new(512, 1, 2);

/// Kernels that move elements one by one.
pub const GATHER: Shape = Shape::new(256, 8, 4);

/// The histograms: a vector of 16 bytes a thread, so that few keys are shared out over many
/// blocks.
pub const fn histogram<K>() -> Shape {
    Shape::new(1024, 16 / size_of::<K>(), 1)
}

/// Bytes of shared memory in which a histogram block keeps its bins, where it may have that much:
/// as many copies as that holds, up to one for each lane.
pub const HISTOGRAM_BYTES_LARGE: usize = 128 << 10;
/// The same within the 48 KB that every block may have.
pub const HISTOGRAM_BYTES_SMALL: usize = 32 << 10;

/// Copies of each bin, for keys of `digits` digits in `bytes` of shared memory.
pub const fn histogram_copies(digits: usize, bytes: usize) -> usize {
    let copies = bytes / (digits * RADIX * 4);
    if copies > 32 { 32 } else { copies }
}

/// Bytes of dynamic shared memory that so many copies take.
pub const fn histogram_shared_bytes(digits: usize, bytes: usize) -> usize {
    digits * RADIX * histogram_copies(digits, bytes) * 4
}
