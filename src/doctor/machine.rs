//! The CPU: how many cores may be used, at which clock, with how much memory, and how much
//! the time of one sort varies.

use std::fs;
use std::time::{Duration, Instant};

use host::error::Bytes;
use suite::engine::require_memory;
use suite::engines::CPU_STD;
use suite::environment::{self, Environment};
use suite::memory::{self, Room};
use suite::workload::CLASSIC_N;
use suite::{Error, registry};

use super::{Finding, State, try_engine};

/// Keys of the sort whose time is looked at.
const KEYS: usize = 100_000;
/// Time for it.
const TIME: Duration = Duration::from_millis(1500);
/// Fewest sorts that say something.
const SORTS: usize = 20;
/// The variation from which on times are noisy.
const NOISY: f64 = 0.10;

/// The times of one sort.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Noise {
    /// Their median.
    pub median_s: f64,
    /// What nine of ten stay below.
    pub high_s: f64,
}

/// What was seen.
#[derive(Clone, Debug)]
pub struct Facts {
    /// Cores that this process may use.
    pub cores: usize,
    /// Cores of the machine.
    pub online: Option<usize>,
    /// What sets the clock, where the system says.
    pub governor: Option<String>,
    /// Memory that can be had, and the limit that leaves so much.
    pub memory: Option<Room>,
    /// The classic workload's need of memory, if it is more.
    pub classic: Result<(), String>,
    /// Sorts on the CPU.
    pub trial: Result<Noise, String>,
}

impl Facts {
    /// Those of this machine.
    pub fn gather() -> Self {
        let online = fs::read_to_string("/sys/devices/system/cpu/online").ok();
        Self {
            cores: environment::cores(),
            online: online.and_then(|list| count(&list)),
            governor: Environment::here(None).governor,
            memory: memory::available(),
            classic: classic(),
            trial: noise(),
        }
    }

    /// True if benchmarks can run on the CPU.
    pub fn runs(&self) -> bool {
        self.trial.is_ok()
    }

    /// The findings.
    pub fn findings(&self) -> Vec<Finding> {
        vec![self.cores(), self.clock(), self.memory(), self.noise()]
    }

    fn cores(&self) -> Finding {
        match self.online {
            Some(online) if online > self.cores => Finding::amiss(
                State::Warning,
                "cores",
                format!("{} of {online} cores may be used", self.cores),
                "levels above share them: `taskset -cp $$` shows which, and a container's quota \
                 is set by --cpus",
            ),
            _ => Finding::ok("cores", format!("all {} cores may be used", self.cores)),
        }
    }

    fn clock(&self) -> Finding {
        match self.governor.as_deref() {
            Some("performance") => Finding::ok("governor", "the CPU's governor is performance"),
            Some(other) => Finding::amiss(
                State::Warning,
                "governor",
                format!("the CPU's governor is {other}, so its clock depends on what ran before"),
                "`sudo cpupower frequency-set -g performance`",
            ),
            None => Finding::ok("governor", "the system does not say what sets the CPU's clock"),
        }
    }

    fn memory(&self) -> Finding {
        let remedy = "lift the limit (`ulimit -v unlimited`, a container's --memory)";
        match (&self.classic, &self.memory) {
            (Err(reason), _) => Finding::amiss(
                State::Warning,
                "memory",
                reason.split("; ").next().unwrap_or(reason),
                format!("{remedy}, or give `--n` a smaller number"),
            ),
            (Ok(()), Some(room)) => Finding::ok(
                "memory",
                format!("{} of {} are available", Bytes(room.bytes), room.what),
            ),
            (Ok(()), None) => Finding::ok("memory", "the system does not say what is available"),
        }
    }

    fn noise(&self) -> Finding {
        let Noise { median_s, high_s } = match &self.trial {
            Ok(noise) => *noise,
            Err(reason) => {
                let otherwise = "give this process more memory and threads (`ulimit -a`)";
                return Finding::of_reason(State::Fault, "sort-cpu", reason, otherwise);
            }
        };
        let above = high_s / median_s - 1.0;
        let sentence = format!(
            "of sorts that take {:.2} ms, one in ten takes {:.0} % longer or more",
            median_s * 1e3,
            above * 1e2
        );
        if above < NOISY {
            return Finding::ok("noise", sentence);
        }
        Finding::amiss(
            State::Warning,
            "noise",
            sentence,
            "end what else runs (`top`), or take more samples: differences below that are noise",
        )
    }
}

/// An error if the classic workload does not fit.
fn classic() -> Result<(), String> {
    let words = |error: Error| error.to_string();
    let engine = registry::engine::<i32>(CPU_STD).map_err(words)?;
    require_memory(&*engine, CLASSIC_N, 1).map_err(words)
}

/// Sorts for as long as [`TIME`].
fn noise() -> Result<Noise, String> {
    let begun = Instant::now();
    let enough = |sorts: &[f64]| sorts.len() >= SORTS && begun.elapsed() >= TIME;
    let mut seconds = try_engine(CPU_STD, KEYS, enough)?;
    // The first carries start-up.
    seconds.remove(0);
    Ok(spread(seconds))
}

fn spread(mut seconds: Vec<f64>) -> Noise {
    seconds.sort_by(f64::total_cmp);
    Noise { median_s: seconds[seconds.len() / 2], high_s: seconds[seconds.len() * 9 / 10] }
}

/// How many cores a list such as `0-3,6` has.
fn count(list: &str) -> Option<usize> {
    let ranges = list.trim().split(',').map(|range| {
        let (first, last) = range.split_once('-').unwrap_or((range, range));
        let (first, last): (usize, usize) = (first.parse().ok()?, last.parse().ok()?);
        (last + 1).checked_sub(first)
    });
    ranges.sum()
}

#[cfg(test)]
pub mod tests {
    use super::*;

    /// A machine on which nothing is amiss.
    pub fn quiet() -> Facts {
        Facts {
            cores: 8,
            online: Some(8),
            governor: Some("performance".to_owned()),
            memory: Some(Room { bytes: 16_000_000_000, what: "memory".to_owned() }),
            classic: Ok(()),
            trial: Ok(Noise { median_s: 2e-3, high_s: 2.1e-3 }),
        }
    }

    /// What is amiss: name, sentence.
    fn amiss(facts: &Facts) -> Vec<(&'static str, String)> {
        let found = facts.findings().into_iter();
        let found = found.filter(|finding| finding.state != State::Ok);
        found.map(|finding| (finding.name, finding.finding)).collect()
    }

    #[test]
    fn each_cause_has_its_finding() {
        assert_eq!(amiss(&quiet()), []);
        let noise = |median_s, high_s| Ok(Noise { median_s, high_s });
        for (facts, name, sentence) in [
            (Facts { cores: 2, ..quiet() }, "cores", "2 of 8 cores may be used"),
            (
                Facts { governor: Some("powersave".to_owned()), ..quiet() },
                "governor",
                "the CPU's governor is powersave, so its clock depends on what ran before",
            ),
            (
                Facts { classic: Err("n = 5 needs 9 MB; choose".to_owned()), ..quiet() },
                "memory",
                "n = 5 needs 9 MB",
            ),
            (
                Facts { trial: noise(2e-3, 3e-3), ..quiet() },
                "noise",
                "of sorts that take 2.00 ms, one in ten takes 50 % longer or more",
            ),
            (
                Facts { trial: Err("cannot start 1 threads: no; fewer".to_owned()), ..quiet() },
                "sort-cpu",
                "cannot start 1 threads: no",
            ),
        ] {
            assert_eq!(amiss(&facts), [(name, sentence.to_owned())]);
        }
        let silent = Facts { online: None, governor: None, memory: None, ..quiet() };
        assert_eq!(amiss(&silent), []);
    }

    #[test]
    fn lists_of_cores_are_counted_and_times_spread() {
        assert_eq!(count("0-3,6\n"), Some(5));
        assert_eq!(count("none"), None);
        let noise = spread((0..100).rev().map(f64::from).collect());
        assert_eq!((noise.median_s, noise.high_s), (50.0, 90.0));
    }
}
