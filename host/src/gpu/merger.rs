//! Merges sorted runs pairwise on the device, along merge path.

use std::ops::Range;

use cuda_std::ext::memory::Global;
use cust::memory::{AsyncCopyDestination, DeviceSlice};
use cust::stream::Stream;
use gpu_kernels::merge::Merge;

use super::checks::address;
use super::key::magnitude;
use super::module::Kernel;
use super::stream::wait_for;
use super::{Device, GpuKey, Order, dispatch};
use crate::error::{Error, failed};

/// Merges runs of `chunk` keys (the last may be shorter), which are contiguous in `keys`, pair by
/// pair until one is left. Run `i` is read after the work that is now on `streams[i]`. The merge of
/// two runs goes onto the stream of the first, so pairs merge at the same time. Returns true if the
/// result is in `keys`, false if it is in `other`; it is ready when `streams[0]` has run.
///
/// Each of the `log2(runs)` rounds reads and writes every key once.
///
/// # Errors
/// More keys in several runs than [`check_count`] allows; kernels that do not load; whatever the
/// driver reports.
///
/// # Panics
/// With fewer streams than runs.
///
/// # Safety
/// `keys` and `other` have one length and do not overlap; only work on the streams uses them.
pub unsafe fn merge_runs<K: GpuKey>(
    device: &Device,
    keys: &DeviceSlice<K>,
    other: &DeviceSlice<K>,
    chunk: usize,
    streams: &[Stream],
) -> Result<bool, Error> {
    let n = keys.len();
    if chunk < n {
        check_count(n)?;
    }
    device.enter()?;
    let kernel = dispatch::merger::<K::Word>(device, false)?;
    let order_mask = Order::ascending().order_mask::<K>();
    let mut length = chunk;
    let mut stride = 1;
    let mut in_keys = true;
    while length < n {
        let (from, to) = if in_keys { (keys, other) } else { (other, keys) };
        for (pair, start) in (0..n).step_by(2 * length).enumerate() {
            let middle = (start + length).min(n);
            let end = (start + 2 * length).min(n);
            let stream = &streams[pair * 2 * stride];
            if middle == end {
                // The odd run out moves along, so that all are in one buffer.
                let mut target = to.index(start..end);
                // SAFETY: the caller's contract: both live, apart, ordered by the stream.
                unsafe { target.async_copy_from(&from.index(start..end), stream) }
                    .map_err(failed("moving a run"))?;
                continue;
            }
            wait_for(stream, &streams[pair * 2 * stride + stride])?;
            let runs = [start..middle, middle..end].map(|range| Run::of(&from.index(range)));
            let output = Run::of(&to.index(start..end));
            // SAFETY: as above; the output is as long as both runs.
            unsafe { merge::<K>(kernel, order_mask, runs, output, 0..output.len, stream)? };
        }
        in_keys = !in_keys;
        length *= 2;
        stride *= 2;
    }
    Ok(in_keys)
}

/// Checks that `n` keys can be merged: the kernel counts them in 32 bits.
///
/// # Errors
/// More keys than that.
pub fn check_count(n: usize) -> Result<(), Error> {
    let limit = u64::from(u32::MAX);
    if n as u64 > limit {
        return Err(Error::TooManyToMerge { n, limit });
    }
    Ok(())
}

/// Addresses of keys and of their values, if they have any.
#[derive(Clone, Copy, Debug)]
pub(super) struct Run {
    pub keys: u64,
    pub values: u64,
    pub len: usize,
}

impl Run {
    /// Keys alone.
    pub fn of<K: GpuKey>(keys: &DeviceSlice<K>) -> Self {
        Run { keys: address(keys), values: 0, len: keys.len() }
    }

    /// The `len` elements of it from one on.
    pub fn part<K: GpuKey>(self, begin: usize, len: usize) -> Self {
        Run {
            keys: self.keys + (begin * size_of::<K>()) as u64,
            values: self.values + (begin * size_of::<u32>()) as u64,
            len,
        }
    }

    /// Its last `len` keys alone.
    pub fn last<K: GpuKey>(self, len: usize) -> Self {
        let skipped = ((self.len - len) * size_of::<K>()) as u64;
        Run { keys: self.keys.wrapping_add(skipped), len, ..self }
    }

    /// Of keys alone, the run of `len` that has `before` keys before these.
    pub fn before<K: GpuKey>(self, before: usize, len: usize) -> Self {
        let bytes = (before * size_of::<K>()) as u64;
        Run { keys: self.keys.wrapping_sub(bytes), len, ..self }
    }
}

/// Merges two runs into `output`, of which only the keys of `range` are written, by the kernel
/// that takes them with values or without.
///
/// # Safety
/// When the stream comes here, the first `range.end` keys of each run are there and in the order
/// of `order_mask`. `output` is as long as both and apart from them; together they are no more
/// than [`check_count`] allows.
pub(super) unsafe fn merge<K: GpuKey>(
    kernel: Kernel<Merge<K::Word>>,
    order_mask: K::Word,
    [a, b]: [Run; 2],
    output: Run,
    range: Range<usize>,
    stream: &Stream,
) -> Result<(), Error> {
    let merge = Merge {
        a: Global::on_device(a.keys),
        a_len: a.len as u32,
        b: Global::on_device(b.keys),
        b_len: b.len as u32,
        output: Global::on_device(output.keys),
        first: range.start as u32,
        end: range.end as u32,
        a_values: Global::on_device(a.values),
        b_values: Global::on_device(b.values),
        output_values: Global::on_device(output.values),
        order_mask,
        magnitude: magnitude::<K>(),
    };
    let blocks = kernel.blocks(range.len() as u64) as u32;
    // SAFETY: the caller's contract.
    unsafe { kernel.launch(stream, blocks, &merge) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn more_keys_than_are_counted_are_refused() {
        assert!(check_count(u32::MAX as usize).is_ok());
        let error = check_count(1 << 32).unwrap_err().to_string();
        assert!(error.contains("4294967296") && error.contains("level 1"), "{error}");
    }
}
