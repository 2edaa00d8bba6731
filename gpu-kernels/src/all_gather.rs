//! Where in the output the keys of a tile with each digit begin, in a single wave of tiles: each
//! looks at all others, those before it and those behind.
//!
//! A tile publishes how many of its keys have each digit: a *row*. It adds up all rows, once over
//! the tiles before it, and once over all. The second sums are the histogram of the pass's digit,
//! whose prefix sums are the digits' starts. So nothing has to be counted before the first pass:
//! no histogram is launched, and the keys are read once less. And nobody waits for a chain of
//! sums: all rows are read at once, a warp a row, and what a tile waits for is the slowest of the
//! others.
//!
//! Each tile reads what all others have published, so the time grows with the square of their
//! number. With a tile a multiprocessor that is some 8 MB a pass, from the second-level cache,
//! and less than the chain and the histogram take (`docs/KERNELS.md`). Counts of one tile have 14
//! bits, and a word holds two: a row is half of what a look-back needs.
//!
//! # Marks
//! The upper two bits of a count tell which pass has published it; see
//! [`control`](crate::control). Each word carries its own mark, so what is read needs no order
//! among loads.
//!
//! # The plan
//! In which digits the keys differ at all, the first launch finds out: a tile publishes in which
//! of them one of its keys differs from the first key of all, and all tiles make the same plan of
//! it. The first block writes it down for the launches that follow. A first digit in which all
//! keys agree has been counted for nothing.
//!
//! # Progress without an order of blocks
//! Here tiles wait for later ones, too. All are on the device at once if it has room for them,
//! which it has unless something else is running. Where patience ends, a missing tile's row is
//! counted from the input, as in a [look-back](crate::look_back).

use crate::control::{self, Ranking, Step};
use crate::key::{Key, RADIX};
use crate::plan;
use crate::scan;
use crate::store::Run;
use crate::tile::{Pass, Tile};
use cuda_std::{ext::*, prelude::*};

/// Rows that a warp has on their way at once.
const TOGETHER: usize = 4;
/// Digits of a lane, in a row that a warp reads at once.
const LANE_DIGITS: usize = RADIX / 32;
/// Counts in both halves of a word.
const COUNTS: u32 = control::ROW_COUNT | control::ROW_COUNT << 16;

/// Where the sum of `digit` stands among those of its kind. A lane adds the digits `8 l` to
/// `8 l + 7` of a row, all lanes one of theirs at a time; then a warp reads 32 neighbouring
/// digits. Neither meets a bank twice.
#[inline(always)]
fn slot_of(digit: usize) -> usize {
    let (lane, j) = (digit / LANE_DIGITS, digit % LANE_DIGITS);
    32 * j + (lane + 4 * j) % 32
}

impl<K: Key, const THREADS: usize, const ITEMS: usize, const PAIRED: bool, const LOOK: u32>
    Tile<K, THREADS, ITEMS, PAIRED, LOOK>
{
    #[inline(always)]
    fn plans(&self) -> bool {
        self.arg.position == 0
    }

    /// The step, as far as it is known at first: all of it, but for the launch that makes the
    /// plan, which reads the input.
    #[inline(always)]
    pub(crate) unsafe fn first_step(arg: &Pass<K>) -> Step {
        if arg.position == 0 {
            Step::running(0, 2, arg.shift, Self::ranking(arg.options))
        } else {
            Step::read(arg.control, arg.position as usize)
        }
    }

    #[inline(always)]
    fn ranking(options: u32) -> Ranking {
        if options & control::ALLOW_ATOMICS != 0 { Ranking::Atomics } else { Ranking::Match }
    }

    #[inline(always)]
    fn mark(&self) -> u32 {
        let mark = control::row_mark(self.arg.position, self.arg.bits.digits());
        mark | mark << 16
    }

    #[inline(always)]
    unsafe fn counts_of(&self, tile: u32) -> Global<u32> {
        let row = control::ROWS + tile as usize * control::ROW;
        self.arg.control.offset(row)
    }

    /// Clears what no later pass may take for its own: what the first one said of digits, in the
    /// second; and rows, in a pass that is skipped.
    #[inline(always)]
    pub(crate) unsafe fn clear_behind(&self) {
        let (tile, thread) = (self.number(), self.thread as usize);
        if self.arg.position == 1 && thread == 0 {
            let flags = self.arg.control.offset(control::DIFFERING);
            flags.set(tile as usize, 0);
        }
        if !self.step.runs() && thread < control::ROW {
            self.counts_of(tile).set(thread, 0);
        }
    }

    /// Returns true if this launch has found that its digit moves nothing: only the one that
    /// makes the plan can.
    #[inline(always)]
    pub(crate) fn is_skipped(&self) -> bool {
        Self::ALL_GATHER && !self.step.runs()
    }

    /// Before the first barrier: clears the sums, and in the launch that makes the plan leaves in
    /// which bits the warp's keys differ from the first of all.
    #[inline(always)]
    pub(crate) unsafe fn prepare(&self, keys: &[K; ITEMS]) {
        if !Self::ALL_GATHER {
            return;
        }
        let mut i = self.thread as usize;
        while i < 2 * RADIX {
            Self::LAYOUT.gathered_sums.shared().set(i, 0);
            i += THREADS;
        }
        if !self.plans() {
            return;
        }
        let encodes = self.encodes(true);
        let first = self.arg.keys.input.get(0);
        let first = if encodes { first.encode() } else { first };
        let begin = self.first_item();
        let mut differing = K::from_u64(0);
        for i in 0..ITEMS {
            if begin + 32 * (i as u32) < self.valid() {
                differing = differing | (keys[i] ^ first);
            }
        }
        self.keep_positions(self.positions_in(differing));
    }

    /// Leaves the positions that any lane has of the warp. All lanes call.
    #[inline(always)]
    unsafe fn keep_positions(&self, positions: u32) {
        let positions = scan::warp_or(positions);
        if self.thread.is_multiple_of(32) {
            let warp = self.thread as usize / 32;
            Self::LAYOUT.words_of_warps.shared().set(warp, positions);
        }
    }

    /// The positions that all warps have left.
    #[inline(always)]
    unsafe fn kept_positions(&self) -> u32 {
        let mut positions = 0;
        for warp in 0..Self::WARPS {
            positions |= Self::LAYOUT.words_of_warps.shared().get(warp);
        }
        positions
    }

    /// The positions whose digits have some of `bits`.
    #[inline(always)]
    fn positions_in(&self, bits: K) -> u32 {
        let (mut positions, mut position) = (0, 0);
        while position < self.arg.bits.digits() {
            let (shift, mask) = self.arg.bits.digit(position);
            positions |= ((bits.digit(shift, mask, 0) != 0) as u32) << position;
            position += 1;
        }
        positions
    }

    /// After the barrier that follows [`prepare`](Self::prepare): publishes in which positions
    /// the tile's keys differ.
    #[inline(always)]
    pub(crate) unsafe fn publish_differing(&self) {
        if !self.plans() || self.thread != Self::PLANNER {
            return;
        }
        let word = self.kept_positions() | control::PUBLISHED;
        let flags = self.arg.control.offset(control::DIFFERING);
        flags.store(self.number() as usize, word, Ordering::Relaxed, Scope::Device);
    }

    /// Publishes the counts of digits `digit` and the next.
    #[inline(always)]
    pub(crate) unsafe fn publish_counts(&self, digit: u32, [first, second]: [u32; 2]) {
        let word = (first | second << 16) | self.mark();
        let row = self.counts_of(self.number());
        row.store(digit as usize / 2, word, Ordering::Relaxed, Scope::Device);
    }

    /// Finds what to add to a slot of the tile to get the offset in the output, for each digit,
    /// and in the launch that makes it the plan. A barrier stands before that is used.
    #[inline(always)]
    pub(crate) unsafe fn all_gather(&self) {
        self.add_rows();
        if self.plans() {
            self.read_differing();
        }
        thread::sync_threads();
        if self.plans() && self.thread == Self::PLANNER {
            self.plan();
        }
        let mut group = self.thread as usize / 32;
        while group < LANE_DIGITS {
            self.offset_of(32 * group);
            group += Self::WARPS;
        }
    }

    #[inline(always)]
    unsafe fn add_rows(&self) {
        let tiles = thread::grid_dim_x();
        let lane = self.thread as usize % 32;
        let sums = Self::LAYOUT.gathered_sums.shared();
        let mut first = self.thread / 32;
        while first < tiles {
            let rows = self.read_rows(first, tiles);
            // Counts of so few rows add up within 16 bits.
            let (mut before, mut all) = ([0; 4], [0; 4]);
            for j in 0..TOGETHER {
                let earlier = Self::nth(first, j) < self.number();
                let kept = if earlier { COUNTS } else { 0 };
                for k in 0..4 {
                    before[k] += rows[j][k] & kept;
                    all[k] += rows[j][k] & COUNTS;
                }
            }
            for k in 0..LANE_DIGITS {
                let half = |words: [u32; 4]| (words[k / 2] >> (k % 2 * 16)) & 0xffff;
                let slot = slot_of(lane * LANE_DIGITS + k);
                sums.add(slot, half(before));
                sums.add(RADIX + slot, half(all));
            }
            first = Self::nth(first, TOGETHER);
        }
    }

    /// The tile whose row is number `j` of a warp's from `first` on.
    #[inline(always)]
    fn nth(first: u32, j: usize) -> u32 {
        first + (j * Self::WARPS) as u32
    }

    /// The lane's part of this warp's rows from `first` on, once they have been published; zero
    /// where there are no more.
    #[inline(always)]
    unsafe fn read_rows(&self, first: u32, tiles: u32) -> [[u32; 4]; TOGETHER] {
        let at = 4 * (self.thread as usize % 32);
        let mark = self.mark();
        let mut rows = [[0; 4]; TOGETHER];
        let mut missing = [false; TOGETHER];
        for j in 0..TOGETHER {
            missing[j] = Self::nth(first, j) < tiles;
        }
        let mut patience = hint::Patience::new();
        loop {
            for j in 0..TOGETHER {
                if missing[j] {
                    let row = self.counts_of(Self::nth(first, j));
                    rows[j] = row.load_four(at, Scope::Device);
                }
            }
            for j in 0..TOGETHER {
                let unmarked = rows[j].iter().fold(0, |all, word| all | (word ^ mark));
                missing[j] &= unmarked & !COUNTS != 0;
            }
            if missing == [false; TOGETHER] {
                return rows;
            }
            if patience.ended() {
                for j in 0..TOGETHER {
                    if missing[j] {
                        rows[j] = self.count_row(Self::nth(first, j));
                    }
                }
                return rows;
            }
        }
    }

    /// The lane's part of a tile's row, counted from what the pass reads.
    #[inline(always)]
    unsafe fn count_row(&self, tile: u32) -> [u32; 4] {
        let lane = self.thread % 32;
        let digit_of = self.digits();
        let mut row = [0; 4];
        self.each_key_of(tile, |key| {
            let digit = digit_of(key);
            for k in 0..4 {
                let own = digit / 2 == 4 * lane + k as u32;
                row[k] += (own as u32) << (digit % 2 * 16);
            }
        });
        row
    }

    /// Calls `f` with each key of a tile, as the pass reads it.
    #[inline(always)]
    unsafe fn each_key_of(&self, tile: u32, mut f: impl FnMut(K)) {
        let begin = tile as u64 * Self::SIZE as u64;
        let end = (begin + Self::SIZE as u64).min(self.arg.n);
        let source = self.arg.keys.choose(self.step.source());
        let encodes = self.encodes(self.step.first());
        let mut i = begin;
        while i < end {
            let key = source.get(i as usize);
            f(if encodes { key.encode() } else { key });
            i += 1;
        }
    }

    /// Leaves in which positions keys differ, of as many tiles as a warp has lanes.
    #[inline(always)]
    unsafe fn read_differing(&self) {
        let tiles = thread::grid_dim_x();
        let mut positions = 0;
        let mut tile = self.thread;
        while tile < tiles {
            positions |= self.differing(tile);
            tile += THREADS as u32;
        }
        self.keep_positions(positions);
    }

    /// In which positions keys of `tile` differ from the first of all.
    #[inline(always)]
    unsafe fn differing(&self, tile: u32) -> u32 {
        let flags = self.arg.control.offset(control::DIFFERING);
        let mut patience = hint::Patience::new();
        loop {
            let word = flags.load(tile as usize, Ordering::Relaxed, Scope::Device);
            if word & control::PUBLISHED != 0 {
                return word & !control::PUBLISHED;
            }
            if patience.ended() {
                let mut first = None;
                let mut bits = K::from_u64(0);
                self.each_key_of(0, |key| {
                    first = first.or(Some(key));
                });
                let first = first.unwrap_or(bits);
                self.each_key_of(tile, |key| bits = bits | (key ^ first));
                return self.positions_in(bits);
            }
        }
    }

    /// Makes the plan: for this block, and in the first block for the passes to come.
    #[inline(always)]
    unsafe fn plan(&self) {
        let positions = self.kept_positions();
        let Tile { arg, .. } = self;
        let varies = |position: u32| positions & 1 << position != 0;
        let ranking = |_| Self::ranking(arg.options);
        plan::steps(arg.bits, arg.options, varies, ranking, |position, step| {
            if position == 0 {
                self.keep_step(step);
            }
            if self.number() == 0 {
                step.write(arg.control, position as usize);
            }
        });
    }

    /// Finds the offset of `first` plus the lane's number, a digit. All lanes call.
    #[inline(always)]
    unsafe fn offset_of(&self, first: usize) {
        let lane = self.thread % 32;
        let digit = first + lane as usize;
        let (before, all) = (
            Self::LAYOUT.gathered_sums.shared(),
            Self::LAYOUT.gathered_sums.shared().offset(RADIX),
        );
        // The sum before the group of digits that the lane would read of a row.
        let mut group = 0;
        for k in 0..LANE_DIGITS {
            group += all.get(slot_of(lane as usize * LANE_DIGITS + k));
        }
        let groups = scan::warp_inclusive(group, lane) - group;
        let start = lanes::shuffle_idx(lanes::FULL, groups, (digit / LANE_DIGITS) as u32);
        // And what is before the digit in its group.
        let own = all.get(slot_of(digit));
        let inclusive = scan::group_inclusive(LANE_DIGITS as u32, own, lane);
        let run = Run::new(
            Self::LAYOUT.begins.shared().get(digit),
            Self::LAYOUT.begins.shared().get(digit + 1),
        );
        let offset = start + inclusive - own + before.get(slot_of(digit));
        self.offsets().set(digit, offset.wrapping_sub(run.begin()));
    }
}
