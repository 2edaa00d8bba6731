//! Findings: the results of failed checks.

use super::location::Site;
use super::options::{Options, VARIABLE};
use std::fmt;

macro_rules! kinds {
    ($($(#[$doc:meta])* $kind:ident = $name:literal,)*) => {
        /// The kind of a finding.
        #[derive(Clone, Copy, PartialEq, Eq, Debug)]
        pub enum Kind { $($(#[$doc])* $kind,)* }

        impl fmt::Display for Kind {
            fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
                f.write_str(match self { $(Kind::$kind => $name,)* })
            }
        }
    };
}

kinds! {
    /// A launch that the device would refuse.
    Launch = "impossible launch",
    /// An access outside of its array.
    OutOfBounds = "access out of bounds",
    /// An access whose address is no multiple of its width.
    Misaligned = "misaligned access",
    /// A read of memory that nobody has written.
    Uninitialised = "read of uninitialised memory",
    /// Two accesses to one byte, one a write, not ordered and not both atomic.
    Race = "data race",
    /// An access before the launch before has ended.
    EarlyAccess = "access before the launch before has ended",
    /// A streamed (non-coherent) read of memory that the same launch writes.
    StreamedRead = "streamed read of memory written in the same launch",
    /// Memory reached by raw pointers or slices, which cannot be checked.
    RawMemory = "unchecked memory",
    /// Threads of one warp, or one block, at different block barriers.
    BarrierDivergence = "barrier divergence",
    /// A warp operation with lanes missing from its mask, or named in it that do
    /// not come.
    WarpMask = "wrong warp mask",
    /// Every thread waits for another.
    Deadlock = "deadlock",
    /// Threads run and nothing changes.
    Livelock = "livelock",
    /// Memory that should be clear at a launch holds what an earlier one wrote.
    StaleState = "state left by an earlier launch",
    /// A panic in the kernel: an `assert!`, an index of a local array, an overflow.
    Panic = "panic in the kernel",
}

/// The arguments of a launch.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Launched {
    /// The name of the kernel.
    pub kernel: String,
    /// Blocks.
    pub grid: u32,
    /// Threads in each block.
    pub block: u32,
    /// Dynamic shared memory of each block.
    pub shared_bytes: usize,
    /// The options, without the kernel's name.
    pub options: Options,
}

impl Launched {
    pub(crate) fn finding(&self, kind: Kind, message: String) -> Finding {
        let (launch, waiting) = (Box::new(self.clone()), Vec::new());
        Finding { kind, launch, site: None, other: None, message, waiting }
    }
}

/// The result of a failed check, and how to see it again.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Finding {
    /// The kind of fault.
    pub kind: Kind,
    /// The launch that it ended.
    pub launch: Box<Launched>,
    /// The thread at fault, if there is one.
    pub site: Option<Site>,
    /// The other one, if there are two.
    pub other: Option<Site>,
    /// The details.
    pub message: String,
    /// In a deadlock or livelock, the wait of each thread.
    pub waiting: Vec<String>,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let Launched { kernel, grid, block, shared_bytes, options } = &*self.launch;
        writeln!(f, "{} in kernel `{kernel}`: {}", self.kind, self.message)?;
        self.site.iter().try_for_each(|site| writeln!(f, "  {site}"))?;
        self.other.iter().try_for_each(|other| writeln!(f, "  other: {other}"))?;
        self.waiting.iter().try_for_each(|line| writeln!(f, "  {line}"))?;
        write!(f, "  launched as <<<{grid}, {block}, {shared_bytes}>>>; ")?;
        write!(f, "to see it again: {VARIABLE}='{options}'")
    }
}

impl std::error::Error for Finding {}
