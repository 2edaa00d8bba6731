//! Sorts of segments by sorts of whole arrays, for keys, payloads and orders that have no kernels
//! of segments.
//!
//! All keys are sorted at once, each with its index. These indices are sorted by the number of the
//! segment that each is in: stably, so that those of a segment stay in the order of their keys.
//! Then keys and values are fetched by them.

use std::ops::Range;
use std::sync::Arc;

use cuda_std::ext::memory::Global;
use cust::stream::Stream;
use gpu_kernels::gather::SegmentNumbers;
use gpu_kernels::segments;

use crate::error::Error;
use crate::gpu::Device;
use crate::gpu::dispatch;
use crate::gpu::key::{GpuKey, Order};
use crate::gpu::launch::{Gatherer, elementwise};
use crate::gpu::module::Kernel;
use crate::gpu::run::Arguments;
use crate::gpu::sort::{Payload, Sort};
use crate::gpu::workspace::{Layout, Parts, Workspace};

/// A sort of segments by sorts of whole arrays.
pub(super) struct WholeSorts<K: GpuKey> {
    device: Arc<Device>,
    payload: Payload,
    by_key: Sort<K>,
    by_segment: Sort<u32>,
    numbers: Kernel<SegmentNumbers>,
    gather_numbers: Gatherer,
    gather_keys: Gatherer,
    gather_values: Option<Gatherer>,
}

impl<K: GpuKey> WholeSorts<K> {
    pub fn new(
        device: Arc<Device>,
        (n, count): (usize, usize),
        payload: Payload,
        order: Order,
    ) -> Result<Self, Error> {
        let numbers = Order::ascending().bits(0..bits(count));
        Ok(WholeSorts {
            by_key: Sort::new(device.clone(), n, Payload::Index, order)?,
            by_segment: Sort::new(device.clone(), n, Payload::Value(4), numbers)?,
            numbers: dispatch::segment_numbers(&device)?,
            gather_numbers: Gatherer::of::<u32>(&device)?,
            gather_keys: Gatherer::of::<K::Word>(&device)?,
            gather_values: match payload {
                Payload::Value(width) => Some(Gatherer::of_values(&device, width)?),
                _ => None,
            },
            device,
            payload,
        })
    }

    /// Behind what either sort takes: indices, numbers of segments in the order of the array and
    /// in that of keys, and keys.
    fn layout(&self) -> Layout {
        let n = self.by_key.capacity();
        let value = self.gather_values.map_or(0, |gatherer| gatherer.width);
        let sorts = self.by_key.workspace_bytes().max(self.by_segment.workspace_bytes());
        let parts = Parts {
            // Before there are indices, the control words of the check.
            index: 4 * n.max(segments::words(n)) as u64,
            gathered: value.max(4) * n as u64,
            values: 4 * n as u64,
            keys: (size_of::<K>() * n) as u64,
            ..Parts::default()
        };
        Layout::of(sorts, parts)
    }

    pub fn workspace_bytes(&self) -> u64 {
        self.layout().end
    }

    /// Where the control words of the check begin in a workspace.
    pub fn control(&self) -> u64 {
        self.layout().at.index
    }

    /// Sorts the segments, all of which are in `range` of `n` keys.
    ///
    /// # Safety
    /// The addresses are of live memory of `n` elements each, input and output of each kind one
    /// or apart; there are `count` segments, whose offsets do not decrease and are from the first
    /// to the last those of `range`; the workspace is as large as is asked for; and no other work
    /// uses any of it until the stream has run.
    pub unsafe fn run(
        &self,
        range: Range<u64>,
        (offsets, count): (u64, u32),
        Arguments { keys, values, .. }: Arguments,
        workspace: &mut Workspace,
        stream: &Stream,
    ) -> Result<(), Error> {
        let n = range.end - range.start;
        if n == 0 {
            return Ok(());
        }
        let within = |(input, output): (u64, u64), width: u64| {
            (input + range.start * width, output + range.start * width)
        };
        let keys = within(keys, size_of::<K>() as u64);
        let base = workspace.memory.as_device_ptr().as_raw();
        let at = self.layout().at;
        let (in_order, by_key, sorted) = (base + at.gathered, base + at.values, base + at.keys);
        let index = match (self.payload, values) {
            (Payload::Index, Some(values)) => within(values, 4).1,
            _ => base + at.index,
        };
        let arguments = |keys| Arguments { keys, values: Some((index, index)), second: None };
        let number = |numbers: u64, within: u32| {
            let arguments = SegmentNumbers {
                offsets: Global::on_device(offsets),
                count,
                n: n as u32,
                numbers: Global::on_device(numbers),
                within,
            };
            // SAFETY: there are `n` numbers, and the caller's contract for the offsets.
            unsafe { self.numbers.launch(stream, elementwise(&self.numbers, n), &arguments) }
        };
        // SAFETY: the parts of the workspace are apart from each other and from the caller's
        // memory, whose contract covers the rest; indices are below `n`.
        unsafe {
            self.by_key.run(n, arguments((keys.0, sorted)), workspace, stream)?;
            number(in_order, 0)?;
            self.gather_numbers.gather(&self.device, (in_order, index, by_key), 0, n, stream)?;
            self.by_segment.run(n, arguments((by_key, by_key)), workspace, stream)?;
            self.gather_keys.gather(&self.device, (keys.0, index, keys.1), sorted, n, stream)?;
            if let (Some(gatherer), Some(values)) = (self.gather_values, values) {
                let (from, to) = within(values, gatherer.width);
                gatherer.gather(&self.device, (from, index, to), in_order, n, stream)?;
            }
        }
        match self.payload {
            Payload::Index => number(index, 1),
            _ => Ok(()),
        }
    }
}

/// Bits of the numbers of so many segments, one at the least.
fn bits(count: usize) -> u32 {
    (usize::BITS - count.saturating_sub(1).leading_zeros()).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_segments_have_no_more_bits_than_the_last() {
        let counts = [0, 1, 2, 3, 256, 257, u32::MAX as usize];
        assert_eq!(counts.map(bits), [1, 1, 1, 2, 8, 9, 32]);
    }
}
