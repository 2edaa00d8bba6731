//! `cudamark export`: records in the formats of other tools.
//!
//! | format | a case is | its figures |
//! |---|---|---|
//! | `bmf` (Bencher) | a benchmark by its name | median and interval: `latency` in nanoseconds, `throughput` in elements a second; `joules-per-billion` |
//! | `nvbench` | a state of the benchmark `group/type-distribution`, whose axes are engine, level and n | mean and relative deviation, where its scripts look for the GPU's time |
//! | `csv` | a row | median and interval in seconds |
//!
//! nvbench's scripts compare means against deviations, so these are taken of the samples
//! themselves. Whichever clock the case is read from, its time stands at
//! `nv/cold/time/gpu/mean`, the only one that `nvbench_compare.py` reads.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use anyhow::{Result, bail};
use clap::{Args, ValueEnum};
use cudamark::output;
use serde_json::{Map, Value, json};
use suite::environment::Environment;
use suite::records::Contents;
use suite::summary::Figures;
use suite::{Case, Sample, Summary};

use super::classic::print;

/// Version of nvbench's JSON that is written.
const NVBENCH: [u32; 3] = [1, 0, 0];

/// Columns of the CSV, and the figure in each. Names of cases have no comma and no quotation
/// mark.
const COLUMNS: [Column; 18] = [
    ("case", |of| of.name.to_string()),
    ("group", |of| of.name.group.clone()),
    ("engine", |of| of.name.engine.clone()),
    ("type", |of| of.name.kind.clone()),
    ("distribution", |of| of.name.distribution.clone()),
    ("n", |of| of.name.n.to_string()),
    ("level", |of| of.name.level.to_string()),
    ("clock", |of| format!("{:?}", of.clock).to_lowercase()),
    ("samples", |of| of.samples.to_string()),
    ("median_s", |of| of.median_s.to_string()),
    ("low_s", |of| of.low_s.to_string()),
    ("high_s", |of| of.high_s.to_string()),
    ("confidence", |of| of.confidence.to_string()),
    ("elements_per_s", |of| of.per_second.to_string()),
    ("host_s", |of| or_empty(of.host_s)),
    ("device_s", |of| or_empty(of.device_s)),
    ("sm_cycles_per_element", |of| or_empty(of.cycles.map(|cycles| cycles.per_element))),
    ("joules_per_billion", |of| or_empty(of.joules_per_billion)),
];

type Column = (&'static str, fn(&Figures) -> String);

fn or_empty(figure: Option<f64>) -> String {
    figure.map(|of| of.to_string()).unwrap_or_default()
}

/// Write records in a format that other tools read, to standard output.
#[derive(Args, Debug)]
pub(crate) struct Options {
    /// Format of Bencher (its Metric Format), of nvbench's scripts, or a row a case.
    #[arg(long, value_enum)]
    format: Format,

    /// Records files; of a case in several, the last counts.
    #[arg(value_name = "FILE.jsonl", required = true)]
    files: Vec<PathBuf>,
}

/// A format of another tool.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    Bmf,
    Nvbench,
    Csv,
}

/// Runs the command.
pub(crate) fn run(options: &Options) -> Result<()> {
    let mut contents = Contents::default();
    for path in &options.files {
        contents.merge(Contents::read(path)?);
    }
    let summary = Summary::of(&contents);
    if summary.cases.is_empty() {
        bail!(
            "no samples in these files; name records of `cargo bench` or `cudamark sample --json`"
        );
    }
    let json = match options.format {
        Format::Csv => return print(&csv(&summary)),
        Format::Bmf => bmf(&summary),
        Format::Nvbench => nvbench(&contents, &summary),
    };
    print(&output::json(&json)?)
}

fn csv(summary: &Summary) -> String {
    let mut text = COLUMNS.map(|(name, _)| name).join(",") + "\n";
    for figures in summary.cases.values() {
        text += &(COLUMNS.map(|(_, of)| of(figures)).join(",") + "\n");
    }
    text
}

fn bmf(summary: &Summary) -> Value {
    let measures = |figures: &Figures| {
        let elements = figures.per_second * figures.median_s;
        let mut measures = json!({
            "latency": {
                "value": figures.median_s * 1e9,
                "lower_value": figures.low_s * 1e9,
                "upper_value": figures.high_s * 1e9,
            },
            "throughput": {
                "value": figures.per_second,
                "lower_value": elements / figures.high_s,
                "upper_value": elements / figures.low_s,
            },
        });
        if let Some(joules) = figures.joules_per_billion {
            measures["joules-per-billion"] = json!({ "value": joules });
        }
        measures
    };
    let cases = summary.cases.values();
    Value::Object(cases.map(|case| (case.name.to_string(), measures(case))).collect::<Map<_, _>>())
}

fn nvbench(contents: &Contents, summary: &Summary) -> Value {
    let mut benchmarks: BTreeMap<String, Vec<&Figures>> = BTreeMap::new();
    for figures in summary.cases.values() {
        let Case { group, kind, distribution, .. } = &figures.name;
        benchmarks.entry(format!("{group}/{kind}-{distribution}")).or_default().push(figures);
    }
    let benchmark = |(index, (name, cases)): (usize, (String, Vec<&Figures>))| {
        let states = cases.iter().map(|case| state(case, &contents.cases[&case.name]));
        json!({
            "name": name,
            "index": index,
            "devices": [0],
            "axes": axes(&cases),
            "states": states.collect::<Vec<_>>(),
        })
    };
    let environment = summary.environment().map(|line| &line.environment);
    let device = environment.and_then(Environment::processor);
    let [major, minor, patch] = NVBENCH;
    let version = format!("{major}.{minor}.{patch}");
    json!({
        "meta": {
            "argv": ["cudamark", "export"],
            "version": {
                "json": { "major": major, "minor": minor, "patch": patch, "string": version },
            },
        },
        "devices": [{ "id": 0, "name": device.unwrap_or("unknown") }],
        "benchmarks": benchmarks.into_iter().enumerate().map(benchmark).collect::<Vec<_>>(),
    })
}

/// Name, type and value of each axis of a case.
fn axis_values(case: &Case) -> [(&'static str, &'static str, String); 3] {
    [
        ("Engine", "string", case.engine.clone()),
        ("Level", "int64", case.level.to_string()),
        ("Elements", "int64", case.n.to_string()),
    ]
}

/// The axes of a benchmark, each with the values that its cases have.
fn axes(cases: &[&Figures]) -> Vec<Value> {
    let all: Vec<_> = cases.iter().map(|case| axis_values(&case.name)).collect();
    let axis = |index: usize| {
        let (name, kind, _) = &all[0][index];
        let number = |text: &str| text.parse::<u64>().ok();
        let values: BTreeSet<_> =
            all.iter().map(|of| (number(&of[index].2), &of[index].2)).collect();
        let values = values.into_iter().map(|(number, text)| {
            let value = number.map_or_else(|| json!(text), |number| json!(number));
            json!({ "input_string": text, "description": "", "value": value })
        });
        json!({ "name": name, "type": kind, "flags": "", "values": values.collect::<Vec<_>>() })
    };
    (0..all[0].len()).map(axis).collect()
}

fn state(case: &Figures, samples: &[Sample]) -> Value {
    let values = axis_values(&case.name);
    let words = values.iter().map(|(name, _, value)| format!(" {name}={value}"));
    let seconds: Vec<f64> = samples.iter().map(|sample| sample.seconds).collect();
    let (mean, deviation) = mean_and_deviation(&seconds);
    let summary = |tag: &str, name: &str, hint: &str, kind: &str, value: String| {
        json!({
            "tag": tag,
            "name": name,
            "description": "",
            "hint": hint,
            "data": [{ "name": "value", "type": kind, "value": value }],
        })
    };
    let float =
        |tag, name, hint, value: f64| summary(tag, name, hint, "float64", value.to_string());
    let count = seconds.len().to_string();
    let mut summaries = vec![
        summary("nv/cold/sample_size", "Samples", "sample_size", "int64", count),
        float("nv/cold/time/gpu/mean", "GPU Time", "duration", mean),
        float("nv/cold/time/gpu/stdev/relative", "Noise", "percentage", deviation),
        float("nv/cold/bw/item_rate", "Elem/s", "item_rate", case.per_second),
    ];
    let host: Option<Vec<f64>> = samples.iter().map(|sample| sample.host_s).collect();
    if let Some(host) = host {
        let (mean, deviation) = mean_and_deviation(&host);
        summaries.push(float("nv/cold/time/cpu/mean", "CPU Time", "duration", mean));
        let tag = "nv/cold/time/cpu/stdev/relative";
        summaries.push(float(tag, "Noise", "percentage", deviation));
    }
    let axis = |(name, kind, value): &(&str, &str, String)| json!({ "name": name, "type": kind, "value": value });
    json!({
        "name": format!("Device=0{}", words.collect::<String>()),
        "device": 0,
        "type_config_index": 0,
        "axis_values": values.iter().map(axis).collect::<Vec<_>>(),
        "summaries": summaries,
        "is_skipped": false,
    })
}

/// The mean of samples, and their standard deviation as a part of it: infinite of one.
fn mean_and_deviation(figures: &[f64]) -> (f64, f64) {
    let n = figures.len() as f64;
    let mean = figures.iter().sum::<f64>() / n;
    if figures.len() < 2 {
        return (mean, f64::INFINITY);
    }
    let squares: f64 = figures.iter().map(|figure| (figure - mean).powi(2)).sum();
    (mean, (squares / (n - 1.0)).sqrt() / mean)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn deviations_are_of_samples_and_relative() {
        assert_eq!(mean_and_deviation(&[2.0, 4.0, 6.0]), (4.0, 0.5));
        assert_eq!(mean_and_deviation(&[3.0]), (3.0, f64::INFINITY));
    }
}
