//! The tuning parameters of the kernels, in one place: the entry points are made
//! from them, and the host launches what it reads here.

use crate::key::RADIX;

/// How a kernel splits its input: `threads` in a block, `items` for each of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape {
    /// Threads in a block.
    pub threads: usize,
    /// Keys of a thread.
    pub items: usize,
    /// Blocks that fit a multiprocessor at once: what bounds the registers.
    pub blocks: usize,
    /// Elements of a sort from which on it is worth its time.
    pub from: u64,
}

impl Shape {
    /// A shape for any number of elements.
    pub const fn new(threads: usize, items: usize, blocks: usize) -> Self {
        Shape { threads, items, blocks, from: 0 }
    }

    /// The same for so many elements and more.
    const fn from(self, from: u64) -> Self {
        Shape { from, ..self }
    }

    /// Keys in a tile.
    pub const fn tile(&self) -> usize {
        self.threads * self.items
    }
}

/// Shapes of the radix passes of many tiles.
///
/// Large inputs take large tiles, for their long runs. A tile is no multiple of 1024 keys
/// where many tiles sort: of dense sorted input it has equally many of each digit, and a
/// warp's scatter, of 32 neighbouring digits, would meet few of the banks.
pub mod onesweep {
    use super::Shape;

    /// Keys of 1 byte.
    pub const KEYS_U8: Shape = Shape::new(512, 17, 2);
    /// Keys of 2 bytes, ranked by atomics where the plan says so, from compute capability
    /// 9.0 on.
    pub const KEYS_U16: Shape = Shape::new(384, 34, 2);
    /// The same before compute capability 9.0, always ranked by match.
    pub const KEYS_U16_BASELINE: Shape = Shape::new(512, 23, 2);
    /// Keys of 4 bytes, ranked by atomics where the plan says so, from compute
    /// capability 9.0 on.
    pub const KEYS_U32: Shape = Shape::new(384, 34, 2).from(1 << 24);
    /// The same for fewer, in tiles that a block is done with sooner.
    pub const KEYS_U32_MANY: Shape = Shape::new(512, 25, 2).from(1 << 23);
    /// The same for the fewest that many tiles sort, and before compute capability 9.0,
    /// where the registers of the above would spill.
    pub const KEYS_U32_BASELINE: Shape = Shape::new(512, 21, 2);
    /// Keys of 4 bytes, always ranked by match.
    pub const KEYS_U32_MATCH: Shape = Shape::new(256, 35, 3);
    /// Keys of 8 bytes, ranked by atomics where the plan says so, from compute capability
    /// 9.0 on and where a block may have 73 KB of shared memory.
    pub const KEYS_U64: Shape = Shape::new(512, 15, 2);
    /// The same elsewhere.
    pub const KEYS_U64_BASELINE: Shape = Shape::new(512, 13, 2);
    /// Keys of 16 bytes, from compute capability 9.0 on and where a block may have 68 KB of
    /// shared memory.
    pub const KEYS_U128: Shape = Shape::new(512, 7, 2);
    /// The same elsewhere.
    pub const KEYS_U128_BASELINE: Shape = Shape::new(256, 7, 2);
    /// Pairs with keys of 1 byte.
    pub const PAIRS_U8: Shape = Shape::new(512, 15, 2);
    /// Pairs with keys of 2 bytes, from compute capability 9.0 on.
    pub const PAIRS_U16: Shape = Shape::new(384, 31, 2).from(1 << 24);
    /// The same for fewer, and before compute capability 9.0.
    pub const PAIRS_U16_BASELINE: Shape = Shape::new(512, 15, 2);
    /// Pairs with keys of 4 bytes, from compute capability 9.0 on and where a block may
    /// have 107 KB of shared memory: the longer the runs that a tile writes, the better.
    pub const PAIRS_U32: Shape = Shape::new(512, 23, 2);
    /// The same where it may not.
    pub const PAIRS_U32_BASELINE: Shape = Shape::new(256, 15, 3);
    /// Pairs with keys of 8 bytes, from compute capability 9.0 on and where a block may
    /// have 93 KB of shared memory.
    pub const PAIRS_U64: Shape = Shape::new(512, 13, 2).from(1 << 22);
    /// The same for fewer, and elsewhere.
    pub const PAIRS_U64_BASELINE: Shape = Shape::new(384, 11, 2);
    /// Pairs with keys of 16 bytes, from compute capability 9.0 on and where a block may
    /// have 79 KB of shared memory.
    pub const PAIRS_U128: Shape = Shape::new(384, 9, 2);
    /// The same elsewhere.
    pub const PAIRS_U128_BASELINE: Shape = Shape::new(256, 7, 2);
}

/// Shapes of the passes of a single wave of tiles (`all_gather`): small
/// inputs are bound by the time of one tile, and take tiles such that each multiprocessor
/// has at most one. Where several fit it all the same, sorts on other streams are done
/// beside; the largest have no registers to spare for that, nor have most pairs.
pub mod single_wave {
    use super::Shape;
    use crate::control::TILES_MAX;

    /// Whether kernels are compiled for chips before compute capability 9.0, where blocks
    /// of 64 registers a thread would spill.
    const BASELINE: bool = cfg!(all(target_os = "cuda", not(target_feature = "sm_90")));

    /// For the least inputs.
    pub const KEYS_LEAST: Shape = Shape::new(256, 8, if BASELINE { 3 } else { 4 });
    /// For the next.
    pub const KEYS_FEW: Shape = Shape::new(512, 8, if BASELINE { 1 } else { 2 });
    /// For the largest.
    pub const KEYS_SOME: Shape = Shape::new(512, 16, 1);
    /// Pairs, and keys of 16 bytes, for the least inputs.
    pub const PAIRS_LEAST: Shape = Shape::new(256, 8, 2);
    /// Pairs with keys of 4 bytes, for the next.
    pub const PAIRS_NEXT: Shape = Shape::new(256, 12, 2);
    /// Pairs, and keys of 1 and 16 bytes, for more.
    pub const PAIRS_FEW: Shape = Shape::new(512, 8, 1);
    /// Pairs, for the largest.
    pub const PAIRS_SOME: Shape = Shape::new(512, 16, 1);

    /// Most tiles of `tile` elements, with keys of `width` bytes: a tile a multiprocessor, or
    /// fewer where more tiles read more of each other than is gained by smaller ones, and
    /// take more memory than CUB does.
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

/// Shapes of the sort in one block, in order of size; the blocks do not share a
/// multiprocessor.
pub mod block {
    use super::Shape;

    /// For the least inputs.
    pub const SMALL: Shape = Shape::new(256, 4, 1);
    /// For the next.
    pub const MEDIUM: Shape = Shape::new(512, 8, 1);
}

/// Shapes of the sort of keys alone in one launch of many blocks, in order of size: `items`
/// are those of a bucket. Blocks of a multiprocessor are so many that small chips have room
/// for all.
pub mod fused {
    use super::Shape;

    /// 2^12 to 2^16 keys.
    pub const U64: Shape = Shape::new(256, 6, 4).from(1 << 12);
}

/// Shapes of the local sort, in order of size: what a block has is one bucket. The least
/// are of one warp, which needs no barriers.
pub mod local {
    use super::Shape;

    /// For buckets of a few hundred keys of 4 bytes.
    pub const U32_384: Shape = Shape::new(32, 12, 32);
    /// The next.
    pub const U32_704: Shape = Shape::new(32, 22, 24);
    /// The next.
    pub const U32_1280: Shape = Shape::new(128, 10, 10);
    /// The next.
    pub const U32_2304: Shape = Shape::new(128, 18, 8);
    /// The next.
    pub const U32_4608: Shape = Shape::new(256, 18, 4);
    /// For the largest.
    pub const U32_9216: Shape = Shape::new(512, 18, 2);

    /// For buckets of a few hundred keys of 8 bytes.
    pub const U64_384: Shape = Shape::new(32, 12, 32);
    /// The next.
    pub const U64_704: Shape = Shape::new(32, 22, 20);
    /// The next.
    pub const U64_1280: Shape = Shape::new(128, 10, 8);
    /// The next.
    pub const U64_2304: Shape = Shape::new(128, 18, 6);
    /// The same with values.
    pub const U64_2304_PAIRS: Shape = Shape::new(256, 9, 5);
    /// The next.
    pub const U64_4608: Shape = Shape::new(256, 18, 3);
    /// The same with values.
    pub const U64_4608_PAIRS: Shape = Shape::new(384, 12, 3);
    /// For the largest.
    pub const U64_9216: Shape = Shape::new(1024, 9, 1);
}

/// Merging two runs of 4-byte keys.
pub const MERGE: Shape = Shape::new(256, 15, 4);

/// The checks: one read, no tile.
pub const VERIFY: Shape = Shape::new(512, 1, 2);

/// What moves elements one by one.
pub const GATHER: Shape = Shape::new(256, 8, 4);

/// The histograms: a vector of 16 bytes a thread, so that few keys are shared out over many
/// blocks.
pub const fn histogram<K>() -> Shape {
    Shape::new(1024, 16 / size_of::<K>(), 1)
}

/// Bytes of shared memory in which a histogram block keeps its bins, where it may
/// have that much: as many copies as that holds, up to one for each lane.
pub const HISTOGRAM_BYTES_LARGE: usize = 128 << 10;
/// The same within the 48 KB that every block may have.
pub const HISTOGRAM_BYTES_SMALL: usize = 32 << 10;

/// Copies of each bin, for keys of `digits` digits in `bytes` of shared memory.
pub const fn histogram_copies(positions: usize, bytes: usize) -> usize {
    let copies = bytes / (positions * RADIX * 4);
    if copies > 32 { 32 } else { copies }
}

/// Bytes of dynamic shared memory that so many copies take.
pub const fn histogram_shared_bytes(positions: usize, bytes: usize) -> usize {
    positions * RADIX * histogram_copies(positions, bytes) * 4
}
