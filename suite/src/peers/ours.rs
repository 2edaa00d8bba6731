//! Our sorter as a contender.

use clap::ValueEnum;
use cust::device::{Device, DeviceAttribute};

use super::contest::{Case, Cell, Contender, Loaded, Shape};
use super::error::PeerError;
use super::protocol::Variant;
use crate::engine::Engine;
use crate::error::Error;
use crate::gpu_engine;
use crate::key::Key;
use crate::measure::Measurement;
use crate::verify::Verifier;
use host::gpu::{GpuSorter, Order, Resident};

/// How ours ranks keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Scheme {
    /// As the plan made on the device says: by ballots, or by atomics that are checked
    /// afterwards.
    #[value(name = "gpu")]
    Planned,
    /// By ballots in every pass: stable whatever the order of atomics.
    #[value(name = "gpu-ballots")]
    Ballots,
}

impl Scheme {
    /// The name it has in tables and records.
    pub fn name(self) -> &'static str {
        match self {
            Self::Planned => gpu_engine::NAME,
            Self::Ballots => "gpu-ballots",
        }
    }

    fn order(self) -> Order {
        match self {
            Self::Planned => Order::ascending(),
            Self::Ballots => Order::ascending().ballots(),
        }
    }
}

/// Our sorter.
pub struct Ours {
    sorter: GpuSorter,
    scheme: Scheme,
}

impl Ours {
    /// `sorter` as a contender that ranks so.
    pub fn new(sorter: GpuSorter, scheme: Scheme) -> Self {
        Self { sorter, scheme }
    }
}

impl Contender for Ours {
    fn name(&self) -> &str {
        self.scheme.name()
    }

    /// All types there are; from host memory only as the GPU engine does it.
    fn sorts(&self, case: &Case) -> bool {
        case.shape == Shape::Resident || self.scheme == Scheme::Planned
    }

    fn load<'a>(&'a mut self, cell: &'a Cell<'a>) -> Result<Box<dyn Loaded + 'a>, PeerError> {
        Ok(match cell.case.shape {
            Shape::Resident => cell.input.resident(&self.sorter, self.scheme.order())?,
            Shape::EndToEnd => cell.input.end_to_end()?,
        })
    }
}

/// Timed by events around the sort, as peers are, and judged on the device.
impl<K: Key + Default> Loaded for Resident<'_, K> {
    fn variants(&self) -> Vec<Variant> {
        vec![Variant {
            name: "out-of-place".to_owned(),
            temporary_bytes: Some(self.workspace_bytes()),
        }]
    }

    fn run(&mut self, _variant: usize, count: usize) -> Result<Vec<f64>, PeerError> {
        let sample = |_| Ok(self.sample()?.as_secs_f64() * 1e3);
        (0..count).map(sample).collect()
    }

    fn verify(&mut self, _variant: usize) -> Result<(), PeerError> {
        // One more sort: over an output overwritten before, so that it is this sort's.
        Ok(self.verified_sample().map(drop)?)
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
            engine: gpu_engine::open()?,
            verifier: Verifier::new(keys),
        })
    }
}

/// Timed by the host's clock. Every result is judged, and a wrong one ends the run.
impl<K: Key> Loaded for EndToEnd<'_, K> {
    fn variants(&self) -> Vec<Variant> {
        vec![Variant {
            name: "level-1".to_owned(),
            temporary_bytes: None,
        }]
    }

    fn run(&mut self, _variant: usize, count: usize) -> Result<Vec<f64>, PeerError> {
        let mut measurement = Measurement::new(&mut *self.engine, &self.verifier, 1)?;
        let sample = |_| Ok(measurement.sample()?.as_secs_f64() * 1e3);
        (0..count).map(sample).collect()
    }

    fn verify(&mut self, _variant: usize) -> Result<(), PeerError> {
        Ok(())
    }
}

/// Bytes of the last-level cache of the GPU that was opened, if the driver says.
pub fn cache_bytes() -> Option<u64> {
    let device = Device::get_device(0).ok()?;
    let bytes = device.get_attribute(DeviceAttribute::L2CacheSize).ok()?;
    u64::try_from(bytes).ok().filter(|&bytes| bytes > 0)
}
