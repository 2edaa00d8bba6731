//! How threads share elements out among each other.

use cuda_std::{ext::*, prelude::*};

/// This thread's number in the grid, and how many threads that has.
#[inline(always)]
pub fn grid() -> (usize, usize) {
    let threads = thread::block_dim_x() as usize;
    let first = thread::block_idx_x() as usize * threads + thread::thread_idx_x() as usize;
    (first, thread::grid_dim_x() as usize * threads)
}

/// A thread's elements where each warp has equally many rows of 32, but for the last ones:
/// `first` and every 32nd after it, as far as there are any `left` from there on.
#[derive(Clone, Copy)]
pub struct Share {
    pub first: u32,
    left: u32,
}

impl Share {
    /// The share of `thread`, one of `threads`, in `count` elements.
    #[inline(always)]
    pub fn of(thread: u32, threads: u32, count: u32) -> Self {
        let elements = 32 * count.div_ceil(threads);
        let begin = thread / 32 * elements;
        let first = begin + thread % 32;
        Share { first, left: count.min(begin + elements).saturating_sub(first) }
    }

    #[inline(always)]
    pub fn has(self, i: usize) -> bool {
        32 * (i as u32) < self.left
    }

    /// Calls `act` with the numbers of the elements, of at most `ITEMS`.
    #[inline(always)]
    pub fn each<const ITEMS: usize>(self, mut act: impl FnMut(usize)) {
        for i in 0..ITEMS {
            if self.has(i) {
                act(i);
            }
        }
    }
}
