//! A thread's indices, and the barrier of its block.

#[cfg(target_os = "cuda")]
use crate::device::intrinsics as nv;
#[cfg(target_feature = "sm_90")]
use core::arch::asm;
#[cfg(not(target_os = "cuda"))]
use {crate::emu::launch::current, std::panic::Location};

twins! {
    /// Index of this thread in its block, `0..block_dim_x()`.
    fn thread_idx_x() -> u32 {
        nv::thread_idx_x();
        current(|launch| launch.me().thread)
    }

    /// Threads in a block.
    fn block_dim_x() -> u32 {
        nv::block_dim_x();
        current(|launch| launch.launched.block)
    }

    /// Index of this block in the grid, `0..grid_dim_x()`.
    fn block_idx_x() -> u32 {
        nv::block_idx_x();
        current(|launch| launch.me().block)
    }

    /// Blocks in the grid.
    fn grid_dim_x() -> u32 {
        nv::grid_dim_x();
        current(|launch| launch.launched.grid)
    }

    /// Waits until every thread of the block is here, and makes each thread's writes
    /// to shared and global memory before it visible to all of them after it.
    fn sync_threads() {
        nv::sync_threads(0);
        { sync_threads_or(false); }
    }

    /// [`sync_threads`]; returns true if `predicate` held in any thread of the block.
    fn sync_threads_or(predicate: bool) -> bool {
        nv::sync_threads_or(predicate as u32) != 0;
        {
            let at = Location::caller();
            current(|launch| launch.barrier(predicate, at))
        }
    }

    /// Lets the next launch on the stream begin if it was launched to overlap: its
    /// blocks take the room that this launch's leave. It does nothing before compute
    /// capability 9.0, nor in the emulator, where launches follow each other.
    fn trigger_dependents() {
        {
            #[cfg(target_feature = "sm_90")]
            // SAFETY: the instruction touches neither memory nor registers.
            unsafe { asm!("griddepcontrol.launch_dependents;", options(nostack)) }
        };
        ()
    }

    /// Waits until the launch before this one on the stream has ended and its writes
    /// are visible. A kernel that may be launched early calls it before it touches
    /// memory; otherwise it returns at once. With the emulator's `Options::early`, a
    /// thread may touch global memory only from here on.
    fn sync_predecessor() {
        {
            // `asm!`, because the intrinsic is not known to order memory.
            #[cfg(target_feature = "sm_90")]
            // SAFETY: the instruction waits, and no more.
            unsafe { asm!("griddepcontrol.wait;", options(nostack)) }
        };
        current(|launch| launch.early[launch.me().lane].set(false))
    }
}
