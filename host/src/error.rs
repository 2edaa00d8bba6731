//! Errors, one variant a cause. Each message is one line that names the value at fault and the
//! remedy, fit to be shown to a user as it is.

use std::fmt;

use cust::error::CudaError;
use cust::sys;

use crate::driver::Status;

/// The memory of a GPU, in messages.
const GPU_MEMORY: &str = "GPU memory";

/// An error of this crate.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// No GPU can be used here.
    #[error(transparent)]
    NoGpu(#[from] NoGpu),

    /// More memory would be needed than there is. Found before any of it is allocated.
    #[error(
        "n = {n} needs {} of {what} and {} is available; choose a smaller n",
        Bytes(*needed),
        Bytes(*available)
    )]
    Memory {
        n: usize,
        /// Which memory: "memory", "GPU memory", "address space (ulimit -v)".
        what: String,
        needed: u64,
        available: u64,
    },

    /// Memory that the system refused, though it seemed to be there.
    #[error(
        "n = {n} needs {} more memory, which the system refuses; choose a smaller n",
        Bytes(*needed)
    )]
    Refused { n: usize, needed: u64 },

    /// Threads that the system does not start.
    #[error("could not start {count} threads: {reason}; choose fewer lanes")]
    Threads { count: usize, reason: String },

    /// The driver reported a failure.
    #[error("GPU: {action}: {reason}")]
    Gpu { action: &'static str, reason: String },

    /// Kernels that the driver does not load.
    #[error("{origin}: {reason}; {remedy}")]
    Ptx {
        /// The file, or which of the embedded texts.
        origin: String,
        reason: String,
        remedy: String,
    },

    /// A workspace smaller than a run needs.
    #[error(
        "workspace of {} where the sort needs {}; ask for its workspace_bytes()",
        Bytes(*given),
        Bytes(*needed)
    )]
    Workspace { needed: u64, given: u64 },

    /// More keys than a sort was prepared for.
    #[error("{n} keys for a sort prepared for {capacity}; prepare it for {n}")]
    Capacity { n: usize, capacity: usize },

    /// Another payload than a sort was prepared for.
    #[error("a sort prepared with payload {prepared} was given {given}; prepare it with {given}")]
    Payload { prepared: String, given: String },

    /// Values of a width that no kernel moves.
    #[error("values of {width} bytes; give values of 4, 8 or 16 bytes, or sort indices")]
    ValueWidth { width: usize },

    /// Bits to sort by that the key does not have, or that make no order.
    #[error(
        "bits {begin}..{end} of a key of {width} bits{}; give begin < end <= {width}",
        if *numeric { " in numeric order, which takes all bits" } else { "" }
    )]
    Bits { begin: u32, end: u32, width: u32, numeric: bool },

    /// Buffers that share memory.
    #[error(
        "buffers of {} begin {} apart and so overlap; give buffers that are apart, or sort in \
         place",
        Bytes(*bytes),
        Bytes(*distance)
    )]
    Overlap { bytes: u64, distance: u64 },

    /// Input and output of unequal length.
    #[error("input has {input} keys and output {output}; give slices of one length")]
    Lengths { input: usize, output: usize },

    /// More keys than the indices of a sort count.
    #[error("n = {n} is more than the {limit} keys that indices count; sort parts and merge them")]
    TooMany { n: usize, limit: u64 },

    /// A segment that is none of the keys.
    #[error(
        "segment {index} is {begin}..{end} of {n} keys; give offsets that do not decrease and end \
         at {n} or before"
    )]
    Offsets { index: usize, begin: u32, end: u32, n: usize },

    /// Another number of offsets than segments have.
    #[error("{given} offsets of {segments} segments; give one more than there are segments")]
    OffsetCount { given: usize, segments: usize },

    /// An order that some sorts do not make.
    #[error(
        "{sort} takes all bits of the keys, floating-point ones in total order; leave out the bits \
         or the numeric order, or sort {otherwise}"
    )]
    Order { sort: &'static str, otherwise: &'static str },

    /// Keys of a width that some sorts do not take.
    #[error("{sort} of {key} keys; give keys of 4 or 8 bytes, or sort {otherwise}")]
    KeyWidth { sort: &'static str, key: &'static str, otherwise: &'static str },

    /// A payload that does not go over several GPUs.
    #[error(
        "a sort over several GPUs with payload {payload}; give no payload or values of 4 bytes, \
         which may be indices"
    )]
    DevicesPayload { payload: String },

    /// Another number of parts than of GPUs.
    #[error("{given} parts of an array over {devices} GPUs; give one a GPU")]
    Parts { given: usize, devices: usize },

    /// A failure on one of several GPUs.
    #[error("{device}: {}", without_gpu(error))]
    OnDevice {
        /// The GPU: `GPU 1 (NVIDIA H200)`.
        device: String,
        error: Box<Error>,
    },

    /// More keys than runs are merged of.
    #[error(
        "n = {n} is more than the {limit} keys that are merged on the GPU; sort them at level 1, \
         or over more GPUs"
    )]
    TooManyToMerge { n: usize, limit: u64 },
}

impl Error {
    /// Less GPU memory `available` than `needed`.
    pub fn gpu_memory(n: usize, needed: u64, available: u64) -> Self {
        Error::Memory { n, what: GPU_MEMORY.to_owned(), needed, available }
    }

    /// Returns true if a GPU has no room for so many keys at a time.
    pub fn is_too_large_for_gpu(&self) -> bool {
        match self {
            Error::Memory { what, .. } => what == GPU_MEMORY,
            Error::TooManyToMerge { .. } => true,
            Error::OnDevice { error, .. } => error.is_too_large_for_gpu(),
            _ => false,
        }
    }

    /// A failure of an action on the GPU.
    pub fn gpu(action: &'static str, reason: impl Into<String>) -> Self {
        Error::Gpu { action, reason: reason.into() }
    }
}

/// An error whose GPU is named before it.
fn without_gpu(error: &Error) -> String {
    match error {
        Error::Gpu { action, reason } => format!("{action}: {reason}"),
        other => other.to_string(),
    }
}

/// Turns a failed call of `cust` into an error that names the action.
pub fn failed(action: &'static str) -> impl Fn(CudaError) -> Error {
    move |error| match Status::of_error(error) {
        Some(status) => Error::gpu(action, status.to_string()),
        None => Error::gpu(action, format!("{error:?}")),
    }
}

/// Turns a failed call of the driver into an error that names the action.
pub fn check(status: sys::CUresult, action: &'static str) -> Result<(), Error> {
    match status {
        sys::cudaError_enum::CUDA_SUCCESS => Ok(()),
        status => Err(Error::gpu(action, Status::of(status).to_string())),
    }
}

/// The reason why no GPU can be used, in one line.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct NoGpu(pub String);

/// A number of bytes, shown with a decimal unit: `600.0 MB`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bytes(pub u64);

impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const UNITS: [&str; 6] = ["kB", "MB", "GB", "TB", "PB", "EB"];
        if self.0 < 1000 {
            return write!(f, "{} bytes", self.0);
        }
        let mut value = self.0 as f64 / 1000.0;
        let mut unit = 0;
        while value >= 1000.0 && unit + 1 < UNITS.len() {
            value /= 1000.0;
            unit += 1;
        }
        write!(f, "{value:.1} {}", UNITS[unit])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_on_one_of_several_gpus_names_it_once() {
        let error = Box::new(Error::gpu("copying", "out of memory"));
        let error = Error::OnDevice { device: "GPU 1 (NVIDIA H200)".to_owned(), error };
        assert_eq!(error.to_string(), "GPU 1 (NVIDIA H200): copying: out of memory");
    }

    #[test]
    fn memory_of_a_gpu_and_of_the_host_are_told_apart() {
        let error = Box::new(Error::gpu_memory(7, 56, 8));
        assert!(Error::OnDevice { device: "GPU 1".to_owned(), error }.is_too_large_for_gpu());
        let what = "memory".to_owned();
        let host = Error::Memory { n: 7, what, needed: 56, available: 8 };
        assert!(!host.is_too_large_for_gpu());
    }

    #[test]
    fn bytes_are_shown_with_a_decimal_unit() {
        assert_eq!(Bytes(0).to_string(), "0 bytes");
        assert_eq!(Bytes(999).to_string(), "999 bytes");
        assert_eq!(Bytes(1000).to_string(), "1.0 kB");
        assert_eq!(Bytes(600_000_000).to_string(), "600.0 MB");
        assert_eq!(Bytes(u64::MAX).to_string(), "18.4 EB");
    }
}
