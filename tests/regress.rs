//! Comparisons and calibrations over the real command: every process sorts, and what is
//! killed goes on.

mod common;
mod stand_ins;

use std::fs;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use common::{cudamark, json_lines, one_line, program, text, wait_until};
use serde_json::Value;
use stand_ins::{count_lines, only_store, runs, track};
use tempfile::TempDir;

const CASE: &str = "cpu/u32-uniform/cpu-std/1/1000";
const OTHER: &str = "cpu/u32-uniform/cpu-radix/1/1000";

/// A target folder.
struct TestDir(TempDir);

impl TestDir {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = cudamark(arguments);
        command.env("CARGO_TARGET_DIR", self.0.path());
        // Nobody asks git: a commit while this runs changes nothing.
        command.env("CUDAMARK_COMMIT", "0123abc");
        command
    }

    fn run(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().unwrap()
    }

    /// Starts a command, and kills it (SIGKILL) once the stores in `folder` have `lines` lines.
    fn kill_after(&self, arguments: &[&str], lines: usize, folder: &Path) {
        let mut command = self.command(arguments);
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        wait_until(&mut child, || count_lines(folder) >= lines);
        child.kill().unwrap();
        child.wait().unwrap();
    }
}

/// A comparison of an executable with itself.
fn compare_with_itself(program: &str) -> [&str; 6] {
    ["compare", CASE, "--base-exe", program, "--head-exe", program]
}

#[test]
fn a_comparison_that_is_killed_goes_on_and_its_store_is_whole() {
    let dir = TestDir::new();
    let program = program();
    let program = program.to_str().unwrap();
    let same = compare_with_itself(program);
    let short = ["--samples", "2", "--warm-up", "0"];
    // The wanted difference is too small for it to end before it is killed.
    let never_ends = ["--detect", "0%", "--budget", "600s"];
    let folder = track(dir.0.path());
    dir.kill_after(&[&same[..], &short, &never_ends].concat(), 10, &folder);
    let store = only_store(&folder);
    let path = store.path();
    // As if the kill had come in the middle of a line.
    let whole = fs::read_to_string(path).unwrap();
    let whole = &whole[..whole.rfind('\n').unwrap() + 1];
    fs::write(path, format!("{whole}{{\"line\":\"run\",\"ver")).unwrap();
    let before = runs(&store);
    assert!(before.len() >= 10);

    let ends = ["--detect", "1000%", "--format", "json"];
    let output = dir.run(&[&same[..], &short, &ends].concat());
    let said = text(&output.stderr);
    let json: Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{said}"));
    assert!(fs::read_to_string(path).unwrap().starts_with(whole));
    let torn = fs::read_to_string(path.with_extension("jsonl.torn")).unwrap();
    assert_eq!(torn, "{\"line\":\"run\",\"ver\n");
    let after = runs(&store);
    let blocks = json["cells"][0]["blocks"].as_u64().unwrap() as usize;
    // It went on after the last whole block, and did what was missing of it again.
    let again = before.len() % 4;
    assert_eq!(after.len(), blocks * 4 + again);
    assert!(after.iter().all(|run| run.repeat == 0));
    if let Some(next) = after.get(before.len()) {
        assert_eq!((next.round, next.turn), (before.len() / 4, 0));
    }
    assert!(after.iter().all(|run| run.disturbance.is_some()));
    let last = fs::read_to_string(path).unwrap();
    let last: Value = serde_json::from_str(last.lines().last().unwrap()).unwrap();
    assert_eq!((&last["line"], &last["round"]), (&"finished".into(), &0.into()));
}

#[test]
fn a_planted_slowdown_is_found_and_what_is_killed_goes_on() {
    let dir = TestDir::new();
    let json = dir.0.path().join("calibration.json");
    let json = json.to_str().unwrap();
    let cases = ["calibrate", CASE, OTHER, "--samples", "3", "--warm-up", "0"];
    // Far above the noise of any machine, so that blocks are few; a slowdown given twice is one.
    let large = ["--planted", "900%,900%", "--detect", "300%", "--budget", "120s"];
    let calibrate = [&cases[..], &large].concat();
    let counts = |aa: &'static str, trials: &'static str| ["--comparisons", aa, "--trials", trials];
    let folder = track(dir.0.path()).join("calibration");
    dir.kill_after(&[&calibrate[..], &counts("50", "1")].concat(), 2, &folder);
    let kept = only_store(&folder);
    let kept = || fs::read_to_string(kept.path()).unwrap();
    let before = kept();

    // The last to begin was cut short; what has ended is not done again.
    let few = [&calibrate[..], &counts("4", "2"), &["--json", json]].concat();
    let output = dir.run(&few);
    let said = text(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{said}");
    assert!(said.contains("6 of 6: "), "{said}");
    let after = kept();
    assert!(after.starts_with(&before));
    let record: Value = serde_json::from_str(&fs::read_to_string(json).unwrap()).unwrap();
    assert_eq!(record["aa_comparisons"], 4);
    assert_eq!(record["planted"][0]["percent"], 900.0);
    assert_eq!(record["planted"][0]["trials"], 2);
    assert_eq!(record["planted"][0]["detected"], 2);
    assert_eq!(record["settings"]["commit"], "0123abc");
    assert!(record["environment"]["cores"].as_u64().unwrap() >= 1);
    let raw = json_lines(&fs::read_to_string(json.replace(".json", ".jsonl")).unwrap());
    assert_eq!(raw.len(), 6);
    for trial in &raw {
        let cases = trial["cells"].as_array().unwrap();
        assert_eq!(cases.len(), 2);
        for case in cases {
            let blocks = case["blocks_ns"].as_array().unwrap();
            assert_eq!(blocks.len() as u64, case["blocks"].as_u64().unwrap());
        }
    }

    let again = dir.run(&few);
    assert_eq!(kept(), after, "nothing was done again");
    assert_eq!(again.stdout, output.stdout);
    let program = program();
    let program = program.to_str().unwrap();
    let compare = compare_with_itself(program);
    let quick = ["--samples", "2", "--warm-up", "0", "--detect", "1000%"];
    let compared = dir.run(&[&compare[..], &quick].concat());
    assert!(text(&compared.stdout).ends_with(&text(&output.stdout)), "{compared:?}");
}

#[test]
fn what_cannot_be_calibrated_is_one_line() {
    let dir = TestDir::new();
    for (arguments, code, said) in [
        (&["--engine", "gpu"][..], 1, "no engine of the CPU"),
        (&["--engine", "abacus"], 1, "`abacus`"),
        (&[CASE, "--engine", "cpu-radix"], 1, "none of the cases"),
        (&["--planted", "5%,0%"], 1, "--planted: 0 %"),
        (&["--json", "a.jsonl"], 1, ".jsonl"),
        (&["--json", "/nowhere/a.json"], 1, "/nowhere/a.json"),
        (&["cpu-std"], 2, "cpu-std"),
    ] {
        let output = dir.run(&[&["calibrate"], arguments].concat());
        let error = one_line(&output, code);
        assert!(error.starts_with("cudamark: ") && error.contains(said), "{error}");
    }
}

#[test]
fn a_planted_slowdown_is_refused_where_it_reaches_nothing() {
    let dir = TestDir::new();
    for (slowdown, said) in [("cpu-radix=5%", "cpu-radix"), ("cpu-std", "write it like")] {
        let arguments = ["sample", "--cells", CASE, "--slow-down", slowdown];
        let output = dir.run(&arguments);
        assert_ne!(output.status.code(), Some(0));
        let error = text(&output.stderr);
        assert!(error.starts_with("cudamark: ") && error.contains(said), "{error}");
    }
    let planted = ["sample", "--cells", CASE, "--samples", "1", "--slow-down", "cpu-std=5%"];
    let output = dir.run(&planted);
    let environment = &json_lines(&text(&output.stdout))[0];
    assert_eq!(environment["slowdown"]["percent"], 5.0);
}
