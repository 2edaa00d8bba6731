//! Clocks, power and temperature of each GPU while it is measured, and reasons why it
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

/// The library, opened.
pub struct Monitor {
    nvml: Nvml,
    /// Its numbers of the GPUs that CUDA shows, in CUDA's order, where it has them.
    indices: Vec<Option<u32>>,
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

/// The readings of one GPU among several, over the samples of a case.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Watched {
    /// Least clock of the multiprocessors, in hertz.
    pub sm_clock_min_hz: Option<f64>,
    /// Most power drawn, in watts.
    pub power_max_w: Option<f64>,
    /// Highest temperature of the chip, in degrees Celsius.
    pub temperature_max_c: Option<f64>,
    /// Samples after which there was a reason for a lower speed.
    pub slowed: usize,
    /// Those reasons.
    pub slowdowns: Vec<String>,
}

impl Watched {
    /// The summary of the `readings` of one GPU.
    fn of<'a>(readings: impl Iterator<Item = &'a Reading> + Clone) -> Self {
        let all = |figure: fn(&Reading) -> Option<f64>| readings.clone().filter_map(figure);
        Self {
            sm_clock_min_hz: all(|reading| reading.sm_clock_hz).reduce(f64::min),
            power_max_w: all(|reading| reading.power_w).reduce(f64::max),
            temperature_max_c: all(|reading| reading.temperature_c).reduce(f64::max),
            slowed: readings.clone().filter(|reading| !reading.slowdowns.is_empty()).count(),
            slowdowns: reasons(readings),
        }
    }

    /// For each of several GPUs, its readings after each sample of a case; none of a case on one.
    pub fn each(samples: &[Vec<Reading>]) -> Vec<Self> {
        let gpus = samples.iter().map(Vec::len).max().unwrap_or(0);
        let of = |gpu| Self::of(samples.iter().filter_map(move |all| all.get(gpu)));
        (0..gpus).map(of).collect()
    }
}

/// The reasons for a lower speed in any of `readings`, each once.
pub fn reasons<'a>(readings: impl Iterator<Item = &'a Reading>) -> Vec<String> {
    let mut reasons: Vec<String> = Vec::new();
    for reason in readings.flat_map(|reading| &reading.slowdowns) {
        if !reasons.contains(reason) {
            reasons.push(reason.clone());
        }
    }
    reasons
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
    /// The monitor of the GPUs that CUDA shows, of which NVML has the first.
    pub fn open() -> Result<Self, String> {
        let nvml = load()?;
        let indices = find(&nvml)?;
        Ok(Self { nvml, indices })
    }

    /// GPU `gpu` of those that CUDA shows.
    fn device(&self, gpu: usize) -> Option<Device<'_>> {
        self.nvml.device_by_index((*self.indices.get(gpu)?)?).ok()
    }

    /// GPUs that CUDA shows.
    pub fn count(&self) -> usize {
        self.indices.len()
    }

    /// How a GPU is set up, 0 being the first that CUDA shows. What it does not say is `None`.
    pub fn setup(&self, gpu: usize) -> Setup {
        let driver = self.nvml.sys_driver_version().ok();
        let Some(device) = self.device(gpu) else {
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

    /// Joules that the first `gpus` have taken together since the driver was loaded, where each
    /// counts them (from Volta on). The counters move in steps of some ten milliseconds.
    pub fn energy_j(&self, gpus: usize) -> Option<f64> {
        let of = |gpu| Some(self.device(gpu)?.total_energy_consumption().ok()? as f64 / 1e3);
        (0..gpus).map(of).sum()
    }

    /// The state of each of the first `gpus` now.
    pub fn read(&self, gpus: usize) -> Vec<Reading> {
        let of = |gpu| self.device(gpu).map_or_else(Reading::default, |device| reading(&device));
        (0..gpus).map(of).collect()
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

/// NVML's index of each GPU that CUDA shows, where it has one. It has that of the first.
fn find(nvml: &Nvml) -> Result<Vec<Option<u32>>, String> {
    let count = nvml.device_count().map_err(|error| format!("NVML: {error}"))?;
    let listed = |index| nvml.device_by_index(index).ok()?.uuid().ok();
    let all: Vec<Option<String>> = (0..count).map(listed).collect();
    let index = |gpu| {
        let uuid = uuid(gpu)?;
        let index = all.iter().position(|listed| listed.as_ref() == Some(&uuid))?;
        Some(index as u32)
    };
    let shown = cust::device::Device::num_devices().unwrap_or(0).max(1);
    let mut indices: Vec<Option<u32>> = (0..shown).map(index).collect();
    match indices[0] {
        Some(_) => Ok(indices),
        // An instance of a GPU that is cut into several has an identity of its own.
        None if count == 1 => {
            indices[0] = Some(0);
            Ok(indices)
        }
        None => Err("NVML: the GPU is not among those it shows".to_owned()),
    }
}

/// The identity of a GPU that CUDA shows, as NVML writes it.
fn uuid(gpu: u32) -> Option<String> {
    let device = cust::device::Device::get_device(gpu).ok()?;
    let mut uuid = sys::CUuuid { bytes: [0; 16] };
    // SAFETY: the pointer is to an identity that lives through the call.
    let status = unsafe { sys::cuDeviceGetUuid(&mut uuid, device.as_raw()) };
    if status != sys::cudaError_enum::CUDA_SUCCESS {
        return None;
    }
    let hex = format!("{:032x}", u128::from_be_bytes(uuid.bytes.map(|byte| byte as u8)));
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
    fn each_of_several_gpus_is_watched_by_itself() {
        let reading = |clock, slowdowns: &[&str]| Reading {
            sm_clock_hz: Some(clock),
            slowdowns: slowdowns.iter().map(|&reason| reason.to_owned()).collect(),
            ..Reading::default()
        };
        let samples = [
            vec![reading(2e9, &[]), reading(1.5e9, &["power-cap"])],
            vec![reading(1.9e9, &[]), reading(1.7e9, &["power-cap", "thermal-slowdown"])],
        ];
        let [first, second] = &Watched::each(&samples)[..] else {
            panic!("two GPUs");
        };
        assert_eq!((first.sm_clock_min_hz, first.slowed), (Some(1.9e9), 0));
        assert_eq!((second.sm_clock_min_hz, second.slowed), (Some(1.5e9), 2));
        assert_eq!(second.slowdowns, ["power-cap", "thermal-slowdown"]);
        assert_eq!(second.power_max_w, None);
        assert_eq!(Watched::each(&[Vec::new(), Vec::new()]), []);
    }

    #[test]
    fn without_a_driver_the_reason_is_said() {
        match Monitor::open() {
            Ok(monitor) => assert!(monitor.setup(0).driver.is_some()),
            Err(reason) => assert!(reason.starts_with("NVML: "), "{reason}"),
        }
    }
}
