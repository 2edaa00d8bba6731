//! Checks of a sort's slices: whether arguments have one length and are apart, and, on the
//! device, whether keys are in order, and which they are. The latter costs what reading the keys
//! once costs, where verifying them on the host takes a hundred times as long.

use cuda_std::ext::memory::Global;
use cust::memory::{CopyDestination, DeviceBuffer, DeviceCopy, DeviceSlice};
use cust::stream::Stream;
use gpu_kernels::control;
use gpu_kernels::entry::{Entries, Entry};
use gpu_kernels::verify::{self, Verify, VerifyValues};

use super::{Device, GpuKey, Order, Payload};
use crate::error::{Error, failed};

/// The findings of a check.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Found {
    /// Keys that are greater than the next.
    pub disordered: u64,
    /// Sum of the keys' hashes, whatever their order.
    pub hash: u64,
}

impl Found {
    /// Checks that these are the sorted keys of an input of this hash.
    ///
    /// # Errors
    /// They are out of order, or others.
    pub fn check(self, input_hash: u64) -> Result<(), Error> {
        let Self { disordered, hash } = self;
        if disordered != 0 {
            return Err(wrong(format!("{disordered} keys are greater than the next")));
        }
        if hash != input_hash {
            return Err(wrong(format!("the keys' hash is {hash:#x}, the input's {input_hash:#x}")));
        }
        Ok(())
    }
}

/// Has the device check `keys`, which should be in `order`, when `stream` has run.
///
/// # Errors
/// Whatever the GPU reports.
pub fn keys<K: GpuKey>(
    device: &Device,
    keys: &DeviceSlice<K>,
    order: &Order,
    stream: &Stream,
) -> Result<Found, Error> {
    let options = if K::TYPE.is_float() { control::ENCODE } else { 0 };
    // SAFETY: the slice is live, and what writes it is on the stream.
    let found = unsafe {
        find(device, &K::Word::VERIFY, stream, |result| Verify {
            keys: Global::on_device(address(keys)),
            n: keys.len() as u64,
            order_mask: order.order_mask::<K>(),
            options,
            result,
        })?
    };
    Ok(Found { disordered: found[verify::DISORDERED], hash: found[verify::HASH] })
}

/// Has the device check that `values` are the indices in `input` of the sorted `keys`, and equal
/// keys in their order, when `stream` has run.
///
/// # Errors
/// Values that are not the index of their key, or not stable; whatever the GPU reports.
pub fn values<K: GpuKey>(
    device: &Device,
    input: &DeviceSlice<K>,
    (keys, values): (&DeviceSlice<K>, &DeviceSlice<u32>),
    stream: &Stream,
) -> Result<(), Error> {
    check_lengths(input.len(), keys.len())?;
    check_lengths(input.len(), values.len())?;
    // SAFETY: the slices are live and of one length, and what writes them is on the stream.
    let found = unsafe {
        find(device, &K::Word::VERIFY_VALUES, stream, |result| VerifyValues {
            input: Global::on_device(address(input)),
            keys: Global::on_device(address(keys)),
            values: Global::on_device(address(values)),
            n: values.len() as u64,
            result,
        })?
    };
    match (found[verify::FOREIGN], found[verify::UNSTABLE]) {
        (0, 0) => Ok(()),
        (0, unstable) => Err(wrong(format!("{unstable} equal neighbours have changed places"))),
        (foreign, _) => Err(wrong(format!("{foreign} values do not stand beside their keys"))),
    }
}

/// Runs a kernel that checks, and returns what it adds to the words that `arguments` are made
/// for.
///
/// # Safety
/// Nothing but the work on `stream` writes what the arguments refer to.
unsafe fn find<A>(
    device: &Device,
    entry: &Entry<A>,
    stream: &Stream,
    arguments: impl FnOnce(Global<u64>) -> A,
) -> Result<[u64; verify::WORDS], Error> {
    device.enter()?;
    let kernel = device.kernels.load(entry)?;
    let result = DeviceBuffer::<u64>::zeroed(verify::WORDS);
    let result = result.map_err(failed("allocating GPU memory"))?;
    let arguments = arguments(Global::on_device(address(&result)));
    // SAFETY: the caller's contract; the result outlives the wait below.
    unsafe { kernel.launch(stream, 8 * device.multiprocessors, &arguments)? };
    stream.synchronize().map_err(failed("verifying"))?;
    let mut words = [0; verify::WORDS];
    let copied = result.copy_to(&mut words);
    copied.map_err(failed("copying a check from the GPU"))?;
    Ok(words)
}

/// Where a slice begins.
pub(super) fn address<T: DeviceCopy>(slice: &DeviceSlice<T>) -> u64 {
    slice.as_device_ptr().as_raw()
}

/// Checks that a sort is given the payload that it is prepared for.
pub(super) fn check_payload(prepared: Payload, given: Payload) -> Result<(), Error> {
    if given == prepared {
        return Ok(());
    }
    let (prepared, given) = (format!("{prepared:?}"), format!("{given:?}"));
    Err(Error::Payload { prepared, given })
}

/// Checks that two slices have one length.
pub(super) fn check_lengths(a: usize, b: usize) -> Result<(), Error> {
    if a == b {
        return Ok(());
    }
    Err(Error::Lengths { input: a, output: b })
}

/// Checks that two slices have one length and no byte in common.
pub(super) fn check_apart<T: DeviceCopy>(
    a: &DeviceSlice<T>,
    b: &DeviceSlice<T>,
) -> Result<(), Error> {
    check_lengths(a.len(), b.len())?;
    let bytes = (a.len() * size_of::<T>()) as u64;
    let (first, second) = (address(a), address(b));
    if first.abs_diff(second) >= bytes {
        return Ok(());
    }
    Err(Error::Overlap { bytes, distance: first.abs_diff(second) })
}

/// The error for a result that is not the sorted input.
fn wrong(reason: String) -> Error {
    Error::gpu("verifying a sort", reason)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_out_of_order_and_other_keys_are_told_apart() {
        let found = |disordered, hash| Found { disordered, hash };
        assert!(found(0, 7).check(7).is_ok());
        let order = found(2, 7).check(7).unwrap_err().to_string();
        assert!(order.contains("2 keys are greater"), "{order}");
        let keys = found(0, 8).check(7).unwrap_err().to_string();
        assert!(keys.contains("hash is 0x8, the input's 0x7"), "{keys}");
    }
}
