//! Cases of one array over several GPUs, a part in the memory of each; the level says how many.
//!
//! The time is by the host's clock, from the first launch until all devices have ended: devices
//! have no clock in common, and the host finds the borders between their parts. A dropped sort
//! precedes the timed one. The result is gathered on the first device and verified there as a
//! whole.

use std::sync::{Arc, OnceLock};
use std::time::Instant;

use crate::engines::GPU;
use crate::error::{Error, Unavailable};
use crate::key::Key;
use crate::memory::POISON;
use crate::runner::{Runner, Times};
use host::gpu::devices::{Devices, DevicesSort, Parts};
use host::gpu::resident::indices;
use host::gpu::stream::stream;
use host::gpu::{Order, Payload, checks};

/// The first `count` GPUs; all are opened once a process.
pub fn first(count: usize) -> Result<Arc<Devices>, Unavailable> {
    static ALL: OnceLock<Result<Arc<Devices>, String>> = OnceLock::new();
    let all = ALL.get_or_init(|| Devices::open_all().map_err(|missing| missing.to_string()));
    let unavailable = |reason| Unavailable { engine: GPU, reason };
    let all = all.as_ref().map_err(|reason| unavailable(reason.clone()))?;
    all.first(count).ok_or_else(|| {
        let (there, s) = (all.all().len(), if all.all().len() == 1 { "" } else { "s" });
        unavailable(format!("level {count} takes {count} GPUs, and there is {there} GPU{s}"))
    })
}

/// An array over several GPUs, sorted from there to there.
pub struct OneArray<K: Key> {
    devices: Arc<Devices>,
    sort: DevicesSort<K>,
    input: Parts<K>,
    output: Parts<K>,
    /// Those of pairs: the index of each key, and where they go.
    values: Option<(Parts<u32>, Parts<u32>)>,
}

impl<K: Key> OneArray<K> {
    /// `keys` over the first `level` GPUs, `paired` with their indices or alone.
    pub fn new(keys: &[K], paired: bool, level: usize) -> Result<Self, Error> {
        let devices = first(level)?;
        let input = Parts::upload(&devices, keys)?;
        let payload = if paired { Payload::Value(size_of::<u32>()) } else { Payload::None };
        let sort = DevicesSort::new(&devices, &input.lengths(), payload, Order::ascending())?;
        let values = || {
            let values = Parts::upload(&devices, &indices(keys.len())?)?;
            Ok::<_, Error>((values, Parts::blank(&devices, keys.len())?))
        };
        Ok(Self {
            output: Parts::blank(&devices, keys.len())?,
            values: paired.then(values).transpose()?,
            sort,
            input,
            devices,
        })
    }

    fn sort(&mut self) -> Result<(), Error> {
        let Self { sort, input, output, values, .. } = self;
        match values {
            None => sort.keys(input, output)?,
            Some((from, to)) => sort.pairs((input, from), (output, to))?,
        }
        Ok(())
    }

    /// Verifies the result: order over all parts, the same keys, and each value beside its own.
    fn verify(&self) -> Result<(), Error> {
        let first = &self.devices.all()[0];
        let all = self.output.gather(0)?;
        first.enter()?;
        let stream = stream()?;
        let order = Order::ascending();
        let hash = self.hash()?;
        checks::keys(first, &all, &order, &stream)?.check(hash)?;
        if let Some((_, values)) = &self.values {
            let (input, values) = (self.input.gather(0)?, values.gather(0)?);
            first.enter()?;
            checks::values(first, &input, (&*all, &*values), &stream)?;
        }
        Ok(())
    }

    /// The hash of the input's keys, taken on each device.
    fn hash(&self) -> Result<u64, Error> {
        let mut hash = 0u64;
        for (device, part) in self.devices.all().iter().zip(self.input.parts()) {
            device.enter()?;
            let found = checks::keys(device, part, &Order::ascending(), &stream()?)?;
            hash = hash.wrapping_add(found.hash);
        }
        Ok(hash)
    }
}

impl<K: Key> Runner for OneArray<K> {
    fn once(&mut self) -> Result<Times, Error> {
        self.sort()?;
        self.output.fill(POISON)?;
        if let Some((_, values)) = &mut self.values {
            values.fill(POISON)?;
        }
        let begun = Instant::now();
        self.sort()?;
        let elapsed = begun.elapsed();
        self.verify()?;
        Ok(Times::of_host(elapsed.as_secs_f64()))
    }

    fn temporary_bytes(&self) -> Option<u64> {
        Some(self.sort.workspace_bytes())
    }
}
