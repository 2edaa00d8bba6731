//! Sorting on an NVIDIA GPU.
//!
//! | module | content |
//! |---|---|
//! | [`device`] | an opened GPU: its context, its limits, the loaded kernels |
//! | [`module`] | the PTX, and launching a kernel |
//! | [`key`] | the types of keys, and the orders of sorts |
//! | `dispatch` | the choice of the kernels that sort keys |
//! | `launch` | the launches of one sort |
//! | [`workspace`] | the device memory that a sort needs, and its parts |
//! | [`sort`], `run` | [`Sort`]: a prepared sort, and its runs |
//! | [`segments`] | [`SegmentSort`]: sorts of many segments of one array |
//! | [`sorter`] | [`GpuSorter`]: sorts in one call |
//! | [`sweep`] | sorts by kernels of shapes that are not in use |
//! | [`resident`] | sorts of keys in device memory, timed and verified there |
//! | [`checks`] | arguments have one length and do not overlap; keys on the device are in order |
//! | [`merger`] | merges sorted runs pairwise |
//! | [`devices`] | several GPUs, and sorts of one array over all of them |
//! | [`streamed`] | sorts of keys that arrive from host memory in pieces, and return in pieces |
//! | [`large`] | sorts of arrays in host memory that are larger than GPU memory |
//! | [`stream`] | streams, and the memory operations on them |
//! | [`transfer`] | copies between pageable host memory and the device |
//!
//! Everything uses `cust`; driver functions that it does not have use the declarations it is
//! built on.

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
