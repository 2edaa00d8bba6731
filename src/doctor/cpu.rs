//! The CPU: its cores, clock and memory, and how much the time of one sort varies.

use std::time::{Duration, Instant};

use host::error::Bytes;
use procfs::{CpuInfo, Current};
use suite::engine::require_memory;
use suite::engines::CPU_STD;
use suite::workload::CLASSIC_N;
use suite::{Error, registry};

use super::{Fault, Finding, Machine, Warning, try_engine};

/// Time for the sorts, and the fewest of them that tell.
const TIME: Duration = Duration::from_millis(1500);
const SORTS: usize = 20;
/// Variation from which on times are noisy.
const NOISY: f64 = 0.10;

/// Times of one sort, in seconds: the median, and the one that nine of ten stay below.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Noise {
    pub(super) median_s: f64,
    pub(super) high_s: f64,
}

pub(super) fn findings(machine: &Machine) -> Vec<Finding> {
    vec![cores(machine), clock(machine), memory(machine), variation(machine)]
}

fn cores(machine: &Machine) -> Finding {
    let cores = machine.cores;
    match machine.online_cores {
        Some(online) if online > cores => Finding::amiss(
            Warning,
            "cores",
            format!("{cores} of {online} cores may be used"),
            "levels above share them: `taskset -cp $$` shows which, and a container's quota is \
             set by --cpus",
        ),
        _ => Finding::ok("cores", format!("all {cores} cores may be used")),
    }
}

fn clock(machine: &Machine) -> Finding {
    match machine.governor.as_deref() {
        Some("performance") => Finding::ok("governor", "the CPU's governor is performance"),
        Some(other) => Finding::amiss(
            Warning,
            "governor",
            format!("the CPU's governor is {other}, so its clock depends on what ran before"),
            "`sudo cpupower frequency-set -g performance`",
        ),
        None => Finding::ok("governor", "the system does not say what sets the CPU's clock"),
    }
}

fn memory(machine: &Machine) -> Finding {
    match (&machine.classic, &machine.memory) {
        (Err(reason), _) => Finding::amiss(
            Warning,
            "memory",
            reason.split("; ").next().unwrap_or(reason),
            "lift the limit (`ulimit -v unlimited`, a container's --memory), or give `--n` a \
             smaller number",
        ),
        (Ok(()), Some(room)) => {
            Finding::ok("memory", format!("{} of {} are available", Bytes(room.bytes), room.what))
        }
        (Ok(()), None) => Finding::ok("memory", "the system does not say what is available"),
    }
}

fn variation(machine: &Machine) -> Finding {
    let Noise { median_s, high_s } = match &machine.cpu_sort {
        Ok(noise) => *noise,
        Err(reason) => {
            let otherwise = "give this process more memory and threads (`ulimit -a`)";
            return Finding::of_reason(Fault, "sort-cpu", reason, otherwise);
        }
    };
    let above = high_s / median_s - 1.0;
    let sentence = format!(
        "of sorts that take {:.2} ms, one in ten takes {:.0} % longer or more",
        median_s * 1e3,
        above * 1e2
    );
    let remedy =
        "end what else runs (`top`), or take more samples: differences below that are noise";
    match above < NOISY {
        true => Finding::ok("noise", sentence),
        false => Finding::amiss(Warning, "noise", sentence, remedy),
    }
}

/// Number of cores of the machine.
pub(super) fn online_cores() -> Option<usize> {
    CpuInfo::current().ok().map(|info| info.num_cores())
}

/// An error if the classic workload does not fit.
pub(super) fn classic() -> Result<(), String> {
    let words = |error: Error| error.to_string();
    let engine = registry::engine::<i32>(CPU_STD).map_err(words)?;
    require_memory(&*engine, CLASSIC_N, 1).map_err(words)
}

/// The times of sorts for as long as [`TIME`].
pub(super) fn noise() -> Result<Noise, String> {
    let begun = Instant::now();
    let enough = |sorts: &[f64]| sorts.len() >= SORTS && begun.elapsed() >= TIME;
    let mut seconds = try_engine(CPU_STD, enough)?;
    // The first carries start-up.
    seconds.remove(0);
    Ok(spread(seconds))
}

pub(super) fn spread(mut seconds: Vec<f64>) -> Noise {
    seconds.sort_by(f64::total_cmp);
    Noise { median_s: seconds[seconds.len() / 2], high_s: seconds[seconds.len() * 9 / 10] }
}
