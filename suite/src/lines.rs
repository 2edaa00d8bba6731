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
//! Every line carries [`VERSION`], names its unit in the name of each figure (`_s`
//! seconds, `_hz` hertz, `_w` watts, `_c` degrees Celsius), and says in words only what
//! no number says. What was not seen is left out. Fields may be added within a version.

use serde::de::{DeserializeOwned, Error};
use serde::{Deserialize, Deserializer, Serialize};

use crate::case::Case;
use crate::environment::Environment;
use crate::nvml::Reading;
use crate::runner::Clock;
use crate::slowdown::Slowdown;

/// Version of all that is written as JSON: lines and reports. It rises when a field changes
/// its meaning or goes; what was written in an earlier one is still read.
pub const VERSION: u32 = 2;

/// A line with the version that it was written in.
#[derive(Serialize, Deserialize)]
#[serde(expecting = "an object")]
struct Versioned<L> {
    version: u32,
    #[serde(flatten)]
    line: L,
}

/// `line` as it is written, with its end.
pub fn to_text(line: &impl Serialize) -> serde_json::Result<String> {
    Ok(serde_json::to_string(&Versioned { version: VERSION, line })? + "\n")
}

/// The line that `text` is, or why it is none.
pub(crate) fn of_text<L: DeserializeOwned>(text: &str) -> Result<L, String> {
    let read: Versioned<L> = serde_json::from_str(text).map_err(|error| error.to_string())?;
    match (1..=VERSION).contains(&read.version) {
        true => Ok(read.line),
        false => Err(format!("version {}, and not 1 to {VERSION}", read.version)),
    }
}

/// A line of a records file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "line", rename_all = "kebab-case")]
pub enum Line {
    /// Where the samples after it were taken.
    Environment(Box<EnvironmentLine>),
    /// Version of an engine that is another library's.
    Engine {
        /// The engine: `cub`.
        engine: String,
        /// Version of its library: `3.0.1`.
        engine_version: String,
    },
    /// Shape of kernels that is measured as an engine.
    Shape(ShapeLine),
    /// One sample.
    Sample(Box<Sample>),
    /// A case that has all its samples.
    Finished {
        /// The case.
        #[serde(rename = "cell")]
        case: Case,
        /// How many samples it has.
        samples: u32,
    },
    /// An engine that cannot run on this machine, or not on an input.
    Skipped {
        /// The engine.
        engine: String,
        /// Reason; of an input, that and why: `f32-uniform-65536: it sorts no f32`.
        reason: String,
    },
}

/// Build, machine and settings.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EnvironmentLine {
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

/// A shape of kernels that is measured as an engine.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShapeLine {
    /// Name of the engine.
    pub engine: String,
    /// True if sorts of this size use the shape.
    pub in_use: bool,
    /// Registers of a thread.
    pub registers: u32,
    /// Blocks that a multiprocessor holds at once.
    pub resident_blocks: u32,
}

/// One sample of a case: the mean of a number of sorts in a row, which is one unless they
/// are so short that a clock would be what is measured. Every result was verified.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Sample {
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
    #[serde(deserialize_with = "more_than_nothing")]
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
    /// State of each GPU right after, in the order of CUDA, of a case over several: then
    /// `slowdowns` are those of any, and the figures above the first one's, but for the energy,
    /// which is that of all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub gpus: Vec<Reading>,
    /// When it was taken: seconds since 1970-01-01 00:00 UTC.
    pub unix_time_s: f64,
}

/// Seconds of which ratios and rates can be made.
fn more_than_nothing<'de, D: Deserializer<'de>>(from: D) -> Result<f64, D::Error> {
    let seconds = f64::deserialize(from)?;
    let wrong = || D::Error::custom(format_args!("{seconds} seconds are no time of a sort"));
    (seconds > 0.0).then_some(seconds).ok_or_else(wrong)
}

impl Sample {
    /// Sample `index` of `case`: one sort, seen by the host's clock alone.
    pub fn by_host(environment: &str, case: Case, index: u32, seconds: f64) -> Self {
        Self {
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
            gpus: Vec::new(),
            unix_time_s: 0.0,
        }
    }
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
            "gpus":[{"sm_clock_hz":1.98e9,"power_w":300.0,"temperature_c":41.0,"slowdowns":[]},
            {"sm_clock_hz":1.2e9,"power_w":null,"temperature_c":null,"slowdowns":["power-cap"]}],
            "unix_time_s":1795372647.5,"something_new":[1]}"#;
        let line: Line = of_text(text).unwrap();
        let Line::Sample(sample) = &line else {
            panic!("{line:?}");
        };
        assert_eq!((sample.case.level, sample.index), (8, 3));
        assert_eq!(sample.slowdowns, ["power-cap"]);
        assert_eq!(sample.gpus[1].sm_clock_hz, Some(1.2e9));
        let again = to_text(&line).unwrap();
        assert!(again.starts_with(r#"{"version":2,"line":"sample","#), "{again}");
        assert_eq!(of_text::<Line>(&again).unwrap(), line);
    }

    #[test]
    fn an_environment_is_read_as_it_was_written() {
        let environment = EnvironmentLine::new(Environment::here(None), 42, "quick");
        let line = Line::Environment(Box::new(environment));
        assert_eq!(of_text::<Line>(&to_text(&line).unwrap()).unwrap(), line);
    }
}
