//! The driver, its device nodes, each GPU, and the kernels that the program carries.

use std::fs::{self, OpenOptions};
use std::path::{Path, PathBuf};
use std::{env, io};

use host::driver;
use host::error::Bytes;
use host::gpu::Device;
use host::gpu::module::embedded_texts;
use suite::engines::GPU;
use suite::environment::{Environment, Gpu};
use suite::nvml::{self, Survey, Surveyed};

use super::{Finding, State, try_engine};

/// Keys of the sort that shows that a GPU works.
const KEYS: usize = 100_000;
/// The part of a GPU's memory from which on it matters that others hold it.
const HELD: f64 = 0.02;

unsafe extern "C" {
    /// The driver's, through `host::driver`'s table: 34 without one, or from a stub.
    fn cuInit(flags: u32) -> u32;
}

const STUB: u32 = 34;

/// A text of kernels in this program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Carried {
    /// Version of PTX.
    pub ptx: (u32, u32),
    /// Least compute capability.
    pub capability: (u32, u32),
}

/// What was seen.
#[derive(Debug)]
pub struct Facts {
    /// The kernels carried, the newest first.
    pub carried: Vec<Carried>,
    /// Opening the driver.
    pub driver: Result<(), String>,
    /// The file of a driver that is a stub.
    pub stub: Option<String>,
    /// What NVML says of driver and GPUs.
    pub survey: Survey,
    /// Version of the kernel's module, which containers see as well.
    pub module: Option<String>,
    /// Kind of the container that this runs in.
    pub container: Option<String>,
    /// NVIDIA's GPUs on the PCI bus.
    pub on_bus: usize,
    /// Device nodes, and why they cannot be used.
    pub nodes: Vec<(PathBuf, Option<String>)>,
    /// `CUDA_VISIBLE_DEVICES`.
    pub visible: Option<String>,
    /// A sort on the first GPU: the GPU's name.
    pub trial: Result<String, String>,
}

impl Default for Facts {
    fn default() -> Self {
        Self {
            carried: Vec::new(),
            driver: Ok(()),
            stub: None,
            survey: Survey::default(),
            module: None,
            container: None,
            on_bus: 0,
            nodes: Vec::new(),
            visible: None,
            trial: Err(String::new()),
        }
    }
}

impl Facts {
    /// Those of this machine, whose files are below `root`.
    pub fn gather(root: &Path) -> Self {
        // First: a context of ours would count as memory that others hold.
        let survey = nvml::survey().unwrap_or_default();
        let driver = driver::open().map_err(|reason| reason.to_string());
        // SAFETY: no argument is a pointer.
        let is_stub = driver.is_ok() && unsafe { cuInit(0) } == STUB;
        let stub = is_stub.then(|| loaded().unwrap_or_else(|| "libcuda.so.1".to_owned()));
        let trial = match (&driver, is_stub) {
            (Ok(()), false) => sort(),
            _ => Err(String::new()),
        };
        Self {
            carried: embedded_texts().filter_map(carried).collect(),
            driver,
            stub,
            survey,
            module: module(&root.join("proc/driver/nvidia/version")),
            container: Environment::here(None).container,
            on_bus: on_bus(&root.join("sys/bus/pci/devices")),
            nodes: nodes(&root.join("dev")),
            visible: env::var("CUDA_VISIBLE_DEVICES").ok(),
            trial,
        }
    }

    /// True if benchmarks can run on a GPU.
    pub fn runs(&self) -> bool {
        self.trial.is_ok()
    }

    /// The findings.
    pub fn findings(&self) -> Vec<Finding> {
        let mut found = vec![self.kernels(), self.driver()];
        found.extend(self.nodes.iter().filter_map(|(node, problem)| {
            let problem = problem.as_ref()?;
            let node = node.display();
            Some(Finding::amiss(
                State::Fault,
                "device-node",
                format!("{node} cannot be opened: {problem}"),
                format!(
                    "`sudo chmod a+rw {node}`, or `sudo nvidia-modprobe -u -c 0` where it is \
                     missing; a container is given it by --gpus all"
                ),
            ))
        }));
        let gpus = self.survey.gpus.iter().enumerate();
        found.extend(gpus.flat_map(|(index, gpu)| self.gpu(index, gpu)));
        found.extend(self.sort());
        found
    }

    fn kernels(&self) -> Finding {
        if self.carried.is_empty() {
            return Finding::amiss(
                State::Fault,
                "kernels",
                "this program was built without a kernel compiler and carries no kernels",
                "`cargo xtask setup`, then build again",
            );
        }
        let text = |one: &Carried| {
            let (ptx, gpu) = (dotted(one.ptx), dotted(one.capability));
            let (cuda, driver) = needed(one.ptx);
            let cuda = dotted(cuda);
            format!("PTX {ptx} from compute capability {gpu} on (CUDA {cuda}, driver {driver})")
        };
        let texts: Vec<String> = self.carried.iter().map(text).collect();
        Finding::ok("kernels", format!("the program carries {}", texts.join(", and ")))
    }

    fn driver(&self) -> Finding {
        let fault =
            |finding: String, remedy: &str| Finding::amiss(State::Fault, "driver", finding, remedy);
        if let Some(file) = &self.stub {
            let finding = format!("{file} is the CUDA toolkit's stub library and no driver");
            return fault(
                finding,
                "take its folder out of LD_LIBRARY_PATH, and install the driver",
            );
        }
        let Err(reason) = &self.driver else {
            let survey = &self.survey;
            let version = survey.driver.as_deref().unwrap_or("of an unknown version");
            let cuda = survey.cuda.map(|cuda| format!(" (CUDA {})", dotted(cuda)));
            let named = format!("NVIDIA driver {version}{}", cuda.unwrap_or_default());
            return match self.too_old() {
                Some((need, driver)) => fault(
                    format!("{named} is older than the kernels' PTX, which needs CUDA {need}"),
                    &format!("install driver {driver} or later"),
                ),
                None => Finding::ok("driver", named),
            };
        };
        let missing = reason.contains("not found") || reason.contains("No such file");
        match (&self.container, &self.module) {
            (Some(kind), module) if missing => {
                let host = module.as_ref().map_or_else(String::new, |version| {
                    format!(", though its host has driver {version}")
                });
                fault(
                    format!("this {kind} container was given no GPU{host}"),
                    "start it by `docker run --gpus all` with NVIDIA's Container Toolkit on the \
                     host; in Kubernetes, set the limit nvidia.com/gpu: 1",
                )
            }
            (None, Some(module)) if missing => fault(
                format!("the kernel has driver {module}, but libcuda.so.1 is not found"),
                "install the driver's libraries of that version (Debian: libcuda1), or add their \
                 folder to LD_LIBRARY_PATH",
            ),
            (None, None) if missing && self.on_bus > 0 => fault(
                format!("{} NVIDIA GPUs on the PCI bus have no driver", self.on_bus),
                "install NVIDIA's driver, 470 or later (Debian: `sudo apt-get install \
                 nvidia-driver`), and restart",
            ),
            (None, None) if missing => fault(
                "this machine has no NVIDIA GPU and no driver".to_owned(),
                "`cargo xtask bundle` makes an archive that runs on a machine with one",
            ),
            _ => Finding::of_reason(
                State::Fault,
                "driver",
                reason,
                "install the driver of this system again",
            ),
        }
    }

    /// The CUDA, and the driver, that the kernels for the first GPU need beyond what is there.
    fn too_old(&self) -> Option<(String, &'static str)> {
        let capability = self.survey.gpus.first().and_then(|gpu| gpu.capability);
        let fits = |one: &&Carried| capability.is_none_or(|gpu| gpu >= one.capability);
        let taken = self.carried.iter().find(fits)?;
        let (cuda, driver) = needed(taken.ptx);
        (self.survey.cuda? < cuda).then(|| (dotted(cuda), driver))
    }

    fn gpu(&self, index: usize, gpu: &Surveyed) -> Vec<Finding> {
        let amiss = |state, name, finding: String, remedy: String| {
            Finding::amiss(state, name, format!("GPU {index} {finding}"), remedy)
        };
        let least = self.carried.last().map(|one| one.capability);
        let capability = gpu.capability.map_or_else(|| "unknown".to_owned(), dotted);
        let mut found = Vec::new();
        if least.is_some_and(|least| gpu.capability.is_some_and(|found| found < least)) {
            found.push(amiss(
                State::Fault,
                "gpu",
                format!("({}) has compute capability {capability}", gpu.name),
                format!(
                    "use a GPU of {} or later: CUDA_VISIBLE_DEVICES=INDEX chooses among several",
                    dotted(least.unwrap_or_default())
                ),
            ));
        } else {
            let memory = gpu.memory.map(|(_, all)| format!(", {}", Bytes(all)));
            found.push(Finding::ok(
                "gpu",
                format!(
                    "GPU {index} is {}, compute capability {capability}{}",
                    gpu.name,
                    memory.unwrap_or_default()
                ),
            ));
        }
        if gpu.mig {
            found.push(amiss(
                State::Warning,
                "mig",
                "is cut into instances (MIG), and times are those of one".to_owned(),
                format!("`sudo nvidia-smi -i {index} -mig 0` makes it whole"),
            ));
        }
        if let Some(mode) = gpu.restricted {
            found.push(amiss(
                if mode == "Prohibited" { State::Fault } else { State::Warning },
                "compute-mode",
                format!("is in compute mode {mode}, which keeps programs off it"),
                format!("`sudo nvidia-smi -i {index} -c DEFAULT`"),
            ));
        }
        if gpu.uncorrected_errors > 0 {
            found.push(amiss(
                State::Warning,
                "ecc",
                format!("had {} memory errors that were not corrected", gpu.uncorrected_errors),
                format!("`sudo nvidia-smi -i {index} -r` resets it; replace it if they come back"),
            ));
        }
        if let Some((used, all)) = gpu.memory
            && (gpu.programs > 0 || used as f64 > HELD * all as f64)
        {
            found.push(amiss(
                State::Warning,
                "memory-held",
                format!("has {} in use by {} other programs", Bytes(used), gpu.programs),
                format!("end those that `nvidia-smi -i {index}` lists, or wait for them"),
            ));
        }
        if !gpu.slowdowns.is_empty() {
            found.push(amiss(
                State::Warning,
                "slowdown",
                format!("is slowed down by {}", gpu.slowdowns.join(", ")),
                format!(
                    "let it cool, or raise its limits: `nvidia-smi -i {index} -q -d \
                     PERFORMANCE,POWER,TEMPERATURE`"
                ),
            ));
        }
        found
    }

    /// The sort, where there was a driver to try it by.
    fn sort(&self) -> Option<Finding> {
        let reason = match &self.trial {
            Ok(name) => {
                let finding = format!("{name} sorts {KEYS} keys, and the result is right");
                return Some(Finding::ok("sort", finding));
            }
            Err(_) if self.driver.is_err() || self.stub.is_some() => return None,
            Err(reason) => reason,
        };
        Some(match &self.visible {
            Some(visible) if !self.survey.gpus.is_empty() || visible.is_empty() => Finding::amiss(
                State::Fault,
                "visible-devices",
                format!("CUDA_VISIBLE_DEVICES=`{visible}` hides the GPUs that work ({reason})"),
                "`unset CUDA_VISIBLE_DEVICES`, or set it to the index of one: 0",
            ),
            _ => Finding::of_reason(
                State::Fault,
                "sort",
                reason,
                "see what `nvidia-smi` and `sudo dmesg` say of the GPU",
            ),
        })
    }
}

/// Sorts on the first GPU; returns its name.
fn sort() -> Result<String, String> {
    let device = Device::open().map_err(|missing| missing.0)?;
    try_engine(GPU, KEYS, |sorts| !sorts.is_empty())?;
    let described = Gpu::of(&device).map_err(|error| error.to_string())?;
    Ok(described.name)
}

/// The file that the driver's library was loaded from.
fn loaded() -> Option<String> {
    let maps = fs::read_to_string("/proc/self/maps").ok()?;
    let mut paths = maps.lines().filter_map(|line| Some(&line[line.find('/')?..]));
    paths.find(|path| path.contains("libcuda.so")).map(str::to_owned)
}

/// What a text of PTX says at its head.
fn carried(text: &str) -> Option<Carried> {
    let after = |word| {
        let mut lines = text.lines().filter_map(|line| line.strip_prefix(word));
        lines.next().map(str::trim)
    };
    let (major, minor) = after(".version ")?.split_once('.')?;
    let target: u32 = after(".target sm_")?.split(',').next()?.parse().ok()?;
    Some(Carried {
        ptx: (major.parse().ok()?, minor.parse().ok()?),
        capability: (target / 10, target % 10),
    })
}

/// The CUDA that reads this version of PTX, and the first driver of that.
fn needed(ptx: (u32, u32)) -> ((u32, u32), &'static str) {
    let (major, minor) = ptx;
    match 10 * major + minor {
        ..=74 => ((11, 4), "470"),
        75..=78 => ((11, minor), "520"),
        79..=80 => ((12, 0), "525"),
        81..=85 => ((12, minor), "555"),
        86..=89 => ((12, minor + 1), "575"),
        _ => ((major + 4, minor), "580"),
    }
}

fn dotted((major, minor): (u32, u32)) -> String {
    format!("{major}.{minor}")
}

/// The version of the kernel's module: the first word of digits and dots.
fn module(file: &Path) -> Option<String> {
    let text = fs::read_to_string(file).ok()?;
    let is_version = |word: &&str| {
        word.contains('.') && word.bytes().all(|byte| byte == b'.' || byte.is_ascii_digit())
    };
    text.split_whitespace().find(is_version).map(str::to_owned)
}

/// NVIDIA's display controllers below this folder.
fn on_bus(devices: &Path) -> usize {
    let has = |device: &Path, file, start| {
        fs::read_to_string(device.join(file)).is_ok_and(|text: String| text.starts_with(start))
    };
    let Ok(devices) = fs::read_dir(devices) else {
        return 0;
    };
    let paths = devices.filter_map(|device| Some(device.ok()?.path()));
    paths.filter(|path| has(path, "vendor", "0x10de") && has(path, "class", "0x03")).count()
}

/// The device nodes in this folder that computing takes, each with what keeps it from being
/// opened. Where there is one, there are to be those that all GPUs share.
fn nodes(dev: &Path) -> Vec<(PathBuf, Option<String>)> {
    let is_gpu = |name: &str| {
        let number = name.strip_prefix("nvidia");
        number.is_some_and(|rest| !rest.is_empty() && rest.bytes().all(|b| b.is_ascii_digit()))
    };
    let names = fs::read_dir(dev).into_iter().flatten().flatten();
    let names = names.map(|entry| entry.file_name().to_string_lossy().into_owned());
    let mut found: Vec<String> = names.filter(|name| is_gpu(name)).collect();
    let shared = ["nvidiactl", "nvidia-uvm"];
    if !found.is_empty() || shared.iter().any(|name| dev.join(name).exists()) {
        found.extend(shared.map(str::to_owned));
    }
    found.sort();
    let open = |path: &Path| OpenOptions::new().read(true).write(true).open(path);
    let problem = |result: io::Result<fs::File>| result.err().map(|error| error.to_string());
    let paths = found.into_iter().map(|name| dev.join(name));
    paths.map(|path| (path.clone(), problem(open(&path)))).collect()
}

#[cfg(test)]
#[path = "gpu_tests.rs"]
mod tests;
