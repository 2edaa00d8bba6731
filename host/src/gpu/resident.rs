//! Sorts of keys that lie on the device, timed by the device's own clock and
//! verified there.
//!
//! A sample is the time between two events on the sort's stream, one recorded
//! before its first launch and one after its last. The sort is out of place, so
//! its input is fresh for every sample without being restored. The output is
//! overwritten before each sample that is verified: a sort that wrote nothing
//! would otherwise pass on what the one before it left.

use std::time::Duration;

use cust::event::{Event, EventFlags};
use cust::memory::{CopyDestination, DeviceBuffer, DeviceSlice};
use cust::stream::{Stream, StreamFlags};
use gpu_kernels::verify;

use super::device::failed;
use super::kernels::argument;
use super::{GpuSorter, NAME, Workspace};
use crate::error::Error;
use crate::key::Key;
use crate::verify::Verifier;

/// An input on the device and all that sorting it there takes.
pub struct Resident<'a, K: Key> {
    sorter: &'a GpuSorter,
    input: DeviceBuffer<K>,
    output: DeviceBuffer<K>,
    workspace: Workspace<K>,
    stream: Stream,
    start: Event,
    end: Event,
    input_hash: u64,
}

impl<'a, K: Key + Default> Resident<'a, K> {
    /// Copies `keys` to the device and makes everything ready.
    pub fn new(sorter: &'a GpuSorter, keys: &[K]) -> Result<Self, Error> {
        let workspace = sorter.workspace(keys.len())?;
        let buffer = || DeviceBuffer::from_slice(keys).map_err(failed("copying keys to the GPU"));
        let event = || Event::new(EventFlags::DEFAULT).map_err(failed("creating an event"));
        let stream = Stream::new(StreamFlags::NON_BLOCKING, None);
        let mut resident = Resident {
            sorter,
            input: buffer()?,
            output: buffer()?,
            workspace,
            stream: stream.map_err(failed("creating a stream"))?,
            start: event()?,
            end: event()?,
            input_hash: 0,
        };
        resident.input_hash = resident.check(&resident.input)?.1;
        Ok(resident)
    }

    /// Sorts once and returns how long the device took.
    pub fn sample(&mut self) -> Result<Duration, Error> {
        self.sorter.device().enter()?;
        let record = |event: &Event| {
            let recorded = event.record(&self.stream);
            recorded.map_err(failed("recording an event"))
        };
        record(&self.start)?;
        self.sorter.sort_into(
            &self.input,
            &mut self.output,
            &mut self.workspace,
            &self.stream,
        )?;
        record(&self.end)?;
        self.end.synchronize().map_err(failed("sorting"))?;
        let elapsed = self.end.elapsed_time_f32(&self.start);
        let milliseconds = elapsed.map_err(failed("reading the time between events"))?;
        Ok(Duration::from_secs_f64(f64::from(milliseconds) / 1e3))
    }

    /// A sample whose result is checked, over an output overwritten before it.
    ///
    /// # Errors
    /// A result out of order or of other keys than the input.
    pub fn verified_sample(&mut self) -> Result<Duration, Error> {
        // SAFETY: nothing else uses the output; the sort follows on the same stream.
        unsafe { self.poison()? };
        let sample = self.sample()?;
        let (disordered, hash) = self.check(&self.output)?;
        if disordered == 0 && hash == self.input_hash {
            return Ok(sample);
        }
        // What differs is found on the host.
        let (input, output) = (self.input.as_host_vec(), self.output.as_host_vec());
        let input = input.map_err(failed("copying keys from the GPU"))?;
        let output = output.map_err(failed("copying keys from the GPU"))?;
        match Verifier::new(&input).check(&output) {
            Err(difference) => Err(Error::WrongResult {
                engine: NAME,
                level: 1,
                difference,
            }),
            Ok(()) => Err(Error::Gpu {
                action: "verifying",
                reason: format!(
                    "the device finds {disordered} keys out of order and hash {hash:#x} for \
                     {:#x}, the host finds nothing wrong",
                    self.input_hash
                ),
            }),
        }
    }

    /// # Safety
    /// No other work uses the output until the stream has run.
    unsafe fn poison(&mut self) -> Result<(), Error> {
        let bytes = self.output.len() * size_of::<K>();
        // SAFETY: the length is the buffer's own; the caller's contract.
        let status = unsafe {
            cust::sys::cuMemsetD8Async(
                self.output.as_device_ptr().as_raw(),
                0xA5,
                bytes,
                self.stream.as_inner(),
            )
        };
        super::device::check(status, "overwriting the output")
    }

    /// Neighbours out of order in `keys`, and the sum of their hashes.
    fn check(&self, keys: &DeviceSlice<K>) -> Result<(u64, u64), Error> {
        let device = self.sorter.device();
        device.enter()?;
        let result = DeviceBuffer::<u64>::zeroed(verify::WORDS);
        let result = result.map_err(failed("allocating GPU memory"))?;
        let kernel = device.kernels().verify;
        let n = keys.len() as u32;
        let address = keys.as_device_ptr().as_raw();
        let result_address = result.as_device_ptr().as_raw();
        let mut arguments = [
            argument(&address),
            argument(&n),
            argument(&K::FLIP),
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
