//! Launches that begin before the one before them has ended.

#[cfg(not(target_os = "cuda"))]
use crate::emu::launch::current;
use crate::ext::Word;
use crate::ext::memory::Global;
#[cfg(target_os = "cuda")]
use core::arch::asm;

twins! {
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

    /// Reads element `i` before [`sync_predecessor`].
    ///
    /// # Safety
    /// As of the accessors; whether it shows what a launch writes that has not ended is open.
    unsafe fn get_early<T: Word>(array: Global<T>, i: usize) -> T {
        array.get(i);
        {
            let flag = |to| current(|launch| launch.early[launch.me().lane].replace(to));
            let early = flag(false);
            let value = array.get(i);
            flag(early);
            value
        }
    }
}
