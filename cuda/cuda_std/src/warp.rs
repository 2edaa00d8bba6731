//! Operations that the 32 lanes of a warp perform together.
//!
//! `mask` names the lanes that take part; each of them must call, with the same
//! mask. Only [`sync_warp`] orders memory: a shuffle or a vote does not.

#[cfg(target_os = "cuda")]
use crate::device::intrinsics as nv;
#[cfg(not(target_os = "cuda"))]
use crate::emu::collective::collective;
#[cfg(not(target_os = "cuda"))]
use crate::emu::launch::current;
#[cfg(not(target_os = "cuda"))]
use crate::emu::operation::Operation;

pub use crate::ext::lanes::{
    all as warp_vote_all, any as warp_vote_any, ballot as warp_vote_ballot,
};
pub use crate::warp_values::{
    WarpReduceValue, WarpReductionOp, WarpShuffleValue, warp_match_all, warp_match_any,
    warp_reduce, warp_shuffle_down, warp_shuffle_idx, warp_shuffle_up, warp_shuffle_xor,
};

twins! {
    /// This thread's index in its warp, `0..32`.
    fn lane_id() -> u32 {
        nv::lane_id();
        current(|launch| launch.me().thread % 32)
    }

    /// Lanes that run this together; in the emulator, where lanes run apart, this one.
    fn activemask() -> u32 {
        nv::active_mask();
        1 << lane_id()
    }

    /// Waits for the lanes of `mask`, and makes each lane's writes before it visible
    /// to all of them after it.
    fn sync_warp(mask: u32) {
        nv::sync_warp(mask);
        { collective(Operation::SyncWarp, mask, 0, 0); }
    }
}
