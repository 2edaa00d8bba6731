//! A thread's indices, and the barriers of its block.

#[cfg(target_os = "cuda")]
use crate::device::intrinsics as nv;
use crate::ext::{Scope, fence};
#[cfg(target_os = "cuda")]
use core::arch::asm;
#[cfg(feature = "glam")]
pub use glam::{UVec2, UVec3};
#[cfg(not(feature = "glam"))]
pub use vectors::{UVec2, UVec3};
#[cfg(not(target_os = "cuda"))]
use {
    crate::emu::launch::{Launch, current},
    crate::emu::location::Line,
};

/// Defines an index or a size in three dimensions and as a vector.
macro_rules! in_three_dimensions {
    ($($what:literal, $vector:ident, $emulated:expr, $x:ident, $y:ident, $z:ident;)*) => {
        twins! { $(
            #[doc = concat!($what, ", first dimension.")]
            fn $x() -> u32 {
                nv::$x();
                current(|launch| $emulated(launch).x)
            }

            #[doc = concat!($what, ", second dimension.")]
            fn $y() -> u32 {
                nv::$y();
                current(|launch| $emulated(launch).y)
            }

            #[doc = concat!($what, ", third dimension.")]
            fn $z() -> u32 {
                nv::$z();
                current(|launch| $emulated(launch).z)
            }
        )* }
        $(
            #[doc = concat!($what, ".")]
            #[inline(always)]
            #[cfg_attr(not(target_os = "cuda"), track_caller)]
            pub fn $vector() -> UVec3 {
                UVec3::new($x(), $y(), $z())
            }
        )*
    };
}

in_three_dimensions! {
    "Index of this thread in its block", thread_idx, Launch::thread_index, thread_idx_x, thread_idx_y, thread_idx_z;
    "Threads in a block", block_dim, |launch: &Launch| launch.launched.block_dim, block_dim_x, block_dim_y, block_dim_z;
    "Index of this block in the grid", block_idx, Launch::block_index, block_idx_x, block_idx_y, block_idx_z;
    "Blocks in the grid", grid_dim, |launch: &Launch| launch.launched.grid_dim, grid_dim_x, grid_dim_y, grid_dim_z;
}

/// Index of this thread in a grid of one dimension.
#[inline(always)]
pub fn index_1d() -> u32 {
    thread_idx_x() + block_idx_x() * block_dim_x()
}

/// Index of this thread in a grid of two dimensions.
#[inline(always)]
pub fn index_2d() -> UVec2 {
    UVec2::new(index_1d(), thread_idx_y() + block_idx_y() * block_dim_y())
}

/// Index of this thread in a grid of three dimensions.
#[inline(always)]
pub fn index_3d() -> UVec3 {
    let UVec2 { x, y } = index_2d();
    UVec3::new(x, y, thread_idx_z() + block_idx_z() * block_dim_z())
}

/// Number of this thread among all of the grid, whose blocks are counted one after the other, the
/// first dimension fastest.
#[inline(always)]
pub fn index() -> u32 {
    let (grid, block) = (grid_dim(), block_dim());
    let linear = |index: UVec3, size: UVec3| index.x + size.x * (index.y + size.y * index.z);
    linear(block_idx(), grid) * (block.x * block.y * block.z) + linear(thread_idx(), block)
}

/// Returns true in the first thread of the first block, and in no other.
#[inline(always)]
pub fn first() -> bool {
    let zero = UVec3::new(0, 0, 0);
    block_idx() == zero && thread_idx() == zero
}

/// Threads in a warp.
#[inline(always)]
pub fn warp_size() -> u32 {
    32
}

/// Makes this thread's accesses before it visible to the device before those after it.
#[inline(always)]
pub fn device_fence() {
    fence(Scope::Device);
}

/// [`device_fence`].
#[inline(always)]
pub fn grid_fence() {
    device_fence();
}

/// [`device_fence`], visible to the host and other devices too, of which the emulator has none.
#[inline(always)]
pub fn system_fence() {
    fence(Scope::System);
}

/// A truth value, as Rust or as C has it.
pub trait Predicate: Copy {
    /// Returns true if it holds.
    fn holds(self) -> bool;
    /// The value of this type for `holds`.
    fn of(holds: bool) -> Self;
}

impl Predicate for bool {
    #[inline(always)]
    fn holds(self) -> bool {
        self
    }
    #[inline(always)]
    fn of(holds: bool) -> Self {
        holds
    }
}

impl Predicate for u32 {
    #[inline(always)]
    fn holds(self) -> bool {
        self != 0
    }
    #[inline(always)]
    fn of(holds: bool) -> Self {
        holds as u32
    }
}

twins! {
    /// Waits until every thread of the block is here, and makes each thread's writes
    /// to shared and global memory before it visible to all of them after it.
    fn sync_threads() {
        nv::sync_threads(0);
        { sync_threads_count(false); }
    }

    /// [`sync_threads`]; holds if `predicate` held in any thread of the block.
    fn sync_threads_or<P: Predicate>(predicate: P) -> P {
        P::of(nv::sync_threads_or(predicate.holds() as u32) != 0);
        P::of(sync_threads_count(predicate) != 0)
    }

    /// [`sync_threads`]; holds if `predicate` held in every thread of the block.
    fn sync_threads_and<P: Predicate>(predicate: P) -> P {
        P::of(nv::sync_threads_and(predicate.holds() as u32) != 0);
        P::of(sync_threads_count(!predicate.holds()) == 0)
    }

    /// [`sync_threads`]; the number of threads of the block in which `predicate` held.
    fn sync_threads_count<P: Predicate>(predicate: P) -> u32 {
        nv::sync_threads_count(predicate.holds() as u32);
        {
            let at = Line::of_kernel();
            current(|launch| launch.barrier(predicate.holds(), at))
        }
    }

    /// Suspends this thread for about that long.
    fn nanosleep(nanos: u32) {
        // SAFETY: it only waits.
        unsafe { asm!("nanosleep.u32 {};", in(reg32) nanos, options(nomem, nostack)) };
        {
            _ = nanos;
            let at = Line::of_kernel();
            current(|launch| launch.yield_now(at))
        }
    }
}

#[cfg(not(feature = "glam"))]
mod vectors {
    /// Two indices.
    #[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
    #[allow(missing_docs)]
    pub struct UVec2 {
        pub x: u32,
        pub y: u32,
    }

    impl UVec2 {
        /// The vector of these.
        #[inline(always)]
        pub fn new(x: u32, y: u32) -> Self {
            Self { x, y }
        }
    }

    /// Three indices.
    #[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
    #[allow(missing_docs)]
    pub struct UVec3 {
        pub x: u32,
        pub y: u32,
        pub z: u32,
    }

    impl UVec3 {
        /// The vector of these.
        #[inline(always)]
        pub fn new(x: u32, y: u32, z: u32) -> Self {
            Self { x, y, z }
        }
    }
}
