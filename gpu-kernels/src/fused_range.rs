//! A range of the sort in [one launch](crate::fused) or [two](crate::partition), by its block: by
//! bins, by a network in registers, or by one in device memory.

use crate::bins::{Bins, as_they_stand};
use crate::control;
use crate::fused::Sorter;
use crate::key::Key;
use crate::network;
use crate::scale::Scale;
use crate::scan;
use cuda_std::{ext::*, prelude::*};

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
    /// Words of a thread that are written at once: with values all, else a few, which take fewer
    /// registers.
    const WRITTEN: usize = {
        assert!(ITEMS.is_multiple_of(4));
        if PAIRED && RANGES == 0 { ITEMS } else { 4 }
    };

    /// Sorts a range of `count` words from `begin` on: with a scale by its bins, which are clear.
    /// All threads of all blocks call.
    #[inline(always)]
    pub(crate) unsafe fn sort_range(&self, begin: u32, count: u32, scale: Option<Scale<W>>) {
        if count > Self::HELD {
            return self.sort_in_memory(begin, count, false);
        }
        let sorted = match scale {
            Some(scale) => self.sort_by_bins(begin, count, scale, self.from(begin)),
            None => false,
        };
        if !sorted {
            self.sort_by_network(begin, count);
        }
    }

    /// Sorts a digit of words that a block holds, in whatever bits they differ.
    #[inline(always)]
    pub(crate) unsafe fn sort_digit(&self, begin: u32, count: u32, digits: Scale<W>) {
        let (mut scale, mut again) = (digits, false);
        loop {
            self.bins().clear();
            thread::sync_threads();
            if self.sort_by_bins(begin, count, scale, self.from(begin)) {
                return;
            }
            if again {
                return self.sort_by_network(begin, count);
            }
            // Most bits may be alike that bins are told apart by.
            let first = self.stored(begin);
            let varying = self.varying(begin, count, first);
            if varying == 0 {
                return self.write_as_it_is(begin, count);
            }
            (scale, again) = (Scale::of(first, varying, 0), true);
        }
    }

    /// One more than the highest bit that words of a range differ in. It has a barrier.
    #[inline(always)]
    unsafe fn varying(&self, begin: u32, count: u32, first: W) -> u32 {
        let mut differing = W::default();
        let mut slot = self.thread;
        while slot < count {
            differing = differing | (self.stored(begin + slot) ^ first);
            slot += THREADS as u32;
        }
        scan::leave_or(differing.to_u64(), Self::LAYOUT.sums.shared());
        thread::sync_threads();
        u64::BITS - scan::block_or(THREADS / 32, Self::LAYOUT.sums.shared()).leading_zeros()
    }

    /// Writes a range whose words are equal, of keys alone.
    #[inline(always)]
    unsafe fn write_as_it_is(&self, begin: u32, count: u32) {
        let mut slot = self.thread;
        while slot < count {
            self.arg.output.set((begin + slot) as usize, self.key(self.stored(begin + slot)));
            slot += THREADS as u32;
        }
    }

    /// The words of a range on their way.
    #[inline(always)]
    fn from(&self, begin: u32) -> impl Fn(u32) -> W {
        move |slot| unsafe { self.stored(begin + slot) }
    }

    /// Sorts a digit's words by its bins, and writes the result. Returns false, in all threads,
    /// if one is contended; nothing has changed then.
    #[inline(always)]
    pub(crate) unsafe fn sort_by_bins(
        &self,
        begin: u32,
        count: u32,
        scale: Scale<W>,
        word: impl Fn(u32) -> W,
    ) -> bool {
        let bins = self.bins();
        let bin = |word: W| scale.bin(word, const { Bins::<W, THREADS, 1>::COUNT });
        let (first, left) = bins.share(count);
        let has = |i: usize| 32 * (i as u32) < left;
        let mut words = [W::default(); ITEMS];
        for i in 0..ITEMS {
            if has(i) {
                words[i] = word(first + 32 * i as u32);
            }
        }
        let Some(ranks) = bins.count(&words, has, bin) else { return false };
        bins.scan(count);
        bins.scatter(&words, &ranks, has, bin, |_, _| ());
        thread::sync_threads();
        let mut first = 0;
        // Once at least: with values, blocks wait for each other there.
        while first == 0 || first < ITEMS && ((first * THREADS) as u32) < count {
            hint::keep_loop();
            let (words, slots) =
                bins.in_order::<ITEMS>(first, Self::WRITTEN, count, bin, as_they_stand);
            self.write(begin, count, words, slots);
            first += Self::WRITTEN;
        }
        true
    }

    /// Sorts a range by a network.
    #[inline(always)]
    pub(crate) unsafe fn sort_by_network(&self, begin: u32, count: u32) {
        let sorted = Self::LAYOUT.words.shared();
        let word = |i: u32| self.stored(begin + i);
        network::sort_block::<W, THREADS, ITEMS>(count, word, sorted);
        let mut first = 0;
        // Once at least: with values, blocks wait for each other there.
        while first == 0 || first < ITEMS && ((first * THREADS) as u32) < count {
            hint::keep_loop();
            let (mut words, mut slots) = ([W::default(); ITEMS], [count; ITEMS]);
            for i in 0..Self::WRITTEN {
                let slot = self.thread + ((first + i) * THREADS) as u32;
                if slot < count {
                    (words[i], slots[i]) = (sorted.get(slot as usize), slot);
                }
            }
            self.write(begin, count, words, slots);
            first += Self::WRITTEN;
        }
    }

    /// Writes sorted words to slots of a range, which they have if below `count`; with values all
    /// blocks call once.
    #[inline(always)]
    unsafe fn write(&self, begin: u32, count: u32, words: [W; ITEMS], slots: [u32; ITEMS]) {
        let output = self.arg.output.offset(begin as usize);
        let mut values = [0; ITEMS];
        if PAIRED {
            for i in 0..ITEMS {
                if slots[i] < count {
                    values[i] = self.value(words[i].to_u64() as u32);
                }
            }
            self.await_values();
        }
        for i in 0..ITEMS {
            if slots[i] < count {
                output.set(slots[i] as usize, self.key(words[i]));
                if PAIRED {
                    self.arg.output_values.set((begin + slots[i]) as usize, values[i]);
                }
            }
        }
    }

    /// The value of the key that had this index.
    #[inline(always)]
    unsafe fn value(&self, index: u32) -> u32 {
        if self.arg.options & control::INDEX != 0 {
            return index;
        }
        self.arg.input_values.get(index as usize)
    }

    /// Waits until all blocks have read their values, if any would be written over.
    #[inline(always)]
    unsafe fn await_values(&self) {
        let reads = self.arg.options & (control::INDEX | control::IN_PLACE);
        if RANGES == 0 && reads == control::IN_PLACE {
            self.grid_barrier();
        }
    }

    /// Sorts a range in device memory, by one block: the only one if it is `alone`.
    #[inline(always)]
    pub(crate) unsafe fn sort_in_memory(&self, begin: u32, count: u32, alone: bool) {
        self.exchange(begin, count);
        let mut i = begin + self.thread;
        while PAIRED && i < begin + count {
            let index = self.arg.indices.get(i as usize);
            self.arg.indices.set(i as usize, self.value(index));
            i += THREADS as u32;
        }
        if PAIRED && !alone {
            self.await_values();
        }
        thread::sync_threads();
        let mut i = begin + self.thread;
        while i < begin + count {
            let word = self.stored(i);
            self.arg.output.set(i as usize, self.key(word));
            if PAIRED {
                self.arg.output_values.set(i as usize, word.to_u64() as u32);
            }
            i += THREADS as u32;
        }
    }

    /// Sorts `count` words where they are by merging runs of 2, 4, 8 and so on. The first step of
    /// a merge compares what stands mirrored, so that the lesser always goes to the lower slot,
    /// and slots beyond the last need not exist. Begins with a barrier, and ends with one where
    /// more than a warp has slots.
    #[inline(always)]
    unsafe fn exchange(&self, begin: u32, count: u32) {
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
                    let (first, second) = (self.stored(begin + low), self.stored(begin + high));
                    if second < first {
                        self.store(begin + low, second);
                        self.store(begin + high, first);
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
