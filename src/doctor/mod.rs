//! Finds what a machine lacks for benchmarks, and says what to type.
//!
//! `Machine::here` looks at the machine once; the findings are functions of that plain
//! data alone, so that a test fakes the cause of each.

mod build;
mod cpu;
mod gpu;
mod python;
#[cfg(test)]
mod tests;

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use host::driver::Reason;
use serde::Serialize;
use suite::environment::{self, Environment};
use suite::lines::VERSION;
use suite::memory::Room;
use suite::nvml::Survey;
use suite::workload::DEFAULT_SEED;
use suite::{Case, Error, Registry};

use State::{Fault, Note, Ok as Well, Warning};

/// Number of keys in the sorts that show that an engine works.
const KEYS: usize = 100_000;

/// How much a finding matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
enum State {
    /// All is well.
    Ok,
    /// Something is absent that is not in use.
    Note,
    /// Benchmarks run, but some are skipped or their times may mislead.
    Warning,
    /// Benchmarks cannot run.
    Fault,
}

/// A sentence on one subject, with the remedy where something is amiss.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
struct Finding {
    name: &'static str,
    state: State,
    finding: String,
    remedy: Option<String>,
}

/// Outcome of a look at a subject: a sentence where all is well, or else its state, a
/// sentence and the remedy.
type Look = Result<String, (State, String, String)>;

fn amiss(state: State, finding: impl Into<String>, remedy: impl Into<String>) -> Look {
    Err((state, finding.into(), remedy.into()))
}

/// A finding from a reason that ends in its remedy; `otherwise` if it has none.
fn amiss_by(state: State, reason: &str, otherwise: &str) -> Look {
    let (finding, remedy) = reason.split_once("; ").unwrap_or((reason, otherwise));
    amiss(state, finding, remedy)
}

impl Finding {
    fn of((name, look): (&'static str, Look)) -> Self {
        match look {
            Ok(finding) => Self { name, state: Well, finding, remedy: None },
            Err((state, finding, remedy)) => Self { name, state, finding, remedy: Some(remedy) },
        }
    }
}

/// The state of a machine, as far as benchmarks depend on it.
struct Machine {
    /// Kernels in the program, the newest first.
    carried: Vec<gpu::Carried>,
    driver: Result<(), Reason>,
    /// Driver and GPUs, as NVML has them.
    survey: Survey,
    /// Version of the kernel's module, which containers see as well.
    module: Option<String>,
    container: Option<String>,
    /// Number of NVIDIA's GPUs on the PCI bus.
    on_bus: usize,
    /// Device nodes that cannot be used, each with the reason.
    closed_nodes: Vec<(PathBuf, String)>,
    /// `CUDA_VISIBLE_DEVICES`.
    visible: Option<String>,
    /// A sort on the first GPU: the GPU's name.
    gpu_sort: Result<String, String>,

    /// Number of cores that this process may use, and of all.
    cores: usize,
    online_cores: Option<usize>,
    /// Governor of the CPU's clock.
    governor: Option<String>,
    memory: Option<Room>,
    /// The error, where the classic workload does not fit into the memory.
    classic: Result<(), String>,
    cpu_sort: Result<cpu::Noise, String>,

    /// The checkout that the program was built in is here.
    checkout: bool,
    /// Compiler of the kernels; not looked for without a checkout, or cargo.
    kernel_compiler: Option<Result<String, String>>,
    cargo: Result<String, String>,
    /// git, asked of the checkout.
    git: Result<String, String>,
    /// The linker, as rustc calls it.
    linker: Result<String, String>,
    nvcc: Result<String, String>,
    /// Pythons, the one that peers run in first.
    pythons: Vec<python::Python>,
}

impl Machine {
    /// The state of this machine. Takes seconds.
    fn here() -> Self {
        // First: a context of ours would count as memory that others hold.
        let survey = suite::nvml::survey().unwrap_or_default();
        let found = Environment::here(None);
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let checkout = root.join("gpu-kernels/Cargo.toml").is_file();
        let inside = if checkout { root } else { Path::new(".") };
        let cargo = build::run("cargo", &["--version"], inside);
        Self {
            carried: gpu::carried(),
            driver: host::driver::open(),
            survey,
            module: gpu::module(Path::new("/proc/driver/nvidia/version")),
            container: found.container,
            on_bus: gpu::on_bus(Path::new("/sys/bus/pci/devices")),
            closed_nodes: gpu::closed_nodes(Path::new("/dev")),
            visible: std::env::var("CUDA_VISIBLE_DEVICES").ok(),
            gpu_sort: gpu::sort(),
            cores: environment::cores(),
            online_cores: cpu::online_cores(),
            governor: found.governor,
            memory: suite::memory::available(),
            classic: cpu::classic(),
            cpu_sort: cpu::noise(),
            checkout,
            kernel_compiler: (checkout && cargo.is_ok()).then(|| build::kernel_compiler(root)),
            cargo,
            git: build::git(inside, checkout),
            linker: build::link(),
            nvcc: build::nvcc(),
            pythons: python::pythons(),
        }
    }
}

/// All findings.
#[derive(Debug, Serialize)]
pub struct Report {
    version: u32,
    /// `gpu`, `cpu` or `nothing`.
    can_run: &'static str,
    /// Exit code of the command.
    pub exit_code: u8,
    findings: Vec<Finding>,
}

impl Report {
    /// The findings on this machine. Takes seconds.
    pub fn here() -> Self {
        Self::of(&Machine::here())
    }

    fn of(machine: &Machine) -> Self {
        let (can_run, exit_code) = match (&machine.gpu_sort, &machine.cpu_sort) {
            (Ok(_), _) => ("gpu", 0),
            (Err(_), Ok(_)) => ("cpu", 3),
            (Err(_), Err(_)) => ("nothing", 1),
        };
        let areas = [gpu::findings, cpu::findings, build::findings, python::findings];
        let found = areas.iter().flat_map(|findings| findings(machine));
        Self { version: VERSION, can_run, exit_code, findings: found.map(Finding::of).collect() }
    }

    /// One line for each finding, and one below it for the remedy.
    pub fn text(&self) -> String {
        let mut text = String::new();
        for finding in &self.findings {
            let state = format!("{:?}", finding.state).to_lowercase();
            // A String takes all that is written to it.
            let _ = writeln!(text, "{state:8} {:16} {}", finding.name, finding.finding);
            if let Some(remedy) = &finding.remedy {
                let _ = writeln!(text, "{:25} remedy: {remedy}", "");
            }
        }
        text + match self.can_run {
            "gpu" => "\nBenchmarks can run on the GPU and on the CPU.\n",
            "cpu" => "\nBenchmarks can run on the CPU; those of a GPU are skipped.\n",
            _ => "\nNo benchmark can run.\n",
        }
    }

    /// One object.
    pub fn json(&self) -> String {
        // Its fields are numbers and texts, which always become JSON.
        serde_json::to_string_pretty(self).unwrap_or_default() + "\n"
    }
}

/// Has an engine sort until it is `enough` of the seconds that each sort took.
fn try_engine(name: &str, mut enough: impl FnMut(&[f64]) -> bool) -> Result<Vec<f64>, String> {
    let words = |error: Error| match error.lacks() {
        Some(reason) => reason.to_owned(),
        None => error.into_cause().to_string(),
    };
    let case = Case::classic(name, KEYS, 1);
    let mut runner = Registry::new(DEFAULT_SEED).build(&case).map_err(words)?;
    let mut seconds = Vec::new();
    while !enough(&seconds) {
        seconds.extend(runner.once().map_err(words)?.host_s);
    }
    Ok(seconds)
}
