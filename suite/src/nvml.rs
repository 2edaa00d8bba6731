//! Clocks, power and temperature of the GPU while it is measured, and reasons why it
//! is being slowed down, as NVIDIA's management library (NVML) has them.
//!
//! The library is opened at run time and is part of the driver. Where there is none,
//! nothing is known, and that is what records then say. A reading takes some ten
//! microseconds and is made between timed intervals, never within one.

use cust::sys;
use nvml_wrapper::bitmasks::device::ThrottleReasons;
use nvml_wrapper::enum_wrappers::device::{
    Clock, ComputeMode, EccCounter, MemoryError, TemperatureSensor,
};
use nvml_wrapper::{Device, Nvml};
use serde::{Deserialize, Serialize};

use crate::environment::hexadecimal;

/// File name of the library where only the driver is installed. The name that the
/// crate looks for comes with CUDA.
const LIBRARY: &str = "libnvidia-ml.so.1";

/// Reasons for a lower speed, and their names in records.
const SLOWDOWNS: [(ThrottleReasons, &str); 6] = [
    (ThrottleReasons::SW_POWER_CAP, "power-cap"),
    (ThrottleReasons::HW_SLOWDOWN, "hardware-slowdown"),
    (ThrottleReasons::SYNC_BOOST, "sync-boost"),
    (ThrottleReasons::SW_THERMAL_SLOWDOWN, "thermal-slowdown"),
    (ThrottleReasons::HW_THERMAL_SLOWDOWN, "hardware-thermal-slowdown"),
    (ThrottleReasons::HW_POWER_BRAKE_SLOWDOWN, "power-brake"),
];

/// The library, opened, and which of its GPUs is meant.
pub struct Monitor {
    nvml: Nvml,
    index: u32,
}

/// How a GPU is set up: what does not change while it is measured.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Setup {
    /// Version of the driver: `580.65.06`.
    pub driver: Option<String>,
    /// Highest clock of the multiprocessors, in hertz.
    pub sm_clock_max_hz: Option<f64>,
    /// Clock of the multiprocessors that applications were given, in hertz.
    pub sm_clock_application_hz: Option<f64>,
    /// Highest clock of the memory, in hertz.
    pub memory_clock_max_hz: Option<f64>,
    /// Width of the memory's bus in bits.
    pub memory_bus_bits: Option<u32>,
    /// Power that it is held to, in watts.
    pub power_cap_w: Option<f64>,
    /// True if memory errors are corrected.
    pub ecc: Option<bool>,
    /// True if it is cut into instances (MIG).
    pub mig: Option<bool>,
}

/// State of a GPU at one moment.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Reading {
    /// Clock of the multiprocessors, in hertz.
    pub sm_clock_hz: Option<f64>,
    /// Power drawn, in watts.
    pub power_w: Option<f64>,
    /// Temperature of the chip, in degrees Celsius.
    pub temperature_c: Option<f64>,
    /// Reasons for a lower speed: `power-cap`, `thermal-slowdown`, ...
    pub slowdowns: Vec<String>,
}

/// The driver and every GPU that it has, whether or not CUDA is shown them.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Survey {
    /// Version of the driver: `580.65.06`.
    pub driver: Option<String>,
    /// Version of CUDA that it supports, major and minor.
    pub cuda: Option<(u32, u32)>,
    /// The GPUs, in NVML's order.
    pub gpus: Vec<Surveyed>,
}

/// State of a GPU before anything is measured on it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Surveyed {
    /// Product name.
    pub name: String,
    /// Compute capability.
    pub capability: Option<(u32, u32)>,
    /// True if it is cut into instances (MIG).
    pub mig: bool,
    /// `Prohibited` or `ExclusiveProcess`, where programs are kept off it.
    pub restricted: Option<&'static str>,
    /// Memory errors since the driver was loaded that were not corrected.
    pub uncorrected_errors: u64,
    /// Bytes of memory that are in use, and all.
    pub memory: Option<(u64, u64)>,
    /// Programs that compute on it.
    pub programs: usize,
    /// Reasons for a lower speed, as in [`Reading`].
    pub slowdowns: Vec<String>,
}

/// Looks at every GPU.
pub fn survey() -> Result<Survey, String> {
    let nvml = load()?;
    let version = nvml.sys_cuda_driver_version().ok();
    let count = nvml.device_count().unwrap_or(0);
    let gpus = (0..count).map(|index| nvml.device_by_index(index).map(|gpu| surveyed(&gpu)));
    Ok(Survey {
        driver: nvml.sys_driver_version().ok(),
        cuda: version.map(|version| (version as u32 / 1000, version as u32 % 1000 / 10)),
        gpus: gpus.map(Result::unwrap_or_default).collect(),
    })
}

fn surveyed(gpu: &Device<'_>) -> Surveyed {
    let capability = gpu.cuda_compute_capability().ok();
    let errors = gpu.total_ecc_errors(MemoryError::Uncorrected, EccCounter::Volatile);
    Surveyed {
        name: gpu.name().unwrap_or_default(),
        capability: capability.map(|found| (found.major as u32, found.minor as u32)),
        mig: gpu.mig_mode().is_ok_and(|mode| mode.current != 0),
        restricted: match gpu.compute_mode() {
            Ok(ComputeMode::Prohibited) => Some("Prohibited"),
            Ok(ComputeMode::ExclusiveProcess) => Some("ExclusiveProcess"),
            _ => None,
        },
        uncorrected_errors: errors.unwrap_or(0),
        memory: gpu.memory_info().ok().map(|memory| (memory.used, memory.total)),
        programs: gpu.running_compute_processes().map_or(0, |all| all.len()),
        slowdowns: reading(gpu).slowdowns,
    }
}

fn load() -> Result<Nvml, String> {
    let opened = Nvml::builder().lib_path(LIBRARY.as_ref()).init();
    opened.or_else(|_| Nvml::init()).map_err(|error| format!("NVML: {error}"))
}

impl Monitor {
    /// The monitor of the GPU that this process works on.
    pub fn open() -> Result<Self, String> {
        let nvml = load()?;
        let index = find(&nvml)?;
        Ok(Self { nvml, index })
    }

    /// How the GPU is set up. What it does not say is `None`.
    pub fn setup(&self) -> Setup {
        let driver = self.nvml.sys_driver_version().ok();
        let Ok(device) = self.nvml.device_by_index(self.index) else {
            return Setup { driver, ..Setup::default() };
        };
        Setup {
            driver,
            sm_clock_max_hz: device.max_clock_info(Clock::SM).ok().map(hertz),
            sm_clock_application_hz: device.applications_clock(Clock::SM).ok().map(hertz),
            memory_clock_max_hz: device.max_clock_info(Clock::Memory).ok().map(hertz),
            memory_bus_bits: device.memory_bus_width().ok(),
            power_cap_w: device.enforced_power_limit().ok().map(watts),
            ecc: device.is_ecc_enabled().ok().map(|mode| mode.currently_enabled),
            mig: device.mig_mode().ok().map(|mode| mode.current != 0),
        }
    }

    /// Joules that the GPU has taken since the driver was loaded, where it counts them (from
    /// Volta on). The counter moves in steps of some ten milliseconds.
    pub fn energy_j(&self) -> Option<f64> {
        let device = self.nvml.device_by_index(self.index).ok()?;
        let millijoules = device.total_energy_consumption().ok()?;
        Some(millijoules as f64 / 1e3)
    }

    /// The GPU's state now.
    pub fn read(&self) -> Reading {
        self.nvml
            .device_by_index(self.index)
            .map_or_else(|_| Reading::default(), |device| reading(&device))
    }
}

fn reading(device: &Device<'_>) -> Reading {
    let active = device.current_throttle_reasons().unwrap_or(ThrottleReasons::empty());
    Reading {
        sm_clock_hz: device.clock_info(Clock::SM).ok().map(hertz),
        power_w: device.power_usage().ok().map(watts),
        temperature_c: device.temperature(TemperatureSensor::Gpu).ok().map(f64::from),
        slowdowns: slowdowns(active),
    }
}

/// The reasons for a lower speed among these; idleness is none.
fn slowdowns(active: ThrottleReasons) -> Vec<String> {
    let named = SLOWDOWNS.iter().filter(|(reason, _)| active.contains(*reason));
    named.map(|(_, name)| (*name).to_owned()).collect()
}

/// NVML's index of the GPU that CUDA shows first.
fn find(nvml: &Nvml) -> Result<u32, String> {
    let count = nvml.device_count().map_err(|error| format!("NVML: {error}"))?;
    let uuid = uuid();
    let has = |index: &u32| {
        let device = nvml.device_by_index(*index).ok();
        let listed = device.and_then(|device| device.uuid().ok());
        listed.is_some() && listed == uuid
    };
    match (0..count).find(has) {
        Some(index) => Ok(index),
        // An instance of a GPU that is cut into several has an identity of its own.
        None if count == 1 => Ok(0),
        None => Err("NVML: the GPU is not among those it shows".to_owned()),
    }
}

/// The identity of the GPU that CUDA shows first, as NVML writes it.
fn uuid() -> Option<String> {
    let device = cust::device::Device::get_device(0).ok()?;
    let mut uuid = sys::CUuuid { bytes: [0; 16] };
    // SAFETY: the pointer is to an identity that lives through the call.
    let status = unsafe { sys::cuDeviceGetUuid(&mut uuid, device.as_raw()) };
    if status != sys::cudaError_enum::CUDA_SUCCESS {
        return None;
    }
    let hex = hexadecimal(&uuid.bytes.map(|byte| byte as u8));
    let parts = [&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]];
    Some(format!("GPU-{}", parts.join("-")))
}

fn hertz(megahertz: u32) -> f64 {
    f64::from(megahertz) * 1e6
}

fn watts(milliwatts: u32) -> f64 {
    f64::from(milliwatts) / 1e3
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_slows_down_is_named_and_idleness_is_not() {
        assert!(slowdowns(ThrottleReasons::GPU_IDLE).is_empty());
        let both = ThrottleReasons::SW_POWER_CAP | ThrottleReasons::SW_THERMAL_SLOWDOWN;
        assert_eq!(slowdowns(both), ["power-cap", "thermal-slowdown"]);
    }

    #[test]
    fn without_a_driver_the_reason_is_said() {
        match Monitor::open() {
            Ok(monitor) => assert!(monitor.setup().driver.is_some()),
            Err(reason) => assert!(reason.starts_with("NVML: "), "{reason}"),
        }
    }
}
