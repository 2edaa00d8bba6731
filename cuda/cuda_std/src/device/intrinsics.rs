//! The LLVM intrinsics behind the public functions. They are convergent, which is
//! why they are not `asm!`.

macro_rules! intrinsics {
    ($($link_name:literal: fn $name:ident($($argument:ident: $type:ty),*) $(-> $result:ty)?;)*) => {
        #[allow(dead_code, improper_ctypes)]
        // SAFETY: the signatures are LLVM's.
        unsafe extern "C" { $(
            #[link_name = $link_name]
            pub(crate) safe fn $name($($argument: $type),*) $(-> $result)?;
        )* }
    };
}

intrinsics! {
    "llvm.nvvm.read.ptx.sreg.tid.x": fn thread_idx_x() -> u32;
    "llvm.nvvm.read.ptx.sreg.ntid.x": fn block_dim_x() -> u32;
    "llvm.nvvm.read.ptx.sreg.ctaid.x": fn block_idx_x() -> u32;
    "llvm.nvvm.read.ptx.sreg.nctaid.x": fn grid_dim_x() -> u32;
    "llvm.nvvm.read.ptx.sreg.tid.y": fn thread_idx_y() -> u32;
    "llvm.nvvm.read.ptx.sreg.ntid.y": fn block_dim_y() -> u32;
    "llvm.nvvm.read.ptx.sreg.ctaid.y": fn block_idx_y() -> u32;
    "llvm.nvvm.read.ptx.sreg.nctaid.y": fn grid_dim_y() -> u32;
    "llvm.nvvm.read.ptx.sreg.tid.z": fn thread_idx_z() -> u32;
    "llvm.nvvm.read.ptx.sreg.ntid.z": fn block_dim_z() -> u32;
    "llvm.nvvm.read.ptx.sreg.ctaid.z": fn block_idx_z() -> u32;
    "llvm.nvvm.read.ptx.sreg.nctaid.z": fn grid_dim_z() -> u32;
    "llvm.nvvm.read.ptx.sreg.laneid": fn lane_id() -> u32;
    "llvm.nvvm.barrier.cta.sync.aligned.all": fn sync_threads(id: u32);
    "llvm.nvvm.barrier0.or": fn sync_threads_or(predicate: u32) -> u32;
    "llvm.nvvm.barrier0.and": fn sync_threads_and(predicate: u32) -> u32;
    "llvm.nvvm.barrier0.popc": fn sync_threads_count(predicate: u32) -> u32;
    "llvm.nvvm.bar.warp.sync": fn sync_warp(mask: u32);
    "llvm.nvvm.shfl.sync.idx.i32": fn shuffle_idx(mask: u32, value: u32, lane: u32, clamp: u32) -> u32;
    "llvm.nvvm.shfl.sync.up.i32": fn shuffle_up(mask: u32, value: u32, delta: u32, clamp: u32) -> u32;
    "llvm.nvvm.shfl.sync.down.i32": fn shuffle_down(mask: u32, value: u32, delta: u32, clamp: u32) -> u32;
    "llvm.nvvm.shfl.sync.bfly.i32": fn shuffle_xor(mask: u32, value: u32, lane_mask: u32, clamp: u32) -> u32;
    "llvm.nvvm.vote.ballot.sync": fn ballot(mask: u32, predicate: bool) -> u32;
    "llvm.nvvm.vote.any.sync": fn any(mask: u32, predicate: bool) -> bool;
    "llvm.nvvm.vote.all.sync": fn all(mask: u32, predicate: bool) -> bool;
    "llvm.nvvm.match.any.sync.i32": fn match_any(mask: u32, value: u32) -> u32;
    "llvm.nvvm.redux.sync.add": fn reduce_add(value: u32, mask: u32) -> u32;
    "llvm.nvvm.redux.sync.umin": fn reduce_umin(value: u32, mask: u32) -> u32;
    "llvm.nvvm.redux.sync.umax": fn reduce_umax(value: u32, mask: u32) -> u32;
    "llvm.nvvm.redux.sync.and": fn reduce_and(value: u32, mask: u32) -> u32;
    "llvm.nvvm.redux.sync.or": fn reduce_or(value: u32, mask: u32) -> u32;
    "llvm.nvvm.redux.sync.xor": fn reduce_xor(value: u32, mask: u32) -> u32;
    "llvm.nvvm.prmt": fn permute_bytes(a: u32, b: u32, selector: u32) -> u32;
    "llvm.nvvm.activemask": fn active_mask() -> u32;
    "llvm.nvvm.match.any.sync.i64": fn match_any_u64(mask: u32, value: u64) -> u32;
    "llvm.nvvm.isspacep.shared": fn is_shared(pointer: *const u8) -> bool;
    "llvm.nvvm.isspacep.global": fn is_global(pointer: *const u8) -> bool;
    "llvm.trap": fn trap() -> !;
}
