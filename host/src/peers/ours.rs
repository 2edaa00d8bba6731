//! Our sorter as a contender.

use cust::device::{Device, DeviceAttribute};

use super::contest::{Cell, Contender, Loaded};
use super::error::PeerError;
use crate::gpu::{self, GpuSorter, Resident};
use crate::key::Key;

/// Our sorter.
pub struct Ours {
    sorter: GpuSorter,
}

impl Ours {
    /// `sorter` as a contender.
    pub fn new(sorter: GpuSorter) -> Self {
        Self { sorter }
    }
}

impl Contender for Ours {
    fn name(&self) -> &str {
        gpu::NAME
    }

    fn sorts(&self, _kind: &str) -> bool {
        // There are no others in the list of types.
        true
    }

    fn load<'a>(&'a mut self, cell: &'a Cell<'a>) -> Result<Box<dyn Loaded + 'a>, PeerError> {
        Ok(cell.input.resident(&self.sorter)?)
    }
}

/// Timed by events around the sort, as peers are, and judged on the device.
impl<K: Key + Default> Loaded for Resident<'_, K> {
    fn run(&mut self, count: usize) -> Result<Vec<f64>, PeerError> {
        let sample = |_| Ok(self.sample()?.as_secs_f64() * 1e3);
        (0..count).map(sample).collect()
    }

    fn verify(&mut self) -> Result<(), PeerError> {
        // One more sort: over an output overwritten before, so that it is this sort's.
        Ok(self.verified_sample().map(drop)?)
    }

    fn temporary_bytes(&self) -> Option<u64> {
        None
    }
}

/// Bytes of the last-level cache of the GPU that was opened, if the driver says.
pub fn cache_bytes() -> Option<u64> {
    let device = Device::get_device(0).ok()?;
    let bytes = device.get_attribute(DeviceAttribute::L2CacheSize).ok()?;
    u64::try_from(bytes).ok().filter(|&bytes| bytes > 0)
}
