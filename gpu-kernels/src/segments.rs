//! Sorts each of many segments of an array by itself, where it lies.
//!
//! A segment is all keys between two neighbouring offsets, and may be empty. Three kernels, by
//! the segments' lengths, which only the device knows:
//!
//! - **Classes.** A thread a segment checks its offsets and puts a longer segment on the list of
//!   those that fit the same block. A warp appends all of its own at once. One wrong pair of
//!   offsets keeps the other kernels from writing anything.
//! - **In warps.** Up to [`WARP_MOST`] keys are sorted by a bitonic network (Batcher 1968) in the
//!   registers of one warp: a lane's keys stand 32 apart, so that steps over less than that are
//!   shuffles, and others exchange registers. A warp takes the segments of 32 threads: as many at
//!   once as its registers hold where none is longer than 64 keys, else one after the other.
//! - **In blocks.** A list's segments are handed to the blocks of a grid in turns, and each is
//!   sorted as in [`block`](crate::block).
//!
//! Longer segments are listed too, and left to the host. Each key is read and written once, and
//! the work of a network grows with the square of the logarithm of its width; that of a block is
//! a round for each byte of a key.

use crate::block::{Block, sort_block};
use crate::control::{ALLOW_ATOMICS, ENCODE};
use crate::key::{Bits, Key};
use crate::policy::segments::{BLOCKS, MOST, WARP_MOST};
use cuda_std::atomic::{Ordering, Scope};
use cuda_std::prelude::*;

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
        let lanes = warp::ballot(warp::FULL, listed);
        if lanes != 0 {
            let mut begin = 0;
            if warp::lane_id() == 0 {
                let count = lanes.count_ones();
                begin =
                    arg.control.fetch_add(COUNTS + list, count, Ordering::Relaxed, Scope::Device);
            }
            let slot = warp::shuffle_idx(warp::FULL, begin, 0)
                + (lanes & warp::lane_mask_lt()).count_ones();
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

/// The kernel that sorts in warps: a thread for each segment, which its whole warp sorts.
#[inline(always)]
pub unsafe fn segments_in_warps<K: Key>(arg: Segments<K>) {
    let index = thread::block_idx_x() * thread::block_dim_x() + thread::thread_idx_x();
    let (mut begin, mut length) = (0, 0);
    if index < arg.count && arg.control.get(WRONG) == 0 {
        let (first, end) = bounds(arg.offsets, index);
        if end - first <= WARP_MOST as u32 {
            (begin, length) = (first, end - first);
        }
    }
    let most = warp::reduce_max(warp::FULL, length);
    if most <= 16 {
        several::<K, 16>(arg, begin, length);
    } else if most <= 32 {
        several::<K, 32>(arg, begin, length);
    } else if most <= 64 {
        several::<K, 64>(arg, begin, length);
    } else {
        one_by_one(arg, begin, length);
    }
}

/// Words of a lane while a warp sorts several segments at once.
const SEVERAL: usize = 4;

/// Sorts the segments that the lanes have, of up to `WIDTH` keys, as many at once as a warp has
/// words for: it waits for the keys of all together.
#[inline(always)]
unsafe fn several<K: Key, const WIDTH: u32>(arg: Segments<K>, begin: u32, length: u32) {
    let at_once = 32 * SEVERAL as u32 / WIDTH;
    let lane = warp::lane_id();
    let mut turn = 0;
    while turn < 32 {
        hint::keep_loop();
        // Of each word its key's place, and keys there are from it on.
        let (mut places, mut left) = ([0; SEVERAL], [0; SEVERAL]);
        for i in 0..SEVERAL {
            let word = 32 * i as u32 + lane;
            let of = turn + word / WIDTH;
            places[i] = warp::shuffle_idx(warp::FULL, begin, of) + word % WIDTH;
            left[i] = warp::shuffle_idx(warp::FULL, length, of).saturating_sub(word % WIDTH);
        }
        let mut sorted = [!K::default(); SEVERAL];
        for i in 0..SEVERAL {
            if left[i] > 0 {
                sorted[i] = arg.word(arg.keys.get(places[i] as usize));
            }
        }
        sort_lanes::<K, SEVERAL, WIDTH>(&mut sorted);
        for i in 0..SEVERAL {
            if left[i] > 0 {
                arg.keys.set(places[i] as usize, arg.key(sorted[i]));
            }
        }
        turn += at_once;
    }
}

/// Sorts the segments that the lanes have, one after the other.
#[inline(always)]
unsafe fn one_by_one<K: Key>(arg: Segments<K>, begin: u32, length: u32) {
    let mut turn = 0;
    while turn < 32 {
        hint::keep_loop();
        let begin = warp::shuffle_idx(warp::FULL, begin, turn);
        let length = warp::shuffle_idx(warp::FULL, length, turn);
        let keys = arg.keys.offset(begin as usize);
        // Of one key, and of none, there is nothing to sort.
        match length {
            0 | 1 => {}
            2..=32 => in_a_warp::<K, 1, 32>(arg, keys, length),
            33..=64 => in_a_warp::<K, 2, 64>(arg, keys, length),
            65..=128 => in_a_warp::<K, 4, 128>(arg, keys, length),
            _ => in_a_warp::<K, 8, 256>(arg, keys, length),
        }
        turn += 1;
    }
}

/// Sorts one segment, of which a lane has every 32nd key. Where there are no more keys, words
/// stand that end behind all others.
#[inline(always)]
unsafe fn in_a_warp<K: Key, const ITEMS: usize, const WIDTH: u32>(
    arg: Segments<K>,
    keys: Global<K>,
    length: u32,
) {
    let lane = warp::lane_id();
    let mut sorted = [!K::default(); ITEMS];
    for i in 0..ITEMS {
        let index = lane + 32 * i as u32;
        if index < length {
            sorted[i] = arg.word(keys.get(index as usize));
        }
    }
    sort_lanes::<K, ITEMS, WIDTH>(&mut sorted);
    for i in 0..ITEMS {
        let index = lane + 32 * i as u32;
        if index < length {
            keys.set(index as usize, arg.key(sorted[i]));
        }
    }
}

/// Sorts runs of `WIDTH` words by a bitonic network. Word `32 * i + lane` is word `i` of a lane.
#[inline(always)]
fn sort_lanes<K: Key, const ITEMS: usize, const WIDTH: u32>(words: &mut [K; ITEMS]) {
    merge_lanes::<K, ITEMS, WIDTH, 2>(words);
    merge_lanes::<K, ITEMS, WIDTH, 4>(words);
    merge_lanes::<K, ITEMS, WIDTH, 8>(words);
    merge_lanes::<K, ITEMS, WIDTH, 16>(words);
    merge_lanes::<K, ITEMS, WIDTH, 32>(words);
    merge_lanes::<K, ITEMS, WIDTH, 64>(words);
    merge_lanes::<K, ITEMS, WIDTH, 128>(words);
    merge_lanes::<K, ITEMS, WIDTH, 256>(words);
}

/// Sorts bitonic runs of `RUN` words, every second one to descend, unless it is the last merge.
#[inline(always)]
fn merge_lanes<K: Key, const ITEMS: usize, const WIDTH: u32, const RUN: u32>(
    words: &mut [K; ITEMS],
) {
    if RUN > WIDTH {
        return;
    }
    let lane = warp::lane_id();
    let mut distance = RUN / 2;
    while distance > 0 {
        for i in 0..ITEMS {
            let index = 32 * i as u32 + lane;
            let ascends = RUN == WIDTH || index & RUN == 0;
            if distance < 32 {
                let other = shuffle_xor(words[i], distance);
                let keeps_less = ascends == (lane & distance == 0);
                words[i] = if (other < words[i]) == keeps_less { other } else { words[i] };
            } else {
                let j = i ^ (distance / 32) as usize;
                if i < j && (words[j] < words[i]) == ascends {
                    (words[i], words[j]) = (words[j], words[i]);
                }
            }
        }
        distance /= 2;
    }
}

/// The word of the lane whose number differs by `lane_mask`.
#[inline(always)]
fn shuffle_xor<K: Key>(word: K, lane_mask: u32) -> K {
    let word = word.to_u64();
    let low = warp::shuffle_xor(warp::FULL, word as u32, lane_mask) as u64;
    if size_of::<K>() <= 4 {
        return K::from_u64(low);
    }
    let high = warp::shuffle_xor(warp::FULL, (word >> 32) as u32, lane_mask) as u64;
    K::from_u64(high << 32 | low)
}
