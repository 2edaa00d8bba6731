//! Who a thread is, and the barrier of its block.

use super::intrinsics as nv;

/// Index of this thread in its block, `0..block_dim_x()`.
#[inline(always)]
pub fn thread_idx_x() -> u32 {
    nv::thread_idx_x()
}

/// Threads in a block.
#[inline(always)]
pub fn block_dim_x() -> u32 {
    nv::block_dim_x()
}

/// Index of this block in the grid, `0..grid_dim_x()`.
#[inline(always)]
pub fn block_idx_x() -> u32 {
    nv::block_idx_x()
}

/// Blocks in the grid.
#[inline(always)]
pub fn grid_dim_x() -> u32 {
    nv::grid_dim_x()
}

/// Waits until every thread of the block is here, and makes what each wrote to
/// shared and global memory before it visible to all of them after it.
#[inline(always)]
pub fn sync_threads() {
    unsafe { nv::sync_threads(0) }
}

/// [`sync_threads`], and whether `predicate` held in any thread of the block.
#[inline(always)]
pub fn sync_threads_or(predicate: bool) -> bool {
    unsafe { nv::sync_threads_or(predicate as u32) != 0 }
}
