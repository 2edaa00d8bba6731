//! A bucket of the sort in [one launch](crate::fused), by its block: by bins, by a network in
//! shared memory, or by one in device memory.

use crate::fused::{BINS, Scale, Sorter};
use crate::key::Key;
use crate::rank::is_contended;
use cuda_std::{ext::*, prelude::*};

/// Equal keys so near in a bin that a network is faster.
const CONTENDED: u32 = 16;

impl<K: Key, const THREADS: usize, const LOADED: usize, const ITEMS: usize>
    Sorter<K, THREADS, LOADED, ITEMS>
{
    /// This thread's keys of a bucket: the first, each 32nd after it, and how many are left from
    /// there on. Each warp has equally many rows, but for the last.
    #[inline(always)]
    fn share(&self, count: u32) -> (u32, u32) {
        let keys = 32 * count.div_ceil(THREADS as u32);
        let begin = self.thread / 32 * keys;
        let first = begin + self.thread % 32;
        (first, count.min(begin + keys).saturating_sub(first))
    }

    /// Sorts a bucket by its bins, which are clear.
    #[inline(always)]
    pub(crate) unsafe fn sort_bucket(&self, begin: u32, count: u32, scale: Scale) {
        let bin = |code: K| scale.bin(code, const { (THREADS * BINS) as u32 });
        let (first, left) = self.share(count);
        let has = |i: usize| 32 * (i as u32) < left;
        let output = self.arg.output.offset((begin + first) as usize);
        let mut codes = [!K::from_u64(0); ITEMS];
        for i in 0..ITEMS {
            if has(i) {
                codes[i] = output.get(32 * i);
            }
        }
        let (bins, halves) = (self.bins(), self.bins().cast::<u16>());
        if self.thread == 0 {
            halves.set_low(THREADS * BINS, count);
        }
        // A warp that sees contention at once does not wait for it.
        let first_bin = if has(0) { bin(codes[0]) } else { !self.thread };
        let contended = is_contended(first_bin);
        let (mut ranks, mut most) = ([0; ITEMS], 0);
        for i in 0..ITEMS {
            if has(i) && !contended {
                let bin = bin(codes[i]);
                let half = bin % 2 * 16;
                ranks[i] = bins.fetch_add(bin as usize / 2, 1 << half) >> half & 0xffff;
                most = most.max(ranks[i]);
            }
        }
        if thread::sync_threads_or(contended || most >= CONTENDED) {
            return self.sort_by_exchanges(begin, count);
        }
        self.scan_bins();
        let keys = Self::LAYOUT.keys.shared();
        for i in 0..ITEMS {
            if has(i) {
                let begin = halves.get(bin(codes[i]) as usize) as u32;
                keys.set((begin + ranks[i]) as usize, codes[i]);
            }
        }
        thread::sync_threads();
        self.store_in_order(begin, count, bin);
    }

    /// Turns the counts of bins into where each begins. A barrier stands before, and this ends in
    /// one.
    #[inline(always)]
    unsafe fn scan_bins(&self) {
        let vectors = self.bins().cast::<u128>();
        let counts = vectors.get(self.thread as usize);
        let word = |i: u32| (counts >> (32 * i)) as u32;
        let sum = |word: u32| (word & 0xffff) + (word >> 16);
        let total = (0..4).fold(0, |total, i| total + sum(word(i)));
        let mut begin = self.sum_before(total);
        let mut begins = 0;
        for i in 0..4 {
            let second = begin + (word(i) & 0xffff);
            begins |= ((begin | second << 16) as u128) << (32 * i);
            begin += sum(word(i));
        }
        vectors.set(self.thread as usize, begins);
        thread::sync_threads();
    }

    /// Writes out a bucket that stands bin by bin in shared memory: before a key come those of
    /// its bin that are less, or as great and stand before it.
    #[inline(always)]
    unsafe fn store_in_order(&self, begin: u32, count: u32, bin: impl Fn(K) -> u32) {
        let (keys, begins) = (Self::LAYOUT.keys.shared(), self.bins().cast::<u16>());
        let output = self.arg.output.offset(begin as usize);
        let slot = |i: usize| self.thread + (i * THREADS) as u32;
        let (mut codes, mut bounds) = ([K::from_u64(0); ITEMS], [(0, 0); ITEMS]);
        for i in 0..ITEMS {
            if slot(i) < count {
                codes[i] = keys.get(slot(i) as usize);
            }
        }
        for i in 0..ITEMS {
            if slot(i) < count {
                let bin = bin(codes[i]) as usize;
                bounds[i] = (begins.get(bin) as u32, begins.get(bin + 1) as u32);
            }
        }
        for i in 0..ITEMS {
            if slot(i) < count {
                let (begin, end) = bounds[i];
                let (mut before, mut other) = (begin, begin);
                while other < end {
                    let code = keys.get(other as usize);
                    let earlier = code == codes[i] && other < slot(i);
                    before += (code < codes[i] || earlier) as u32;
                    other += 1;
                }
                output.set(before as usize, self.key(codes[i]));
            }
        }
    }

    /// Sorts a bucket in shared memory by a network.
    #[inline(always)]
    pub(crate) unsafe fn sort_by_exchanges(&self, begin: u32, count: u32) {
        let (keys, output) = (Self::LAYOUT.keys.shared(), self.arg.output.offset(begin as usize));
        let mut i = self.thread;
        while i < count {
            keys.set(i as usize, output.get(i as usize));
            i += THREADS as u32;
        }
        self.exchange(count, |i| keys.get(i), |i, code| keys.set(i, code));
        let mut i = self.thread;
        while i < count {
            output.set(i as usize, self.key(keys.get(i as usize)));
            i += THREADS as u32;
        }
    }

    /// Sorts the codes of the output from `begin` on, where they are, by one block.
    #[inline(always)]
    pub(crate) unsafe fn sort_in_memory(&self, begin: u32, count: u32) {
        let output = self.arg.output.offset(begin as usize);
        self.exchange(count, |i| output.get(i), |i, code| output.set(i, code));
        let mut i = self.thread;
        while i < count {
            output.set(i as usize, self.key(output.get(i as usize)));
            i += THREADS as u32;
        }
    }

    /// Sorts `count` codes by merging runs of 2, 4, 8 and so on (Batcher's bitonic network). The
    /// first step of a merge compares what stands mirrored, so that the lesser always goes to the
    /// lower slot, and slots beyond the last need not exist. Begins with a barrier, and ends with
    /// one where more than a warp has slots.
    #[inline(always)]
    unsafe fn exchange(&self, count: u32, get: impl Fn(usize) -> K, set: impl Fn(usize, K)) {
        let pairs = count.next_power_of_two() / 2;
        let (mut run, mut stride) = (1, 1);
        thread::sync_threads();
        while run <= pairs {
            let mut pair = self.thread;
            while pair < pairs {
                let low = pair * 2 - (pair & (stride - 1));
                let mirrored = low ^ (2 * stride - 1);
                let high = if stride == run { mirrored } else { low + stride };
                if high < count {
                    let (first, second) = (get(low as usize), get(high as usize));
                    if second < first {
                        set(low as usize, second);
                        set(high as usize, first);
                    }
                }
                pair += THREADS as u32;
            }
            let wide = stride;
            if stride > 1 {
                stride /= 2;
            } else {
                run *= 2;
                stride = run;
            }
            // Up to here the pairs of a warp are those of its own 64 slots.
            if wide.max(stride) <= 32 {
                warp::sync_warp(lanes::FULL);
            } else {
                thread::sync_threads();
            }
        }
    }
}
