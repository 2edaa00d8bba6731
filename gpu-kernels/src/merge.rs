//! Merges two sorted runs into one, along merge path.
//!
//! Draw run `a` along one side of a rectangle and run `b` along the other. The merge is a path
//! between two corners that takes the smaller head at each step. It crosses the diagonal
//! `i + j = d` at one point, which a search finds without following the path (Odeh, Green, Mwassi,
//! Shmueli, Birk 2012; Green, McColl, Bader 2012). So the output is split into equal tiles. A
//! block finds both ends of its tile by two searches in device memory and loads exactly its keys;
//! its threads split the tile in the same way.
//!
//! Each step of a search waits for device memory. So one warp makes both searches, with half of
//! its lanes each, and each step looks at 16 points: 7 steps among 2^28 keys, where halving takes
//! 28.
//!
//! The merge is stable: among equal keys, those of `a` come first. Each key is read and written
//! once. Values of 4 bytes are fetched after the tile's keys are merged.
//!
//! Floating-point numbers are compared by their [encoding](crate::key): searches encode the keys
//! that they compare, and a tile is encoded when loaded and decoded when stored. A mask holds the
//! bits to complement, none for other keys. So these loops have no branch for which a compiler
//! would copy them together with the barriers around them.

use crate::key::Key;
use crate::layout::{Builder, Part};
use crate::policy::{self, Shape};
use cuda_std::{ext::*, prelude::*};

#[derive(Clone, Copy)]
pub struct Merge<K> {
    /// The first run: `a_len` keys in order.
    pub a: Global<K>,
    pub a_len: u32,
    pub b: Global<K>,
    pub b_len: u32,
    /// `a_len + b_len` keys, apart from both runs.
    pub output: Global<K>,
    /// The first key of the output to write, and the end of those to write. No more than the
    /// first `end` keys of either run are read: the others need not be there yet.
    pub first: u32,
    pub end: u32,
    /// Values of the keys, read and written by kernels of pairs only.
    pub a_values: Global<u32>,
    pub b_values: Global<u32>,
    pub output_values: Global<u32>,
    pub order_mask: K,
    /// Bits that are complemented in keys whose highest one is set: all others of floating-point
    /// numbers, and none of other keys.
    pub magnitude: K,
}

impl<K: Key> Merge<K> {
    /// A key of either run made to ascend in the order of unsigned words; and back.
    #[inline(always)]
    fn encode(&self, key: K) -> K {
        key ^ (key.sign() & self.magnitude)
    }
}

/// The shape for keys of this type: a tile has about as many bytes of each.
pub const fn shape<K: Key>() -> Shape {
    Shape { items: (policy::MERGE.items * size_of::<u32>() / size_of::<K>()) | 1, ..policy::MERGE }
}

pub const fn shared_bytes<K: Key>(shape: Shape, paired: bool) -> usize {
    Layout::<K>::of(shape.tile(), paired).bytes
}

/// The tile, where it begins and ends in the first run, and with values the slot of each merged
/// key before the merge.
struct Layout<K> {
    keys: Part<K>,
    bounds: Part<u32>,
    slots: Part<u16>,
    bytes: usize,
}

impl<K: Key> Layout<K> {
    const fn of(tile: usize, paired: bool) -> Self {
        let mut all = Builder::new();
        Layout {
            keys: all.part(tile),
            bounds: all.part(2),
            slots: all.part(if paired { tile } else { 0 }),
            bytes: all.bytes(),
        }
    }
}

/// The kernel: `ceil((end - first) / (THREADS * ITEMS))` blocks of `THREADS`, with values if
/// `PAIRED`.
#[inline(always)]
pub unsafe fn merge<K: Key, const THREADS: usize, const ITEMS: usize, const PAIRED: bool>(
    arg: Merge<K>,
) {
    let t = thread::thread_idx_x();
    let size = (THREADS * ITEMS) as u32;
    let begin = arg.first + thread::block_idx_x() * size;
    let valid = (arg.end - begin).min(size);
    let layout = const { Layout::<K>::of(THREADS * ITEMS, PAIRED) };
    let (keys, bounds, slots) =
        (layout.keys.shared(), layout.bounds.shared(), layout.slots.shared());

    if t < 32 {
        let end = t / HALF;
        let from_a = split_by_half_warp(&arg, begin + end * valid);
        if t == end * HALF {
            bounds.set(end as usize, from_a);
        }
    }
    thread::sync_threads();
    let (a_begin, a_end) = (bounds.get(0), bounds.get(1));
    let b_begin = begin - a_begin;
    let from_a = a_end - a_begin;
    let from_b = valid - from_a;

    for i in 0..ITEMS {
        let slot = t + (i * THREADS) as u32;
        if slot < from_a {
            let key = arg.a.get((a_begin + slot) as usize);
            keys.set(slot as usize, arg.encode(key));
        } else if slot < valid {
            let key = arg.b.get((b_begin + slot - from_a) as usize);
            keys.set(slot as usize, arg.encode(key));
        }
    }
    thread::sync_threads();

    let mine = merge_items::<K, ITEMS>(keys, from_a, from_b, arg.order_mask);
    thread::sync_threads();
    for i in 0..ITEMS {
        let slot = t * ITEMS as u32 + i as u32;
        if slot < valid {
            let (key, source) = mine[i];
            keys.set(slot as usize, key);
            if PAIRED {
                slots.set(slot as usize, source as u16);
            }
        }
    }
    thread::sync_threads();
    let output = arg.output.offset(begin as usize);
    for i in 0..ITEMS {
        let slot = t + (i * THREADS) as u32;
        if slot < valid {
            output.set(slot as usize, arg.encode(keys.get(slot as usize)));
            if PAIRED {
                let source = slots.get(slot as usize) as u32;
                let value = if source < from_a {
                    arg.a_values.get((a_begin + source) as usize)
                } else {
                    arg.b_values.get((b_begin + source - from_a) as usize)
                };
                arg.output_values.set((begin + slot) as usize, value);
            }
        }
    }
}

/// This thread's `ITEMS` keys of the tile's merge, one step of the path a key, each with the slot
/// that it had before.
#[inline(always)]
unsafe fn merge_items<K: Key, const ITEMS: usize>(
    keys: Shared<K>,
    from_a: u32,
    from_b: u32,
    order_mask: K,
) -> [(K, u32); ITEMS] {
    let diagonal = (thread::thread_idx_x() * ITEMS as u32).min(from_a + from_b);
    let less = |i: u32, j: u32| {
        in_order(keys.get((from_a + j) as usize), keys.get(i as usize), order_mask)
    };
    let mut i = split(diagonal, from_a, from_b, less);
    let mut j = diagonal - i;
    let mut mine = [(K::default(), 0); ITEMS];
    for item in 0..ITEMS {
        let takes_b = i >= from_a || (j < from_b && less(i, j));
        let slot = if takes_b { from_a + j } else { i };
        if i < from_a || j < from_b {
            mine[item] = (keys.get(slot as usize), slot);
        }
        if takes_b {
            j += 1;
        } else {
            i += 1;
        }
    }
    mine
}

/// Lanes that search for one end of a tile.
const HALF: u32 = 16;

/// [`split`] of the two runs in device memory, by the half of a warp that this lane is in. A step
/// cuts the range of the split into `HALF + 1` parts. All lanes of the warp call.
#[inline(always)]
unsafe fn split_by_half_warp<K: Key>(arg: &Merge<K>, diagonal: u32) -> u32 {
    let lane = warp::lane_id();
    let mut low = diagonal.saturating_sub(arg.b_len);
    let mut high = diagonal.min(arg.a_len);
    // No range is longer, of either half: both make as many steps.
    let mut span = arg.a_len.min(arg.b_len).min(arg.end);
    while span > 0 {
        let stride = span / (HALF + 1) + 1;
        let point = (lane % HALF + 1) * stride - 1;
        let is_below = point < high - low && {
            let i = low + point;
            let (a, b) = (arg.a.get(i as usize), arg.b.get((diagonal - 1 - i) as usize));
            !in_order(arg.encode(b), arg.encode(a), arg.order_mask)
        };
        let below = lanes::ballot(lanes::FULL, is_below) >> (lane / HALF * HALF) & 0xFFFF;
        low += below.count_ones() * stride;
        high = low + (high - low).min(stride - 1);
        span = stride - 1;
    }
    low
}

#[inline(always)]
fn in_order<K: Key>(x: K, y: K, order_mask: K) -> bool {
    x ^ order_mask < y ^ order_mask
}

/// How many of the first `diagonal` merged keys come from a run of `a_len`; `less(i, j)` says
/// whether `b[j]` comes strictly before `a[i]`.
#[inline(always)]
fn split(diagonal: u32, a_len: u32, b_len: u32, less: impl Fn(u32, u32) -> bool) -> u32 {
    let mut low = diagonal.saturating_sub(b_len);
    let mut high = diagonal.min(a_len);
    while low < high {
        let middle = low + (high - low) / 2;
        if less(middle, diagonal - 1 - middle) {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    low
}
