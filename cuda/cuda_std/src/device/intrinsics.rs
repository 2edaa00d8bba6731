//! The LLVM intrinsics behind the public functions. They are convergent, which
//! is why they are not `asm!`.

#[allow(improper_ctypes)]
unsafe extern "C" {
    #[link_name = "llvm.nvvm.read.ptx.sreg.tid.x"]
    pub safe fn thread_idx_x() -> u32;
    #[link_name = "llvm.nvvm.read.ptx.sreg.ntid.x"]
    pub safe fn block_dim_x() -> u32;
    #[link_name = "llvm.nvvm.read.ptx.sreg.ctaid.x"]
    pub safe fn block_idx_x() -> u32;
    #[link_name = "llvm.nvvm.read.ptx.sreg.nctaid.x"]
    pub safe fn grid_dim_x() -> u32;
    #[link_name = "llvm.nvvm.read.ptx.sreg.laneid"]
    pub safe fn lane_id() -> u32;
    #[link_name = "llvm.nvvm.activemask"]
    pub fn active_mask() -> u32;

    #[link_name = "llvm.nvvm.barrier.cta.sync.aligned.all"]
    pub fn sync_threads(id: u32);
    #[link_name = "llvm.nvvm.barrier0.or"]
    pub fn sync_threads_or(predicate: u32) -> u32;
    #[link_name = "llvm.nvvm.bar.warp.sync"]
    pub fn sync_warp(mask: u32);

    #[link_name = "llvm.nvvm.shfl.sync.idx.i32"]
    pub fn shuffle_idx(mask: u32, value: u32, lane: u32, clamp: u32) -> u32;
    #[link_name = "llvm.nvvm.shfl.sync.up.i32"]
    pub fn shuffle_up(mask: u32, value: u32, delta: u32, clamp: u32) -> u32;
    #[link_name = "llvm.nvvm.shfl.sync.down.i32"]
    pub fn shuffle_down(mask: u32, value: u32, delta: u32, clamp: u32) -> u32;
    #[link_name = "llvm.nvvm.shfl.sync.bfly.i32"]
    pub fn shuffle_xor(mask: u32, value: u32, lane_mask: u32, clamp: u32) -> u32;
    #[link_name = "llvm.nvvm.vote.ballot.sync"]
    pub fn ballot(mask: u32, predicate: bool) -> u32;
    #[link_name = "llvm.nvvm.vote.any.sync"]
    pub fn any(mask: u32, predicate: bool) -> bool;
    #[link_name = "llvm.nvvm.vote.all.sync"]
    pub fn all(mask: u32, predicate: bool) -> bool;
    #[link_name = "llvm.nvvm.match.any.sync.i32"]
    pub fn match_any(mask: u32, value: u32) -> u32;

    #[cfg(target_feature = "sm_80")]
    #[link_name = "llvm.nvvm.redux.sync.add"]
    pub fn reduce_add(value: u32, mask: u32) -> u32;
    #[cfg(target_feature = "sm_80")]
    #[link_name = "llvm.nvvm.redux.sync.umin"]
    pub fn reduce_umin(value: u32, mask: u32) -> u32;
    #[cfg(target_feature = "sm_80")]
    #[link_name = "llvm.nvvm.redux.sync.umax"]
    pub fn reduce_umax(value: u32, mask: u32) -> u32;
    #[cfg(target_feature = "sm_80")]
    #[link_name = "llvm.nvvm.redux.sync.and"]
    pub fn reduce_and(value: u32, mask: u32) -> u32;
    #[cfg(target_feature = "sm_80")]
    #[link_name = "llvm.nvvm.redux.sync.or"]
    pub fn reduce_or(value: u32, mask: u32) -> u32;
    #[cfg(target_feature = "sm_80")]
    #[link_name = "llvm.nvvm.redux.sync.xor"]
    pub fn reduce_xor(value: u32, mask: u32) -> u32;

    #[link_name = "llvm.nvvm.prmt"]
    pub safe fn permute_bytes(a: u32, b: u32, selector: u32) -> u32;
    #[link_name = "llvm.nvvm.isspacep.global"]
    pub fn is_global(pointer: *const u8) -> bool;
    #[link_name = "llvm.trap"]
    pub fn trap() -> !;
}
