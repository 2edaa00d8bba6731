//! The lines of a store. Names of fields in JSON are those of the first version.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use suite::Case;
use suite::lines::Sample;
use suite::records::Records;
use suite::statistics;

use crate::noise::{Disturbance, Disturbed};
use crate::stats::{self, Estimate};

/// A line of a store.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "line", rename_all = "kebab-case")]
pub enum Line {
    /// A process of a comparison.
    Run(Box<Run>),
    /// A process of a history.
    Measured(Box<Measured>),
    /// A comparison whose answer was known.
    Trial(Box<Trial>),
    /// A comparison that came to its end.
    Finished {
        /// [`Run::comparison`].
        comparison: String,
        /// [`Run::repeat`].
        #[serde(rename = "round")]
        repeat: u32,
    },
}

/// The store of one machine, because times of two machines do not compare. Each line is on
/// the disk before the next process starts.
pub type Store = Records<Line>;

/// A side of a comparison.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Side {
    /// The reference.
    Base,
    /// The build that gets a verdict.
    Head,
}

/// One process of a comparison.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Run {
    /// The comparison: builds, cases and settings in one hash.
    pub comparison: String,
    /// How often the same comparison was finished before.
    #[serde(rename = "round")]
    pub repeat: u32,
    /// Round of four processes, from 0.
    #[serde(rename = "block")]
    pub round: usize,
    /// Turn in the round, from 0.
    #[serde(rename = "place")]
    pub turn: usize,
    /// The build.
    pub side: Side,
    /// Hash of its executable.
    pub executable_sha256: String,
    /// Its commit, where it was built from one.
    pub commit: Option<String>,
    /// Hash of its kernels' PTX.
    pub ptx_sha256: Option<String>,
    /// End of the process: seconds since 1970-01-01 00:00 UTC.
    pub unix_time_s: f64,
    /// Other work of the machine, where it was watched.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub disturbance: Option<Disturbance>,
    /// Figures by case.
    #[serde(rename = "cells")]
    pub cases: BTreeMap<Case, Figures>,
}

/// Samples of one case in one process.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Figures {
    /// Seconds, sample by sample.
    pub seconds: Vec<f64>,
    /// Cycles of the GPU's multiprocessors, where all samples have them.
    pub sm_cycles: Option<Vec<f64>>,
    /// Samples right after which the GPU said that it was slowed down.
    pub slowed_down: usize,
}

impl Figures {
    /// The figures of samples.
    pub fn of(samples: &[Sample]) -> Self {
        let slowed = |sample: &&Sample| !sample.slowdowns.is_empty();
        Self {
            seconds: samples.iter().map(|sample| sample.seconds).collect(),
            sm_cycles: samples.iter().map(|sample| sample.sm_cycles).collect(),
            slowed_down: samples.iter().filter(slowed).count(),
        }
    }

    /// How the samples are spread; none without samples.
    pub fn distribution(&self) -> Option<Distribution> {
        let least_s = stats::least(&self.seconds)?;
        let interval = statistics::interval(&self.seconds);
        Some(Distribution {
            samples: self.seconds.len(),
            least_s,
            median_s: statistics::median(&self.seconds),
            low_s: interval.low,
            high_s: interval.high,
            confidence: interval.confidence,
            slowed_down: self.slowed_down,
        })
    }
}

/// One process that measured a commit for its history.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Measured {
    /// The machine, by `Environment::machine_id`.
    pub machine_id: String,
    /// Case of the commits that took turns.
    pub session: String,
    /// Turn of the session, from 0: in each, every commit has one process.
    pub round: u32,
    /// The commit.
    pub commit: String,
    /// Hash of its executable.
    pub executable_sha256: String,
    /// Hash of its kernels' PTX.
    pub ptx_sha256: Option<String>,
    /// End of the process: seconds since 1970-01-01 00:00 UTC.
    pub unix_time_s: f64,
    /// The process's records file, from the folder of the store.
    pub records: String,
    /// Figures by case.
    #[serde(rename = "cells")]
    pub cases: BTreeMap<Case, Distribution>,
}

/// Distribution of the samples of one case in one process.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Distribution {
    /// Number of samples.
    pub samples: usize,
    /// The least in seconds.
    pub least_s: f64,
    /// Median in seconds.
    pub median_s: f64,
    /// Lower end of the interval for the median.
    pub low_s: f64,
    /// Upper end of it.
    pub high_s: f64,
    /// Confidence of that interval, from 0 to 1.
    pub confidence: f64,
    /// Samples right after which the GPU said that it was slowed down.
    pub slowed_down: usize,
}

/// Settings of a calibration. Trials of equal settings count together.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Settings {
    /// Hash of the executable.
    pub executable_sha256: String,
    /// Its commit, where it is known, with `-dirty` after it if the sources differed.
    pub commit: Option<String>,
    /// Engine in which slowdowns are planted.
    pub engine: String,
    /// Arguments of `cudamark sample` that choose and sample cases.
    pub arguments: Vec<String>,
    /// Cores that the processes are bound to; none where they are not.
    pub cores: Vec<usize>,
    /// The difference that is to be seen: 0.05 for 5 %.
    pub detect: f64,
    /// Seconds after which a comparison begins no more rounds.
    pub budget_s: f64,
}

/// A comparison whose answer is known.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Trial {
    /// Its settings.
    pub settings: Settings,
    /// The slowdown that was planted, in percent; 0 where none was.
    pub percent: f64,
    /// Index among the trials of the same slowdown.
    pub index: u32,
    /// Its end: seconds since 1970-01-01 00:00 UTC.
    pub unix_time_s: f64,
    /// How long it took.
    pub seconds: f64,
    /// Processes during which the machine did something else as well.
    pub disturbed: Disturbed,
    /// The cases.
    #[serde(rename = "cells")]
    pub cases: Vec<TrialCase>,
}

/// A case of a trial.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TrialCase {
    /// The case.
    #[serde(rename = "cell")]
    pub case: Case,
    /// Verdict and figures.
    #[serde(flatten)]
    pub estimate: Estimate,
    /// Least sample of each process in nanoseconds, round by round: both of the base, both
    /// of the head.
    #[serde(rename = "blocks_ns")]
    pub rounds_ns: Vec<[u64; 4]>,
}
