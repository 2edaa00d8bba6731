//! Items in the memory of several devices.

use std::ops::{Deref, DerefMut};
use std::sync::Arc;

use super::{Devices, named};
use crate::error::Error;
use crate::gpu::Device;

/// One item for each device, in their order, which is dropped in the context of its device. While
/// they are made, there may be fewer.
pub struct Each<T> {
    devices: Arc<Devices>,
    items: Vec<T>,
}

impl<T> Each<T> {
    /// Makes the item of each device, in its context.
    ///
    /// # Errors
    /// The first device whose item is not made, by its name. Those made before it are
    /// dropped.
    pub fn new(
        devices: &Arc<Devices>,
        mut item: impl FnMut(usize, &Arc<Device>) -> Result<T, Error>,
    ) -> Result<Self, Error> {
        Self::with(devices, |index, device| {
            item(index, device).map_err(|error| named(device, error))
        })
    }

    /// The same for errors of other kinds, which `item` names the device in.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub fn with<E: From<Error>>(
        devices: &Arc<Devices>,
        mut item: impl FnMut(usize, &Arc<Device>) -> Result<T, E>,
    ) -> Result<Self, E> {
        let mut all = Each { devices: Arc::clone(devices), items: Vec::new() };
        for (index, device) in devices.all().iter().enumerate() {
            device.enter().map_err(|error| named(device, error))?;
            all.items.push(item(index, device)?);
        }
        Ok(all)
    }

    /// Takes items in the order of the devices, of which there may be more or fewer.
    pub(super) fn of(devices: &Arc<Devices>, items: Vec<T>) -> Self {
        Each { devices: Arc::clone(devices), items }
    }
}

impl<T> Deref for Each<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        &self.items
    }
}

impl<T> DerefMut for Each<T> {
    fn deref_mut(&mut self) -> &mut [T] {
        &mut self.items
    }
}

impl<T> Drop for Each<T> {
    fn drop(&mut self) {
        for (index, item) in self.items.drain(..).enumerate() {
            // A context that cannot be entered has lost its memory already.
            let _ = self.devices.all().get(index).map(|device| device.enter());
            drop(item);
        }
    }
}
