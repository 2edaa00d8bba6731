//! Counts every digit of every key in one read, and plans the passes.
//!
//! Each block counts in shared memory, in several copies of every bin. Copies are interleaved:
//! copy `c` of all bins is in the banks congruent to `c`, and a lane counts in its own copy. With
//! 32 copies, no two lanes of a warp use the same bank, whatever the keys, so the kernel runs at
//! the speed of the read. If whole keys are sorted, the compiler knows the digits, and only the
//! addresses of bins are computed.
//!
//! Then each block adds its sums to the bins in device memory. The last block to arrive has all
//! sums: it turns them into starts, makes the plan (see [`control`]), and leaves the bins zero for
//! the next sort. This saves a launch.
//!
//! A launch may give the number of keys that a block holds. If no top digit has more, the plan is
//! a pass by that digit alone, followed by a [local sort](crate::local_sort) of each.
//!
//! After a count of [buckets](crate::buckets) or of [top bits](crate::top_counts) alone, this kernel
//! runs only if that count was in vain.
//!
//! Meanwhile all blocks clear the look-back table.

use crate::control::{self, Ranking, Step};
use crate::grid::vectors;
use crate::key::{Bits, Key, RADIX};
use crate::ordered::Glance;
use crate::plan;
use crate::scan;
use cuda_std::{ext::*, prelude::*};

#[derive(Clone, Copy)]
pub struct Histogram<K> {
    /// `n` keys, aligned as a key is.
    pub input: Global<K>,
    pub control: Global<u32>,
    pub n: u64,
    /// Rows of the look-back table.
    pub tiles: u32,
    pub order_mask: K,
    pub bits: Bits,
    pub options: u32,
    /// Most keys with one top digit that a block sorts locally; 0 if none does.
    pub held: u32,
    /// Bits that are counted in place of the top digit: see [`top_counts`](crate::top_counts).
    pub top_bits: u32,
}

impl<K: Key> Histogram<K> {
    /// Returns true if keys are sorted by all their bits.
    #[inline(always)]
    fn whole(&self) -> bool {
        self.bits.begin == 0 && self.bits.end == K::BITS
    }

    /// A key of the input as the passes sort it.
    #[inline(always)]
    pub(crate) fn encoded(&self, key: K) -> K {
        if self.options & control::ENCODE != 0 { key.encode() } else { key }
    }

    #[inline(always)]
    fn digit_mask(&self, position: u32) -> u32 {
        let (shift, mask) = self.bits.digit(position);
        self.order_mask.digit(shift, mask, 0)
    }
}

/// The kernel. Blocks of any multiple of 256 threads, any number of blocks;
/// `DIGITS * 256 * COPIES` words of dynamic shared memory.
#[inline(always)]
pub unsafe fn histogram<K: Key, const COPIES: usize>(arg: Histogram<K>) {
    trigger_dependents();
    let only_again = arg.options & control::ONLY_AGAIN != 0;
    if only_again {
        sync_predecessor();
        if arg.control.get(control::AGAIN) == 0 {
            return;
        }
    }
    let bins = dynamic_shared::<u32>(0, K::DIGITS * RADIX * COPIES);
    let t = thread::thread_idx_x() as usize;
    let threads = thread::block_dim_x() as usize;

    let mut i = t;
    while i < K::DIGITS * RADIX * COPIES {
        bins.set(i, 0);
        i += threads;
    }
    clear_table::<K>(arg);
    thread::sync_threads();
    let column = bins.offset(warp::lane_id() as usize & (COPIES - 1));
    count_each(arg, Digits::<K, COPIES> { arg, whole: arg.whole(), column });
    thread::sync_threads();
    add_to_bins::<COPIES>(arg.control, bins, K::DIGITS * RADIX);
    if arrives_last(arg.control, bins) {
        make_plan::<K>(arg, bins, 0);
        if only_again && t == 0 {
            arg.control.set(control::AGAIN, 0);
        }
    }
}

#[inline(always)]
pub(crate) unsafe fn clear_table<K: Key>(arg: Histogram<K>) {
    let table = arg.control.offset(control::table(K::DIGITS));
    let step = thread::grid_dim_x() as usize * thread::block_dim_x() as usize;
    let mut i = thread::block_idx_x() as usize * thread::block_dim_x() as usize
        + thread::thread_idx_x() as usize;
    while i < arg.tiles as usize * RADIX {
        table.set(i, control::EMPTY);
        i += step;
    }
}

/// Counts a key in a block's bins.
pub(crate) trait Counter<K>: Copy {
    unsafe fn count(self, key: K);
}

/// Counts all digits, in this lane's copy of the bins.
#[derive(Clone, Copy)]
struct Digits<K, const COPIES: usize> {
    arg: Histogram<K>,
    whole: bool,
    column: Shared<u32>,
}

impl<K: Key, const COPIES: usize> Counter<K> for Digits<K, COPIES> {
    #[inline(always)]
    unsafe fn count(self, key: K) {
        count_key::<K, COPIES>(self.arg, self.whole, self.column, key);
    }
}

/// Counts this thread's keys: in 16-byte vectors, two in flight; the keys before the first
/// aligned one and after the last whole vector singly.
#[inline(always)]
pub(crate) unsafe fn count_each<K: Key>(arg: Histogram<K>, counter: impl Counter<K>) {
    let per_vector = 16 / size_of::<K>();
    let n = arg.n as usize;
    let (head, vectors) = vectors(arg.input, n);
    let body = arg.input.offset(head);

    let step = thread::grid_dim_x() as usize * thread::block_dim_x() as usize;
    let first = thread::block_idx_x() as usize * thread::block_dim_x() as usize
        + thread::thread_idx_x() as usize;
    let mut i = first;
    while i + step < vectors {
        let a = body.get_vector(i * per_vector);
        let b = body.get_vector((i + step) * per_vector);
        count_each_of(counter, a);
        count_each_of(counter, b);
        i += 2 * step;
    }
    if i < vectors {
        count_each_of(counter, body.get_vector(i * per_vector));
    }

    let tail = head + vectors * per_vector;
    if first < head {
        counter.count(arg.input.get(first));
    } else if first < head + n - tail {
        counter.count(arg.input.get(tail + first - head));
    }
}

#[inline(always)]
unsafe fn count_each_of<K: Key>(counter: impl Counter<K>, vector: u128) {
    for i in 0..16 / size_of::<K>() {
        counter.count(K::from_u128(vector >> (K::BITS * i as u32)));
    }
}

/// Counts all digits of a vector's keys.
#[inline(always)]
pub(crate) unsafe fn count_vector<K: Key, const COPIES: usize>(
    arg: Histogram<K>,
    whole: bool,
    column: Shared<u32>,
    vector: u128,
) {
    count_each_of(Digits::<K, COPIES> { arg, whole, column }, vector);
}

#[inline(always)]
pub(crate) unsafe fn count_key<K: Key, const COPIES: usize>(
    arg: Histogram<K>,
    whole: bool,
    column: Shared<u32>,
    key: K,
) {
    let key = arg.encoded(key);
    let count = |position: usize, digit: u32| {
        let bin = position * RADIX + digit as usize;
        column.add(bin * COPIES, 1);
    };
    if whole {
        for position in 0..K::DIGITS {
            count(position, key.digit(8 * position as u32, RADIX as u32 - 1, 0));
        }
    } else {
        let mut position = 0;
        while position < arg.bits.digits() {
            let (shift, mask) = arg.bits.digit(position);
            count(position as usize, key.digit(shift, mask, 0));
            position += 1;
        }
    }
}

/// Sums the copies of the first `count` bins, starting each lane at another bank, and adds the
/// sums to the device's bins.
#[inline(always)]
pub(crate) unsafe fn add_to_bins<const COPIES: usize>(
    control: Global<u32>,
    bins: Shared<u32>,
    count: usize,
) {
    let lane = warp::lane_id() as usize;
    let mut bin = thread::thread_idx_x() as usize;
    while bin < count {
        let mut sum = 0;
        for j in 0..COPIES {
            sum += bins.get(bin * COPIES + ((j + lane) & (COPIES - 1)));
        }
        if sum != 0 {
            let device_bins = control.offset(control::BINS).cast::<u64>();
            device_bins.fetch_add(bin, sum as u64, Ordering::Relaxed, Scope::Device);
        }
        bin += thread::block_dim_x() as usize;
    }
}

/// Returns true if this block is the last to have added to the bins. The barrier puts the block's
/// additions before the counter's release, which carries them along; the counter's acquire and
/// the second barrier hand them to the last block's threads.
#[inline(always)]
pub(crate) unsafe fn arrives_last(control: Global<u32>, shared: Shared<u32>) -> bool {
    thread::sync_threads();
    if thread::thread_idx_x() == 0 {
        let before = control.fetch_add(control::ARRIVALS, 1, Ordering::AcqRel, Scope::Device);
        shared.set(0, before);
    }
    thread::sync_threads();
    shared.get(0) == thread::grid_dim_x() - 1
}

/// The last block's part: starts from bins, the plan, and all as it was. Returns true if buckets of
/// top bits are sorted locally, of which the largest has so many keys.
#[inline(always)]
pub(crate) unsafe fn make_plan<K: Key>(
    arg: Histogram<K>,
    shared: Shared<u32>,
    most_by_top: u32,
) -> bool {
    let t = thread::thread_idx_x() as usize;
    let glance = Glance::of(arg.input, arg.n, arg.options);
    let locally = shared;
    let shared = shared.offset(2).cast::<u64>();
    // A word a warp of this block, then a word a warp's worth of bins.
    let warp_sums = shared;
    let largest = shared.offset(32);
    // As many words again.
    let used = largest.offset(K::DIGITS * RADIX / 32).cast::<u32>();
    let mut base = 0;
    while base < K::DIGITS * RADIX {
        plan_digits::<K>(arg, base, warp_sums, largest, used);
        base += thread::block_dim_x() as usize;
    }
    if t < K::DIGITS {
        // The first of a digit's words becomes the most of all, and the sum.
        let first = t * (RADIX / 32);
        largest.set(first, (0..RADIX / 32).fold(0, |most, j| most.max(largest.get(first + j))));
        used.set(first, (0..RADIX / 32).fold(0, |sum, j| sum + used.get(first + j)));
    }
    let ordered = glance.suggestion(arg.order_mask, arg.options);
    if t == 0 {
        let sorts_locally = write_steps::<K>(arg, largest, most_by_top, ordered != 0);
        locally.set(0, sorts_locally as u32);
        suggest::<K>(arg, used, sorts_locally, ordered);
        // Opaque, or its address is kept from the arrival on, in registers that there are not.
        let arrivals = hint::opaque(control::ARRIVALS as u32) as usize;
        arg.control.store(arrivals, 0, Ordering::Relaxed, Scope::Device);
    }
    if arg.top_bits == 0 {
        return false;
    }
    thread::sync_threads();
    locally.get(0) != 0
}

/// Scans as many digits as the block has threads for, from bin `base` on: a thread a bin, eight
/// warps a digit.
#[inline(always)]
unsafe fn plan_digits<K: Key>(
    arg: Histogram<K>,
    base: usize,
    warp_sums: Shared<u64>,
    largest: Shared<u64>,
    used: Shared<u32>,
) {
    let t = thread::thread_idx_x() as usize;
    let (lane, warp) = (t as u32 % 32, t / 32);
    let (position, digit) = ((base + t) / RADIX, t % RADIX);
    let in_range = position < arg.bits.digits() as usize;
    let bins = arg.control.offset(control::BINS).cast::<u64>();
    let starts = arg.control.offset(control::starts(K::DIGITS, 0)).cast::<u64>();

    let (mut bin, mut count) = (0, 0);
    if in_range {
        bin = position * RADIX + (digit ^ arg.digit_mask(position as u32) as usize);
        count = bins.load(bin, Ordering::Relaxed, Scope::Device);
    }
    let inclusive = scan::warp_inclusive_wide(count, lane);
    let most = scan::warp_most(count);
    let bins_used = lanes::ballot(lanes::FULL, count != 0).count_ones();
    thread::sync_threads();
    if lane == 31 {
        warp_sums.set(warp, inclusive);
        if in_range {
            largest.set((base + t) / 32, most);
            used.set((base + t) / 32, bins_used);
        }
    }
    thread::sync_threads();
    if in_range {
        let mut start = inclusive - count;
        for j in 0..RADIX / 32 {
            if j < warp % (RADIX / 32) {
                start += warp_sums.get(warp / 8 * 8 + j);
            }
        }
        starts.set(position * RADIX + digit, start);
        bins.store(bin, 0, Ordering::Relaxed, Scope::Device);
    }
}

/// Suggests the [shortcut](crate::shortcut) of keys that are `ordered`, and that of few distinct
/// ones where every digit uses few bins. By one thread.
#[inline(always)]
unsafe fn suggest<K: Key>(arg: Histogram<K>, used: Shared<u32>, sorts_locally: bool, ordered: u32) {
    let bins = |position: usize| used.get(position * (RADIX / 32));
    let few = (0..K::DIGITS).all(|position| bins(position) <= MOST_BINS);
    // Keys that are all the same are in order.
    let varies = (0..K::DIGITS).any(|position| bins(position) > 1);
    let suggested = arg.whole() && !sorts_locally && few && varies;
    let few = if suggested { control::FEW } else { 0 };
    let again = arg.options & control::ONLY_AGAIN;
    arg.control.set(control::SHORTCUT, few | ordered | again);
    arg.control.set(control::SHORTCUT_ENTRY, 0);
}

/// Decides which digits run, and how. By one thread. Returns true if buckets are sorted locally:
/// those of the top digit, or of top bits, of which the largest has so many keys, unless keys seem
/// `ordered`.
#[inline(always)]
unsafe fn write_steps<K: Key>(
    arg: Histogram<K>,
    largest: Shared<u64>,
    most_by_top: u32,
    ordered: bool,
) -> bool {
    let most_of = |position: u32| largest.get(position as usize * (RADIX / 32));
    let is_spread = |position: u32| most_of(position) <= arg.n / FLAT;
    let varies = |position: u32| most_of(position) != arg.n;
    let top = arg.bits.digits() - 1;
    let varying = (0..arg.bits.digits()).filter(|&position| most_of(position) != arg.n).count();
    let most = if arg.top_bits > 0 { most_by_top as u64 } else { most_of(top) };
    let least = if arg.top_bits > 0 { least_by_top(K::BITS, arg.top_bits) } else { LEAST_PASSES };
    let locally = !ordered && varying >= least && most <= arg.held as u64;
    if arg.held > 0 {
        arg.control.set(control::LOCALLY, locally as u32);
    }
    let ranking = |position: u32| {
        if is_spread(position) && arg.options & control::ALLOW_ATOMICS != 0 {
            Ranking::Atomics
        } else {
            Ranking::Match
        }
    };
    let write = |position: u32, step: Step| step.write(arg.control, position as usize);
    if locally && arg.top_bits > 0 {
        plan::no_passes(arg.bits, write);
    } else if locally {
        plan::by_top_digit(arg.bits, arg.options, ranking(top), write);
    } else {
        plan::steps(arg.bits, arg.options, varies, ranking, write);
    }
    locally
}

/// Bins that a digit of few distinct keys uses at the most.
const MOST_BINS: u32 = 128;

/// Digits in which keys vary, from which on a pass and a local sort are faster than a pass each.
const LEAST_PASSES: usize = 4;
/// The same of a pass by so many top bits, of keys of so many: one by eleven writes shorter runs.
pub const fn least_by_top(key_bits: u32, top_bits: u32) -> usize {
    if key_bits <= 32 && top_bits > 10 { 4 } else { 3 }
}

/// A digit counts as spread, so that atomics rank faster than matches, when no digit has more
/// than one in this many keys; evenly spread digits have 256.
const FLAT: u64 = 8;
