//! Sorts each of many segments of an array by itself, where it lies.
//!
//! A segment is all keys between two neighbouring offsets, and may be empty. Three kernels, by
//! the segments' lengths, which only the device knows:
//!
//! - **Classes.** A thread a segment checks its offsets and puts a longer segment on the list of
//!   those that fit the same block. A warp appends all of its own at once. One wrong pair of
//!   offsets keeps the other kernels from writing anything.
//! - **In warps.** Up to [`WARP_MOST`] keys are sorted by a bitonic [`network`](crate::network)
//!   in the registers of a warp. A lane has 16 neighbouring keys of 4 bytes, or 8 of 8; a
//!   segment of up to as many keys is a lane's, of up to twice as many two lanes', and so on. A
//!   warp takes as many neighbouring segments at once as it has lanes for, whose keys go through
//!   shared memory, so that it reads and writes the array in rows.
//! - **In blocks.** A list's segments are handed to the blocks of a grid in turns, and each is
//!   sorted as in [`block`](crate::block).
//!
//! Longer segments are listed too, and left to the host. Each key is read and written once, and
//! the work of a network grows with the square of the logarithm of its width; that of a block is
//! a round for each byte of a key.

use crate::block::{Block, sort_block};
use crate::control::{ALLOW_ATOMICS, ENCODE};
use crate::key::{Bits, Key};
use crate::network::{merge_lanes, sort_lane};
use crate::policy::Shape;
use crate::policy::segments::{BLOCKS, MOST, WARP_MOST};
use cuda_std::ext::{Ordering, Scope};
use cuda_std::{ext::*, prelude::*};

/// Index of the control word that is not zero if a segment ends before it begins, or behind the
/// last key.
pub const WRONG: usize = 0;
/// Index of the first of [`LISTS`] words: how many segments are on each list.
pub const COUNTS: usize = 1;
/// A list for each size of block, and one of what fits none.
pub const LISTS: usize = BLOCKS + 1;
/// Index of the first list.
pub const FIRST_LIST: usize = COUNTS + LISTS;

/// Most segments that list `list` of `n` keys has: they do not overlap.
pub const fn list_words(list: usize, n: usize) -> usize {
    let least = if list == 0 { WARP_MOST } else { MOST[list - 1] } + 1;
    n / least
}

/// Index of a list.
pub const fn list_begin(list: usize, n: usize) -> usize {
    let mut begin = FIRST_LIST;
    let mut before = 0;
    while before < list {
        begin += list_words(before, n);
        before += 1;
    }
    begin
}

/// Words of the control array, of which those before [`FIRST_LIST`] must be zero.
pub const fn words(n: usize) -> usize {
    list_begin(LISTS, n)
}

/// The arguments of the classes: `count` segments, whose offsets are one more, of `n` keys.
#[derive(Clone, Copy)]
pub struct Classes {
    pub offsets: Global<u32>,
    pub count: u32,
    pub n: u32,
    pub control: Global<u32>,
}

/// The arguments of the kernels that sort. `list` is the one to be sorted, and of no meaning in
/// warps.
#[derive(Clone, Copy)]
pub struct Segments<K> {
    pub keys: Global<K>,
    pub offsets: Global<u32>,
    pub count: u32,
    pub n: u32,
    pub control: Global<u32>,
    pub order_mask: K,
    pub options: u32,
    pub list: u32,
}

impl<K: Key> Segments<K> {
    /// A key as a word, in whose order keys are sorted.
    #[inline(always)]
    fn word(&self, key: K) -> K {
        let key = if self.options & ENCODE != 0 { key.encode() } else { key };
        key ^ self.order_mask
    }

    /// The key of a word.
    #[inline(always)]
    fn key(&self, word: K) -> K {
        let key = word ^ self.order_mask;
        if self.options & ENCODE != 0 { key.encode() } else { key }
    }
}

/// The kernel of the classes: a thread a segment.
#[inline(always)]
pub unsafe fn segment_classes(arg: Classes) {
    let index = thread::block_idx_x() * thread::block_dim_x() + thread::thread_idx_x();
    let mut length = 0;
    if index < arg.count {
        let (begin, end) = bounds(arg.offsets, index);
        if begin <= end && end <= arg.n {
            length = (end - begin) as usize;
        } else {
            arg.control.store(WRONG, 1, Ordering::Relaxed, Scope::Device);
        }
    }
    let mut least = WARP_MOST;
    for list in 0..LISTS {
        let most = if list < BLOCKS { MOST[list] } else { usize::MAX };
        let listed = least < length && length <= most;
        let lanes = lanes::ballot(lanes::FULL, listed);
        if lanes != 0 {
            let mut begin = 0;
            if warp::lane_id() == 0 {
                let count = lanes.count_ones();
                begin =
                    arg.control.fetch_add(COUNTS + list, count, Ordering::Relaxed, Scope::Device);
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

/// The kernel that sorts in blocks of `THREADS` threads, each of which takes the
/// list's segments in turns with the others.
#[inline(always)]
pub unsafe fn segments_in_blocks<K: Key, const THREADS: usize, const ITEMS: usize>(
    arg: Segments<K>,
) {
    let count = match arg.control.get(WRONG) {
        0 => arg.control.get(COUNTS + arg.list as usize),
        _ => 0,
    };
    let list = list_begin(arg.list as usize, arg.n as usize);
    let mut at = thread::block_idx_x();
    while at < count {
        let (begin, end) = bounds(arg.offsets, arg.control.get(list + at as usize));
        let keys = arg.keys.offset(begin as usize);
        sort_block::<K, THREADS, ITEMS, false>(Block {
            input: keys,
            output: keys,
            input_values: arg.control,
            output_values: arg.control,
            n: end - begin,
            order_mask: arg.order_mask,
            // Unknown to the compiler, which would make four rounds of the block's loop.
            bits: Bits { begin: 0, end: hint::opaque(K::BITS) },
            options: arg.options | ALLOW_ATOMICS,
        });
        at += thread::grid_dim_x();
        // The next one's counters lie where this one's keys are compared.
        thread::sync_threads();
    }
}

/// Words of shared memory of a warp whose lanes have so many keys each: a word is left free after
/// each row of banks, or lanes whose segments are as long as a row or half of one would meet in a
/// bank.
const fn stage(per_lane: usize) -> usize {
    33 * per_lane
}

/// Bytes of shared memory of [`segments_in_warps`].
pub const fn shared_bytes<K: Key>(shape: Shape) -> usize {
    shape.threads / 32 * stage(shape.items) * size_of::<K>()
}

/// The kernel that sorts in warps: a thread for each segment, which its whole warp sorts, with
/// `KEYS` of its keys in a lane.
#[inline(always)]
pub unsafe fn segments_in_warps<K: Key, const THREADS: usize, const KEYS: usize>(arg: Segments<K>) {
    let index = thread::block_idx_x() * thread::block_dim_x() + thread::thread_idx_x();
    let (mut begin, mut length) = (0, 0);
    if arg.control.get(WRONG) == 0 {
        // Behind the last segment there are empty ones.
        begin = arg.offsets.get(index.min(arg.count) as usize);
        length = arg.offsets.get((index + 1).min(arg.count) as usize) - begin;
    }
    let warp = thread::thread_idx_x() as usize / 32;
    let all = dynamic_shared::<K>(0, THREADS / 32 * stage(KEYS));
    let turn = Turn::<K, KEYS> { arg, stage: all.offset(warp * stage(KEYS)), begin, length };
    let mut at = 0;
    while at < 32 {
        hint::keep_loop();
        at += turn.run(at);
    }
}

/// The segments that a warp sorts at once: neighbours, whose keys are one piece of the array.
#[derive(Clone, Copy)]
struct Turn<K, const KEYS: usize> {
    arg: Segments<K>,
    stage: Shared<K>,
    /// The lane's segment.
    begin: u32,
    length: u32,
}

impl<K: Key, const KEYS: usize> Turn<K, KEYS> {
    /// Sorts some segments from the one of lane `at` on. Returns how many it has seen to.
    #[inline(always)]
    unsafe fn run(&self, at: u32) -> u32 {
        // As few lanes for each segment as leave none of those idle that there are.
        let (mut lanes, mut count) = (1, self.fitting(at, 1));
        while lanes < WARP_MOST as u32 / KEYS as u32 && count < 32 / lanes {
            lanes *= 2;
            count = self.fitting(at, lanes);
        }
        count = count.min(32 / lanes).min(32 - at);
        if count == 0 {
            // It is too long for a warp.
            return 1;
        }
        let base = lanes::shuffle_idx(lanes::FULL, self.begin, at);
        let end = lanes::shuffle_idx(lanes::FULL, self.begin + self.length, at + count - 1);
        if end - base > 1 {
            self.load(base, end);
            self.sort(at, lanes, count, base);
            self.store(base, end);
        }
        count
    }

    /// Segments from that of lane `at` on of which none is too long for so many lanes.
    #[inline(always)]
    unsafe fn fitting(&self, at: u32, lanes: u32) -> u32 {
        let fit = lanes::ballot(lanes::FULL, self.length <= KEYS as u32 * lanes);
        // Behind the last lane there are none that are long.
        (!((!fit) >> at)).trailing_ones()
    }

    #[inline(always)]
    fn place(index: u32) -> usize {
        (index + index / 32) as usize
    }

    #[inline(always)]
    unsafe fn load(&self, base: u32, end: u32) {
        let lane = warp::lane_id();
        let keys = self.arg.keys.offset(base as usize);
        let mut loaded = [K::default(); KEYS];
        for i in 0..KEYS {
            let index = 32 * i as u32 + lane;
            if index < end - base {
                loaded[i] = keys.get(index as usize);
            }
        }
        for i in 0..KEYS {
            let index = 32 * i as u32 + lane;
            if index < end - base {
                self.stage.set(Self::place(index), self.arg.word(loaded[i]));
            }
        }
        warp::sync_warp(lanes::FULL);
    }

    #[inline(always)]
    unsafe fn store(&self, base: u32, end: u32) {
        warp::sync_warp(lanes::FULL);
        let lane = warp::lane_id();
        let keys = self.arg.keys.offset(base as usize);
        for i in 0..KEYS {
            let index = 32 * i as u32 + lane;
            if index < end - base {
                let word = self.stage.get(Self::place(index));
                keys.set(index as usize, self.arg.key(word));
            }
        }
        // The next turn's keys go where these were.
        warp::sync_warp(lanes::FULL);
    }

    /// Sorts what is staged, each segment by so many lanes. Where one has no more keys, words
    /// stand that end behind all others.
    #[inline(always)]
    unsafe fn sort(&self, at: u32, lanes: u32, count: u32, base: u32) {
        let lane = warp::lane_id();
        let of = lane / lanes;
        let source = at + if of < count { of } else { 0 };
        let begin = lanes::shuffle_idx(lanes::FULL, self.begin, source) - base;
        let length = lanes::shuffle_idx(lanes::FULL, self.length, source);
        let first = lane % lanes * KEYS as u32;
        let left = if of < count { length.saturating_sub(first) } else { 0 };
        let begin = begin + first;
        let mut words = [!K::default(); KEYS];
        for i in 0..KEYS as u32 {
            if i < left {
                words[i as usize] = self.stage.get(Self::place(begin + i));
            }
        }
        sort_lane(&mut words);
        let mut run = 2;
        while run <= lanes {
            merge_lanes(&mut words, run);
            run *= 2;
        }
        for i in 0..KEYS as u32 {
            if i < left {
                self.stage.set(Self::place(begin + i), words[i as usize]);
            }
        }
    }
}
