//! Findings: the results of failed checks.

use super::dim3::Dim3;
use super::location::Site;
use super::options::{Options, VARIABLE};
use std::fmt;

macro_rules! kinds {
    ($($kind:ident = $name:literal,)*) => {
        /// The kind of a finding. `docs/EMULATOR.md` lists the causes of each.
        #[derive(Clone, Copy, PartialEq, Eq, Debug)]
        pub enum Kind { $(#[doc = $name] $kind,)* }

        impl fmt::Display for Kind {
            fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
                f.write_str(match self { $(Kind::$kind => $name,)* })
            }
        }
    };
}

kinds! {
    Launch = "impossible launch",
    OutOfBounds = "access out of bounds",
    Misaligned = "misaligned access",
    Uninitialised = "read of uninitialised memory",
    Race = "data race",
    EarlyAccess = "access before the launch before has ended",
    StreamedRead = "streamed read of memory written in the same launch",
    RawMemory = "unchecked memory",
    BarrierDivergence = "barrier divergence",
    WarpMask = "wrong warp mask",
    Deadlock = "deadlock",
    Livelock = "livelock",
    StaleState = "state left by an earlier launch",
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
    /// The blocks, by dimension.
    pub grid_dim: Dim3,
    /// The threads in each block, by dimension.
    pub block_dim: Dim3,
    /// Dynamic shared memory of each block.
    pub shared_bytes: usize,
    /// The options, without the kernel's name.
    pub options: Options,
}

impl Launched {
    pub(crate) fn finding(&self, kind: Kind, message: String) -> Finding {
        let (launch, waiting) = (Box::new(self.clone()), Box::default());
        Finding { kind, launch, site: None, in_macro: None, other: None, message, waiting }
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
    /// The line of `site` in the body of a macro that the kernel comes from, where debug
    /// information has it.
    pub in_macro: Option<Box<str>>,
    /// The other one, if there are two.
    pub other: Option<Site>,
    /// The details.
    pub message: String,
    /// In a deadlock or livelock, the wait of each thread.
    pub waiting: Box<[String]>,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let Launched { kernel, grid_dim, block_dim, shared_bytes, options, .. } = &*self.launch;
        writeln!(f, "{} in kernel `{kernel}`: {}", self.kind, self.message)?;
        self.site.iter().try_for_each(|site| writeln!(f, "  {site}"))?;
        self.in_macro.iter().try_for_each(|line| writeln!(f, "    in a macro, at {line}"))?;
        self.other.iter().try_for_each(|other| writeln!(f, "  other: {other}"))?;
        self.waiting.iter().try_for_each(|line| writeln!(f, "  {line}"))?;
        write!(f, "  launched as <<<{grid_dim}, {block_dim}, {shared_bytes}>>>; ")?;
        write!(f, "to see it again: {VARIABLE}='{options}'")
    }
}

impl std::error::Error for Finding {}
