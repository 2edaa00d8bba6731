//! Results as they are kept: a report, an object for each figure that there is, and
//! beside it every single time. No figure is there that was not measured on a result
//! that was judged and right; who has none is listed, with the reason.

use std::process::Command;

use serde::Serialize;

use super::arena::Outcome;
use super::contest::{Case, Plan, Shape, Times, WARM_UP_MS, WARM_UP_SORTS};
use crate::measure::Samples;
use crate::record::Environment;
use crate::workload::{Distribution, Workload};

/// Version of the report and of the lines of times. It rises when a field changes its
/// meaning or goes.
pub const VERSION: u32 = 1;

/// What was compared, where, and what came of it.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// [`VERSION`].
    pub version: u32,
    /// Product name of the GPU.
    pub device: String,
    /// Version of its driver, `580.65.06`; where that is not known, the CUDA version
    /// that it is for, `CUDA 13.0`.
    pub driver: String,
    /// Commit of the sources, `-dirty` after it if they differ from it.
    pub commit: Option<String>,
    /// Seed of the inputs.
    pub seed: u64,
    /// How often, and after what, each contender sorted.
    pub plan: PlanRecord,
    /// The machine.
    pub environment: Environment,
    /// What [`gpu_state`] said before the first cell.
    pub before: Option<String>,
    /// The same after the last.
    pub after: Option<String>,
    /// One for each input and peer that has figures.
    pub cells: Vec<CellRecord>,
    /// Peers that cannot run on this machine, and why.
    pub skipped: Vec<String>,
    /// What went wrong, a line each: these have no figures.
    pub failures: Vec<String>,
}

/// How often each contender sorted.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct PlanRecord {
    /// Turns.
    pub rounds: usize,
    /// Samples of a turn.
    pub samples_per_turn: usize,
    /// Sorts dropped at the start of a turn, at least.
    pub warm_up_sorts: usize,
    /// Milliseconds that they take, at least.
    pub warm_up_ms: f64,
}

impl Report {
    /// A report without cells yet, of the GPU that `environment` names and this version
    /// of its driver.
    pub fn new(environment: Environment, driver: Option<String>, seed: u64, plan: Plan) -> Self {
        let gpu = environment.gpu.as_ref();
        let dirty = environment.dirty == Some(true);
        let suffix = if dirty { "-dirty" } else { "" };
        Self {
            version: VERSION,
            device: gpu.map(|gpu| gpu.name.clone()).unwrap_or_default(),
            driver: driver
                .or(gpu.map(|gpu| format!("CUDA {}", gpu.driver_cuda)))
                .unwrap_or_default(),
            commit: (environment.commit.as_ref()).map(|commit| format!("{commit}{suffix}")),
            seed,
            plan: plan.into(),
            environment,
            before: None,
            after: None,
            cells: Vec::new(),
            skipped: Vec::new(),
            failures: Vec::new(),
        }
    }
}

impl From<Plan> for PlanRecord {
    fn from(plan: Plan) -> Self {
        Self {
            rounds: plan.rounds,
            samples_per_turn: plan.turn,
            warm_up_sorts: WARM_UP_SORTS,
            warm_up_ms: WARM_UP_MS,
        }
    }
}

/// Whether the GPU's last-level cache holds input and result, as it then does from one
/// sort to the next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Cache {
    /// It does: input and result of earlier sorts are found there.
    Warm,
    /// They are larger.
    Exceeded,
    /// Its size is not known.
    Unknown,
}

impl Cache {
    /// Of sorts of `n` elements of `bytes` each, out of place, on a GPU whose cache has
    /// `cache_bytes`.
    pub fn of(n: usize, bytes: usize, cache_bytes: Option<u64>) -> Self {
        let both = (n as u64).saturating_mul(2 * bytes as u64);
        match cache_bytes {
            None => Self::Unknown,
            Some(size) if both <= size => Self::Warm,
            Some(_) => Self::Exceeded,
        }
    }
}

/// Ours and one peer's times for one input.
#[derive(Clone, Debug, Serialize)]
pub struct CellRecord {
    /// Type of the elements.
    #[serde(rename = "type")]
    pub kind: &'static str,
    /// From where to where they are sorted.
    pub shape: Shape,
    /// Number of elements.
    pub n: usize,
    /// How they are spread.
    pub distribution: Distribution,
    /// Name of the peer.
    pub peer: String,
    /// Version of its library.
    pub peer_version: String,
    /// Median of ours.
    pub ours_ms: f64,
    /// Median of the peer's.
    pub peer_ms: f64,
    /// `peer_ms` over `ours_ms`: above 1, ours is faster.
    pub ratio: f64,
    /// Whether results of both were judged and right: there is no cell where not.
    pub verified: bool,
    /// Samples of each.
    pub samples: usize,
    /// Interval for the median of ours.
    pub ours_interval_ms: [f64; 2],
    /// Interval for the median of the peer's.
    pub peer_interval_ms: [f64; 2],
    /// What the cache holds from sort to sort.
    pub cache: Cache,
    /// Bytes of temporary memory that ours has, if known.
    pub ours_temporary_bytes: Option<u64>,
    /// Bytes of temporary memory that the peer has, if known.
    pub peer_temporary_bytes: Option<u64>,
}

impl CellRecord {
    /// Those of one input: one for each peer with times, if ours has some.
    pub fn of(case: &Case, outcomes: &[Outcome], cache: Cache) -> Vec<Self> {
        let Some((ours, peers)) = outcomes.split_first() else {
            return Vec::new();
        };
        let Ok(ours) = &ours.times else {
            return Vec::new();
        };
        let (ours_ms, ours_interval_ms) = summary(ours);
        let cell = |peer: &Outcome| {
            let theirs = peer.times.as_ref().ok()?;
            let (peer_ms, peer_interval_ms) = summary(theirs);
            Some(Self {
                kind: case.kind.name,
                shape: case.shape,
                n: case.workload.n,
                distribution: case.workload.distribution,
                peer: peer.name.clone(),
                peer_version: peer.version.clone()?,
                ours_ms,
                peer_ms,
                ratio: peer_ms / ours_ms,
                // `Times` exist of judged results only: see `contest`.
                verified: true,
                samples: ours.times_ms.len(),
                ours_interval_ms,
                peer_interval_ms,
                cache,
                ours_temporary_bytes: ours.temporary_bytes,
                peer_temporary_bytes: theirs.temporary_bytes,
            })
        };
        peers.iter().filter_map(cell).collect()
    }
}

/// Every time of one contender for one input, in the order taken.
#[derive(Clone, Debug, Serialize)]
pub struct TimesRecord<'a> {
    /// [`VERSION`].
    pub version: u32,
    /// Type of the elements.
    #[serde(rename = "type")]
    pub kind: &'static str,
    /// From where to where they are sorted.
    pub shape: Shape,
    /// The input.
    #[serde(flatten)]
    pub workload: Workload,
    /// Name of the contender.
    pub contender: &'a str,
    /// Version of a peer's library; none for ours.
    pub contender_version: Option<&'a str>,
    /// Sorts dropped at the start of each turn.
    pub warm_ups: usize,
    /// Samples of a turn.
    pub samples_per_turn: usize,
    /// Milliseconds of each sort, turn after turn.
    pub times_ms: &'a [f64],
}

impl<'a> TimesRecord<'a> {
    /// Of a contender with times; `None` of one without.
    pub fn of(case: &Case, outcome: &'a Outcome, plan: PlanRecord) -> Option<Self> {
        let times = outcome.times.as_ref().ok()?;
        Some(Self {
            version: VERSION,
            kind: case.kind.name,
            shape: case.shape,
            workload: case.workload,
            contender: &outcome.name,
            contender_version: outcome.version.as_deref(),
            warm_ups: times.warm_ups,
            samples_per_turn: plan.samples_per_turn,
            times_ms: &times.times_ms,
        })
    }
}

/// The median of times in milliseconds, and the interval for it.
pub fn summary(times: &Times) -> (f64, [f64; 2]) {
    let samples = Samples {
        engine: "",
        level: 1,
        seconds: times.times_ms.clone(),
    };
    let interval = samples.interval();
    (samples.median(), [interval.low, interval.high])
}

/// Clocks, temperature and power of the machine's GPUs, as nvidia-smi has them; none
/// without it.
pub fn gpu_state() -> Option<String> {
    nvidia_smi(
        "name,pstate,clocks.sm,clocks.max.sm,clocks.mem,temperature.gpu,power.draw",
        "csv",
    )
}

/// The driver's version, as nvidia-smi has it; none without it.
pub fn driver_version() -> Option<String> {
    let all = nvidia_smi("driver_version", "csv,noheader")?;
    all.lines().next().map(|line| line.trim().to_owned())
}

fn nvidia_smi(query: &str, format: &str) -> Option<String> {
    let output = Command::new("nvidia-smi")
        .arg(format!("--query-gpu={query}"))
        .arg(format!("--format={format}"))
        .output();
    let output = output.ok().filter(|output| output.status.success())?;
    let text = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    (!text.is_empty()).then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Error;
    use crate::peers::error::PeerError;
    use crate::peers::input::KINDS;
    use crate::record::Gpu;

    fn outcome(name: &str, version: Option<&str>, times_ms: &[f64]) -> Outcome {
        Outcome {
            name: name.to_owned(),
            version: version.map(str::to_owned),
            times: Ok(Times {
                times_ms: times_ms.to_vec(),
                warm_ups: 2,
                temporary_bytes: None,
            }),
        }
    }

    fn failed(name: &str) -> Outcome {
        Outcome {
            times: Err(PeerError::Ours(Error::LevelZero)),
            ..outcome(name, Some("1"), &[])
        }
    }

    fn case() -> Case {
        Case {
            shape: Shape::Resident,
            kind: KINDS[0],
            workload: Workload {
                n: 1 << 20,
                distribution: Distribution::Uniform,
                seed: 7,
            },
        }
    }

    fn report(outcomes: &[Outcome]) -> serde_json::Value {
        let mut environment = Environment::here(Some(Gpu {
            name: "NVIDIA H200".to_owned(),
            driver_cuda: "13.0".to_owned(),
            compute_capability: "9.0".to_owned(),
            memory_bytes: 1,
        }));
        environment.commit = Some("abc".to_owned());
        environment.dirty = Some(true);
        let mut report = Report::new(environment, None, 7, Plan::new(20));
        let cache = Cache::of(1 << 20, 4, Some(50 << 20));
        report.cells = CellRecord::of(&case(), outcomes, cache);
        serde_json::to_value(&report).unwrap()
    }

    #[test]
    fn a_report_has_the_fields_that_are_promised() {
        let report = report(&[
            outcome("gpu", None, &[0.2, 0.1, 0.3]),
            failed("cupy"),
            outcome("cub", Some("3.0.1"), &[0.5, 0.4, 0.3]),
        ]);
        assert_eq!(report["device"], "NVIDIA H200");
        assert_eq!(report["driver"], "CUDA 13.0");
        assert_eq!(report["commit"], "abc-dirty");
        // Who failed has no cell.
        assert_eq!(report["cells"].as_array().unwrap().len(), 1);
        let cell = &report["cells"][0];
        assert_eq!(cell["type"], "u32");
        assert_eq!(cell["shape"], "resident");
        assert_eq!(cell["n"], 1 << 20);
        assert_eq!(cell["distribution"], "uniform");
        assert_eq!(cell["peer"], "cub");
        assert_eq!(cell["peer_version"], "3.0.1");
        assert_eq!(cell["ours_ms"], 0.2);
        assert_eq!(cell["peer_ms"], 0.4);
        assert_eq!(cell["ratio"], 2.0);
        assert_eq!(cell["verified"], true);
        assert_eq!(cell["cache"], "warm");
        assert_eq!(cell["ours_interval_ms"], serde_json::json!([0.1, 0.3]));
    }

    #[test]
    fn without_ours_there_is_no_cell() {
        let report = report(&[failed("gpu"), outcome("cub", Some("3.0.1"), &[0.5])]);
        assert_eq!(report["cells"], serde_json::json!([]));
    }

    #[test]
    fn a_line_of_times_holds_every_one_and_how_to_make_the_input_again() {
        let cub = outcome("cub", Some("3.0.1"), &[0.5, 0.25]);
        let plan = Plan::new(2).into();
        let record = TimesRecord::of(&case(), &cub, plan).unwrap();
        let line = serde_json::to_value(&record).unwrap();
        assert_eq!(line["type"], "u32");
        assert_eq!((&line["n"], &line["seed"]), (&(1 << 20).into(), &7.into()));
        assert_eq!(line["contender"], "cub");
        assert_eq!(line["times_ms"], serde_json::json!([0.5, 0.25]));
        let failed = failed("cub");
        let none = TimesRecord::of(&case(), &failed, plan);
        assert!(none.is_none());
    }

    #[test]
    fn the_cache_is_warm_while_it_holds_input_and_result() {
        assert_eq!(Cache::of(1000, 4, Some(8000)), Cache::Warm);
        assert_eq!(Cache::of(1001, 4, Some(8000)), Cache::Exceeded);
        assert_eq!(Cache::of(usize::MAX, 8, Some(8000)), Cache::Exceeded);
        assert_eq!(Cache::of(1, 4, None), Cache::Unknown);
    }
}
