//! Who a thread is, and the barrier of its block.

use super::intrinsics as nv;
#[cfg(target_feature = "sm_90")]
use core::arch::asm;

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

/// Lets the next launch on the stream begin, if it was launched so that it may:
/// its blocks take the room that this launch's leave. For chips before compute
/// capability 9.0 it does nothing.
#[inline(always)]
pub fn trigger_dependents() {
    #[cfg(target_feature = "sm_90")]
    unsafe {
        asm!("griddepcontrol.launch_dependents;", options(nostack))
    }
}

/// Waits until the launch before this one on the stream has ended and what it
/// wrote is visible. A kernel that may be launched early calls it before it touches
/// memory; otherwise it returns at once.
#[inline(always)]
pub fn sync_predecessor() {
    // `asm!`, because the intrinsic is not known to order memory.
    #[cfg(target_feature = "sm_90")]
    unsafe {
        asm!("griddepcontrol.wait;", options(nostack))
    }
}
