//! The machine, sources and tools that results are of. Each figure has its unit in the name
//! of its field (`_s` seconds, `_bytes`).

use std::env;
use std::fs;
use std::io;
use std::path::Path;
use std::process::Command;
use std::thread;
use std::time::UNIX_EPOCH;

use cust::device::DeviceAttribute;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use sysinfo::{CpuRefreshKind, MemoryRefreshKind, RefreshKind, System};

use crate::nvml::{Monitor, Setup};
use host::gpu::{self, Device, module};

/// Environment variable that names the commit where there is no checkout to ask, as
/// in a bundle: the hash, with `-dirty` after it if the sources differed from it.
pub const COMMIT_VARIABLE: &str = "CUDAMARK_COMMIT";

/// A GPU and the driver it is used through.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gpu {
    /// Product name, as the driver reports it.
    pub name: String,
    /// Version of CUDA that the driver supports: `13.0`.
    pub driver_cuda: String,
    /// Compute capability: `9.0`.
    pub compute_capability: String,
    /// Device memory in bytes.
    pub memory_bytes: u64,
    /// Number of multiprocessors.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub multiprocessors: Option<u32>,
    /// Clock that CUDA names for them, in hertz: the highest, whatever it is at a moment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sm_clock_nominal_hz: Option<u64>,
}

/// Identity of a machine: times of one machine compare. It is the
/// hardware, and neither what of it a process may use (`taskset`, a CPU quota), nor what is
/// installed, nor how much memory there is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Machine {
    /// Model of the CPU.
    pub cpu: Option<String>,
    /// Logical CPUs that are there, in use or not: `0-63`.
    pub cpus: Option<String>,
    /// Instruction set: `x86_64`.
    pub arch: String,
    /// Product name of the GPU that CUDA shows first, used or not.
    pub gpu: Option<String>,
}

impl Machine {
    /// This machine; `used` is its GPU where that has been opened.
    fn here(used: Option<&Gpu>, cpu: Option<&str>) -> Self {
        let cpus = fs::read_to_string("/sys/devices/system/cpu/present").ok();
        Self {
            cpu: cpu.map(str::to_owned),
            cpus: cpus.map(|text| text.trim().to_owned()),
            arch: env::consts::ARCH.to_owned(),
            gpu: used.map(|gpu| gpu.name.clone()).or_else(gpu_name),
        }
    }

    fn id(&self) -> String {
        short_hash(self)
    }
}

/// Name of the GPU that CUDA shows first. The kernel's module says it at once if its GPUs
/// are of one model and not cut into instances; else the driver is started.
fn gpu_name() -> Option<String> {
    match models(Path::new("/proc/driver/nvidia")) {
        Some(model) => Some(model),
        None => gpus().into_iter().next(),
    }
}

/// The one model of all GPUs under this folder of the kernel's module.
fn models(folder: &Path) -> Option<String> {
    let capabilities = fs::read_dir(folder.join("capabilities"));
    let is_cut =
        |gpu: &Path| fs::read_dir(gpu.join("mig")).is_ok_and(|mut any| any.any(is_instance));
    if capabilities.is_ok_and(|gpus| gpus.flatten().any(|gpu| is_cut(&gpu.path()))) {
        return None;
    }
    let mut gpus = fs::read_dir(folder.join("gpus")).ok()?.flatten();
    let model = |gpu: fs::DirEntry| {
        let text = fs::read_to_string(gpu.path().join("information")).ok()?;
        let line = text.lines().find_map(|line| line.strip_prefix("Model:"))?;
        Some(line.trim().to_owned())
    };
    let first = model(gpus.next()?)?;
    gpus.all(|gpu| model(gpu).as_ref() == Some(&first)).then_some(first)
}

fn is_instance(entry: io::Result<fs::DirEntry>) -> bool {
    entry.is_ok_and(|entry| entry.file_name().to_string_lossy().starts_with("gi"))
}

/// Sources, tools and machine. What could not be found out is `None`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Environment {
    /// Seconds since 1970-01-01 00:00 UTC when this was taken.
    pub unix_time_s: u64,
    /// Commit of the checkout that the program was built in.
    pub commit: Option<String>,
    /// True if tracked files there differ from the commit.
    pub dirty: Option<bool>,
    /// Compiler of the host code.
    pub toolchain: String,
    /// True if the host code was built with debug assertions, which slow it down.
    pub debug_assertions: bool,
    /// SHA-256 of the kernels' PTX that the program holds, in hexadecimal: the same
    /// kernels have the same. `None` where it was built without a kernel compiler.
    #[serde(default)]
    pub ptx_sha256: Option<String>,
    /// Identity of the machine. Older records have none.
    #[serde(default)]
    pub machine: Machine,
    /// Model of the CPU.
    pub cpu: Option<String>,
    /// Governor of the CPU's clock: `performance`, `schedutil`, ...
    #[serde(default)]
    pub governor: Option<String>,
    /// Logical cores that this process may use.
    pub cores: usize,
    /// Physical cores of the machine.
    pub physical_cores: Option<usize>,
    /// Memory of the machine in bytes.
    pub memory_bytes: Option<u64>,
    /// Operating system and its version.
    pub os: Option<String>,
    /// Version of its kernel.
    pub kernel: Option<String>,
    /// Instruction set: `x86_64`.
    pub arch: String,
    /// Kind of container the process seems to run in.
    pub container: Option<String>,
    /// The GPU that was used, if one was.
    pub gpu: Option<Gpu>,
    /// Names of all GPUs that CUDA shows, if there are several.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub gpus: Vec<String>,
    /// True if they reach each other's memory; else copies between them go through the host.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gpu_peers: Option<bool>,
    /// How that GPU was set up, where NVML says.
    #[serde(default)]
    pub gpu_setup: Option<Setup>,
    /// The same of the other GPUs that CUDA shows.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub other_gpu_setups: Vec<Setup>,
}

impl Gpu {
    /// The description of `device`.
    pub fn of(device: &Device) -> Result<Self, host::Error> {
        let (major, minor) = device.capability;
        let clock = cust::device::Device::get_device(device.index)
            .and_then(|device| device.get_attribute(DeviceAttribute::ClockRate));
        let hertz =
            |kilohertz| u64::try_from(kilohertz).ok().filter(|&of| of > 0).map(|of| of * 1000);
        Ok(Self {
            name: device.name.clone(),
            driver_cuda: device.driver.clone(),
            compute_capability: format!("{major}.{minor}"),
            memory_bytes: device.memory()?.1,
            multiprocessors: Some(device.multiprocessors),
            sm_clock_nominal_hz: clock.ok().and_then(hertz),
        })
    }
}

impl Environment {
    /// This machine and the checkout this program was built in, as they are now.
    pub fn here(gpu: Option<Gpu>) -> Self {
        let (commit, dirty) = commit();
        let wanted = RefreshKind::nothing()
            .with_cpu(CpuRefreshKind::nothing())
            .with_memory(MemoryRefreshKind::nothing().with_ram());
        let system = System::new_with_specifics(wanted).ok();
        let cpu = system.as_ref().and_then(|system| system.cpus().first());
        let cpu = cpu.map(|cpu| cpu.brand().trim().to_owned());
        let monitor = gpu.as_ref().and_then(|_| Monitor::open().ok());
        let several = gpu.is_some() && gpus().len() > 1;
        Self {
            unix_time_s: now() as u64,
            commit,
            dirty,
            toolchain: rustc_version_runtime::version_meta().short_version_string,
            debug_assertions: cfg!(debug_assertions),
            ptx_sha256: module::embedded_sha256().map(str::to_owned),
            governor: governor(),
            machine: Machine::here(gpu.as_ref(), cpu.as_deref()),
            cpu,
            cores: cores(),
            physical_cores: System::physical_core_count().ok(),
            memory_bytes: system.as_ref().map(System::total_memory),
            os: System::long_os_version().ok(),
            kernel: System::kernel_version().ok(),
            arch: env::consts::ARCH.to_owned(),
            container: container(),
            gpus: if several { gpus() } else { Vec::new() },
            gpu_peers: several.then(gpu::devices::are_peers).flatten(),
            gpu_setup: monitor.as_ref().map(|monitor| monitor.setup(0)),
            other_gpu_setups: monitor.map_or_else(Vec::new, |monitor| {
                (1..monitor.count()).map(|gpu| monitor.setup(gpu)).collect()
            }),
            gpu,
        }
    }

    /// A short name for all of this but the time: two runs of the same build on the
    /// same machine have the same.
    pub fn id(&self) -> String {
        let timeless = Self { unix_time_s: 0, ..self.clone() };
        short_hash(&timeless)
    }

    /// Name of the GPU that was used, or else of the CPU.
    pub fn processor(&self) -> Option<&str> {
        self.gpu.as_ref().map(|gpu| gpu.name.as_str()).or(self.cpu.as_deref())
    }

    /// The commit, `-dirty` after it if the sources differed from it.
    pub fn described(&self) -> Option<String> {
        let mark = if self.dirty == Some(true) { "-dirty" } else { "" };
        self.commit.as_ref().map(|commit| format!("{commit}{mark}"))
    }

    /// A short name for the machine alone, whatever was built and run on it.
    pub fn machine_id(&self) -> String {
        self.machine.id()
    }
}

/// A short name for what these say.
pub(crate) fn short_hash(fields: &impl Serialize) -> String {
    // They are numbers and texts, which always become JSON.
    let json = serde_json::to_vec(fields).unwrap_or_default();
    hexadecimal(&Sha256::digest(json)[..6])
}

/// Seconds since 1970-01-01 00:00 UTC.
pub fn now() -> f64 {
    UNIX_EPOCH.elapsed().map_or(0.0, |since| since.as_secs_f64())
}

/// Two digits a byte.
pub fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Governor of the first core's clock, on a Linux that says.
fn governor() -> Option<String> {
    let path = "/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor";
    let text = fs::read_to_string(path).ok()?;
    Some(text.trim().to_owned())
}

/// Logical cores that this process may use, 1 if the system does not say.
pub fn cores() -> usize {
    thread::available_parallelism().map_or(1, usize::from)
}

/// Names of the GPUs that CUDA shows.
pub fn gpus() -> Vec<String> {
    gpu::device::names()
}

/// Commit and dirty flag, from [`COMMIT_VARIABLE`] or else from git.
fn commit() -> (Option<String>, Option<bool>) {
    if let Ok(given) = env::var(COMMIT_VARIABLE) {
        return match given.strip_suffix("-dirty") {
            Some(commit) => (Some(commit.to_owned()), Some(true)),
            None => (Some(given), Some(false)),
        };
    }
    let checkout = Path::new(env!("CARGO_MANIFEST_DIR"));
    let git = |arguments: &[&str]| {
        let output = Command::new("git").arg("-C").arg(checkout).args(arguments).output();
        let output = output.ok().filter(|output| output.status.success())?;
        Some(String::from_utf8_lossy(&output.stdout).trim().to_owned())
    };
    let dirty = git(&["status", "--porcelain", "--untracked-files=no"]);
    (git(&["rev-parse", "HEAD"]), dirty.map(|changes| !changes.is_empty()))
}

/// The marks that container runtimes leave.
fn container() -> Option<String> {
    if let Ok(kind) = env::var("container") {
        return Some(kind);
    }
    let marks = [
        ("/.dockerenv", "docker"),
        ("/run/.containerenv", "podman"),
        ("/var/run/secrets/kubernetes.io", "kubernetes"),
    ];
    let mark = marks.iter().find(|(path, _)| Path::new(path).exists())?;
    Some(mark.1.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_environment_of_a_test_is_known() {
        let environment = Environment::here(None);
        assert!(environment.toolchain.starts_with("rustc 1."), "{environment:?}");
        assert!(environment.cores >= 1);
        assert!(environment.unix_time_s > 1_700_000_000);
        if let Some(commit) = &environment.commit {
            assert!(!commit.is_empty());
            assert!(environment.dirty.is_some());
        }
    }

    #[test]
    fn an_id_is_of_the_build_and_a_machine_id_of_the_machine() {
        type Change = fn(&mut Environment);
        fn other() -> Option<String> {
            Some("another".to_owned())
        }
        let here = Environment::here(None);
        // Changes, and if the environment then has another id. The machine's stays.
        let changes: [(Change, bool); 8] = [
            (|of| of.unix_time_s = 0, false),
            (|of| (of.commit, of.ptx_sha256) = (other(), other()), true),
            (|of| of.cores += 1, true),
            (|of| of.physical_cores = Some(999), true),
            (|of| of.governor = other(), true),
            (|of| (of.kernel, of.os) = (other(), other()), true),
            (|of| of.memory_bytes = Some(1), true),
            (|of| of.container = other(), true),
        ];
        for (number, (change, is_other)) in changes.into_iter().enumerate() {
            let mut changed = here.clone();
            change(&mut changed);
            assert_eq!(changed.id() != here.id(), is_other, "change {number}");
            assert_eq!(changed.machine_id(), here.machine_id(), "change {number}");
        }
    }

    #[test]
    fn machines_with_other_gpus_or_cpus_have_other_ids() {
        let machine = |gpu: &str, cpus: &str| Machine {
            gpu: Some(gpu.to_owned()),
            cpus: Some(cpus.to_owned()),
            ..Machine::default()
        };
        let ids = [
            machine("NVIDIA H100 80GB HBM3", "0-63").id(),
            machine("NVIDIA H200", "0-63").id(),
            machine("NVIDIA H200", "0-127").id(),
            Machine::default().id(),
        ];
        let all: std::collections::BTreeSet<&String> = ids.iter().collect();
        assert_eq!(all.len(), ids.len());
    }

    #[test]
    fn a_gpu_has_the_same_name_whether_it_was_used_or_not() {
        let used = |gpu: &Gpu| Machine::here(Some(gpu), None);
        let gpu = Gpu {
            name: gpu_name().unwrap_or_else(|| "NVIDIA H200".to_owned()),
            driver_cuda: "13.0".to_owned(),
            ..Gpu::default()
        };
        let newer = Gpu { driver_cuda: "13.1".to_owned(), ..gpu.clone() };
        assert_eq!(used(&gpu), used(&newer));
        if gpu_name().is_some() {
            assert_eq!(used(&gpu), Machine::here(None, None));
        }
    }

    #[test]
    fn gpus_are_named_by_the_kernels_module_if_they_are_of_one_model() {
        let folder = tempfile::tempdir().unwrap();
        let write = |path: &str, text: &str| {
            let path = folder.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        };
        assert_eq!(models(folder.path()), None);
        write("gpus/0000:01:00.0/information", "Model: \t\t NVIDIA H200\nIRQ:   1\n");
        write("gpus/0000:02:00.0/information", "Model: \t\t NVIDIA H200\nIRQ:   2\n");
        write("capabilities/gpu0/mig/config", "");
        assert_eq!(models(folder.path()).as_deref(), Some("NVIDIA H200"));
        write("capabilities/gpu0/mig/gi3/access", "");
        assert_eq!(models(folder.path()), None);
        fs::remove_dir_all(folder.path().join("capabilities")).unwrap();
        write("gpus/0000:03:00.0/information", "Model: \t\t NVIDIA A10\n");
        assert_eq!(models(folder.path()), None);
    }

    #[test]
    fn an_environment_is_read_as_it_was_written() {
        let here = Environment::here(None);
        let json = serde_json::to_string(&here).unwrap();
        assert_eq!(serde_json::from_str::<Environment>(&json).unwrap(), here);
    }
}
