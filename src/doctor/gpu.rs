//! The driver, its device nodes, each GPU, and the kernels that the program carries.

use std::fs::{self, OpenOptions};
use std::path::{Path, PathBuf};

use host::error::Bytes;
use host::gpu::Device;
use host::gpu::module::embedded_texts;
use suite::engines::GPU;
use suite::nvml::Surveyed;

use super::{Fault, KEYS, Look, Machine, Warning, amiss, amiss_by, try_engine};

/// Share of a GPU's memory from which on it matters that others hold it.
const HELD: f64 = 0.02;

/// A text of kernels in this program: version of PTX, and least compute capability.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Carried {
    pub(super) ptx: (u32, u32),
    pub(super) capability: (u32, u32),
}

pub(super) fn findings(machine: &Machine) -> Vec<(&'static str, Look)> {
    let mut found = vec![("kernels", kernels(&machine.carried)), ("driver", driver(machine))];
    found.extend(machine.closed_nodes.iter().map(|(node, problem)| {
        let node = node.display();
        let remedy = format!(
            "`sudo chmod a+rw {node}`, or `sudo nvidia-modprobe -u -c 0` where it is missing; a \
             container is given it by --gpus all"
        );
        ("device-node", amiss(Fault, format!("{node} cannot be opened: {problem}"), remedy))
    }));
    for (index, gpu) in machine.survey.gpus.iter().enumerate() {
        found.push(("gpu", capability(machine, index, gpu)));
        found.extend(troubles(index, gpu));
    }
    // Without a driver there was nothing to sort by.
    found.extend(machine.driver.is_ok().then(|| first_sort(machine)));
    found
}

fn kernels(carried: &[Carried]) -> Look {
    if carried.is_empty() {
        return amiss(
            Fault,
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
    let texts: Vec<String> = carried.iter().map(text).collect();
    Ok(format!("the program carries {}", texts.join(", and ")))
}

fn driver(machine: &Machine) -> Look {
    let fault = |finding: String, remedy: &str| amiss(Fault, finding, remedy);
    let Err(reason) = &machine.driver else {
        let survey = &machine.survey;
        let version = survey.driver.as_deref().unwrap_or("of an unknown version");
        let cuda = survey.cuda.map(|cuda| format!(" (CUDA {})", dotted(cuda)));
        let named = format!("NVIDIA driver {version}{}", cuda.unwrap_or_default());
        return match too_old(machine) {
            Some((need, driver)) => fault(
                format!("{named} is older than the kernels' PTX, which needs CUDA {need}"),
                &format!("install driver {driver} or later"),
            ),
            None => Ok(named),
        };
    };
    if !reason.finding.starts_with("no NVIDIA driver") {
        return fault(reason.finding.clone(), &reason.remedy);
    }
    match (&machine.container, &machine.module) {
        (Some(kind), module) => {
            let host = module.as_ref().map(|v| format!(", though its host has driver {v}"));
            fault(
                format!("this {kind} container was given no GPU{}", host.unwrap_or_default()),
                "start it by `docker run --gpus all` with NVIDIA's Container Toolkit on the \
                 host; in Kubernetes, set the limit nvidia.com/gpu: 1",
            )
        }
        (None, Some(module)) => fault(
            format!("the kernel has driver {module}, but libcuda.so.1 is not found"),
            "install the driver's libraries of that version (Debian: libcuda1), or add their \
             folder to LD_LIBRARY_PATH",
        ),
        (None, None) if machine.on_bus > 0 => fault(
            format!("{} NVIDIA GPUs on the PCI bus have no driver", machine.on_bus),
            "install NVIDIA's driver, 470 or later (Debian: `sudo apt-get install \
             nvidia-driver`), and restart",
        ),
        (None, None) => fault(
            "this machine has no NVIDIA GPU and no driver".to_owned(),
            "`cargo xtask bundle` makes an archive that runs on a machine with one",
        ),
    }
}

/// The CUDA, and the driver, that the kernels for the first GPU need beyond those installed.
pub(super) fn too_old(machine: &Machine) -> Option<(String, &'static str)> {
    let capability = machine.survey.gpus.first().and_then(|gpu| gpu.capability);
    let fits = |one: &&Carried| capability.is_none_or(|gpu| gpu >= one.capability);
    let (cuda, driver) = needed(machine.carried.iter().find(fits)?.ptx);
    (machine.survey.cuda? < cuda).then(|| (dotted(cuda), driver))
}

fn capability(machine: &Machine, index: usize, gpu: &Surveyed) -> Look {
    let capability = gpu.capability.map_or_else(|| "unknown".to_owned(), dotted);
    let least = machine.carried.last().map(|one| one.capability);
    if let Some(least) = least.filter(|&least| gpu.capability.is_some_and(|of| of < least)) {
        let remedy = "or later: CUDA_VISIBLE_DEVICES=INDEX chooses among several";
        return amiss(
            Fault,
            format!("GPU {index} ({}) has compute capability {capability}", gpu.name),
            format!("use a GPU of {} {remedy}", dotted(least)),
        );
    }
    let memory = gpu.memory.map(|(_, all)| format!(", {}", Bytes(all))).unwrap_or_default();
    let name = &gpu.name;
    Ok(format!("GPU {index} is {name}, compute capability {capability}{memory}"))
}

fn troubles(index: usize, gpu: &Surveyed) -> impl Iterator<Item = (&'static str, Look)> {
    let smi = format!("nvidia-smi -i {index}");
    let mode = gpu.restricted.unwrap_or_default();
    let (used, all) = gpu.memory.unwrap_or_default();
    let held = gpu.programs > 0 || used as f64 > HELD * all as f64;
    let table = [
        (
            gpu.mig,
            Warning,
            "mig",
            "is cut into instances (MIG), and times are those of one".to_owned(),
            format!("`sudo {smi} -mig 0` makes it whole"),
        ),
        (
            gpu.restricted.is_some(),
            if mode == "Prohibited" { Fault } else { Warning },
            "compute-mode",
            format!("is in compute mode {mode}, which keeps programs off it"),
            format!("`sudo {smi} -c DEFAULT`"),
        ),
        (
            gpu.uncorrected_errors > 0,
            Warning,
            "ecc",
            format!("had {} memory errors that were not corrected", gpu.uncorrected_errors),
            format!("`sudo {smi} -r` resets it; replace it if they come back"),
        ),
        (
            gpu.memory.is_some() && held,
            Warning,
            "memory-held",
            format!("has {} in use by {} other programs", Bytes(used), gpu.programs),
            format!("end those that `{smi}` lists, or wait for them"),
        ),
        (
            !gpu.slowdowns.is_empty(),
            Warning,
            "slowdown",
            format!("is slowed down by {}", gpu.slowdowns.join(", ")),
            format!(
                "let it cool, or raise its limits: `{smi} -q -d PERFORMANCE,POWER,TEMPERATURE`"
            ),
        ),
    ];
    let found = table.into_iter().filter(|row| row.0);
    found.map(move |(_, state, name, finding, remedy)| {
        (name, amiss(state, format!("GPU {index} {finding}"), remedy))
    })
}

fn first_sort(machine: &Machine) -> (&'static str, Look) {
    match (&machine.gpu_sort, &machine.visible) {
        (Ok(name), _) => ("sort", Ok(format!("{name} sorts {KEYS} keys, and the result is right"))),
        (Err(reason), Some(visible)) if visible.is_empty() || !machine.survey.gpus.is_empty() => {
            let finding =
                format!("CUDA_VISIBLE_DEVICES=`{visible}` hides the GPUs that work ({reason})");
            let remedy = "`unset CUDA_VISIBLE_DEVICES`, or set it to the index of one: 0";
            ("visible-devices", amiss(Fault, finding, remedy))
        }
        (Err(reason), _) => {
            let otherwise = "see what `nvidia-smi` and `sudo dmesg` say of the GPU";
            ("sort", amiss_by(Fault, reason, otherwise))
        }
    }
}

/// Sorts on the first GPU; returns its name.
pub(super) fn sort() -> Result<String, String> {
    let device = Device::open().map_err(|missing| missing.0)?;
    try_engine(GPU, |sorts| !sorts.is_empty())?;
    Ok(device.name.clone())
}

/// The kernels in this program.
pub(super) fn carried() -> Vec<Carried> {
    embedded_texts().filter_map(head).collect()
}

/// The statements at the head of a PTX text.
pub(super) fn head(text: &str) -> Option<Carried> {
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

/// The CUDA that reads this version of PTX, and the first driver of that CUDA.
pub(super) fn needed((major, minor): (u32, u32)) -> ((u32, u32), &'static str) {
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
pub(super) fn module(file: &Path) -> Option<String> {
    let text = fs::read_to_string(file).ok()?;
    let is_version =
        |word: &&str| word.contains('.') && word.bytes().all(|b| b == b'.' || b.is_ascii_digit());
    text.split_whitespace().find(is_version).map(str::to_owned)
}

/// Number of NVIDIA's display controllers below this folder.
pub(super) fn on_bus(devices: &Path) -> usize {
    let has = |device: &Path, file, start| {
        fs::read_to_string(device.join(file)).is_ok_and(|text| text.starts_with(start))
    };
    let devices = fs::read_dir(devices).into_iter().flatten().flatten();
    let paths = devices.map(|device| device.path());
    paths.filter(|path| has(path, "vendor", "0x10de") && has(path, "class", "0x03")).count()
}

/// The device nodes in this folder that computing takes and that cannot be opened. Where
/// there is one, there are to be those that all GPUs share.
pub(super) fn closed_nodes(dev: &Path) -> Vec<(PathBuf, String)> {
    let is_gpu = |name: &str| {
        let number = name.strip_prefix("nvidia");
        number.is_some_and(|rest| !rest.is_empty() && rest.bytes().all(|b| b.is_ascii_digit()))
    };
    let names = fs::read_dir(dev).into_iter().flatten().flatten();
    let names = names.map(|entry| entry.file_name().to_string_lossy().into_owned());
    let mut nodes: Vec<String> = names.filter(|name| is_gpu(name)).collect();
    let shared = ["nvidiactl", "nvidia-uvm"];
    if !nodes.is_empty() || shared.iter().any(|name| dev.join(name).exists()) {
        nodes.extend(shared.map(str::to_owned));
    }
    nodes.sort();
    let paths = nodes.into_iter().map(|name| dev.join(name));
    let closed = paths.filter_map(|path| {
        let error = OpenOptions::new().read(true).write(true).open(&path).err()?;
        Some((path, error.to_string()))
    });
    closed.collect()
}
