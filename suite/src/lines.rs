//! The lines of a records file: one JSON object each.
//!
//! | `line` | what it says |
//! |---|---|
//! | `environment` | build, machine and settings of the samples after it, and its `id` |
//! | `engine` | version of another library's sort |
//! | `shape` | kernels of a shape that `cudamark tune` measures as an engine |
//! | `sample` | one sample of one case; every result in it was verified |
//! | `finished` | the case has as many samples as it was to have |
//! | `skipped` | an engine cannot run on this machine, or not on an input, and why |
//!
//! Every line carries the version, names its unit in the name of each figure (`_s`
//! seconds, `_hz` hertz, `_w` watts, `_c` degrees Celsius), and says in words only what
//! no number says. What was not seen is left out. Fields may be added within a version.

use serde::{Deserialize, Serialize};

use crate::case::Case;
use crate::environment::Environment;
use crate::runner::Clock;
use crate::slowdown::Slowdown;

/// Version of the lines. It rises when a field changes its meaning or goes.
pub const VERSION: u32 = 1;
/// Version of the report of `cudamark peers`, which rises likewise.
pub const REPORT_VERSION: u32 = 2;

/// A line of a records file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "line", rename_all = "kebab-case")]
pub enum Line {
    /// Where the samples after it were taken.
    Environment(Box<EnvironmentLine>),
    /// Version of an engine that is another library's.
    Engine(EngineLine),
    /// Shape of kernels that is measured as an engine.
    Shape(ShapeLine),
    /// One sample.
    Sample(Box<Sample>),
    /// A case that has all its samples.
    Finished(FinishedLine),
    /// An engine that cannot run, or not on an input.
    Skipped(SkippedLine),
}

impl Line {
    /// Its version.
    pub fn version(&self) -> u32 {
        match self {
            Self::Environment(line) => line.version,
            Self::Engine(line) => line.version,
            Self::Shape(line) => line.version,
            Self::Sample(line) => line.version,
            Self::Finished(line) => line.version,
            Self::Skipped(line) => line.version,
        }
    }
}

/// Build, machine and settings.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EnvironmentLine {
    /// [`VERSION`].
    pub version: u32,
    /// [`Environment::id`]: what samples refer to.
    pub id: String,
    /// [`Environment::machine_id`]: times of one machine can be compared.
    pub machine_id: String,
    /// Seed of the inputs.
    pub seed: u64,
    /// Tier of the run: `default`.
    pub tier: String,
    /// Planted slowdown: samples of that engine say nothing of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub slowdown: Option<Slowdown>,
    /// Bytes a second, read and written, that a plain copy moves in the GPU's memory.
    pub device_copy_bytes_per_s: Option<f64>,
    /// The same in host memory, with a thread a core.
    pub host_copy_bytes_per_s: Option<f64>,
    /// The rest.
    pub environment: Environment,
}

impl EnvironmentLine {
    /// The line of `environment`, without bandwidths yet.
    pub fn new(environment: Environment, seed: u64, tier: &str) -> Self {
        Self {
            version: VERSION,
            id: environment.id(),
            machine_id: environment.machine_id(),
            seed,
            tier: tier.to_owned(),
            slowdown: None,
            device_copy_bytes_per_s: None,
            host_copy_bytes_per_s: None,
            environment,
        }
    }
}

/// Version of an engine.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EngineLine {
    /// [`VERSION`].
    pub version: u32,
    /// The engine: `cub`.
    pub engine: String,
    /// Version of its library: `3.0.1`.
    pub engine_version: String,
}

/// A shape of kernels that is measured as an engine.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShapeLine {
    /// [`VERSION`].
    pub version: u32,
    /// Name of the engine.
    pub engine: String,
    /// True if sorts of this size use the shape.
    pub in_use: bool,
    /// Registers of a thread.
    pub registers: u32,
    /// Blocks that a multiprocessor holds at once.
    pub resident_blocks: u32,
}

impl ShapeLine {
    /// The line of a shape.
    pub fn new(engine: String, in_use: bool, registers: u32, resident_blocks: u32) -> Self {
        Self { version: VERSION, engine, in_use, registers, resident_blocks }
    }
}

/// One sample of a case: the mean of a number of sorts in a row, which is one unless they
/// are so short that a clock would be what is measured. Every result was verified.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Sample {
    /// [`VERSION`].
    pub version: u32,
    /// [`EnvironmentLine::id`] of where it was taken.
    pub environment: String,
    /// The case.
    #[serde(rename = "cell")]
    pub case: Case,
    /// Place among the samples of its case and process, from 0.
    pub index: u32,
    /// Sorts of which the times are the mean.
    pub sorts: u32,
    /// The figure: seconds of one sort by `clock`.
    pub seconds: f64,
    /// The clock that the case's figure is read from.
    pub clock: Clock,
    /// Seconds of one sort by the host's clock.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub host_s: Option<f64>,
    /// Seconds of one sort by the device's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub device_s: Option<f64>,
    /// Of several streams: the sum of their busy times over the time in which any was
    /// busy. 1 is one after the other.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub overlap: Option<f64>,
    /// Clock of the multiprocessors right after, in hertz.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sm_clock_hz: Option<f64>,
    /// `device_s` in cycles of that clock.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sm_cycles: Option<f64>,
    /// Power drawn right after, in watts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub power_w: Option<f64>,
    /// Joules that the GPU took while the sample was taken, by its own counter: restoring the
    /// input and verifying the result included.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub energy_j: Option<f64>,
    /// Seconds for which these were counted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub energy_s: Option<f64>,
    /// Temperature right after, in degrees Celsius.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub temperature_c: Option<f64>,
    /// Reasons for a lower speed right after. Such a sample is kept and flagged.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub slowdowns: Vec<String>,
    /// When it was taken: seconds since 1970-01-01 00:00 UTC.
    pub unix_time_s: f64,
}

impl Sample {
    /// Sample `index` of `case`: one sort, seen by the host's clock alone.
    pub fn by_host(environment: &str, case: Case, index: u32, seconds: f64) -> Self {
        Self {
            version: VERSION,
            environment: environment.to_owned(),
            case,
            index,
            sorts: 1,
            seconds,
            clock: Clock::Host,
            host_s: Some(seconds),
            device_s: None,
            overlap: None,
            sm_clock_hz: None,
            sm_cycles: None,
            power_w: None,
            energy_j: None,
            energy_s: None,
            temperature_c: None,
            slowdowns: Vec::new(),
            unix_time_s: 0.0,
        }
    }
}

/// A case that has all its samples.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FinishedLine {
    /// [`VERSION`].
    pub version: u32,
    /// The case.
    #[serde(rename = "cell")]
    pub case: Case,
    /// How many samples it has.
    pub samples: u32,
}

/// An engine that cannot run on this machine, or not on an input.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SkippedLine {
    /// [`VERSION`].
    pub version: u32,
    /// The engine.
    pub engine: String,
    /// Reason; of an input, that and why: `f32-uniform-65536: it sorts no f32`.
    pub reason: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sample_is_read_as_it_was_written_and_may_hold_more() {
        let text = r#"{"line":"sample","version":1,"environment":"0123456789ab",
            "cell":"classic/i32-classic-50000000/gpu/8","index":3,"sorts":1,"seconds":0.0101,
            "clock":"host","host_s":0.0101,"device_s":null,"overlap":null,"sm_clock_hz":1.98e9,
            "sm_cycles":null,"power_w":300.0,"temperature_c":41.0,"slowdowns":["power-cap"],
            "unix_time_s":1795372647.5,"something_new":[1]}"#;
        let line: Line = serde_json::from_str(text).unwrap();
        let Line::Sample(sample) = &line else {
            panic!("{line:?}");
        };
        assert_eq!((sample.case.level, sample.index), (8, 3));
        assert_eq!(sample.slowdowns, ["power-cap"]);
        let again = serde_json::to_string(&line).unwrap();
        assert!(again.starts_with(r#"{"line":"sample","version":1,"#), "{again}");
        assert_eq!(serde_json::from_str::<Line>(&again).unwrap(), line);
    }

    #[test]
    fn an_environment_is_read_as_it_was_written() {
        let environment = EnvironmentLine::new(Environment::here(None), 42, "quick");
        let line = Line::Environment(Box::new(environment));
        let text = serde_json::to_string(&line).unwrap();
        assert_eq!(serde_json::from_str::<Line>(&text).unwrap(), line);
    }
}
