//! The histogram where a [pass by top bits](crate::top_pass) may follow: it counts top bits, more
//! of them than a digit has, in place of the top digit, whose counts are sums of theirs.
//!
//! Counts of top bits have as many copies as fit 64 KB, so that a bin's number above that of its
//! copy is the key's upper 14 bits but for the last ones. If no bucket has more keys than a block
//! holds, the plan is the pass by top bits, which claims places from where each bucket begins;
//! else all digits are passed over.
//!
//! # Top bits alone
//! Counting eight digits takes longer than the read. So every block looks at the same sample of keys
//! of 8 bytes first. Top bits are counted alone if its top digits are even and enough digits vary
//! in it: as many vary in all keys, and the plan takes no other counts. If a bucket turns out to be
//! too large, the pass by top bits, which has nothing to do, counts all digits instead and makes
//! the plan. Few inputs make it, such as those that are even only where the sample is taken.

use crate::control;
use crate::histogram::{
    Counter, Histogram, add_to_bins, arrives_last, clear_table, count_each, least_by_top, make_plan,
};
use crate::key::{DIGIT_BITS, Key, RADIX};
use crate::ordered::Glance;
use crate::plan;
use crate::scan;
use cuda_std::{ext::*, prelude::*};

/// Bits of the number of a copy of a bin of top bits.
const PLACE_BITS: u32 = 14;

/// Keys of the sample: one a thread.
const SAMPLE: usize = 1024;
/// Pairs of them with the same top digit that are even: an eighth more than of evenly spread keys.
const EVEN_PAIRS: u32 = (SAMPLE * SAMPLE / 2 / RADIX * 9 / 8) as u32;

/// Returns true if top bits may be counted alone, of such keys.
pub const fn samples<K>() -> bool {
    size_of::<K>() == 8
}

/// Bytes of shared memory, for keys of so many digits and so many copies of all but the top one.
pub const fn shared_bytes(digits: usize, copies: usize) -> usize {
    4 * (((digits - 1) * RADIX * copies) + (1 << PLACE_BITS))
}

/// The kernel. Any number of blocks of 1024 threads.
#[inline(always)]
pub unsafe fn histogram_by_top<K: Key, const COPIES: usize>(arg: Histogram<K>) {
    trigger_dependents();
    let words = const { shared_bytes(K::DIGITS, COPIES) / 4 };
    let bins = dynamic_shared::<u32>(0, words);
    let tops = bins.offset((K::DIGITS - 1) * RADIX * COPIES);
    let sample = if samples::<K>() { control::SUGGEST } else { 0 };
    let glance = Glance::of(arg.input, arg.n, sample);
    let threads = thread::block_dim_x() as usize;
    let mut i = thread::thread_idx_x() as usize;
    while i < words / 4 {
        bins.cast::<u128>().set(i, 0);
        i += threads;
    }
    clear_table::<K>(arg);
    thread::sync_threads();
    let (lane, copies) = (warp::lane_id(), copies(arg.top_bits) - 1);
    let column = bins.offset(lane as usize & (COPIES - 1));
    let top = Top { arg, tops, copy: lane & copies, copies };
    let alone = samples::<K>() && is_even(arg, glance, bins);
    if alone {
        count_each(arg, top);
    } else {
        count_each(arg, LowerAndTop::<K, COPIES> { top, column });
    }
    thread::sync_threads();
    if !alone {
        add_to_bins::<COPIES>(arg.control, bins, (K::DIGITS - 1) * RADIX);
    }
    add_tops(arg, tops);
    if arrives_last(arg.control, bins) {
        let tops = Tops::of(arg, bins, !alone);
        let locally = match alone {
            true => plan_alone(arg, tops.most),
            false => make_plan::<K>(arg, bins, tops.most),
        };
        if locally {
            tops.allow_claims(arg);
        }
    }
}

/// Returns true if the sample says to count top bits alone: its top digits are even, some key
/// differs from its neighbour in as many digits as have to vary, and no copy is suggested. The
/// first bins are clear before and behind it; it ends in a barrier.
#[inline(always)]
unsafe fn is_even<K: Key>(arg: Histogram<K>, glance: Glance<K>, bins: Shared<u32>) -> bool {
    let [key, next] = glance.keys.map(|key| arg.encoded(key));
    let digit = |word: K, position| word.digit(DIGIT_BITS * position, RADIX as u32 - 1, 0);
    let top = digit(key, K::DIGITS as u32 - 1) as usize;
    // Each pair at the later of its keys. Lanes of one digit would wait for each other, and make it
    // uneven as it is.
    let first = lanes::shuffle_idx(lanes::FULL, top as u32, 0);
    let before = match lanes::any(lanes::FULL, top as u32 != first) {
        true => bins.fetch_add(top, 1),
        false => EVEN_PAIRS + 1,
    };
    let pairs = scan::warp_sum(before as u64) as u32;
    if warp::lane_id() == 0 {
        bins.add(RADIX, pairs);
    }
    let differs = |&position: &u32| digit(key ^ next, position) != 0;
    let differing = (0..K::DIGITS as u32).filter(differs).count();
    let vary = thread::sync_threads_or(differing >= least_by_top(K::BITS, arg.top_bits));
    let even = bins.get(RADIX) <= EVEN_PAIRS;
    let ordered = glance.suggestion(arg.order_mask, arg.options) != 0;
    if before == 0 {
        bins.set(top, 0);
    }
    if thread::thread_idx_x() == 0 {
        bins.set(RADIX, 0);
    }
    thread::sync_threads();
    vary && even && !ordered
}

/// The plan where top bits are counted alone: no pass over digits, nor a shortcut. If the largest
/// bucket is too large, the next launch makes another. Returns true if it is not.
#[inline(always)]
unsafe fn plan_alone<K: Key>(arg: Histogram<K>, most: u32) -> bool {
    let (control, locally) = (arg.control, most <= arg.held);
    if thread::thread_idx_x() == 0 {
        plan::no_passes(arg.bits, |position, step| step.write(control, position as usize));
        control.set(control::LOCALLY, locally as u32);
        control.set(control::AGAIN, !locally as u32);
        control.set(control::SHORTCUT, if locally { 0 } else { control::ONLY_AGAIN });
        control.set(control::ARRIVALS, 0);
    }
    locally
}

/// Counts top bits.
#[derive(Clone, Copy)]
struct Top<K> {
    arg: Histogram<K>,
    tops: Shared<u32>,
    /// The lane's number among copies, and the bits that this takes.
    copy: u32,
    copies: u32,
}

impl<K: Key> Counter<K> for Top<K> {
    #[inline(always)]
    unsafe fn count(self, key: K) {
        let top = (self.arg.encoded(key) >> (K::BITS - PLACE_BITS)).to_u64() as u32;
        self.tops.add((top & !self.copies | self.copy) as usize, 1);
    }
}

/// Counts top bits, and the lower digits in this lane's copy of the bins.
#[derive(Clone, Copy)]
struct LowerAndTop<K, const COPIES: usize> {
    top: Top<K>,
    column: Shared<u32>,
}

impl<K: Key, const COPIES: usize> Counter<K> for LowerAndTop<K, COPIES> {
    #[inline(always)]
    unsafe fn count(self, key: K) {
        let code = self.top.arg.encoded(key);
        for position in 0..K::DIGITS - 1 {
            let digit = code.digit(DIGIT_BITS * position as u32, RADIX as u32 - 1, 0);
            self.column.add((position * RADIX + digit as usize) * COPIES, 1);
        }
        self.top.count(key);
    }
}

/// Copies of each count of so many top bits.
#[inline(always)]
fn copies(top_bits: u32) -> u32 {
    1 << (PLACE_BITS - top_bits)
}

/// Adds the block's counts of top bits to the device's. Lanes begin at copies in different banks.
#[inline(always)]
unsafe fn add_tops<K: Key>(arg: Histogram<K>, tops: Shared<u32>) {
    let copies = copies(arg.top_bits);
    let first = warp::lane_id() * copies / 32;
    let mut top = thread::thread_idx_x();
    while top < 1 << arg.top_bits {
        let (mut sum, mut copy) = (0, 0);
        while copy < copies {
            sum += tops.get((top * copies + ((first + copy) & (copies - 1))) as usize);
            copy += 1;
        }
        if sum != 0 {
            let device_tops = arg.control.offset(control::tops(K::DIGITS));
            device_tops.fetch_add(top as usize, sum, Ordering::Relaxed, Scope::Device);
        }
        top += thread::block_dim_x();
    }
}

/// All counts of top bits, of which a thread has two neighbours.
#[derive(Clone, Copy)]
struct Tops {
    /// The keys of the first, and where both begin.
    count: u32,
    begin: u32,
    /// Keys of the largest.
    most: u32,
}

impl Tops {
    /// Adds all up, and the top digit's bins with `digits`. By the block that arrives last, in
    /// memory of its own; it has barriers, and ends in one.
    #[inline(always)]
    unsafe fn of<K: Key>(arg: Histogram<K>, shared: Shared<u32>, digits: bool) -> Self {
        let t = thread::thread_idx_x();
        let (lane, warp) = (t % 32, t / 32);
        // Behind what says who arrived last.
        let shared = shared.offset(2);
        let (sums, mosts, counts) = (shared, shared.offset(32), shared.offset(64));
        let mask = (arg.order_mask >> (K::BITS - arg.top_bits)).to_u64() as u32;
        let mut pair = [0; 2];
        if has_two(arg) {
            for i in 0..2 {
                let (top, tops) = (2 * t + i, arg.control.offset(control::tops(K::DIGITS)));
                let raw = (top ^ mask) as usize;
                pair[i as usize] = tops.load(raw, Ordering::Relaxed, Scope::Device);
                tops.store(raw, 0, Ordering::Relaxed, Scope::Device);
                counts.set(raw, pair[i as usize]);
            }
        }
        let sum = pair[0] + pair[1];
        let inclusive = scan::warp_inclusive(sum, lane);
        let most = scan::warp_most(pair[0].max(pair[1]) as u64);
        if lane == 31 {
            sums.set(warp as usize, inclusive);
            mosts.set(warp as usize, most as u32);
        }
        thread::sync_threads();
        let warps = thread::block_dim_x() as usize / 32;
        let begin = scan::sum_of_earlier(sums, warp, warps) + inclusive - sum;
        let most = if (lane as usize) < warps { mosts.get(lane as usize) } else { 0 };
        let most = scan::warp_most(most as u64) as u32;
        if digits {
            add_up_digits(arg, counts);
        }
        thread::sync_threads();
        Tops { count: pair[0], begin, most }
    }

    /// Writes from where on each bucket's places are claimed.
    #[inline(always)]
    unsafe fn allow_claims<K: Key>(self, arg: Histogram<K>) {
        if has_two(arg) {
            let claims = arg.control.offset(control::claims(K::DIGITS));
            let first = 2 * thread::thread_idx_x() as usize;
            claims.set(first, self.begin);
            claims.set(first + 1, self.begin + self.count);
        }
    }
}

/// Returns true if this thread has two counts of top bits.
#[inline(always)]
fn has_two<K: Key>(arg: Histogram<K>) -> bool {
    2 * thread::thread_idx_x() < 1 << arg.top_bits
}

/// The top digit's bins: sums of `counts`.
#[inline(always)]
unsafe fn add_up_digits<K: Key>(arg: Histogram<K>, counts: Shared<u32>) {
    let below = arg.top_bits - DIGIT_BITS;
    let mut digit = thread::thread_idx_x() as usize;
    while digit < RADIX {
        let mut sum = 0;
        for top in digit << below..(digit + 1) << below {
            sum += counts.get(top);
        }
        let bins = arg.control.offset(control::BINS).cast::<u64>();
        let bin = (K::DIGITS - 1) * RADIX + digit;
        bins.store(bin, sum as u64, Ordering::Relaxed, Scope::Device);
        digit += thread::block_dim_x() as usize;
    }
}
