//! Where in its tile a key belongs: the part that one pass of a radix sort shares with a sort
//! inside one block.
//!
//! A warp counts digits in 256 counters of its own, row by row of its keys, and a key's rank in
//! its warp is what its digit's counter showed ("late counts": the counts come out of the ranking
//! instead of a sweep of their own before it; GPUSorting has the idea too). Then the counts are
//! scanned: over the warps for each digit, and over the digits, so that a counter becomes the
//! slot in the tile where its warp's first key with its digit goes. Slot = counter + rank.
//!
//! Counters have 16 bits and share words in pairs of digits, which halves the scan and the
//! traffic to shared memory.
//!
//! # Match ranking and atomic ranking
//! A row's keys with equal digits are found by eight ballots, or not at all: an atomic addition
//! to the counter returns each lane a different number. The first is stable by construction; of
//! the second nothing promises that lower lanes get lower numbers, though every chip measured
//! does so. A user of atomic ranking checks the result, or needs no order among equal digits.
//!
//! # Contention
//! Lanes that add to one counter wait for each other, all 32 if their keys have one digit. The
//! histogram of a digit does not rule that out: keys may come sorted, and digits in turns. So a
//! warp looks at its first row before it ranks by atomics, and where many neighbours there have
//! one digit it ranks by match. If then the first row has a single digit, it looks whether all
//! its keys have, and if so they rank as they stand.

use crate::key::RADIX;
use crate::scan;
use cuda_std::{ext::*, prelude::*};

/// Words of a warp's counters: two digits in each.
pub const PAIRS: usize = RADIX / 2;

/// Lanes of a row that have their neighbour's digit and make it contended.
const CONTENDED: u32 = 8;

/// Returns true if atomics would make many lanes of this row wait for each other.
#[inline(always)]
pub fn is_contended(digit: u32) -> bool {
    let next = lanes::shuffle_idx(lanes::FULL, digit, (warp::lane_id() + 1) % 32);
    lanes::ballot(lanes::FULL, digit == next).count_ones() >= CONTENDED
}

/// The counters of a tile's warps, in shared memory.
#[derive(Clone, Copy)]
pub struct Counters {
    /// `PAIRS` words a warp.
    pub words: Shared<u32>,
}

impl Counters {
    #[inline(always)]
    pub unsafe fn own(self, thread: u32) -> Shared<u32> {
        self.words.offset(thread as usize / 32 * PAIRS)
    }

    #[inline(always)]
    pub unsafe fn clear(self, thread: u32) {
        let own = self.own(thread);
        for i in 0..PAIRS / 32 {
            own.set(32 * i + thread as usize % 32, 0);
        }
        warp::sync_warp(lanes::FULL);
    }

    /// Ranks of digits in their warp, by match; two to a word.
    ///
    /// The last lane of those with one digit moves their counter on: its own rank plus one is the
    /// new count, so one population count serves both.
    #[inline(always)]
    pub unsafe fn rank_by_match<const ITEMS: usize>(
        self,
        thread: u32,
        digit: impl Fn(usize) -> u32,
    ) -> [u32; ITEMS] {
        let counters = self.own(thread).cast::<u16>();
        let ones = lanes::all_ones();
        let first = digit(0);
        let first_same = lanes::match_digit(first, ones);
        // A vote, so that the assembler knows that the warp stays together.
        if lanes::all(lanes::FULL, first_same == lanes::FULL) {
            let others = (1..ITEMS).fold(0, |others, i| others | (digit(i) ^ first));
            if lanes::all(lanes::FULL, others == 0) {
                return self.rank_alike(thread, first);
            }
        }
        let (below, above) = (lanes::lane_mask_lt(), lanes::lane_mask_gt());
        let mut ranks = [0; ITEMS];
        for i in 0..ITEMS {
            let (digit, same) = if i == 0 {
                (first, first_same)
            } else {
                let digit = digit(i);
                (digit, lanes::match_digit(digit, ones))
            };
            let rank = counters.get(digit as usize) as u32 + (same & below).count_ones();
            warp::sync_warp(lanes::FULL);
            if same & above == 0 {
                counters.set_low(digit as usize, rank + 1);
            }
            warp::sync_warp(lanes::FULL);
            pack(&mut ranks, i, rank);
        }
        ranks
    }

    /// The same where lanes may be without a key, which then have no rank: those below 2^10, three
    /// to a word.
    #[inline(always)]
    pub unsafe fn rank_some_by_match<const ITEMS: usize>(
        self,
        thread: u32,
        digit: impl Fn(usize) -> u32,
        has: impl Fn(usize) -> bool,
    ) -> [u32; ITEMS] {
        let counters = self.own(thread).cast::<u16>();
        let ones = lanes::all_ones();
        let (below, above) = (lanes::lane_mask_lt(), lanes::lane_mask_gt());
        let mut ranks = [0; ITEMS];
        for i in 0..ITEMS {
            let digit = digit(i);
            let same = lanes::match_digit(digit, ones) & lanes::ballot(lanes::FULL, has(i));
            let rank = counters.get(digit as usize) as u32 + (same & below).count_ones();
            warp::sync_warp(lanes::FULL);
            if has(i) && same & above == 0 {
                counters.set_low(digit as usize, rank + 1);
            }
            warp::sync_warp(lanes::FULL);
            pack_small(&mut ranks, i, rank);
        }
        ranks
    }

    /// Ranks where all keys of the warp have `digit`: they are in order.
    #[inline(always)]
    unsafe fn rank_alike<const ITEMS: usize>(self, thread: u32, digit: u32) -> [u32; ITEMS] {
        let lane = thread % 32;
        if lane == 0 {
            let counters = self.own(thread).cast::<u16>();
            counters.set_low(digit as usize, 32 * ITEMS as u32);
        }
        let mut ranks = [0; ITEMS];
        for i in 0..ITEMS {
            pack(&mut ranks, i, 32 * i as u32 + lane);
        }
        ranks
    }

    /// Ranks of digits in their warp, by atomics; two to a word. A tile has fewer than 65536
    /// keys, so no count carries into the other digit of its word.
    #[inline(always)]
    pub unsafe fn rank_by_atomics<const ITEMS: usize>(
        self,
        thread: u32,
        digit: impl Fn(usize) -> u32,
    ) -> [u32; ITEMS] {
        let counters = self.own(thread);
        let mut ranks = [0; ITEMS];
        for i in 0..ITEMS {
            let digit = digit(i);
            let half = digit % 2 * 16;
            let before = counters.fetch_add(digit as usize / 2, 1 << half);
            pack(&mut ranks, i, before >> half);
        }
        ranks
    }

    /// Turns the counts of `warps` warps, at least 4, into slots. A block barrier stands before,
    /// and this ends in one. `begins` takes in its low halves where each digit begins in the
    /// tile, and the tile's end; in its high halves the same sums over the `weight` of each
    /// digit's count. `counted` is told how many keys of the tile have digits `d` and `d + 1`, as
    /// soon as that is known. `sums` has 4 words.
    #[inline(always)]
    pub unsafe fn scan(
        self,
        warps: usize,
        thread: u32,
        sums: Shared<u32>,
        begins: Shared<u32>,
        weight: impl Fn(u32) -> u32,
        counted: impl FnOnce(u32, [u32; 2]),
    ) {
        let scans = thread < PAIRS as u32;
        let column = self.words.offset(thread as usize);
        let weighted = |count: u32| count + (weight(count) << 16);
        let (mut counts, mut sum, mut inclusive) = (0, 0, 0);
        if scans {
            for warp in 0..warps {
                counts += column.get(warp * PAIRS);
            }
            counted(2 * thread, [counts & 0xffff, counts >> 16]);
            sum = weighted(counts & 0xffff) + weighted(counts >> 16);
            inclusive = scan::warp_inclusive(sum, thread % 32);
            if thread % 32 == 31 {
                sums.set(thread as usize / 32, inclusive);
            }
        }
        thread::sync_threads();
        if scans {
            let mut begin = inclusive - sum;
            for warp in 0..PAIRS / 32 {
                let earlier = sums.get(warp);
                if (warp as u32) < thread / 32 {
                    begin += earlier;
                }
            }
            let second = begin + weighted(counts & 0xffff);
            begins.set(2 * thread as usize, begin);
            begins.set(2 * thread as usize + 1, second);
            if thread == PAIRS as u32 - 1 {
                begins.set(RADIX, begin + sum);
            }
            let mut running = (begin & 0xffff) | second << 16;
            for warp in 0..warps {
                let count = column.get(warp * PAIRS);
                column.set(warp * PAIRS, running);
                running += count;
            }
        }
        thread::sync_threads();
    }

    /// [`scan`](Self::scan) where a block is one warp: four words a lane.
    #[inline(always)]
    pub unsafe fn scan_alone(self, lane: u32) {
        let words = self.words.cast::<u128>();
        let counts = words.get(lane as usize);
        let word = |i: u32| (counts >> (32 * i)) as u32;
        // Sums of both digits of a word in its low half, of all that a lane has.
        let mut sum = 0;
        for i in 0..4 {
            sum += (word(i) & 0xffff) + (word(i) >> 16);
        }
        let mut begin = scan::warp_inclusive(sum, lane) - sum;
        let mut begins = 0;
        for i in 0..4 {
            let second = begin + (word(i) & 0xffff);
            begins |= ((begin | second << 16) as u128) << (32 * i);
            begin = second + (word(i) >> 16);
        }
        words.set(lane as usize, begins);
        warp::sync_warp(lanes::FULL);
    }
}

/// Keeps the low half of `value` as number `i`: two share a word. Filled in order.
#[inline(always)]
pub fn pack<const N: usize>(words: &mut [u32; N], i: usize, value: u32) {
    if i.is_multiple_of(2) {
        words[i / 2] = value;
    } else {
        words[i / 2] = lanes::pack_halves(words[i / 2], value);
    }
}

/// Number `i` of what [`pack`] keeps.
#[inline(always)]
pub fn unpack<const N: usize>(words: &[u32; N], i: usize) -> u32 {
    if i.is_multiple_of(2) { words[i / 2] & 0xffff } else { words[i / 2] >> 16 }
}

/// Keeps `value`, below 2^10, as number `i`: three share a word. Filled in order.
#[inline(always)]
pub fn pack_small<const N: usize>(words: &mut [u32; N], i: usize, value: u32) {
    if i.is_multiple_of(3) {
        words[i / 3] = value;
    } else {
        words[i / 3] |= value << (i % 3 * 10);
    }
}

/// Number `i` of what [`pack_small`] keeps.
#[inline(always)]
pub fn unpack_small<const N: usize>(words: &[u32; N], i: usize) -> u32 {
    words[i / 3] >> (i % 3 * 10) & 0x3ff
}
