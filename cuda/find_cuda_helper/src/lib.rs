//! The crate of this name by which the build scripts of `cust` and `cust_raw` look for
//! CUDA, replaced by `[patch.crates-io]` in the workspace's manifest.
//!
//! The published one fails where CUDA is not installed, and else links `libcuda`, without
//! which the program then does not start. Neither is wanted: `cuda/cuda_driver/src/lib.rs` defines
//! the driver's functions and opens the driver at run time. A patch holds from whatever
//! folder cargo is run; a variable in `.cargo/config.toml` does not.

/// Links nothing.
pub fn include_cuda() {}
