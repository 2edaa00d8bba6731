//! Sorts by kernels of other shapes than those in use, to choose shapes by.

use std::sync::Arc;

use gpu_kernels::control;
use gpu_kernels::entry::Entry;
use gpu_kernels::sweep::Swept;
use gpu_kernels::tile::Pass;

use super::module::{Kernel, Resources};
use super::{Device, GpuKey, GpuSorter, Order, Payload, Sort, dispatch};
use crate::error::Error;

/// Whether this program holds the kernels of shapes that are not in use.
pub const BUILT: bool = cfg!(feature = "tune");

/// Most elements that a sort by these shapes takes: it is in one portion.
pub const MOST: usize = control::ONE_PORTION as usize;

/// What a shape is of.
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
    /// What it is of.
    pub family: Family,
    /// Threads in a block.
    pub threads: u32,
    /// Elements of a thread.
    pub items: u32,
    /// Blocks that its registers leave room for on a multiprocessor; not said of
    /// shapes in use.
    pub blocks: Option<u32>,
    /// How its passes rank.
    pub ranking: Ranking,
    /// Whether sorts of this size use it.
    pub in_use: bool,
}

/// A sort by a kernel of some shape.
pub struct ShapedSort<K: GpuKey> {
    pub name: Name,
    pub sort: Arc<Sort<K>>,
    /// What its kernel takes.
    pub resources: Resources,
}

/// What became of a candidate on a GPU.
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
    let payload = if paired { Payload::Value(4) } else { Payload::None };
    let prepare = |order| sorter.prepare::<K>(n, payload, order);
    let ascending = Order::ascending;
    let mut field = vec![in_use(prepare(ascending())?, Ranking::AsInUse)?];
    if !paired {
        let matched = prepare(ascending().match_ranking())?;
        field.push(in_use(matched, Ranking::Match)?);
    }
    let enter = |family, entry: &Entry<Pass<K::Word>>| {
        let by = |sort: Sort<K>, kernel| Ok(sort.by_pass(kernel, family == Family::SingleWave));
        enter(sorter.device(), prepare(ascending())?, family, entry, by)
    };
    for entry in K::Word::SWEPT_LOOK_BACK.iter().filter(|entry| entry.paired == paired) {
        field.push(enter(Family::Passes, entry)?);
    }
    for entry in K::Word::SWEPT_SINGLE_WAVE.iter().filter(|entry| entry.paired == paired) {
        field.push(enter(Family::SingleWave, entry)?);
    }
    for entry in K::Word::SWEPT_LOCAL.iter().filter(|entry| entry.paired == paired) {
        let (device, sort) = (sorter.device(), prepare(ascending())?);
        field.push(self::enter(device, sort, Family::LocalSort, entry, Sort::by_local)?);
    }
    for entry in K::Word::SWEPT_FUSED.iter().filter(|_| !paired) {
        let (device, sort) = (sorter.device(), prepare(ascending())?);
        field.push(self::enter(device, sort, Family::Fused, entry, Sort::by_fused)?);
    }
    Ok(field)
}

fn in_use<K: GpuKey>(sort: Sort<K>, ranking: Ranking) -> Result<Fit<K>, Error> {
    let (family, shape, resources) = sort.in_use()?;
    let name = Name {
        family,
        threads: shape.threads as u32,
        items: shape.items as u32,
        blocks: None,
        ranking,
        in_use: true,
    };
    let sort = Arc::new(sort);
    Ok(Fit::Runs(ShapedSort { name, sort, resources }))
}

/// `sort` by the kernel of `entry`, if it does for so many elements, the GPU has room
/// for a block, and its keys stay in registers.
fn enter<K: GpuKey, A>(
    device: &Device,
    sort: Sort<K>,
    family: Family,
    entry: &Entry<A>,
    by: impl FnOnce(Sort<K>, Kernel<A>) -> Result<Sort<K>, Error>,
) -> Result<Fit<K>, Error> {
    let name = Name {
        family,
        threads: entry.shape.threads as u32,
        items: entry.shape.items as u32,
        blocks: Some(entry.shape.blocks as u32),
        ranking: if entry.atomic { Ranking::Atomics } else { Ranking::Match },
        in_use: false,
    };
    let (n, multiprocessors) = (sort.capacity() as u64, device.multiprocessors());
    let of = (family, entry.shape);
    if let Err(reason) = dispatch::usable(of, n, multiprocessors, sort.sorts_buckets()) {
        return Ok(Fit::Skipped { name, reason });
    }
    let (needed, most) = (entry.shared_bytes, device.shared_bytes());
    if needed > most as usize {
        let reason = format!("a block takes {needed} bytes of shared memory, the GPU has {most}");
        return Ok(Fit::Skipped { name, reason });
    }
    let kernel = device.kernels().load(entry)?;
    let resources = kernel.resources()?;
    if resources.local_bytes > 0 {
        let (registers, bytes) = (resources.registers, resources.local_bytes);
        let reason = format!("spills: {registers} registers and {bytes} bytes of local memory");
        return Ok(Fit::Skipped { name, reason });
    }
    let sort = Arc::new(by(sort, kernel)?);
    Ok(Fit::Runs(ShapedSort { name, sort, resources }))
}
