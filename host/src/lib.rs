//! Sorting on an NVIDIA GPU, with kernels written in Rust.
//!
//! | module | content |
//! |---|---|
//! | [`gpu`] | the GPU and its sorts |
//! | [`driver`] | the CUDA driver, opened at run time |
//! | [`memory`] | the available host memory |
//! | [`error`] | errors, with their remedies |

pub use cuda_driver as driver;
pub mod error;
pub mod gpu;
pub mod memory;

pub use error::Error;
