//! The sort in [one launch](crate::fused) of so few keys that each block reads all of them.
//!
//! A block keeps the words of its range and counts those before it, which says where the range
//! begins. So no block waits for another: two grid barriers are saved, which take longer than to
//! read 16 keys a thread. In place it cannot be done: others have yet to read what a block writes.
//!
//! A block looks, and chooses its bounds, as where it claims offsets. Where more lies between
//! them than it holds, it halves its range by value until it holds the lower part, and comes to
//! the rest of it afterwards. Words that equal the upper bound are counted, not held.

use crate::control;
use crate::fused::{self, Sorter};
use crate::key::Key;
use crate::scale::Scale;
use crate::scan;
use cuda_std::{ext::*, prelude::*};

/// Keys of a thread, which are in its registers at once.
const ROWS: usize = 16;

/// Returns true if blocks of this shape are for so few keys: of 4 bytes and alone, because a
/// thread has no registers for more.
pub(crate) const fn may_select<K: Key>(threads: usize, items: usize, paired: bool) -> bool {
    K::BITS == 32 && !paired && fused::loaded(items) == 1 && threads <= 256
}

/// Words above `low`, if there is a bound, and up to `last`.
#[derive(Clone, Copy)]
struct Bounds<W> {
    low: Option<W>,
    last: W,
}

/// How many words there are below a range, inside, and that equal the upper bound.
struct Selected {
    below: u32,
    inside: u32,
    equal: u32,
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
    /// Returns true if each block reads all keys.
    #[inline(always)]
    pub(crate) fn selects(&self) -> bool {
        let few = self.arg.n <= const { (ROWS * THREADS) as u32 };
        let apart = self.arg.options & control::IN_PLACE == 0;
        let may_select = const { may_select::<K>(THREADS, ITEMS, PAIRED) };
        may_select && few && apart
    }

    /// Sorts this block's range of all keys.
    #[inline(always)]
    pub(crate) unsafe fn sort_selected(&self) {
        let sample = self.look();
        let (scale, even) = self.judge(sample);
        let even = even && scale.has_digits(self.blocks());
        if !even {
            self.choose_splitters();
        }
        let (block, splitters) = (thread::block_idx_x(), Self::LAYOUT.splitters.shared());
        let end = |range: u32| match even {
            true => scale.greatest_of(range),
            false => splitters.get(range as usize),
        };
        let low = if block > 0 { Some(end(block - 1)) } else { None };
        let last = if block + 1 < self.blocks() { end(block) } else { !W::default() };
        let mut bounds = Bounds { low, last };
        let mut scale = even.then_some(scale);
        loop {
            hint::keep_loop();
            // Or what the thread accesses is kept from one turn to the next.
            let this = self.rematerialized();
            let selected = this.select(bounds);
            if selected.inside > Self::HELD {
                let low = bounds.low.unwrap_or_default().to_u64();
                bounds.last = W::from_u64(low + (bounds.last.to_u64() - low) / 2);
                // All have seen it.
                thread::sync_threads();
                continue;
            }
            let begin = selected.below;
            this.sort_held(begin, selected.inside, scale);
            let mut slot = this.thread;
            while slot < selected.equal {
                let key = self.key(bounds.last);
                self.arg.output.set((begin + selected.inside + slot) as usize, key);
                slot += THREADS as u32;
            }
            if bounds.last == last {
                return;
            }
            bounds = Bounds { low: Some(bounds.last), last };
            // Bins are not clear any more.
            scale = None;
        }
    }

    /// Sorts so many words of shared memory, with a scale by bins.
    #[inline(always)]
    unsafe fn sort_held(&self, begin: u32, count: u32, scale: Option<Scale<W>>) {
        let words = Self::LAYOUT.words.shared();
        if let Some(scale) = scale
            && self.sort_by_bins(begin, count, scale, |slot| words.get(slot as usize))
        {
            return;
        }
        let mut slot = self.thread;
        while slot < count {
            self.store(begin + slot, words.get(slot as usize));
            slot += THREADS as u32;
        }
        thread::sync_threads();
        self.sort_by_network(begin, count);
    }

    /// Leaves the words between bounds in shared memory, as many as it holds. Barriers stand
    /// before the first word is left, and at the end.
    #[inline(always)]
    unsafe fn select(&self, Bounds { low, last }: Bounds<W>) -> Selected {
        const OUTSIDE: usize = 0;
        const INSIDE: usize = 1;
        let counts = Self::LAYOUT.counts.shared();
        if self.thread < 2 {
            counts.set(self.thread as usize, 0);
        }
        let index = |i: usize| self.thread + (i * THREADS) as u32;
        let mut keys = [K::default(); ROWS];
        for i in 0..ROWS {
            if index(i) < self.arg.n {
                keys[i] = self.arg.input.get(index(i) as usize);
            }
        }
        // Below and equal in the halves of one word, and which rows are inside.
        let (mut outside, mut inside) = (0, 0);
        for i in 0..ROWS {
            let word = self.word(keys[i], index(i));
            let exists = index(i) < self.arg.n;
            let is_below = low.is_some_and(|low| word <= low);
            let equals = !is_below && word == last;
            outside += (exists && is_below) as u32;
            outside += ((exists && equals) as u32) << 16;
            inside |= ((exists && !is_below && word < last) as u32) << i;
        }
        thread::sync_threads();
        let lane = self.thread % 32;
        let outside = scan::warp_inclusive(outside, lane);
        let held = scan::warp_inclusive(inside.count_ones(), lane);
        let mut before = 0;
        if lane == 31 {
            counts.fetch_add(OUTSIDE, outside);
            before = counts.fetch_add(INSIDE, held);
        }
        let mut slot = lanes::shuffle_idx(lanes::FULL, before, 31) + held - inside.count_ones();
        for i in 0..ROWS {
            if inside >> i & 1 != 0 {
                if slot < Self::HELD {
                    let word = self.word(keys[i], index(i));
                    Self::LAYOUT.words.shared().set(slot as usize, word);
                }
                slot += 1;
            }
        }
        thread::sync_threads();
        let outside = counts.get(OUTSIDE);
        Selected { below: outside & 0xffff, inside: counts.get(INSIDE), equal: outside >> 16 }
    }
}
