//! One kernel, in a crate of its own: compiled for the device by `cuda_builder`, and for the
//! host against the emulator.
#![cfg_attr(target_os = "cuda", no_std, feature(abi_ptx, asm_experimental_arch))]

use cuda_std::{ext::*, prelude::*};

/// Threads of a block.
pub const THREADS: u32 = 256;

/// Writes `factor * input[i] + i`, an element a thread.
///
/// # Safety
/// Both arrays have `n` elements and are apart.
#[kernel]
#[launch_bounds(256)]
pub unsafe fn scale(input: Global<u32>, output: Global<u32>, n: u32, factor: u32) {
    let i = thread::block_idx_x() * THREADS + thread::thread_idx_x();
    if i < n {
        // SAFETY: the contract; i is below n.
        unsafe {
            let scaled = factor.wrapping_mul(input.get(i as usize));
            output.set(i as usize, scaled.wrapping_add(i));
        }
    }
}
