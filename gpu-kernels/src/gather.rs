//! What moves or makes elements one by one, beside the sorts.
//!
//! Values wider than 4 bytes do not travel through the passes: an index does, and
//! at the end each value is fetched once from where its index says. For 16-byte
//! values beside 4-byte keys that is 52 bytes of traffic a value in place of 128.
//!
//! Numeric order, in which -0 equals +0 and every NaN comes last, is not an order
//! of bits: different bits are equal in it. It is sorted by a code of each key, with
//! the index beside it, and then the keys are gathered.

use crate::key::Key;
use cuda_std::prelude::*;

/// The kernel that sets `output[i]` to `input[index[i]]`, for all `i` below `n`.
/// Any grid.
#[inline(always)]
pub unsafe fn gather<T: Word>(input: Global<T>, index: Global<u32>, output: Global<T>, n: u64) {
    each(n, |i| unsafe {
        output.set(i, input.get(index.get(i) as usize));
    });
}

/// The kernel that sets `codes[i]` to the code of `keys[i]`, for all `i` below `n`:
/// floating-point numbers whose infinity has the bits `infinity`. With the sign bit
/// flipped the codes ascend with the numbers. Any grid.
#[inline(always)]
pub unsafe fn numeric_codes<K: Key>(keys: Global<K>, codes: Global<K>, n: u64, infinity: K) {
    let magnitude = K::last(K::default()) >> 1;
    each(n, |i| unsafe {
        let key = keys.get(i);
        let size = key & magnitude;
        let code = if size > infinity {
            magnitude
        } else if size == K::default() {
            size
        } else {
            key.encode()
        };
        codes.set(i, code);
    });
}

#[inline(always)]
fn each(n: u64, act: impl Fn(usize)) {
    let step = thread::grid_dim_x() as u64 * thread::block_dim_x() as u64;
    let mut i =
        thread::block_idx_x() as u64 * thread::block_dim_x() as u64 + thread::thread_idx_x() as u64;
    while i < n {
        act(i as usize);
        i += step;
    }
}
