//! The words in device memory through which the launches of one sort agree.
//!
//! A sort is one histogram launch and one launch a digit (or one for each portion of the tiles,
//! when there are very many keys). They share an array of 32-bit words:
//!
//! | words | what |
//! |---|---|
//! | `DIGITS_MAX` | the plan: one word a digit, written by the histogram |
//! | 16 | the arrival counter and, where keys are counted by bucket, what that says |
//! | 2 x digits x 256 | bins: how many keys have each digit, 64 bits; zero between sorts |
//! | 2 x 2 x digits x 256 | starts: exclusive prefix sums of the bins, for even and odd portions |
//! | 3 x 256 | nothing: a look-back reads four rows at once, and none of these is used |
//! | tiles x 256 | the look-back table: a row a tile, a word a digit |
//!
//! The counts of blocks and the bins must be zero before the first sort, and each sort leaves
//! them so; the rest may hold anything, and is written before it is read. The histogram clears
//! the table.
//!
//! # The plan
//! A digit in which all keys agree moves nothing and is skipped; which digits those are only the
//! histogram knows. So the kernels, not the host, decide which buffer a pass reads and which it
//! writes: the last pass to run writes the output, the one before it the scratch buffer, and so
//! on back, and the first one reads the input. When the sort is in place the input is the output,
//! so the number of passes is made even by running one constant digit after all.
//!
//! # Locally
//! Where keys are counted by bucket (see [`buckets`](crate::buckets)) and each bucket is small,
//! another plan takes the first one's place: the upper two digits run, as if there were no
//! others, and then each bucket is sorted by itself ([`local_sort`](crate::local_sort)). Where a
//! block holds all keys of any top digit, that digit runs alone. Where it holds all keys with any
//! top bits, more than a digit has, no digit runs: a [pass by them](crate::top_pass) does.
//!
//! The counts of top bits take the place of the starts of odd portions, and are zero between
//! sorts too. Where the keys of each bucket go takes that of the first rows of the table, which no
//! pass looks at then.
//!
//! # A look-back word
//! Two bits of state and 30 bits of count (Adinets and Merrill 2022, Onesweep). A row is EMPTY,
//! then LOCAL (what the tile itself holds), then INCLUSIVE (what it and all tiles before it
//! hold). The passes of one sort share the table and nobody clears it between them: after a pass
//! every word is INCLUSIVE, and the next pass reads the state through an exclusive or that makes
//! INCLUSIVE EMPTY.
//!
//! # A single wave
//! For a single wave of tiles no histogram is launched: see `all_gather`. After the plan and 16
//! words that nothing uses come
//!
//! | words | what |
//! |---|---|
//! | `TILES_MAX` | a word a tile: digits in which keys differ from the first; zero between sorts |
//! | tiles x 128 | rows: a row a tile, a word two digits |
//!
//! Half a word of a row is 14 bits of count and a mark, which tells the passes of a sort apart: 1
//! and 2 in turns, but 3 in the last one, and 0 where a pass was skipped. So a sort that begins
//! finds no row marked 1, and no pass one with its own mark. Only a sort by a single digit does:
//! before it the rows have to be cleared.
//!
//! # Portions
//! 30 bits count less than 2^30 keys. More are passed in portions of whole tiles, a launch each:
//! the counts begin anew with each portion's first tile, and its last one moves the starts on for
//! the next portion.

/// Most digits a key has: 16 bytes.
pub const DIGITS_MAX: usize = 16;
/// Index of the arrival counter.
pub const ARRIVALS: usize = DIGITS_MAX;
/// Index of how many blocks have counted digits instead of buckets.
pub const DIGITS_COUNTED: usize = ARRIVALS + 1;
/// Index of how many blocks have seen a bucket that is too large.
pub const OVERFULL: usize = ARRIVALS + 2;
/// Index of whether all digits have to be counted again, because buckets or top bits were counted
/// for nothing. Until that is decided: how many blocks have given up.
pub const AGAIN: usize = ARRIVALS + 3;
/// Index of whether buckets are sorted locally. Until that is decided: whether all blocks have
/// counted them.
pub const LOCALLY: usize = ARRIVALS + 4;
/// Index of the next bucket that no block sorts yet.
pub const NEXT_BUCKET: usize = ARRIVALS + 5;
/// Index of the [shortcut](crate::shortcut) that the plan suggests, or 0.
pub const SHORTCUT: usize = ARRIVALS + 6;
/// The suggestion of few distinct keys, before others.
pub const FEW: u32 = 1;
/// Those of keys in order, and in the reverse one.
pub const ASCENDING: u32 = 2;
pub const DESCENDING: u32 = 4;
/// Index of the barrier of its blocks.
pub const SHORTCUT_ENTRY: usize = ARRIVALS + 7;
pub const BINS: usize = 2 * DIGITS_MAX;

use crate::key::RADIX;
use cuda_std::{ext::*, prelude::*};

/// Index of the starts of even portions (0) and of odd ones (1), for keys of `digits` digits.
pub const fn starts(digits: usize, portion: u32) -> usize {
    BINS + (1 + portion as usize % 2) * 2 * digits * RADIX
}

/// Index of the look-back table, for keys of `digits` digits.
pub const fn table(digits: usize) -> usize {
    starts(digits, 1) + 2 * digits * RADIX + 3 * RADIX
}

/// Index of the counts of top bits.
pub const fn tops(digits: usize) -> usize {
    starts(digits, 1)
}

/// Index of where the next key of each bucket by top bits goes.
pub const fn claims(digits: usize) -> usize {
    table(digits)
}

/// Words of the whole array, for `tiles` tiles.
pub const fn words(digits: usize, tiles: usize) -> usize {
    table(digits) + tiles * RADIX
}

/// Most tiles where tiles gather from all others.
pub const TILES_MAX: usize = 256;
/// Index of the words that say in which digits keys differ.
pub const DIFFERING: usize = BINS;
/// Set in such a word once it says so.
pub const PUBLISHED: u32 = 1 << 31;
pub const ROWS: usize = DIFFERING + TILES_MAX;
pub const ROW: usize = RADIX / 2;
/// The bits of a count in a row.
pub const ROW_COUNT: u32 = (1 << 14) - 1;

/// The mark of the rows of a pass over digit `position` of `digits`, in the bits above the count.
#[inline(always)]
pub const fn row_mark(position: u32, digits: u32) -> u32 {
    let mark = if position + 1 == digits { 3 } else { 1 + position % 2 };
    mark << 14
}

/// Words of the whole array where tiles gather from all others, which are so many.
pub const fn words_of_single_wave(tiles: usize) -> usize {
    ROWS + tiles * ROW
}

/// Most keys of one portion: a look-back word counts to less than 2^30.
pub const PORTION_MAX: u64 = (1 << 30) - 1;

/// Tiles of `tile` keys in a portion.
pub const fn portion(tile: usize) -> u64 {
    PORTION_MAX / tile as u64
}

/// Most keys that are one portion whatever the tile, of which the last counts whole: a tile's
/// counters have 16 bits.
pub const ONE_PORTION: u64 = PORTION_MAX - (1 << 16);

/// States of a look-back word, in its two high bits.
pub const EMPTY: u32 = 0;
pub const LOCAL: u32 = 1 << 30;
pub const INCLUSIVE: u32 = 2 << 30;
pub const STATE: u32 = 3 << 30;
pub const COUNT: u32 = !STATE;

/// An option of a sort: the input is also the output.
pub const IN_PLACE: u32 = 1;
/// An option of a sort: a pass may rank by atomics. Only for keys without values that are sorted
/// by all their bits, of which equal ones cannot be told apart.
pub const ALLOW_ATOMICS: u32 = 2;
/// An option of a sort: keys are floating-point numbers; see [`key`](crate::key).
pub const ENCODE: u32 = 4;
/// An option of a sort: a key's value is its index in the input.
pub const INDEX: u32 = 8;
/// An option of a histogram: it follows a count of buckets or top bits, and counts if that was for
/// nothing. In the word of the shortcut, from the first count on: such a histogram makes the plan.
pub const ONLY_AGAIN: u32 = 16;
/// An option of a histogram: a [shortcut](crate::shortcut) follows, for keys that are sorted by all
/// their bits.
pub const SUGGEST: u32 = 32;
/// An option of a launch: it begins when the plan is made, because a launch before it waits for that
/// and only then lets others begin.
pub const PLANNED: u32 = 64;

/// Waits for the launch before this one, unless the plan leaves the block nothing to do, and returns
/// `word` of the plan, which is 0 then.
///
/// A [`PLANNED`] launch reads it before it waits, where nothing may still change it: so blocks
/// that have nothing to do end while others still work. Block 0 stays, or the next launch would not
/// wait for what this one should have waited for. Any other launch lets the next one begin only
/// when the plan is made.
#[inline(always)]
pub(crate) unsafe fn await_plan(control: Global<u32>, options: u32, word: usize) -> u32 {
    if options & PLANNED == 0 {
        sync_predecessor();
        trigger_dependents();
        return control.get(word);
    }
    trigger_dependents();
    // As one number of two halves, or one is read only when the other is there.
    let both = get_early(control, SHORTCUT) << 16 | get_early(control, word);
    let both = hint::opaque(both);
    let planned = both & 0xffff;
    if both >> 16 != 0 {
        sync_predecessor();
        return control.get(word);
    }
    if planned != 0 || thread::block_idx_x() == 0 {
        sync_predecessor();
    }
    planned
}

/// How a pass finds the rank of a key: see [`rank`](crate::rank).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Ranking {
    Match,
    Atomics,
}

/// Which of its three buffers a pass reads or writes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Buffer {
    Input,
    Output,
    Scratch,
}

/// The work of one digit's pass: a word of the plan.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Step {
    word: u32,
}

impl Step {
    const RUNS: u32 = 1;
    const ATOMICS: u32 = 2;
    const TO_OUTPUT: u32 = 4;
    const FIRST: u32 = 8;
    const LAST: u32 = 16;
    const TOGGLED: u32 = 32;
    const UPPER: u32 = 64;
    /// Where the lowest bit of the digit stands in the word.
    const SHIFT: u32 = 8;

    pub const SKIPPED: Step = Step { word: 0 };

    /// The pass that runs as number `index` of `count`, over the digit from bit `shift` on.
    #[inline(always)]
    pub fn running(index: u32, count: u32, shift: u32, ranking: Ranking) -> Self {
        let left = count - 1 - index;
        let mut word = Self::RUNS | shift << Self::SHIFT;
        if ranking == Ranking::Atomics {
            word |= Self::ATOMICS;
        }
        if left.is_multiple_of(2) {
            word |= Self::TO_OUTPUT;
        }
        if index == 0 {
            word |= Self::FIRST;
        }
        if left == 0 {
            word |= Self::LAST;
        }
        if !index.is_multiple_of(2) {
            word |= Self::TOGGLED;
        }
        Step { word }
    }

    /// The same where it follows no pass over the digits below those of buckets, whose order is
    /// made afterwards, and the keys' bits are given back then.
    #[inline(always)]
    pub fn upper(self) -> Self {
        Step { word: (self.word | Self::UPPER) & !Self::LAST }
    }

    /// Returns true if the digits below those of buckets are not sorted by yet.
    #[inline(always)]
    pub fn is_upper(self) -> bool {
        self.word & Self::UPPER != 0
    }

    #[inline(always)]
    pub(crate) fn word(self) -> u32 {
        self.word
    }

    #[inline(always)]
    pub(crate) fn from_word(word: u32) -> Self {
        Step { word }
    }

    #[inline(always)]
    pub fn runs(self) -> bool {
        self.word & Self::RUNS != 0
    }

    #[inline(always)]
    pub fn ranking(self) -> Ranking {
        if self.word & Self::ATOMICS != 0 { Ranking::Atomics } else { Ranking::Match }
    }

    #[inline(always)]
    pub fn shift(self) -> u32 {
        self.word >> Self::SHIFT
    }

    #[inline(always)]
    pub fn first(self) -> bool {
        self.word & Self::FIRST != 0
    }

    #[inline(always)]
    pub fn last(self) -> bool {
        self.word & Self::LAST != 0
    }

    #[inline(always)]
    pub fn source(self) -> Buffer {
        if self.first() {
            Buffer::Input
        } else if self.word & Self::TO_OUTPUT != 0 {
            Buffer::Scratch
        } else {
            Buffer::Output
        }
    }

    #[inline(always)]
    pub fn target(self) -> Buffer {
        if self.word & Self::TO_OUTPUT != 0 { Buffer::Output } else { Buffer::Scratch }
    }

    /// The bits that make the states of the pass before read as EMPTY.
    #[inline(always)]
    pub fn toggle(self) -> u32 {
        if self.word & Self::TOGGLED != 0 { INCLUSIVE } else { 0 }
    }

    /// The same step, unknown to the compiler: see [`hint::opaque`].
    #[inline(always)]
    pub fn opaque(self) -> Self {
        Step { word: hint::opaque(self.word) }
    }

    #[inline(always)]
    pub unsafe fn read(control: Global<u32>, position: usize) -> Self {
        Step { word: control.get(position) }
    }

    #[inline(always)]
    pub unsafe fn write(self, control: Global<u32>, position: usize) {
        control.set(position, self.word)
    }
}

#[cfg(all(test, not(target_os = "cuda")))]
mod tests {
    use super::*;

    #[test]
    fn what_is_one_portion_fits_in_whole_tiles() {
        for tile in 1..=u64::from(u16::MAX) {
            assert!(ONE_PORTION.div_ceil(tile) <= portion(tile as usize));
        }
    }

    #[test]
    fn passes_hand_over_and_end_in_the_output() {
        for count in 1..=DIGITS_MAX as u32 {
            let steps: Vec<Step> =
                (0..count).map(|i| Step::running(i, count, 8 * i, Ranking::Match)).collect();
            assert_eq!(steps[0].source(), Buffer::Input);
            assert_eq!(steps[count as usize - 1].target(), Buffer::Output);
            assert_eq!(steps.iter().filter(|step| step.last()).count(), 1);
            assert!(steps[count as usize - 1].last());
            assert!((0..count).all(|i| steps[i as usize].shift() == 8 * i));
            for pair in steps.windows(2) {
                assert_eq!(pair[0].target(), pair[1].source());
                assert_ne!(pair[1].source(), pair[1].target());
                assert_ne!(pair[0].toggle(), pair[1].toggle());
            }
        }
    }

    #[test]
    fn an_even_number_of_passes_never_writes_what_it_reads_in_place() {
        for count in (2..=DIGITS_MAX as u32).step_by(2) {
            let first = Step::running(0, count, 0, Ranking::Atomics);
            assert_eq!(first.target(), Buffer::Scratch);
        }
    }
}
