//! The sort in [one launch](crate::fused) of keys whose top digits are uneven: splitters from
//! samples.

use crate::fused::{Digits, RANGES, SAMPLES, Sorter};
use crate::key::Key;
use cuda_std::prelude::*;

impl<K: Key, const THREADS: usize, const LOADED: usize, const ITEMS: usize>
    Sorter<K, THREADS, LOADED, ITEMS>
{
    /// Leaves some of the tile's keys for all to see; where there are none, ones that rank last.
    #[inline(always)]
    pub(crate) unsafe fn leave_sample(&self, code: K) {
        let apart = const { (THREADS / SAMPLES) as u32 };
        if self.thread.is_multiple_of(apart) {
            let first = thread::block_idx_x() * SAMPLES as u32;
            self.samples().set((first + self.thread / apart) as usize, code);
        }
    }

    /// Goes on where top digits are uneven.
    #[inline(always)]
    pub(crate) unsafe fn by_splitters(&self, codes: &[K; LOADED], valid: u32) {
        self.choose_splitters();
        self.grid_barrier();
        let blocks = self.blocks();
        if self.thread < blocks {
            let splitter = self.samples().offset(SAMPLES * blocks as usize);
            let splitter = splitter.get(self.thread as usize);
            Self::LAYOUT.splitters.shared().set(self.thread as usize, splitter);
        }
        self.clear_counts();
        thread::sync_threads();
        let mut digits = [0; LOADED];
        for i in 0..LOADED {
            digits[i] = self.range_of(codes[i]);
        }
        let digits = Digits { digits, words: RANGES, kinds: 2 * blocks };
        let (ranks, claim) = self.claim(digits, valid);
        self.grid_barrier();
        self.settle(self.total(digits), claim);
        for i in 0..LOADED {
            if self.has(i, valid) {
                let range = digits.digits[i];
                let slot = (Self::LAYOUT.counts.shared().get(range as usize) + ranks[i]) as usize;
                // A key that equals a splitter is in its place.
                let code = codes[i];
                let stored = if range % 2 == 1 { self.key(code) } else { code };
                self.arg.output.set(slot, stored);
            }
        }
        self.grid_barrier();
        self.clear_behind();
        let range = 2 * thread::block_idx_x() as usize;
        let begin = Self::LAYOUT.starts.shared().get(range);
        let count = Self::LAYOUT.starts.shared().get(range + 1) - begin;
        if count <= Self::HELD {
            self.sort_by_exchanges(begin, count);
        } else {
            self.sort_in_memory(begin, count);
        }
    }

    /// Ranks the block's samples among all, and makes known which are splitters: those of every
    /// `SAMPLES`th rank, but the first.
    #[inline(always)]
    unsafe fn choose_splitters(&self) {
        let all = SAMPLES as u32 * self.blocks();
        let keys = Self::LAYOUT.keys.shared();
        let mut i = self.thread;
        while i < all {
            keys.set(i as usize, self.samples().get(i as usize));
            i += THREADS as u32;
        }
        if self.thread < SAMPLES as u32 {
            Self::LAYOUT.ranks.shared().set(self.thread as usize, 0);
        }
        thread::sync_threads();
        let number = self.thread % SAMPLES as u32;
        let own = SAMPLES as u32 * thread::block_idx_x() + number;
        let sample = keys.get(own as usize);
        let (mut i, mut rank) = (self.thread / SAMPLES as u32, 0);
        while i < all {
            let other = keys.get(i as usize);
            rank += (other < sample || other == sample && i < own) as u32;
            i += const { (THREADS / SAMPLES) as u32 };
        }
        Self::LAYOUT.ranks.shared().add(number as usize, rank);
        thread::sync_threads();
        if self.thread < SAMPLES as u32 {
            let rank = Self::LAYOUT.ranks.shared().get(self.thread as usize);
            if rank.is_multiple_of(SAMPLES as u32) {
                // The least stands last, where nothing is compared with it.
                let number = (rank / SAMPLES as u32).wrapping_sub(1) & (self.blocks() - 1);
                let splitters = self.samples().offset(all as usize);
                splitters.set(number as usize, sample);
            }
        }
    }

    /// Twice as many as there are splitters below a code, and one more if it equals one.
    #[inline(always)]
    unsafe fn range_of(&self, code: K) -> u32 {
        let splitters = Self::LAYOUT.splitters.shared();
        let (mut below, mut step) = (0, self.blocks() / 2);
        while step > 0 {
            if splitters.get((below + step - 1) as usize) < code {
                below += step;
            }
            step /= 2;
        }
        let last = below + 1 == self.blocks();
        2 * below + (!last && splitters.get(below as usize) == code) as u32
    }
}
