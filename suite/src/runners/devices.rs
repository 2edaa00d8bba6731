//! Cases over several GPUs, whose keys lie in their memory.
//!
//! The time is by the host's clock: devices have no clock in common, and the host finds the
//! borders between the parts of an array.
//!
//! [`OneArray`] has a part of an array in the memory of each; the level says how many there are.
//! It is timed from the first launch until all devices have ended, and a dropped sort precedes the
//! timed one.
//!
//! [`Split`] and [`Batch`] are what [`streams`] has of the same names, with a share of the level's
//! streams on each GPU. One gate holds the streams of all until everything is launched; the time
//! is from its opening until all devices have ended, so that launching is not in it, as it is not
//! by the clock of one device.
//!
//! A result that is one array is gathered on the first device and verified there as a whole.

use std::rc::Rc;
use std::sync::{Arc, OnceLock};
use std::time::Instant;

use crate::engines::GPU;
use crate::error::{Error, Unavailable};
use crate::key::Key;
use crate::memory::POISON;
use crate::runner::{Runner, Times};
use crate::runners::streams::{self, Arrays, Chunks, Gate, Work};
use crate::verify::Keys;
use cust::memory::{DeviceBuffer, DeviceSlice};
use host::gpu::devices::parts::share;
use host::gpu::devices::{Devices, DevicesMerge, DevicesSort, Each, Parts};
use host::gpu::resident::indices;
use host::gpu::stream::stream;
use host::gpu::{GpuKey, Order, Payload, checks};

/// The first `count` GPUs; all are opened once a process.
pub fn first(count: usize) -> Result<Arc<Devices>, Unavailable> {
    static ALL: OnceLock<Result<Arc<Devices>, String>> = OnceLock::new();
    let all = ALL.get_or_init(|| Devices::open_all().map_err(|missing| missing.to_string()));
    let unavailable = |reason| Unavailable { engine: GPU, reason };
    let all = all.as_ref().map_err(|reason| unavailable(reason.clone()))?;
    all.first(count).ok_or_else(|| {
        unavailable(format!("{count} GPUs are asked for, and CUDA shows {}", all.all().len()))
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
        let payload = Payload::of(paired);
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
        let all = checked(&self.devices, &self.output, self.hash()?)?;
        if let Some((_, values)) = &self.values {
            let (input, values) = (self.input.gather(0)?, values.gather(0)?);
            first.enter()?;
            checks::values(first, &input, (&*all, &*values), &stream()?)?;
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

/// A sorted array over several GPUs, gathered on the first and verified there: in order, and of
/// keys with this hash.
fn checked<K: GpuKey>(
    devices: &Devices,
    output: &Parts<K>,
    hash: u64,
) -> Result<DeviceBuffer<K>, host::Error> {
    let (first, all) = (&devices.all()[0], output.gather(0)?);
    first.enter()?;
    checks::keys(first, &all, &Order::ascending(), &stream()?)?.check(hash)?;
    Ok(all)
}

/// Has every device do its work behind one gate, and then `end` what they do together. Returns the
/// time from the gate's opening; none if it did not hold.
fn behind_one_gate<W: Work>(
    devices: &Devices,
    each: &mut [W],
    end: impl FnOnce(&[W]) -> Result<(), Error>,
) -> Result<Option<Times>, Error> {
    let (gate, all) = (Gate::default(), devices.all());
    let on = |index: usize, work: &mut dyn FnMut() -> Result<(), host::Error>| {
        all[index].enter().and_then(|()| work()).map_err(|error| devices.name_error(index, error))
    };
    for (index, work) in each.iter_mut().enumerate() {
        on(index, &mut || gate.hold(work.streams()).and_then(|()| work.put()))?;
    }
    let begun = Instant::now();
    let held = gate.open();
    for (index, work) in each.iter().enumerate() {
        on(index, &mut || work.streams().wait())?;
    }
    end(each)?;
    Ok(held.then(|| Times::of_host(begun.elapsed().as_secs_f64())))
}

/// One array in equal parts, each cut into chunks that are sorted on streams of its GPU and merged
/// there; then the sorted parts are merged between the GPUs.
pub struct Split<K: Key> {
    devices: Arc<Devices>,
    input: Rc<Keys<K>>,
    each: Each<Chunks<K>>,
    merge: DevicesMerge<K>,
    output: Parts<K>,
    level: usize,
}

impl<K: Key> Split<K> {
    /// `input` over the first `count` GPUs, to be cut into `level` chunks.
    pub fn new(input: Rc<Keys<K>>, level: usize, count: usize) -> Result<Self, Error> {
        Self::over(&first(count)?, input, level)
    }

    /// The same over `devices`.
    pub fn over(devices: &Arc<Devices>, input: Rc<Keys<K>>, level: usize) -> Result<Self, Error> {
        let (keys, count) = (input.keys(), devices.all().len());
        let part = |index| &keys[share(keys.len(), count, index)];
        let own = level.div_ceil(count);
        let each = Each::new(devices, |index, device| Chunks::new(device, part(index), own))?;
        let lengths: Vec<usize> = (0..count).map(|index| part(index).len()).collect();
        Ok(Self {
            merge: DevicesMerge::new(devices, &lengths, false, Order::ascending())?,
            output: Parts::blank(devices, keys.len())?,
            devices: Arc::clone(devices),
            each,
            level,
            input,
        })
    }

    fn run(&mut self) -> Result<Option<Times>, Error> {
        let Self { devices, each, merge, output, .. } = self;
        each.iter_mut().try_for_each(Chunks::restore)?;
        output.fill(POISON)?;
        let times = behind_one_gate(devices, each, |each| {
            let sorted: Vec<&DeviceSlice<K>> = each.iter().map(Chunks::result).collect();
            Ok(merge.keys(&sorted, output)?)
        });
        let times = times.inspect_err(|_| devices.settle())?;
        self.verify()?;
        Ok(times)
    }

    /// Verifies the result on the first device; where it is wrong, the host says what differs.
    fn verify(&self) -> Result<(), Error> {
        let add = |sum: u64, chunks: &Chunks<K>| sum.wrapping_add(chunks.source_hash);
        let hash = self.each.iter().fold(0, add);
        checked(&self.devices, &self.output, hash).map(drop).or_else(|wrong| {
            self.input.check(&self.output.download()?, GPU, self.level)?;
            Err(wrong.into())
        })
    }
}

impl<K: Key> Runner for Split<K> {
    fn once(&mut self) -> Result<Times, Error> {
        streams::until_held(|| self.run())
    }
}

/// Arrays that go to the GPUs in turns, each sorted on a stream of its own.
pub struct Batch<K: Key> {
    devices: Arc<Devices>,
    each: Each<Arrays<K>>,
}

impl<K: Key> Batch<K> {
    /// All of `inputs` over the first `count` GPUs.
    pub fn new(inputs: Rc<Vec<Keys<K>>>, count: usize) -> Result<Self, Error> {
        Self::over(&first(count)?, &inputs)
    }

    /// The same over `devices`; of fewer arrays than these, over as many.
    pub fn over(devices: &Arc<Devices>, inputs: &Rc<Vec<Keys<K>>>) -> Result<Self, Error> {
        let devices = devices.first(inputs.len()).unwrap_or_else(|| Arc::clone(devices));
        let count = devices.all().len();
        let each = Each::new(&devices, |index, device| {
            Arrays::new(device, inputs, (index..inputs.len()).step_by(count))
        })?;
        Ok(Self { devices, each })
    }

    fn run(&mut self) -> Result<Option<Times>, Error> {
        let Self { devices, each } = self;
        each.iter_mut().try_for_each(Arrays::clear)?;
        let times = behind_one_gate(devices, each, |_| Ok(()));
        let times = times.inspect_err(|_| devices.settle())?;
        each.iter().try_for_each(Arrays::verify)?;
        Ok(times)
    }
}

impl<K: Key> Runner for Batch<K> {
    fn once(&mut self) -> Result<Times, Error> {
        streams::until_held(|| self.run())
    }
}
