//! An opened GPU.
//!
//! With `CUDAMARK_GPU_MEMORY`, every GPU is used as if it had only a share of its memory. So sorts
//! of arrays larger than GPU memory can be measured with arrays that the host holds.

use std::env;
use std::sync::{Arc, OnceLock};

use cust::context::{Context, CurrentContext};
use cust::device::{Device as CudaDevice, DeviceAttribute};
use cust::{CudaApiVersion, sys};
use gpu_kernels::entry::Entries;

use super::module::KernelModule;
use crate::driver;
use crate::error::{Error, NoGpu, check, failed};

/// An opened GPU, with its context and the kernels loaded into it.
pub struct Device {
    /// The kernels, loaded as they are asked for. Declared first: unloaded before the context.
    pub kernels: KernelModule,
    context: Context,
    /// The driver's number of it: 0 is the first that `CUDA_VISIBLE_DEVICES` shows.
    pub index: u32,
    /// Product name, as the driver reports it.
    pub name: String,
    /// Compute capability, major and minor.
    pub capability: (u32, u32),
    pub multiprocessors: u32,
    /// Bytes of shared memory that one block may have.
    pub shared_bytes: u32,
    /// The driver's version, as the CUDA version it is for: `13.0`.
    pub driver: String,
    /// The percentage of its memory that is used.
    percent: u64,
}

/// The variable that says which share of a GPU's memory is used.
const MEMORY_VARIABLE: &str = "CUDAMARK_GPU_MEMORY";

impl Device {
    /// Opens the first GPU that the driver shows (`CUDA_VISIBLE_DEVICES` chooses it), once a
    /// process: later calls return the same one.
    ///
    /// # Errors
    /// No driver, no GPU, one too old for the kernels, or kernels that do not load. The message has
    /// the driver's reason and the remedy.
    pub fn open() -> Result<Arc<Device>, NoGpu> {
        static OPENED: OnceLock<Result<Arc<Device>, String>> = OnceLock::new();
        let opened = OPENED.get_or_init(|| {
            driver::open().map_err(|reason| reason.to_string())?;
            Device::create(0).map_err(|error| error.to_string())
        });
        opened.clone().map_err(NoGpu)
    }

    /// Opens GPU `index`. The driver has been opened.
    pub(super) fn create(index: u32) -> Result<Arc<Device>, Error> {
        let percent = percent(env::var(MEMORY_VARIABLE).ok().as_deref())?;
        let driver = driver_version()?;
        let count = count()?;
        if index >= count {
            let reason = match count {
                0 => "the driver shows none; see CUDA_VISIBLE_DEVICES".to_owned(),
                _ => format!("the driver shows 0 to {}; see CUDA_VISIBLE_DEVICES", count - 1),
            };
            return Err(Error::gpu("looking for a GPU", reason));
        }
        let device = CudaDevice::get_device(index).map_err(failed("opening the GPU"))?;
        let name = device.name().map_err(failed("reading the GPU's name"))?;
        let attribute = |which| {
            let value = device.get_attribute(which).map_err(failed("reading the GPU's limits"))?;
            Ok::<u32, Error>(value as u32)
        };
        let capability = (
            attribute(DeviceAttribute::ComputeCapabilityMajor)?,
            attribute(DeviceAttribute::ComputeCapabilityMinor)?,
        );
        let multiprocessors = attribute(DeviceAttribute::MultiprocessorCount)?;
        let shared_bytes = shared_bytes_optin(device)?;
        let context = Context::new(device).map_err(failed("creating a context on the GPU"))?;
        let kernels = KernelModule::find(capability)?;
        let device = Device {
            kernels,
            context,
            index,
            name,
            capability,
            multiprocessors,
            shared_bytes,
            driver,
            percent,
        };
        // Every sort is verified by this kernel: a driver that compiles no PTX, or none of this
        // version, is found here and not in the middle of a run.
        device.kernels.load(&u32::VERIFY)?;
        Ok(Arc::new(device))
    }

    /// Makes this GPU current for the calling thread. Every thread must call it before it uses the
    /// GPU.
    pub fn enter(&self) -> Result<(), Error> {
        CurrentContext::set_current(&self.context).map_err(failed("entering the GPU's context"))
    }

    /// Free and total memory in bytes, at this moment; only a share of the GPU's if
    /// `CUDAMARK_GPU_MEMORY` is set.
    pub fn memory(&self) -> Result<(u64, u64), Error> {
        self.enter()?;
        let (mut free, mut total) = (0, 0);
        // SAFETY: both pointers are to words that live through the call.
        let status = unsafe { sys::cuMemGetInfo_v2(&mut free, &mut total) };
        check(status, "reading the GPU's free memory")?;
        Ok(within((free as u64, total as u64), self.percent))
    }

    /// The device among others: `GPU 1 (NVIDIA H200)`.
    pub fn label(&self) -> String {
        format!("GPU {} ({})", self.index, self.name)
    }

    pub(super) fn context(&self) -> sys::CUcontext {
        self.context.as_raw()
    }
}

/// The percentage that the variable is set to: all of it where it is not set.
fn percent(set: Option<&str>) -> Result<u64, Error> {
    let Some(text) = set else {
        return Ok(100);
    };
    let number = text.trim().strip_suffix('%').and_then(|number| number.parse().ok());
    number.filter(|percent| (1..=100).contains(percent)).ok_or_else(|| {
        let reason = format!("`{text}`: no percentage from 1% to 100%; write it like 25%");
        Error::gpu("reading CUDAMARK_GPU_MEMORY", reason)
    })
}

/// Free and total bytes of a GPU that has so many percent of its memory.
fn within((free, total): (u64, u64), percent: u64) -> (u64, u64) {
    let has = (u128::from(total) * u128::from(percent) / 100) as u64;
    (free.saturating_sub(total - has), has)
}

/// GPUs that the driver shows. The driver has been opened.
pub(super) fn count() -> Result<u32, Error> {
    CudaDevice::num_devices().map_err(failed("counting the GPUs"))
}

/// Names of the GPUs that CUDA shows, without opening them.
pub fn names() -> Vec<String> {
    let count = driver::open().ok().and_then(|()| count().ok()).unwrap_or(0);
    let name = |index| CudaDevice::get_device(index).and_then(|device| device.name());
    (0..count).map(|index| name(index).unwrap_or_default()).collect()
}

/// Returns true if GPU `from` may reach the memory of GPU `to`. The driver has been opened.
pub(super) fn may_reach(from: u32, to: u32) -> Result<bool, Error> {
    let handle = |index| {
        let device = CudaDevice::get_device(index).map_err(failed("looking for a GPU"))?;
        Ok::<_, Error>(device.as_raw())
    };
    let (from, to) = (handle(from)?, handle(to)?);
    let mut allowed = 0;
    // SAFETY: the pointer is to a word that lives through the call.
    let status = unsafe { sys::cuDeviceCanAccessPeer(&mut allowed, from, to) };
    check(status, "asking for peer access")?;
    Ok(allowed != 0)
}

fn driver_version() -> Result<String, Error> {
    let version = CudaApiVersion::get().map_err(failed("reading the driver's version"))?;
    Ok(format!("{}.{}", version.major(), version.minor()))
}

fn shared_bytes_optin(device: CudaDevice) -> Result<u32, Error> {
    let mut bytes = 0;
    // SAFETY: the pointer is to a word that lives through the call.
    let status = unsafe {
        sys::cuDeviceGetAttribute(
            &mut bytes,
            sys::CUdevice_attribute::CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK_OPTIN,
            device.as_raw(),
        )
    };
    check(status, "reading the GPU's limits")?;
    Ok(bytes as u32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_of_the_memory_is_what_there_is_less_the_rest() {
        assert_eq!(within((70, 80), 100), (70, 80));
        assert_eq!(within((70, 80), 25), (10, 20));
        assert_eq!(within((50, 80), 25), (0, 20));
        assert_eq!(within((u64::MAX, u64::MAX), 50), (u64::MAX / 2, u64::MAX / 2));
    }

    #[test]
    fn a_share_is_a_percentage() {
        assert_eq!(percent(None).unwrap(), 100);
        assert_eq!(percent(Some("25%")).unwrap(), 25);
        for wrong in ["25", "0%", "101%", "a%", ""] {
            let error = percent(Some(wrong)).unwrap_err().to_string();
            let start = format!("GPU: reading CUDAMARK_GPU_MEMORY: `{wrong}`: ");
            assert!(error.starts_with(&start) && error.ends_with("like 25%"), "{error}");
        }
    }
}
