//! Counts the keys of each bucket beside their digits, and decides whether buckets are
//! sorted locally.
//!
//! A *bucket* is the keys of 4 bytes that have their upper 16 bits in common. If none
//! is larger than what a block holds, two passes over the upper places and a
//! [local sort](crate::local_sort) of each bucket do for all four passes. Whether that
//! is so, and where each bucket begins, takes a count of all 65536.
//!
//! # Tallies
//! A block counts buckets in shared memory: its *tally*, of 16 bits a bucket, two to a
//! word. The upper two digits are not counted then, because their counts are sums over
//! the tally. It is the blocks' tallies that are kept, in the scratch buffer, which
//! nothing uses before the first pass, and [`bucket_starts`] adds them up.
//!
//! Crowded buckets would make lanes wait for each other, and overflow. So a block begins
//! without a tally if too many neighbours among its first keys share a bucket. Else it
//! looks at its tally after the first few keys, and from time to time, and where a bucket
//! has too many for all to be small it counts on without one. A counter that is below
//! [`CROWDED`] when it is looked at stays below 2^16 until it is looked at again.

use crate::control::{self, Step};
use crate::histogram::{self, Histogram};
use crate::key::{Key, RADIX};
use crate::policy;
use crate::scan;
use cuda_std::prelude::*;

/// Bits that the keys of a bucket have in common, the upper ones.
pub const BUCKET_BITS: u32 = 16;
/// How many buckets there are.
pub const BUCKETS: usize = 1 << BUCKET_BITS;
/// Words of a tally.
pub const TALLY: usize = BUCKETS / 2;

/// Digits of a key.
const PLACES: usize = <u32 as Key>::PLACES;
/// Vectors that each thread counts before the block first looks at its tally.
const FIRST: usize = 4;
/// The same from then on.
const TURN: usize = 12;
/// Vectors that a thread has on their way at once.
const TOGETHER: usize = 4;
/// Keys in a vector.
const KEYS: usize = 4;
/// Lanes of a warp in whose first vector neighbours share a bucket, and which make a crowd:
/// of evenly spread keys, one lane in twenty thousand.
const CROWDED_LANES: u32 = 3;
/// A bucket of so many keys is crowded, of the first few.
const CROWDED_AT_FIRST: u32 = 1 << 4;
/// The same later.
const CROWDED: u32 = 1 << 13;
const _: () = assert!(CROWDED as usize + TURN * KEYS * policy::HISTOGRAM_THREADS < 1 << 16);

/// Copies of each bin beside a tally.
pub const COPIES: usize = policy::histogram_copies(PLACES, policy::HISTOGRAM_BYTES_LARGE);

/// Bins of the upper digits.
const UPPER: usize = PLACES / 2 * RADIX;

/// Bytes of dynamic shared memory of [`histogram_by_bucket`].
pub const fn shared_bytes(copies: usize) -> usize {
    Layout::of(copies).end
}

/// Where things stand in shared memory, in bytes. The bins are first, in copies.
struct Layout {
    /// The tally, where without one the bins of the upper digits are.
    tally: usize,
    /// What tallies have said of the upper digits.
    upper: usize,
    end: usize,
}

impl Layout {
    const fn of(copies: usize) -> Self {
        let tally = PLACES / 2 * RADIX * copies * 4;
        let upper = tally + TALLY * 4;
        assert!(UPPER * copies <= TALLY);
        Layout {
            tally,
            upper,
            end: upper + UPPER * 4,
        }
    }
}

/// The kernel that counts. As [`histogram`](histogram::histogram), of up to 1024
/// threads a block, for sorts by whole keys. Each block has `TALLY` words of `tallies`.
#[inline(always)]
pub unsafe fn histogram_by_bucket<const COPIES: usize>(arg: Histogram<u32>, tallies: Global<u32>) {
    unsafe {
        thread::trigger_dependents();
        let layout = const { Layout::of(COPIES) };
        let bins = dynamic_shared::<u32>(0, PLACES * RADIX * COPIES);
        let words = dynamic_shared::<u32>(layout.tally, TALLY);
        let upper = dynamic_shared::<u32>(layout.upper, UPPER);
        let tally = Tally { words, upper, arg };
        let first = first_vector(arg);
        clear(bins, PLACES / 2 * RADIX * COPIES);
        clear(words, TALLY);
        clear(upper, UPPER);
        histogram::clear_table(arg);
        let shares = warp::ballot(warp::FULL, first.is_some_and(shares_buckets));
        let crowded = shares.count_ones() >= CROWDED_LANES;
        let tallied = !thread::sync_threads_or(crowded);
        if count::<COPIES>(arg, bins, tally, tallied) {
            tally.save(tallies.offset(thread::block_idx_x() as usize * TALLY));
            tally.fold::<COPIES>();
        } else if thread::thread_idx_x() == 0 {
            let untallied = control::UNTALLIED;
            arg.control
                .fetch_add(untallied, 1, Ordering::Relaxed, Scope::Device);
        }
        let mut i = thread::thread_idx_x() as usize;
        while i < UPPER {
            bins.add((UPPER + i) * COPIES, upper.get(i));
            i += thread::block_dim_x() as usize;
        }
        thread::sync_threads();
        histogram::add_to_bins::<u32, COPIES>(arg.control, bins);
        if histogram::arrives_last(arg.control, bins) {
            histogram::make_plan(arg, bins);
        }
    }
}

#[inline(always)]
unsafe fn clear(words: Shared<u32>, len: usize) {
    let mut i = thread::thread_idx_x() as usize;
    while i < len {
        unsafe { words.set(i, 0) };
        i += thread::block_dim_x() as usize;
    }
}

/// Keys before the first vector of the input, and how many vectors there are.
#[inline(always)]
fn vectors(arg: &Histogram<u32>) -> (usize, usize) {
    let n = arg.n as usize;
    let head = (arg.input.address().wrapping_neg() % 16 / 4).min(n);
    (head, (n - head) / KEYS)
}

/// The first vector that this thread counts, if there is one.
#[inline(always)]
unsafe fn first_vector(arg: Histogram<u32>) -> Option<u128> {
    let (head, vectors) = vectors(&arg);
    let first = thread::block_idx_x() as usize * thread::block_dim_x() as usize
        + thread::thread_idx_x() as usize;
    (first < vectors).then(|| unsafe { arg.input.offset(head).get_vector(KEYS * first) })
}

/// Whether two neighbours in a vector have one bucket: codes have if keys have.
#[inline(always)]
fn shares_buckets(vector: u128) -> bool {
    let differences = vector ^ vector >> 32;
    (0..KEYS - 1).any(|i| (differences >> (32 * i)) as u32 >> BUCKET_BITS == 0)
}

/// Counts the block's keys, at first with a tally or without. Returns whether the tally has
/// all of them, and the bins their lower digits only. Ends in a barrier.
#[inline(always)]
unsafe fn count<const COPIES: usize>(
    arg: Histogram<u32>,
    bins: Shared<u32>,
    tally: Tally,
    mut tallied: bool,
) -> bool {
    unsafe {
        let column = bins.offset(warp::lane_id() as usize & (COPIES - 1));
        let n = arg.n as usize;
        let (head, vectors) = vectors(&arg);
        let body = arg.input.offset(head);
        let tail = head + vectors * KEYS;

        let step = thread::grid_dim_x() as usize * thread::block_dim_x() as usize;
        let begin = thread::block_idx_x() as usize * thread::block_dim_x() as usize;
        let first = begin + thread::thread_idx_x() as usize;
        if first < head + n - tail {
            let single = if first < head {
                first
            } else {
                tail + first - head
            };
            let key = arg.input.get(single);
            if tallied {
                tally.count_key::<COPIES>(column, key);
            } else {
                histogram::count_key::<u32, COPIES>(arg, true, column, key);
            }
        }
        let (mut i, mut turn, mut most) = (0, FIRST, CROWDED_AT_FIRST);
        while begin + i * step < vectors {
            let end = i + turn;
            while i < end {
                let mut keys = [0; TOGETHER];
                for j in 0..TOGETHER {
                    let vector = first + (i + j) * step;
                    if vector < vectors {
                        keys[j] = body.get_vector(KEYS * vector);
                    }
                }
                for j in 0..TOGETHER {
                    if first + (i + j) * step < vectors {
                        if tallied {
                            tally.count_vector::<COPIES>(column, keys[j]);
                        } else {
                            histogram::count_vector::<u32, COPIES>(arg, true, column, keys[j]);
                        }
                    }
                }
                i += TOGETHER;
            }
            if tallied {
                thread::sync_threads();
                if thread::sync_threads_or(tally.is_crowded(most)) {
                    tally.fold::<COPIES>();
                    tallied = false;
                }
            }
            (turn, most) = (TURN, CROWDED);
        }
        thread::sync_threads();
        tallied
    }
}

/// A block's counts of the buckets.
#[derive(Clone, Copy)]
struct Tally {
    words: Shared<u32>,
    /// Counts of the upper digits.
    upper: Shared<u32>,
    arg: Histogram<u32>,
}

impl Tally {
    #[inline(always)]
    unsafe fn count_vector<const COPIES: usize>(self, column: Shared<u32>, vector: u128) {
        for i in 0..KEYS {
            unsafe { self.count_key::<COPIES>(column, (vector >> (32 * i)) as u32) };
        }
    }

    /// Counts a key's bucket, and its lower digits.
    #[inline(always)]
    unsafe fn count_key<const COPIES: usize>(self, column: Shared<u32>, key: u32) {
        let key = self.arg.encoded(key);
        for place in 0..PLACES / 2 {
            let digit = key.digit(8 * place as u32, RADIX as u32 - 1, 0);
            unsafe { column.add((place * RADIX + digit as usize) * COPIES, 1) };
        }
        let bucket = (key ^ self.arg.flip) >> BUCKET_BITS;
        unsafe { self.words.add(bucket as usize / 2, 1 << (bucket % 2 * 16)) };
    }

    /// Whether a thread's part of the buckets has one of `most` keys, a power of two,
    /// or more.
    #[inline(always)]
    unsafe fn is_crowded(self, most: u32) -> bool {
        let high = (most.wrapping_neg() & 0xffff) * 0x10001;
        let vectors = unsafe { self.words.cast::<u128>() };
        let (mut all, mut i) = (0, thread::thread_idx_x() as usize);
        while i < TALLY / 4 {
            all |= unsafe { vectors.get(i) };
            i += thread::block_dim_x() as usize;
        }
        (0..4).any(|word| (all >> (32 * word)) as u32 & high != 0)
    }

    /// Adds up what the tally says of the upper digits, and leaves bins of them in its
    /// place. A barrier stands before, and this ends in one.
    #[inline(always)]
    unsafe fn fold<const COPIES: usize>(self) {
        unsafe {
            let thread = thread::thread_idx_x() as usize;
            let threads = thread::block_dim_x() as usize;
            let flip = |place: u32| self.arg.flip.digit(8 * place, RADIX as u32 - 1, 0);
            let add = |place: usize, digit: u32, count: u32| {
                let bin = (digit ^ flip(place as u32)) as usize;
                self.upper.add(place * RADIX - UPPER + bin, count);
            };
            // A row of the tally has one upper digit; a column two lower ones.
            const COLUMNS: usize = RADIX / 2;
            let (mut low, mut high) = (0, 0);
            let column = thread % COLUMNS;
            let mut row = thread / COLUMNS;
            while row < RADIX {
                let word = self.words.get(row * COLUMNS + column);
                low += word & 0xffff;
                high += word >> 16;
                row += threads / COLUMNS;
            }
            add(PLACES - 2, 2 * column as u32, low);
            add(PLACES - 2, 2 * column as u32 + 1, high);
            // A warp a row.
            let mut row = thread / 32;
            while row < RADIX {
                let mut sum = 0;
                for i in 0..COLUMNS / 32 {
                    let word = self.words.get(row * COLUMNS + 32 * i + thread % 32);
                    sum += (word & 0xffff) + (word >> 16);
                }
                let sum = scan::warp_sum(sum as u64) as u32;
                if thread.is_multiple_of(32) {
                    add(PLACES - 1, row as u32, sum);
                }
                row += threads / 32;
            }
            thread::sync_threads();
            clear(self.words, UPPER * COPIES);
            thread::sync_threads();
        }
    }

    /// Writes the tally out.
    #[inline(always)]
    unsafe fn save(self, to: Global<u32>) {
        let mut i = thread::thread_idx_x() as usize;
        while i < TALLY {
            unsafe { to.set(i, self.words.get(i)) };
            i += thread::block_dim_x() as usize;
        }
    }
}

/// What a launch of [`bucket_starts`] is about.
#[derive(Clone, Copy)]
pub struct BucketStarts {
    /// The blocks' tallies, and how many there are.
    pub tallies: Global<u32>,
    pub count: u32,
    /// The sort's control words; see [`control`](crate::control).
    pub control: Global<u32>,
    /// Where each bucket begins, and the last ends: to be written.
    pub starts: Global<u32>,
    pub n: u32,
    /// Keys of the largest bucket that can be sorted locally.
    pub capacity: u32,
}

/// Blocks of [`bucket_starts`]: each has the buckets of two upper digits.
pub const BLOCKS: usize = RADIX / 2;
/// Tallies that a thread reads at once.
const READ: usize = 12;
/// Threads of a block, each with two buckets.
pub const THREADS: usize = TALLY / BLOCKS;

/// Bytes of dynamic shared memory.
pub const STARTS_SHARED_BYTES: usize = THREADS / 32 * 4;

/// The kernel that adds tallies up: `BLOCKS` blocks of `THREADS` threads.
#[inline(always)]
pub unsafe fn bucket_starts(arg: BucketStarts) {
    unsafe {
        thread::trigger_dependents();
        thread::sync_predecessor();
        let control = arg.control;
        let tallied = control.get(control::LOCALLY) != 0 && control.get(control::UNTALLIED) == 0;
        let shared = dynamic_shared::<u32>(0, THREADS / 32);
        if tallied {
            write_starts(arg, shared);
        }
        if histogram::arrives_last(control, shared) && thread::thread_idx_x() == 0 {
            let overfull = control.load(control::OVERFULL, Ordering::Relaxed, Scope::Device);
            let locally = tallied && overfull == 0;
            if locally {
                plan_locally(control);
            }
            control.set(control::LOCALLY, locally as u32);
            control.set(control::NEXT_BUCKET, 0);
            let clear = |word| control.store(word, 0, Ordering::Relaxed, Scope::Device);
            clear(control::ARRIVALS);
            clear(control::UNTALLIED);
            clear(control::OVERFULL);
        }
    }
}

/// The starts of the block's buckets, and whether one of them is too large.
#[inline(always)]
unsafe fn write_starts(arg: BucketStarts, shared: Shared<u32>) {
    unsafe {
        let thread = thread::thread_idx_x();
        let block = thread::block_idx_x() as usize;
        let word = block * THREADS + thread as usize;
        let (mut low, mut high, mut i) = (0, 0, 0);
        while i < arg.count as usize {
            let mut counts = [0; READ];
            for j in 0..READ {
                if i + j < arg.count as usize {
                    counts[j] = arg.tallies.get((i + j) * TALLY + word);
                }
            }
            for j in 0..READ {
                low += counts[j] & 0xffff;
                high += counts[j] >> 16;
            }
            i += READ;
        }
        if low.max(high) > arg.capacity {
            arg.control
                .fetch_add(control::OVERFULL, 1, Ordering::Relaxed, Scope::Device);
        }
        let inclusive = scan::warp_inclusive(low + high, thread % 32);
        if thread % 32 == 31 {
            shared.set(thread as usize / 32, inclusive);
        }
        thread::sync_threads();
        let places = arg.control.offset(control::starts(PLACES, 0));
        let upper = places.cast::<u64>().offset((PLACES - 1) * RADIX);
        let mut begin = upper.get(2 * block) as u32 + inclusive - low - high;
        for warp in 0..THREADS / 32 {
            let earlier = shared.get(warp);
            if warp < thread as usize / 32 {
                begin += earlier;
            }
        }
        arg.starts.set(2 * word, begin);
        arg.starts.set(2 * word + 1, begin + low);
        if 2 * word + 2 == BUCKETS {
            arg.starts.set(BUCKETS, arg.n);
        }
    }
}

/// The plan by which the upper places run alone.
#[inline(always)]
unsafe fn plan_locally(control: Global<u32>) {
    unsafe {
        for place in 0..PLACES {
            let mut step = Step::SKIPPED;
            if place >= PLACES / 2 {
                let ranking = Step::read(control, place).ranking();
                let index = (place - PLACES / 2) as u32;
                step = Step::running(index, PLACES as u32 / 2, 8 * place as u32, ranking).upper();
            }
            step.write(control, place);
        }
    }
}
