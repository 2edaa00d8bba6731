//! Sorts on one GPU, in one call.

use std::sync::Arc;

use cust::memory::{CopyDestination, DeviceSlice};

use super::Device;
use super::key::{GpuKey, Order};
use super::segments::SegmentSort;
use super::sort::{Payload, Sort};
use super::stream::stream;
use super::transfer::upload;
use crate::error::{Error, failed};

/// Sorts on one GPU, in one call.
///
/// Each call allocates what it needs, and returns when the result is there. To sort many times,
/// with your own stream and workspace, [`prepare`] a [`Sort`].
///
/// ```
/// use host::gpu::{Device, GpuSorter, Order};
///
/// # fn main() -> Result<(), host::Error> {
/// match Device::open() {
///     Ok(device) => {
///         let sorter = GpuSorter::new(device);
///         let mut keys = vec![2.5, -1.0, 0.0];
///         sorter.sort_slice(&mut keys, Order::descending())?;
///         assert_eq!(keys, [2.5, 0.0, -1.0]);
///     }
///     Err(skipped) => println!("{skipped}"),
/// }
/// # Ok(())
/// # }
/// ```
///
/// [`prepare`]: Self::prepare
pub struct GpuSorter {
    device: Arc<Device>,
}

impl GpuSorter {
    /// A sorter on `device`.
    pub fn new(device: Arc<Device>) -> Self {
        GpuSorter { device }
    }

    /// The GPU of this sorter.
    pub fn device(&self) -> &Arc<Device> {
        &self.device
    }

    /// A sort of up to `n` keys: see [`Sort::new`].
    ///
    /// ```
    /// use cust::memory::{CopyDestination, DeviceBuffer};
    /// use cust::stream::{Stream, StreamFlags};
    /// use host::gpu::{Device, GpuSorter, Order, Payload};
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let Ok(device) = Device::open() else {
    ///     return Ok(());
    /// };
    /// device.enter()?;
    /// let sorter = GpuSorter::new(device);
    /// let sort = sorter.prepare::<i64>(3, Payload::Index, Order::ascending())?;
    /// let mut workspace = sort.workspace()?;
    /// // Waits for the copy below, which a stream that is `NON_BLOCKING` does not.
    /// let stream = Stream::new(StreamFlags::DEFAULT, None)?;
    ///
    /// let keys = DeviceBuffer::from_slice(&[30, 10, 20])?;
    /// let mut sorted = DeviceBuffer::zeroed(3)?;
    /// let mut indices = DeviceBuffer::zeroed(3)?;
    /// sort.indices(&keys, &mut sorted, &mut indices, &mut workspace, &stream)?;
    /// stream.synchronize()?;
    /// assert_eq!(indices.as_host_vec()?, [1, 2, 0]);
    /// # Ok(())
    /// # }
    /// ```
    pub fn prepare<K: GpuKey>(
        &self,
        n: usize,
        payload: Payload,
        order: Order,
    ) -> Result<Sort<K>, Error> {
        Sort::new(self.device.clone(), n, payload, order)
    }

    /// Sorts `keys` on the device in ascending order, floating-point numbers in their total order.
    /// Returns when they are sorted.
    ///
    /// The sort has its own stream, which waits for no other: work on other streams that writes
    /// `keys` must have ended. Each call allocates and frees
    /// [`workspace_bytes`](Sort::workspace_bytes): a second copy of the keys plus a few hundredths
    /// of it, or nothing if one block sorts all keys. [`prepare`](Self::prepare) does that once for
    /// many sorts.
    ///
    /// # Errors
    /// Too little GPU memory; kernels that do not load; whatever the driver reports.
    pub fn sort<K: GpuKey>(&self, keys: &mut DeviceSlice<K>) -> Result<(), Error> {
        let sort = self.prepare(keys.len(), Payload::None, Order::ascending())?;
        let mut workspace = sort.workspace()?;
        let stream = stream()?;
        sort.keys_in_place(keys, &mut workspace, &stream)?;
        stream.synchronize().map_err(failed("sorting"))
    }

    /// Sorts each segment of `keys`, from one offset to the next, by itself and in place. Returns
    /// when all are sorted. A [`SegmentSort`] also sorts pairs and indices.
    ///
    /// ```
    /// use cust::memory::{CopyDestination, DeviceBuffer};
    /// use host::gpu::{Device, GpuSorter, Order};
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let Ok(device) = Device::open() else {
    ///     return Ok(());
    /// };
    /// device.enter()?;
    /// let mut keys = DeviceBuffer::from_slice(&[3, 1, 2, 9, 7])?;
    /// let offsets = DeviceBuffer::from_slice(&[0, 3, 5])?;
    /// GpuSorter::new(device).segments(&mut keys, &offsets, Order::ascending())?;
    /// assert_eq!(keys.as_host_vec()?, [1, 2, 3, 7, 9]);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// Offsets that decrease or exceed the number of keys: then no key has moved. No offsets;
    /// whatever [`SegmentSort::new`] refuses; too little GPU memory; whatever the driver reports.
    pub fn segments<K: GpuKey>(
        &self,
        keys: &mut DeviceSlice<K>,
        offsets: &DeviceSlice<u32>,
        order: Order,
    ) -> Result<(), Error> {
        let Some(count) = offsets.len().checked_sub(1) else {
            return Err(Error::OffsetCount { given: 0, segments: 0 });
        };
        let (n, payload) = (keys.len(), Payload::None);
        let sort = SegmentSort::new(self.device.clone(), n, count, payload, order)?;
        let mut workspace = sort.workspace()?;
        let stream = stream()?;
        sort.keys_in_place(keys, offsets, &mut workspace, &stream)?.finish()
    }

    /// Sorts a slice of the host: copies it to the device, sorts it there and copies it back.
    /// Returns when that is done.
    ///
    /// Allocates a copy of the keys on the device beside
    /// [`workspace_bytes`](Sort::workspace_bytes), and frees both.
    ///
    /// # Errors
    /// Bits that the keys do not have; too little GPU memory; kernels that do not load; whatever
    /// the driver reports.
    pub fn sort_slice<K: GpuKey>(&self, keys: &mut [K], order: Order) -> Result<(), Error> {
        if keys.is_empty() {
            return Ok(());
        }
        let sort = self.prepare(keys.len(), Payload::None, order)?;
        let mut workspace = sort.workspace()?;
        let stream = stream()?;
        let mut there = upload(keys)?;
        sort.keys_in_place(&mut there, &mut workspace, &stream)?;
        stream.synchronize().map_err(failed("sorting"))?;
        let copied = there.copy_to(keys);
        copied.map_err(failed("copying keys from the GPU"))
    }
}
