//! Sorts of many segments of one array, each by itself.

use std::sync::Arc;

use cuda_std::ext::memory::Global;
use cust::memory::{CopyDestination, DeviceSlice};
use cust::stream::Stream;
use gpu_kernels::control;
use gpu_kernels::policy::segments::{BLOCKS, MOST, SHORT};
use gpu_kernels::segments::{self, Classes, FIRST_LIST, Segments, WRONG, list_begin};

use super::checks::address;
use super::dispatch::SegmentKernels;
use super::key::{GpuKey, Order};
use super::sort::{Payload, Sort};
use super::workspace::{Cleared, Workspace};
use super::{Device, stream};
use crate::error::{Error, failed};

/// Most keys of a segment that the launches of [`SegmentSort::enqueue`] sort.
pub const LONGEST_IN_A_BLOCK: usize = MOST[BLOCKS - 1];

/// A sort of many segments, ready to be run any number of times.
///
/// Segment `i` is all keys from `offsets[i]` up to `offsets[i + 1]`, and may be empty; keys
/// outside of all segments stay as they are. Keys of 4 or 8 bytes are sorted by all their bits,
/// floating-point ones in total order, where they lie.
///
/// Time: one read and one write of each key. A warp sorts up to 256 keys by a bitonic network, a
/// block up to [`LONGEST_IN_A_BLOCK`] by radix rounds in shared memory. Longer segments are
/// sorted one after the other, each as by a [`Sort`], for which the host waits.
pub struct SegmentSort<K: GpuKey> {
    device: Arc<Device>,
    n: usize,
    count: usize,
    order: Order,
    kernels: SegmentKernels<K::Word>,
}

impl<K: GpuKey> SegmentSort<K> {
    /// A sort of `count` segments of `n` keys on `device`.
    ///
    /// # Errors
    /// Keys of another width than 4 or 8 bytes; an order of some bits, or by value; more keys or
    /// segments than 32 bits count; kernels that do not load.
    pub fn new(device: Arc<Device>, n: usize, count: usize, order: Order) -> Result<Self, Error> {
        order.require_total(K::TYPE, "a sort of segments", "each segment by itself")?;
        let limit = u64::from(u32::MAX);
        if let Some(n) = [n, count].into_iter().find(|&n| n as u64 >= limit) {
            return Err(Error::TooMany { n, limit });
        }
        device.enter()?;
        let kernels = SegmentKernels::of(&device, K::TYPE.name)?;
        Ok(SegmentSort { device, n, count, order, kernels })
    }

    /// Bytes of GPU memory that a run needs beside its arguments: four for every 140 keys or so.
    pub fn workspace_bytes(&self) -> u64 {
        4 * segments::words(self.n) as u64
    }

    /// Allocates what a run needs.
    ///
    /// # Errors
    /// Too little GPU memory.
    pub fn workspace(&self) -> Result<Workspace, Error> {
        Workspace::allocate(self.n, self.workspace_bytes(), self.device.memory()?.0)
    }

    /// Puts on `stream` what checks the offsets and sorts all segments of up to
    /// [`LONGEST_IN_A_BLOCK`] keys. [`finish`](Self::finish) does the rest.
    ///
    /// # Errors
    /// Other numbers of keys or offsets than prepared for; too small a workspace. Nothing is
    /// launched then.
    pub fn enqueue(
        &self,
        keys: &mut DeviceSlice<K>,
        offsets: &DeviceSlice<u32>,
        workspace: &mut Workspace,
        stream: &Stream,
    ) -> Result<(), Error> {
        if keys.len() != self.n {
            return Err(Error::Capacity { n: keys.len(), capacity: self.n });
        }
        if offsets.len() != self.count + 1 {
            return Err(Error::OffsetCount { given: offsets.len(), segments: self.count });
        }
        let needed = self.workspace_bytes();
        if workspace.bytes() < needed {
            return Err(Error::Workspace { needed, given: workspace.bytes() });
        }
        if self.count == 0 {
            return Ok(());
        }
        self.device.enter()?;
        workspace.cleared = Cleared::Nothing;
        let base = workspace.memory.as_device_ptr().as_raw();
        let (offsets, control) = (Global::on_device(address(offsets)), Global::on_device(base));
        let (count, n) = (self.count as u32, self.n as u32);
        let SegmentKernels { classes, in_warps, lists } = &self.kernels;
        let mut arguments = Segments {
            keys: Global::on_device(address(keys)),
            offsets,
            count,
            n,
            control,
            order_mask: self.order.order_mask::<K>(),
            options: if K::TYPE.is_float() { control::ENCODE } else { 0 },
            list: 0,
        };
        // SAFETY: the slices and the workspace are as long as was checked, and borrowed until the
        // launches are on the stream, which orders them.
        unsafe {
            stream::fill(base, 0, 4 * FIRST_LIST as u64, stream)?;
            let blocks = classes.blocks(self.count as u64) as u32;
            classes.launch(stream, blocks, &Classes { offsets, count, n, control })?;
            let blocks = count.div_ceil(in_warps.shape().threads as u32);
            in_warps.launch_early(stream, blocks, &arguments)?;
            // The first kernel sees to all lists up to that of its own size.
            for ((kernel, held), list) in lists.iter().zip([0, SHORT, SHORT + 1]) {
                arguments.list = list as u32;
                let most = segments::list_words(list, self.n) as u32;
                if most > 0 {
                    kernel.launch_early(stream, most.min(*held), &arguments)?;
                }
            }
        }
        Ok(())
    }

    /// Waits for `stream`, which has what [`enqueue`](Self::enqueue) was last given the same
    /// arguments for, and sorts the segments that are longer.
    ///
    /// # Errors
    /// A segment that ends before it begins or behind the last key: then all keys are as they
    /// were. Failures that the driver reports.
    pub fn finish(
        &self,
        keys: &mut DeviceSlice<K>,
        offsets: &DeviceSlice<u32>,
        workspace: &Workspace,
        stream: &Stream,
    ) -> Result<(), Error> {
        stream.synchronize().map_err(failed("sorting segments"))?;
        if self.count == 0 {
            return Ok(());
        }
        let copied = failed("copying offsets from the GPU");
        let read = |begin: usize, count: usize| {
            let bytes = workspace.memory.index(4 * begin..4 * (begin + count));
            let mut words = vec![0; 4 * count];
            bytes.copy_to(&mut words).map_err(&copied)?;
            let word = |bytes: &[u8]| u32::from_ne_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]);
            Ok::<Vec<u32>, Error>(words.chunks(4).map(word).collect())
        };
        let head = read(0, FIRST_LIST)?;
        let left = head[segments::COUNTS + BLOCKS] as usize;
        if head[WRONG] == 0 && left == 0 {
            return Ok(());
        }
        let mut borders = vec![0; self.count + 1];
        offsets.copy_to(&mut borders).map_err(&copied)?;
        if head[WRONG] != 0 {
            return Err(wrong_offsets(&borders, self.n));
        }
        let range = |&segment: &u32| {
            let segment = segment as usize;
            borders[segment] as usize..borders[segment + 1] as usize
        };
        let list = read(list_begin(BLOCKS, self.n), left)?;
        let longest = list.iter().map(|segment| range(segment).len()).max();
        let sort = Sort::<K>::new(
            self.device.clone(),
            longest.unwrap_or_default(),
            Payload::None,
            self.order.clone(),
        )?;
        let mut beside = sort.workspace()?;
        for segment in &list {
            sort.keys_in_place(&mut keys.index(range(segment)), &mut beside, stream)?;
        }
        stream.synchronize().map_err(failed("sorting segments"))
    }
}

/// The error of the first segment that is none of `n` keys.
fn wrong_offsets(offsets: &[u32], n: usize) -> Error {
    let wrong = |pair: &&[u32]| pair[1] < pair[0] || pair[1] as usize > n;
    let mut pairs = offsets.windows(2);
    let index = pairs.position(|pair| wrong(&pair)).unwrap_or_default();
    Error::Offsets { index, begin: offsets[index], end: offsets[index + 1], n }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_segment_with_wrong_offsets_is_named() {
        for (offsets, expected) in [
            (&[0, 4, 3, 2][..], "segment 1 is 4..3 of 10 keys"),
            (&[0, 4, 11, 2], "segment 1 is 4..11 of 10 keys"),
            (&[11, 12], "segment 0 is 11..12 of 10 keys"),
        ] {
            let error = wrong_offsets(offsets, 10).to_string();
            assert!(error.starts_with(expected), "{error}");
        }
    }
}
