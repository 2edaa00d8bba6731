//! A thread of a launch, and the counters of a launch.

use super::location::{Site, SourceLocation};

/// Counters of a launch, exact: the same options and input give the same.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Stats {
    /// Loads and stores, atomic ones too.
    pub accesses: u64,
    /// Warp operations, once a lane.
    pub collectives: u64,
    /// Block barriers, once a block.
    pub barriers: u64,
    /// Choices of a thread by the scheduler.
    pub turns: u64,
    /// [`Patience`](crate::ext::hint::Patience) that ended.
    pub impatient: u64,
}

/// The running thread.
#[derive(Clone, Copy, Default)]
pub(crate) struct Me {
    pub block: u32,
    /// Index in the block.
    pub thread: u32,
    /// Its number among all resident threads.
    pub lane: usize,
    /// The number of its block among the resident ones.
    pub slot: usize,
}

impl Me {
    pub(crate) fn site(self, location: SourceLocation) -> Site {
        let Self { block, thread, .. } = self;
        Site { block, thread, location }
    }
}
