//! One pass of the radix sort, which reads and writes every key once.
//!
//! A least-significant-digit radix sort moves all keys by one digit after the other, and keeps the
//! order of keys with equal digits. A block sorts a tile of consecutive keys. A key's offset in
//! the output is the sum of three counts:
//!
//! - keys of all tiles with a smaller digit: the *start*, from the histogram;
//! - keys of earlier tiles with the same digit: from the *look-back*;
//! - keys before it in its own tile with the same digit: its *rank*.
//!
//! The steps of a tile, with barriers between them:
//!
//! 1. **Load.** Warp `w` loads `32 * ITEMS` consecutive keys, and lane `l` every 32nd of them. So
//!    item `i` of all lanes is a row, and rows are in order.
//! 2. **Rank** and **scan**: see [`rank`](crate::rank). As soon as the total of a digit is known,
//!    it is published for later tiles.
//! 3. **Scatter** into shared memory, which sorts the tile by digit.
//! 4. [**Look-back**](crate::look_back): one thread for each digit finds the offset of its keys. A
//!    single wave of tiles [gathers](crate::all_gather) the counts of all tiles instead.
//! 5. [**Store**](crate::store): neighbours in shared memory with the same digit are neighbours in
//!    device memory, so writes are runs.
//!
//! **Values** move like their keys, through their own buffer in shared memory. They are loaded
//! after the scatter, arrive during the look-back, and are stored beside the keys. A tile with a
//! single digit is not scattered: it is stored as it was read.
//!
//! # Checking ranks by atomics
//! Keys alone differ only in their bits, so a wrong order of equal digits shows. The input of a
//! digit is sorted by all lower digits. So the tile, sorted by digit, is right exactly if it never
//! decreases in the bits up to and including the digit. (Bits below the buckets' do not count:
//! those are sorted afterwards.) While a key is stored, it is compared with its right neighbour. A
//! tile that fails is ranked again by match and stored to the same slots: counts, starts and
//! look-back do not change. The first pass is not checked, because no earlier order can be lost.

use crate::control::{self, Ranking, Step};
use crate::key::{Key, RADIX};
use crate::rank::{is_contended, pack, unpack};
use crate::tile::{Pass, Tile, look, windows_for};
use cuda_std::{ext::*, prelude::*};

/// The kernel: a block of `THREADS` threads a tile of `THREADS * ITEMS` keys. `THREADS` is a
/// multiple of 32 and at least 128. Without `ATOMICS` every digit is ranked by match, whatever
/// the plan says.
#[inline(always)]
pub unsafe fn onesweep<
    K: Key,
    const THREADS: usize,
    const ITEMS: usize,
    const PAIRED: bool,
    const ATOMICS: bool,
    const LOOK: u32,
>(
    arg: Pass<K>,
) {
    if PAIRED || LOOK == look::ALL_GATHER {
        trigger_dependents();
        sync_predecessor();
    }
    pass::<K, THREADS, ITEMS, PAIRED, ATOMICS, LOOK>(arg);
}

/// The same; of a single wave, within a launch.
#[inline(always)]
pub(crate) unsafe fn pass<
    K: Key,
    const THREADS: usize,
    const ITEMS: usize,
    const PAIRED: bool,
    const ATOMICS: bool,
    const LOOK: u32,
>(
    arg: Pass<K>,
) {
    let step = if LOOK == look::ALL_GATHER {
        Tile::<K, THREADS, ITEMS, PAIRED, LOOK>::first_step(&arg)
    } else if PAIRED {
        Step::read(arg.control, arg.position as usize)
    } else {
        Step::from_word(control::await_plan(arg.control, arg.options, arg.position as usize))
    };
    let thread = thread::thread_idx_x();
    let tile = Tile::<K, THREADS, ITEMS, PAIRED, LOOK> { arg, step, thread };
    if LOOK == look::ALL_GATHER {
        tile.clear_behind();
    }
    if !step.runs() {
        return;
    }
    tile.keep_digits();
    if PAIRED {
        tile.pass_pairs();
    } else if ATOMICS {
        tile.pass_keys_checked();
    } else {
        tile.pass_keys();
    }
}

impl<K: Key, const THREADS: usize, const ITEMS: usize, const PAIRED: bool, const LOOK: u32>
    Tile<K, THREADS, ITEMS, PAIRED, LOOK>
{
    /// Keys by match.
    #[inline(always)]
    unsafe fn pass_keys(self) {
        let keys = self.load_keys();
        self.rematerialize().prepare(&keys);
        let ranks = self.rematerialize().rank(&keys, false);
        thread::sync_threads();
        self.rematerialize().scan(true);
        self.rematerialize().scatter_keys(&keys, &ranks);
        self.rematerialize().look();
        thread::sync_threads();
        let tile = self.with_final_step();
        if !tile.is_skipped() {
            tile.rematerialize().store_keys();
        }
    }

    /// Keys as the plan says, and once more by match if atomics went wrong.
    #[inline(always)]
    unsafe fn pass_keys_checked(self) {
        let mut again = 0;
        loop {
            // Opaque, or the compiler makes a copy of the ranking for each turn; and a vote, so
            // that the assembler knows that the warp stays together.
            let first = hint::opaque(again) == 0;
            // Not the last tile: what fills it up has to stay behind the keys of its digit, and
            // the check after the fact cannot tell the two apart.
            let full = hint::opaque(self.valid()) == Self::SIZE;
            let atomics = first && full && self.step.ranking() == Ranking::Atomics;
            let atomics = lanes::any(lanes::FULL, atomics);
            let checked = atomics && !self.step.first();
            let tile = self.rematerialize();
            let keys = tile.load_keys();
            if first {
                tile.rematerialize().prepare(&keys);
            }
            let ranks = tile.rematerialize().rank(&keys, atomics);
            thread::sync_threads();
            tile.rematerialize().scan(first);
            tile.rematerialize().scatter_keys(&keys, &ranks);
            if first {
                tile.rematerialize().look();
            }
            thread::sync_threads();
            let tile = tile.with_final_step();
            if tile.is_skipped() {
                return;
            }
            let disordered = tile.rematerialize().store_checked(checked);
            if !checked || !thread::sync_threads_or(disordered) {
                return;
            }
            again = 1;
        }
    }

    /// Keys by match, and values.
    #[inline(always)]
    unsafe fn pass_pairs(self) {
        let keys = self.load_keys();
        self.rematerialize().prepare(&keys);
        let ranks = self.rematerialize().rank(&keys, false);
        thread::sync_threads();
        self.rematerialize().scan(true);
        if self.rematerialize().is_one_run(&keys, &ranks) {
            // As many values as there are registers for are on their way meanwhile.
            let mut values = [0; ITEMS];
            self.rematerialize().load_values_between(&mut values, 0, ITEMS / 2);
            self.rematerialize().look();
            thread::sync_threads();
            let tile = self.with_final_step();
            if !tile.is_skipped() {
                tile.rematerialize().store_one_run(&keys, values);
            }
            return;
        }
        let slots = self.rematerialize().scatter_keys(&keys, &ranks);
        let values = self.rematerialize().load_values();
        self.rematerialize().look();
        let staged = Self::LAYOUT.values.shared();
        for i in 0..ITEMS {
            staged.set(unpack(&slots, i) as usize, values[i]);
        }
        thread::sync_threads();
        let tile = self.with_final_step();
        if !tile.is_skipped() {
            tile.rematerialize().store_pairs();
        }
    }

    /// Finds where the tile's digits begin in the output.
    #[inline(always)]
    unsafe fn look(&self) {
        if Self::ALL_GATHER {
            self.all_gather();
        } else {
            self.look_back();
        }
    }

    /// Slots beyond the input get keys that rank last, and so stay behind all others in the
    /// tile's last digit.
    #[inline(always)]
    unsafe fn load_keys(&self) -> [K; ITEMS] {
        let first = self.first_item();
        let valid = self.valid();
        let source = self.arg.keys.choose(self.step.source());
        let source = source.offset((self.begin() + first as u64) as usize);
        let mut keys = [K::last(self.arg.order_mask); ITEMS];
        if valid == Self::SIZE {
            for i in 0..ITEMS {
                keys[i] = Self::read(source, 32 * i);
            }
            if self.encodes(self.step.first()) {
                for i in 0..ITEMS {
                    keys[i] = keys[i].encode();
                }
            }
        } else {
            let encodes = self.encodes(self.step.first());
            // Of keys of 8 bytes afterwards, or the assembler has each wait for the one before it,
            // and the launch for this tile.
            let at_once = PAIRED || Self::ALL_GATHER || size_of::<K>() != 8;
            for i in 0..ITEMS {
                if first + 32 * (i as u32) < valid {
                    let key = Self::read(source, 32 * i);
                    keys[i] = if at_once && encodes { key.encode() } else { key };
                }
            }
            for i in 0..if at_once { 0 } else { ITEMS } {
                if encodes && first + 32 * (i as u32) < valid {
                    keys[i] = keys[i].encode();
                }
            }
        }
        keys
    }

    /// Ranks of the keys in their warp, two to a word; the counters are left with the warp's
    /// counts.
    #[inline(always)]
    unsafe fn rank(&self, keys: &[K; ITEMS], atomics: bool) -> [u32; ITEMS] {
        let counters = self.counters();
        let atomics = atomics && !is_contended(self.rematerialize().digits()(keys[0]));
        counters.clear(self.thread);
        if atomics {
            // The shift comes out of the plan and not from the arguments, or the assembler takes
            // the digits once for both ways to rank, before it knows which, and spills them.
            let tile = self.rematerialize();
            let (shift, mask) = (tile.step.shift(), RADIX as u32 - 1);
            let order_mask = tile.arg.order_mask.digit(shift, mask, 0);
            let digit = |i: usize| keys[i].digit(shift, mask, order_mask);
            counters.rank_by_atomics(tile.thread, digit)
        } else {
            let tile = self.rematerialize();
            let digit_of = tile.digits();
            counters.rank_by_match(tile.thread, |i| digit_of(keys[i]))
        }
    }

    /// The scan of the tile's counts, which shows them to other tiles.
    #[inline(always)]
    unsafe fn scan(&self, publish: bool) {
        // The first tile's counts are inclusive at once.
        let state = if self.number() == 0 { control::INCLUSIVE } else { control::LOCAL };
        let state = state ^ self.step.toggle();
        if Self::ALL_GATHER && publish {
            self.publish_differing();
        }
        self.counters().scan(
            Self::WARPS,
            self.thread,
            Self::LAYOUT.sums.shared(),
            Self::LAYOUT.begins.shared(),
            |count| {
                if Self::WINDOWED { windows_for(count) } else { 0 }
            },
            |digit, counts| {
                if publish && Self::ALL_GATHER {
                    self.publish_counts(digit, counts);
                } else if publish {
                    let words = counts.map(|count| count | state);
                    let row = self.row(self.number());
                    row.store_pair(digit as usize, words, Scope::Device);
                }
            },
        );
    }

    /// Sorts the tile by digit in shared memory. Returns the keys' slots, two to a word.
    #[inline(always)]
    unsafe fn scatter_keys(&self, keys: &[K; ITEMS], ranks: &[u32; ITEMS]) -> [u32; ITEMS] {
        let begins = self.counters().own(self.thread).cast::<u16>();
        let buffer = Self::LAYOUT.keys.shared();
        let digit_of = self.digits_again();
        let mut slots = [0; ITEMS];
        for i in 0..ITEMS {
            let digit = digit_of(keys[i]);
            let slot = begins.get(digit as usize) as u32 + unpack(ranks, i);
            buffer.set(slot as usize, keys[i]);
            pack(&mut slots, i, slot);
        }
        slots
    }

    /// Reads an element that is not read again. Passes of a single wave may be one launch, which
    /// has written what it reads.
    #[inline(always)]
    unsafe fn read<T: Word>(from: Global<T>, i: usize) -> T {
        if Self::ALL_GATHER { from.get(i) } else { from.get_streamed(i) }
    }

    /// This thread's values, in the order of its keys.
    #[inline(always)]
    unsafe fn load_values(&self) -> [u32; ITEMS] {
        let mut values = [0; ITEMS];
        self.load_values_between(&mut values, 0, ITEMS);
        values
    }

    /// The same, of those between two numbers.
    #[inline(always)]
    pub(crate) unsafe fn load_values_between(
        &self,
        values: &mut [u32; ITEMS],
        from: usize,
        to: usize,
    ) {
        let first = self.first_item();
        let valid = self.valid();
        let begin = self.begin() + first as u64;
        if self.arg.options & control::INDEX != 0 && self.step.first() {
            for i in from..to {
                values[i] = begin as u32 + 32 * i as u32;
            }
        } else {
            let source = self.arg.values.choose(self.step.source());
            let source = source.offset(begin as usize);
            for i in from..to {
                if first + 32 * (i as u32) < valid {
                    values[i] = Self::read(source, 32 * i);
                }
            }
        }
    }
}
