//! One pass of keys alone by their top bits, more bits than a digit has. It is not stable.
//!
//! Afterwards [`local_bins`](crate::local_bins) sorts each bucket, all keys with the same top
//! bits. So keys need no order within a bucket, nor within the part of a bucket in a tile. A block
//! counts its tile in one table by atomics. Then it *claims* the places of its keys, by one
//! addition to the device's counter of each bucket, so no tile waits for another. A counter begins
//! where its bucket does, and ends where the next one begins. The tile is sorted by bucket in
//! shared memory, where atomics that return give each key a slot, and is stored in runs. Any order
//! of claims and slots is right, because no two keys share a slot.
//!
//! Tiles are large, because more buckets mean shorter runs. If a warp's first row is
//! [contended](crate::rank), lanes with keys of one bucket are found first, and one of them adds
//! for all.
//!
//! If top bits were [counted alone](crate::top_counts) for nothing, the launch is the histogram.

use crate::control;
use crate::histogram::{Histogram, histogram};
use crate::key::{Bits, Key};
use crate::layout::{Builder, Part};
use crate::policy::Shape;
use crate::rank::is_contended;
use crate::scan;
use crate::top_counts;
use cuda_std::{ext::*, prelude::*};

#[derive(Clone, Copy)]
pub struct TopPass<K> {
    pub input: Global<K>,
    pub output: Global<K>,
    pub control: Global<u32>,
    pub n: u32,
    pub order_mask: K,
    pub options: u32,
    pub top_bits: u32,
}

impl<K: Key> TopPass<K> {
    /// The histogram where top bits were counted alone, which has cleared the table.
    #[inline(always)]
    fn again(&self) -> Histogram<K> {
        Histogram {
            input: self.input,
            control: self.control,
            n: self.n as u64,
            tiles: 0,
            order_mask: self.order_mask,
            bits: Bits { begin: 0, end: K::BITS },
            options: self.options | control::ONLY_AGAIN,
            held: 0,
            top_bits: 0,
        }
    }
}

/// Most bits that buckets have in common.
pub const BITS_MAX: u32 = 11;

/// Rows that a warp which does not hold its keys takes at once.
const ROWS: usize = 4;

/// Bytes of shared memory of [`top_pass`].
pub const fn shared_bytes<K: Key>(shape: Shape) -> usize {
    Layout::<K>::of(shape.threads, shape.items).bytes
}

struct Layout<K> {
    keys: Part<K>,
    /// How many keys each bucket has in the tile, and then where its next one goes.
    counts: Part<u32>,
    /// The way from a key's slot to its place in the output.
    ways: Part<u32>,
    sums: Part<u32>,
    /// Bits of a key below its top ones.
    shift: Part<u32>,
    bytes: usize,
}

impl<K: Key> Layout<K> {
    const fn of(threads: usize, items: usize) -> Self {
        let mut all = Builder::new();
        let keys = all.part(threads * items);
        let buckets = most_buckets(threads);
        let (counts, ways) = (all.part(buckets), all.part(buckets));
        let (sums, shift) = (all.part(32), all.part(1));
        Layout { keys, counts, ways, sums, shift, bytes: all.bytes() }
    }
}

/// Most buckets of a block of so many threads, which have two each at the most.
pub const fn most_buckets(threads: usize) -> usize {
    if 2 * threads < 1 << BITS_MAX { 2 * threads } else { 1 << BITS_MAX }
}

/// The kernel: a block of `THREADS` threads for each tile of `THREADS * ITEMS` keys, which has room
/// for `COPIES` of a histogram's bins.
#[inline(always)]
pub unsafe fn top_pass<K: Key, const THREADS: usize, const ITEMS: usize, const COPIES: usize>(
    arg: TopPass<K>,
) {
    let tile = TopTile::<K, THREADS, ITEMS> { arg };
    let counts = TopTile::<K, THREADS, ITEMS>::LAYOUT.counts.shared();
    let mut word = thread::thread_idx_x() as usize;
    while word < most_buckets(THREADS) {
        counts.set(word, 0);
        word += THREADS;
    }
    if thread::thread_idx_x() == 0 {
        TopTile::<K, THREADS, ITEMS>::LAYOUT.shift.shared().set(0, K::BITS - arg.top_bits);
    }
    sync_predecessor();
    // Now, and not before: those that follow may read the plan at once.
    trigger_dependents();
    if arg.control.get(control::LOCALLY) == 0 {
        if top_counts::samples::<K>() {
            histogram::<K, COPIES>(arg.again());
        }
        return;
    }
    thread::sync_threads();
    // A warp of a whole tile holds its keys, unless they are contended.
    let holds = tile.holds();
    let mut keys = [K::default(); ITEMS];
    if holds {
        keys = tile.load();
        tile.count(&keys);
    } else {
        tile.by_rows(|_, _| ());
    }
    thread::sync_threads();
    tile.claim();
    if holds {
        tile.scatter(&keys);
    } else {
        let sorted = TopTile::<K, THREADS, ITEMS>::LAYOUT.keys.shared();
        tile.by_rows(|slot, key| sorted.set(slot as usize, key));
    }
    thread::sync_threads();
    tile.store();
}

#[derive(Clone, Copy)]
struct TopTile<K, const THREADS: usize, const ITEMS: usize> {
    arg: TopPass<K>,
}

impl<K: Key, const THREADS: usize, const ITEMS: usize> TopTile<K, THREADS, ITEMS> {
    const SIZE: u32 = (THREADS * ITEMS) as u32;
    const LAYOUT: Layout<K> = {
        assert!(ITEMS.is_multiple_of(ROWS));
        Layout::of(THREADS, ITEMS)
    };

    /// Keys of this tile that exist.
    #[inline(always)]
    fn valid(&self) -> u32 {
        (self.arg.n - Self::begin()).min(Self::SIZE)
    }

    /// Index of this tile's first key. The last tile comes first: the second-level cache may still
    /// have its keys, because the counts read them last.
    #[inline(always)]
    fn begin() -> u32 {
        (thread::grid_dim_x() - 1 - thread::block_idx_x()) * Self::SIZE
    }

    /// The bucket of a key. By way of shared memory, or the compiler keeps buckets over barriers,
    /// in registers that the keys need.
    #[inline(always)]
    unsafe fn bucket(&self) -> impl Fn(K) -> usize + Copy + use<K, THREADS, ITEMS> {
        let (shift, mask) = (Self::LAYOUT.shift.shared().get(0), self.arg.order_mask);
        move |key: K| ((key ^ mask) >> shift).to_u64() as usize
    }

    /// Key number `i` of the tile.
    #[inline(always)]
    unsafe fn key(&self, i: u32) -> K {
        let key = self.arg.input.get_streamed((Self::begin() + i) as usize);
        if self.arg.options & control::ENCODE != 0 { key.encode() } else { key }
    }

    /// Every `THREADS`th key of a whole tile from this thread's first one on.
    #[inline(always)]
    unsafe fn load(&self) -> [K; ITEMS] {
        let source = self.arg.input.offset((Self::begin() + thread::thread_idx_x()) as usize);
        let mut keys = [K::default(); ITEMS];
        for i in 0..ITEMS {
            keys[i] = source.get_streamed(i * THREADS);
        }
        if self.arg.options & control::ENCODE != 0 { keys.map(K::encode) } else { keys }
    }

    /// Returns true, in all lanes, if a warp of a whole tile has a first row without contention.
    #[inline(always)]
    unsafe fn holds(&self) -> bool {
        let thread = thread::thread_idx_x();
        let bucket = self.bucket();
        let has = thread < self.valid();
        let first = if has { bucket(self.key(thread)) as u32 } else { !thread };
        !is_contended(first) && self.valid() == Self::SIZE
    }

    /// Counts the keys that a warp holds.
    #[inline(always)]
    unsafe fn count(&self, keys: &[K; ITEMS]) {
        let (bucket, counts) = (self.bucket(), Self::LAYOUT.counts.shared());
        for i in 0..ITEMS {
            counts.add(bucket(keys[i]), 1);
        }
    }

    /// Puts the keys that a warp holds in order by bucket in shared memory: each takes the next
    /// slot of its bucket.
    #[inline(always)]
    unsafe fn scatter(&self, keys: &[K; ITEMS]) {
        let (bucket, slots) = (self.bucket(), Self::LAYOUT.counts.shared());
        let sorted = Self::LAYOUT.keys.shared();
        for i in 0..ITEMS {
            let slot = slots.fetch_add(bucket(keys[i]), 1);
            sorted.set(slot as usize, keys[i]);
        }
    }

    /// Adds the keys of a warp that does not hold them to their buckets, row by row, one lane for
    /// all of its bucket. Tells `take` what the bucket had before each, and the key.
    #[inline(always)]
    unsafe fn by_rows(&self, take: impl Fn(u32, K)) {
        let (bucket, valid) = (self.bucket(), self.valid());
        let counts = Self::LAYOUT.counts.shared();
        let mut first = 0;
        while first < ITEMS {
            hint::keep_loop();
            let place = |i: usize| thread::thread_idx_x() + ((first + i) * THREADS) as u32;
            let mut keys = [K::default(); ROWS];
            for i in 0..ROWS {
                if place(i) < valid {
                    keys[i] = self.key(place(i));
                }
            }
            for i in 0..ROWS {
                let has = place(i) < valid;
                // Lanes without a key have buckets of their own here.
                let own = if has { bucket(keys[i]) as u32 } else { !place(i) };
                let same = lanes::match_any(lanes::FULL, own);
                let rank = (same & lanes::lane_mask_lt()).count_ones();
                let mut before = 0;
                if has && rank == 0 {
                    before = counts.fetch_add(own as usize, same.count_ones());
                }
                let leader = 31 - (same & same.wrapping_neg()).leading_zeros();
                let before = lanes::shuffle_idx(lanes::FULL, before, leader);
                if has {
                    take(before + rank, keys[i]);
                }
            }
            first += ROWS;
        }
    }

    /// Claims places for the keys of each bucket, and finds where these begin in the tile. It has
    /// a barrier, and ends in one.
    #[inline(always)]
    unsafe fn claim(&self) {
        let thread = thread::thread_idx_x();
        let (counts, ways) = (Self::LAYOUT.counts.shared(), Self::LAYOUT.ways.shared());
        let (scans, pair) = (thread < 1 << (self.arg.top_bits - 1), 2 * thread as usize);
        let (mut count, mut claimed) = ([0; 2], [0; 2]);
        if scans {
            let claims = self.arg.control.offset(control::claims(K::DIGITS));
            for i in 0..2 {
                count[i] = counts.get(pair + i);
                if count[i] > 0 {
                    let (order, scope) = (Ordering::Relaxed, Scope::Device);
                    claimed[i] = claims.fetch_add(pair + i, count[i], order, scope);
                }
            }
        }
        let sum = count[0] + count[1];
        let inclusive = scan::warp_inclusive(sum, thread % 32);
        let sums = Self::LAYOUT.sums.shared();
        if thread % 32 == 31 {
            sums.set(thread as usize / 32, inclusive);
        }
        thread::sync_threads();
        let first = scan::sum_of_earlier(sums, thread / 32, THREADS / 32) + inclusive - sum;
        if scans {
            let begins = [first, first + count[0]];
            for i in 0..2 {
                counts.set(pair + i, begins[i]);
                ways.set(pair + i, claimed[i].wrapping_sub(begins[i]));
            }
        }
        thread::sync_threads();
    }

    #[inline(always)]
    unsafe fn store(&self) {
        let (bucket, valid) = (self.bucket(), self.valid());
        let (sorted, ways) = (Self::LAYOUT.keys.shared(), Self::LAYOUT.ways.shared());
        for i in 0..ITEMS {
            let slot = thread::thread_idx_x() + (i * THREADS) as u32;
            if slot < valid {
                let key = sorted.get(slot as usize);
                let place = ways.get(bucket(key)).wrapping_add(slot);
                self.arg.output.set(place as usize, key);
            }
        }
    }
}
