//! Several GPUs of one machine, for sorts over all of them.
//!
//! | module | content |
//! |---|---|
//! | [`each`] | [`Each`]: an item for each device, dropped in its context |
//! | [`parts`] | [`Parts`]: one array over all devices, a part in the memory of each |
//! | [`sort`] | [`DevicesSort`]: sorts such an array |
//! | `borders` | the places where the parts of the result begin and end |
//! | [`merge`] | [`DevicesMerge`]: merges sorted parts |
//! | `buckets` | the exchange of buckets of evenly spread keys, and their local sorts |
//! | `exchange` | the copies between devices, and the merges of received pieces |
//!
//! One host thread drives all devices: everything is asynchronous, and entering a context takes
//! less than a microsecond. The code does not assume two devices, devices of one kind, or peer
//! access. The same device may be opened several times.

pub(in crate::gpu) mod borders;
mod buckets;
pub mod each;
mod exchange;
pub mod merge;
pub mod parts;
pub mod sort;

use std::sync::Arc;

use cust::context::CurrentContext;
use cust::stream::Stream;
use cust::sys::{self, cudaError_enum::CUDA_ERROR_PEER_ACCESS_ALREADY_ENABLED};

use super::device::{self, Device};
use super::stream;
use crate::driver;
use crate::error::{Error, NoGpu, check};

pub use each::Each;
pub use merge::DevicesMerge;
pub use parts::Parts;
pub use sort::DevicesSort;

/// Several opened GPUs.
pub struct Devices {
    all: Vec<Arc<Device>>,
    /// The way from each device to each.
    links: Vec<Vec<Link>>,
}

/// The route of copies from one device to another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Link {
    /// None: both are one GPU.
    Within,
    /// Each reads and writes the other's memory, over NVLink or PCIe.
    Peer,
    /// Peer access is refused: the driver copies through host memory.
    Staged,
}

impl Link {
    /// Its name in records.
    pub fn name(self) -> &'static str {
        match self {
            Link::Within => "within",
            Link::Peer => "peer",
            Link::Staged => "staged",
        }
    }
}

impl Devices {
    /// Opens all GPUs that the driver shows (`CUDA_VISIBLE_DEVICES` chooses them).
    ///
    /// # Errors
    /// As in [`open`](Self::open).
    pub fn open_all() -> Result<Arc<Self>, NoGpu> {
        let count = count().map_err(|error| NoGpu(error.to_string()))?;
        Self::open(&(0..count.max(1)).collect::<Vec<_>>())
    }

    /// Opens the GPUs with these numbers, in this order; 0 is the first that the driver shows.
    ///
    /// # Errors
    /// No driver, no GPU with that number, one too old for the kernels, kernels that do not load,
    /// an empty list. The message names the GPU.
    pub fn open(indices: &[u32]) -> Result<Arc<Self>, NoGpu> {
        if indices.is_empty() {
            return Err(NoGpu("an empty list of GPUs; name one or more".to_owned()));
        }
        driver::open().map_err(|reason| NoGpu(reason.to_string()))?;
        let open = |&index: &u32| {
            Device::create(index).map_err(|error| {
                let device = format!("GPU {index}");
                NoGpu(Error::OnDevice { device, error: Box::new(error) }.to_string())
            })
        };
        let all: Vec<Arc<Device>> = indices.iter().map(open).collect::<Result<_, _>>()?;
        let linked = |from: &Arc<Device>| {
            let to_each = all.iter().map(|to| link(from, to)).collect::<Result<Vec<_>, _>>();
            to_each.map_err(|error| NoGpu(named(from, error).to_string()))
        };
        let links = all.iter().map(linked).collect::<Result<_, _>>()?;
        Ok(Arc::new(Devices { all, links }))
    }

    /// The first `count` devices, if there are that many and `count` is not 0.
    pub fn first(&self, count: usize) -> Option<Arc<Self>> {
        let all = self.all.get(..count).filter(|all| !all.is_empty())?;
        Some(Arc::new(Devices { all: all.to_vec(), links: self.links.clone() }))
    }

    /// The devices, in the order of their parts.
    pub fn all(&self) -> &[Arc<Device>] {
        &self.all
    }

    /// The route of copies between two devices, by their places in [`all`](Self::all).
    pub fn link(&self, from: usize, to: usize) -> Link {
        self.links[from][to]
    }

    /// Returns `error` with the name of device `index` before it.
    pub fn name_error(&self, index: usize, error: Error) -> Error {
        named(&self.all[index], error)
    }

    /// Has `work` run in the context of device `index`, and names the device in its error.
    fn on<T>(
        &self,
        index: usize,
        work: impl FnOnce(&Arc<Device>) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let device = &self.all[index];
        device.enter().and_then(|()| work(device)).map_err(|error| named(device, error))
    }

    /// [`on`](Self::on) each device.
    fn on_each<T>(
        &self,
        mut work: impl FnMut(usize, &Arc<Device>) -> Result<T, Error>,
    ) -> Result<Vec<T>, Error> {
        (0..self.all.len()).map(|index| self.on(index, |device| work(index, device))).collect()
    }

    /// Copies `bytes` from an address of one device to an address of another, on a stream of the
    /// first, whose context is entered.
    ///
    /// # Safety
    /// Both ranges are live until the stream has run, and no other work conflicts.
    unsafe fn copy(
        &self,
        (from, source): (usize, u64),
        (to, target): (usize, u64),
        bytes: u64,
        stream: &Stream,
    ) -> Result<(), Error> {
        if bytes == 0 || self.link(from, to) == Link::Within {
            // SAFETY: the caller's contract.
            return unsafe { stream::copy(source, target, bytes, stream) };
        }
        let context = |index: usize| self.all[index].context();
        // SAFETY: the caller's contract; the contexts live as long as the devices.
        let status = unsafe {
            sys::cuMemcpyPeerAsync(
                target,
                context(to),
                source,
                context(from),
                bytes as usize,
                stream.as_inner(),
            )
        };
        check(status, "copying to another GPU")
    }

    /// Waits for all work on all devices and ignores failures: after an error, nothing uses memory
    /// that is freed next.
    pub fn settle(&self) {
        for device in &self.all {
            if device.enter().is_ok() {
                let _ = CurrentContext::synchronize();
            }
        }
    }
}

/// GPUs that the driver shows: 0 if it starts and shows none.
fn count() -> Result<u32, Error> {
    driver::open().map_err(|reason| Error::NoGpu(NoGpu(reason.to_string())))?;
    device::count()
}

/// Returns true if all GPUs that the driver shows can access each other's memory, and `None` if the
/// driver does not say. Opens none of them.
pub fn are_peers() -> Option<bool> {
    let count = count().ok()?;
    let mut all = true;
    for from in 0..count {
        for to in (0..count).filter(|&to| to != from) {
            all &= device::may_reach(from, to).ok()?;
        }
    }
    Some(all)
}

/// `error` with the name of the device before it, where it is one of several.
pub(super) fn named_among(devices: &[Arc<Device>], device: &Device, error: Error) -> Error {
    match devices.iter().all(|other| other.index == device.index) {
        true => error,
        false => named(device, error),
    }
}

/// `error` with the name of the device before it.
pub(super) fn named(device: &Device, error: Error) -> Error {
    Error::OnDevice { device: device.label(), error: Box::new(error) }
}

/// Finds the way from a device to another, and opens it.
fn link(from: &Device, to: &Device) -> Result<Link, Error> {
    if from.index == to.index {
        return Ok(Link::Within);
    }
    if !device::may_reach(from.index, to.index)? {
        return Ok(Link::Staged);
    }
    from.enter()?;
    // SAFETY: the context lives as long as the device.
    match unsafe { sys::cuCtxEnablePeerAccess(to.context(), 0) } {
        sys::cudaError_enum::CUDA_SUCCESS | CUDA_ERROR_PEER_ACCESS_ALREADY_ENABLED => {
            Ok(Link::Peer)
        }
        // Too many peers, or a system that forbids it: copies go through the host.
        _ => Ok(Link::Staged),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_list_of_gpus_is_refused() {
        let error = Devices::open(&[]).err().unwrap().to_string();
        assert!(error.contains("empty list"), "{error}");
    }
}
