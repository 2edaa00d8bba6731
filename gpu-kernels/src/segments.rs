//! Sorts each of many segments of an array by itself, in place or into another array.
//!
//! A segment is all keys between two neighbouring offsets, and may be empty. Its length, which
//! only the device knows, decides how it is sorted:
//!
//! - **Classes.** A thread checks some segments' offsets and puts a longer segment on the list of
//!   those that fit the same block. A warp appends all of its own at once. One wrong pair of
//!   offsets keeps the other kernels from writing anything.
//! - **In warps.** Up to [`WARP_MOST`] keys are sorted by [`segment_warps`](crate::segment_warps).
//! - **In blocks.** A list's segments are handed to the blocks of a grid in turns, and each is
//!   sorted by one round of bins, as a bucket of top bits is ([`local_bins`](crate::local_bins)),
//!   or by rounds of 8 bits, as one of a [`local_sort`](crate::local_sort), if bins are crowded.
//!   The next segments of a block that has met crowded bins are sorted by rounds at once.
//!
//! A launch costs 3 us even if it finds nothing to do, so one kernel sorts several lists. The sort
//! in warps is a kernel of its own, because it takes fewer registers, and so more warps share a
//! multiprocessor (`docs/LAB.md`).
//!
//! Longer segments are listed too, and left to the host. Each key is read and written once, and
//! the work of a network grows with the square of the logarithm of its width; that of a block is
//! one round for keys that are evenly spread, and else up to a round for each byte of a key.
//!
//! # Values
//! Keys of 4 bytes may have values of 4 bytes, or be given their indices in their segments. Words
//! of 8 bytes are sorted then: a key, and below it where it stood among those that are sorted with
//! it. So words differ, and the sort is stable. Values are read into shared memory as they stand,
//! and fetched by their words.

use crate::key::Key;
use crate::local_bins::Layout;
use crate::local_sort::{Bucket, LocalSort};
use crate::places::Together;
use crate::policy::segments::{BLOCKS, LIST, MOST, SHORT, SHORT_ITEMS, WARP_MOST};
use cuda_std::ext::{Ordering, Scope};
use cuda_std::{ext::*, prelude::*};

/// Index of the word of a head that is not zero if a segment ends before it begins, or behind the
/// last key.
pub const WRONG: usize = 0;
/// Index of the first of [`LISTS`] words of a head: how many segments are on each list.
pub const COUNTS: usize = 1;
/// A list for each size of block, and one of what fits none.
pub const LISTS: usize = BLOCKS + 1;
/// Words of a head.
pub const HEAD: usize = COUNTS + LISTS;
/// Heads: a sort takes one that is clear, and clears the other for the next sort.
pub const HEADS: usize = 2;

/// Most segments that list `list` of `n` keys has: they do not overlap.
pub const fn list_words(list: usize, n: usize) -> usize {
    let least = if list == 0 { WARP_MOST } else { MOST[list - 1] } + 1;
    n / least
}

/// Index of a list.
pub const fn list_begin(list: usize, n: usize) -> usize {
    let mut begin = HEADS * HEAD;
    let mut before = 0;
    while before < list {
        begin += list_words(before, n);
        before += 1;
    }
    begin
}

/// Words of the control array: heads, and lists.
pub const fn words(n: usize) -> usize {
    list_begin(LISTS, n)
}

/// The arguments of the classes: `count` segments, whose offsets are one more, of `n` keys, and a
/// head, which is clear.
#[derive(Clone, Copy)]
pub struct Classes {
    pub offsets: Global<u32>,
    pub count: u32,
    pub n: u32,
    pub head: Global<u32>,
    pub control: Global<u32>,
}

/// The arguments of the kernels that sort. `list` is the list to sort, where a kernel sorts a
/// single one.
#[derive(Clone, Copy)]
pub struct Segments<K> {
    /// Keys and values, and where they go: the same, or apart.
    pub keys: Global<K>,
    pub output: Global<K>,
    pub values: Global<u32>,
    pub output_values: Global<u32>,
    pub offsets: Global<u32>,
    pub count: u32,
    pub n: u32,
    pub head: Global<u32>,
    /// The head of the next sort.
    pub next: Global<u32>,
    pub control: Global<u32>,
    pub order_mask: K,
    pub options: u32,
    pub list: u32,
}

/// The kernel of the classes: as many blocks of [`LIST`] as it takes.
#[inline(always)]
pub unsafe fn segment_classes(arg: Classes) {
    trigger_dependents();
    let tile = (LIST.threads * LIST.items) as u32;
    let first = thread::block_idx_x() * tile + thread::thread_idx_x();
    let index = |i: usize| first + (i * LIST.threads) as u32;
    let mut segments = [(0, 0); LIST.items];
    for i in 0..LIST.items {
        if index(i) < arg.count {
            segments[i] = bounds(arg.offsets, index(i));
        }
    }
    for i in 0..LIST.items {
        let (begin, end) = segments[i];
        let mut length = 0;
        if begin <= end && end <= arg.n {
            length = (end - begin) as usize;
        } else {
            arg.head.store(WRONG, 1, Ordering::Relaxed, Scope::Device);
        }
        if lanes::any(lanes::FULL, length > WARP_MOST) {
            list(arg, index(i), length);
        }
    }
}

/// Puts a warp's segments on the lists that their lengths are for.
#[inline(always)]
unsafe fn list(arg: Classes, index: u32, length: usize) {
    let mut least = WARP_MOST;
    for list in 0..LISTS {
        let most = if list < BLOCKS { MOST[list] } else { usize::MAX };
        let listed = least < length && length <= most;
        let lanes = lanes::ballot(lanes::FULL, listed);
        if lanes != 0 {
            let mut begin = 0;
            if warp::lane_id() == 0 {
                let count = lanes.count_ones();
                begin = arg.head.fetch_add(COUNTS + list, count, Ordering::Relaxed, Scope::Device);
            }
            let slot = lanes::shuffle_idx(lanes::FULL, begin, 0)
                + (lanes & lanes::lane_mask_lt()).count_ones();
            let n = arg.n as usize;
            // There are more only where wrong offsets overlap.
            if listed && (slot as usize) < list_words(list, n) {
                arg.control.set(list_begin(list, n) + slot as usize, index);
            }
        }
        least = most;
    }
}

#[inline(always)]
unsafe fn bounds(offsets: Global<u32>, index: u32) -> (u32, u32) {
    (offsets.get(index as usize), offsets.get(index as usize + 1))
}

/// The kernel of a list of longer segments, in any number of blocks of `THREADS` threads.
#[inline(always)]
pub unsafe fn long_segments<
    K: Key,
    W: Key,
    const THREADS: usize,
    const ITEMS: usize,
    const PAIRED: bool,
>(
    arg: Segments<K>,
) {
    let list = arg.list as usize;
    if await_lists(arg, list, list + 1) {
        sort_list::<K, W, THREADS, ITEMS, PAIRED>(arg, list);
    }
}

/// The kernel of the first lists, in any number of blocks of `THREADS` threads.
#[inline(always)]
pub unsafe fn short_segments<K: Key, W: Key, const THREADS: usize, const PAIRED: bool>(
    arg: Segments<K>,
) {
    if await_lists(arg, 0, SHORT) {
        // The longest first, or a block might begin one when all others are done.
        sort_list::<K, W, THREADS, { SHORT_ITEMS[2] }, PAIRED>(arg, 2);
        sort_list::<K, W, THREADS, { SHORT_ITEMS[1] }, PAIRED>(arg, 1);
        sort_list::<K, W, THREADS, { SHORT_ITEMS[0] }, PAIRED>(arg, 0);
    }
}

/// Waits for the launch before this one if a list has segments, and returns true then. There are
/// lists when this begins, so blocks that have nothing to do end while segments are sorted in
/// warps. Block 0 stays, or the next launch would not wait for that sort.
#[inline(always)]
unsafe fn await_lists<K: Key>(arg: Segments<K>, from: usize, to: usize) -> bool {
    trigger_dependents();
    let mut listed = 0;
    for list in from..to {
        listed |= get_early(arg.head, COUNTS + list);
    }
    if listed != 0 || thread::block_idx_x() == 0 {
        sync_predecessor();
    }
    listed != 0
}

/// Sorts a list's segments, which the blocks take in turns. All threads call.
#[inline(always)]
unsafe fn sort_list<
    K: Key,
    W: Key,
    const THREADS: usize,
    const ITEMS: usize,
    const PAIRED: bool,
>(
    arg: Segments<K>,
    list: usize,
) {
    let count = match arg.head.get(WRONG) {
        0 => arg.head.get(COUNTS + list),
        _ => 0,
    };
    let list = arg.control.offset(list_begin(list, arg.n as usize));
    let claimed = const { Layout::<W>::of(THREADS, ITEMS, PAIRED).claimed }.shared();
    let sort = LocalSort {
        keys: arg.keys,
        output: arg.output,
        values: arg.values,
        output_values: arg.output_values,
        control: arg.control,
        starts: arg.control,
        n: arg.n,
        order_mask: arg.order_mask,
        options: arg.options,
    };
    let mut at = thread::block_idx_x();
    // Of one thread, which looks for the block's next segment while it sorts another.
    let (mut begin, mut end) = (0, 0);
    let looks = |at: u32| thread::thread_idx_x() == 0 && at < count;
    if looks(at) {
        (begin, end) = bounds(arg.offsets, list.get(at as usize));
    }
    let mut kept = 0;
    while at < count {
        Bucket::<K, W, 0, THREADS, ITEMS, PAIRED, Together>::bins().clear();
        if thread::thread_idx_x() == 0 {
            claimed.set(0, 0);
            claimed.set(1, begin);
            claimed.set(2, end - begin);
            claimed.set(3, kept);
        }
        thread::sync_threads();
        at += thread::grid_dim_x();
        if looks(at) {
            (begin, end) = bounds(arg.offsets, list.get(at as usize));
        }
        Bucket::<K, W, 0, THREADS, ITEMS, PAIRED, Together>::new(sort, claimed, Together)
            .sort_by_bins();
        // The next segment's bins go where these are, and its claim.
        thread::sync_threads();
        if thread::thread_idx_x() == 0 {
            kept = claimed.get(3).saturating_sub(1);
        }
    }
}
