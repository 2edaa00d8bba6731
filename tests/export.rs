//! `cudamark export`: what other tools read, asserted by the fields that they require, and
//! read by nvbench's own script where it is.
//!
//! The script is `nvbench_compare.py` of the package cuda-bench on PyPI, or of nvbench's
//! repository: `CUDAMARK_NVBENCH_SCRIPTS` names its folder. Where there is none, the test
//! shows as ignored. Bencher has no reader on PyPI: its schema is asserted here.

mod common;

use std::env;
use std::path::PathBuf;
use std::process::{Command, ExitCode};

use common::{contains, cudamark, one_line, said, tests, text};
use serde_json::Value;
use tempfile::TempDir;

const CELLS: [&str; 3] = [
    "cpu/u32-uniform/cpu-std/1/1000",
    "cpu/u32-uniform/cpu-radix/1/1000",
    "batch/u32-uniform-500/cpu-std/2",
];

fn main() -> ExitCode {
    let here = tests![
        bencher_gets_values_between_their_limits,
        csv_has_a_row_a_case,
        nvbench_gets_states_whose_axes_are_those_of_the_benchmark,
        later_files_replace_cases_and_files_without_samples_are_refused,
    ];
    let there = tests![nvbench_compares_two_exports];
    common::run([(here, None), (there, lacks_nvbench())])
}

/// A call of the script that compares, if its folder is named. The folder that its package
/// was installed in has the modules that it needs.
fn nvbench_compare() -> Option<Command> {
    let folder = PathBuf::from(env::var_os("CUDAMARK_NVBENCH_SCRIPTS")?);
    let mut python = Command::new("python3");
    python.arg(folder.join("nvbench_compare.py"));
    if let Some(installed) = folder.ancestors().nth(3) {
        python.env("PYTHONPATH", installed);
    }
    Some(python)
}

fn lacks_nvbench() -> Option<String> {
    let Some(mut compare) = nvbench_compare() else {
        return Some("CUDAMARK_NVBENCH_SCRIPTS names no folder of nvbench's scripts".to_owned());
    };
    match compare.arg("--help").output() {
        Ok(output) if output.status.success() => None,
        Ok(output) => Some(text(&output.stderr)),
        Err(error) => Some(format!("cannot run python3: {error}")),
    }
}

/// Records of the cells, each of three samples.
struct Records(TempDir);

impl Records {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    /// Samples `cells` into a file.
    fn sample(&self, name: &str, cells: &[&str]) -> String {
        let path = self.0.path().join(name).display().to_string();
        let cells = cells.join(",");
        let arguments = ["sample", "--samples", "3", "--warm-up", "0", "--cells", &cells];
        said(&cudamark(&[&arguments[..], &["--json", &path]].concat()).output().unwrap(), 0);
        path
    }
}

fn export(format: &str, files: &[&str]) -> String {
    let output = cudamark(&[&["export", "--format", format], files].concat()).output().unwrap();
    assert_eq!(said(&output, 0), "");
    text(&output.stdout)
}

fn json(format: &str, files: &[&str]) -> Value {
    serde_json::from_str(&export(format, files)).unwrap()
}

fn bencher_gets_values_between_their_limits() {
    let records = Records::new();
    let all = json("bmf", &[&records.sample("records.jsonl", &CELLS)]);
    let benchmarks = all.as_object().unwrap();
    assert!(CELLS.iter().all(|cell| benchmarks.contains_key(*cell)) && benchmarks.len() == 3);
    for measures in benchmarks.values() {
        for measure in ["latency", "throughput"] {
            let of = |name: &str| measures[measure][name].as_f64().unwrap();
            assert!(of("lower_value") <= of("value") && of("value") <= of("upper_value"), "{all}");
        }
        // A second has 1e9 nanoseconds.
        let of = |measure: &str| measures[measure]["value"].as_f64().unwrap();
        assert!((of("latency") * of("throughput") / 1e9 - 1000.0).abs() < 1e-6, "{all}");
    }
}

fn csv_has_a_row_a_case() {
    let records = Records::new();
    let csv = export("csv", &[&records.sample("records.jsonl", &CELLS)]);
    let rows: Vec<Vec<&str>> = csv.lines().map(|line| line.split(',').collect()).collect();
    assert_eq!(rows.len(), 1 + CELLS.len());
    assert!(rows.iter().all(|row| row.len() == rows[0].len()), "{csv}");
    let column = |name: &str| rows[0].iter().position(|head| *head == name).unwrap();
    for row in &rows[1..] {
        assert!(CELLS.contains(&row[column("case")]), "{csv}");
        assert_eq!((row[column("samples")], row[column("clock")]), ("3", "host"));
        let seconds = ["low_s", "median_s", "high_s"].map(|name| row[column(name)]);
        let seconds = seconds.map(|text| text.parse::<f64>().unwrap());
        assert!(seconds[0] > 0.0 && seconds.is_sorted(), "{csv}");
    }
}

fn nvbench_gets_states_whose_axes_are_those_of_the_benchmark() {
    let records = Records::new();
    let all = json("nvbench", &[&records.sample("records.jsonl", &CELLS)]);
    assert_eq!(all["meta"]["version"]["json"]["string"], "1.0.0");
    assert_eq!(all["devices"][0]["id"], 0);
    assert!(all["devices"][0]["name"].is_string());
    let benchmarks = all["benchmarks"].as_array().unwrap();
    let names: Vec<&str> = benchmarks.iter().map(|of| of["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["batch/u32-uniform", "cpu/u32-uniform"]);
    for benchmark in benchmarks {
        assert_eq!(benchmark["devices"], serde_json::json!([0]));
        let axes = benchmark["axes"].as_array().unwrap();
        for state in benchmark["states"].as_array().unwrap() {
            assert_eq!((&state["device"], &state["is_skipped"]), (&0.into(), &false.into()));
            let mut name = "Device=0".to_owned();
            for (axis, value) in axes.iter().zip(state["axis_values"].as_array().unwrap()) {
                assert_eq!((&axis["name"], &axis["type"]), (&value["name"], &value["type"]));
                let values = axis["values"].as_array().unwrap();
                assert!(values.iter().any(|known| known["input_string"] == value["value"]));
                let word = |field: &str| value[field].as_str().unwrap();
                name += &format!(" {}={}", word("name"), word("value"));
            }
            assert_eq!(state["name"], *name);
            for tag in ["nv/cold/time/gpu/mean", "nv/cold/time/gpu/stdev/relative"] {
                let summaries = state["summaries"].as_array().unwrap();
                let summary = summaries.iter().find(|summary| summary["tag"] == tag).unwrap();
                let data = &summary["data"][0];
                assert_eq!((&data["name"], &data["type"]), (&"value".into(), &"float64".into()));
                assert!(data["value"].as_str().unwrap().parse::<f64>().unwrap() >= 0.0);
            }
        }
    }
}

fn later_files_replace_cases_and_files_without_samples_are_refused() {
    let records = Records::new();
    let first = records.sample("first.jsonl", &CELLS);
    let later = records.sample("later.jsonl", &CELLS[..1]);
    let (both, alone) = (json("bmf", &[&first, &later]), json("bmf", &[&later]));
    assert_eq!(both[CELLS[0]], alone[CELLS[0]]);
    assert_eq!(both.as_object().unwrap().len(), 3);
    let empty = records.0.path().join("empty.jsonl").display().to_string();
    std::fs::write(&empty, "").unwrap();
    let output = cudamark(&["export", "--format", "csv", &empty]).output().unwrap();
    contains(&one_line(&output, 1), &["no samples in these files"]);
    let output = cudamark(&["export", "--format", "xml", &empty]).output().unwrap();
    contains(&one_line(&output, 2), &["'xml'", "bmf, nvbench, csv"]);
}

fn nvbench_compares_two_exports() {
    let records = Records::new();
    let mut files = Vec::new();
    for name in ["reference", "compared"] {
        let exported = export("nvbench", &[&records.sample(name, &CELLS)]);
        let path = records.0.path().join(format!("{name}.json"));
        std::fs::write(&path, exported).unwrap();
        files.push(path);
    }
    let mut compare = nvbench_compare().unwrap();
    let output = compare.arg("--no-color").args(&files).output().unwrap();
    let stdout = text(&output.stdout);
    // It ends with the number of states that are slower.
    assert!(output.stderr.is_empty(), "{}", text(&output.stderr));
    contains(
        &stdout,
        &["# cpu/u32-uniform", "# batch/u32-uniform", "cpu-radix", "Engine", "Ref Time"],
    );
    contains(&stdout, &["- Total Matches: 3"]);
    assert!(!stdout.contains("WARNING"), "{stdout}");
}
