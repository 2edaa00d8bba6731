//! The CPU: its cores, clock and memory, and how much the time of one sort varies.

use std::time::{Duration, Instant};

use host::error::Bytes;
use procfs::{CpuInfo, Current};
use suite::engine::require_memory;
use suite::engines::CPU_STD;
use suite::workload::CLASSIC_N;
use suite::{Error, registry};

use super::{Fault, Look, Machine, Warning, amiss, amiss_by, try_engine};

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

pub(super) fn findings(machine: &Machine) -> Vec<(&'static str, Look)> {
    let cores = machine.cores;
    vec![
        (
            "cores",
            match machine.online_cores {
                Some(online) if online > cores => amiss(
                    Warning,
                    format!("{cores} of {online} cores may be used"),
                    "levels above share them: `taskset -cp $$` shows which, and a container's \
                     quota is set by --cpus",
                ),
                _ => Ok(format!("all {cores} cores may be used")),
            },
        ),
        ("governor", clock(machine.governor.as_deref())),
        ("memory", memory(machine)),
        match &machine.cpu_sort {
            Ok(noise) => ("noise", variation(noise)),
            Err(reason) => {
                let otherwise = "give this process more memory and threads (`ulimit -a`)";
                ("sort-cpu", amiss_by(Fault, reason, otherwise))
            }
        },
    ]
}

fn clock(governor: Option<&str>) -> Look {
    match governor {
        Some("performance") => Ok("the CPU's governor is performance".to_owned()),
        Some(other) => amiss(
            Warning,
            format!("the CPU's governor is {other}, so its clock depends on what ran before"),
            "`sudo cpupower frequency-set -g performance`",
        ),
        None => Ok("the system does not say what sets the CPU's clock".to_owned()),
    }
}

fn memory(machine: &Machine) -> Look {
    match (&machine.classic, &machine.memory) {
        (Err(reason), _) => amiss(
            Warning,
            reason.split("; ").next().unwrap_or(reason),
            "lift the limit (`ulimit -v unlimited`, a container's --memory), or give `--n` a \
             smaller number",
        ),
        (Ok(()), Some(room)) => Ok(format!("{} of {} are available", Bytes(room.bytes), room.what)),
        (Ok(()), None) => Ok("the system does not say what is available".to_owned()),
    }
}

fn variation(Noise { median_s, high_s }: &Noise) -> Look {
    let above = high_s / median_s - 1.0;
    let sentence = format!(
        "of sorts that take {:.2} ms, one in ten takes {:.0} % longer or more",
        median_s * 1e3,
        above * 1e2
    );
    let remedy =
        "end what else runs (`top`), or take more samples: differences below that are noise";
    if above < NOISY { Ok(sentence) } else { amiss(Warning, sentence, remedy) }
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
