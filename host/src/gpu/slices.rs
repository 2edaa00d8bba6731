//! What a sort asks of the slices that it is given.

use cust::memory::{DeviceCopy, DeviceSlice};

use crate::error::Error;

/// Where a slice begins.
pub(super) fn address<T: DeviceCopy>(slice: &DeviceSlice<T>) -> u64 {
    slice.as_device_ptr().as_raw()
}

/// Whether two slices have one length.
pub(super) fn check_lengths(a: usize, b: usize) -> Result<(), Error> {
    if a == b {
        return Ok(());
    }
    Err(Error::Lengths {
        input: a,
        output: b,
    })
}

/// Whether two slices have one length and no byte in common.
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
    Err(Error::Overlap {
        bytes,
        distance: first.abs_diff(second),
    })
}
