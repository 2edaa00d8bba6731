//! Sorts up to a million keys in two launches: keys go to ranges, then a block sorts a range.
//!
//! The first launch is that of the sort in [one launch](crate::fused) up to where keys are stored:
//! a look at a sample, a count, claims of places in ranges, a grid barrier. But the ranges are
//! more than there are blocks, too small to occupy a multiprocessor each, and are left to a second
//! launch, in which several blocks share one. A tile is put in order of its ranges in shared
//! memory before it is stored, because its keys of a range are a few sectors.
//!
//! # Uneven keys
//! If the sample is uneven, or a range has more keys than a block of the second launch holds, the
//! first launch sorts by passes as a [single wave](crate::all_gather) does, with grid barriers in
//! the place of launches, and the second one ends at once.
//!
//! # Values
//! A word has the key above its index, as in one launch. In place, the first launch copies values
//! to where passes would put keys, because blocks of the second do not wait for each other, and
//! each reads the values of any index.
//!
//! # Words between the launches
//! Behind the words of claims stand how ranges are to be sorted, the scale of their digits and
//! where each begins, which every sort writes; then the words of passes. The second launch clears
//! what was claimed.

use crate::control;
use crate::fused::{self, CLAIMS, Fused, Sorter};
use crate::fused_barrier::ENTRY;
use crate::key::{Bits, Key};
use crate::onesweep;
use crate::policy::Shape;
use crate::policy::partition::RANGE;
use crate::scale::Scale;
use crate::tile::{self, Pass, WholeSort, look};
use cuda_std::{ext::*, prelude::*};

/// Keys of a range that a thread sorts, at most.
const HELD: usize = RANGE.items;

/// How ranges are to be sorted, of so many: the word behind the claims.
const fn mode(ranges: usize) -> usize {
    CLAIMS + ranges
}
/// They are sorted already.
const SORTED: u32 = 0;
const BY_DIGITS: u32 = 1;

/// The scale of digits.
const fn scale(ranges: usize) -> usize {
    mode(ranges) + 1
}

/// Where ranges begin, and the end of the last.
const fn starts(ranges: usize) -> usize {
    scale(ranges) + 5
}

/// The words of passes, of which some are read by vectors.
const fn passes(ranges: usize) -> usize {
    (starts(ranges) + ranges + 1).next_multiple_of(4)
}

/// Words of device memory for so many ranges and tiles, which are zero or as such a sort has left
/// them.
pub const fn words(ranges: usize, tiles: usize) -> usize {
    passes(ranges) + control::words_of_single_wave(tiles)
}

/// Bytes of shared memory of [`partition`].
pub const fn shared_bytes<K: Key, W: Key>(shape: Shape, paired: bool) -> usize {
    let (threads, items) = (shape.threads, larger(shape.items, HELD));
    let by_ranges = fused::Layout::<W>::of(threads, items, threads).bytes;
    larger(by_ranges, tile::shared_bytes::<K>(shape, paired, look::ALL_GATHER))
}

/// Bytes of shared memory of [`sort_ranges`].
pub const fn ranges_shared_bytes<W: Key>(shape: Shape) -> usize {
    fused::Layout::<W>::of(shape.threads, HELD, shape.threads).bytes
}

const fn larger(a: usize, b: usize) -> usize {
    if a > b { a } else { b }
}

impl<K: Key> WholeSort<K> {
    /// The arguments of a sort in one launch.
    #[inline(always)]
    fn fused(self) -> Fused<K> {
        Fused {
            input: self.keys.input,
            output: self.keys.output,
            input_values: self.values.input,
            output_values: self.values.output,
            indices: self.values.scratch,
            control: self.control,
            n: self.n,
            order_mask: self.order_mask,
            options: self.options,
        }
    }

    /// True if values wait elsewhere until they are read.
    #[inline(always)]
    fn copies(&self) -> bool {
        self.options & (control::INDEX | control::IN_PLACE) == control::IN_PLACE
    }

    /// The pass over a digit.
    #[inline(always)]
    unsafe fn pass(self, ranges: usize, position: u32) -> Pass<K> {
        let bits = Bits { begin: 0, end: K::BITS };
        let (shift, mask) = bits.digit(position);
        Pass {
            keys: self.keys,
            values: self.values,
            control: self.control.offset(passes(ranges)),
            n: self.n as u64,
            position,
            shift,
            mask,
            order_mask: self.order_mask,
            bits,
            portion: 0,
            first_tile: 0,
            options: self.options,
        }
    }
}

/// The first launch: a block of `THREADS` threads, which are as many as ranges, for each tile of
/// `THREADS * ITEMS` keys. The words `W` are keys, or with values have keys of 4 bytes above their
/// indices.
#[inline(always)]
pub unsafe fn partition<
    K: Key,
    W: Key,
    const THREADS: usize,
    const ITEMS: usize,
    const PAIRED: bool,
    const ATOMICS: bool,
>(
    arg: WholeSort<K>,
) {
    trigger_dependents();
    sync_predecessor();
    let sorter = Sorter::<K, W, THREADS, ITEMS, HELD, PAIRED, THREADS>::new(arg.fused());
    let Some(mut entered) = sorter.partition_tile(arg) else {
        return;
    };
    let mut position = 0;
    loop {
        hint::keep_loop();
        let pass = arg.pass(THREADS, hint::opaque(position));
        onesweep::pass::<K, THREADS, ITEMS, PAIRED, ATOMICS, { look::ALL_GATHER }>(pass);
        position += 1;
        if position == K::DIGITS as u32 {
            break;
        }
        if entered {
            sorter.grid_barrier();
        } else if sorter.enter() {
            entered = true;
        } else {
            // The first pass has left the input as it was.
            return sorter.withdraw(arg);
        }
    }
    if thread::block_idx_x() == 0 && sorter.thread == 0 {
        arg.control.set(mode(THREADS), SORTED);
    }
    sorter.clear_behind();
}

impl<K: Key, W: Key, const THREADS: usize, const ITEMS: usize, const PAIRED: bool>
    Sorter<K, W, THREADS, ITEMS, HELD, PAIRED, THREADS>
{
    /// Stores the tile's keys in their ranges, or sorts everything if blocks find no room on the
    /// device. If keys are uneven nothing is stored, and it returns, in all blocks the same,
    /// whether all of them are known to be on the device.
    #[inline(always)]
    unsafe fn partition_tile(&self, arg: WholeSort<K>) -> Option<bool> {
        let sample = self.look();
        let tile = self.load();
        let (scale, even) = self.judge(sample);
        if !even {
            return Some(false);
        }
        if PAIRED && arg.copies() {
            self.copy_values(arg, tile.valid);
        }
        let ranges = self.ranges_of(&tile, scale, false);
        let (ranks, claim) = self.claim(ranges, tile.valid);
        let counts = Self::LAYOUT.counts.shared();
        let local = self.sum_before(counts.get(self.thread as usize));
        counts.set(self.thread as usize, local);
        thread::sync_threads();
        for i in 0..ITEMS {
            if self.has(i, tile.valid) {
                let slot = counts.get(ranges.of[i] as usize) + ranks[i];
                Self::LAYOUT.words.shared().set(slot as usize, tile.words[i]);
            }
        }
        if !self.enter() {
            self.withdraw(arg);
            return None;
        }
        let total = arg.control.get(CLAIMS + self.thread as usize);
        if thread::sync_threads_or(total > Self::HELD) {
            return Some(true);
        }
        let begin = self.sum_before(total);
        let lead = (begin + claim).wrapping_sub(local);
        Self::LAYOUT.counts.shared().set(self.thread as usize, lead);
        if thread::block_idx_x() == 0 {
            self.show(arg, scale, begin);
        }
        thread::sync_threads();
        self.store_tile(scale, tile.valid);
        None
    }

    /// Leaves without having entered; the last block to do so sorts everything.
    #[inline(always)]
    unsafe fn withdraw(&self, arg: WholeSort<K>) {
        if self.thread == 0 {
            // Others write the same.
            arg.control.store(mode(THREADS), SORTED, Ordering::Relaxed, Scope::Device);
        }
        self.leave(words(THREADS, thread::grid_dim_x() as usize));
    }

    /// Copies the tile's values to where they are read from later.
    #[inline(always)]
    unsafe fn copy_values(&self, arg: WholeSort<K>, valid: u32) {
        let begin = thread::block_idx_x() as usize * THREADS * ITEMS;
        let copied = arg.keys.scratch.cast::<u32>();
        let mut slot = self.thread;
        while slot < valid {
            let index = begin + slot as usize;
            copied.set(index, arg.values.input.get(index));
            slot += THREADS as u32;
        }
    }

    /// Leaves for the second launch what it needs to know, by one block.
    #[inline(always)]
    unsafe fn show(&self, arg: WholeSort<K>, digits: Scale<W>, begin: u32) {
        arg.control.set(starts(THREADS) + self.thread as usize, begin);
        if self.thread == 0 {
            let (least, greatest) = (digits.least.to_u64(), digits.greatest.to_u64());
            let halves = |word: u64| [word as u32, (word >> 32) as u32];
            let ([a, b], [c, d]) = (halves(least), halves(greatest));
            let words = [a, b, c, d, digits.shift];
            for i in 0..words.len() {
                arg.control.set(scale(THREADS) + i, words[i]);
            }
            arg.control.set(starts(THREADS) + THREADS, arg.n);
            arg.control.set(mode(THREADS), BY_DIGITS);
        }
    }

    /// Stores the tile, which stands range by range in shared memory.
    #[inline(always)]
    unsafe fn store_tile(&self, scale: Scale<W>, valid: u32) {
        let words = Self::LAYOUT.words.shared();
        for i in 0..ITEMS {
            if self.has(i, valid) {
                let slot = self.thread as usize + i * THREADS;
                let word = words.get(slot);
                let lead = Self::LAYOUT.counts.shared().get(scale.digit(word) as usize);
                self.store(lead.wrapping_add(slot as u32), word);
            }
        }
    }
}

/// The second launch: a block of as many threads as ranges for each of them.
#[inline(always)]
pub unsafe fn sort_ranges<K: Key, W: Key, const THREADS: usize, const PAIRED: bool>(
    arg: WholeSort<K>,
) {
    trigger_dependents();
    sync_predecessor();
    let mut fused = arg.fused();
    if PAIRED && arg.copies() {
        fused.input_values = arg.keys.scratch.cast();
    }
    if arg.control.get(mode(THREADS)) == SORTED {
        return;
    }
    let sorter = Sorter::<K, W, THREADS, 1, HELD, PAIRED, THREADS>::new(fused);
    let range = thread::block_idx_x() as usize;
    let starts = arg.control.offset(starts(THREADS) + range);
    let begin = starts.get(0);
    let count = starts.get(1) - begin;
    if sorter.thread == 0 {
        arg.control.set(CLAIMS + range, 0);
        if range == 0 {
            arg.control.set(ENTRY, 0);
        }
    }
    if count == 0 {
        return;
    }
    let word = |i: usize| arg.control.get(scale(THREADS) + i) as u64;
    let scale = Scale {
        least: W::from_u64(word(0) | word(1) << 32),
        greatest: W::from_u64(word(2) | word(3) << 32),
        shift: word(4) as u32,
    };
    sorter.sort_digit(begin, count, scale);
}
