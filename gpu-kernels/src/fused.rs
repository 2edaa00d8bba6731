//! Sorts a few thousand to 2^18 keys in one launch: one pass by the top digit, then a bucket a
//! block.
//!
//! So few keys are bound by launches and by waiting, not by what moves. Here each key is read and
//! written twice, between two grid barriers:
//!
//! 1. **Count.** A block ranks the keys of its tile by their top digit, and adds each digit's
//!    count to a word of the device by one atomic. That returns where the tile's keys of the
//!    digit go among all of them: its *claim*. Equal keys alone cannot be told apart, so no order
//!    of atomics matters.
//! 2. **Barrier.** Every block reads the totals. Their prefix sums are the buckets' starts.
//! 3. **Store.** Keys go to their buckets in the output, which is all the memory it takes: the
//!    input has been read by then, and a bucket is read and written by one block.
//! 4. **Barrier**, and a block a bucket: keys are counted in eight bins a thread, by shared
//!    atomics, and those of a bin, one or two of them, are put in order by counting the lesser
//!    ones.
//!
//! Buckets are as many as blocks, a power of two, and the digit has as many bits as that takes.
//!
//! Of many keys a few are looked at first, the same by every warp: digits then begin behind the
//! leading bits that these have in common, and keys that have others go with the first or the
//! last. So keys that are even behind some bits need no splitters. To look costs fewer keys more
//! than it gains.
//!
//! # Uneven keys
//! If a bucket is larger than a block holds, all blocks know it after the first barrier, and go
//! on by *splitters*, as a samplesort does. Each tile has left some keys as samples; a block
//! ranks its own samples among all; and those of every 16th rank split the keys into as many
//! ranges as there are blocks. A key that equals a splitter is in its place at once, so that keys
//! of few values need no further sorting. It takes two more barriers.
//!
//! A range between splitters is sorted by a bitonic network in shared memory, whose time does not
//! depend on the keys; and so is a bucket one of whose bins is contended.
//!
//! # Progress without an order of blocks
//! A grid barrier needs all blocks on the device. The first is passed by all of them or by none:
//! where patience ends, a block withdraws, all leave, and the last of them sorts everything by
//! itself, by the same network in device memory. Blocks that have passed the first barrier are on
//! the device, and wait for each other without a bound. The network in device memory is also for
//! a range between splitters that is larger than a block holds: at three times the mean, and of
//! 16 samples each, one in ten million.
//!
//! # Predicted for an H200
//! A laboratory in CUDA C++ measured the four steps alone, for 2^12, 2^14, 2^16 and 2^18 keys:
//! 6.9, 7.6, 9.6 and 13.1 us of 4 bytes, 7.0, 7.5, 9.2 and 13.6 us of 8. Splitters and networks
//! add 7 to 9 us; see `docs/LAB.md`.

use crate::control;
use crate::key::Key;
use crate::layout::{Builder, Part};
use crate::policy::Shape;
use crate::scan;
use cuda_std::{ext::*, prelude::*};

/// The arguments. The input may be the output.
#[derive(Clone, Copy)]
pub struct Fused<K> {
    pub input: Global<K>,
    pub output: Global<K>,
    /// Words through which blocks agree: see [`words`].
    pub control: Global<u32>,
    pub n: u32,
    pub order_mask: K,
    pub options: u32,
}

/// Most blocks, and so buckets.
pub const BUCKETS_MAX: usize = 128;
/// Keys of a lane that leading bits are taken from.
const LOOKED_AT: usize = 2;
/// Samples of a tile: of so many a range.
pub const SAMPLES: usize = 16;
/// Bins a thread, which it scans by one access.
pub(crate) const BINS: usize = 8;

/// Claims of top digits.
pub(crate) const CLAIMS: usize = 16;
/// Claims of what lies between splitters, and of what equals one, in turns.
pub(crate) const RANGES: usize = CLAIMS + BUCKETS_MAX;
/// Words that are zero between sorts, but for the uppermost bit of one.
pub const ZERO: usize = RANGES + 2 * BUCKETS_MAX;

/// Words of device memory for so many blocks: those above, the samples, and the splitters.
pub const fn words<K: Key>(blocks: usize) -> usize {
    ZERO + (SAMPLES + 1) * blocks * K::DIGITS.div_ceil(4)
}

/// Blocks that sort `n` keys: so many that each thread has one, if there can be.
pub const fn blocks(n: usize, threads: usize) -> usize {
    let most = if threads / 2 < BUCKETS_MAX { threads / 2 } else { BUCKETS_MAX };
    let blocks = n.div_ceil(threads).next_power_of_two();
    if blocks > most { most } else { blocks }
}

/// Keys of a thread in a tile, of `items` in a bucket, which holds three times the mean.
pub const fn loaded(items: usize) -> usize {
    items / 3
}

/// Most keys that blocks of this shape sort.
pub const fn most(shape: Shape) -> u64 {
    (BUCKETS_MAX * shape.threads * loaded(shape.items)) as u64
}

pub const fn shared_bytes<K: Key>(shape: Shape) -> usize {
    Layout::<K>::of(shape.threads, shape.items).bytes
}

pub(crate) struct Layout<K> {
    /// Eight bins of 16 bits to an element, and the end of the last.
    pub bins: Part<u128>,
    pub keys: Part<K>,
    pub splitters: Part<K>,
    /// Counts of digits; then what leads from a rank to a place.
    pub counts: Part<u32>,
    /// Where each bucket begins, and the last ends.
    pub starts: Part<u32>,
    pub sums: Part<u32>,
    pub ranks: Part<u32>,
    bytes: usize,
}

impl<K: Key> Layout<K> {
    const fn of(threads: usize, items: usize) -> Self {
        let samples = SAMPLES * BUCKETS_MAX;
        let held = if threads * items > samples { threads * items } else { samples };
        let mut all = Builder::new();
        Layout {
            bins: all.part(threads + 1),
            keys: all.part(held),
            splitters: all.part(BUCKETS_MAX),
            counts: all.part(2 * BUCKETS_MAX),
            starts: all.part(2 * BUCKETS_MAX + 1),
            sums: all.part(32),
            ranks: all.part(SAMPLES),
            bytes: all.bytes(),
        }
    }
}

/// The kernel: as many [`blocks`] of `THREADS` threads, a power of two and at least 64, each with
/// at most `THREADS * LOADED` keys of the input. Of a bucket a block holds `THREADS * ITEMS`.
#[inline(always)]
pub unsafe fn fused<K: Key, const THREADS: usize, const LOADED: usize, const ITEMS: usize>(
    arg: Fused<K>,
) {
    trigger_dependents();
    sync_predecessor();
    Sorter::<K, THREADS, LOADED, ITEMS> { arg, thread: thread::thread_idx_x() }.sort();
}

/// A block's view of its work.
#[derive(Clone, Copy)]
pub(crate) struct Sorter<K, const THREADS: usize, const LOADED: usize, const ITEMS: usize> {
    pub(crate) arg: Fused<K>,
    pub(crate) thread: u32,
}

/// How codes are cut into buckets and bins: equal parts of what has some leading bits, to which
/// other codes are brought.
#[derive(Clone, Copy)]
pub(crate) struct Scale {
    /// The least code with these bits.
    least: u64,
    /// The bits behind them, all set.
    most: u64,
    /// Bits below the bucket's.
    shift: u32,
}

impl Scale {
    /// Of codes that have all but the lower `varying` bits in common with `code`.
    #[inline(always)]
    fn of(code: u64, varying: u32, buckets: u32) -> Self {
        let most = if varying == 0 { 0 } else { u64::MAX >> (u64::BITS - varying) };
        Scale { least: code & !most, most, shift: varying.saturating_sub(buckets) }
    }

    #[inline(always)]
    fn below<K: Key>(self, code: K) -> u64 {
        (code.to_u64().max(self.least) - self.least).min(self.most)
    }

    #[inline(always)]
    fn bucket<K: Key>(self, code: K) -> u32 {
        // One bucket of whole keys leaves as many bits as a word has.
        (self.below(code) >> (self.shift / 2) >> self.shift.div_ceil(2)) as u32
    }

    /// The bin within a bucket, of a power of two of them.
    #[inline(always)]
    pub(crate) fn bin<K: Key>(self, code: K, bins: u32) -> u32 {
        (self.below(code) >> self.shift.saturating_sub(bins.ilog2())) as u32 % bins
    }
}

/// The digits that a tile's keys are counted by, and where.
#[derive(Clone, Copy)]
pub(crate) struct Digits<const LOADED: usize> {
    pub(crate) digits: [u32; LOADED],
    /// The first of the control words that are claimed, and how many there are.
    pub(crate) words: usize,
    pub(crate) kinds: u32,
}

impl<K: Key, const THREADS: usize, const LOADED: usize, const ITEMS: usize>
    Sorter<K, THREADS, LOADED, ITEMS>
{
    pub(crate) const LAYOUT: Layout<K> = {
        assert!(THREADS >= 64 && THREADS.is_power_of_two());
        Layout::of(THREADS, ITEMS)
    };

    pub(crate) const HELD: u32 = (THREADS * ITEMS) as u32;

    #[inline(always)]
    pub(crate) unsafe fn bins(&self) -> Shared<u32> {
        Self::LAYOUT.bins.shared().cast()
    }

    /// All tiles' samples, and behind them the splitters.
    #[inline(always)]
    pub(crate) unsafe fn samples(&self) -> Global<K> {
        self.arg.control.offset(ZERO).cast()
    }

    #[inline(always)]
    pub(crate) fn blocks(&self) -> u32 {
        thread::grid_dim_x()
    }

    #[inline(always)]
    fn bits(&self) -> u32 {
        31 - self.blocks().leading_zeros()
    }

    /// The code of a key, which ranks as the key among unsigned words.
    #[inline(always)]
    pub(crate) fn code(&self, key: K) -> K {
        let encodes = self.arg.options & control::ENCODE != 0;
        (if encodes { key.encode() } else { key }) ^ self.arg.order_mask
    }

    #[inline(always)]
    pub(crate) fn key(&self, code: K) -> K {
        let key = code ^ self.arg.order_mask;
        let encodes = self.arg.options & control::ENCODE != 0;
        if encodes { key.encode() } else { key }
    }

    /// A few keys, the same in every warp, if they are asked for: the first of all, and others.
    #[inline(always)]
    unsafe fn look(&self) -> [K; LOOKED_AT] {
        let mut keys = [K::from_u64(0); LOOKED_AT];
        if self.arg.options & control::RANGED != 0 {
            let apart = self.arg.n / (32 * LOOKED_AT as u32);
            for i in 0..LOOKED_AT {
                let number = (32 * i as u32 + self.thread % 32) * apart;
                keys[i] = self.arg.input.get(number as usize);
            }
        }
        keys
    }

    /// The leading bits that these keys have in common; of all codes if they were not asked for.
    #[inline(always)]
    fn scale(&self, keys: [K; LOOKED_AT]) -> Scale {
        if self.arg.options & control::RANGED == 0 {
            return Scale::of(0, K::BITS, self.bits());
        }
        let codes = keys.map(|key| self.code(key).to_u64());
        let half =
            |code: u64, shift: u32| lanes::shuffle_idx(lanes::FULL, (code >> shift) as u32, 0);
        let first = half(codes[0], 0) as u64 | (half(codes[0], 32) as u64) << 32;
        let differing = codes.iter().fold(0, |bits, &code| bits | (code ^ first));
        let low = scan::warp_or(differing as u32) as u64;
        let differing = low | (scan::warp_or((differing >> 32) as u32) as u64) << 32;
        Scale::of(first, u64::BITS - differing.leading_zeros(), self.bits())
    }

    #[inline(always)]
    unsafe fn sort(self) {
        let looked_at = self.look();
        let (codes, valid) = self.load();
        let scale = self.scale(looked_at);
        self.leave_sample(codes[0]);
        self.clear_counts();
        self.bins().cast::<u128>().set(self.thread as usize, 0);
        thread::sync_threads();
        let mut digits = [0; LOADED];
        for i in 0..LOADED {
            digits[i] = scale.bucket(codes[i]);
        }
        let digits = Digits { digits, words: CLAIMS, kinds: self.blocks() };
        let (ranks, claim) = self.claim(digits, valid);
        if !self.enter() {
            return self.leave();
        }
        let total = self.total(digits);
        if thread::sync_threads_or(total > Self::HELD) {
            return self.by_splitters(&codes, valid);
        }
        self.settle(total, claim);
        for i in 0..LOADED {
            if self.has(i, valid) {
                let begin = Self::LAYOUT.counts.shared().get(digits.digits[i] as usize);
                self.arg.output.set((begin + ranks[i]) as usize, codes[i]);
            }
        }
        self.grid_barrier();
        self.clear_behind();
        let bucket = thread::block_idx_x() as usize;
        let begin = Self::LAYOUT.starts.shared().get(bucket);
        let count = Self::LAYOUT.starts.shared().get(bucket + 1) - begin;
        self.sort_bucket(begin, count, scale);
    }

    /// Returns true if item `i` of this thread exists, in a tile of so many keys.
    #[inline(always)]
    pub(crate) fn has(&self, i: usize, valid: u32) -> bool {
        self.thread + ((i * THREADS) as u32) < valid
    }

    /// The codes of the tile's keys, and how many it has.
    #[inline(always)]
    unsafe fn load(&self) -> ([K; LOADED], u32) {
        let tile = (((self.arg.n - 1) >> self.bits()) + 1).next_multiple_of(32);
        let begin = (thread::block_idx_x() * tile).min(self.arg.n);
        let valid = tile.min(self.arg.n - begin);
        let mut codes = [!K::from_u64(0); LOADED];
        let input = self.arg.input.offset((begin + self.thread) as usize);
        for i in 0..LOADED {
            if self.has(i, valid) {
                codes[i] = input.get(i * THREADS);
            }
        }
        for i in 0..LOADED {
            if self.has(i, valid) {
                codes[i] = self.code(codes[i]);
            }
        }
        (codes, valid)
    }

    #[inline(always)]
    pub(crate) unsafe fn clear_counts(&self) {
        if self.thread < 2 * BUCKETS_MAX as u32 {
            Self::LAYOUT.counts.shared().set(self.thread as usize, 0);
        }
    }

    /// Counts the tile's digits and claims offsets for them. Returns the keys' ranks among those
    /// of the tile with their digit, and what a digit's thread has claimed. A barrier stands
    /// before.
    #[inline(always)]
    pub(crate) unsafe fn claim(&self, digits: Digits<LOADED>, valid: u32) -> ([u32; LOADED], u32) {
        let mut ranks = [0; LOADED];
        for i in 0..LOADED {
            ranks[i] = self.rank(digits.digits[i], self.has(i, valid));
        }
        thread::sync_threads();
        let mut claim = 0;
        if self.thread < digits.kinds {
            let count = Self::LAYOUT.counts.shared().get(self.thread as usize);
            if count > 0 {
                let word = digits.words + self.thread as usize;
                let (order, scope) = (Ordering::Relaxed, Scope::Device);
                claim = self.arg.control.fetch_add(word, count, order, scope);
            }
        }
        (ranks, claim)
    }

    /// The rank of a digit among the tile's, in no order. A row of one digit is counted at once:
    /// its lanes would wait for each other. All lanes call.
    #[inline(always)]
    unsafe fn rank(&self, digit: u32, valid: bool) -> u32 {
        let lane = self.thread % 32;
        let first = lanes::shuffle_idx(lanes::FULL, digit, 0);
        let (mut rank, mut counted) = (0, 1);
        let alike = lanes::all(lanes::FULL, valid && digit == first);
        if alike {
            counted = 32;
        }
        if valid && (!alike || lane == 0) {
            rank = Self::LAYOUT.counts.shared().fetch_add(digit as usize, counted);
        }
        let of_row = lanes::shuffle_idx(lanes::FULL, rank, 0);
        if alike { of_row + lane } else { rank }
    }

    /// How many keys have this thread's digit. All blocks have claimed theirs before a barrier.
    #[inline(always)]
    pub(crate) unsafe fn total(&self, digits: Digits<LOADED>) -> u32 {
        if self.thread >= digits.kinds {
            return 0;
        }
        let word = digits.words + self.thread as usize;
        self.arg.control.get(word)
    }

    /// Leaves where buckets begin, and what leads from a key's rank in the tile to its place. A
    /// barrier stands before, and this ends in one.
    #[inline(always)]
    pub(crate) unsafe fn settle(&self, total: u32, claim: u32) {
        let begin = self.sum_before(total);
        let thread = self.thread as usize;
        if thread < 2 * BUCKETS_MAX {
            Self::LAYOUT.starts.shared().set(thread, begin);
            Self::LAYOUT.counts.shared().set(thread, begin + claim);
        }
        if thread == 0 {
            Self::LAYOUT.starts.shared().set(2 * BUCKETS_MAX, self.arg.n);
        }
        thread::sync_threads();
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
