//! Sorts by kernels of other shapes than those in use, to choose shapes by.

use std::sync::Arc;

use gpu_kernels::control;
use gpu_kernels::sweep::{self, CANDIDATES, Candidate};

use super::kernels::{Kernel, Resources};
use super::{Device, GpuKey, GpuSorter, Order, Payload, Sort, select};
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
    /// Passes of few tiles, which look at each other.
    FewTiles,
    /// The local sort of buckets, after two passes.
    LocalSort,
}

impl From<sweep::Family> for Family {
    fn from(family: sweep::Family) -> Self {
        match family {
            sweep::Family::Passes => Family::Passes,
            sweep::Family::Few => Family::FewTiles,
            sweep::Family::Local => Family::LocalSort,
        }
    }
}

/// How the passes of a shape rank.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ranking {
    /// By atomics where the plan says so, else by ballots.
    Atomics,
    /// By ballots.
    Ballots,
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
pub struct Entrant<K: GpuKey> {
    pub name: Name,
    pub sort: Arc<Sort<K>>,
    /// What its kernel takes.
    pub resources: Resources,
}

/// What became of a candidate on a GPU.
pub enum Fit<K: GpuKey> {
    /// It can be timed.
    Runs(Entrant<K>),
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
pub fn field<K: GpuKey>(sorter: &GpuSorter, n: usize, paired: bool) -> Result<Vec<Fit<K>>, Error> {
    let payload = if paired {
        Payload::Value(4)
    } else {
        Payload::None
    };
    let prepare = |order| sorter.prepare::<K>(n, payload, order);
    let ascending = Order::ascending;
    let mut field = vec![in_use(prepare(ascending())?, Ranking::AsInUse)?];
    if !paired {
        let ballots = prepare(ascending().ballots())?;
        field.push(in_use(ballots, Ranking::Ballots)?);
    }
    let fits =
        |candidate: &&Candidate| (candidate.width, candidate.paired) == (K::FORM.width, paired);
    for candidate in CANDIDATES.iter().filter(fits) {
        field.push(enter(sorter.device(), prepare(ascending())?, candidate)?);
    }
    Ok(field)
}

fn in_use<K: GpuKey>(sort: Sort<K>, ranking: Ranking) -> Result<Fit<K>, Error> {
    let (family, kernel) = sort.kernel();
    let name = Name {
        family: family.into(),
        threads: kernel.threads,
        items: kernel.tile / kernel.threads,
        blocks: None,
        ranking,
        in_use: true,
    };
    entrant(name, sort, kernel)
}

fn entrant<K: GpuKey>(name: Name, sort: Sort<K>, kernel: Kernel) -> Result<Fit<K>, Error> {
    Ok(Fit::Runs(Entrant {
        name,
        sort: Arc::new(sort),
        resources: kernel.resources()?,
    }))
}

/// `sort` by the kernel of `candidate`, if it does for so many elements, the GPU has room
/// for a block, and its keys stay in registers.
fn enter<K: GpuKey>(
    device: &Device,
    sort: Sort<K>,
    candidate: &Candidate,
) -> Result<Fit<K>, Error> {
    let name = Name {
        family: candidate.family.into(),
        threads: candidate.shape.threads as u32,
        items: candidate.shape.items as u32,
        blocks: Some(candidate.shape.blocks as u32),
        ranking: if candidate.atomics {
            Ranking::Atomics
        } else {
            Ranking::Ballots
        },
        in_use: false,
    };
    let (n, multiprocessors) = (sort.capacity() as u64, device.multiprocessors());
    if let Err(reason) = select::usable(candidate, n, multiprocessors, sort.goes_by_bucket()) {
        return Ok(Fit::Skipped { name, reason });
    }
    let (needed, most) = (select::shared_bytes(candidate), device.shared_bytes());
    if needed > most as usize {
        let reason = format!("a block takes {needed} bytes of shared memory, the GPU has {most}");
        return Ok(Fit::Skipped { name, reason });
    }
    let kernel = select::candidate(device, candidate)?;
    let taken = kernel.resources()?;
    if taken.local_bytes > 0 {
        let (registers, bytes) = (taken.registers, taken.local_bytes);
        let reason = format!("spills: {registers} registers and {bytes} bytes of local memory");
        return Ok(Fit::Skipped { name, reason });
    }
    entrant(name, sort.by(candidate.family, kernel)?, kernel)
}
