//! The GPU engine over several GPUs: `gpu@2-devices`.
//!
//! Two GPUs that reach each other's memory stream the array as the engine on one does
//! ([`StreamedSort`]). Of others, each has an equal part of the array and sorts it as the engine
//! `gpu-split` does, with its share of the level's threads and streams, over its own link to the
//! host. Then the sorted parts are merged between the GPUs ([`DevicesMerge`]), whose links are
//! faster than the host's, and each GPU copies its part of the result back. An array that the GPUs
//! do not hold is sorted in runs ([`Larger`]).

use std::str::FromStr;
use std::sync::Arc;
use std::thread;

use host::gpu::devices::parts::share;
use host::gpu::devices::{Devices, DevicesMerge, Each, Parts};
use host::gpu::streamed::StreamedSort;
use host::gpu::{Device, Order};

use crate::case::Case;
use crate::engine::Engine;
use crate::engines::{GPU, engine_and_variant};
use crate::environment;
use crate::error::Error;
use crate::gpu_engine::{self, check_level};
use crate::group::Group;
use crate::key::Key;
use crate::large_engine::Larger;
use crate::runners::devices::first;
use crate::split_engine::{Prepared, staging_bytes};

/// Groups in which the engine `gpu` goes over several GPUs when told so; in `devices` the level
/// says how many.
pub const GROUPS: [Group; 3] = [Group::Classic, Group::Split, Group::Batch];

/// Ending of the variants of the engine `gpu` that sort over several GPUs.
const ENDING: &str = "-devices";

/// The engine over the first `count` GPUs.
pub fn name(count: usize) -> String {
    format!("{GPU}@{count}{ENDING}")
}

/// The number of GPUs of a variant, if it is one of these.
pub fn count(variant: &str) -> Option<usize> {
    variant.strip_suffix(ENDING)?.parse().ok().filter(|&count| count > 0)
}

/// GPUs that a case goes over.
pub fn gpus(case: &Case) -> usize {
    if case.group == Group::Devices.name() {
        return case.level;
    }
    engine_and_variant(&case.engine).1.and_then(count).unwrap_or(1)
}

/// GPUs that a user asks for: `all`, or how many from the first on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gpus {
    /// All that CUDA shows.
    All,
    /// So many, 1 or more.
    First(usize),
}

impl Gpus {
    /// Their number: 0 where there is none.
    pub fn count(self) -> usize {
        match self {
            Self::All => environment::gpus().len(),
            Self::First(count) => count,
        }
    }
}

impl FromStr for Gpus {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match (text, text.parse()) {
            ("all", _) => Ok(Self::All),
            (_, Ok(count)) if count > 0 => Ok(Self::First(count)),
            _ => Err("neither all nor a number of GPUs; write it like 2"),
        }
    }
}

/// The engine over the first `count` GPUs, if there are as many.
pub fn open<K: Key>(count: usize) -> Result<Box<dyn Engine<K>>, Error> {
    Ok(over(first(count)?))
}

/// The engine over `devices`.
pub fn over<K: Key>(devices: Arc<Devices>) -> Box<dyn Engine<K>> {
    let all = devices.all().to_vec();
    let engine = match StreamedSort::<K>::goes_over(&devices) {
        true => gpu_engine::over(devices),
        false => Box::new(DevicesSplit { devices, prepared: None }),
    };
    Larger::of(engine, all)
}

/// The engine over several GPUs.
struct DevicesSplit<K: Key> {
    devices: Arc<Devices>,
    prepared: Option<Ready<K>>,
}

/// State for sorts of `n` keys at one level.
struct Ready<K: Key> {
    devices: Arc<Devices>,
    n: usize,
    level: usize,
    each: Each<Prepared<K>>,
    merge: DevicesMerge<K>,
    output: Parts<K>,
}

impl<K: Key> DevicesSplit<K> {
    /// A GPU's share of the threads and streams of a level.
    fn own_level(&self, level: usize) -> usize {
        level.div_ceil(self.devices.all().len())
    }
}

impl<K: Key> Engine<K> for DevicesSplit<K> {
    fn name(&self) -> &'static str {
        GPU
    }

    fn scratch_bytes(&self, n: usize, level: usize) -> u64 {
        let count = self.devices.all().len();
        count as u64 * staging_bytes::<K>(n.div_ceil(count), self.own_level(level))
    }

    fn prepare(&mut self, n: usize, level: usize) -> Result<(), Error> {
        check_level(GPU, level)?;
        // The buffers of an earlier level go first: their memory may be needed.
        self.prepared = None;
        let (devices, own) = (&self.devices, self.own_level(level));
        let count = devices.all().len();
        let lengths: Vec<usize> = (0..count).map(|index| share(n, count, index).len()).collect();
        let ready = |index: usize, device: &Arc<Device>| {
            let prepared = Prepared::new(Arc::clone(device), lengths[index], own);
            prepared.map_err(|error| named(devices, index, error))
        };
        self.prepared = Some(Ready {
            devices: Arc::clone(devices),
            n,
            level,
            each: Each::with(devices, ready)?,
            merge: DevicesMerge::new(devices, &lengths, false, Order::ascending())?,
            output: Parts::blank(devices, n)?,
        });
        Ok(())
    }

    fn sort(&mut self, keys: &mut [K]) -> Result<(), Error> {
        let n = keys.len();
        match &self.prepared {
            Some(ready) if ready.n == n => {}
            // The parts of fewer keys are others.
            Some(ready) if n < ready.n => self.prepare(n, ready.level)?,
            ready => {
                let prepared = ready.as_ref().map_or(0, |ready| ready.n);
                return Err(Error::NotPrepared { engine: GPU, n, prepared });
            }
        }
        match &mut self.prepared {
            Some(ready) => ready.sort(keys),
            None => Ok(()),
        }
    }
}

impl<K: Key> Ready<K> {
    fn sort(&mut self, keys: &mut [K]) -> Result<(), Error> {
        let devices = &self.devices;
        let sorted = on_each(devices, &mut self.each, keys, |_, prepared, keys| {
            let sorted = prepared.sort_on_device(keys)?;
            prepared.wait()?;
            Ok(sorted)
        })?;
        self.merge.keys(&sorted.iter().collect::<Vec<_>>(), &mut self.output)?;
        let output = &self.output;
        on_each(devices, &mut self.each, keys, |index, prepared, keys| {
            prepared.download(&output.parts()[index], keys)
        })?;
        Ok(())
    }
}

/// Has a thread for each GPU do `work` with its part of the keys.
fn on_each<K: Key, T: Send>(
    devices: &Devices,
    each: &mut [Prepared<K>],
    keys: &mut [K],
    work: impl Fn(usize, &mut Prepared<K>, &mut [K]) -> Result<T, Error> + Sync,
) -> Result<Vec<T>, Error> {
    let (n, count, work) = (keys.len(), each.len(), &work);
    let mut rest = keys;
    let parts: Vec<&mut [K]> = (0..count)
        .map(|index| {
            let (part, behind) =
                std::mem::take(&mut rest).split_at_mut(share(n, count, index).len());
            rest = behind;
            part
        })
        .collect();
    thread::scope(|scope| {
        let mut threads = Vec::new();
        for (index, (prepared, part)) in each.iter_mut().zip(parts).enumerate() {
            let thread = move || {
                devices.all()[index].enter()?;
                work(index, prepared, part)
            };
            threads.push(thread::Builder::new().spawn_scoped(scope, thread));
        }
        let joined = threads.into_iter().enumerate().map(|(index, started)| {
            let started = started.map_err(|reason| Error::Threads {
                engine: GPU,
                level: count,
                reason: reason.to_string(),
            })?;
            match started.join() {
                Ok(done) => done.map_err(|error| named(devices, index, error)),
                Err(panic) => std::panic::resume_unwind(panic),
            }
        });
        // All have ended before the first error is returned.
        joined.collect::<Vec<_>>().into_iter().collect()
    })
}

/// The error with the name of its GPU.
fn named(devices: &Devices, index: usize, error: Error) -> Error {
    match error {
        Error::Host(error) => Error::Host(devices.name_error(index, error)),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_case_goes_over_as_many_gpus_as_its_engine_or_level_says() {
        let gpus = |name: &str| gpus(&name.parse().unwrap());
        assert_eq!(gpus("classic/i32-classic-50000000/gpu@4-devices/8"), 4);
        assert_eq!(gpus("classic/i32-classic-50000000/gpu/8"), 1);
        assert_eq!(gpus("devices/u32-uniform/gpu/2/65536"), 2);
        assert_eq!(gpus("cpu/u32-uniform/cpu-std/4/65536"), 1);
    }

    #[test]
    fn gpus_are_all_or_a_number_of_them() {
        assert_eq!("all".parse(), Ok(Gpus::All));
        assert_eq!("2".parse(), Ok(Gpus::First(2)));
        assert_eq!(Gpus::First(2).count(), 2);
        for wrong in ["0", "two", "", "-1", "ALL"] {
            assert!(wrong.parse::<Gpus>().unwrap_err().contains("like 2"), "{wrong}");
        }
    }

    #[test]
    fn a_variant_names_its_number_of_gpus() {
        assert_eq!(name(2), "gpu@2-devices");
        assert_eq!(count("16-devices"), Some(16));
        assert!(
            ["ballots", "devices", "-devices", "x-devices", "0-devices"]
                .map(count)
                .iter()
                .all(Option::is_none)
        );
    }
}
