//! The device programming model for kernels written in Rust.
//!
//! The names and the shape are those of Rust-CUDA's crate of the same name; the implementation is
//! this project's own, over rustc's NVPTX backend. One kernel source serves two targets: compiled
//! for `nvptx64-nvidia-cuda`, everything here is a thin inline wrapper around an instruction;
//! compiled for the host, it is the emulator, which runs the same source and checks it.
//!
//! | module | contents |
//! |---|---|
//! | [`thread`] | indices and the block barrier |
//! | [`warp`] | shuffle, vote, match, reduce, the warp barrier |
//! | [`shared`], [`shared_array!`] | shared memory by raw pointers |
//! | [`atomic`] | atomic floats, and atomic operations on raw pointers, by scope |
//! | [`float`], [`FloatExt`] | functions of floating-point numbers, by the feature `float` |
//! | `f16`, `bf16` | numbers of 16 bits and their conversions, by the feature `half` |
//! | [`io`] | `println!`, and assertions with a message |
//! | [`ext`] | this project's own: accessors of memory, fences, lanes, hints |
//!
//! Kernels reach memory through accessor types, or by raw pointers and slices. On the device an
//! accessor is one pointer and costs nothing; in the emulator it knows its allocation and checks
//! every access. Accesses by pointers are checked in crates that are compiled for it, by the
//! feature `instrumented` and the compiler's wrapper that `docs/EMULATOR.md` describes.
#![cfg_attr(target_os = "cuda", no_std, feature(asm_experimental_arch, link_llvm_intrinsics))]
#![cfg_attr(target_os = "cuda", allow(internal_features))]

#[macro_use]
mod twins;
#[cfg(target_os = "cuda")]
#[macro_use]
mod instructions;

pub mod atomic;
mod atomic_number;
mod atomic_values;
#[cfg(target_os = "cuda")]
mod device;
#[cfg(not(target_os = "cuda"))]
pub mod emu;
pub mod ext;
#[cfg(feature = "float")]
pub mod float;
#[cfg(feature = "float")]
mod float_ext;
pub mod io;
pub mod shared;
mod shared_array;
pub mod thread;
pub mod warp;
mod warp_values;

pub use cuda_std_macros::{address_space, gpu_only, kernel, launch_bounds};
#[cfg(feature = "float")]
pub use float::GpuFloat;
#[cfg(feature = "float")]
pub use float_ext::FloatExt;
#[cfg(feature = "glam")]
pub use glam;
#[cfg(feature = "half")]
pub use half::{self, bf16, f16};
#[cfg(not(target_os = "cuda"))]
pub use io::{assert_eq, assert_ne, print, println};

/// The names that a kernel file imports.
pub mod prelude {
    #[cfg(feature = "half")]
    pub use crate::f16;
    #[cfg(feature = "float")]
    pub use crate::float::GpuFloat;
    pub use crate::{address_space, kernel, launch_bounds, shared_array, thread, warp};
    #[cfg(target_os = "cuda")]
    pub use crate::{print, println};
}
