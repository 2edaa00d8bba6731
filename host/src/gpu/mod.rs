//! Sorting on an NVIDIA GPU.
//!
//! | module | what it holds |
//! |---|---|
//! | [`device`] | a GPU, opened: its context, its limits, the loaded kernels |
//! | [`kernels`] | the PTX, and how a kernel is launched |
//! | [`resident`] | sorts of resident keys, timed and verified on the device |
//! | [`sorter`] | [`GpuSorter`]: sorts device memory, or a slice of the host |
//! | [`merger`] | merges sorted runs pairwise |
//! | [`transfer`] | copies between pageable host memory and the device |
//! | [`split`] | the engine: one array cut over streams at a concurrency level |
//!
//! Everything goes through `cust`; where it has no name for a function of the
//! driver, through the declarations it is built on.

pub mod device;
pub mod kernels;
pub mod merger;
pub mod resident;
pub mod sorter;
pub mod split;
pub mod transfer;

pub use device::Device;
pub use resident::Resident;
pub use sorter::{GpuSorter, Workspace};

/// Name of the GPU engine.
pub const NAME: &str = "gpu";

use crate::engine::{Engine, Unavailable};
use crate::key::Key;

/// The GPU engine, opened.
///
/// # Errors
/// No driver, no GPU, or none that the kernels run on: the reason.
pub fn engine<K: Key>() -> Result<Box<dyn Engine<K>>, Unavailable> {
    let device = Device::open()?;
    Ok(Box::new(split::Split::new(device)))
}
