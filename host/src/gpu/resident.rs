//! Sorts of keys in device memory, timed by the device's clock and verified there.
//!
//! A sample is the time between two events on the sort's stream, one before its first launch and
//! one after its last. The sort is out of place, so no input has to be restored between samples.
//! The output is overwritten before each verified sample: otherwise a sort that wrote nothing
//! would pass on the result of the one before.
//!
//! Keys are verified by order and multiset hash. Values are the indices of their keys. They are
//! verified too: every index once, each beside its own key, and equal keys in the order of their
//! indices, which is stability. If the order does not distinguish all keys, the caller verifies on
//! the host.

use std::sync::Arc;
use std::time::Duration;

use cust::event::Event;
use cust::memory::{DeviceBuffer, DeviceSlice};
use cust::stream::Stream;

use super::checks::{self, Found};
use super::devices::parts::blank;
use super::stream::{self, between, record, stream, timer};
use super::transfer::upload;
use super::{Device, GpuKey, GpuSorter, Order, Payload, Sort, Workspace};
use crate::error::{Error, failed};

/// An input on the device and all that sorting it there takes.
pub struct Resident<'a, K: GpuKey> {
    sorter: &'a GpuSorter,
    sort: Arc<Sort<K>>,
    order: Order,
    input: DeviceBuffer<K>,
    output: DeviceBuffer<K>,
    values: Option<Values>,
    workspace: Workspace,
    stream: Stream,
    start: Event,
    end: Event,
    input_hash: u64,
}

/// The values of pairs: the index of each key, made by the sort where there is no input.
struct Values {
    input: Option<DeviceBuffer<u32>>,
    output: DeviceBuffer<u32>,
}

impl<'a, K: GpuKey> Resident<'a, K> {
    /// Copies `keys` to the device and makes everything ready to sort them: alone, with values of
    /// 4 bytes, or with the indices that the sort makes.
    pub fn new(
        sorter: &'a GpuSorter,
        keys: &[K],
        payload: Payload,
        order: Order,
    ) -> Result<Self, Error> {
        let n = keys.len();
        let sort = sorter.prepare(n, payload, order.clone())?;
        let values = match payload {
            Payload::None => None,
            Payload::Index => Some(Values { input: None, output: blank(n)? }),
            Payload::Value(_) => {
                Some(Values { input: Some(upload(&indices(n)?)?), output: blank(n)? })
            }
        };
        let mut resident = Resident {
            workspace: sort.workspace()?,
            input: upload(keys)?,
            output: blank(n)?,
            values,
            stream: stream()?,
            start: timer()?,
            end: timer()?,
            input_hash: 0,
            sorter,
            sort: Arc::new(sort),
            order,
        };
        resident.input_hash = resident.found(&resident.input)?.hash;
        Ok(resident)
    }

    /// The sort that samples are taken of.
    pub fn sort(&self) -> &Arc<Sort<K>> {
        &self.sort
    }

    /// Has the next samples taken of `sort`, which is of the same keys in the same order, with
    /// values or without as this was made.
    ///
    /// # Errors
    /// Too little GPU memory for its workspace.
    pub fn set_sort(&mut self, sort: Arc<Sort<K>>) -> Result<(), Error> {
        if self.workspace.bytes() < sort.workspace_bytes() {
            self.workspace = sort.workspace()?;
        }
        self.sort = sort;
        Ok(())
    }

    /// Bytes of GPU memory that the sort takes beside input and output.
    pub fn workspace_bytes(&self) -> u64 {
        self.sort.workspace_bytes()
    }

    /// Sorts once and returns how long the device took.
    pub fn sample(&mut self) -> Result<Duration, Error> {
        self.device().enter()?;
        record(&self.start, &self.stream)?;
        let (workspace, stream) = (&mut self.workspace, &self.stream);
        let (keys, sorted) = (&self.input, &mut self.output);
        match &mut self.values {
            None => self.sort.keys(keys, sorted, workspace, stream)?,
            Some(Values { input: None, output }) => {
                self.sort.indices(keys, sorted, output, workspace, stream)?;
            }
            Some(Values { input: Some(input), output }) => {
                self.sort.pairs((keys, input), (sorted, output), workspace, stream)?;
            }
        }
        record(&self.end, &self.stream)?;
        self.end.synchronize().map_err(failed("sorting"))?;
        Ok(Duration::from_secs_f64(between(&self.start, &self.end)?))
    }

    /// A sample whose result is checked, over an output overwritten before it.
    ///
    /// # Errors
    /// A result out of order, of other keys than the input, or not stable.
    pub fn verified_sample(&mut self) -> Result<Duration, Error> {
        self.poison()?;
        let sample = self.sample()?;
        self.verify()?;
        Ok(sample)
    }

    /// Overwrites the output, so that what it holds after a sort is that sort's.
    pub fn poison(&mut self) -> Result<(), Error> {
        self.device().enter()?;
        let bytes = (self.output.len() * size_of::<K>()) as u64;
        let output = self.output.as_device_ptr().as_raw();
        // SAFETY: the buffers are this value's own, and the wait below ends all work on them.
        unsafe {
            stream::fill(output, 0xA5, bytes, &self.stream)?;
            if let Some(values) = &self.values {
                let address = values.output.as_device_ptr().as_raw();
                stream::fill(address, 0xA5, 4 * values.output.len() as u64, &self.stream)?;
            }
        }
        let poisoned = self.stream.synchronize();
        poisoned.map_err(failed("overwriting the last result"))
    }

    /// Keys and values of the last sample.
    pub fn result(&self) -> (&DeviceSlice<K>, Option<&DeviceSlice<u32>>) {
        (&self.output, self.values.as_ref().map(|values| &*values.output))
    }

    /// Checks the result of the last sample.
    ///
    /// # Errors
    /// A result out of order, of other keys than the input, or not stable; an order that does not
    /// tell all keys apart.
    pub fn verify(&self) -> Result<(), Error> {
        self.order.require_total(K::TYPE, "a check on the device", "and compare on the host")?;
        self.found(&self.output)?.check(self.input_hash)?;
        let Some(values) = &self.values else {
            return Ok(());
        };
        let (keys, values) = (&self.output, &values.output);
        checks::values(self.device(), &self.input, (keys, values), &self.stream)
    }

    fn device(&self) -> &Device {
        self.sorter.device()
    }

    fn found(&self, keys: &DeviceSlice<K>) -> Result<Found, Error> {
        checks::keys(self.device(), keys, &self.order, &self.stream)
    }
}

/// The index of each of `n` keys, as its value.
///
/// # Errors
/// More keys than 32 bits tell apart; too little memory.
pub fn indices(n: usize) -> Result<Vec<u32>, Error> {
    require_indices(n)?;
    let mut indices = Vec::new();
    let reserved = indices.try_reserve_exact(n);
    reserved.map_err(|_| Error::Refused { n, needed: (n * size_of::<u32>()) as u64 })?;
    indices.extend((0..n).map(|index| index as u32));
    Ok(indices)
}

/// An error if the indices of `n` keys are more than 32 bits tell apart.
pub fn require_indices(n: usize) -> Result<(), Error> {
    let limit = 1 << 32;
    match n as u64 > limit {
        true => Err(Error::TooMany { n, limit }),
        false => Ok(()),
    }
}
