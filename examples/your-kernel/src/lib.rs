//! A kernel: compiled for the device by `cuda_builder`, and for the host against the emulator.

use cuda_std::prelude::*;

/// Threads of a block.
pub const THREADS: u32 = 256;

/// Writes `factor * input[i] + i`, an element a thread.
///
/// # Safety
/// `output` is to as many elements as `input` has, apart from them.
#[kernel]
#[launch_bounds(256)]
pub unsafe fn scale(input: &[u32], output: *mut u32, factor: u32) {
    let i = thread::index_1d() as usize;
    if i < input.len() {
        // SAFETY: the contract; i is an index of both.
        unsafe { *output.add(i) = factor.wrapping_mul(input[i]).wrapping_add(i as u32) };
    }
}
