//! Which kernels sort keys of a width, and how they are launched: names and
//! geometries from `gpu_kernels::policy`.

use gpu_kernels::key::Bits;
use gpu_kernels::policy::onesweep::Choice;
use gpu_kernels::policy::{self, Shape};
use gpu_kernels::sweep::{Candidate, Family};
use gpu_kernels::tile::{self, look};
use gpu_kernels::{block, bucket_starts, buckets, control, local_sort, merge};

use super::Device;
use super::GpuKey;
use super::kernels::{Geometry, Kernel};
use crate::error::Error;

/// Keys from which on the histogram's blocks count in as many copies as they can.
const MANY_FROM: u64 = 1 << 22;

/// Keys of `width` bytes, alone or `paired` with values, from which on it pays to count
/// buckets and sort them locally.
fn locally_from(width: usize, paired: bool) -> Option<u64> {
    match (width, paired) {
        (4, false) => Some(1 << 25),
        (4, true) => Some(1 << 24),
        (8, _) => Some(1 << 23),
        _ => None,
    }
}

/// `$f` of the word of `$width` bytes.
macro_rules! by_width {
    ($width:expr, $module:ident :: $f:ident, $($argument:expr),*) => {
        match $width {
            1 => $module::$f::<u8>($($argument),*),
            2 => $module::$f::<u16>($($argument),*),
            4 => $module::$f::<u32>($($argument),*),
            8 => $module::$f::<u64>($($argument),*),
            _ => $module::$f::<u128>($($argument),*),
        }
    };
}

/// The kernels of sorts of up to so many keys.
#[derive(Clone, Copy, Debug)]
pub struct Passes {
    /// Counts digits.
    pub histogram: Kernel,
    /// Passes over one place.
    pub onesweep: Kernel,
    /// Whether its tiles are so few that they look at each other, without a histogram.
    pub few: bool,
    /// Tiles in one launch of a pass.
    pub portion: u64,
    /// What sorts small buckets, if it is worth its time.
    pub locally: Option<Locally>,
}

/// The kernels that sort each bucket by itself.
#[derive(Clone, Copy, Debug)]
pub struct Locally {
    /// Keys from which on it is done.
    pub from: u64,
    /// Counts buckets beside digits.
    pub histogram: Kernel,
    /// Adds the blocks' counts up.
    pub starts: Kernel,
    /// Sorts buckets of up to a tile.
    pub sort: Kernel,
    /// Blocks of it that the GPU holds.
    pub blocks: u32,
}

/// What passes are of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Keys alone, ranked as the plan says.
    Keys,
    /// Keys alone, ranked by ballots.
    Ballots,
    /// Keys with values.
    Pairs,
}

/// The passes for up to `n` keys of `width` bytes.
pub fn passes(
    device: &Device,
    width: usize,
    kind: Kind,
    bits: Bits,
    n: u64,
) -> Result<Passes, Error> {
    let paired = kind == Kind::Pairs;
    let (name, shape, look) = pass_kernel(Room::of(device), width, kind, n);
    let geometry = of(shape, pass_bytes(width, shape, paired, look));
    let onesweep = device.kernels().load(&name, geometry)?;
    Ok(Passes {
        histogram: histogram(device, width, n)?,
        onesweep,
        few: look == look::AROUND,
        portion: control::portion(shape.tile()),
        locally: locally(device, width, kind, bits, n)?,
    })
}

/// What sorts buckets of up to `n` keys in all: in blocks that hold them if the keys are
/// evenly spread.
fn locally(
    device: &Device,
    width: usize,
    kind: Kind,
    bits: Bits,
    n: u64,
) -> Result<Option<Locally>, Error> {
    let paired = kind == Kind::Pairs;
    let Some(from) = locally_from(width, paired) else {
        return Ok(None);
    };
    let whole = bits.begin == 0 && bits.end as usize == 8 * width;
    let shared_bytes = match width {
        4 => buckets::shared_bytes::<u32>(buckets::COPIES_SAMPLED),
        _ => buckets::shared_bytes::<u64>(buckets::COPIES_SAMPLED),
    };
    let fits = device.capability() >= (9, 0) && shared_bytes <= device.shared_bytes() as usize;
    // The blocks' tallies lie in the scratch buffer.
    let tallies = u64::from(device.multiprocessors()) * (buckets::TALLY * 4 / width) as u64;
    if !whole || !fits || kind == Kind::Ballots || n < from.max(tallies) {
        return Ok(None);
    }
    let holds = |shape: &Shape| largest_bucket(n) <= shape.tile() as f64;
    let mut shapes = policy::local::shapes(width, paired).iter().copied();
    let Some(shape) = shapes.find(holds) else {
        return Ok(None);
    };
    let bits = 8 * width;
    let held = local_bytes(width, shape, paired);
    let name = local_name(width, shape, paired);
    let sort = device.kernels().load(&name, of(shape, held))?;
    let histogram = Geometry {
        threads: policy::HISTOGRAM_THREADS,
        tile: policy::HISTOGRAM_THREADS * 16 / width,
        shared_bytes,
    };
    let starts = Geometry {
        threads: bucket_starts::THREADS,
        tile: 0,
        shared_bytes: bucket_starts::SHARED_BYTES,
    };
    let kernels = device.kernels();
    Ok(Some(Locally {
        from: from.max(tallies),
        histogram: kernels.load(&format!("histogram_by_bucket_u{bits}"), histogram)?,
        starts: kernels.load(&format!("bucket_starts_u{bits}"), starts)?,
        sort,
        blocks: sort.resources()?.blocks * device.multiprocessors(),
    }))
}

/// Keys in the largest of all buckets, of `n` evenly spread keys: it is not five and a half
/// deviations above the mean.
fn largest_bucket(n: u64) -> f64 {
    let mean = n as f64 / buckets::BUCKETS as f64;
    mean + 5.5 * mean.sqrt()
}

impl Passes {
    /// The same by a kernel of this family.
    pub fn by(self, device: &Device, family: Family, kernel: Kernel) -> Result<Self, Error> {
        if family == Family::Local {
            let locally = self.locally.map(|locally| locally.by(device, kernel));
            let locally = locally.transpose()?;
            return Ok(Passes { locally, ..self });
        }
        Ok(Passes {
            onesweep: kernel,
            few: family == Family::Few,
            portion: control::portion(kernel.tile as usize),
            locally: None,
            ..self
        })
    }
}

impl Locally {
    /// The same by another local sort.
    fn by(self, device: &Device, sort: Kernel) -> Result<Self, Error> {
        Ok(Locally {
            sort,
            blocks: sort.resources()?.blocks * device.multiprocessors(),
            ..self
        })
    }
}

/// Whether a sort of `n` elements can use `candidate`, on a GPU of so many
/// multiprocessors, where sorts of so many go by bucket or not.
///
/// # Errors
/// Why it cannot, in a few words.
pub fn usable(
    candidate: &Candidate,
    n: u64,
    multiprocessors: u32,
    by_bucket: bool,
) -> Result<(), String> {
    let tile = candidate.shape.tile() as u64;
    let most = most_few(multiprocessors) * tile;
    match candidate.family {
        Family::Few if n > most => Err(format!(
            "{n} elements are more than a tile a multiprocessor, {most}"
        )),
        Family::Local if !by_bucket => Err(format!("{n} elements are not sorted by bucket")),
        Family::Local if largest_bucket(n) > tile as f64 => Err(format!(
            "a bucket of {n} elements may have {:.0}",
            largest_bucket(n).ceil()
        )),
        _ => Ok(()),
    }
}

/// Bytes of shared memory that a block of `candidate` takes.
pub fn shared_bytes(candidate: &Candidate) -> usize {
    let Candidate {
        width,
        shape,
        paired,
        ..
    } = *candidate;
    match candidate.family {
        Family::Passes => pass_bytes(width, shape, paired, look::BACK),
        Family::Few => pass_bytes(width, shape, paired, look::AROUND),
        Family::Local => local_bytes(width, shape, paired),
    }
}

/// Most tiles that look at each other: one a multiprocessor.
fn most_few(multiprocessors: u32) -> u64 {
    u64::from(multiprocessors).min(control::TILES_MAX as u64)
}

/// Bytes of shared memory of a pass.
fn pass_bytes(width: usize, shape: Shape, paired: bool, look: u32) -> usize {
    let Shape { threads, items, .. } = shape;
    by_width!(width, tile::shared_bytes, threads, items, paired, look)
}

/// The entry point of a local sort.
fn local_name(width: usize, shape: Shape, paired: bool) -> String {
    let prefix = if paired { "pairs" } else { "keys" };
    format!("local_sort_{prefix}_{}_u{}", shape.tile(), 8 * width)
}

/// Bytes of shared memory of a local sort of keys of 4 or 8 bytes.
fn local_bytes(width: usize, shape: Shape, paired: bool) -> usize {
    let Shape { threads, items, .. } = shape;
    match width {
        4 => local_sort::shared_bytes::<u32>(threads, items, paired),
        _ => local_sort::shared_bytes::<u64>(threads, items, paired),
    }
}

/// The kernel of a shape that is not necessarily in use.
pub fn candidate(device: &Device, candidate: &Candidate) -> Result<Kernel, Error> {
    let geometry = of(candidate.shape, shared_bytes(candidate));
    device.kernels().load(candidate.name, geometry)
}

/// What a GPU has room for.
#[derive(Clone, Copy, Debug)]
struct Room {
    /// Whether it runs what is compiled for compute capability 9.0.
    recent: bool,
    multiprocessors: u32,
    /// Bytes of shared memory that a block may have.
    shared_bytes: usize,
}

impl Room {
    fn of(device: &Device) -> Self {
        Room {
            recent: device.capability() >= (9, 0),
            multiprocessors: device.multiprocessors(),
            shared_bytes: device.shared_bytes() as usize,
        }
    }
}

/// The entry point, its shape and which tiles a tile looks at, of a pass of up to `n` keys.
fn pass_kernel(room: Room, width: usize, kind: Kind, n: u64) -> (String, Shape, u32) {
    let prefix = if kind == Kind::Pairs { "pairs" } else { "keys" };
    let bits = 8 * width;
    if let Some(shape) = few_shape(room, width, kind == Kind::Pairs, n) {
        let name = format!("few_{prefix}_{}_u{bits}", shape.tile());
        return (name, shape, look::AROUND);
    }
    let Choice { variant, shape, .. } = choice(room, width, kind, n);
    let (wide, look) = match n > control::ONE_PORTION {
        true => ("_wide", look::BACK_IN_PORTION),
        false => ("", look::BACK),
    };
    let name = format!("onesweep_{prefix}{wide}{variant}_u{bits}");
    (name, shape, look)
}

/// The shape of tiles that look at each other, if each multiprocessor has at most one of
/// the largest.
fn few_shape(room: Room, width: usize, paired: bool, n: u64) -> Option<Shape> {
    let most = most_few(room.multiprocessors);
    let mut shapes = policy::few::shapes(width, paired).iter();
    let few = shapes.find(|few| {
        let most = most.min(few.most as u64);
        let shared_bytes = pass_bytes(width, few.shape, paired, look::AROUND);
        n <= most * few.shape.tile() as u64 && shared_bytes <= room.shared_bytes
    });
    few.map(|few| few.shape)
}

/// The pass of tiles that look back.
fn choice(room: Room, width: usize, kind: Kind, n: u64) -> Choice {
    use policy::onesweep as passes;
    let paired = kind == Kind::Pairs;
    // In portions tiles have one shape, and rank by ballots where the plan says so.
    if (width, kind) == (4, Kind::Ballots) && n <= control::ONE_PORTION {
        return passes::BALLOTS_U32;
    }
    let usable = |choice: &&Choice| {
        let shared_bytes = pass_bytes(width, choice.shape, paired, look::BACK);
        room.recent && n >= choice.from && shared_bytes <= room.shared_bytes
    };
    let recent = match n > control::ONE_PORTION {
        true => passes::recent_in_portions(width, paired),
        false => passes::recent(width, paired),
    };
    let recent = recent.iter().find(usable);
    recent.copied().unwrap_or(passes::everywhere(width, paired))
}

fn histogram(device: &Device, width: usize, n: u64) -> Result<Kernel, Error> {
    let roomy = device.shared_bytes() as usize >= policy::HISTOGRAM_BYTES_LARGE;
    let (size, bytes) = if roomy && n >= MANY_FROM {
        ("large", policy::HISTOGRAM_BYTES_LARGE)
    } else {
        ("small", policy::HISTOGRAM_BYTES_SMALL)
    };
    let threads = policy::HISTOGRAM_THREADS;
    let geometry = Geometry {
        threads,
        // A vector a thread: few keys are shared out over many blocks.
        tile: threads * 16 / width,
        shared_bytes: policy::histogram_shared_bytes(width, bytes),
    };
    let name = format!("histogram_{size}_u{}", 8 * width);
    device.kernels().load(&name, geometry)
}

/// The kernel that sorts up to `n` keys in one block, if there is one.
pub fn block(device: &Device, width: usize, paired: bool, n: u64) -> Result<Option<Kernel>, Error> {
    let kind = if paired { "pairs" } else { "keys" };
    let shapes = [
        ("small", policy::block::SMALL),
        ("medium", policy::block::MEDIUM),
    ];
    let count = if matches!(width, 4 | 8) { 2 } else { 1 };
    let fits = |(_, shape): &&(&str, Shape)| n <= shape.tile() as u64;
    let Some((size, shape)) = shapes[..count].iter().find(fits) else {
        return Ok(None);
    };
    let shared_bytes = by_width!(width, block::shared_bytes, shape.threads, shape.items);
    let name = format!("block_{size}_{kind}_u{}", 8 * width);
    device
        .kernels()
        .load(&name, of(*shape, shared_bytes))
        .map(Some)
}

/// The kernel that merges runs of keys of this type.
pub fn merger<K: GpuKey>(device: &Device) -> Result<Kernel, Error> {
    let width = const {
        assert!(
            matches!(size_of::<K>(), 4 | 8),
            "no entry point merges keys of this width"
        );
        size_of::<K>()
    };
    let shape = by_width!(width, merge::shape,);
    let shared_bytes = by_width!(width, merge::shared_bytes, shape.threads, shape.items);
    let name = format!("merge_u{}", 8 * width);
    device.kernels().load(&name, of(shape, shared_bytes))
}

/// The kernel that checks order and hashes.
pub fn verifier(device: &Device, width: usize) -> Result<Kernel, Error> {
    let name = format!("verify_u{}", 8 * width);
    device.kernels().load(&name, of(policy::VERIFY, 0))
}

/// The kernel that checks values which were the indices of their keys.
pub fn values_verifier(device: &Device, width: usize) -> Result<Kernel, Error> {
    let name = format!("verify_values_u{}", 8 * width);
    device.kernels().load(&name, of(policy::VERIFY, 0))
}

/// The kernel that fetches elements of `width` bytes by index.
pub fn gatherer(device: &Device, width: usize) -> Result<Kernel, Error> {
    let name = format!("gather_u{}", 8 * width);
    device.kernels().load(&name, of(policy::GATHER, 0))
}

/// The kernel that codes floating-point numbers of `width` bytes by value.
pub fn coder(device: &Device, width: usize) -> Result<Kernel, Error> {
    let name = format!("numeric_codes_u{}", 8 * width);
    device.kernels().load(&name, of(policy::GATHER, 0))
}

fn of(shape: Shape, shared_bytes: usize) -> Geometry {
    Geometry {
        threads: shape.threads,
        tile: shape.tile(),
        shared_bytes,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gpu::kernels::embedded_texts;
    use gpu_kernels::sweep::CANDIDATES;

    const WIDTHS: [usize; 5] = [1, 2, 4, 8, 16];

    fn usable_of(family: Family, n: u64, by_bucket: bool) -> Vec<usize> {
        let of_u32 = |candidate: &&Candidate| {
            candidate.family == family && candidate.width == 4 && !candidate.paired
        };
        let usable = |candidate: &&Candidate| usable(candidate, n, 132, by_bucket).is_ok();
        let usable = CANDIDATES.iter().filter(of_u32).filter(usable);
        usable.map(|candidate| candidate.shape.tile()).collect()
    }

    /// Compute capability 7.5, 8.0, 8.9, an H200 and 12.0.
    const ROOMS: [Room; 5] = [
        room(false, 40, 64),
        room(false, 108, 163),
        room(false, 128, 99),
        room(true, 132, 227),
        room(true, 170, 99),
    ];

    const fn room(recent: bool, multiprocessors: u32, shared_kb: usize) -> Room {
        Room {
            recent,
            multiprocessors,
            shared_bytes: shared_kb << 10,
        }
    }

    #[test]
    fn every_gpu_has_a_pass_for_every_sort() {
        // The newest text and the baseline, if there is a compiler of kernels.
        let texts: Vec<&str> = embedded_texts().collect();
        for room in ROOMS {
            let text = if room.recent {
                texts.first()
            } else {
                texts.last()
            };
            for (width, exponent) in WIDTHS.iter().flat_map(|&w| (10..33).map(move |e| (w, e))) {
                for kind in [Kind::Keys, Kind::Ballots, Kind::Pairs] {
                    let (name, shape, look) = pass_kernel(room, width, kind, 1 << exponent);
                    let taken = pass_bytes(width, shape, kind == Kind::Pairs, look);
                    assert!(taken <= room.shared_bytes, "{room:?}: {name} takes {taken}");
                    if let Some(text) = text {
                        assert_eq!(threads_of(text, &name), Some(shape.threads), "{name}");
                    }
                }
            }
        }
    }

    /// Threads of a block that the kernel called `name` is compiled for, if there is one.
    fn threads_of(text: &str, name: &str) -> Option<usize> {
        let (_, entry) = text.split_once(&format!(".entry {name}("))?;
        let (_, bounds) = entry.split_once("\n.maxntid ")?;
        bounds.lines().next()?.parse().ok()
    }

    #[test]
    fn local_sorts_are_compiled_as_they_are_launched() {
        let h200 = ROOMS[3];
        for (width, paired) in [(4, false), (4, true), (8, false), (8, true)] {
            let shapes = policy::local::shapes(width, paired);
            assert!(shapes.is_sorted_by_key(Shape::tile));
            for &shape in shapes {
                let taken = local_bytes(width, shape, paired) * shape.blocks;
                let name = local_name(width, shape, paired);
                assert!(taken <= h200.shared_bytes, "{name}: {taken} bytes");
                if let Some(text) = embedded_texts().next() {
                    assert_eq!(threads_of(text, &name), Some(shape.threads), "{name}");
                }
            }
        }
    }

    #[test]
    fn an_h200_passes_over_keys_by_these_shapes() {
        let name = |width, kind, n| pass_kernel(ROOMS[3], width, kind, n).0;
        for (width, kind, n, expected) in [
            (4, Kind::Keys, 1 << 15, "few_keys_2048_u32"),
            (4, Kind::Keys, 1 << 16, "few_keys_4096_u32"),
            (4, Kind::Keys, 1 << 20, "few_keys_8192_u32"),
            (4, Kind::Keys, 1 << 22, "onesweep_keys_baseline_u32"),
            (4, Kind::Keys, 1 << 23, "onesweep_keys_many_u32"),
            (4, Kind::Keys, 1 << 24, "onesweep_keys_u32"),
            (4, Kind::Ballots, 1 << 24, "onesweep_keys_ballots_u32"),
            (4, Kind::Keys, 1 << 29, "onesweep_keys_u32"),
            (4, Kind::Keys, 1 << 30, "onesweep_keys_wide_u32"),
            (4, Kind::Ballots, 1 << 31, "onesweep_keys_wide_u32"),
            (4, Kind::Pairs, 1 << 30, "onesweep_pairs_wide_u32"),
            (4, Kind::Pairs, 1 << 16, "few_pairs_3072_u32"),
            (8, Kind::Keys, 1 << 16, "few_keys_2048_u64"),
            (8, Kind::Keys, (1 << 16) + 1, "few_keys_4096_u64"),
            (8, Kind::Keys, 1 << 22, "onesweep_keys_u64"),
            (8, Kind::Pairs, 1 << 21, "onesweep_pairs_baseline_u64"),
            (8, Kind::Pairs, 1 << 22, "onesweep_pairs_u64"),
            (1, Kind::Keys, 1 << 22, "onesweep_keys_u8"),
            (1, Kind::Pairs, 1 << 32, "onesweep_pairs_wide_u8"),
            (8, Kind::Pairs, 1 << 30, "onesweep_pairs_wide_baseline_u64"),
        ] {
            assert_eq!(name(width, kind, n), expected, "{width} {kind:?} {n}");
        }
    }

    #[test]
    fn candidates_are_entered_where_they_can_be_used() {
        // A tile a multiprocessor, of which there are 132.
        let few = |n| usable_of(Family::Few, n, false);
        assert!(few(1 << 14).contains(&2048) && few(1 << 14).contains(&8192));
        assert!(few(1 << 20).iter().all(|&tile| tile >= 7944));
        assert!(few(1 << 20).contains(&8192) && few(1 << 21).is_empty());
        // Buckets of 512 keys in the mean, and up to 637.
        assert!(usable_of(Family::Local, 1 << 25, false).is_empty());
        let local = usable_of(Family::Local, 1 << 25, true);
        assert!(local.contains(&704) && local.iter().all(|&tile| tile >= 637));
        assert!(!usable_of(Family::Passes, 1 << 25, true).is_empty());
    }

    #[test]
    fn what_cannot_be_used_is_told_why() {
        let of = |family| {
            CANDIDATES
                .iter()
                .find(|candidate| candidate.family == family)
        };
        let few = usable(of(Family::Few).unwrap(), 1 << 21, 132, false);
        assert_eq!(
            few.unwrap_err(),
            "2097152 elements are more than a tile a multiprocessor, 270336"
        );
        let local = usable(of(Family::Local).unwrap(), 1 << 20, 132, false);
        assert_eq!(
            local.unwrap_err(),
            "1048576 elements are not sorted by bucket"
        );
        let small = usable(of(Family::Local).unwrap(), 1 << 25, 132, true);
        assert_eq!(
            small.unwrap_err(),
            "a bucket of 33554432 elements may have 637"
        );
    }
}
