//! The report of a comparison with peers: a record for each input, sort of ours and peer that
//! have times. There are times of verified results only; failures are listed with the reason.

use std::process::Command;

use serde::Serialize;

use crate::case::Case;
use crate::environment::Environment;
use crate::lines::VERSION;
use crate::runner::{WARM_UP_S, WARM_UP_SORTS};
use crate::runners::peer::Shape;
use crate::turns::{Outcome, Times, Turns};

/// Report of a comparison with peers.
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
    /// Turns of each engine, and its warm-up.
    pub plan: PlanRecord,
    /// The machine.
    pub environment: Environment,
    /// [`gpu_state`] before the first case.
    pub before: Option<String>,
    /// The same after the last.
    pub after: Option<String>,
    /// One for each input, ours and peer that have figures.
    #[serde(rename = "cells")]
    pub cases: Vec<CaseRecord>,
    /// Peers that cannot run on this machine, and why.
    pub skipped: Vec<String>,
    /// Failures, a line each: these have no figures.
    pub failures: Vec<String>,
}

/// Turns of each engine, and its warm-up.
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
    /// A report without cases yet, of the GPU that `environment` names.
    pub fn new(environment: Environment, seed: u64, turns: Turns) -> Self {
        let gpu = environment.gpu.as_ref();
        let setup = environment.gpu_setup.as_ref();
        let driver = setup.and_then(|setup| setup.driver.clone());
        Self {
            version: VERSION,
            device: gpu.map(|gpu| gpu.name.clone()).unwrap_or_default(),
            driver: driver
                .or(gpu.map(|gpu| format!("CUDA {}", gpu.driver_cuda)))
                .unwrap_or_default(),
            commit: environment.described(),
            seed,
            plan: PlanRecord {
                rounds: turns.rounds,
                samples_per_turn: turns.samples,
                warm_up_sorts: WARM_UP_SORTS,
                warm_up_ms: WARM_UP_S * 1e3,
            },
            environment,
            before: None,
            after: None,
            cases: Vec::new(),
            skipped: Vec::new(),
            failures: Vec::new(),
        }
    }
}

/// True if the GPU's last-level cache holds input and result, as it then does from one
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

/// The times of one of ours and one peer's for one input.
#[derive(Clone, Debug, Serialize)]
pub struct CaseRecord {
    /// Type of the elements.
    #[serde(rename = "type")]
    pub kind: String,
    /// Memory that they are sorted from and to.
    pub shape: Shape,
    /// Number of elements.
    pub n: usize,
    /// How they are spread.
    pub distribution: String,
    /// Name of ours.
    pub ours: String,
    /// Name of the peer.
    pub peer: String,
    /// Version of its library.
    pub peer_version: String,
    /// Variant of it that was fastest, whose figures these are.
    pub peer_variant: String,
    /// Median of ours.
    pub ours_ms: f64,
    /// Median of the peer's.
    pub peer_ms: f64,
    /// `peer_ms` over `ours_ms`: above 1, ours is faster.
    pub ratio: f64,
    /// True: there are cases of verified results only.
    pub verified: bool,
    /// Samples of each.
    pub samples: usize,
    /// Interval for the median of ours.
    pub ours_interval_ms: [f64; 2],
    /// Interval for the median of the peer's.
    pub peer_interval_ms: [f64; 2],
    /// Content of the cache from sort to sort.
    pub cache: Cache,
    /// Bytes of temporary memory that ours has, if known.
    pub ours_temporary_bytes: Option<u64>,
    /// Bytes of temporary memory that the peer has, if known.
    pub peer_temporary_bytes: Option<u64>,
    /// All variants of the peer, the fastest first.
    pub variants: Vec<VariantRecord>,
}

/// The times of one variant of a peer for one input.
#[derive(Clone, Debug, Serialize)]
pub struct VariantRecord {
    /// Its name.
    pub name: String,
    /// Median.
    pub ms: f64,
    /// Interval for the median.
    pub interval_ms: [f64; 2],
    /// Bytes of temporary memory, if known.
    pub temporary_bytes: Option<u64>,
}

impl From<&Times> for VariantRecord {
    fn from(times: &Times) -> Self {
        let (ms, interval_ms) = times.summary();
        Self {
            name: times.variant.name.clone(),
            ms,
            interval_ms,
            temporary_bytes: times.variant.temporary_bytes,
        }
    }
}

impl CaseRecord {
    /// Those of one input: one for each of ours and each peer that have times.
    pub fn of(case: &Case, outcomes: &[Outcome], cache: Cache) -> Vec<Self> {
        let (peers, ours): (Vec<_>, Vec<_>) = outcomes.iter().partition(|of| of.is_peer());
        let pairs = ours.iter().flat_map(|ours| peers.iter().map(move |peer| (ours, peer)));
        pairs.filter_map(|(ours, peer)| Self::new(case, ours, peer, cache)).collect()
    }

    /// The record of one of ours and a peer; `None` if either has no times.
    fn new(case: &Case, ours: &Outcome, peer: &Outcome, cache: Cache) -> Option<Self> {
        let (our_times, best) = (ours.best()?, peer.best()?);
        let (ours_ms, ours_interval_ms) = our_times.summary();
        let (peer_ms, peer_interval_ms) = best.summary();
        Some(Self {
            kind: case.kind.clone(),
            shape: case.group.parse().map_or(Shape::Resident, Shape::of),
            n: case.n,
            distribution: case.distribution.clone(),
            ours: ours.name.clone(),
            peer: peer.name.clone(),
            peer_version: peer.version.clone()?,
            peer_variant: best.variant.name.clone(),
            ours_ms,
            peer_ms,
            ratio: peer_ms / ours_ms,
            // There are times of verified results only: see `turns`.
            verified: true,
            samples: our_times.times_ms.len(),
            ours_interval_ms,
            peer_interval_ms,
            cache,
            ours_temporary_bytes: our_times.variant.temporary_bytes,
            peer_temporary_bytes: best.variant.temporary_bytes,
            variants: peer.times.as_ref().ok()?.iter().map(VariantRecord::from).collect(),
        })
    }
}

/// Clocks, temperature and power of the machine's GPUs, as nvidia-smi has them; none
/// without it.
pub fn gpu_state() -> Option<String> {
    let query = "name,pstate,clocks.sm,clocks.max.sm,clocks.mem,temperature.gpu,power.draw";
    let output =
        Command::new("nvidia-smi").args([&format!("--query-gpu={query}"), "--format=csv"]).output();
    let output = output.ok().filter(|output| output.status.success())?;
    let text = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    (!text.is_empty()).then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::environment::Gpu;
    use crate::error::Error;
    use crate::peers::Variant;
    use crate::turns::by_median;

    fn outcome(name: &str, version: Option<&str>, times_ms: &[f64]) -> Outcome {
        Outcome {
            name: name.to_owned(),
            version: version.map(str::to_owned),
            times: Ok(vec![times("only", times_ms)]),
        }
    }

    fn times(variant: &str, times_ms: &[f64]) -> Times {
        Times {
            variant: Variant { name: variant.to_owned(), temporary_bytes: Some(7) },
            times_ms: times_ms.to_vec(),
            cycles: None,
        }
    }

    fn failed(name: &str) -> Outcome {
        Outcome { times: Err(Error::LevelZero), ..outcome(name, Some("1"), &[]) }
    }

    fn case() -> Case {
        "device/u32-uniform/gpu/1/1048576".parse().unwrap()
    }

    fn report(ours: Vec<Outcome>, peers: Vec<Outcome>) -> serde_json::Value {
        let mut environment = Environment::here(Some(Gpu {
            name: "NVIDIA H200".to_owned(),
            driver_cuda: "13.0".to_owned(),
            ..Gpu::default()
        }));
        environment.gpu_setup = None;
        environment.commit = Some("abc".to_owned());
        environment.dirty = Some(true);
        let mut report = Report::new(environment, 7, Turns::of(20));
        let cache = Cache::of(1 << 20, 4, Some(50 << 20));
        report.cases = CaseRecord::of(
            &case(),
            &[ours, peers].into_iter().flatten().collect::<Vec<_>>(),
            cache,
        );
        serde_json::to_value(&report).unwrap()
    }

    #[test]
    fn a_report_has_the_fields_that_are_promised() {
        let report = report(
            vec![outcome("gpu", None, &[0.2, 0.1, 0.3])],
            vec![failed("cupy"), outcome("cub", Some("3.0.1"), &[0.5, 0.4, 0.3])],
        );
        assert_eq!(report["device"], "NVIDIA H200");
        assert_eq!(report["driver"], "CUDA 13.0");
        assert_eq!(report["commit"], "abc-dirty");
        // An engine that failed has no case.
        assert_eq!(report["cells"].as_array().unwrap().len(), 1);
        let case = &report["cells"][0];
        assert_eq!(case["type"], "u32");
        assert_eq!(case["shape"], "resident");
        assert_eq!(case["n"], 1 << 20);
        assert_eq!(case["distribution"], "uniform");
        assert_eq!(case["ours"], "gpu");
        assert_eq!(case["peer"], "cub");
        assert_eq!(case["peer_version"], "3.0.1");
        assert_eq!(case["ours_ms"], 0.2);
        assert_eq!(case["peer_ms"], 0.4);
        assert_eq!(case["ratio"], 2.0);
        assert_eq!(case["verified"], true);
        assert_eq!(case["cache"], "warm");
        assert_eq!(case["ours_interval_ms"], serde_json::json!([0.1, 0.3]));
    }

    #[test]
    fn without_ours_there_is_no_case() {
        let report = report(vec![failed("gpu")], vec![outcome("cub", Some("3.0.1"), &[0.5])]);
        assert_eq!(report["cells"], serde_json::json!([]));
    }

    #[test]
    fn each_of_ours_is_compared_with_the_fastest_variant_of_a_peer() {
        let mut cub = outcome("cub", Some("3.0.1"), &[]);
        cub.times = Ok(by_median(vec![
            times("count32", &[0.6, 0.3, 0.6]),
            times("count64", &[0.5, 0.5, 0.5]),
        ]));
        let ours = vec![outcome("gpu", None, &[0.2]), outcome("gpu-ballots", None, &[0.25])];
        let report = report(ours, vec![cub]);
        let cases = report["cells"].as_array().unwrap();
        let of = |field: &str| cases.iter().map(|case| &case[field]).collect::<Vec<_>>();
        assert_eq!(of("ours"), ["gpu", "gpu-ballots"]);
        assert_eq!(of("peer_ms"), [0.5, 0.5]);
        assert_eq!(of("ratio"), [2.5, 2.0]);
        assert_eq!(of("peer_variant"), ["count64", "count64"]);
        let expected = serde_json::json!([
            {"name": "count64", "ms": 0.5, "interval_ms": [0.5, 0.5], "temporary_bytes": 7},
            {"name": "count32", "ms": 0.6, "interval_ms": [0.3, 0.6], "temporary_bytes": 7},
        ]);
        assert_eq!(cases[0]["variants"], expected);
    }

    #[test]
    fn the_cache_is_warm_while_it_holds_input_and_result() {
        assert_eq!(Cache::of(1000, 4, Some(8000)), Cache::Warm);
        assert_eq!(Cache::of(1001, 4, Some(8000)), Cache::Exceeded);
        assert_eq!(Cache::of(usize::MAX, 8, Some(8000)), Cache::Exceeded);
        assert_eq!(Cache::of(1, 4, None), Cache::Unknown);
    }
}
