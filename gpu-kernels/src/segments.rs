//! Sorts each of many segments of an array by itself, where it lies.
//!
//! A segment is all keys between two neighbouring offsets, and may be empty. Its length, which
//! only the device knows, decides how it is sorted:
//!
//! - **Classes.** A thread checks some segments' offsets and puts a longer segment on the list of
//!   those that fit the same block. A warp appends all of its own at once. One wrong pair of
//!   offsets keeps the other kernels from writing anything.
//! - **In warps.** Up to [`WARP_MOST`] keys are sorted by a bitonic [`network`](crate::network)
//!   in the registers of a warp. A lane has 16 neighbouring keys of 4 bytes, or 8 of 8; a
//!   segment of up to as many keys is a lane's, of up to twice as many two lanes', and so on. A
//!   warp takes as many neighbouring segments at once as it has lanes for, whose keys go through
//!   shared memory, so that it reads and writes the array in rows; by 16 bytes a lane where all
//!   of the segments fill their lanes.
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

use crate::control::ENCODE;
use crate::key::Key;
use crate::local_bins::Layout;
use crate::local_sort::{Bucket, LocalSort};
use crate::network::{merge_lanes, sort_lane};
use crate::places::Together;
use crate::policy::Shape;
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
/// Heads: a sort takes one that is clear, and clears another for the next sort. Those of a graph,
/// which may run between others, are apart.
pub const HEADS: usize = 4;

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
    pub keys: Global<K>,
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

impl<K: Key> Segments<K> {
    /// Keys as words, in whose order they are sorted.
    #[inline(always)]
    fn words<const KEYS: usize>(&self, keys: [K; KEYS]) -> [K; KEYS] {
        let codes = if self.options & ENCODE != 0 { keys.map(K::encode) } else { keys };
        codes.map(|code| code ^ self.order_mask)
    }

    /// The keys of words.
    #[inline(always)]
    fn keys<const KEYS: usize>(&self, words: [K; KEYS]) -> [K; KEYS] {
        let codes = words.map(|word| word ^ self.order_mask);
        if self.options & ENCODE != 0 { codes.map(K::encode) } else { codes }
    }
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
pub unsafe fn long_segments<K: Key, const THREADS: usize, const ITEMS: usize>(arg: Segments<K>) {
    let list = arg.list as usize;
    if await_lists(arg, list, list + 1) {
        sort_list::<K, THREADS, ITEMS>(arg, list);
    }
}

/// The kernel of the first lists, in any number of blocks of `THREADS` threads.
#[inline(always)]
pub unsafe fn short_segments<K: Key, const THREADS: usize>(arg: Segments<K>) {
    if await_lists(arg, 0, SHORT) {
        // The longest first, or a block might begin one when all others are done.
        sort_list::<K, THREADS, { SHORT_ITEMS[2] }>(arg, 2);
        sort_list::<K, THREADS, { SHORT_ITEMS[1] }>(arg, 1);
        sort_list::<K, THREADS, { SHORT_ITEMS[0] }>(arg, 0);
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
unsafe fn sort_list<K: Key, const THREADS: usize, const ITEMS: usize>(
    arg: Segments<K>,
    list: usize,
) {
    let count = match arg.head.get(WRONG) {
        0 => arg.head.get(COUNTS + list),
        _ => 0,
    };
    let list = arg.control.offset(list_begin(list, arg.n as usize));
    let claimed = const { Layout::<K>::of(THREADS, ITEMS).claimed }.shared();
    let sort = LocalSort {
        keys: arg.keys,
        output: arg.keys,
        values: arg.control,
        output_values: arg.control,
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
        Bucket::<K, K, 0, THREADS, ITEMS, false, Together>::bins().clear();
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
        Bucket::<K, K, 0, THREADS, ITEMS, false, Together>::new(sort, claimed, Together)
            .sort_by_bins();
        // The next segment's bins go where these are, and its claim.
        thread::sync_threads();
        if thread::thread_idx_x() == 0 {
            kept = claimed.get(3).saturating_sub(1);
        }
    }
}

/// Vectors of 16 bytes that a lane has of its keys.
const fn vectors<K: Key>(keys: usize) -> usize {
    keys * size_of::<K>() / 16
}

/// Bytes of shared memory of a warp whose lanes have so many keys each. A word is left free after
/// each row of banks, or lanes whose segments are as long as a row or half of one would meet in a
/// bank; and for the same reason a vector after eight.
const fn stage_bytes<K: Key>(per_lane: usize) -> usize {
    let (words, vectors) = (33 * per_lane * size_of::<K>(), 36 * vectors::<K>(per_lane) * 16);
    if words > vectors { words } else { vectors }
}

/// Bytes of shared memory of [`segments_in_warps`].
pub const fn shared_bytes<K: Key>(shape: Shape) -> usize {
    shape.threads / 32 * stage_bytes::<K>(shape.items)
}

/// The kernel that sorts in warps: a thread for each segment, which its whole warp sorts, with
/// `KEYS` of its keys in a lane. It reads segments while offsets are checked, and lets the next
/// launch begin when they are.
#[inline(always)]
pub unsafe fn segments_in_warps<K: Key, const THREADS: usize, const KEYS: usize>(arg: Segments<K>) {
    let index = thread::block_idx_x() * THREADS as u32 + thread::thread_idx_x();
    // Behind the last segment there are empty ones. All is read at once.
    let mut begin = get_early(arg.offsets, index.min(arg.count) as usize);
    let end = get_early(arg.offsets, (index + 1).min(arg.count) as usize);
    let mut length = end.wrapping_sub(begin);
    if lanes::any(lanes::FULL, begin > end || end > arg.n) {
        (begin, length) = (0, 0);
    }
    let stage = const { stage_bytes::<K>(KEYS) / 16 };
    let all = dynamic_shared::<u128>(0, THREADS / 32 * stage);
    let stage = all.offset(thread::thread_idx_x() as usize / 32 * stage);
    let turn = Turn::<K, KEYS> { arg, stage, begin, length };
    let mut at = 0;
    while at < 32 {
        hint::keep_loop();
        at += turn.run(at);
    }
    // The next launch waits for this one, and so for the one before.
    sync_predecessor();
    trigger_dependents();
    if index < HEAD as u32 {
        arg.next.set(index as usize, 0);
    }
}

/// The segments that a warp sorts at once: neighbours, whose keys are one piece of the array.
#[derive(Clone, Copy)]
struct Turn<K, const KEYS: usize> {
    arg: Segments<K>,
    stage: Shared<u128>,
    /// The lane's segment.
    begin: u32,
    length: u32,
}

/// A lane's keys of a piece: its first key in the piece, and how many it has.
#[derive(Clone, Copy)]
struct Part {
    begin: u32,
    count: u32,
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
            // So many are too long for a warp.
            let fit = lanes::ballot(lanes::FULL, self.length <= WARP_MOST as u32);
            return (fit >> at).trailing_zeros().min(32 - at);
        }
        let base = lanes::shuffle_idx(lanes::FULL, self.begin, at);
        let end = lanes::shuffle_idx(lanes::FULL, self.begin + self.length, at + count - 1);
        if end - base > 1 {
            self.sort(at, lanes, count, base, end);
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

    /// Sorts `count` segments, each by so many lanes. Where a lane has fewer keys, words stand
    /// that end behind all others.
    #[inline(always)]
    unsafe fn sort(&self, at: u32, lanes: u32, count: u32, base: u32, end: u32) {
        let part = self.part(at, lanes, count, base);
        let keys = self.arg.keys.offset(base as usize);
        let whole = end - base == 32 * KEYS as u32 && keys.address().is_multiple_of(16);
        let loaded =
            if whole { self.load_whole(keys.cast()) } else { self.load(keys, end - base, part) };
        let mut words = self.arg.words(loaded);
        for i in 0..KEYS {
            if i as u32 >= part.count {
                words[i] = !K::default();
            }
        }
        sort_lane(&mut words);
        let mut run = 2;
        while run <= lanes {
            merge_lanes(&mut words, run);
            run *= 2;
        }
        let sorted = self.arg.keys(words);
        sync_predecessor();
        trigger_dependents();
        let right = self.arg.head.get(WRONG) == 0;
        if right && whole {
            self.store_whole(keys.cast(), sorted);
        } else if right {
            self.store(keys, end - base, part, sorted);
        }
        // The next turn's keys go where these were.
        warp::sync_warp(lanes::FULL);
    }

    /// What this lane sorts.
    #[inline(always)]
    unsafe fn part(&self, at: u32, lanes: u32, count: u32, base: u32) -> Part {
        let lane = warp::lane_id();
        let of = lane / lanes;
        let source = at + if of < count { of } else { 0 };
        let begin = lanes::shuffle_idx(lanes::FULL, self.begin, source) - base;
        let length = lanes::shuffle_idx(lanes::FULL, self.length, source);
        let first = lane % lanes * KEYS as u32;
        let left = if of < count { length.saturating_sub(first) } else { 0 };
        Part { begin: begin + first, count: left.min(KEYS as u32) }
    }

    /// The slots of a lane's vectors: of row `j` at [`row_slot`](Self::row_slot), and its own
    /// from here on.
    #[inline(always)]
    fn own_slot() -> usize {
        let first = vectors::<K>(KEYS) * hint::opaque(warp::lane_id()) as usize;
        first + first / 8
    }

    #[inline(always)]
    fn row_slot(j: usize) -> usize {
        let lane = hint::opaque(warp::lane_id()) as usize;
        36 * j + lane + lane / 8
    }

    /// A lane's keys of a piece of `32 * KEYS`, which is read by vectors.
    #[inline(always)]
    unsafe fn load_whole(&self, piece: Global<u128>) -> [K; KEYS] {
        let mut rows = [0; KEYS];
        let count = vectors::<K>(KEYS);
        for j in 0..count {
            rows[j] = get_early(piece, 32 * j + warp::lane_id() as usize);
        }
        for j in 0..count {
            self.stage.set(Self::row_slot(j), rows[j]);
        }
        warp::sync_warp(lanes::FULL);
        let own = self.stage.offset(Self::own_slot());
        let mut keys = [K::default(); KEYS];
        for j in 0..count {
            let vector = own.get(j);
            for i in 0..KEYS / count {
                keys[KEYS / count * j + i] = K::from_u64((vector >> (K::BITS * i as u32)) as u64);
            }
        }
        keys
    }

    #[inline(always)]
    unsafe fn store_whole(&self, piece: Global<u128>, keys: [K; KEYS]) {
        let own = self.stage.offset(Self::own_slot());
        let count = vectors::<K>(KEYS);
        for j in 0..count {
            let mut vector = 0;
            for i in 0..KEYS / count {
                let key = keys[KEYS / count * j + i].to_u64() as u128;
                vector |= key << (K::BITS * i as u32);
            }
            own.set(j, vector);
        }
        warp::sync_warp(lanes::FULL);
        for j in 0..count {
            let row = self.stage.get(Self::row_slot(j));
            piece.set(32 * j + warp::lane_id() as usize, row);
        }
    }

    /// Where key `index` of a piece is staged.
    #[inline(always)]
    unsafe fn staged(&self, index: u32) -> Shared<K> {
        self.stage.cast::<K>().offset((index + index / 32) as usize)
    }

    /// A lane's keys of a piece of so many.
    #[inline(always)]
    unsafe fn load(&self, piece: Global<K>, count: u32, part: Part) -> [K; KEYS] {
        let lane = warp::lane_id();
        let (rows, stage) = (piece.offset(lane as usize), self.staged(lane));
        let mut loaded = [K::default(); KEYS];
        for i in 0..KEYS {
            if 32 * i as u32 + lane < count {
                loaded[i] = get_early(rows, 32 * i);
            }
        }
        for i in 0..KEYS {
            if 32 * i as u32 + lane < count {
                stage.set(33 * i, loaded[i]);
            }
        }
        warp::sync_warp(lanes::FULL);
        let mut keys = [K::default(); KEYS];
        for i in 0..KEYS as u32 {
            if i < part.count {
                keys[i as usize] = self.staged(part.begin + i).get(0);
            }
        }
        keys
    }

    #[inline(always)]
    unsafe fn store(&self, piece: Global<K>, count: u32, part: Part, keys: [K; KEYS]) {
        // Opaque, or all slots are kept since the keys were loaded.
        let begin = hint::opaque(part.begin);
        for i in 0..KEYS as u32 {
            if i < part.count {
                self.staged(begin + i).set(0, keys[i as usize]);
            }
        }
        warp::sync_warp(lanes::FULL);
        let lane = warp::lane_id();
        let (rows, stage) = (piece.offset(lane as usize), self.staged(lane));
        for i in 0..KEYS {
            if 32 * i as u32 + lane < count {
                rows.set(32 * i, stage.get(33 * i));
            }
        }
    }
}
