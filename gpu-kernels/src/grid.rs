//! How the threads of a grid share an array out.

use cuda_std::{ext::*, prelude::*};

/// This thread's number in the grid, and how many threads that has.
#[inline(always)]
pub(crate) fn grid() -> (usize, usize) {
    let threads = thread::block_dim_x() as usize;
    let first = thread::block_idx_x() as usize * threads + thread::thread_idx_x() as usize;
    (first, thread::grid_dim_x() as usize * threads)
}

/// Calls `act` with each index below `n`, shared out over all threads.
#[inline(always)]
pub(crate) fn each(n: u64, act: impl Fn(usize)) {
    let step = thread::grid_dim_x() as u64 * thread::block_dim_x() as u64;
    let mut i =
        thread::block_idx_x() as u64 * thread::block_dim_x() as u64 + thread::thread_idx_x() as u64;
    while i < n {
        act(i as usize);
        i += step;
    }
}

/// Elements before the first whole vector of an array, and how many vectors follow.
#[inline(always)]
pub(crate) fn vectors<T: Word>(array: Global<T>, n: usize) -> (usize, usize) {
    let head = (array.address().wrapping_neg() % 16 / size_of::<T>()).min(n);
    (head, (n - head) / (16 / size_of::<T>()))
}
