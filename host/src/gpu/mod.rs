//! Sorting on an NVIDIA GPU.
//!
//! | module | content |
//! |---|---|
//! | [`device`] | a GPU, opened: its context, its limits, the loaded kernels |
//! | [`module`] | the PTX, and how a kernel is launched |
//! | [`key`] | the types of keys, and the orders they are sorted in |
//! | `dispatch` | the choice of the kernels that sort keys |
//! | `launch` | the launches of one sort |
//! | [`workspace`] | the device memory that a sort works in, and its parts |
//! | [`sort`], `run` | [`Sort`]: a sort, prepared, and its runs |
//! | [`segments`] | [`SegmentSort`]: sorts of many segments of one array |
//! | [`sorter`] | [`GpuSorter`]: sorts in one call |
//! | [`sweep`] | sorts by kernels of shapes that are not in use |
//! | [`resident`] | sorts of resident keys, timed and verified on the device |
//! | [`checks`] | arguments of one length and apart; keys on the device in order |
//! | [`merger`] | merges sorted runs pairwise |
//! | [`devices`] | several GPUs, and sorts of one array over all of them |
//! | [`streamed`] | sorts of keys that come from host memory in pieces, and go back in pieces |
//! | [`large`] | sorts of arrays in host memory that are larger than the memory of GPUs |
//! | [`stream`] | streams, and the memory operations on them |
//! | [`transfer`] | copies between pageable host memory and the device |
//!
//! Everything goes through `cust`; where it has no name for a function of the driver, through the
//! declarations it is built on.

pub mod checks;
pub mod device;
pub mod devices;
mod dispatch;
pub mod key;
pub mod large;
mod launch;
pub mod merger;
pub mod module;
pub mod resident;
mod run;
pub mod segments;
pub mod sort;
pub mod sorter;
pub mod stream;
pub mod streamed;
pub mod sweep;
pub mod transfer;
pub mod workspace;

pub use device::Device;
pub use key::{Bf16, F16, GpuKey, Order};
pub use resident::Resident;
pub use segments::SegmentSort;
pub use sort::{Payload, Sort};
pub use sort_cases::KeyType;
pub use sorter::GpuSorter;
pub use workspace::Workspace;
