//! Which kernels sort keys: the choice among the entry points of their word, by the bounds of
//! `gpu_kernels::policy` and what the GPU has room for.

mod ranges;
mod top;

use gpu_kernels::block::Block;
use gpu_kernels::bucket_starts::BucketStarts;
use gpu_kernels::buckets::{self, BucketCounts};
use gpu_kernels::control;
use gpu_kernels::entries::classify_segments;
use gpu_kernels::entry::{Entries, Entry};
use gpu_kernels::fused::{self, Fused};
use gpu_kernels::gather::{Gather, NumericCodes};
use gpu_kernels::gathered_sort::GatheredSort;
use gpu_kernels::histogram::Histogram;
use gpu_kernels::key::{Bits, RADIX};
use gpu_kernels::local_sort::LocalSort;
use gpu_kernels::merge::Merge;
use gpu_kernels::policy;
use gpu_kernels::ranks::Ranks;
use gpu_kernels::segments::{Classes, Segments};
use gpu_kernels::shortcut::Shortcut;
use gpu_kernels::tile::Pass;

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

/// Keys from which on a launch that may end at once is next to nothing.
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
    pub shortcut: Option<Kernel<Shortcut<W>>>,
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
    let load = |entry| {
        let kernel = device.kernels.load(entry)?;
        Ok((kernel, kernel.resources()?.blocks * device.multiprocessors))
    };
    entry.map(load).transpose()
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
    /// The passes for up to `n` keys.
    pub fn of(device: &Device, kind: Kind, bits: Bits, n: u64) -> Result<Self, Error> {
        let room = Room::of(device);
        let [large, small] = W::HISTOGRAMS;
        let many = n >= MANY_FROM && room.shared_bytes >= policy::HISTOGRAM_BYTES_LARGE;
        let (pass, single_wave) = pass::<W>(room, kind, n)?;
        let buckets = BucketSort::of(device, kind, bits, n)?;
        let by_digit = match single_wave || buckets.is_some() {
            true => None,
            false => by_digit(room, kind, bits, n),
        };
        Ok(Passes {
            histogram: device.kernels.load(if many { &large } else { &small })?,
            pass: device.kernels.load(pass)?,
            single_wave,
            portion: control::portion(pass.shape.tile()),
            shortcut: match single_wave {
                true => None,
                false => {
                    let entry = shortcut(room, kind, bits, n);
                    entry.map(|entry| device.kernels.load(entry)).transpose()?
                }
            },
            buckets,
            by_digit: by_digit.map(|entry| device.kernels.load(entry)).transpose()?,
            by_top: if single_wave { None } else { TopSort::of(device, kind, bits, n)? },
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
    /// The sort of buckets of up to `n` keys in all: in blocks that hold them if the keys are
    /// evenly spread.
    fn of(device: &Device, kind: Kind, bits: Bits, n: u64) -> Result<Option<Self>, Error> {
        let (paired, width) = (kind == Kind::Pairs, size_of::<W>());
        let (Some(from), [counts], [starts]) =
            (buckets_from(width, paired), W::BUCKET_COUNTS, W::BUCKET_STARTS)
        else {
            return Ok(None);
        };
        let room = Room::of(device);
        // The blocks' bucket counts lie in the scratch buffer.
        let counted = u64::from(room.multiprocessors) * (buckets::COUNT_WORDS * 4 / width) as u64;
        if !is_whole::<W>(bits)
            || kind == Kind::MatchedKeys
            || n < from.max(counted)
            || !room.runs(counts)
        {
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
        let sort = kernels.load(sort)?;
        Ok(Some(BucketSort {
            from: from.max(counted),
            counts: kernels.load(counts)?,
            starts: kernels.load(starts)?,
            sort,
            blocks: sort.resources()?.blocks * room.multiprocessors,
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

/// Returns true if keys are sorted by all their bits.
fn is_whole<W: Entries>(bits: Bits) -> bool {
    bits.begin == 0 && bits.end == W::BITS
}

/// The local sort of each top digit of up to `n` keys, in the smallest blocks that hold them if
/// the keys are evenly spread.
fn by_digit<W: Entries>(
    room: Room,
    kind: Kind,
    bits: Bits,
    n: u64,
) -> Option<&'static Entry<LocalSort<W>>> {
    if kind == Kind::MatchedKeys || n < BY_DIGIT_FROM || !is_whole::<W>(bits) {
        return None;
    }
    W::BY_DIGIT.iter().find(|entry| {
        let holds = largest_bucket(n, RADIX) <= entry.shape.tile() as f64;
        entry.paired == (kind == Kind::Pairs) && room.runs(entry) && holds
    })
}

/// The shortcut of up to `n` keys.
fn shortcut<W: Entries>(
    room: Room,
    kind: Kind,
    bits: Bits,
    n: u64,
) -> Option<&'static Entry<Shortcut<W>>> {
    let taken = is_whole::<W>(bits) && n >= SHORTCUT_FROM;
    // Places have 32 bits.
    let taken = taken && n <= u32::MAX.into();
    let paired = kind == Kind::Pairs;
    W::SHORTCUTS.iter().find(|entry| taken && entry.paired == paired && room.runs(entry))
}

/// The pass of up to `n` keys, and whether it is one of a single wave: if each multiprocessor has
/// at most one tile of the largest.
fn pass<W: Entries>(
    room: Room,
    kind: Kind,
    n: u64,
) -> Result<(&'static Entry<Pass<W>>, bool), Error> {
    use policy::onesweep::KEYS_U32_MATCH;
    let paired = kind == Kind::Pairs;
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
    let ballots = (W::BITS, kind, portioned) == (32, Kind::MatchedKeys, false);
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
    let entry = W::BLOCKS.iter().find(fits);
    entry.map(|entry| device.kernels.load(entry)).transpose()
}

/// The kernel that sorts up to `n` keys in one launch of many blocks, if there is one and the GPU
/// holds them all at once.
pub fn fused<W: Entries>(
    device: &Device,
    kind: Kind,
    bits: Bits,
    n: u64,
) -> Result<Option<Kernel<Fused<W>>>, Error> {
    if !is_whole::<W>(bits) {
        return Ok(None);
    }
    for entry in fused_entries::<W>(Room::of(device), kind, n) {
        let kernel = device.kernels.load(entry)?;
        if holds_fused(device, &kernel, n)? {
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
    kind: Kind,
    n: u64,
) -> impl Iterator<Item = &'static Entry<Fused<W>>> {
    W::FUSED.iter().filter(move |entry| {
        let takes = n >= entry.shape.from && n <= fused::most(entry.shape);
        kind != Kind::MatchedKeys
            && entry.paired == (kind == Kind::Pairs)
            && takes
            && room.runs(entry)
    })
}

/// The kernels that sort segments; those of lists with as many blocks as the GPU holds.
pub struct SegmentKernels<W> {
    /// Checks offsets, and lists segments by length.
    pub classes: Kernel<Classes>,
    /// Sorts those that suit a warp.
    pub in_warps: Kernel<Segments<W>>,
    /// Sorts the first lists, and each of the others.
    pub lists: Vec<KernelAndBlocks<Segments<W>>>,
}

impl<W: Entries> SegmentKernels<W> {
    /// Those for keys of the type called `key`.
    pub fn of(device: &Device, key: &'static str) -> Result<Self, Error> {
        let [in_warps] = W::SEGMENTS_IN_WARPS else {
            let (sort, otherwise) = ("segments", "each segment by itself");
            return Err(Error::KeyWidth { sort, key, otherwise });
        };
        let load = |entry| {
            let kernel = device.kernels.load(entry)?;
            Ok::<_, Error>((kernel, kernel.resources()?.blocks * device.multiprocessors))
        };
        let lists = W::SHORT_SEGMENTS.iter().chain(W::LONG_SEGMENTS);
        Ok(SegmentKernels {
            classes: device.kernels.load(&classify_segments::ENTRY)?,
            in_warps: device.kernels.load(in_warps)?,
            lists: lists.map(load).collect::<Result<_, _>>()?,
        })
    }
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
mod tests {
    use super::*;
    use crate::gpu::module::embedded_texts;

    /// Compute capability 7.5, 8.0, 8.9, an H200 and 12.0.
    pub(super) const ROOMS: [Room; 5] = [
        room(false, 40, 64),
        room(false, 108, 163),
        room(false, 128, 99),
        room(true, 132, 227),
        room(true, 170, 99),
    ];

    const fn room(recent: bool, multiprocessors: u32, shared_kb: usize) -> Room {
        Room { recent, multiprocessors, shared_bytes: shared_kb << 10 }
    }

    macro_rules! has_every_pass {
        (
            $with:tt
            $($test:ident: $type:ident, $name:literal, $key:ident, $word:ty, $kind:expr;)*
        ) => {
            $(has_passes::<$word> $with;)*
        };
    }

    /// Checks for every number of keys.
    fn has_passes<W: Entries>(room: Room, text: Option<&str>) {
        for n in (10..33).map(|exponent| 1 << exponent) {
            for kind in [Kind::Keys, Kind::MatchedKeys, Kind::Pairs] {
                let (entry, _) = pass::<W>(room, kind, n).unwrap();
                assert!(entry.shared_bytes <= room.shared_bytes);
                if let Some(text) = text {
                    is_compiled(text, entry);
                }
            }
        }
    }

    #[test]
    fn every_gpu_has_a_pass_for_every_sort() {
        // The newest text and the baseline, if there is a compiler of kernels.
        let texts: Vec<&str> = embedded_texts().collect();
        for room in ROOMS {
            let text = match room.recent {
                true => texts.first().copied(),
                false => texts.last().copied(),
            };
            sort_cases::for_every_type!(has_every_pass(room, text));
        }
    }

    /// Asserts that a kernel is compiled for blocks of the threads, and for as many parameters,
    /// that it is launched with.
    pub(super) fn is_compiled<A>(text: &str, entry: &Entry<A>) {
        let name = entry.name;
        let begin = text.split_once(&format!(".entry {name}("));
        let (_, kernel) = begin.unwrap_or_else(|| panic!("{name} is not compiled"));
        let (parameters, behind) = kernel.split_once("\n)").unwrap();
        let (_, bounds) = behind.split_once("\n.maxntid ").unwrap();
        let threads = bounds.lines().next().unwrap();
        assert_eq!(threads, entry.shape.threads.to_string(), "{name}");
        let count = parameters.matches(".param ").count();
        assert_eq!(count, entry.count, "{name}");
    }

    fn local_sorts_are_compiled<W: Entries>() {
        let h200 = ROOMS[3];
        let tiles = |paired| {
            let of = move |entry: &&Entry<_>| entry.paired == paired;
            W::LOCAL.iter().filter(of).map(|entry| entry.shape.tile())
        };
        assert!(tiles(false).is_sorted() && tiles(true).is_sorted());
        for entry in W::LOCAL.iter().chain(W::BY_DIGIT).chain(W::BY_TOP) {
            let taken = entry.shared_bytes * entry.shape.blocks;
            assert!(taken <= h200.shared_bytes, "{}: {taken} bytes", entry.name);
            if let Some(text) = embedded_texts().next() {
                is_compiled(text, entry);
            }
        }
    }

    #[test]
    fn local_sorts_are_compiled_as_they_are_launched() {
        local_sorts_are_compiled::<u32>();
        local_sorts_are_compiled::<u64>();
    }

    #[test]
    fn an_h200_holds_so_many_keys_of_a_top_digit() {
        fn tile<W: Entries>(kind: Kind, n: u64, begin: u32) -> Option<usize> {
            let entry = by_digit::<W>(ROOMS[3], kind, Bits { begin, end: W::BITS }, n);
            entry.map(|entry| entry.shape.tile())
        }
        type Tile = fn(Kind, u64, u32) -> Option<usize>;
        // More of 8 bytes are sorted by top bits wherever a block would hold them.
        for (of, held) in [(tile::<u32> as Tile, Some(17_408)), (tile::<u64>, None)] {
            assert_eq!(of(Kind::Keys, 1 << 21, 0), Some(8704));
            assert_eq!(of(Kind::Keys, 1 << 22, 0), held);
            assert_eq!(of(Kind::Keys, 1 << 23, 0), None);
            assert_eq!(of(Kind::Keys, 1 << 22, 1), None);
            assert_eq!(of(Kind::MatchedKeys, 1 << 22, 0), None);
        }
        assert_eq!(tile::<u32>(Kind::Pairs, 1 << 22, 0), Some(17_408));
        assert_eq!(tile::<u64>(Kind::Pairs, 1 << 22, 0), None);
        assert_eq!(tile::<u16>(Kind::Keys, 1 << 22, 0), None);
    }

    #[test]
    fn an_h200_passes_over_keys_by_these_shapes() {
        fn name<W: Entries>(kind: Kind, n: u64) -> &'static str {
            pass::<W>(ROOMS[3], kind, n).unwrap().0.name
        }
        type Name = fn(Kind, u64) -> &'static str;
        for (name, kind, n, expected) in [
            (name::<u32> as Name, Kind::Keys, 1 << 15, "few_keys_2048_u32"),
            (name::<u32>, Kind::Keys, 1 << 16, "few_keys_4096_u32"),
            (name::<u32>, Kind::Keys, 1 << 20, "few_keys_8192_u32"),
            (name::<u32>, Kind::Keys, 1 << 22, "onesweep_keys_baseline_u32"),
            (name::<u32>, Kind::Keys, 1 << 23, "onesweep_keys_many_u32"),
            (name::<u32>, Kind::Keys, 1 << 24, "onesweep_keys_u32"),
            (name::<u32>, Kind::MatchedKeys, 1 << 24, "onesweep_keys_ballots_u32"),
            (name::<u32>, Kind::Keys, 1 << 29, "onesweep_keys_u32"),
            (name::<u32>, Kind::Keys, 1 << 30, "onesweep_keys_wide_u32"),
            (name::<u32>, Kind::MatchedKeys, 1 << 31, "onesweep_keys_wide_u32"),
            (name::<u32>, Kind::Pairs, 1 << 30, "onesweep_pairs_wide_u32"),
            (name::<u32>, Kind::Pairs, 1 << 16, "few_pairs_3072_u32"),
            (name::<u64>, Kind::Keys, 1 << 16, "few_keys_2048_u64"),
            (name::<u64>, Kind::Keys, (1 << 16) + 1, "few_keys_4096_u64"),
            (name::<u64>, Kind::Keys, 1 << 22, "onesweep_keys_u64"),
            (name::<u64>, Kind::Pairs, 1 << 21, "onesweep_pairs_baseline_u64"),
            (name::<u64>, Kind::Pairs, 1 << 22, "onesweep_pairs_u64"),
            (name::<u8>, Kind::Keys, 1 << 22, "onesweep_keys_u8"),
            (name::<u8>, Kind::Pairs, 1 << 32, "onesweep_pairs_wide_u8"),
            (name::<u64>, Kind::Pairs, 1 << 30, "onesweep_pairs_wide_baseline_u64"),
        ] {
            assert_eq!(name(kind, n), expected, "{kind:?} {n}");
        }
    }

    #[test]
    fn an_h200_sorts_some_keys_in_one_launch() {
        fn name<W: Entries>(kind: Kind, n: u64) -> Option<&'static str> {
            let entry = fused_entries::<W>(ROOMS[3], kind, n).next()?;
            assert!(fused::blocks(n as usize, entry.shape.threads) <= 132);
            if let Some(text) = embedded_texts().next() {
                is_compiled(text, entry);
            }
            Some(entry.name)
        }
        type Name = fn(Kind, u64) -> Option<&'static str>;
        for (name, kind, n, expected) in [
            (name::<u64> as Name, Kind::Keys, 1 << 10, None),
            (name::<u64>, Kind::Keys, (1 << 10) + 1, Some("fused_15_keys_u64")),
            (name::<u64>, Kind::Keys, 1 << 15, Some("fused_15_keys_u64")),
            (name::<u64>, Kind::Keys, (1 << 15) + 1, Some("fused_16_keys_u64")),
            (name::<u64>, Kind::Keys, 1 << 17, Some("fused_17_keys_u64")),
            (name::<u64>, Kind::Keys, (1 << 17) + 1, Some("fused_19_keys_u64")),
            (name::<u64>, Kind::Keys, 1 << 19, Some("fused_19_keys_u64")),
            (name::<u64>, Kind::Keys, (1 << 19) + 1, None),
            (name::<u64>, Kind::Pairs, 1 << 14, None),
            (name::<u32>, Kind::Keys, 1 << 14, Some("fused_15_keys_u32")),
            (name::<u32>, Kind::Keys, 1 << 17, Some("fused_17_keys_u32")),
            (name::<u32>, Kind::Pairs, (1 << 12) - 1, None),
            (name::<u32>, Kind::Pairs, 1 << 16, Some("fused_16_pairs_u32")),
            (name::<u32>, Kind::Pairs, (1 << 16) + 1, None),
            (name::<u32>, Kind::MatchedKeys, 1 << 14, None),
            (name::<u16>, Kind::Keys, 1 << 14, None),
            (name::<u128>, Kind::Keys, 1 << 14, None),
        ] {
            assert_eq!(name(kind, n), expected, "{kind:?} {n}");
        }
    }
}
