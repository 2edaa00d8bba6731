//! Sorts by passes of other shapes than those in use: what `cudamark tune` times.

use std::sync::Arc;

pub use gpu_kernels::sweep::{CANDIDATES, Candidate};

use super::kernels::Resources;
use super::{Device, GpuKey, Sort, select};
use crate::error::Error;

/// Whether this program holds their kernels.
pub const BUILT: bool = cfg!(feature = "tune");

/// The candidates for keys of `width` bytes, with values of 4 bytes or alone.
pub fn candidates(width: usize, paired: bool) -> impl Iterator<Item = &'static Candidate> {
    CANDIDATES
        .iter()
        .filter(move |candidate| (candidate.width, candidate.paired) == (width, paired))
}

/// What became of a candidate on a GPU.
pub enum Fit<K: GpuKey> {
    /// A sort by its passes, and what those take.
    Runs(Arc<Sort<K>>, Resources),
    /// None, or not one as it is meant: the reason.
    Skipped(String),
}

/// `sort` by the passes of `candidate`, if the GPU has room for them and their keys
/// stay in registers.
///
/// # Errors
/// A kernel that does not load.
pub fn enter<K: GpuKey>(
    device: &Device,
    sort: Sort<K>,
    candidate: &Candidate,
) -> Result<Fit<K>, Error> {
    let needed = select::shared_bytes(candidate);
    let most = device.shared_bytes() as usize;
    if needed > most {
        return Ok(Fit::Skipped(format!(
            "takes {needed} bytes of shared memory a block, the GPU has {most}"
        )));
    }
    let kernel = select::candidate(device, candidate)?;
    let resources = kernel.resources()?;
    if resources.local_bytes > 0 {
        return Ok(Fit::Skipped(format!(
            "{} registers are too few: {} bytes of a thread lie in local memory",
            resources.registers, resources.local_bytes
        )));
    }
    Ok(Fit::Runs(Arc::new(sort.by(kernel)), resources))
}
