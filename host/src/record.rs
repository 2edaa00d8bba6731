//! Records: results as they were, with the machine they were measured on.

use serde::Serialize;

/// A GPU and the driver it is used through.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Gpu {
    /// Product name, as the driver reports it.
    pub name: String,
    /// Version of CUDA that the driver supports: `13.0`.
    pub driver_cuda: String,
    /// Compute capability: `9.0`.
    pub compute_capability: String,
    /// Device memory in bytes.
    pub memory_bytes: u64,
}
