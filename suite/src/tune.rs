//! The record of `cudamark tune`: a line of JSON each.
//!
//! The first line of a file is the environment; each other is a shape at a size, with
//! every sample, or with the reason why it was skipped.

use host::gpu::GpuKey;
use host::gpu::sweep::{Family, Fit, Ranking};
use serde::{Serialize, Serializer};

use crate::environment::Environment;
use crate::workload::Workload;

/// Version of [`Line`]. It rises when a field changes its meaning or goes.
pub const VERSION: u32 = 2;

/// A line of the record.
#[derive(Debug, Serialize)]
pub struct Line<'a> {
    /// [`VERSION`].
    pub version: u32,
    #[serde(flatten)]
    pub content: Content<'a>,
}

/// What it says.
#[derive(Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Content<'a> {
    /// Where all that follows was measured.
    Environment(&'a Environment),
    /// A shape at a size.
    Shape(ShapeRecord<'a>),
}

/// The samples of a shape at a size.
#[derive(Debug, Serialize)]
pub struct ShapeRecord<'a> {
    /// Type of the elements: `u32+u32` are pairs.
    #[serde(rename = "type")]
    pub kind: &'a str,
    /// The input.
    #[serde(flatten)]
    pub workload: Workload,
    /// The structure that the shape is of.
    #[serde(serialize_with = "family")]
    pub family: Family,
    /// Threads in a block.
    pub threads: u32,
    /// Elements of a thread.
    pub items: u32,
    /// Blocks that registers leave room for on a multiprocessor; null for a shape in use.
    pub blocks: Option<u32>,
    /// How its passes rank.
    #[serde(serialize_with = "ranking")]
    pub ranking: Ranking,
    /// Whether sorts of this size use it.
    pub in_use: bool,
    /// Registers of a thread.
    pub registers: Option<u32>,
    /// Blocks that a multiprocessor holds at once.
    pub resident_blocks: Option<u32>,
    /// Why there are no samples.
    pub skipped: Option<&'a str>,
    /// Seconds of each sort by the device's clock, in the order taken. The result of
    /// each was verified.
    pub samples_s: &'a [f64],
}

fn family<S: Serializer>(family: &Family, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(match family {
        Family::Passes => "passes",
        Family::SingleWave => "few-tiles",
        Family::LocalSort => "local-sort",
        Family::Fused => "fused",
    })
}

fn ranking<S: Serializer>(ranking: &Ranking, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(match ranking {
        Ranking::Atomics => "atomics",
        Ranking::Match => "ballots",
        Ranking::AsInUse => "as-in-use",
    })
}

impl<'a> Line<'a> {
    /// The first line.
    pub fn environment(environment: &'a Environment) -> Self {
        Line { version: VERSION, content: Content::Environment(environment) }
    }

    /// Of a shape that was timed, or of one that was skipped, without samples.
    pub fn shape<K: GpuKey>(
        kind: &'a str,
        workload: Workload,
        fit: &'a Fit<K>,
        samples_s: &'a [f64],
    ) -> Self {
        let (name, resources, skipped) = match fit {
            Fit::Runs(shaped) => (shaped.name, Some(shaped.resources), None),
            Fit::Skipped { name, reason } => (*name, None, Some(reason.as_str())),
        };
        Line {
            version: VERSION,
            content: Content::Shape(ShapeRecord {
                kind,
                workload,
                family: name.family,
                threads: name.threads,
                items: name.items,
                blocks: name.blocks,
                ranking: name.ranking,
                in_use: name.in_use,
                registers: resources.map(|resources| resources.registers),
                resident_blocks: resources.map(|resources| resources.blocks),
                skipped,
                samples_s,
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workload::Distribution;
    use host::gpu::sweep::Name;
    use serde_json::{Value, json};

    #[test]
    fn a_skipped_shape_is_a_line_with_its_reason() {
        let fit = Fit::<u32>::Skipped {
            name: Name {
                family: Family::SingleWave,
                threads: 512,
                items: 24,
                blocks: Some(2),
                ranking: Ranking::Match,
                in_use: false,
            },
            reason: "spills".to_owned(),
        };
        let workload = Workload { n: 1024, distribution: Distribution::Uniform, seed: 7 };
        let line = serde_json::to_value(Line::shape("u32", workload, &fit, &[])).unwrap();
        let expected = json!({"version": VERSION, "shape": {
            "type": "u32", "n": 1024, "distribution": "uniform", "seed": 7,
            "family": "few-tiles", "threads": 512, "items": 24, "blocks": 2, "ranking": "ballots", "in_use": false,
            "registers": Value::Null, "resident_blocks": Value::Null,
            "skipped": "spills", "samples_s": [],
        }});
        assert_eq!(line, expected);
    }
}
