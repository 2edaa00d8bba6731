//! What can go wrong, one variant a cause. Each message is one line that names
//! the value at fault and the remedy, fit to be shown to a user as it is.

use crate::engine::Unavailable;
use crate::memory::Bytes;
use crate::verify::Difference;

/// An error of this crate.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A concurrency level of zero was asked for.
    #[error("level 0: no thread or stream would do the work; give levels of 1 or more")]
    LevelZero,

    /// A level above what the engine can start.
    #[error("{engine}: level {level} is more than the {limit} it can run; choose a lower level")]
    LevelTooHigh {
        /// Engine that refused.
        engine: &'static str,
        /// Level asked for.
        level: usize,
        /// Highest level the engine takes.
        limit: usize,
    },

    /// A text that is not a list of levels.
    #[error("levels `{text}`: `{item}` is not a whole number of 1 or more; write them like 1,2,4")]
    Levels {
        /// The whole list as given.
        text: String,
        /// The item that could not be read.
        item: String,
    },

    /// No engine has this name.
    #[error("unknown engine `{name}`; known engines: {known}")]
    UnknownEngine {
        /// Name asked for.
        name: String,
        /// Names that exist, separated by commas.
        known: String,
    },

    /// The engine exists, but cannot run on this machine.
    #[error("{}: not available on this machine: {}; choose another engine, or see `cudamark doctor`", .0.engine, .0.reason)]
    Unavailable(Unavailable),

    /// More memory would be needed than there is. Found before any of it is allocated.
    #[error(
        "n = {n} needs {} of {what} and {} is available; choose a smaller n",
        Bytes(*needed),
        Bytes(*available)
    )]
    Memory {
        /// Elements to be sorted.
        n: usize,
        /// Which memory: "memory", "GPU memory", "address space (ulimit -v)".
        what: String,
        /// Bytes that the work would take.
        needed: u64,
        /// Bytes that can be had.
        available: u64,
    },

    /// Memory that the system refused, though it seemed to be there.
    #[error(
        "n = {n} needs {} more memory, which the system refuses; choose a smaller n",
        Bytes(*needed)
    )]
    Refused {
        /// Elements to be stored.
        n: usize,
        /// Bytes that they take.
        needed: u64,
    },

    /// The threads of a level could not be started.
    #[error("{engine}: could not start {level} threads: {reason}; choose a lower level")]
    Threads {
        /// Engine that wanted them.
        engine: &'static str,
        /// Level asked for, a thread each.
        level: usize,
        /// The system's message.
        reason: String,
    },

    /// `sort` was handed more than `prepare` made room for.
    #[error(
        "{engine}: asked to sort {n} elements, prepared for {prepared}; call prepare({n}, level) first"
    )]
    NotPrepared {
        /// Engine that refused.
        engine: &'static str,
        /// Elements handed to `sort`.
        n: usize,
        /// Elements that `prepare` made room for.
        prepared: usize,
    },

    /// The driver reported a failure.
    #[error("GPU: {action}: {reason}")]
    Gpu {
        /// What was being done.
        action: &'static str,
        /// What the driver says of it.
        reason: String,
    },

    /// Kernels that the driver does not load.
    #[error("{origin}: {reason}; {remedy}")]
    Ptx {
        /// The file, or which of the embedded texts.
        origin: String,
        /// What is wrong with it.
        reason: String,
        /// What to do.
        remedy: String,
    },

    /// A workspace smaller than a run needs.
    #[error("workspace of {} where the sort needs {}; ask for its workspace_bytes()", Bytes(*given), Bytes(*needed))]
    Workspace {
        /// Bytes a run needs.
        needed: u64,
        /// Bytes the workspace has.
        given: u64,
    },

    /// More keys than a sort was prepared for.
    #[error("{n} keys for a sort prepared for {capacity}; prepare it for {n}")]
    Capacity {
        /// Keys to be sorted.
        n: usize,
        /// Keys it was prepared for.
        capacity: usize,
    },

    /// Another payload than a sort was prepared for.
    #[error("a sort prepared with payload {prepared} was given {given}; prepare it with {given}")]
    Payload {
        /// What it was prepared for.
        prepared: String,
        /// What it was given.
        given: String,
    },

    /// Values of a width that no kernel moves.
    #[error("values of {width} bytes; give values of 4, 8 or 16 bytes, or sort indices")]
    ValueWidth {
        /// Bytes of a value.
        width: usize,
    },

    /// Bits to sort by that the key does not have, or that make no order.
    #[error(
        "bits {begin}..{end} of a key of {width} bits{}; give begin < end <= {width}",
        if *numeric { " in numeric order, which takes all bits" } else { "" }
    )]
    Bits {
        /// Lowest bit.
        begin: u32,
        /// One more than the highest.
        end: u32,
        /// Bits of the key.
        width: u32,
        /// Whether numeric order was asked for as well.
        numeric: bool,
    },

    /// Buffers that share memory.
    #[error(
        "buffers of {} begin {} apart and so overlap; give buffers that are apart, or sort in place",
        Bytes(*bytes),
        Bytes(*distance)
    )]
    Overlap {
        /// Bytes of each.
        bytes: u64,
        /// Bytes between their beginnings.
        distance: u64,
    },

    /// Input and output of unequal length.
    #[error("input has {input} keys and output {output}; give slices of one length")]
    Lengths {
        /// Keys of the input.
        input: usize,
        /// Keys of the output.
        output: usize,
    },

    /// More keys than the indices of a sort count.
    #[error("n = {n} is more than the {limit} keys that indices count; sort parts and merge them")]
    TooMany {
        /// Keys to be sorted.
        n: usize,
        /// Most keys.
        limit: u64,
    },

    /// More keys than runs are merged of.
    #[error(
        "n = {n} is more than the {limit} keys that are merged on the GPU; sort them at level 1"
    )]
    TooManyToMerge {
        /// Keys of all runs.
        n: usize,
        /// Most keys.
        limit: u64,
    },

    /// A result that is not the sorted input. Its timing must not be used.
    #[error("{engine}: wrong result at level {level}: {difference}")]
    WrongResult {
        /// Engine that produced it.
        engine: &'static str,
        /// Concurrency level it ran at.
        level: usize,
        /// What differs from the sorted input.
        difference: Difference,
    },
}

impl From<Unavailable> for Error {
    fn from(unavailable: Unavailable) -> Self {
        Self::Unavailable(unavailable)
    }
}
