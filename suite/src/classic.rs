//! The report of `cudamark classic`: the samples of one engine, level by level.

use serde::Serialize;

use crate::case::Case;
use crate::environment::Environment;
use crate::lines::{Sample, VERSION};
use crate::nvml::Watched;
use crate::statistics::{interval, median};

/// A run of the classic workload.
#[derive(Clone, Debug, Serialize)]
pub struct Classic {
    /// [`VERSION`].
    pub version: u32,
    /// Number of keys.
    pub n: usize,
    /// Type of the keys: `i32`.
    pub key: String,
    /// How they are spread.
    pub distribution: String,
    /// Seed they were drawn from.
    pub seed: u64,
    /// Confidence of every level's interval, from 0 to 1.
    pub confidence: f64,
    /// Where it was measured.
    pub environment: Environment,
    /// One entry a level, in the order measured.
    pub levels: Vec<Level>,
}

/// The samples of one engine at one level.
#[derive(Clone, Debug, Serialize)]
pub struct Level {
    /// Concurrency level.
    pub level: usize,
    /// Name of the engine.
    pub engine: String,
    /// Median of the samples.
    pub median_s: f64,
    /// Lower end of the interval for the median.
    pub low_s: f64,
    /// Upper end of it.
    pub high_s: f64,
    /// True: there are samples of verified results only.
    pub verified: bool,
    /// Every sample, in the order taken.
    pub samples_s: Vec<f64>,
    /// Each GPU of a case over several, in the order of CUDA.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub watched: Vec<Watched>,
}

impl Classic {
    /// The report of `levels`, each the case at a level and its samples: one or more.
    pub fn new(seed: u64, environment: Environment, levels: &[(Case, Vec<Sample>)]) -> Self {
        let (case, samples) = &levels[0];
        Self {
            version: VERSION,
            n: case.n,
            key: case.kind.clone(),
            distribution: case.distribution.clone(),
            seed,
            confidence: interval(&seconds(samples)).confidence,
            environment,
            levels: levels.iter().map(|(case, samples)| Level::new(case, samples)).collect(),
        }
    }
}

impl Level {
    /// The figures of a case.
    pub fn new(case: &Case, samples: &[Sample]) -> Self {
        let samples_s = seconds(samples);
        let interval = interval(&samples_s);
        let readings: Vec<_> = samples.iter().map(|sample| sample.gpus.clone()).collect();
        Self {
            level: case.level,
            engine: case.engine.clone(),
            median_s: median(&samples_s),
            low_s: interval.low,
            high_s: interval.high,
            verified: true,
            samples_s,
            watched: Watched::each(&readings),
        }
    }
}

fn seconds(samples: &[Sample]) -> Vec<f64> {
    samples.iter().map(|sample| sample.seconds).collect()
}
