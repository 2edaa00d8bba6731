//! Sorts each bucket of keys by itself, within one multiprocessor: the last part of a hybrid radix
//! sort (Stehle and Jacobsen 2017).
//!
//! A *bucket* is all keys with the same upper 16 bits. When keys are in the order of these bits,
//! each bucket is contiguous and only has to be sorted by the other bits. If a block's shared
//! memory holds the bucket, the block reads it once, sorts it by rounds of 8 bits, and writes it
//! back to the same place. So three passes replace four for keys of 4 bytes, and eight for keys of
//! 8. The last one writes whole sectors, without a look-back.
//!
//! Fewer keys, up to a few million, take one pass: a bucket is then the keys with the same top
//! digit, and a [larger block](crate::digit_sort) sorts it by the other digits. A
//! [segment](crate::segments) is a bucket whose keys have no known bits in common.
//!
//! # A word for a key
//! Within a bucket, one word holds a key's other bits above the slot it came from. It is as wide
//! as a key, and only words move. At the end, the index of a word is the place of its key: the
//! bucket's bits complete the key, and the lowest 16 bits of the word fetch the value. In a bucket
//! of a top digit, or a segment, too many bits remain: keys alone are their own words, and keys of
//! 4 bytes with values use words of 8.
//!
//! # Rounds and exchanges
//! Keys of 4 bytes take two rounds, or three below their top digit. Keys of 8 bytes would take six
//! or seven, but the upper two or three separate nearly all words of so small a bucket: among 4096
//! evenly spread words, half a pair has 24 bits in common. A few turns of exchanges between
//! neighbours order the rest; if those do not suffice, all rounds follow. In a segment, the upper
//! three rounds are those below the highest bit in which any two keys differ. A warp whose first
//! row is [contended](crate::rank) ranks by match, in buckets of a top digit and in segments;
//! other contended buckets are not sorted here.
//!
//! # Checking
//! The rounds rank by atomics, whose order is not guaranteed; see [`rank`](crate::rank). But all
//! words differ, and their lowest bits are the order in which they came. So a bucket is sorted,
//! and stable, exactly if each word is less than the next. This is checked before anything is
//! written, and exchanges continue until it holds. After all rounds, digits are in order in any
//! case, so no word is far from its place. Keys that are their own words may be equal, and then
//! cannot be told apart.
//!
//! # Choosing a bucket
//! Blocks draw buckets from a counter, each the next one while it sorts another. Fixed buckets
//! would make all wait for the slowest multiprocessor (`docs/LAB.md`), and one block a bucket
//! would cost a launch of 65536 even if nothing is sorted locally. Each top digit has a block.

use crate::buckets::{BUCKET_BITS, BUCKETS};
use crate::control;
use crate::key::{DIGIT_BITS, Key, RADIX};
use crate::layout::{Builder, Part};
use crate::places::{Places, Share, Together};
use crate::policy::Shape;
use crate::rank::{Counters, PAIRS, is_contended, pack, pack_small, unpack, unpack_small};
use crate::scan;
use core::marker::PhantomData;
use cuda_std::{ext::*, prelude::*};

#[derive(Clone, Copy)]
pub struct LocalSort<K> {
    /// Keys by bucket, and where they go, which may be the same.
    pub keys: Global<K>,
    pub output: Global<K>,
    pub values: Global<u32>,
    pub output_values: Global<u32>,
    pub control: Global<u32>,
    /// Where each bucket of 16 bits begins, and the last ends.
    pub starts: Global<u32>,
    /// All keys.
    pub n: u32,
    pub order_mask: K,
    pub options: u32,
}

/// Turns of exchanges after which all rounds follow.
const TURNS: u32 = 4;
/// Words of a bucket from which on keys of 8 bytes take a third round.
const LARGE: usize = 1536;

/// Bytes of shared memory of [`local_sort`].
pub const fn shared_bytes<K: Key>(shape: Shape, paired: bool) -> usize {
    Layout::<K>::of(shape.threads, shape.items, paired).bytes
}

pub(crate) struct Layout<W> {
    /// Words, and one behind them.
    words: Part<W>,
    /// Values as they stand, unless they come after the words.
    values: Part<u32>,
    counters: Part<u32>,
    begins: Part<u32>,
    sums: Part<u32>,
    /// The bucket to sort next: see [`Claim`].
    pub(crate) claimed: Part<u32>,
    pub(crate) bytes: usize,
}

impl<W: Key> Layout<W> {
    pub(crate) const fn of(threads: usize, items: usize, paired: bool) -> Self {
        let tile = threads * items;
        let mut all = Builder::new();
        Layout {
            words: all.part(tile + 16 / size_of::<W>()),
            values: all.part(if paired { tile } else { 0 }),
            counters: all.part(threads / 32 * PAIRS),
            begins: all.part(RADIX + 8),
            sums: all.part(8),
            claimed: all.part(4),
            bytes: all.bytes(),
        }
    }
}

/// The kernel. Any number of blocks of `THREADS` threads: 32, or a multiple of it and
/// at least 128. No bucket has more than `THREADS * ITEMS` keys.
#[inline(always)]
pub unsafe fn local_sort<K: Key, const THREADS: usize, const ITEMS: usize, const PAIRED: bool>(
    arg: LocalSort<K>,
) {
    trigger_dependents();
    sync_predecessor();
    if arg.control.get(control::LOCALLY) == 0 {
        return;
    }
    let claimed = const { Layout::<K>::of(THREADS, ITEMS, PAIRED).claimed }.shared();
    let claims = thread::thread_idx_x() == 0;
    let mut claim = Claim::default();
    if claims {
        claim.after = draw(arg);
        claim.advance(arg);
    }
    loop {
        if claims {
            claim.publish(arg, claimed);
        }
        thread::sync_threads();
        if claimed.get(0) >= BUCKETS as u32 {
            return;
        }
        if claims {
            claim.advance(arg);
        }
        Bucket::<K, K, BUCKET_BITS, THREADS, ITEMS, PAIRED, Together>::new(arg, claimed, Together)
            .sort();
    }
}

/// The bucket that a block sorts next: drawn from the device's counter, by one thread, while the
/// block sorts another.
#[derive(Clone, Copy, Default)]
struct Claim {
    number: u32,
    begin: u32,
    end: u32,
    after: u32,
}

impl Claim {
    /// Turns to the bucket drawn last, of which nothing is waited for yet, and draws the one
    /// after it.
    #[inline(always)]
    unsafe fn advance<K: Key>(&mut self, arg: LocalSort<K>) {
        self.number = self.after;
        if self.number < BUCKETS as u32 {
            self.begin = arg.starts.get(self.number as usize);
            self.end = arg.starts.get(self.number as usize + 1);
            self.after = draw(arg);
        }
    }

    /// Passes over empty buckets, and shows the block what it sorts next.
    #[inline(always)]
    unsafe fn publish<K: Key>(&mut self, arg: LocalSort<K>, claimed: Shared<u32>) {
        while self.number < BUCKETS as u32 && self.begin == self.end {
            self.advance(arg);
        }
        claimed.set(0, self.number);
        claimed.set(1, self.begin);
        claimed.set(2, self.end - self.begin);
    }
}

#[inline(always)]
unsafe fn draw<K: Key>(arg: LocalSort<K>) -> u32 {
    let next = control::NEXT_BUCKET;
    arg.control.fetch_add(next, 1, Ordering::Relaxed, Scope::Device)
}

/// A block's view of its bucket, whose keys have the upper `COMMON` bits in common: what it is
/// about is read from shared memory where it is needed, because a register that holds it is one
/// that the keys do not have.
#[derive(Clone, Copy)]
pub(crate) struct Bucket<
    K,
    W,
    const COMMON: u32,
    const THREADS: usize,
    const ITEMS: usize,
    const PAIRED: bool,
    P,
> {
    pub(crate) arg: LocalSort<K>,
    /// Number, first key, and count of keys; of a segment, how many are kept from bins.
    pub(crate) claimed: Shared<u32>,
    places: P,
    word: PhantomData<W>,
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
    const LAYOUT: Layout<W> = Layout::of(THREADS, ITEMS, PAIRED && !Self::BY_DIGIT);
    /// True if the bucket is that of a top digit, or a segment.
    const BY_DIGIT: bool = COMMON <= DIGIT_BITS;
    /// True if words end in slots.
    const SLOTTED: bool = PAIRED || !Self::BY_DIGIT;
    /// Bits of a slot.
    pub(crate) const SLOT: u32 = if Self::SLOTTED { 16 } else { 0 };
    /// One more than the highest bit that words of a bucket differ in.
    pub(crate) const END: u32 = Self::SLOT + K::BITS - COMMON;
    /// The lowest bit of the first round's digit.
    const FIRST_SHIFT: u32 = {
        assert!(THREADS * ITEMS < 1 << 16 && Self::END <= W::BITS);
        assert!(!Self::BY_DIGIT || 32 * ITEMS <= 1 << 10);
        let large = K::BITS > 32 && THREADS * ITEMS >= LARGE;
        let rounds = if large || Self::BY_DIGIT { 3 } else { 2 };
        Self::END - rounds * DIGIT_BITS
    };

    #[inline(always)]
    pub(crate) fn new(arg: LocalSort<K>, claimed: Shared<u32>, places: P) -> Self {
        Bucket { arg, claimed, places, word: PhantomData }
    }

    #[inline(always)]
    pub(crate) unsafe fn begin(&self) -> u32 {
        self.claimed.get(1)
    }

    #[inline(always)]
    pub(crate) unsafe fn count(&self) -> u32 {
        self.claimed.get(2)
    }

    /// Every warp has equally many rows of 32 keys, but for the last ones.
    #[inline(always)]
    pub(crate) unsafe fn share(&self) -> Share {
        let thread = hint::opaque(thread::thread_idx_x());
        let count = self.count();
        let keys = 32 * count.div_ceil(THREADS as u32);
        let begin = thread / 32 * keys;
        let first = begin + thread % 32;
        let left = count.min(begin + keys).saturating_sub(first);
        Share { first, left }
    }

    #[inline(always)]
    pub(crate) unsafe fn sort(self) {
        let mut words = self.load();
        self.sort_by_rounds(&mut words, Self::END);
    }

    /// Sorts these words, which the bits before `end` differ in, by rounds.
    #[inline(always)]
    pub(crate) unsafe fn sort_by_rounds(&self, words: &mut [W; ITEMS], end: u32) {
        let mut shift = end.saturating_sub(Self::END - Self::FIRST_SHIFT);
        let mut turns = 0;
        loop {
            while hint::opaque(shift) < end {
                self.round(words, shift);
                shift += DIGIT_BITS;
            }
            // Read before the barrier: after it the first thread may claim another.
            let (share, number, begin) = (self.share(), self.claimed.get(0), self.begin());
            if !thread::sync_threads_or(self.is_disordered(share, words)) {
                self.store(share, number, begin, words);
                return;
            }
            turns += 1;
            if turns == TURNS {
                shift = Self::SLOT;
            } else {
                self.exchange();
                *words = self.read_back(share, 0);
            }
        }
    }

    /// The bucket's words, and what stays behind them; values go to shared memory as they stand.
    #[inline(always)]
    pub(crate) unsafe fn load(&self) -> [W; ITEMS] {
        let (share, begin) = (self.share(), self.begin());
        let first = share.first;
        let stages = PAIRED && !Self::BY_DIGIT;
        if stages && P::APART {
            self.stage_values(share, begin, Self::LAYOUT.values.shared());
        }
        let mut keys: [K; ITEMS] = self.places.load(self.arg.keys, begin, share);
        if stages && !P::APART {
            self.stage_values(share, begin, Self::LAYOUT.values.shared());
        }
        if COMMON == 0 && self.arg.options & control::ENCODE != 0 {
            keys = keys.map(K::encode);
        }
        let mut words = [W::from_u64(0); ITEMS];
        for i in 0..ITEMS {
            // Opaque, or it is made where the key is read, and waits for that.
            let key = keys[i].opaque() ^ self.arg.order_mask;
            words[i] = Self::word(key, first + 32 * i as u32);
        }
        if thread::thread_idx_x() == 0 {
            Self::LAYOUT.words.shared().set(self.count() as usize, !W::from_u64(0));
        }
        words
    }

    /// One more than the highest bit that words of the block differ in, at least 1: equal keys take
    /// a round, too. By two words of `sums` for each warp. It has a barrier.
    #[inline(always)]
    pub(crate) unsafe fn varying(&self, words: &[W; ITEMS], sums: Shared<u32>) -> u32 {
        let share = self.share();
        let mut first = self.arg.keys.get(self.begin() as usize);
        if self.arg.options & control::ENCODE != 0 {
            first = first.encode();
        }
        let first = Self::word(first ^ self.arg.order_mask, 0);
        let mut differing = W::from_u64(0);
        for i in 0..ITEMS {
            if share.has(i) {
                differing = differing | (words[i] ^ first);
            }
        }
        scan::leave_or(differing.to_u64(), sums);
        thread::sync_threads();
        u64::BITS - (scan::block_or(THREADS / 32, sums) | 1).leading_zeros()
    }

    /// The word of a key that stood at `slot`.
    #[inline(always)]
    fn word(key: K, slot: u32) -> W {
        let word = W::from_u64(key.to_u64());
        if !Self::SLOTTED {
            word
        } else if W::BITS == 32 {
            let word = lanes::pack_halves(slot, key.to_u64() as u32);
            W::from_u64(word as u64)
        } else {
            word << Self::SLOT | W::from_u64(slot as u64)
        }
    }

    /// This thread's words of the buffer, from `from` places on.
    #[inline(always)]
    pub(crate) unsafe fn read_back(&self, share: Share, from: usize) -> [W; ITEMS] {
        let mut words = [W::from_u64(0); ITEMS];
        let from = Self::LAYOUT.words.shared().offset(share.first as usize + from);
        for i in 0..ITEMS {
            if share.has(i) {
                words[i] = from.get(32 * i);
            }
        }
        words
    }

    /// Keeps the rank of item `i` in its warp, in as few words as that takes.
    #[inline(always)]
    fn keep_rank(ranks: &mut [u32; ITEMS], i: usize, rank: u32) {
        if Self::BY_DIGIT {
            pack_small(ranks, i, rank & 0x3ff);
        } else {
            pack(ranks, i, rank);
        }
    }

    #[inline(always)]
    fn rank(ranks: &[u32; ITEMS], i: usize) -> u32 {
        if Self::BY_DIGIT { unpack_small(ranks, i) } else { unpack(ranks, i) }
    }

    /// Sorts the words by the digit from bit `shift` on, into the buffer and back.
    #[inline(always)]
    unsafe fn round(&self, words: &mut [W; ITEMS], shift: u32) {
        let thread = hint::opaque(thread::thread_idx_x());
        let counters = Counters { words: Self::LAYOUT.counters.shared() };
        counters.clear(thread);
        let own = counters.own(thread);
        let share = self.share();
        let digit = |word: W, shift: u32| word.digit(shift, RADIX as u32 - 1, 0);
        // Lanes without a key have digits of their own here.
        let first = if share.has(0) { digit(words[0], shift) } else { RADIX as u32 + thread };
        let ranks = if Self::BY_DIGIT && is_contended(first) {
            counters.rank_some_by_match(thread, |i| digit(words[i], shift), |i| share.has(i))
        } else {
            let mut ranks = [0; ITEMS];
            for i in 0..ITEMS {
                let mut before = 0;
                if share.has(i) {
                    let digit = digit(words[i], shift);
                    let half = digit % 2 * 16;
                    before = own.fetch_add(digit as usize / 2, 1 << half) >> half;
                }
                Self::keep_rank(&mut ranks, i, before);
            }
            ranks
        };
        thread::sync_threads();
        if THREADS == 32 {
            counters.scan_alone(thread);
        } else {
            let (begins, sums) = (Self::LAYOUT.begins.shared(), Self::LAYOUT.sums.shared());
            counters.scan(THREADS / 32, thread, sums, begins, |_| 0, |_, _| ());
        }
        let own = own.cast::<u16>();
        // Opaque, or the digits are kept over the scan.
        let (shift, share) = (hint::opaque(shift), self.share());
        for i in 0..ITEMS {
            if share.has(i) {
                let begin = own.get(digit(words[i], shift) as usize) as u32;
                let slot = begin + Self::rank(&ranks, i);
                Self::LAYOUT.words.shared().set(slot as usize, words[i]);
            }
        }
        thread::sync_threads();
        *words = self.read_back(self.share(), 0);
    }

    /// Returns true if a word of this thread is not less than the next, or if it is its own key,
    /// greater.
    #[inline(always)]
    pub(crate) unsafe fn is_disordered(&self, share: Share, words: &[W; ITEMS]) -> bool {
        let next = self.read_back(share, 1);
        let wrong = |i: usize| match Self::SLOTTED {
            true => words[i] >= next[i],
            false => words[i] > next[i],
        };
        (0..ITEMS).fold(false, |found, i| found | (share.has(i) & wrong(i)))
    }

    /// One turn of a sort by exchanging neighbours: every thread those that begin at an even
    /// slot, then those at an odd one.
    #[inline(always)]
    unsafe fn exchange(&self) {
        let buffer = Self::LAYOUT.words.shared();
        for odd in 0..2 {
            let mut slot = 2 * thread::thread_idx_x() as usize + odd;
            while slot < self.count() as usize {
                let (a, b) = (buffer.get(slot), buffer.get(slot + 1));
                if a > b {
                    buffer.set(slot, b);
                    buffer.set(slot + 1, a);
                }
                slot += 2 * THREADS;
            }
            thread::sync_threads();
        }
    }

    #[inline(always)]
    pub(crate) unsafe fn store(&self, share: Share, number: u32, begin: u32, words: &[W; ITEMS]) {
        let upper = K::from_u64(number as u64) << ((K::BITS - COMMON) % K::BITS);
        let order_mask = self.arg.order_mask;
        let begin = (begin + share.first) as usize;
        let keys = self.arg.output.offset(begin);
        let key = |word: W| (upper | K::from_u64((word >> Self::SLOT).to_u64())) ^ order_mask;
        let encode = self.arg.options & control::ENCODE != 0;
        if Self::BY_DIGIT {
            // All at once before the first is stored, or the branches' predicates, kept
            // side by side, take more registers than there are.
            let mut sorted = [K::from_u64(0); ITEMS];
            for i in 0..ITEMS {
                sorted[i] = key(words[i]);
            }
            if encode {
                sorted = sorted.map(K::encode);
            }
            for i in 0..ITEMS {
                if share.has(i) {
                    keys.set(32 * i, sorted[i]);
                }
            }
        } else if encode {
            for i in 0..ITEMS {
                if share.has(i) {
                    keys.set(32 * i, key(words[i]).encode());
                }
            }
        } else {
            for i in 0..ITEMS {
                if share.has(i) {
                    keys.set(32 * i, key(words[i]));
                }
            }
        }
        if PAIRED && Self::BY_DIGIT {
            // Where the words were, which all threads hold their own of.
            let staged = Self::LAYOUT.words.shared().cast();
            if self.moves_values() {
                // Read again: nobody claims another bucket.
                self.stage_values(self.share(), self.begin(), staged);
                thread::sync_threads();
            }
            let (share, begin) = (self.share(), self.begin());
            self.store_values(share, (begin + share.first) as usize, words, staged);
        } else if PAIRED {
            self.store_values(share, begin, words, Self::LAYOUT.values.shared());
        }
    }

    /// True if values are moved: those of a segment may be the indices of keys instead.
    #[inline(always)]
    pub(crate) fn moves_values(&self) -> bool {
        PAIRED && (COMMON != 0 || self.arg.options & control::INDEX == 0)
    }

    /// Leaves the values in shared memory as they stand.
    #[inline(always)]
    pub(crate) unsafe fn stage_values(&self, share: Share, begin: u32, staged: Shared<u32>) {
        Self::keep_values(share, self.places.load(self.arg.values, begin, share), staged);
    }

    #[inline(always)]
    pub(crate) unsafe fn keep_values(share: Share, values: [u32; ITEMS], staged: Shared<u32>) {
        let to = staged.offset(share.first as usize);
        for i in 0..ITEMS {
            if share.has(i) {
                to.set(32 * i, values[i]);
            }
        }
    }

    /// The value of a word's key.
    #[inline(always)]
    pub(crate) unsafe fn value(&self, word: W, staged: Shared<u32>) -> u32 {
        let slot = word.to_u64() as u32 & 0xffff;
        if self.moves_values() { staged.get(slot as usize) } else { slot }
    }

    #[inline(always)]
    unsafe fn store_values(
        &self,
        share: Share,
        begin: usize,
        words: &[W; ITEMS],
        staged: Shared<u32>,
    ) {
        let to = self.arg.output_values.offset(begin);
        let mut values = [0; ITEMS];
        for i in 0..ITEMS {
            if share.has(i) {
                values[i] = self.value(words[i], staged);
            }
        }
        for i in 0..ITEMS {
            if share.has(i) {
                to.set(32 * i, values[i]);
            }
        }
    }
}
