//! Merges two sorted runs into one, along merge path.
//!
//! Draw run `a` along one side of a rectangle and run `b` along the other: the merge is a path
//! from corner to corner that takes the smaller head each step, and the diagonal `i + j = d`
//! crosses it at one point, which a binary search finds without walking there (Odeh, Green,
//! Mwassi, Shmueli, Birk 2012; Green, McColl, Bader 2012). So the output is split into equal
//! tiles, a block finds where its tile begins and ends by two searches in device memory, loads
//! exactly what it needs, and its threads split the tile again in shared memory.
//!
//! Equal keys are taken from `a` first: the merge is stable. One read and one write a key, plus
//! two searches of `log2(n)` steps a tile.
//!
//! Floating-point numbers are compared by their [encoding](crate::key): the searches encode what
//! they compare, and a tile is encoded as it is loaded and decoded as it is stored. Which bits
//! that complements is a mask, none for other keys, and so without a branch: these loops stand
//! between barriers, which a compiler that splits them in two would copy along.

use crate::key::Key;
use crate::layout::{Builder, Part};
use crate::policy::{self, Shape};
use cuda_std::prelude::*;

#[derive(Clone, Copy)]
pub struct Merge<K> {
    /// The first run: `a_len` keys in order.
    pub a: Global<K>,
    pub a_len: u32,
    pub b: Global<K>,
    pub b_len: u32,
    /// `a_len + b_len` keys, apart from both runs.
    pub output: Global<K>,
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

pub const fn shared_bytes<K: Key>(shape: Shape) -> usize {
    Layout::<K>::of(shape.tile()).bytes
}

/// The tile, and where it begins and ends in the first run.
struct Layout<K> {
    keys: Part<K>,
    bounds: Part<u32>,
    bytes: usize,
}

impl<K: Key> Layout<K> {
    const fn of(tile: usize) -> Self {
        let mut all = Builder::new();
        Layout { keys: all.part(tile), bounds: all.part(2), bytes: all.bytes() }
    }
}

/// The kernel: `ceil((a_len + b_len) / (THREADS * ITEMS))` blocks of `THREADS`.
#[inline(always)]
pub unsafe fn merge<K: Key, const THREADS: usize, const ITEMS: usize>(arg: Merge<K>) {
    let t = thread::thread_idx_x();
    let size = (THREADS * ITEMS) as u32;
    let begin = thread::block_idx_x() * size;
    let valid = (arg.a_len + arg.b_len - begin).min(size);
    let layout = const { Layout::<K>::of(THREADS * ITEMS) };
    let (keys, bounds) = (layout.keys.shared(), layout.bounds.shared());

    // Two lanes of one warp search for the two ends of the tile.
    if t < 2 {
        let diagonal = begin + t * valid;
        let less = |i: u32, j: u32| {
            let (a, b) = (arg.a.get(i as usize), arg.b.get(j as usize));
            in_order(arg.encode(b), arg.encode(a), arg.order_mask)
        };
        bounds.set(t as usize, split(diagonal, arg.a_len, arg.b_len, less));
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
            keys.set(slot as usize, mine[i]);
        }
    }
    thread::sync_threads();
    let output = arg.output.offset(begin as usize);
    for i in 0..ITEMS {
        let slot = t + (i * THREADS) as u32;
        if slot < valid {
            output.set(slot as usize, arg.encode(keys.get(slot as usize)));
        }
    }
}

/// This thread's `ITEMS` keys of the tile's merge, one step of the path a key.
#[inline(always)]
unsafe fn merge_items<K: Key, const ITEMS: usize>(
    keys: Shared<K>,
    from_a: u32,
    from_b: u32,
    order_mask: K,
) -> [K; ITEMS] {
    let diagonal = (thread::thread_idx_x() * ITEMS as u32).min(from_a + from_b);
    let less = |i: u32, j: u32| {
        in_order(keys.get((from_a + j) as usize), keys.get(i as usize), order_mask)
    };
    let mut i = split(diagonal, from_a, from_b, less);
    let mut j = diagonal - i;
    let mut mine = [K::default(); ITEMS];
    for item in 0..ITEMS {
        let takes_b = i >= from_a || (j < from_b && less(i, j));
        let slot = if takes_b { from_a + j } else { i };
        if i < from_a || j < from_b {
            mine[item] = keys.get(slot as usize);
        }
        if takes_b {
            j += 1;
        } else {
            i += 1;
        }
    }
    mine
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
