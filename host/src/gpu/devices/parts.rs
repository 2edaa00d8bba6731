//! One array over several devices.

use std::ops::Range;
use std::sync::Arc;

use cust::memory::{CopyDestination, DeviceBuffer, DeviceCopy};

use super::{Devices, Each};
use crate::error::{Error, failed};
use crate::gpu::GpuKey;
use crate::gpu::checks::address;
use crate::gpu::merger::Run;
use crate::gpu::stream::{fill, stream};
use crate::gpu::transfer::upload;

/// One array over several devices: each holds a part in its memory, in device order.
pub struct Parts<T: DeviceCopy> {
    devices: Arc<Devices>,
    parts: Each<DeviceBuffer<T>>,
}

impl<T: GpuKey> Parts<T> {
    /// Copies `elements` of the host to the devices, in equal parts.
    ///
    /// # Errors
    /// Too little memory on a device, which the message names; whatever the driver reports.
    pub fn upload(devices: &Arc<Devices>, elements: &[T]) -> Result<Self, Error> {
        let count = devices.all().len();
        let part = |index| upload(&elements[share(elements.len(), count, index)]);
        Self::each(devices, part)
    }

    /// Allocates `n` elements in equal parts, with undefined content.
    ///
    /// # Errors
    /// As in [`upload`](Self::upload).
    pub fn blank(devices: &Arc<Devices>, n: usize) -> Result<Self, Error> {
        let count = devices.all().len();
        Self::each(devices, |index| blank(share(n, count, index).len()))
    }

    /// Takes `parts` of any lengths, one in the memory of each device.
    ///
    /// # Errors
    /// Another number of parts than of devices.
    pub fn new(devices: &Arc<Devices>, parts: Vec<DeviceBuffer<T>>) -> Result<Self, Error> {
        let (given, count) = (parts.len(), devices.all().len());
        let parts = Parts { devices: Arc::clone(devices), parts: Each::of(devices, parts) };
        check_count(given, count)?;
        Ok(parts)
    }

    fn each(
        devices: &Arc<Devices>,
        part: impl Fn(usize) -> Result<DeviceBuffer<T>, Error>,
    ) -> Result<Self, Error> {
        let parts = Each::new(devices, |index, _| part(index))?;
        Ok(Parts { devices: Arc::clone(devices), parts })
    }

    /// Number of elements in all parts.
    pub fn len(&self) -> usize {
        self.parts.iter().map(|part| part.len()).sum()
    }

    /// Returns true if no part has an element.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The parts, in the order of the devices.
    pub fn parts(&self) -> &[DeviceBuffer<T>] {
        &self.parts
    }

    /// Number of elements in each part.
    pub fn lengths(&self) -> Vec<usize> {
        self.parts.iter().map(|part| part.len()).collect()
    }

    /// Addresses of the parts as keys, with those of their values if there are any.
    pub(super) fn runs(&self, values: Option<&Parts<u32>>) -> Vec<Run> {
        let run = |(index, keys): (usize, &DeviceBuffer<T>)| Run {
            values: values.map_or(0, |values| address(&values.parts[index])),
            ..Run::of(keys)
        };
        self.parts.iter().enumerate().map(run).collect()
    }

    /// Sets all bytes to `value`.
    ///
    /// # Errors
    /// Failures that the driver reports.
    pub fn fill(&mut self, value: u8) -> Result<(), Error> {
        for (index, part) in self.parts.iter().enumerate() {
            self.devices.on(index, |_| {
                let (stream, bytes) = (stream()?, (part.len() * size_of::<T>()) as u64);
                // SAFETY: the part is borrowed until the wait.
                unsafe { fill(address(part), value, bytes, &stream)? };
                stream.synchronize().map_err(failed("overwriting GPU memory"))
            })?;
        }
        Ok(())
    }

    /// Copies all elements to the host.
    ///
    /// # Errors
    /// Too little memory; whatever the driver reports.
    pub fn download(&self) -> Result<Vec<T>, Error> {
        let n = self.len();
        let mut all = Vec::new();
        let reserved = all.try_reserve_exact(n);
        reserved.map_err(|_| Error::Refused { n, needed: (n * size_of::<T>()) as u64 })?;
        all.resize(n, T::default());
        let mut rest = &mut all[..];
        for (index, part) in self.parts.iter().enumerate() {
            let (here, behind) = rest.split_at_mut(part.len());
            self.devices
                .on(index, |_| part.copy_to(here).map_err(failed("copying keys from the GPU")))?;
            rest = behind;
        }
        Ok(all)
    }

    /// Copies all elements to the memory of device `to`. The parts are unchanged.
    ///
    /// # Errors
    /// Too little memory there; whatever the driver reports.
    pub fn gather(&self, to: usize) -> Result<DeviceBuffer<T>, Error> {
        let all = self.devices.on(to, |_| blank::<T>(self.len()))?;
        let mut at = address(&all);
        let mut streams = Vec::new();
        let copied = self.parts.iter().enumerate().try_for_each(|(from, part)| {
            let bytes = (part.len() * size_of::<T>()) as u64;
            self.devices.on(from, |_| {
                let stream = stream()?;
                // SAFETY: the buffers are apart and outlive the wait below.
                unsafe { self.devices.copy((from, address(part)), (to, at), bytes, &stream)? };
                streams.push(stream);
                Ok(())
            })?;
            at += bytes;
            Ok(())
        });
        let waited = streams.iter().enumerate().try_for_each(|(from, stream)| {
            self.devices.on(from, |_| stream.synchronize().map_err(failed("gathering")))
        });
        copied.and(waited).inspect_err(|_| {
            self.devices.settle();
            // The memory is freed where it was allocated.
            let _ = self.devices.all()[to].enter();
        })?;
        Ok(all)
    }
}

/// Checks that there are as many parts as devices.
pub(super) fn check_count(given: usize, devices: usize) -> Result<(), Error> {
    match given == devices {
        true => Ok(()),
        false => Err(Error::Parts { given, devices }),
    }
}

/// Memory of the entered device for `len` elements, with any content.
pub(in crate::gpu) fn blank<T: GpuKey>(len: usize) -> Result<DeviceBuffer<T>, Error> {
    // SAFETY: every pattern of bits is a key.
    let buffer = unsafe { DeviceBuffer::uninitialized(len) };
    buffer.map_err(failed("allocating GPU memory"))
}

/// The elements of part `index` of `n` in `count` equal parts.
pub fn share(n: usize, count: usize, index: usize) -> Range<usize> {
    let begin = |index: usize| (n as u128 * index as u128 / count as u128) as usize;
    begin(index)..begin(index + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_equal_but_for_one_and_leave_nothing_out() {
        for (n, count) in [(0, 3), (2, 5), (10, 3), (1 << 40, 7)] {
            let shares: Vec<_> = (0..count).map(|index| share(n, count, index)).collect();
            assert_eq!((shares[0].start, shares[count - 1].end), (0, n));
            assert!(shares.windows(2).all(|two| two[0].end == two[1].start));
            assert!(shares.iter().all(|share| share.len().abs_diff(n / count) <= 1));
        }
    }
}
