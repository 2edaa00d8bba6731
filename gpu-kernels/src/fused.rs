//! Sorts a few thousand to 2^19 keys in one launch: a pass by ranges of keys, then one block sorts
//! each range.
//!
//! Launches and waiting bound so few keys, not memory. Each key is read and written twice, with
//! two grid barriers:
//!
//! 1. **Look.** Every block looks at the same sample of all keys, so all decide the same. The
//!    sample shares some leading bits. If keys are even behind these, the digit that follows
//!    splits them into ranges; if not, splitters do.
//! 2. **Count.** A block ranks the keys of its tile by range, and adds the count of each range to
//!    a word of the device by one atomic addition. The addition returns the place of the tile's
//!    keys in the range: the *claim*. Ranges are sorted later, so any order of these additions is
//!    right.
//! 3. **Barrier.** Every block reads the totals. Their prefix sums are the starts of the ranges.
//! 4. **Store.** Keys go to their ranges in the output. No other memory is needed: the input has
//!    been read by then, and one block reads and writes a range.
//! 5. **Barrier**, then one range per block. A range of a digit is counted in eight bins per
//!    thread, by shared atomics; the one or two keys of a bin are ordered by counting the lesser
//!    ones. A range between splitters, or one with a contended bin, is sorted by a bitonic
//!    [`network`](crate::network), whose time does not depend on the keys.
//!
//! There are as many ranges as blocks, a power of two, which gives the bits of the digit. If keys
//! are few, each block reads all of them, without counting or waiting: see `fused_select`.
//!
//! # Uneven keys
//! Every block sorts a larger sample, the same for all, and takes each 8th or 32nd key of it as a
//! splitter (samplesort: Frazer and McKellar 1970). Keys equal to a splitter are in place at once,
//! so keys with few values need no more sorting. The first sample may mislead: a digit may have
//! more keys than a block holds. All blocks know that after the first barrier, and count again by
//! splitters.
//!
//! # Values
//! A word of 64 bits holds the key above its index. All words differ, so splitters divide any
//! distribution evenly, and the sort is stable. Indices are kept in a scratch buffer meanwhile. In
//! place, a third barrier precedes the values' writes, because other blocks read them.
//!
//! # Progress without an order of blocks
//! A grid barrier needs all blocks on the device. All of them pass the first, or none: if patience
//! ends, a block withdraws, all leave, and the last one sorts everything by a network in device
//! memory. Blocks that have passed the first barrier are all on the device, and wait for each
//! other without a bound. The network in device memory also sorts a range between splitters that
//! is too large for a block. If a block holds four times the mean and each splitter has 8 samples,
//! that is one sort in 70,000; with twice and 32, one in 2000.
//!
//! # Predicted for an H200
//! A laboratory in CUDA C++ measured all steps but the look, for 2^12, 2^14, 2^16 and 2^18 keys:
//! 6.9, 7.6, 9.6 and 13.1 us for 4 bytes, 7.0, 7.5, 9.2 and 13.6 us for 8; see `docs/LAB.md`.

use crate::bins::Bins;
use crate::control;
use crate::key::Key;
use crate::layout::{Builder, Part};
use crate::policy::Shape;
use crate::scale::Scale;
use crate::scan;
use core::marker::PhantomData;
use cuda_std::{ext::*, prelude::*};

/// The arguments. The input may be the output, of keys and of values. Values and indices are not
/// accessed where there are none.
#[derive(Clone, Copy)]
pub struct Fused<K> {
    pub input: Global<K>,
    pub output: Global<K>,
    pub input_values: Global<u32>,
    pub output_values: Global<u32>,
    /// Scratch, apart from all others.
    pub indices: Global<u32>,
    /// Words through which blocks agree: see [`words`].
    pub control: Global<u32>,
    pub n: u32,
    pub order_mask: K,
    pub options: u32,
}

/// Most blocks, and so ranges.
pub const RANGES_MAX: usize = 128;
/// Keys that are looked at, at most, and those of a thread where blocks are small.
const LOOKED_AT: usize = 512;
const LOOKS_MAX: usize = 2;
/// Samples of a range that splitters are chosen from, where a block holds four times the mean.
pub const SAMPLES: usize = 8;
/// Samples of a thread, of which the smallest block has enough for all ranges. Where a block holds
/// less than four times the mean, all are taken: 32 of a range in blocks of 1024 threads.
pub(crate) const SAMPLES_OF_THREAD: usize = 4;

/// Claims of digits; behind them those of what lies between splitters, and of what equals one, in
/// turns.
pub(crate) const CLAIMS: usize = 16;

/// Words of device memory for so many blocks, which are zero between sorts, but for the uppermost
/// bit of one.
pub const fn words(blocks: usize) -> usize {
    CLAIMS + 3 * blocks
}

/// Blocks that sort `n` keys: so many that each thread has one, if there can be.
pub const fn blocks(n: usize, threads: usize) -> usize {
    let most = if threads / 2 < RANGES_MAX { threads / 2 } else { RANGES_MAX };
    let blocks = n.div_ceil(threads).next_power_of_two();
    if blocks > most { most } else { blocks }
}

/// Keys of a thread in a tile, of `items` in a range: a block holds four times the mean, or of
/// many items twice.
pub const fn loaded(items: usize) -> usize {
    if items < 8 { items / 4 } else { items / 2 }
}

/// Keys that a thread looks at, if there are so many.
pub(crate) const fn looks(threads: usize) -> usize {
    if threads < LOOKED_AT { LOOKS_MAX } else { 1 }
}

/// Most keys that blocks of this shape sort.
pub const fn most(shape: Shape) -> u64 {
    (RANGES_MAX * shape.threads * loaded(shape.items)) as u64
}

/// Bytes of shared memory, for words of type `W`.
pub const fn shared_bytes<W: Key>(shape: Shape) -> usize {
    Layout::<W>::of(shape.threads, shape.items, RANGES_MAX).bytes
}

pub(crate) struct Layout<W> {
    /// Eight bins of 16 bits to an element, and the end of the last.
    pub bins: Part<u128>,
    pub words: Part<W>,
    pub splitters: Part<W>,
    /// Counts of ranges; then what leads from a rank to a place.
    pub counts: Part<u32>,
    /// Where each range begins, and the last ends; before, how many of the sample it has.
    pub starts: Part<u32>,
    pub sums: Part<u32>,
    pub bytes: usize,
}

impl<W: Key> Layout<W> {
    /// For so many words of a thread, and ranges.
    pub const fn of(threads: usize, items: usize, ranges: usize) -> Self {
        let mut all = Builder::new();
        Layout {
            bins: all.part(threads + 1),
            words: all.part(threads * items),
            splitters: all.part(ranges),
            counts: all.part(2 * ranges),
            starts: all.part(2 * ranges + 1),
            sums: all.part(64),
            bytes: all.bytes(),
        }
    }
}

/// The kernel: as many [`blocks`] of `THREADS` threads, a power of two and at least 64, each with
/// at most `THREADS * LOADED` keys of the input. Of a range a block holds `THREADS * ITEMS`, a
/// power of two. The words `W` are keys, or with values have keys of 4 bytes above their indices.
#[inline(always)]
pub unsafe fn fused<
    K: Key,
    W: Key,
    const THREADS: usize,
    const LOADED: usize,
    const ITEMS: usize,
    const PAIRED: bool,
>(
    arg: Fused<K>,
) {
    trigger_dependents();
    sync_predecessor();
    Sorter::<K, W, THREADS, LOADED, ITEMS, PAIRED, 0>::new(arg).sort();
}

/// A block's view of its work. There are `RANGES` ranges, or as many as blocks if that is 0.
#[derive(Clone, Copy)]
pub(crate) struct Sorter<
    K,
    W,
    const THREADS: usize,
    const LOADED: usize,
    const ITEMS: usize,
    const PAIRED: bool,
    const RANGES: usize,
> {
    pub(crate) arg: Fused<K>,
    pub(crate) thread: u32,
    word: PhantomData<W>,
}

/// A thread's words of a block's tile, unless they are staged, and how many the tile has.
#[derive(Clone, Copy)]
pub(crate) struct Tile<W, const LOADED: usize> {
    pub(crate) words: [W; LOADED],
    pub(crate) valid: u32,
}

/// The ranges of a tile's words, and how many there are: as many as blocks by digits, and twice
/// as many by splitters.
#[derive(Clone, Copy)]
pub(crate) struct Ranges<const LOADED: usize> {
    pub(crate) of: [u32; LOADED],
    kinds: u32,
}

impl<
    K: Key,
    W: Key,
    const THREADS: usize,
    const LOADED: usize,
    const ITEMS: usize,
    const PAIRED: bool,
    const RANGES: usize,
> Sorter<K, W, THREADS, LOADED, ITEMS, PAIRED, RANGES>
{
    pub(crate) const LAYOUT: Layout<W> = {
        assert!(THREADS >= 64 && THREADS.is_power_of_two());
        Layout::of(THREADS, if LOADED > ITEMS { LOADED } else { ITEMS }, Self::RANGES_MAX)
    };

    pub(crate) const HELD: u32 = (THREADS * ITEMS) as u32;

    /// Most ranges.
    const RANGES_MAX: usize = if RANGES == 0 { RANGES_MAX } else { RANGES };

    /// True if a thread's words are so many that they do not stay in registers.
    const STAGED: bool = RANGES == 0 && LOADED > 1;

    const LOOKED_AT: u32 =
        (if THREADS < LOOKED_AT { THREADS * LOOKS_MAX } else { LOOKED_AT }) as u32;

    #[inline(always)]
    pub(crate) unsafe fn bins(&self) -> Bins<W, THREADS, 1> {
        Bins {
            words: Self::LAYOUT.words.shared(),
            begins: Self::LAYOUT.bins.shared().cast(),
            sums: Self::LAYOUT.sums.shared(),
            thread: self.thread,
        }
    }

    #[inline(always)]
    pub(crate) fn blocks(&self) -> u32 {
        thread::grid_dim_x()
    }

    #[inline(always)]
    pub(crate) fn ranges(&self) -> u32 {
        if RANGES == 0 { self.blocks() } else { RANGES as u32 }
    }

    /// The end of the words of claims.
    #[inline(always)]
    pub(crate) fn claims_end(&self) -> usize {
        if RANGES == 0 { words(self.blocks() as usize) } else { CLAIMS + RANGES }
    }

    #[inline(always)]
    fn encodes(&self) -> bool {
        self.arg.options & control::ENCODE != 0
    }

    /// The word of key `index` of the input: its code ranks as the key among unsigned words.
    #[inline(always)]
    pub(crate) fn word(&self, key: K, index: u32) -> W {
        let code = (if self.encodes() { key.encode() } else { key }) ^ self.arg.order_mask;
        let code = code.to_u64();
        W::from_u64(if PAIRED { code << 32 | index as u64 } else { code })
    }

    #[inline(always)]
    pub(crate) fn key(&self, word: W) -> K {
        let code = word.to_u64();
        let key = K::from_u64(if PAIRED { code >> 32 } else { code }) ^ self.arg.order_mask;
        if self.encodes() { key.encode() } else { key }
    }

    /// A word on its way, from the output and the indices.
    #[inline(always)]
    pub(crate) unsafe fn stored(&self, slot: u32) -> W {
        let code = self.arg.output.get(slot as usize).to_u64();
        if !PAIRED {
            return W::from_u64(code);
        }
        W::from_u64(code << 32 | self.arg.indices.get(slot as usize) as u64)
    }

    #[inline(always)]
    pub(crate) unsafe fn store(&self, slot: u32, word: W) {
        let word = word.to_u64();
        self.arg.output.set(slot as usize, K::from_u64(if PAIRED { word >> 32 } else { word }));
        if PAIRED {
            self.arg.indices.set(slot as usize, word as u32);
        }
    }

    #[inline(always)]
    pub(crate) fn new(arg: Fused<K>) -> Self {
        Sorter { arg, thread: thread::thread_idx_x(), word: PhantomData }
    }

    /// The same, but nothing known of the thread is kept for it.
    #[inline(always)]
    pub(crate) fn rematerialized(mut self) -> Self {
        self.thread = hint::opaque(self.thread);
        self
    }

    #[inline(always)]
    unsafe fn sort(self) {
        if self.selects() {
            return self.rematerialized().sort_selected();
        }
        let Some(scale) = self.partition() else {
            return self.leave(self.claims_end());
        };
        self.grid_barrier();
        self.clear_behind();
        let range = thread::block_idx_x() << scale.is_none() as u32;
        let begin = Self::LAYOUT.starts.shared().get(range as usize);
        let count = Self::LAYOUT.starts.shared().get(range as usize + 1) - begin;
        self.rematerialized().sort_range(begin, count, scale);
    }

    /// Stores keys in their ranges: of digits, whose scale it returns, or between splitters.
    /// Returns `None`, in all blocks, if there is no room for all of them on the device; nothing
    /// is stored then.
    #[inline(always)]
    unsafe fn partition(&self) -> Option<Option<Scale<W>>> {
        let sample = self.look();
        let tile = self.load();
        let (scale, even) = self.judge(sample);
        let (mut by_splitters, mut entered) = (!even, false);
        loop {
            hint::keep_loop();
            if by_splitters {
                self.choose_splitters();
            }
            let ranges = self.ranges_of(&tile, scale, by_splitters);
            let (ranks, claim) = self.claim(ranges, tile.valid);
            if entered {
                self.grid_barrier();
            } else if !self.enter() {
                return None;
            }
            let total = self.total(ranges);
            if thread::sync_threads_or(!by_splitters && total > Self::HELD) {
                (by_splitters, entered) = (true, true);
                continue;
            }
            self.settle(total, claim);
            self.scatter(&tile, ranges, ranks);
            return Some(if by_splitters { None } else { Some(scale) });
        }
    }

    /// Words of a sample of all keys, the same in every block.
    #[inline(always)]
    pub(crate) unsafe fn look(&self) -> [W; LOOKS_MAX] {
        let mut words = [W::default(); LOOKS_MAX];
        for i in 0..looks(THREADS) {
            let number = (i * THREADS) as u32 + self.thread;
            words[i] = self.sample(number % Self::LOOKED_AT, Self::LOOKED_AT.ilog2());
        }
        words
    }

    /// The word of one of `1 << bits` evenly spread keys.
    #[inline(always)]
    pub(crate) unsafe fn sample(&self, number: u32, bits: u32) -> W {
        let index = (number * self.arg.n) >> bits;
        self.word(self.arg.input.get(index as usize), index)
    }

    /// The scale of the leading bits that a sample has in common, and whether it is even on it:
    /// no digit has more than about three times its share. Also clears the bins and all counts.
    /// It has two barriers.
    #[inline(always)]
    pub(crate) unsafe fn judge(&self, sample: [W; LOOKS_MAX]) -> (Scale<W>, bool) {
        let (sample, first) = (&sample[..looks(THREADS)], self.sample(0, 0));
        let differing = sample.iter().fold(0, |bits, word| bits | (*word ^ first).to_u64());
        scan::leave_or(differing, Self::LAYOUT.sums.shared());
        self.clear_counts();
        self.bins().clear();
        thread::sync_threads();
        let differing = scan::block_or(THREADS / 32, Self::LAYOUT.sums.shared());
        let varying = u64::BITS - differing.leading_zeros();
        let bits = self.ranges().ilog2();
        let scale = Scale::of(first, varying, bits);
        let most = ((2 * Self::LOOKED_AT) >> bits) + 6;
        let (counts, mut uneven) = (Self::LAYOUT.starts.shared(), false);
        for word in sample {
            let digit = scale.digit(*word);
            uneven |= self.rank(counts, digit, self.thread < Self::LOOKED_AT) >= most;
        }
        (scale, !thread::sync_threads_or(uneven))
    }

    /// Returns true if item `i` of this thread exists, in a tile of so many keys.
    #[inline(always)]
    pub(crate) fn has(&self, i: usize, valid: u32) -> bool {
        self.thread + ((i * THREADS) as u32) < valid
    }

    /// Where this thread's words wait if they are many: where a range is sorted later, behind the
    /// sample.
    #[inline(always)]
    unsafe fn staged(&self) -> Shared<W> {
        let first = const { THREADS * SAMPLES_OF_THREAD };
        Self::LAYOUT.words.shared().offset(first + self.thread as usize)
    }

    /// Word `i` of this thread, if it exists.
    #[inline(always)]
    unsafe fn word_of_tile(&self, tile: &Tile<W, LOADED>, i: usize) -> W {
        if !Self::STAGED {
            tile.words[i]
        } else if self.has(i, tile.valid) {
            self.staged().get(i * THREADS)
        } else {
            W::default()
        }
    }

    /// The tile.
    #[inline(always)]
    pub(crate) unsafe fn load(&self) -> Tile<W, LOADED> {
        let bits = self.blocks().ilog2();
        let tile = match RANGES {
            0 => (((self.arg.n - 1) >> bits) + 1).next_multiple_of(32),
            _ => (THREADS * LOADED) as u32,
        };
        let begin = (thread::block_idx_x() * tile).min(self.arg.n);
        let valid = tile.min(self.arg.n - begin);
        let mut keys = [K::default(); LOADED];
        let first = begin + self.thread;
        let input = self.arg.input.offset(first as usize);
        for i in 0..LOADED {
            if self.has(i, valid) {
                keys[i] = input.get(i * THREADS);
            }
        }
        let mut words = [W::default(); LOADED];
        for i in 0..LOADED {
            words[i] = self.word(keys[i], first + (i * THREADS) as u32);
            if Self::STAGED && self.has(i, valid) {
                self.staged().set(i * THREADS, words[i]);
            }
        }
        Tile { words, valid }
    }

    #[inline(always)]
    unsafe fn clear_counts(&self) {
        if self.thread < 2 * Self::RANGES_MAX as u32 {
            Self::LAYOUT.counts.shared().set(self.thread as usize, 0);
            Self::LAYOUT.starts.shared().set(self.thread as usize, 0);
        }
    }

    #[inline(always)]
    pub(crate) unsafe fn ranges_of(
        &self,
        tile: &Tile<W, LOADED>,
        scale: Scale<W>,
        by_splitters: bool,
    ) -> Ranges<LOADED> {
        let mut of = [0; LOADED];
        for i in 0..LOADED {
            let word = self.word_of_tile(tile, i);
            of[i] = if by_splitters { self.range_of(word) } else { scale.digit(word) };
        }
        Ranges { of, kinds: self.ranges() << by_splitters as u32 }
    }

    /// Counts the tile's ranges and claims offsets for them. Returns the words' ranks among those
    /// of the tile in their range, and what a range's thread has claimed. It has a barrier, and
    /// one stands before.
    #[inline(always)]
    pub(crate) unsafe fn claim(&self, ranges: Ranges<LOADED>, valid: u32) -> ([u32; LOADED], u32) {
        let counts = Self::LAYOUT.counts.shared();
        let mut ranks = [0; LOADED];
        for i in 0..LOADED {
            ranks[i] = self.rank(counts, ranges.of[i], self.has(i, valid));
        }
        thread::sync_threads();
        let mut claim = 0;
        if self.thread < ranges.kinds {
            let count = counts.get(self.thread as usize);
            if count > 0 {
                let (order, scope) = (Ordering::Relaxed, Scope::Device);
                claim = self.arg.control.fetch_add(self.word_of(ranges), count, order, scope);
            }
        }
        (ranks, claim)
    }

    /// The control word of this thread's range.
    #[inline(always)]
    fn word_of(&self, ranges: Ranges<LOADED>) -> usize {
        let first = if ranges.kinds == self.ranges() { 0 } else { self.ranges() };
        CLAIMS + (first + self.thread) as usize
    }

    /// The rank of a range among those counted, in no order. A row of one range is counted at
    /// once: its lanes would wait for each other. All lanes call.
    #[inline(always)]
    unsafe fn rank(&self, counts: Shared<u32>, range: u32, valid: bool) -> u32 {
        let lane = self.thread % 32;
        let first = lanes::shuffle_idx(lanes::FULL, range, 0);
        let (mut rank, mut counted) = (0, 1);
        let alike = lanes::all(lanes::FULL, valid && range == first);
        if alike {
            counted = 32;
        }
        if valid && (!alike || lane == 0) {
            rank = counts.fetch_add(range as usize, counted);
        }
        let of_row = lanes::shuffle_idx(lanes::FULL, rank, 0);
        if alike { of_row + lane } else { rank }
    }

    /// How many keys this thread's range has. All blocks have claimed theirs before a barrier.
    #[inline(always)]
    pub(crate) unsafe fn total(&self, ranges: Ranges<LOADED>) -> u32 {
        if self.thread >= ranges.kinds {
            return 0;
        }
        self.arg.control.get(self.word_of(ranges))
    }

    /// Leaves where ranges begin, and what leads from a word's rank in the tile to its place. A
    /// barrier stands before, and this ends in one.
    #[inline(always)]
    unsafe fn settle(&self, total: u32, claim: u32) {
        let begin = self.sum_before(total);
        let thread = self.thread as usize;
        if thread < 2 * Self::RANGES_MAX {
            Self::LAYOUT.starts.shared().set(thread, begin);
            Self::LAYOUT.counts.shared().set(thread, begin + claim);
        }
        if thread == 0 {
            Self::LAYOUT.starts.shared().set(2 * Self::RANGES_MAX, self.arg.n);
        }
        thread::sync_threads();
    }

    /// Stores the tile's words in their ranges. One that equals a splitter is in its place.
    #[inline(always)]
    unsafe fn scatter(&self, tile: &Tile<W, LOADED>, ranges: Ranges<LOADED>, ranks: [u32; LOADED]) {
        for i in 0..LOADED {
            if self.has(i, tile.valid) {
                let word = self.word_of_tile(tile, i);
                let begin = Self::LAYOUT.counts.shared().get(ranges.of[i] as usize);
                let slot = begin + ranks[i];
                if !PAIRED && ranges.kinds > self.ranges() && ranges.of[i] % 2 == 1 {
                    self.arg.output.set(slot as usize, self.key(word));
                } else {
                    self.store(slot, word);
                }
            }
        }
    }

    /// The sum of what the threads before this one have. It has a barrier, and one stands between
    /// two calls.
    #[inline(always)]
    pub(crate) unsafe fn sum_before(&self, value: u32) -> u32 {
        let (lane, warp) = (self.thread % 32, self.thread as usize / 32);
        let inclusive = scan::warp_inclusive(value, lane);
        if lane == 31 {
            Self::LAYOUT.sums.shared().set(warp, inclusive);
        }
        thread::sync_threads();
        let warps = const { THREADS / 32 };
        let mut sum = 0;
        if (lane as usize) < warps {
            sum = Self::LAYOUT.sums.shared().get(lane as usize);
        }
        let before = scan::warp_inclusive(sum, lane) - sum;
        let before = lanes::shuffle_idx(lanes::FULL, before, warp as u32);
        before + inclusive - value
    }
}
