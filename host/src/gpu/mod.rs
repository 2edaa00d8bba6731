//! Sorting on an NVIDIA GPU.
//!
//! | module | what it holds |
//! |---|---|
//! | [`device`] | a GPU, opened: its context, its limits, the loaded kernels |
//! | [`module`] | the PTX, and how a kernel is launched |
//! | [`key`] | the types of keys, and the orders they are sorted in |
//! | `dispatch` | which kernels sort what |
//! | `launch` | the launches of one sort |
//! | [`sort`] | [`Sort`]: a sort, prepared |
//! | [`workspace`] | the device memory that a sort works in, and how it is parted |
//! | [`sweep`] | sorts by kernels of shapes that are not in use |
//! | [`resident`] | sorts of resident keys, timed and verified on the device |
//! | [`sorter`] | [`GpuSorter`]: sorts in one call |
//! | [`checks`] | whether arguments are of one length, and whether keys on the device are in order |
//! | [`merger`] | merges sorted runs pairwise |
//! | [`transfer`] | copies between pageable host memory and the device |
//!
//! Everything goes through `cust`; where it has no name for a function of the
//! driver, through the declarations it is built on.

pub mod checks;
pub mod device;
mod dispatch;
pub mod key;
mod launch;
pub mod merger;
pub mod module;
pub mod resident;
pub mod sort;
pub mod sorter;
pub mod sweep;
pub mod transfer;
pub mod workspace;

pub use device::Device;
pub use key::{Bf16, F16, GpuKey, Order};
pub use resident::Resident;
pub use sort::{Payload, Sort};
pub use sorter::GpuSorter;
pub use workspace::Workspace;
