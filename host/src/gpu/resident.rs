//! Sorts of keys that lie on the device, timed by the device's own clock and
//! verified there.
//!
//! A sample is the time between two events on the sort's stream, one recorded
//! before its first launch and one after its last. The sort is out of place, so
//! its input is fresh for every sample without being restored. The output is
//! overwritten before each sample that is verified: a sort that wrote nothing
//! would otherwise pass on what the one before it left.
//!
//! Keys are verified by order and multiset hash. With values, which are the indices
//! of their keys, the host checks the rest: every index once, each beside its own
//! key, and equal keys in the order of their indices, which is stability.

use std::time::Duration;

use cust::event::{Event, EventFlags};
use cust::memory::{CopyDestination, DeviceBuffer, DeviceSlice};
use cust::stream::Stream;
use gpu_kernels::{control, verify};
use rayon::prelude::*;

use super::device::failed;
use super::kernels::argument;
use super::sorter::stream;
use super::{Device, GpuKey, GpuSorter, Order, Payload, Sort, Workspace, launch, select};
use crate::error::Error;

/// An input on the device and all that sorting it there takes.
pub struct Resident<'a, K: GpuKey> {
    sorter: &'a GpuSorter,
    sort: Sort<K>,
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

/// The values of pairs: the index of each key.
struct Values {
    input: DeviceBuffer<u32>,
    output: DeviceBuffer<u32>,
}

impl<'a, K: GpuKey> Resident<'a, K> {
    /// Copies `keys` to the device and makes everything ready to sort them, `paired`
    /// with 4-byte values or alone.
    pub fn new(
        sorter: &'a GpuSorter,
        keys: &[K],
        paired: bool,
        order: Order,
    ) -> Result<Self, Error> {
        let payload = if paired {
            Payload::Value(size_of::<u32>())
        } else {
            Payload::None
        };
        let sort = sorter.prepare(keys.len(), payload, order.clone())?;
        let event = || Event::new(EventFlags::DEFAULT).map_err(failed("creating an event"));
        let indices: Vec<u32> = (0..keys.len() as u32 * u32::from(paired)).collect();
        let values = || {
            Ok::<_, Error>(Values {
                input: upload(&indices)?,
                output: upload(&indices)?,
            })
        };
        let mut resident = Resident {
            workspace: sort.workspace()?,
            input: upload(keys)?,
            output: upload(keys)?,
            values: paired.then(values).transpose()?,
            stream: stream()?,
            start: event()?,
            end: event()?,
            input_hash: 0,
            sorter,
            sort,
            order,
        };
        resident.input_hash = resident.check(&resident.input)?.1;
        Ok(resident)
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
        match &mut self.values {
            Some(values) => self.sort.pairs(
                (&self.input, &values.input),
                (&mut self.output, &mut values.output),
                workspace,
                stream,
            )?,
            None => self
                .sort
                .keys(&self.input, &mut self.output, workspace, stream)?,
        }
        record(&self.end, &self.stream)?;
        self.end.synchronize().map_err(failed("sorting"))?;
        let elapsed = self.end.elapsed_time_f32(&self.start);
        let milliseconds = elapsed.map_err(failed("reading the time between events"))?;
        Ok(Duration::from_secs_f64(f64::from(milliseconds) / 1e3))
    }

    /// A sample whose result is checked, over an output overwritten before it.
    ///
    /// # Errors
    /// A result out of order, of other keys than the input, or not stable.
    pub fn verified_sample(&mut self) -> Result<Duration, Error> {
        let bytes = (self.output.len() * size_of::<K>()) as u64;
        let output = self.output.as_device_ptr().as_raw();
        // SAFETY: the buffers are this value's own, and the sort follows on the same
        // stream.
        unsafe {
            launch::fill(output, 0xA5, bytes, &self.stream)?;
            if let Some(values) = &self.values {
                let address = values.output.as_device_ptr().as_raw();
                launch::fill(address, 0xA5, 4 * values.output.len() as u64, &self.stream)?;
            }
        }
        let sample = self.sample()?;
        let (disordered, hash) = self.check(&self.output)?;
        if disordered != 0 {
            return Err(wrong(format!(
                "{disordered} keys are greater than the next"
            )));
        }
        if hash != self.input_hash {
            return Err(wrong(format!(
                "the keys' hash is {hash:#x}, the input's {:#x}",
                self.input_hash
            )));
        }
        if let Some(values) = &self.values {
            let (input, output) = (download(&self.input)?, download(&self.output)?);
            check_values(&input, &output, &download(&values.output)?).map_err(wrong)?;
        }
        Ok(sample)
    }

    fn device(&self) -> &Device {
        self.sorter.device()
    }

    /// Neighbours out of order in `keys`, and the sum of their hashes.
    fn check(&self, keys: &DeviceSlice<K>) -> Result<(u64, u64), Error> {
        let device = self.device();
        device.enter()?;
        let form = K::FORM;
        let kernel = select::verifier(device, form.width)?;
        let result = DeviceBuffer::<u64>::zeroed(verify::WORDS);
        let result = result.map_err(failed("allocating GPU memory"))?;
        let n = keys.len() as u64;
        let address = keys.as_device_ptr().as_raw();
        let result_address = result.as_device_ptr().as_raw();
        let flip = self.order.flip(form);
        let options = if form.is_float() { control::ENCODE } else { 0 };
        let mut arguments = [
            argument(&address),
            argument(&n),
            argument(&flip),
            argument(&options),
            argument(&result_address),
        ];
        // SAFETY: the arguments are the kernel's; the buffers outlive the wait below.
        unsafe { kernel.launch(&self.stream, 8 * device.multiprocessors(), &mut arguments)? };
        self.stream.synchronize().map_err(failed("verifying"))?;
        let mut words = [0; verify::WORDS];
        let copied = result.copy_to(&mut words);
        copied.map_err(failed("copying a check from the GPU"))?;
        Ok((words[verify::DISORDERED], words[verify::HASH]))
    }
}

fn record(event: &Event, stream: &Stream) -> Result<(), Error> {
    event.record(stream).map_err(failed("recording an event"))
}

fn upload<T: GpuKey>(elements: &[T]) -> Result<DeviceBuffer<T>, Error> {
    DeviceBuffer::from_slice(elements).map_err(failed("copying keys to the GPU"))
}

fn download<T: GpuKey>(slice: &DeviceSlice<T>) -> Result<Vec<T>, Error> {
    let copied = slice.as_host_vec();
    copied.map_err(failed("copying keys from the GPU"))
}

fn wrong(reason: String) -> Error {
    Error::Gpu {
        action: "verifying a sort",
        reason,
    }
}

/// Whether each key of the ordered `output` stands beside the index it had in
/// `input`, equal keys in the order of their indices. As the output has as many
/// keys as the input, and indices of equal keys ascend, no index comes twice.
fn check_values<K: GpuKey>(input: &[K], output: &[K], indices: &[u32]) -> Result<(), String> {
    let fault = (0..output.len()).into_par_iter().find_map_first(|i| {
        let index = indices[i] as usize;
        let key = output[i].to_word();
        if input.get(index).map(|key| key.to_word()) != Some(key) {
            return Some(format!(
                "at {i} stands value {index}, which is not its key's"
            ));
        }
        let unstable = i > 0 && output[i - 1].to_word() == key && indices[i - 1] >= indices[i];
        unstable.then(|| format!("equal keys at {} and {i} have changed places", i - 1))
    });
    fault.map_or(Ok(()), Err)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lost_value_and_a_lost_order_are_found() {
        let (input, output) = ([7u32, 5, 7], [5, 7, 7]);
        assert_eq!(check_values(&input, &output, &[1, 0, 2]), Ok(()));
        assert!(check_values(&input, &output, &[1, 2, 0]).is_err());
        assert!(check_values(&input, &output, &[1, 0, 0]).is_err());
        assert!(check_values(&input, &output, &[0, 1, 2]).is_err());
        assert!(check_values(&input, &output, &[1, 0, 3]).is_err());
    }
}
