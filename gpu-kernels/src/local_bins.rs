//! Sorts a bucket of keys alone in one round of many bins: the [local sort](crate::local_sort) of
//! what has its top bits in common.
//!
//! A block has sixteen bins for each thread, about one for each key, and a key's bin is what
//! follows its top bits. The block counts its keys in the bins by atomics that return how many a
//! bin had before, scans the bins, and scatters the keys, which are then in order but for those of
//! one bin, in any order: one or two mostly. These are put in order
//!
//! - by windows, of keys of 4 bytes: each thread sorts as many neighbours as it has keys, by
//!   exchanges in registers, and then those half a window further on; again, until all are in
//!   order, which is looked at before anything is written;
//! - by counting, of keys of 8 bytes, whose exchanges take three times the instructions: before a
//!   key come those of its bin that are less, or as great and stand before it.
//!
//! Where a bin has too many for that, or the first row of a warp is [contended](crate::rank), the
//! bucket is read again and sorted by rounds of 8 bits.
//!
//! Each bucket has a block. It ends where those of the [pass by top bits](crate::top_pass) have
//! claimed the last place of it.

use crate::control;
use crate::key::{DIGIT_BITS, Key};
use crate::layout::{Builder, Part};
use crate::local_sort::{self, Bucket, LocalSort};
use crate::places::{Places, Together};
use crate::policy::Shape;
use crate::rank::is_contended;
use crate::scan;
use cuda_std::{ext::*, prelude::*};

/// Bins of a thread: two vectors of half words.
const BINS: usize = 16;
/// Keys of a bin from which on rounds are faster.
const CROWDED: u32 = 16;
/// Turns of exchanges of a window.
const TURNS: usize = 8;
/// Keys that a thread counts out at once.
const AT_ONCE: usize = 3;

/// Bytes of shared memory of [`sort_by_bins`].
pub const fn shared_bytes<K: Key>(shape: Shape) -> usize {
    Layout::<K>::of(shape.threads, shape.items).bytes
}

/// Shared memory. Rounds take the room of words and bins, but for that of the claim.
struct Layout<K> {
    /// Words, and those that windows reach beyond them.
    words: Part<K>,
    /// Bins, and where the last one ends.
    bins: Part<u32>,
    sums: Part<u32>,
    claimed: Part<u32>,
    bytes: usize,
}

impl<K: Key> Layout<K> {
    const fn of(threads: usize, items: usize) -> Self {
        let mut all = Builder::new();
        let words = all.part((threads + 2) * items);
        // Vectors begin at multiples of their size.
        all.part::<u128>(0);
        let bins = all.part(threads * BINS / 2 + 4);
        assert!(all.bytes() >= local_sort::Layout::<K>::of(threads, items, false).bytes);
        let (sums, claimed) = (all.part(32), all.part(4));
        Layout { words, bins, sums, claimed, bytes: all.bytes() }
    }
}

/// The kernel: a block of `THREADS` threads, a multiple of 32 and at least 128, for each bucket,
/// of which there are a power of two. None has more than `THREADS * ITEMS` keys.
#[inline(always)]
pub unsafe fn sort_by_bins<K: Key, const THREADS: usize, const ITEMS: usize>(arg: LocalSort<K>) {
    trigger_dependents();
    let layout = const { Layout::<K>::of(THREADS, ITEMS) };
    let bins = layout.bins.shared().cast::<u128>();
    let thread = thread::thread_idx_x() as usize;
    bins.set(thread, 0);
    bins.set(THREADS + thread, 0);
    sync_predecessor();
    if arg.control.get(control::LOCALLY) == 0 {
        return;
    }
    let claimed = layout.claimed.shared();
    if thread == 0 {
        let bucket = thread::block_idx_x() as usize;
        let ends = arg.control.offset(control::claims(K::DIGITS));
        let begin = if bucket > 0 { ends.get(bucket - 1) } else { 0 };
        // Keys are their own words, and have their top bits.
        claimed.set(0, 0);
        claimed.set(1, begin);
        claimed.set(2, ends.get(bucket) - begin);
    }
    thread::sync_threads();
    if claimed.get(2) > 0 {
        let bucket = Bucket::<K, K, DIGIT_BITS, THREADS, ITEMS, false, Together>::new(
            arg, claimed, Together,
        );
        if !bucket.sort_by_bins() {
            // Or the compiler prepares for it before that is known, in registers that keys need.
            thread::sync_threads();
            bucket.sort();
        }
    }
}

impl<K: Key, const COMMON: u32, const THREADS: usize, const ITEMS: usize, P: Places>
    Bucket<K, K, COMMON, THREADS, ITEMS, false, P>
{
    const BY_BINS: Layout<K> = Layout::of(THREADS, ITEMS);
    /// True if windows sort.
    const BY_WINDOWS: bool = K::BITS <= 32;

    /// The bin of a word.
    #[inline(always)]
    fn bins() -> impl Fn(K) -> u32 + Copy {
        let top_bits = thread::grid_dim_x().ilog2();
        let shift = hint::opaque(K::BITS - const { (THREADS * BINS).ilog2() } - top_bits);
        move |word: K| word.digit(shift, const { (THREADS * BINS) as u32 - 1 }, 0)
    }

    /// Sorts the bucket, whose bins are clear. Returns false, in all threads, if one is crowded.
    #[inline(always)]
    unsafe fn sort_by_bins(self) -> bool {
        let words = self.load();
        let share = self.share();
        let bins = Self::BY_BINS.bins.shared();
        let bin = Self::bins();
        // A warp that sees contention at once does not wait for it.
        let first = if share.has(0) { bin(words[0]) } else { !thread::thread_idx_x() };
        let contended = is_contended(first);
        // Eight to a word, as long as none is crowded.
        let (mut ranks, mut most) = ([0; ITEMS], 0);
        for i in 0..ITEMS {
            if share.has(i) && !contended {
                let bin = bin(words[i]);
                let half = bin % 2 * 16;
                let rank = bins.fetch_add(bin as usize / 2, 1 << half) >> half & 0xffff;
                ranks[i / 8] |= rank << (i % 8 * 4);
                most = most.max(rank);
            }
        }
        if thread::sync_threads_or(contended || most >= CROWDED) {
            return false;
        }
        self.scan_bins();
        let (begins, sorted) = (bins.cast::<u16>(), Self::BY_BINS.words.shared());
        let (share, bin) = (self.share(), Self::bins());
        for i in 0..ITEMS {
            if share.has(i) {
                let rank = ranks[i / 8] >> (i % 8 * 4) & 15;
                let slot = begins.get(bin(words[i]) as usize) as u32 + rank;
                sorted.set(slot as usize, words[i]);
            }
        }
        if Self::BY_WINDOWS {
            self.fill_up();
            thread::sync_threads();
            self.order_by_windows();
        } else {
            thread::sync_threads();
            self.order_by_counting();
        }
        true
    }

    /// Turns the counts of bins into where each begins. A barrier stands before, and this ends in
    /// one.
    #[inline(always)]
    unsafe fn scan_bins(&self) {
        let thread = thread::thread_idx_x();
        let (lane, warp) = (thread % 32, thread / 32);
        let bins = Self::BY_BINS.bins.shared();
        // A warp's lanes read neighbouring vectors, twice.
        let vectors = bins.cast::<u128>().offset((warp * 64 + lane) as usize);
        let word = |counts: u128, i: u32| (counts >> (32 * i)) as u32;
        let sum = |word: u32| (word & 0xffff) + (word >> 16);
        let mut totals = [0; 2];
        for half in 0..2 {
            let counts = vectors.get(32 * half);
            totals[half] = (0..4).fold(0, |total, i| total + sum(word(counts, i)));
        }
        // Both in one word, because no sum of the block takes more than a half.
        let inclusive = scan::warp_inclusive(totals[0] | totals[1] << 16, lane);
        let of_warp = lanes::shuffle_idx(lanes::FULL, inclusive, 31);
        let sums = Self::BY_BINS.sums.shared();
        if lane == 0 {
            sums.set(warp as usize, sum(of_warp));
        }
        thread::sync_threads();
        let before = scan::sum_of_earlier(sums, warp, THREADS / 32);
        let firsts = [
            before + (inclusive & 0xffff) - totals[0],
            before + (of_warp & 0xffff) + (inclusive >> 16) - totals[1],
        ];
        for half in 0..2 {
            // Read again, or more registers are taken than keys leave.
            let counts = vectors.get(32 * half);
            let (mut begin, mut begins) = (firsts[half], 0);
            for i in 0..4 {
                let second = begin + (word(counts, i) & 0xffff);
                begins |= ((begin | second << 16) as u128) << (32 * i);
                begin += sum(word(counts, i));
            }
            vectors.set(32 * half, begins);
        }
        if thread == 0 {
            bins.cast::<u16>().set_low(THREADS * BINS, self.count());
        }
        thread::sync_threads();
    }

    /// Keys that rank last behind those of the bucket, as far as windows reach.
    #[inline(always)]
    unsafe fn fill_up(&self) {
        let beyond = thread::thread_idx_x() as usize;
        if beyond < 2 * ITEMS {
            let sorted = Self::BY_BINS.words.shared();
            sorted.set(self.count() as usize + beyond, !K::from_u64(0));
        }
    }

    /// Puts the words in order, window by window, and writes them.
    #[inline(always)]
    unsafe fn order_by_windows(&self) {
        loop {
            let mut from = 0;
            while from < ITEMS {
                self.order_window(from);
                thread::sync_threads();
                from += ITEMS.div_ceil(2);
            }
            let (share, begin) = (self.share(), self.begin());
            let words = self.read_back(share, 0);
            if !thread::sync_threads_or(self.is_disordered(share, &words)) {
                return self.store(share, 0, begin, &words);
            }
        }
    }

    /// Sorts this thread's window, `from` places on.
    #[inline(always)]
    unsafe fn order_window(&self, from: usize) {
        let first = thread::thread_idx_x() as usize * ITEMS;
        if first >= self.count() as usize {
            return;
        }
        let window = Self::BY_BINS.words.shared().offset(first + from);
        let mut words = [K::default(); ITEMS];
        for i in 0..ITEMS {
            words[i] = window.get(i);
        }
        for turn in 0..TURNS {
            for i in (turn % 2..ITEMS - 1).step_by(2) {
                let (a, b) = (words[i], words[i + 1]);
                (words[i], words[i + 1]) = (a.min(b), a.max(b));
            }
        }
        for i in 0..ITEMS {
            window.set(i, words[i]);
        }
    }

    /// Writes the words, each where it goes in its bin.
    #[inline(always)]
    unsafe fn order_by_counting(&self) {
        let (sorted, begins) = (Self::BY_BINS.words.shared(), Self::BY_BINS.bins.shared());
        let (begins, bin) = (begins.cast::<u16>(), Self::bins());
        let (output, count) = (self.arg.output.offset(self.begin() as usize), self.count());
        let (order_mask, encode) = (self.arg.order_mask, self.arg.options & control::ENCODE != 0);
        let mut first = 0;
        while first < ITEMS {
            hint::keep_loop();
            let slot = |i: usize| thread::thread_idx_x() + ((first + i) * THREADS) as u32;
            let (mut words, mut bounds) = ([K::default(); AT_ONCE], [0; AT_ONCE]);
            for i in 0..AT_ONCE {
                if slot(i) < count {
                    words[i] = sorted.get(slot(i) as usize);
                }
            }
            for i in 0..AT_ONCE {
                if slot(i) < count {
                    let bin = bin(words[i]) as usize;
                    bounds[i] = begins.get(bin) as u32 | (begins.get(bin + 1) as u32) << 16;
                }
            }
            for i in 0..AT_ONCE {
                if slot(i) < count {
                    let (mut before, end) = (bounds[i] & 0xffff, bounds[i] >> 16);
                    let mut other = before;
                    while other < end {
                        let word = sorted.get(other as usize);
                        let earlier = word == words[i] && other < slot(i);
                        before += (word < words[i] || earlier) as u32;
                        other += 1;
                    }
                    let key = words[i] ^ order_mask;
                    output.set(before as usize, if encode { key.encode() } else { key });
                }
            }
            first += AT_ONCE;
        }
    }
}
