//! Sorts a bucket in one round of many bins: the [local sort](crate::local_sort) of
//! what has its top bits in common.
//!
//! A key's [bin](crate::bins) is what follows its top bits, and a block has sixteen bins for each
//! thread. Keys of one bin are put in order
//!
//! - by windows, of keys of 4 bytes: each thread sorts as many neighbours as it has keys, by
//!   exchanges in registers, and then those half a window further on; again, until all are in
//!   order, which is looked at before anything is written;
//! - by counting, of words of 8 bytes, whose exchanges take three times the instructions.
//!
//! Where bins do not do, the keys are sorted by rounds of 8 bits.
//!
//! A [segment](crate::segments) is a bucket whose top bits are those that all of its keys share.
//! Each other bucket has a block. It ends where the blocks of the
//! [pass by top bits](crate::top_pass) have claimed its last place.

use crate::bins::{self, Bins};
use crate::control;
use crate::key::{DIGIT_BITS, Key};
use crate::layout::{Builder, Part};
use crate::local_sort::{self, Bucket, LocalSort};
use crate::places::{Places, Together};
use crate::policy::Shape;
use cuda_std::{ext::*, prelude::*};

/// The bins of a block: two vectors a thread, about one bin for each key. From 16 keys in a bin on
/// rounds are faster.
pub(crate) type InBins<W, const THREADS: usize> = Bins<W, THREADS, 2>;
/// Turns of exchanges of a window.
const TURNS: usize = 8;
/// Keys that a thread counts out at once.
pub(crate) const AT_ONCE: usize = 3;

/// Bytes of shared memory of [`sort_by_bins`].
pub const fn shared_bytes<W: Key>(shape: Shape, paired: bool) -> usize {
    Layout::<W>::of(shape.threads, shape.items, paired).bytes
}

/// Shared memory. Rounds take the room of words and bins, but for that of the claim.
pub(crate) struct Layout<W> {
    /// Words, and those that windows reach beyond them.
    words: Part<W>,
    /// Bins, and where the last one ends.
    bins: Part<u32>,
    /// Values as they stand.
    values: Part<u32>,
    sums: Part<u32>,
    pub(crate) claimed: Part<u32>,
    bytes: usize,
}

impl<W: Key> Layout<W> {
    pub(crate) const fn of(threads: usize, items: usize, paired: bool) -> Self {
        let mut all = Builder::new();
        let words = all.part((threads + 2) * items);
        // Vectors begin at multiples of their size.
        all.part::<u128>(0);
        let bins = all.part(threads * (2 * bins::OF_VECTOR) / 2 + 4);
        assert!(all.bytes() >= local_sort::Layout::<W>::of(threads, items, false).bytes);
        let (sums, claimed) = (all.part(64), all.part(4));
        let values = all.part(if paired { threads * items } else { 0 });
        Layout { words, bins, values, sums, claimed, bytes: all.bytes() }
    }
}

#[inline(always)]
unsafe fn bins<W: Key, const THREADS: usize>(layout: &Layout<W>) -> InBins<W, THREADS> {
    Bins {
        words: layout.words.shared(),
        begins: layout.bins.shared().cast(),
        sums: layout.sums.shared(),
        thread: thread::thread_idx_x(),
    }
}

/// The kernel: a block of `THREADS` threads, a multiple of 32 and at least 128, for each bucket,
/// of which there are a power of two. None has more than `THREADS * ITEMS` keys.
#[inline(always)]
pub unsafe fn sort_by_bins<K: Key, const THREADS: usize, const ITEMS: usize>(arg: LocalSort<K>) {
    if control::await_plan(arg.control, arg.options, control::LOCALLY) == 0 {
        return;
    }
    let layout = const { Layout::<K>::of(THREADS, ITEMS, false) };
    let thread = thread::thread_idx_x();
    bins::<K, THREADS>(&layout).clear();
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
        Bucket::<K, K, DIGIT_BITS, THREADS, ITEMS, false, Together>::new(arg, claimed, Together)
            .sort_by_bins();
    }
}

impl<
    K: Key,
    W: Key,
    const COMMON: u32,
    const THREADS: usize,
    const ITEMS: usize,
    const PAIRED: bool,
    P: Places,
> Bucket<K, W, COMMON, THREADS, ITEMS, PAIRED, P>
{
    const BY_BINS: Layout<W> = Layout::of(THREADS, ITEMS, PAIRED);
    /// True if windows sort.
    const BY_WINDOWS: bool = W::BITS <= 32;

    /// The bin of a word, of the bits before `end`.
    #[inline(always)]
    fn bin(end: u32) -> impl Fn(W) -> u32 + Copy {
        let count = const { InBins::<W, THREADS>::COUNT };
        let shift = match COMMON {
            0 => end.saturating_sub(count.ilog2()),
            _ => end - count.ilog2(),
        };
        let shift = hint::opaque(shift);
        move |word: W| word.digit(shift, count - 1, 0)
    }

    /// One more than the highest bit that these words differ in. Top bits are as many as there are
    /// buckets for.
    #[inline(always)]
    unsafe fn end(&self, words: &[W; ITEMS]) -> u32 {
        match COMMON {
            0 => self.varying(words, Self::BY_BINS.sums.shared()),
            _ => K::BITS - thread::grid_dim_x().ilog2(),
        }
    }

    #[inline(always)]
    pub(crate) unsafe fn bins() -> InBins<W, THREADS> {
        bins(&Self::BY_BINS)
    }

    /// True if bins of a segment shortly before were crowded, as those of this one may be.
    #[inline(always)]
    unsafe fn expects_crowds(&self) -> bool {
        self.claimed.get(3) != 0
    }

    /// Keeps the block's next seven segments from bins: of eight, one is counted in vain.
    #[inline(always)]
    unsafe fn expect_crowds(&self) {
        self.claimed.set(3, 8);
    }

    /// Sorts the bucket, whose bins are clear; by rounds, if one is crowded.
    #[inline(always)]
    pub(crate) unsafe fn sort_by_bins(self) {
        let mut words = self.load();
        let end = self.end(&words);
        let (share, bins) = (self.share(), Self::bins());
        let ranks = match COMMON == 0 && self.expects_crowds() {
            true => None,
            false => bins.count(&words, |i| share.has(i), Self::bin(end)),
        };
        let Some(ranks) = ranks else {
            // Or the compiler prepares for it before that is known, in registers that keys need.
            thread::sync_threads();
            if COMMON == 0 && thread::thread_idx_x() == 0 && !self.expects_crowds() {
                self.expect_crowds();
            }
            let end = if COMMON == 0 { end } else { Self::END };
            return self.sort_by_rounds(&mut words, end);
        };
        bins.scan(self.count());
        let share = self.share();
        bins.scatter(&words, &ranks, |i| share.has(i), Self::bin(end), |_, _| ());
        if Self::BY_WINDOWS {
            self.fill_up();
            thread::sync_threads();
            self.order_by_windows();
        } else {
            if self.moves_values() {
                self.stage_values(self.share(), self.begin(), Self::BY_BINS.values.shared());
            }
            thread::sync_threads();
            self.order_by_counting(end);
        }
    }

    /// Keys that rank last behind those of the bucket, as far as windows reach.
    #[inline(always)]
    unsafe fn fill_up(&self) {
        let beyond = thread::thread_idx_x() as usize;
        if beyond < 2 * ITEMS {
            let sorted = Self::BY_BINS.words.shared();
            sorted.set(self.count() as usize + beyond, !W::from_u64(0));
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
        let mut words = [W::default(); ITEMS];
        for i in 0..ITEMS {
            words[i] = window.get(i);
        }
        for turn in 0..TURNS.min(ITEMS) {
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
    unsafe fn order_by_counting(&self, end: u32) {
        let (begin, count) = (self.begin() as usize, self.count());
        let (output, values) =
            (self.arg.output.offset(begin), self.arg.output_values.offset(begin));
        let (order_mask, encode) = (self.arg.order_mask, self.arg.options & control::ENCODE != 0);
        let mut first = 0;
        while first < ITEMS {
            hint::keep_loop();
            let (words, slots) = Self::bins().in_order::<AT_ONCE>(
                first,
                AT_ONCE,
                count,
                Self::bin(end),
                bins::as_they_stand,
            );
            for i in 0..AT_ONCE {
                if slots[i] < count {
                    let slot = slots[i] as usize;
                    let key = K::from_u64((words[i] >> Self::SLOT).to_u64()) ^ order_mask;
                    output.set(slot, if encode { key.encode() } else { key });
                    if PAIRED {
                        values.set(slot, self.value(words[i], Self::BY_BINS.values.shared()));
                    }
                }
            }
            first += AT_ONCE;
        }
    }
}
