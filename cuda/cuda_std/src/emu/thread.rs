//! Who a thread is, and the barrier of its block.

use super::launch::current;
use std::panic::Location;

/// Index of this thread in its block, `0..block_dim_x()`.
pub fn thread_idx_x() -> u32 {
    current(|launch| launch.me().thread)
}

/// Threads in a block.
pub fn block_dim_x() -> u32 {
    current(|launch| launch.shape().block)
}

/// Index of this block in the grid, `0..grid_dim_x()`.
pub fn block_idx_x() -> u32 {
    current(|launch| launch.me().block)
}

/// Blocks in the grid.
pub fn grid_dim_x() -> u32 {
    current(|launch| launch.shape().grid)
}

/// Waits until every thread of the block is here, and makes what each wrote to
/// shared and global memory before it visible to all of them after it.
#[track_caller]
pub fn sync_threads() {
    sync_threads_or(false);
}

/// [`sync_threads`], and whether `predicate` held in any thread of the block.
#[track_caller]
pub fn sync_threads_or(predicate: bool) -> bool {
    let at = Location::caller();
    current(|launch| launch.barrier(predicate, at))
}

/// Lets the next launch begin. Here launches follow each other.
pub fn trigger_dependents() {}

/// Waits until the launch before this one on the stream has ended and what it wrote
/// is visible. Here launches follow each other; but where a launch may be early
/// ([`Options::early`](super::Options::early)), the thread may touch global memory
/// only from here on.
pub fn sync_predecessor() {
    current(|launch| launch.sync_predecessor());
}
