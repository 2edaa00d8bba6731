//! Kernels that move or make elements one by one, beside the sorts.
//!
//! Values wider than 4 bytes do not travel through the passes: an index does, and at the end each
//! value is fetched once from where its index says. For 16-byte values beside 4-byte keys that is
//! 52 bytes of traffic a value in place of 128.
//!
//! Numeric order, in which -0 equals +0 and every NaN comes last, is not an order of bits:
//! different bits are equal in it. It is sorted by a code of each key, with the index beside it,
//! and then the keys are gathered.
//!
//! Segments that no kernel of their own takes are sorted together: all keys with their indices,
//! then the indices by the number of the segment that each is in, and keys and values are
//! gathered (`host/src/gpu/segments/whole.rs`).

use crate::grid::each;
use crate::key::Key;
use cuda_std::ext::*;

/// The arguments of a gather: `output[i]` becomes `input[index[i]]`, for all `i` below `n`.
#[derive(Clone, Copy)]
pub struct Gather<T> {
    pub input: Global<T>,
    pub index: Global<u32>,
    pub output: Global<T>,
    pub n: u64,
}

/// The kernel that gathers. Any grid.
#[inline(always)]
pub unsafe fn gather<T: Word>(arg: Gather<T>) {
    each(arg.n, |i| {
        arg.output.set(i, arg.input.get(arg.index.get(i) as usize));
    });
}

/// The arguments of coding: `codes[i]` becomes the code of `keys[i]`, for all `i` below `n`, of
/// floating-point numbers whose infinity has the bits `infinity`.
#[derive(Clone, Copy)]
pub struct NumericCodes<K> {
    pub keys: Global<K>,
    pub codes: Global<K>,
    pub n: u64,
    pub infinity: K,
}

/// The kernel that codes. With the sign bit flipped the codes ascend with the numbers. Any grid.
#[inline(always)]
pub unsafe fn numeric_codes<K: Key>(arg: NumericCodes<K>) {
    let magnitude = K::last(K::default()) >> 1;
    each(arg.n, |i| {
        let key = arg.keys.get(i);
        let size = key & magnitude;
        let code = if size > arg.infinity {
            magnitude
        } else if size == K::default() {
            size
        } else {
            key.encode()
        };
        arg.codes.set(i, code);
    });
}

/// The arguments of numbering the `n` elements from the first of `count + 1` offsets to the last,
/// which do not decrease: `numbers[i]` becomes the number of the segment that element `i` is in;
/// or, unless `within` is 0, less by the elements before that segment.
#[derive(Clone, Copy)]
pub struct SegmentNumbers {
    pub offsets: Global<u32>,
    pub count: u32,
    pub n: u32,
    pub numbers: Global<u32>,
    pub within: u32,
}

/// The kernel that numbers. Any grid.
#[inline(always)]
pub unsafe fn number_segments(arg: SegmentNumbers) {
    let first = arg.offsets.get(0);
    each(arg.n as u64, |i| {
        // The last segment that begins there or before: those that begin with it are empty.
        let (mut segment, mut end) = (0, arg.count as usize);
        let mut begin = first;
        while end - segment > 1 {
            let middle = segment + (end - segment) / 2;
            let offset = arg.offsets.get(middle);
            if offset - first <= i as u32 {
                (segment, begin) = (middle, offset);
            } else {
                end = middle;
            }
        }
        let number = match arg.within {
            0 => segment as u32,
            _ => arg.numbers.get(i) - (begin - first),
        };
        arg.numbers.set(i, number);
    });
}
