//! Checks on the device: whether keys that lie there are in order, and which they are.
//! They cost what reading the keys once costs, where bringing them back to be judged by
//! the host takes a hundred times as long.

use std::ffi::c_void;

use cust::memory::{CopyDestination, DeviceBuffer, DeviceSlice};
use cust::stream::Stream;
use gpu_kernels::{control, verify};

use super::device::failed;
use super::kernels::{Kernel, argument};
use super::{Device, GpuKey, Order, select};
use crate::error::Error;

/// What there is to say of keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Found {
    /// Keys that are greater than the next.
    pub disordered: u64,
    /// Sum of the keys' hashes, whatever their order.
    pub hash: u64,
}

impl Found {
    /// Whether these are the sorted keys of an input of this hash.
    ///
    /// # Errors
    /// They are out of order, or others.
    pub fn judge(self, input_hash: u64) -> Result<(), Error> {
        let Self { disordered, hash } = self;
        if disordered != 0 {
            return Err(wrong(format!(
                "{disordered} keys are greater than the next"
            )));
        }
        if hash != input_hash {
            return Err(wrong(format!(
                "the keys' hash is {hash:#x}, the input's {input_hash:#x}"
            )));
        }
        Ok(())
    }
}

/// What the device finds in `keys`, held against `order`, when `stream` has run.
///
/// # Errors
/// Whatever the GPU reports.
pub fn keys<K: GpuKey>(
    device: &Device,
    keys: &DeviceSlice<K>,
    order: &Order,
    stream: &Stream,
) -> Result<Found, Error> {
    let form = K::FORM;
    let kernel = select::verifier(device, form.width)?;
    let n = keys.len() as u64;
    let address = keys.as_device_ptr().as_raw();
    let flip = order.flip(form);
    let options = if form.is_float() { control::ENCODE } else { 0 };
    let arguments = [
        argument(&address),
        argument(&n),
        argument(&flip),
        argument(&options),
    ];
    // SAFETY: the arguments are the kernel's but for the last; the slice is live, and
    // what writes it is on the stream.
    let found = unsafe { find(device, kernel, &arguments, stream)? };
    Ok(Found {
        disordered: found[verify::DISORDERED],
        hash: found[verify::HASH],
    })
}

/// Runs a kernel that checks, and returns what it adds to its last argument.
///
/// # Safety
/// `arguments` and one pointer to [`verify::WORDS`] words are the kernel's, and what
/// they refer to is not being written but by what is on `stream`.
pub(super) unsafe fn find(
    device: &Device,
    kernel: Kernel,
    arguments: &[*mut c_void],
    stream: &Stream,
) -> Result<[u64; verify::WORDS], Error> {
    device.enter()?;
    let result = DeviceBuffer::<u64>::zeroed(verify::WORDS);
    let result = result.map_err(failed("allocating GPU memory"))?;
    let address = result.as_device_ptr().as_raw();
    let mut arguments = [arguments, &[argument(&address)]].concat();
    // SAFETY: the caller's contract; the result outlives the wait below.
    unsafe { kernel.launch(stream, 8 * device.multiprocessors(), &mut arguments)? };
    stream.synchronize().map_err(failed("verifying"))?;
    let mut words = [0; verify::WORDS];
    let copied = result.copy_to(&mut words);
    copied.map_err(failed("copying a check from the GPU"))?;
    Ok(words)
}

/// The error for a result that is not the sorted input.
pub(super) fn wrong(reason: String) -> Error {
    Error::Gpu {
        action: "verifying a sort",
        reason,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_out_of_order_and_other_keys_are_told_apart() {
        let found = |disordered, hash| Found { disordered, hash };
        assert!(found(0, 7).judge(7).is_ok());
        let order = found(2, 7).judge(7).unwrap_err().to_string();
        assert!(order.contains("2 keys are greater"), "{order}");
        let keys = found(0, 8).judge(7).unwrap_err().to_string();
        assert!(keys.contains("hash is 0x8, the input's 0x7"), "{keys}");
    }
}
