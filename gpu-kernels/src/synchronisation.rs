//! How many votes and block barriers the code of each kernel has: as many as its source, each
//! unrolled loop counted by its turns.
//!
//! A vote or a barrier has to be reached by the threads that it is for together. Neither the
//! compiler nor the assembler may copy one into the branches around it or leave one out, and both
//! have been seen to: the kernel then hangs or sorts wrongly on some inputs, or is merely slower.
//! So each entry point states its counts beside its shape, in a comment of the PTX, and
//! `cargo xtask ptx --check` holds what the assembler has made of it against them. A change of an
//! algorithm that changes its counts changes them here.
//!
//! Not counted are syncs and shuffles of a warp, of which the assembler makes several forms, and
//! what it adds itself where threads may have parted, as after a wait for other blocks.

use crate::fused;
use crate::fused_select::may_select;
use crate::key::{DIGIT_BITS, Key};
use crate::policy::Shape;
use crate::policy::segments::{LIST, SHORT, SHORT_ITEMS, WARP_MOST};
use crate::tile::{self, look};
use crate::top_counts::samples;

/// Instructions in a kernel's code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Counts {
    /// Ballots and other votes of a warp.
    pub votes: usize,
    pub barriers: usize,
}

impl Counts {
    const fn new(votes: usize, barriers: usize) -> Self {
        Counts { votes, barriers }
    }
}

/// Votes that rank the keys of a thread: a ballot for each bit of each digit, and two on whether
/// the first row has a single digit, and all others have it too.
const fn match_votes(items: usize) -> usize {
    DIGIT_BITS as usize * items + 2
}

/// A pass. Two barriers are the scan's, one stands before it and one before the store; where
/// there are values, a tile of one run is stored by itself, after one of its own. Where atomics
/// may rank, the warp votes on whether they do and on whether its first row is contended, and the
/// block whether they have gone wrong; by match it is ranked in one place all the same. Looking
/// back, for which values have two places, warps vote in each of them on long runs that they
/// split into windows together; the all-gather has a barrier.
pub const fn onesweep(shape: Shape, atomics: bool, paired: bool, look: u32) -> Counts {
    let looks = 1 + paired as usize;
    let splits = look != look::ALL_GATHER && tile::windowed(shape.tile(), paired);
    let all_gather = look == look::ALL_GATHER;
    let votes = match_votes(shape.items) + 2 * atomics as usize + splits as usize * looks;
    let barriers = 4 + atomics as usize + paired as usize + all_gather as usize * looks;
    Counts::new(votes, barriers)
}

/// A sort in one block, whose turns are a loop: two barriers are the scan's, two lie about the
/// keys' way through shared memory and two about that of the values. Keys alone are ranked and
/// checked as in a pass.
pub const fn block(items: usize, paired: bool) -> Counts {
    if paired { Counts::new(match_votes(items), 6) } else { Counts::new(match_votes(items) + 2, 5) }
}

/// A sort in one launch of many blocks, whose warps vote on whether a row has one range, of the
/// sample and of a tile, and on whether a digit's first row is contended. There are two scans of
/// one barrier each, two networks in shared memory of three, two in device memory of two; grid
/// barriers of two, three without values, and one more with them in each of the three places that
/// write. Of the others, two are those of the look, one stands with the splitters, one before what
/// is claimed and two behind it, one is the entry's, one shows who leaves last, one stands behind
/// a scan of bins, one before they are counted out and one behind, and two behind networks in
/// device memory.
///
/// Where blocks may read all keys, that stands beside: the look and the splitters again, with three
/// barriers and a network; two where words are selected, and one where that is done again; and a
/// sort of a range, with a vote, by bins with four barriers, and by a network behind one.
pub const fn fused<K: Key>(shape: Shape, paired: bool) -> Counts {
    let (scans, networks, in_memory) = (2, 2 * 3, 2 * 2);
    let grid_barriers = 2 * (2 + 3 * paired as usize);
    let looks = fused::looks(shape.threads);
    let votes = looks + fused::loaded(shape.items) + 1;
    let selects = may_select::<K>(shape.threads, shape.items, paired) as usize;
    Counts::new(
        votes + selects * (looks + 1),
        scans + networks + in_memory + grid_barriers + 14 + selects * (3 + 3 + 3 + 4 + 1 + 3),
    )
}

/// The first of two launches: a pass, and what the sort in one launch has up to where it stores,
/// whose warps vote as they do there. Barriers are two of the look, one of the claims, two of
/// scans, one before a tile is put in order, one on whether a range is too large and one before
/// the store; a grid barrier has two. Blocks may withdraw in two places, where two are the
/// entry's, one shows who leaves last and three are those of the network in device memory.
pub const fn partition(shape: Shape, paired: bool) -> Counts {
    let Counts { votes, barriers } = onesweep(shape, !paired, paired, look::ALL_GATHER);
    let votes = fused::looks(shape.threads) + shape.items + votes;
    Counts::new(votes, barriers + 8 + 2 + 2 * (2 + 1 + 3))
}

/// The second of two launches: two turns of counting in bins, of which the scan's two barriers
/// and the one behind it are in one place. Each turn has a vote on contention, a barrier behind
/// the clear bins and one behind the counted ones; between them one reduces the bits in which
/// words differ, and three are those of a network in shared memory.
pub const RANGE_SORT: Counts = Counts::new(2, 11);

/// The classes of segments: of each that a thread has a vote for each list, and one before on
/// whether any is for one.
pub const SEGMENT_CLASSES: Counts = Counts::new(LIST.items * (crate::segments::LISTS + 1), 0);

/// Segments in warps: a vote for each number of lanes that a segment may take, one on those that
/// are too long, and one on wrong offsets.
pub const fn segments_in_warps(keys: usize) -> Counts {
    Counts::new((WARP_MOST / keys).ilog2() as usize + 3, 0)
}

/// The first lists of segments.
pub const fn short_segments<W>(threads: usize, paired: bool) -> Counts {
    let mut counts = NONE;
    let mut list = 0;
    while list < SHORT {
        let of = long_segments::<W>(Shape::new(threads, SHORT_ITEMS[list], 1), paired);
        counts = Counts::new(counts.votes + of.votes, counts.barriers + of.barriers);
        list += 1;
    }
    counts
}

/// A list of segments, each sorted in one block as a bucket of top bits is. There is one barrier
/// more for the bits that its keys differ in, one behind values that are staged, and one stands
/// behind all.
pub const fn long_segments<W>(shape: Shape, paired: bool) -> Counts {
    let Counts { votes, barriers } = sort_by_bins::<W>(shape.items);
    Counts::new(votes, barriers + 2 + paired as usize)
}

/// The histogram and the plan, for which warps vote on how many bins are used.
pub const HISTOGRAM: Counts = Counts::new(1, 9);

/// The same by top bits, whose counts take two more and the claims one. A sample has a vote on
/// one digit and five barriers, of which three say whether it is in order.
pub const fn histogram_by_top<K>() -> Counts {
    let samples = samples::<K>() as usize;
    Counts::new(1 + samples, 12 + 5 * samples)
}

/// The shortcuts. Of keys in order a barrier reduces what threads have seen, and the grid barrier
/// has two. Of few distinct keys, if they are alone, lanes vote on whether they go on, barriers
/// stand behind each of two tables that are cleared, behind what is counted in them and what is
/// found there, and behind the order of keys; the grid barrier has two.
pub const fn shortcut(paired: bool) -> Counts {
    if paired { Counts::new(0, 3) } else { Counts::new(1, 3 + 9) }
}

/// A pass by top bits, whose warps vote on whether their first row is contended: barriers stand
/// behind what is cleared, behind the counts, in the scan and behind it, and before the store. It
/// may be a histogram instead.
pub const fn top_pass<K>() -> Counts {
    let Counts { votes, barriers } = if samples::<K>() { HISTOGRAM } else { NONE };
    Counts::new(votes + 1, barriers + 5)
}

/// A local sort by bins, with a vote on contention: barriers stand behind what is claimed, behind
/// the ranks, in the scan and behind it, behind the scatter, and of keys of 4 bytes behind each
/// of two windows and in the check. A local sort by rounds follows, behind one more.
pub const fn sort_by_bins<K>(items: usize) -> Counts {
    let windows = if size_of::<K>() <= 4 { 3 } else { 0 };
    let rounds = digit_sort(items, false);
    Counts::new(rounds.votes + 1, rounds.barriers + 5 + windows)
}

/// The histogram by bucket. Warps vote in two places on whether their keys are contended: before
/// the sample and while they count. Two barriers reduce, what warps have voted and what the
/// sample shows. One stands behind the sample, one before and one behind the digits that are
/// counted in the place of bucket counts, one behind these and one behind their sums; seven are
/// the last arrival's and the plan's, and one vote, as above.
pub const BUCKET_COUNTS: Counts = Counts::new(3, 14);

/// The starts of buckets: one barrier is its scan's, two those of the last arrival.
pub const BUCKET_STARTS: Counts = Counts::new(0, 3);

/// A local sort of blocks of so many threads, whose rounds are a loop: one barrier shows what was
/// claimed, one stands before the scan, one after the scatter, one reduces what the check says,
/// two are those of exchanging neighbours; a scan has two where a block is more than a warp.
pub const fn local_sort(threads: usize) -> Counts {
    Counts::new(0, 6 + if threads > 32 { 2 } else { 0 })
}

/// A local sort of a top digit: the same, with a vote on contention before its ranking, by match
/// nine a row, and a barrier between values and where they go.
pub const fn digit_sort(items: usize, paired: bool) -> Counts {
    Counts::new((DIGIT_BITS as usize + 1) * items + 1, 8 + paired as usize)
}

/// The same of pairs in bins, with a vote on contention: barriers stand behind the ranks, in the
/// scan and behind it, and behind the scatter. Rounds follow, behind one more.
pub const fn digit_bins(items: usize) -> Counts {
    let rounds = digit_sort(items, true);
    Counts::new(rounds.votes + 1, rounds.barriers + 5)
}

/// A merge, whose search votes in each turn of a loop.
pub const MERGE: Counts = Counts::new(1, 4);

/// Kernels whose threads or warps work each for themselves.
pub const NONE: Counts = Counts::new(0, 0);
