//! Counts the keys of each bucket, or their digits where they are not for it.
//!
//! A *bucket* is the keys that have their upper 16 bits in common. If none is larger than what a
//! block holds, two passes over the upper digits and a [local sort](crate::local_sort) of each
//! bucket do for all passes. To know that, and where each bucket begins, takes a count of all
//! 65536.
//!
//! # Bucket counts
//! A block counts buckets in shared memory: its *bucket counts*, of 16 bits a bucket, two to a
//! word. Digits are not counted then: those of the upper two are sums over the bucket counts, and
//! no other digit is passed over. The blocks' bucket counts are kept in the scratch buffer, which
//! nothing uses before the first pass, and [`bucket_starts`](crate::bucket_starts) adds them up.
//!
//! # Which keys are for it
//! The first few keys of a block are a *sample*, of which all digits are counted, too. If
//! neighbours among them share buckets, if one bucket has many of them, or one digit more than an
//! eighth, the block counts digits to the end, as a [histogram] does. Later
//! contention would make lanes wait for each other: a warp looks at one vector in so many of its
//! keys, and where neighbours share buckets it gives up, and the block with it. So it does if a
//! count has overflowed; then the bucket counts as a whole have too few keys, for each carry
//! takes 65535 or more off.
//!
//! If all blocks have counted buckets, what follows may sort locally; if all have counted digits,
//! that is the histogram. Else, and if a bucket turns out to be too large, all keys are counted
//! again: the host launches a histogram behind the starts that counts only then. Few inputs make
//! it, such as those whose second half is not as their first.

use crate::control;
use crate::histogram::{self, Histogram};
use crate::key::{Bits, Key, RADIX};
use crate::layout::{Builder, Part};
use crate::scan;
use cuda_std::{ext::*, prelude::*};

/// Bits that the keys of a bucket have in common, the upper ones.
pub const BUCKET_BITS: u32 = 16;
pub const BUCKETS: usize = 1 << BUCKET_BITS;
/// Words of the bucket counts.
pub const COUNT_WORDS: usize = BUCKETS / 2;
/// Digits that buckets are made by: the upper ones.
pub(crate) const UPPER_DIGITS: usize = BUCKET_BITS as usize / 8;
const UPPER: usize = UPPER_DIGITS * RADIX;

/// Vectors of each thread that are the sample.
const SAMPLE: u32 = 2;
/// Vectors that a thread has on their way at once.
const TOGETHER: usize = 4;
/// Lanes of a warp in whose vector neighbours share a bucket, and which make contention: of
/// evenly spread keys, one lane in twenty thousand.
const CONTENDED_LANES: u32 = 3;
/// A bucket of so many keys is contended, of a sample.
const CONTENDED: u32 = 1 << 3;
/// A digit that more than one key in so many of a sample has is not spread.
const SPREAD: u32 = 8;

pub const COPIES_SAMPLED: usize = 8;

/// Copies of each bin where digits are counted: as many as the bucket counts have room for.
pub const fn copies<K: Key>() -> usize {
    COUNT_WORDS / (K::DIGITS * RADIX)
}

/// Bytes of dynamic shared memory of [`bucket_counts`].
pub const fn shared_bytes<K: Key>(sampled: usize) -> usize {
    Layout::of::<K>(sampled).bytes
}

struct Layout {
    /// The sample's bins, in copies.
    sample: Part<u32>,
    /// The bucket counts, or bins in their place.
    counts: Part<u32>,
    /// The counts of the upper digits, by the bucket counts.
    upper: Part<u32>,
    /// [`GIVEN_UP`] and the following.
    words: Part<u32>,
    bytes: usize,
}

impl Layout {
    const fn of<K: Key>(sampled: usize) -> Self {
        let mut all = Builder::new();
        Layout {
            sample: all.part(K::DIGITS * RADIX * sampled),
            counts: all.part(COUNT_WORDS),
            upper: all.part(UPPER),
            words: all.part(WORDS),
            bytes: all.bytes(),
        }
    }
}

/// Indices of a block's words: how many warps have given up, keys of the block, and keys that the
/// bucket counts have.
const GIVEN_UP: usize = 0;
const KEYS: usize = 1;
const COUNTED: usize = 2;
const WORDS: usize = 4;

/// The outcome of a block's counts.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Counts {
    /// The bucket counts have all keys.
    Buckets,
    /// The bins have all digits.
    Digits,
    /// Neither.
    GivenUp,
}

/// The arguments of a count: the parts of [`Histogram`], of whole keys.
#[derive(Clone, Copy)]
pub struct BucketCounts<K> {
    pub input: Global<K>,
    pub control: Global<u32>,
    pub n: u64,
    pub tiles: u32,
    pub order_mask: K,
    pub options: u32,
    /// `COUNT_WORDS` words for each block.
    pub bucket_counts: Global<u32>,
}

impl<K: Key> BucketCounts<K> {
    /// The same as of a histogram.
    pub fn of(arg: Histogram<K>, bucket_counts: Global<u32>) -> Self {
        BucketCounts {
            input: arg.input,
            control: arg.control,
            n: arg.n,
            tiles: arg.tiles,
            order_mask: arg.order_mask,
            options: arg.options,
            bucket_counts,
        }
    }

    #[inline(always)]
    fn histogram(self) -> Histogram<K> {
        let (begin, end) = (0, K::BITS);
        Histogram {
            input: self.input,
            control: self.control,
            n: self.n,
            tiles: self.tiles,
            order_mask: self.order_mask,
            bits: Bits { begin, end },
            options: self.options,
            held: 0,
            top_bits: 0,
        }
    }
}

/// The kernel that counts. As [`histogram`](histogram::histogram), of up to 1024 threads a block;
/// `COPIES` are at most [`copies`].
#[inline(always)]
pub unsafe fn bucket_counts<K: Key, const SAMPLED: usize, const COPIES: usize>(
    arg: BucketCounts<K>,
) {
    let bucket_counts = arg.bucket_counts;
    let arg = arg.histogram();
    trigger_dependents();
    let block = Block::<K, SAMPLED, COPIES>::of(arg);
    let layout = const { Layout::of::<K>(SAMPLED) };
    block.clear();
    histogram::clear_table(arg);
    match block.count() {
        Counts::Buckets => {
            block.save(bucket_counts.offset(thread::block_idx_x() as usize * COUNT_WORDS));
            block.add_upper();
        }
        Counts::Digits => {
            histogram::add_to_bins::<COPIES>(
                arg.control,
                layout.counts.shared(),
                K::DIGITS * RADIX,
            );
            histogram::add_to_bins::<SAMPLED>(
                arg.control,
                layout.sample.shared(),
                K::DIGITS * RADIX,
            );
            block.signal(control::DIGITS_COUNTED);
        }
        Counts::GivenUp => block.signal(control::AGAIN),
    }
    if histogram::arrives_last(arg.control, layout.upper.shared()) {
        histogram::make_plan(arg, layout.sample.shared(), 0);
        decide(arg.control);
    }
}

/// The decision of all blocks, by the last of them.
#[inline(always)]
unsafe fn decide(control: Global<u32>) {
    if thread::thread_idx_x() != 0 {
        return;
    }
    let of = |word| control.load(word, Ordering::Relaxed, Scope::Device);
    let (digits, given_up) = (of(control::DIGITS_COUNTED), of(control::AGAIN) != 0);
    let mixed = digits != 0 && digits != thread::grid_dim_x();
    let set = |word, value| control.store(word, value, Ordering::Relaxed, Scope::Device);
    set(control::LOCALLY, (digits == 0 && !given_up) as u32);
    set(control::AGAIN, (given_up || mixed) as u32);
    set(control::DIGITS_COUNTED, 0);
}

/// A block's view of what it counts, and where.
#[derive(Clone, Copy)]
struct Block<K, const SAMPLED: usize, const COPIES: usize> {
    arg: Histogram<K>,
    /// Keys before the first vector of the input.
    head: u32,
    vectors: u32,
    /// The first vector of the block, and of this thread.
    begin: u32,
    first: u32,
    /// Vectors between two that a thread counts.
    step: u32,
}

impl<K: Key, const SAMPLED: usize, const COPIES: usize> Block<K, SAMPLED, COPIES> {
    const LAYOUT: Layout = Layout::of::<K>(SAMPLED);
    const KEYS: u32 = 16 / size_of::<K>() as u32;

    #[inline(always)]
    unsafe fn of(arg: Histogram<K>) -> Self {
        const { assert!(COPIES <= copies::<K>()) };
        let n = arg.n as u32;
        let head = (arg.input.address() as u32).wrapping_neg() % 16 / size_of::<K>() as u32;
        let head = head.min(n);
        let threads = thread::block_dim_x();
        let begin = thread::block_idx_x() * threads;
        Block {
            arg,
            head,
            vectors: (n - head) / Self::KEYS,
            begin,
            first: begin + thread::thread_idx_x(),
            step: thread::grid_dim_x() * threads,
        }
    }

    #[inline(always)]
    unsafe fn clear(&self) {
        clear(Self::LAYOUT.sample.shared(), K::DIGITS * RADIX * SAMPLED);
        clear(Self::LAYOUT.counts.shared(), COUNT_WORDS);
        clear(Self::LAYOUT.upper.shared(), UPPER);
        clear(Self::LAYOUT.words.shared(), WORDS);
    }

    /// Counts the block's keys. Ends in a barrier.
    #[inline(always)]
    unsafe fn count(&self) -> Counts {
        let first = (self.first < self.vectors).then(|| self.vector(self.first));
        let counts_buckets = !thread::sync_threads_or(self.is_warp_contended(first));
        self.count_sample(counts_buckets);
        thread::sync_threads();
        let fits = counts_buckets && !self.is_contended() && self.is_spread();
        if thread::sync_threads_or(!fits) {
            clear(Self::LAYOUT.counts.shared(), K::DIGITS * RADIX * COPIES);
            thread::sync_threads();
            let goes_on = |_| true;
            self.each::<TOGETHER>(SAMPLE, u32::MAX, goes_on, |vector| {
                self.count_digits::<COPIES>(Self::LAYOUT.counts.shared(), vector);
            });
            thread::sync_threads();
            return Counts::Digits;
        }
        self.count_rest();
        thread::sync_threads();
        self.fold();
        let words = Self::LAYOUT.words.shared();
        let given_up = words.get(GIVEN_UP) != 0;
        if given_up || words.get(KEYS) != words.get(COUNTED) {
            Counts::GivenUp
        } else {
            Counts::Buckets
        }
    }

    #[inline(always)]
    unsafe fn vector(&self, number: u32) -> u128 {
        let body = self.arg.input.offset(self.head as usize);
        body.get_vector((Self::KEYS * number) as usize)
    }

    /// Calls `count` with this thread's vectors from number `from` to before `to`, by `TOGETHER`
    /// of them, as long as `goes_on` says so of the first of these, if there is one. That many
    /// divide `to - from`, or `to` is beyond the last.
    #[inline(always)]
    unsafe fn each<const TOGETHER: usize>(
        &self,
        from: u32,
        to: u32,
        goes_on: impl Fn(Option<u128>) -> bool,
        count: impl Fn(u128),
    ) {
        let mut i = from;
        while i < to && self.begin + i * self.step < self.vectors {
            let mut vectors = [0; TOGETHER];
            let at = |j: usize| self.first + (i + j as u32) * self.step;
            for j in 0..TOGETHER {
                if at(j) < self.vectors {
                    vectors[j] = self.vector(at(j));
                }
            }
            if !goes_on((at(0) < self.vectors).then_some(vectors[0])) {
                return;
            }
            for j in 0..TOGETHER {
                if at(j) < self.vectors {
                    count(vectors[j]);
                }
            }
            i += TOGETHER as u32;
        }
    }

    /// Counts all digits of the sample, and its buckets with `counts_buckets`. The keys before
    /// the first vector and after the last are of it.
    #[inline(always)]
    unsafe fn count_sample(&self, counts_buckets: bool) {
        let (first, head) = (self.first, self.head);
        let behind = Self::KEYS * self.vectors;
        let singles = self.arg.n as u32 - behind;
        let mut keys = 0;
        if first < singles {
            let single = if first < head { first } else { first + behind };
            let key = self.arg.input.get(single as usize);
            let column = self.column::<SAMPLED>(Self::LAYOUT.sample.shared());
            histogram::count_key::<K, SAMPLED>(self.arg, true, column, key);
            if counts_buckets {
                self.count_bucket(key);
            }
            keys += 1;
        }
        if first < self.vectors {
            keys += Self::KEYS * ((self.vectors - 1 - first) / self.step + 1);
        }
        Self::LAYOUT.words.shared().add(KEYS, keys);
        let goes_on = |_| true;
        self.each::<{ SAMPLE as usize }>(0, SAMPLE, goes_on, |vector| {
            self.count_digits::<SAMPLED>(Self::LAYOUT.sample.shared(), vector);
            if counts_buckets {
                self.count_buckets(vector);
            }
        });
    }

    /// Counts the buckets of all keys after the sample, or until the warp gives up.
    #[inline(always)]
    unsafe fn count_rest(&self) {
        let goes_on = |vector: Option<u128>| {
            let contended = self.is_warp_contended(vector);
            if contended && warp::lane_id() == 0 {
                Self::LAYOUT.words.shared().add(GIVEN_UP, 1);
            }
            !contended
        };
        self.each::<TOGETHER>(SAMPLE, u32::MAX, goes_on, |vector| self.count_buckets(vector));
    }

    /// Returns true if so many of the warp's vectors have neighbours that share a bucket.
    #[inline(always)]
    fn is_warp_contended(&self, vector: Option<u128>) -> bool {
        let shares = vector.is_some_and(|vector| self.shares_buckets(vector));
        lanes::ballot(lanes::FULL, shares).count_ones() >= CONTENDED_LANES
    }

    /// This lane's copy of the bins.
    #[inline(always)]
    unsafe fn column<const OF: usize>(&self, bins: Shared<u32>) -> Shared<u32> {
        bins.offset(warp::lane_id() as usize & (OF - 1))
    }

    #[inline(always)]
    unsafe fn count_digits<const OF: usize>(&self, bins: Shared<u32>, vector: u128) {
        let column = self.column::<OF>(bins);
        histogram::count_vector::<K, OF>(self.arg, true, column, vector);
    }

    #[inline(always)]
    unsafe fn count_buckets(&self, vector: u128) {
        for i in 0..Self::KEYS {
            self.count_bucket(K::from_u128(vector >> (K::BITS * i)));
        }
    }

    #[inline(always)]
    unsafe fn count_bucket(&self, key: K) {
        let bucket = (self.arg.encoded(key) ^ self.arg.order_mask) >> (K::BITS - BUCKET_BITS);
        let bucket = bucket.to_u64() as u32;
        Self::LAYOUT.counts.shared().add(bucket as usize / 2, 1 << (bucket % 2 * 16));
    }

    /// Returns true if two neighbours in a vector have one bucket: codes have if keys have.
    #[inline(always)]
    fn shares_buckets(&self, vector: u128) -> bool {
        let differences = vector ^ vector >> K::BITS;
        (0..Self::KEYS - 1).any(|i| {
            let difference = K::from_u128(differences >> (K::BITS * i));
            difference >> (K::BITS - BUCKET_BITS) == K::from_u64(0)
        })
    }

    /// Returns true if a thread's part of the buckets has a contended one.
    #[inline(always)]
    unsafe fn is_contended(&self) -> bool {
        let high = (CONTENDED.wrapping_neg() & 0xffff) * 0x10001;
        let vectors = Self::LAYOUT.counts.shared().cast::<u128>();
        let (mut all, mut i) = (0, thread::thread_idx_x() as usize);
        while i < COUNT_WORDS / 4 {
            all |= vectors.get(i);
            i += thread::block_dim_x() as usize;
        }
        (0..4).any(|word| (all >> (32 * word)) as u32 & high != 0)
    }

    /// Returns true if the digits of a thread's part of the sample's bins are spread.
    #[inline(always)]
    unsafe fn is_spread(&self) -> bool {
        let threads = thread::block_dim_x();
        let most = SAMPLE * Self::KEYS * threads / SPREAD;
        let (mut spread, mut bin) = (true, thread::thread_idx_x() as usize);
        while bin < K::DIGITS * RADIX {
            let mut sum = 0;
            for copy in 0..SAMPLED {
                sum += Self::LAYOUT.sample.shared().get(bin * SAMPLED + copy);
            }
            spread &= sum <= most;
            bin += threads as usize;
        }
        spread
    }

    /// Adds up what the bucket counts say of the upper digits, and how many keys they have. A
    /// barrier stands before, and this ends in one.
    #[inline(always)]
    unsafe fn fold(&self) {
        let thread = thread::thread_idx_x() as usize;
        let threads = thread::block_dim_x() as usize;
        let order_mask = |position: usize| {
            let position = (K::DIGITS - UPPER_DIGITS + position) as u32;
            self.arg.order_mask.digit(8 * position, RADIX as u32 - 1, 0)
        };
        let (counts, upper) = (Self::LAYOUT.counts.shared(), Self::LAYOUT.upper.shared());
        let add = |position: usize, digit: u32, count: u32| {
            let bin = (digit ^ order_mask(position)) as usize;
            upper.add(position * RADIX + bin, count);
        };
        // A row of the bucket counts has one upper digit; a column two lower ones.
        const COLUMNS: usize = RADIX / 2;
        let (mut low, mut high) = (0, 0);
        let column = thread % COLUMNS;
        let mut row = thread / COLUMNS;
        while row < RADIX {
            let word = counts.get(row * COLUMNS + column);
            low += word & 0xffff;
            high += word >> 16;
            row += threads / COLUMNS;
        }
        add(0, 2 * column as u32, low);
        add(0, 2 * column as u32 + 1, high);
        Self::LAYOUT.words.shared().add(COUNTED, low + high);
        // A warp a row.
        let mut row = thread / 32;
        while row < RADIX {
            let mut sum = 0;
            for i in 0..COLUMNS / 32 {
                let word = counts.get(row * COLUMNS + 32 * i + thread % 32);
                sum += (word & 0xffff) + (word >> 16);
            }
            let sum = scan::warp_sum(sum as u64) as u32;
            if thread.is_multiple_of(32) {
                add(1, row as u32, sum);
            }
            row += threads / 32;
        }
        thread::sync_threads();
    }

    #[inline(always)]
    unsafe fn save(&self, to: Global<u32>) {
        let mut i = thread::thread_idx_x() as usize;
        while i < COUNT_WORDS {
            to.set(i, Self::LAYOUT.counts.shared().get(i));
            i += thread::block_dim_x() as usize;
        }
    }

    /// Adds the counts of the upper digits to the device's bins.
    #[inline(always)]
    unsafe fn add_upper(&self) {
        let bins = self.arg.control.offset(control::BINS).cast::<u64>();
        let bins = bins.offset(K::DIGITS * RADIX - UPPER);
        let mut i = thread::thread_idx_x() as usize;
        while i < UPPER {
            let count = Self::LAYOUT.upper.shared().get(i) as u64;
            bins.fetch_add(i, count, Ordering::Relaxed, Scope::Device);
            i += thread::block_dim_x() as usize;
        }
    }

    /// Adds one to a control word, for the block.
    #[inline(always)]
    unsafe fn signal(&self, word: usize) {
        if thread::thread_idx_x() == 0 {
            let control = self.arg.control;
            control.fetch_add(word, 1, Ordering::Relaxed, Scope::Device);
        }
    }
}

#[inline(always)]
unsafe fn clear(words: Shared<u32>, len: usize) {
    let mut i = thread::thread_idx_x() as usize;
    while i < len {
        words.set(i, 0);
        i += thread::block_dim_x() as usize;
    }
}
