//! Sorting on an NVIDIA GPU, by kernels written in Rust.
//!
//! | module | what it holds |
//! |---|---|
//! | [`gpu`] | the GPU and its sorts |
//! | [`driver`] | the CUDA driver, opened at run time |
//! | [`memory`] | how much host memory there is |
//! | [`error`] | what can go wrong |

pub use cuda_driver as driver;
pub mod error;
pub mod gpu;
pub mod memory;

pub use error::Error;
