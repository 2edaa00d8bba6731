//! Which kernels sort keys: the choice among the entry points of their word, by the bounds of
//! `gpu_kernels::policy` and what the GPU has room for.

mod ranges;
mod top;

use gpu_kernels::block::Block;
use gpu_kernels::bucket_starts::BucketStarts;
use gpu_kernels::buckets::{self, BucketCounts};
use gpu_kernels::control;
use gpu_kernels::entries::{classify_segments, number_segments};
use gpu_kernels::entry::{Entries, Entry};
use gpu_kernels::fused::{self, Fused};
use gpu_kernels::gather::{Gather, NumericCodes, SegmentNumbers};
use gpu_kernels::gathered_sort::GatheredSort;
use gpu_kernels::histogram::Histogram;
use gpu_kernels::key::RADIX;
use gpu_kernels::local_sort::LocalSort;
use gpu_kernels::merge::Merge;
use gpu_kernels::policy;
use gpu_kernels::ranks::Ranks;
use gpu_kernels::segments::{Classes, Segments};
use gpu_kernels::tile::{Pass, WholeSort};

pub use self::ranges::RangeSort;
pub use self::top::TopSort;
use super::Device;
use super::module::Kernel;
use crate::error::Error;

/// Keys from which on the histogram's blocks count in as many copies as they can.
const MANY_FROM: u64 = 1 << 22;

/// Keys of `width` bytes, alone or `paired` with values, from which on it pays to count buckets
/// and sort them locally.
fn buckets_from(width: usize, paired: bool) -> Option<u64> {
    match (width, paired) {
        (4, false) => Some(1 << 25),
        (4, true) => Some(1 << 24),
        (8, _) => Some(1 << 23),
        _ => None,
    }
}

/// Keys from which on it pays to sort each top digit locally: fewer would not fill the blocks.
pub const BY_DIGIT_FROM: u64 = 1 << 19;

/// Keys from which on a launch that ends at once takes other sorts 2 % longer at the most.
pub const SHORTCUT_FROM: u64 = 1 << 24;

/// The kernels of sorts of up to so many keys.
pub struct Passes<W> {
    /// Counts digits.
    pub histogram: Kernel<Histogram<W>>,
    /// Passes over one digit.
    pub pass: Kernel<Pass<W>>,
    /// True if its tiles are a single wave, which needs no histogram.
    pub single_wave: bool,
    /// Tiles in one launch of a pass.
    pub portion: u64,
    /// The shortcut behind the plan, if it is worth its time.
    pub shortcut: Option<Kernel<WholeSort<W>>>,
    /// The sort of small buckets, if it is worth its time.
    pub buckets: Option<BucketSort<W>>,
    /// The local sort of each top digit, if a block holds what evenly spread keys have of it.
    pub by_digit: Option<Kernel<LocalSort<W>>>,
    /// The sort by top bits, which is done in place of both where it can be.
    pub by_top: Option<TopSort<W>>,
}

/// The kernels that sort each bucket by itself.
pub struct BucketSort<W> {
    /// Keys from which on it is done.
    pub from: u64,
    /// Counts buckets.
    pub counts: Kernel<BucketCounts<W>>,
    /// Adds the blocks' counts up.
    pub starts: Kernel<BucketStarts>,
    /// Sorts buckets of up to a tile.
    pub sort: Kernel<LocalSort<W>>,
    /// Blocks of it that the GPU holds.
    pub blocks: u32,
}

/// The elements of passes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Keys alone, ranked as the plan says.
    Keys,
    /// Keys alone, ranked by match.
    MatchedKeys,
    /// Keys with values.
    Pairs,
}

/// A sort that kernels are wanted for.
#[derive(Clone, Copy, Debug)]
pub struct Wanted {
    pub kind: Kind,
    /// True if keys are sorted by all their bits.
    pub whole: bool,
    /// Most keys.
    pub n: u64,
}

impl Wanted {
    fn paired(self) -> bool {
        self.kind == Kind::Pairs
    }

    /// Returns true if more than passes may sort, which do not all rank by match.
    fn is_free(self) -> bool {
        self.whole && self.kind != Kind::MatchedKeys
    }
}

/// A GPU's room.
#[derive(Clone, Copy, Debug)]
struct Room {
    /// True if it runs what is compiled for compute capability 9.0.
    recent: bool,
    multiprocessors: u32,
    /// Bytes of shared memory that a block may have.
    shared_bytes: usize,
}

impl Room {
    fn of(device: &Device) -> Self {
        Room {
            recent: device.capability >= (9, 0),
            multiprocessors: device.multiprocessors,
            shared_bytes: device.shared_bytes as usize,
        }
    }

    fn runs<A>(&self, entry: &Entry<A>) -> bool {
        (self.recent || !entry.recent) && entry.shared_bytes <= self.shared_bytes
    }

    /// Most tiles of a single wave: one a multiprocessor.
    fn wave(&self) -> u64 {
        u64::from(self.multiprocessors).min(control::TILES_MAX as u64)
    }
}

/// A kernel, and how many blocks of it the GPU holds.
pub type KernelAndBlocks<A> = (Kernel<A>, u32);

/// The kernel that sorts buckets of `n` evenly spread keys which stand in several places, if such
/// keys have one, in the smallest blocks that hold them.
pub fn gathered<W: Entries>(
    device: &Device,
    paired: bool,
    n: u64,
) -> Result<Option<KernelAndBlocks<GatheredSort<W>>>, Error> {
    let room = Room::of(device);
    let largest = largest_bucket(n, buckets::BUCKETS);
    let entry = W::GATHERED.iter().find(|entry| {
        entry.paired == paired && room.runs(entry) && largest <= entry.shape.tile() as f64
    });
    entry.map(|entry| load_with_blocks(device, entry)).transpose()
}

fn load_with_blocks<A>(device: &Device, entry: &Entry<A>) -> Result<KernelAndBlocks<A>, Error> {
    let kernel = device.kernels.load(entry)?;
    Ok((kernel, kernel.resources()?.blocks * device.multiprocessors))
}

/// Loads a kernel, if there is one.
fn load<A>(device: &Device, entry: Option<&Entry<A>>) -> Result<Option<Kernel<A>>, Error> {
    entry.map(|entry| device.kernels.load(entry)).transpose()
}

/// The first of some entry points.
fn first<'a, A>(
    mut entries: impl Iterator<Item = &'a Entry<A>>,
    what: &str,
) -> Result<&'a Entry<A>, Error> {
    let none = || Error::gpu("choosing a kernel", format!("none {what} on this GPU"));
    entries.next().ok_or_else(none)
}

impl<W: Entries> Passes<W> {
    pub fn of(device: &Device, wanted: Wanted) -> Result<Self, Error> {
        let room = Room::of(device);
        let [large, small] = W::HISTOGRAMS;
        let many = wanted.n >= MANY_FROM && room.shared_bytes >= policy::HISTOGRAM_BYTES_LARGE;
        let (pass, single_wave) = pass::<W>(room, wanted)?;
        let buckets = BucketSort::of(device, wanted)?;
        let by_digit = by_digit(room, wanted).filter(|_| !single_wave && buckets.is_none());
        let shortcut = shortcut(room, wanted).filter(|_| !single_wave);
        Ok(Passes {
            histogram: device.kernels.load(if many { &large } else { &small })?,
            pass: device.kernels.load(pass)?,
            single_wave,
            portion: control::portion(pass.shape.tile()),
            shortcut: load(device, shortcut)?,
            buckets,
            by_digit: load(device, by_digit)?,
            by_top: if single_wave { None } else { TopSort::of(device, wanted)? },
        })
    }

    /// The same by another pass.
    pub fn by(self, pass: Kernel<Pass<W>>, single_wave: bool) -> Self {
        Passes {
            portion: control::portion(pass.shape().tile()),
            pass,
            single_wave,
            shortcut: None,
            buckets: None,
            by_digit: None,
            by_top: None,
            ..self
        }
    }
}

impl<W: Entries> BucketSort<W> {
    /// In blocks that hold the buckets if the keys are evenly spread.
    fn of(device: &Device, wanted: Wanted) -> Result<Option<Self>, Error> {
        let (paired, n, width) = (wanted.paired(), wanted.n, size_of::<W>());
        let (Some(from), [counts], [starts]) =
            (buckets_from(width, paired), W::BUCKET_COUNTS, W::BUCKET_STARTS)
        else {
            return Ok(None);
        };
        let room = Room::of(device);
        // The blocks' bucket counts lie in the scratch buffer.
        let counted = u64::from(room.multiprocessors) * (buckets::COUNT_WORDS * 4 / width) as u64;
        if !wanted.is_free() || n < from.max(counted) || !room.runs(counts) {
            return Ok(None);
        }
        let holds = |entry: &&Entry<LocalSort<W>>| {
            let tile = entry.shape.tile() as f64;
            let largest = largest_bucket(n, buckets::BUCKETS);
            entry.paired == paired && room.runs(entry) && largest <= tile
        };
        let Some(sort) = W::LOCAL.iter().find(holds) else {
            return Ok(None);
        };
        let kernels = &device.kernels;
        let (sort, blocks) = load_with_blocks(device, sort)?;
        Ok(Some(BucketSort {
            from: from.max(counted),
            counts: kernels.load(counts)?,
            starts: kernels.load(starts)?,
            sort,
            blocks,
        }))
    }

    /// The same by another local sort.
    pub fn by(self, device: &Device, sort: Kernel<LocalSort<W>>) -> Result<Self, Error> {
        Ok(BucketSort { sort, blocks: sort.resources()?.blocks * device.multiprocessors, ..self })
    }
}

/// Keys in the largest of so many buckets, of `n` evenly spread keys: it is not five and a half
/// deviations above the mean.
pub fn largest_bucket(n: u64, buckets: usize) -> f64 {
    let mean = n as f64 / buckets as f64;
    mean + 5.5 * mean.sqrt()
}

/// The local sort of each top digit, in the smallest blocks that hold them if the keys are evenly
/// spread.
fn by_digit<W: Entries>(room: Room, wanted: Wanted) -> Option<&'static Entry<LocalSort<W>>> {
    if !wanted.is_free() || wanted.n < BY_DIGIT_FROM {
        return None;
    }
    W::BY_DIGIT.iter().find(|entry| {
        let holds = largest_bucket(wanted.n, RADIX) <= entry.shape.tile() as f64;
        entry.paired == wanted.paired() && room.runs(entry) && holds
    })
}

fn shortcut<W: Entries>(room: Room, wanted: Wanted) -> Option<&'static Entry<WholeSort<W>>> {
    // Places have 32 bits.
    let taken = wanted.whole && (SHORTCUT_FROM..=u32::MAX.into()).contains(&wanted.n);
    let paired = wanted.paired();
    W::SHORTCUTS.iter().find(|entry| taken && entry.paired == paired && room.runs(entry))
}

/// The pass, and whether it is one of a single wave: if each multiprocessor has at most one tile
/// of the largest.
fn pass<W: Entries>(room: Room, wanted: Wanted) -> Result<(&'static Entry<Pass<W>>, bool), Error> {
    use policy::onesweep::KEYS_U32_MATCH;
    let (paired, n) = (wanted.paired(), wanted.n);
    let wave = |entry: &&Entry<Pass<W>>| {
        let tile = entry.shape.tile();
        let most = policy::single_wave::most_tiles(size_of::<W>(), paired, tile) as u64;
        entry.paired == paired && room.runs(entry) && n <= most.min(room.wave()) * tile as u64
    };
    if let Some(entry) = W::SINGLE_WAVE.iter().find(wave) {
        return Ok((entry, true));
    }
    let portioned = n > control::ONE_PORTION;
    // In portions tiles have one shape, and rank by match where the plan says so.
    let ballots = (W::BITS, wanted.kind, portioned) == (32, Kind::MatchedKeys, false);
    let usable = |entry: &&Entry<Pass<W>>| {
        let shape = entry.shape;
        let ranks = (shape == KEYS_U32_MATCH) == ballots;
        entry.paired == paired && ranks && room.runs(entry) && n >= shape.from
    };
    let table = if portioned { W::PORTIONED } else { W::LOOK_BACK };
    let entry = first(table.iter().filter(usable), "passes over these keys")?;
    Ok((entry, false))
}

/// The kernel that sorts up to `n` keys in one block, if there is one.
pub fn block<W: Entries>(
    device: &Device,
    paired: bool,
    n: u64,
) -> Result<Option<Kernel<Block<W>>>, Error> {
    let fits = |entry: &&Entry<_>| entry.paired == paired && n <= entry.shape.tile() as u64;
    load(device, W::BLOCKS.iter().find(fits))
}

/// The kernel that sorts in one launch of many blocks, if there is one and the GPU holds them all
/// at once.
pub fn fused<W: Entries>(
    device: &Device,
    wanted: Wanted,
) -> Result<Option<Kernel<Fused<W>>>, Error> {
    for entry in fused_entries::<W>(Room::of(device), wanted) {
        let kernel = device.kernels.load(entry)?;
        if holds_fused(device, &kernel, wanted.n)? {
            return Ok(Some(kernel));
        }
    }
    Ok(None)
}

/// Returns true if the GPU holds all blocks of a sort of `n` keys at once.
pub fn holds_fused<W: Entries>(
    device: &Device,
    kernel: &Kernel<Fused<W>>,
    n: u64,
) -> Result<bool, Error> {
    let blocks = fused::blocks(n as usize, kernel.shape().threads) as u64;
    let held = u64::from(kernel.resources()?.blocks) * u64::from(device.multiprocessors);
    Ok(blocks <= held)
}

/// Those that take so many keys, in order of size.
fn fused_entries<W: Entries>(
    room: Room,
    wanted: Wanted,
) -> impl Iterator<Item = &'static Entry<Fused<W>>> {
    W::FUSED.iter().filter(move |entry| {
        let takes = (entry.shape.from..=fused::most(entry.shape)).contains(&wanted.n);
        let paired = entry.paired == wanted.paired();
        wanted.is_free() && paired && takes && room.runs(entry)
    })
}

/// The kernels that sort segments; those of lists with as many blocks as the GPU holds.
pub struct SegmentKernels<W> {
    /// Sorts those that suit a warp.
    pub in_warps: Kernel<Segments<W>>,
    /// Sorts the first lists, and each of the others.
    pub lists: Vec<KernelAndBlocks<Segments<W>>>,
}

impl<W: Entries> SegmentKernels<W> {
    /// Those for keys of this width, alone or `paired` with values of 4 bytes, if there are any
    /// and the GPU runs them.
    pub fn of(device: &Device, paired: bool) -> Result<Option<Self>, Error> {
        let all = || W::SHORT_SEGMENTS.iter().chain(W::LONG_SEGMENTS);
        let lists: Vec<_> = all().filter(|entry| entry.paired == paired).collect();
        let Some(in_warps) = W::SEGMENTS_IN_WARPS.iter().find(|entry| entry.paired == paired)
        else {
            return Ok(None);
        };
        let room = Room::of(device);
        if !room.runs(in_warps) || lists.iter().any(|entry| !room.runs(entry)) {
            return Ok(None);
        }
        let lists = lists.into_iter().map(|entry| load_with_blocks(device, entry));
        Ok(Some(SegmentKernels {
            in_warps: device.kernels.load(in_warps)?,
            lists: lists.collect::<Result<_, _>>()?,
        }))
    }
}

/// The kernel that checks offsets, and lists segments by length.
pub fn segment_classes(device: &Device) -> Result<Kernel<Classes>, Error> {
    device.kernels.load(&classify_segments::ENTRY)
}

/// The kernel that numbers the segment of each key.
pub fn segment_numbers(device: &Device) -> Result<Kernel<SegmentNumbers>, Error> {
    device.kernels.load(&number_segments::ENTRY)
}

/// The kernel that merges runs of keys, alone or `paired` with values.
pub fn merger<W: Entries>(device: &Device, paired: bool) -> Result<Kernel<Merge<W>>, Error> {
    let mut entries = W::MERGE.iter().filter(|entry| entry.paired == paired);
    device.kernels.load(first(&mut entries, "merges such keys")?)
}

/// The kernel that finds borders in sorted keys.
pub fn ranker<W: Entries>(device: &Device) -> Result<Kernel<Ranks<W>>, Error> {
    device.kernels.load(first(W::RANKS.iter(), "counts such keys")?)
}

/// The kernel that fetches elements by index.
pub fn gatherer<T: Entries>(device: &Device) -> Result<Kernel<Gather<T>>, Error> {
    device.kernels.load(first(T::GATHER.iter(), "gathers such elements")?)
}

/// The kernel that codes floating-point numbers by value.
pub fn coder<W: Entries>(device: &Device) -> Result<Kernel<NumericCodes<W>>, Error> {
    device.kernels.load(first(W::NUMERIC_CODES.iter(), "codes such keys")?)
}

#[cfg(test)]
mod tests;
