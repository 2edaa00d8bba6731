//! Sorts by kernels of other shapes than those in use, to choose shapes by.

use std::sync::Arc;

use gpu_kernels::entry::Entry;
use gpu_kernels::entry::Swept;
use gpu_kernels::fused::{self, Fused};
use gpu_kernels::local_sort::LocalSort;
use gpu_kernels::policy::Shape;
use gpu_kernels::tile::Pass;
use gpu_kernels::{buckets, control};

use super::dispatch::{self, largest_bucket};
use super::module::{Kernel, Resources};
use super::sort::Kernels;
use super::{GpuKey, GpuSorter, Order, Payload, Sort};
use crate::error::Error;

/// True if this program holds the kernels of shapes that are not in use.
pub const BUILT: bool = cfg!(feature = "tune");

/// Most elements that a sort by these shapes takes: it is in one portion.
pub const MOST: usize = control::ONE_PORTION as usize;

/// The structure of a kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    /// Passes of tiles that look back, after a histogram; or a sort in one block.
    Passes,
    /// Passes of a single wave of tiles.
    SingleWave,
    /// The local sort of buckets, after two passes.
    LocalSort,
    /// The sort in one launch of many blocks.
    Fused,
}

/// How the passes of a shape rank.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ranking {
    /// By atomics where the plan says so, else by match.
    Atomics,
    /// By match.
    Match,
    /// As the kernel in use does.
    AsInUse,
}

/// A shape, told from all others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Name {
    pub family: Family,
    /// Threads in a block.
    pub threads: u32,
    /// Elements of a thread.
    pub items: u32,
    /// Blocks that its registers leave room for on a multiprocessor; not said of shapes in use.
    pub blocks: Option<u32>,
    /// How its passes rank.
    pub ranking: Ranking,
    /// True if sorts of this size use it.
    pub in_use: bool,
}

/// A sort by a kernel of some shape.
pub struct ShapedSort<K: GpuKey> {
    pub name: Name,
    pub sort: Arc<Sort<K>>,
    pub resources: Resources,
}

/// The fate of a candidate on a GPU.
pub enum Fit<K: GpuKey> {
    /// It can be timed.
    Runs(ShapedSort<K>),
    /// It cannot, or not as it is meant.
    Skipped {
        name: Name,
        /// Why.
        reason: String,
    },
}

/// Sorts of `n` elements by the shapes in use, and by each candidate.
///
/// # Errors
/// A kernel that does not load.
pub fn sorts<K: GpuKey>(sorter: &GpuSorter, n: usize, paired: bool) -> Result<Vec<Fit<K>>, Error> {
    let payload = Payload::of(paired);
    let prepare = |order| sorter.prepare::<K>(n, payload, order);
    let mut all = vec![in_use(prepare(Order::ascending())?, Ranking::AsInUse)?];
    if !paired {
        all.push(in_use(prepare(Order::ascending().match_ranking())?, Ranking::Match)?);
    }
    let prepare = || prepare(Order::ascending());
    let passes = K::Word::SWEPT_LOOK_BACK;
    fit(&mut all, (&prepare, paired), Family::Passes, passes, |sort, kernel| {
        sort.by_pass(kernel, false)
    })?;
    let wave = K::Word::SWEPT_SINGLE_WAVE;
    fit(&mut all, (&prepare, paired), Family::SingleWave, wave, |sort, kernel| {
        sort.by_pass(kernel, true)
    })?;
    fit(&mut all, (&prepare, paired), Family::LocalSort, K::Word::SWEPT_LOCAL, Sort::by_local)?;
    fit(&mut all, (&prepare, paired), Family::Fused, K::Word::SWEPT_FUSED, Sort::by_fused)?;
    Ok(all)
}

fn in_use<K: GpuKey>(sort: Sort<K>, ranking: Ranking) -> Result<Fit<K>, Error> {
    let (family, shape, resources) = sort.in_use()?;
    let (threads, items) = (shape.threads as u32, shape.items as u32);
    let name = Name { family, threads, items, blocks: None, ranking, in_use: true };
    Ok(Fit::Runs(ShapedSort { name, sort: Arc::new(sort), resources }))
}

/// A sort with another kernel in it.
type By<K, A> = fn(Sort<K>, Kernel<A>) -> Result<Sort<K>, Error>;

/// Adds the sorts by the kernels of a table, of keys with values as prepared or without.
fn fit<K: GpuKey, A>(
    all: &mut Vec<Fit<K>>,
    (prepare, paired): (&dyn Fn() -> Result<Sort<K>, Error>, bool),
    family: Family,
    entries: &[Entry<A>],
    by: By<K, A>,
) -> Result<(), Error> {
    for entry in entries.iter().filter(|entry| entry.paired == paired) {
        let name = Name {
            family,
            threads: entry.shape.threads as u32,
            items: entry.shape.items as u32,
            blocks: Some(entry.shape.blocks as u32),
            ranking: if entry.atomic { Ranking::Atomics } else { Ranking::Match },
            in_use: false,
        };
        all.push(match shaped(prepare()?, family, entry, by)? {
            Ok((sort, resources)) => {
                Fit::Runs(ShapedSort { name, sort: Arc::new(sort), resources })
            }
            Err(reason) => Fit::Skipped { name, reason },
        });
    }
    Ok(())
}

/// `sort` by the kernel of `entry`; or the reason why not, if it does not do for so many elements,
/// the GPU has no room for a block, or its keys do not stay in registers.
fn shaped<K: GpuKey, A>(
    sort: Sort<K>,
    family: Family,
    entry: &Entry<A>,
    by: By<K, A>,
) -> Result<Result<(Sort<K>, Resources), String>, Error> {
    let device = sort.device.clone();
    let buckets = sort.kernels.passes.buckets.is_some();
    let of = (family, entry.shape);
    if let Err(reason) = usable(of, sort.capacity, device.multiprocessors, buckets) {
        return Ok(Err(reason));
    }
    let (needed, most) = (entry.shared_bytes, device.shared_bytes);
    if needed > most as usize {
        return Ok(Err(format!(
            "a block takes {needed} bytes of shared memory, the GPU has {most}"
        )));
    }
    let kernel = device.kernels.load(entry)?;
    let resources = kernel.resources()?;
    if resources.local_bytes > 0 {
        let (registers, bytes) = (resources.registers, resources.local_bytes);
        return Ok(Err(format!("spills: {registers} registers and {bytes} bytes of local memory")));
    }
    Ok(Ok((by(sort, kernel)?, resources)))
}

impl<W> Kernels<W> {
    /// Leaves nothing that would sort otherwise.
    fn by_passes_only(&mut self) {
        (self.block, self.fused, self.ranges) = (None, None, None);
        self.passes.by_top = None;
    }
}

impl<K: GpuKey> Sort<K> {
    /// The same by this pass, whatever the number of keys.
    fn by_pass(mut self, pass: Kernel<Pass<K::Word>>, single_wave: bool) -> Result<Self, Error> {
        self.kernels.by_passes_only();
        self.kernels.passes = self.kernels.passes.by(pass, single_wave);
        Ok(self)
    }

    /// The same in one launch of many blocks.
    ///
    /// # Errors
    /// A GPU that does not hold them all at once.
    fn by_fused(mut self, kernel: Kernel<Fused<K::Word>>) -> Result<Self, Error> {
        if !dispatch::holds_fused(&self.device, &kernel, self.capacity)? {
            let reason = format!("its blocks for {} keys do not fit at once", self.capacity);
            return Err(Error::gpu("choosing a kernel", reason));
        }
        self.kernels.by_passes_only();
        self.kernels.fused = Some(kernel);
        Ok(self)
    }

    /// The same by this local sort of buckets.
    fn by_local(mut self, sort: Kernel<LocalSort<K::Word>>) -> Result<Self, Error> {
        self.kernels.by_passes_only();
        let buckets = self.kernels.passes.buckets;
        let buckets = buckets.map(|buckets| buckets.by(&self.device, sort));
        self.kernels.passes.buckets = buckets.transpose()?;
        Ok(self)
    }

    /// The kernel that makes a sort of so many keys: the block that does it all, the local sort
    /// or the pass, and what it takes.
    fn in_use(&self) -> Result<(Family, Shape, Resources), Error> {
        fn taken<A>(
            family: Family,
            kernel: &Kernel<A>,
        ) -> Result<(Family, Shape, Resources), Error> {
            Ok((family, kernel.shape(), kernel.resources()?))
        }
        let passes = &self.kernels.passes;
        if let Some(kernels) = &passes.by_top {
            return taken(Family::LocalSort, &kernels.sort);
        }
        if let Some(kernel) = &passes.by_digit {
            return taken(Family::LocalSort, kernel);
        }
        if let Some(sort) = &self.kernels.ranges {
            return taken(Family::SingleWave, &sort.partition);
        }
        match (&self.kernels.fused, &self.kernels.block, &passes.buckets) {
            (Some(kernel), ..) => taken(Family::Fused, kernel),
            (_, Some(kernel), _) => taken(Family::Passes, kernel),
            (.., Some(buckets)) => taken(Family::LocalSort, &buckets.sort),
            _ if passes.single_wave => taken(Family::SingleWave, &passes.pass),
            _ => taken(Family::Passes, &passes.pass),
        }
    }
}

/// Checks that a sort of `n` elements can use a shape of a family, on a GPU of so many
/// multiprocessors, where sorts of so many go by bucket or not.
///
/// # Errors
/// Why it cannot, in a few words.
fn usable(
    (family, shape): (Family, Shape),
    n: u64,
    multiprocessors: u32,
    bucket_sort: bool,
) -> Result<(), String> {
    let tile = shape.tile() as u64;
    let most = u64::from(multiprocessors).min(control::TILES_MAX as u64) * tile;
    match family {
        Family::Fused if n > fused::most(shape) => Err(format!(
            "{n} elements are more than {} blocks take, {}",
            fused::RANGES_MAX,
            fused::most(shape)
        )),
        Family::SingleWave if n > most => {
            Err(format!("{n} elements are more than a tile a multiprocessor, {most}"))
        }
        Family::LocalSort if !bucket_sort => Err(format!("{n} elements are not sorted by bucket")),
        Family::LocalSort if largest_bucket(n, buckets::BUCKETS) > tile as f64 => {
            let largest = largest_bucket(n, buckets::BUCKETS).ceil();
            Err(format!("a bucket of {n} elements may have {largest:.0}"))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Tiles of the swept shapes of u32 that a sort of `n` can use.
    fn usable_of(family: Family, n: u64, bucket_sort: bool) -> Vec<usize> {
        let shapes: Vec<Shape> = match family {
            Family::Passes => u32::SWEPT_LOOK_BACK.iter().map(|entry| entry.shape).collect(),
            Family::SingleWave => u32::SWEPT_SINGLE_WAVE.iter().map(|entry| entry.shape).collect(),
            Family::Fused => u32::SWEPT_FUSED.iter().map(|entry| entry.shape).collect(),
            Family::LocalSort => u32::SWEPT_LOCAL.iter().map(|entry| entry.shape).collect(),
        };
        let usable = |shape: &Shape| usable((family, *shape), n, 132, bucket_sort).is_ok();
        let usable = shapes.into_iter().filter(usable);
        usable.map(|shape| shape.tile()).collect()
    }

    #[test]
    fn shapes_are_tried_where_they_can_be_used() {
        // A tile a multiprocessor, of which there are 132.
        let few = |n| usable_of(Family::SingleWave, n, false);
        assert!(few(1 << 14).contains(&2048) && few(1 << 14).contains(&8192));
        assert!(few(1 << 20).iter().all(|&tile| tile >= 7944));
        assert!(few(1 << 20).contains(&8192) && few(1 << 21).is_empty());
        // Buckets of 512 keys in the mean, and up to 637.
        assert!(usable_of(Family::LocalSort, 1 << 25, false).is_empty());
        let local = usable_of(Family::LocalSort, 1 << 25, true);
        assert!(local.contains(&704) && local.iter().all(|&tile| tile >= 637));
        assert!(!usable_of(Family::Passes, 1 << 25, true).is_empty());
    }

    #[test]
    fn unusable_shapes_are_told_why() {
        let (few_tiles, local_sort) = (Shape::new(256, 8, 2), Shape::new(32, 11, 32));
        let few = usable((Family::SingleWave, few_tiles), 1 << 21, 132, false);
        assert_eq!(
            few.unwrap_err(),
            "2097152 elements are more than a tile a multiprocessor, 270336"
        );
        let fused = usable((Family::Fused, Shape::new(256, 8, 4)), 1 << 18, 132, false);
        assert_eq!(fused.unwrap_err(), "262144 elements are more than 128 blocks take, 131072");
        let local = usable((Family::LocalSort, local_sort), 1 << 20, 132, false);
        assert_eq!(local.unwrap_err(), "1048576 elements are not sorted by bucket");
        let small = usable((Family::LocalSort, local_sort), 1 << 25, 132, true);
        assert_eq!(small.unwrap_err(), "a bucket of 33554432 elements may have 637");
    }
}
