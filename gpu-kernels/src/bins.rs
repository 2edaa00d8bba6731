//! One round of many bins, by which a block puts words in order in shared memory.
//!
//! There are about as many bins as words, or some more. The block counts its words in the bins by
//! atomics that return how many a bin had before, scans the counts, and scatters the words, which
//! are then in order but for those of one bin, in any order: one or two mostly. Before a word come
//! those of its bin that are less, or as great and come before it.
//!
//! Where a bin has too many words for that, or the first row of a warp is
//! [contended](crate::rank), the round ends with the count, and another way has to sort.

use crate::key::Key;
use crate::rank::is_contended;
use crate::scan;
use cuda_std::{ext::*, prelude::*};

/// Bins of a vector, which a thread scans by one access.
pub(crate) const OF_VECTOR: usize = 8;

/// Words of a bin from which on other ways are faster.
const CONTENDED: u32 = 16;
/// Ranks of an element.
const PACKED: usize = 8;

/// The order of equal words that nobody can tell apart.
#[inline(always)]
pub(crate) fn as_they_stand(slot: u32, other: u32) -> bool {
    slot < other
}

/// The bins of a block: `VECTORS` vectors a thread, one or two.
#[derive(Clone, Copy)]
pub(crate) struct Bins<W, const THREADS: usize, const VECTORS: usize> {
    /// Words in order of their bins.
    pub(crate) words: Shared<W>,
    /// Where each bin begins, and the last ends.
    pub(crate) begins: Shared<u16>,
    /// A word for each warp.
    pub(crate) sums: Shared<u32>,
    pub(crate) thread: u32,
}

impl<W: Key, const THREADS: usize, const VECTORS: usize> Bins<W, THREADS, VECTORS> {
    pub(crate) const COUNT: u32 = (THREADS * VECTORS * OF_VECTOR) as u32;

    /// Clears the bins, before a barrier.
    #[inline(always)]
    pub(crate) unsafe fn clear(self) {
        for i in 0..VECTORS {
            self.begins.cast::<u128>().set(i * THREADS + self.thread as usize, 0);
        }
    }

    /// This thread's words of so many: the first, each 32nd after it, and how many are left from
    /// there on. Each warp has equally many rows, but for the last.
    #[inline(always)]
    pub(crate) fn share(self, count: u32) -> (u32, u32) {
        let words = 32 * count.div_ceil(THREADS as u32);
        let begin = self.thread / 32 * words;
        let first = begin + self.thread % 32;
        (first, count.min(begin + words).saturating_sub(first))
    }

    /// Counts this thread's words. Returns their ranks in their bins, several to an element, or in
    /// all threads `None` if a bin has too many. It ends with a barrier.
    #[inline(always)]
    pub(crate) unsafe fn count<const ITEMS: usize>(
        self,
        words: &[W; ITEMS],
        has: impl Fn(usize) -> bool,
        bin: impl Fn(W) -> u32,
    ) -> Option<[u32; ITEMS]> {
        // A warp that sees contention at once does not wait for it.
        let first = if has(0) { bin(words[0]) } else { !self.thread };
        let contended = is_contended(first);
        let (mut ranks, mut most) = ([0; ITEMS], 0);
        for i in 0..ITEMS {
            if has(i) && !contended {
                let bin = bin(words[i]);
                let half = bin % 2 * 16;
                let counts = self.begins.cast::<u32>();
                let rank = counts.fetch_add(bin as usize / 2, 1 << half) >> half & 0xffff;
                ranks[i / PACKED] |= rank << (i % PACKED * 4);
                most = most.max(rank);
            }
        }
        if thread::sync_threads_or(contended || most >= CONTENDED) {
            return None;
        }
        Some(ranks)
    }

    /// Turns the counts of bins into where each begins, of `count` words in all. A barrier stands
    /// before, and this ends in one.
    #[inline(always)]
    pub(crate) unsafe fn scan(self, count: u32) {
        let (lane, warp) = (self.thread % 32, self.thread / 32);
        // A warp's lanes read neighbouring vectors, in turns.
        let first = warp * (32 * VECTORS as u32) + lane;
        let vectors = self.begins.cast::<u128>().offset(first as usize);
        let word = |counts: u128, i: u32| (counts >> (32 * i)) as u32;
        let sum = |word: u32| (word & 0xffff) + (word >> 16);
        let mut totals = [0; 2];
        for turn in 0..VECTORS {
            let counts = vectors.get(32 * turn);
            totals[turn] = (0..4).fold(0, |total, i| total + sum(word(counts, i)));
        }
        // Both in one word, because no sum of the block takes more than a half.
        let inclusive = scan::warp_inclusive(totals[0] | totals[1] << 16, lane);
        let of_warp = lanes::shuffle_idx(lanes::FULL, inclusive, 31);
        if lane == 0 {
            self.sums.set(warp as usize, sum(of_warp));
        }
        thread::sync_threads();
        let before = scan::sum_of_earlier(self.sums, warp, THREADS / 32);
        let firsts = [
            before + (inclusive & 0xffff) - totals[0],
            before + (of_warp & 0xffff) + (inclusive >> 16) - totals[1],
        ];
        for turn in 0..VECTORS {
            // Read again, or more registers are taken than keys leave.
            let counts = vectors.get(32 * turn);
            let (mut begin, mut begins) = (firsts[turn], 0);
            for i in 0..4 {
                let second = begin + (word(counts, i) & 0xffff);
                begins |= ((begin | second << 16) as u128) << (32 * i);
                begin += sum(word(counts, i));
            }
            vectors.set(32 * turn, begins);
        }
        if self.thread == 0 {
            self.begins.set_low(Self::COUNT as usize, count);
        }
        thread::sync_threads();
    }

    /// Leaves this thread's words where the ranks of them in their bins lead, and tells which word
    /// goes to which slot.
    #[inline(always)]
    pub(crate) unsafe fn scatter<const ITEMS: usize>(
        self,
        words: &[W; ITEMS],
        ranks: &[u32; ITEMS],
        has: impl Fn(usize) -> bool,
        bin: impl Fn(W) -> u32,
        tell: impl Fn(usize, u32),
    ) {
        for i in 0..ITEMS {
            if has(i) {
                let rank = ranks[i / PACKED] >> (i % PACKED * 4) & 15;
                let slot = self.begins.get(bin(words[i]) as usize) as u32 + rank;
                self.words.set(slot as usize, words[i]);
                tell(i, slot);
            }
        }
    }

    /// The words of this thread from slot `first` on, `at_once` at most, each `THREADS` after the
    /// one before, and their slots in order, which are `count` beyond the last. Of equal words,
    /// `is_before` compares the slots where they stand.
    #[inline(always)]
    pub(crate) unsafe fn in_order<const ITEMS: usize>(
        self,
        first: usize,
        at_once: usize,
        count: u32,
        bin: impl Fn(W) -> u32,
        is_before: impl Fn(u32, u32) -> bool,
    ) -> ([W; ITEMS], [u32; ITEMS]) {
        let slot = |i: usize| self.thread + ((first + i) * THREADS) as u32;
        let (mut words, mut bounds) = ([W::default(); ITEMS], [0; ITEMS]);
        for i in 0..at_once {
            if slot(i) < count {
                words[i] = self.words.get(slot(i) as usize);
            }
        }
        for i in 0..at_once {
            if slot(i) < count {
                let bin = bin(words[i]) as usize;
                bounds[i] = self.begins.get(bin) as u32 | (self.begins.get(bin + 1) as u32) << 16;
            }
        }
        let mut slots = [count; ITEMS];
        for i in 0..at_once {
            if slot(i) < count {
                let (mut before, end) = (bounds[i] & 0xffff, bounds[i] >> 16);
                let mut other = before;
                while other < end {
                    let word = self.words.get(other as usize);
                    let earlier = word == words[i] && is_before(other, slot(i));
                    before += (word < words[i] || earlier) as u32;
                    other += 1;
                }
                slots[i] = before;
            }
        }
        (words, slots)
    }
}
