//! Our sorter as a contender.

use cust::device::{Device, DeviceAttribute};

use super::contest::{Case, Cell, Contender, Loaded, Shape};
use super::error::PeerError;
use crate::engine::Engine;
use crate::error::Error;
use crate::gpu::{self, GpuSorter, Resident};
use crate::key::Key;
use crate::measure::Measurement;
use crate::verify::Verifier;

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

    fn sorts(&self, _case: &Case) -> bool {
        // There are no others in the list of types.
        true
    }

    fn load<'a>(&'a mut self, cell: &'a Cell<'a>) -> Result<Box<dyn Loaded + 'a>, PeerError> {
        Ok(match cell.case.shape {
            Shape::Resident => cell.input.resident(&self.sorter)?,
            Shape::EndToEnd => cell.input.end_to_end()?,
        })
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
        Some(self.workspace_bytes())
    }
}

/// The GPU engine at level 1: all keys in one piece, as peers take them.
pub struct EndToEnd<'a, K: Key> {
    engine: Box<dyn Engine<K>>,
    verifier: Verifier<'a, K>,
}

impl<'a, K: Key> EndToEnd<'a, K> {
    /// Ready to sort `keys`.
    ///
    /// # Errors
    /// No GPU.
    pub fn new(keys: &'a [K]) -> Result<Self, Error> {
        Ok(Self {
            engine: gpu::engine()?,
            verifier: Verifier::new(keys),
        })
    }
}

/// Timed by the host's clock. Every result is judged, and a wrong one ends the run.
impl<K: Key> Loaded for EndToEnd<'_, K> {
    fn run(&mut self, count: usize) -> Result<Vec<f64>, PeerError> {
        let mut measurement = Measurement::new(&mut *self.engine, &self.verifier, 1)?;
        let sample = |_| Ok(measurement.sample()?.as_secs_f64() * 1e3);
        (0..count).map(sample).collect()
    }

    fn verify(&mut self) -> Result<(), PeerError> {
        Ok(())
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
