//! `cudamark rank` over records files, stores and engines.

mod common;
mod stand_ins;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use common::{cudamark, text};
use regress::schema::{Distribution, Line, Measured, Store};
use serde_json::Value;
use stand_ins::track;
use suite::environment::Environment;
use suite::lines::{self, EnvironmentLine, Sample};
use suite::{Case, Records};
use tempfile::TempDir;

const COMMITS: [&str; 2] =
    ["1111111111111111111111111111111111111111", "2222222222222222222222222222222222222222"];

fn name(text: &str) -> Case {
    text.parse().unwrap()
}

fn here() -> String {
    Environment::here(None).machine_id()
}

/// A store with commits and their milliseconds, in the folder of stores.
fn store(folder: &Path, machine: &str, commits: &[(&str, f64)]) -> PathBuf {
    let store = Store::of_machine(&track(&folder.join("target")), machine);
    for (index, (commit, milliseconds)) in commits.iter().enumerate() {
        let cases = [("cpu-std", 1.0), ("cpu-radix", 0.5)].map(|(engine, times)| {
            let median_s = times * milliseconds / 1e3;
            let distribution = Distribution {
                // Commits are not ranked by what disturbed them.
                least_s: median_s,
                median_s: median_s * (1 + index) as f64,
                ..Distribution::default()
            };
            (name(&format!("cpu/u32-uniform/{engine}/1/1000")), distribution)
        });
        let measured = Measured {
            machine_id: machine.to_owned(),
            commit: (*commit).to_owned(),
            unix_time_s: index as f64,
            cases: BTreeMap::from(cases),
            ..Measured::default()
        };
        store.add_synced(&Line::Measured(Box::new(measured))).unwrap();
    }
    store.path().to_owned()
}

fn records(folder: &Path, file: &str, machine: Option<&str>, cases: &[(&str, f64)]) -> PathBuf {
    let path = folder.join(file);
    let records = Records::at(&path);
    let mut environment = EnvironmentLine::new(Environment::here(None), 42, "quick");
    if let Some(machine) = machine {
        environment.machine_id = machine.to_owned();
    }
    let id = environment.id.clone();
    records.add(&lines::Line::Environment(Box::new(environment))).unwrap();
    for (case, seconds) in cases {
        for index in 0..3 {
            let sample = Sample::by_host(&id, name(case), index, *seconds);
            records.add(&lines::Line::Sample(Box::new(sample))).unwrap();
        }
    }
    path
}

/// The command: its exit code and what it said.
fn rank(folder: &TempDir, arguments: &[&str]) -> (Option<i32>, String) {
    let output = cudamark(&["rank"])
        .args(arguments)
        .env("CARGO_TARGET_DIR", folder.path().join("target"))
        .current_dir(folder.path())
        .output()
        .unwrap();
    let said = match output.status.success() {
        true => output.stdout,
        false => output.stderr,
    };
    (output.status.code(), text(&said))
}

fn json(folder: &TempDir, arguments: &[&str]) -> Value {
    let (code, said) = rank(folder, &[arguments, &["--format", "json"]].concat());
    assert_eq!(code, Some(0), "{said}");
    serde_json::from_str(&said).unwrap()
}

fn ranked(json: &Value) -> Vec<(String, f64)> {
    let columns = json["columns"].as_array().unwrap().iter();
    columns
        .map(|column| {
            let mean = column["over_best"].as_f64().unwrap();
            (column["label"].as_str().unwrap().to_owned(), (mean * 1e6).round() / 1e6)
        })
        .collect()
}

fn pair(label: &str, mean: f64) -> (String, f64) {
    (label.to_owned(), mean)
}

#[test]
fn commits_of_the_store_are_ranked() {
    let folder = tempfile::tempdir().unwrap();
    store(folder.path(), &here(), &[(COMMITS[0], 3.0), (COMMITS[1], 2.0)]);
    let result = json(&folder, &["1111111", "2222222"]);
    assert_eq!(ranked(&result), [pair("2222222", 1.0), pair("1111111", 1.5)]);
    assert_eq!(result["cells"].as_array().unwrap().len(), 2);
    assert_eq!(result["machines_differ"], false);
    assert_eq!(result["times"], "least");
    // One engine of a commit beside another.
    let result = json(&folder, &["1111111:cpu-std", "1111111:cpu-radix", "2222222:cpu-std"]);
    let means = [
        pair("1111111:cpu-radix", 1.0),
        pair("2222222:cpu-std", 1.333333),
        pair("1111111:cpu-std", 2.0),
    ];
    assert_eq!(ranked(&result), means);
    assert_eq!(result["cells"][0]["cell"], "cpu/u32-uniform/1/1000");
    // As text and as Markdown.
    let (_, text) = rank(&folder, &["1111111", "2222222", "--cells", "cpu-std"]);
    let first = text.lines().nth(1).unwrap();
    assert!(first.starts_with("1     2222222") && first.contains("1.000"), "{text}");
    assert!(text.contains("2.00 ms") && !text.contains("cpu-radix"), "{text}");
    let (_, markdown) = rank(&folder, &["1111111", "2222222", "--format", "markdown"]);
    assert!(markdown.contains("| 2    | 1111111 |"), "{markdown}");
}

#[test]
fn records_and_engines_of_the_last_runs_are_ranked() {
    let folder = tempfile::tempdir().unwrap();
    let cases = [("cpu/u32-uniform/cpu-std/1/9", 0.4), ("cpu/u32-uniform/cpu-radix/1/9", 0.1)];
    records(folder.path(), "old.jsonl", None, &cases);
    let faster = [(cases[0].0, 0.2), (cases[1].0, 0.0125), ("cpu/u32-uniform/cpu-std/1/8", 9.0)];
    records(folder.path(), "new.jsonl", None, &faster);
    let result = json(&folder, &["old.jsonl", "new.jsonl"]);
    // Twice and eight times the least in the cases that both have: the root of 16.
    assert_eq!(ranked(&result), [pair("new.jsonl", 1.0), pair("old.jsonl", 4.0)]);
    assert_eq!(result["cells"].as_array().unwrap().len(), 2);
    assert_eq!(result["times"], "median");
    // Engines of the suite's last runs are their names.
    records(folder.path(), "target/cudamark/records/cpu-7.jsonl", None, &cases);
    let result = json(&folder, &["cpu-std", "cpu-radix"]);
    assert_eq!(ranked(&result), [pair("cpu-radix", 1.0), pair("cpu-std", 4.0)]);
}

#[test]
fn other_machines_are_refused_unless_forced() {
    let folder = tempfile::tempdir().unwrap();
    store(folder.path(), &here(), &[(COMMITS[0], 3.0)]);
    store(folder.path(), "fedcba987654", &[(COMMITS[0], 6.0), (COMMITS[1], 9.0)]);
    let theirs = "fedcba987654";
    let (code, said) = rank(&folder, &["1111111", theirs]);
    assert_eq!(code, Some(1));
    assert_eq!(said.lines().count(), 1, "{said}");
    assert!(said.contains("times of different machines do not compare"), "{said}");
    let (_, said) = rank(&folder, &["1111111", theirs, "--force"]);
    assert!(said.starts_with("Different machines, ranked by --force"), "{said}");
    assert!(said.contains("fedcba987654"), "{said}");
    // A store is of its latest commit, or of that which is named.
    let path = folder.path().join("target/cudamark/track/fedcba987654.jsonl");
    let path = path.to_str().unwrap();
    let named = format!("{path}@1111111");
    let result = json(&folder, &[path, &named]);
    let means: Vec<f64> = ranked(&result).into_iter().map(|(_, mean)| mean).collect();
    assert_eq!(means, [1.0, 1.5]);
    let other = records(
        folder.path(),
        "other.jsonl",
        Some("m"),
        &[("cpu/u32-uniform/cpu-std/1/1000", 1.0)],
    );
    let (code, said) = rank(&folder, &["1111111", other.to_str().unwrap()]);
    assert_eq!(code, Some(1), "{said}");
}

#[test]
fn what_is_wrong_is_one_error() {
    let folder = tempfile::tempdir().unwrap();
    store(folder.path(), &here(), &[(COMMITS[0], 3.0)]);
    records(folder.path(), "a.jsonl", None, &[("cpu/u32-uniform/cpu-std/1/9", 0.4)]);
    fs::write(folder.path().join("empty.jsonl"), "").unwrap();
    for (arguments, expected) in [
        (&["1111111", "nowhere"][..], "`nowhere` is no file, store, engine or revision"),
        (&["1111111", "none.jsonl"], "there is no file none.jsonl"),
        (&["1111111", "a.jsonl"], "there is no case that all have: 1111111 has 2 like cpu/u32"),
        (&["1111111", "1111111:cpu-std"], "name an engine for all"),
        (&["1111111:cub", "1111111"], "has no case of the engine `cub`"),
        (&["a.jsonl", "empty.jsonl"], "empty.jsonl has no samples"),
        (&["a.jsonl@HEAD", "a.jsonl"], "a.jsonl is no store"),
        (&["a.jsonl", "a.jsonl", "--cells", "abacus"], "none of the cases that all have"),
    ] {
        let (code, said) = rank(&folder, arguments);
        assert_eq!(code, Some(1), "{arguments:?}: {said}");
        assert_eq!(said.lines().count(), 1, "{said}");
        assert!(said.contains(expected), "{arguments:?}: {said}");
    }
    assert_eq!(rank(&folder, &["1111111"]).0, Some(2));
}
