//! Results as they are kept: a report, an object for each figure that there is, and
//! beside it every single time. No figure is there that was not measured on a result
//! that was judged and right; who has none is listed, with the reason.

use serde::Serialize;

use super::contest::{Plan, Times, WARM_UP_MS, WARM_UP_SORTS};
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
    /// Version of its driver, by the CUDA version that it is for: `13.0`.
    pub driver: String,
    /// Commit of the sources, `-dirty` after it if they differ from it.
    pub commit: Option<String>,
    /// Seed of the inputs.
    pub seed: u64,
    /// How often, and after what, each contender sorted.
    pub plan: PlanRecord,
    /// The machine.
    pub environment: Environment,
    /// What nvidia-smi says of clocks, temperature and power before the first cell.
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
    /// A report without cells yet, of the GPU that `environment` names.
    pub fn new(environment: Environment, seed: u64, plan: Plan) -> Self {
        let gpu = environment.gpu.as_ref();
        let dirty = environment.dirty == Some(true);
        let suffix = if dirty { "-dirty" } else { "" };
        Self {
            version: VERSION,
            device: gpu.map(|gpu| gpu.name.clone()).unwrap_or_default(),
            driver: gpu.map(|gpu| gpu.driver_cuda.clone()).unwrap_or_default(),
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
    /// Of sorts of `n` elements of `bytes` each, out of place.
    pub fn of(n: usize, bytes: usize, cache_bytes: Option<u64>) -> Self {
        let both = 2 * (n as u64).saturating_mul(bytes as u64);
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
    /// Of an input of the type called `kind`.
    pub fn new(
        kind: &'static str,
        workload: &Workload,
        peer: (&str, &str),
        ours: &Times,
        theirs: &Times,
        cache: Cache,
    ) -> Self {
        let (ours_ms, ours_interval_ms) = summary(ours);
        let (peer_ms, peer_interval_ms) = summary(theirs);
        Self {
            kind,
            n: workload.n,
            distribution: workload.distribution,
            peer: peer.0.to_owned(),
            peer_version: peer.1.to_owned(),
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
        }
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

/// The median and the interval for it.
pub fn summary(times: &Times) -> (f64, [f64; 2]) {
    let samples = Samples {
        engine: "",
        level: 1,
        seconds: times.times_ms.clone(),
    };
    let interval = samples.interval();
    (samples.median(), [interval.low, interval.high])
}
