//! Comparisons and calibrations over the real command: every process sorts, and what is
//! killed goes on.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use regress::schema::{Line, Run};
use regress::store::Store;
use serde_json::Value;
use tempfile::TempDir;

const CELL: &str = "cpu/u32-uniform/cpu-std/1/1000";
const OTHER: &str = "cpu/u32-uniform/cpu-radix/1/1000";
/// Longest that a command may take to write its first lines.
const PATIENCE: Duration = Duration::from_secs(120);

/// The command. A bundle says where it is; else it is where cargo built it.
fn program() -> String {
    let built = env!("CARGO_BIN_EXE_cudamark").to_owned();
    env::var("CARGO_BIN_EXE_cudamark").unwrap_or(built)
}

/// A target folder.
struct Place(TempDir);

impl Place {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(program());
        command.env("CARGO_TARGET_DIR", self.0.path());
        // Nobody asks git: a commit while this runs changes nothing.
        command.env("CUDAMARK_COMMIT", "0123abc").args(arguments);
        command
    }

    fn run(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().unwrap()
    }

    /// Starts a command, and kills it once the file that `find` finds has `lines` lines.
    fn kill_after(
        &self,
        arguments: &[&str],
        lines: usize,
        find: impl Fn(&Path) -> Option<PathBuf>,
    ) {
        let mut command = self.command(arguments);
        let child = command.stdout(Stdio::null()).stderr(Stdio::null());
        let mut child = Killed(child.spawn().unwrap());
        let begin = Instant::now();
        let track = self.0.path().join("cudamark/track");
        loop {
            let text = find(&track).and_then(|path| fs::read_to_string(path).ok());
            if text.is_some_and(|text| text.lines().count() >= lines) {
                break;
            }
            assert!(begin.elapsed() < PATIENCE, "no {lines} lines");
            assert_eq!(child.0.try_wait().unwrap(), None, "it has ended by itself");
            thread::sleep(Duration::from_millis(5));
        }
        child.0.kill().unwrap();
    }
}

/// A process that is killed (SIGKILL) when it is dropped.
struct Killed(Child);

impl Drop for Killed {
    fn drop(&mut self) {
        // It may have ended.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The only file of lines in a folder.
fn lines_in(folder: &Path) -> Option<PathBuf> {
    let files = fs::read_dir(folder).ok()?;
    let mut paths = files.map(|file| file.unwrap().path());
    paths.find(|path| path.extension().is_some_and(|end| end == "jsonl"))
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

fn runs(path: &Path) -> Vec<Run> {
    let id = path.file_stem().unwrap().to_str().unwrap();
    let lines = Store::of_machine(path.parent().unwrap(), id).read().unwrap();
    let run = |line| match line {
        Line::Run(run) => Some(*run),
        _ => None,
    };
    lines.into_iter().filter_map(run).collect()
}

/// A comparison of an executable with itself.
fn compare_with_itself(program: &str) -> [&str; 6] {
    ["compare", CELL, "--base-exe", program, "--head-exe", program]
}

#[test]
fn a_comparison_that_is_killed_goes_on_and_its_store_is_whole() {
    let place = Place::new();
    let program = program();
    let same = compare_with_itself(&program);
    let short = ["--samples", "2", "--warm-up", "0"];
    // What is to be seen is too little for it to end before it is killed.
    let never_ends = ["--detect", "0%", "--budget", "600s"];
    place.kill_after(&[&same[..], &short, &never_ends].concat(), 10, lines_in);
    let path = lines_in(&place.0.path().join("cudamark/track")).unwrap();
    // As if the kill had come in the middle of a line.
    let whole = fs::read_to_string(&path).unwrap();
    let whole = &whole[..whole.rfind('\n').unwrap() + 1];
    fs::write(&path, format!("{whole}{{\"line\":\"run\",\"ver")).unwrap();
    let before = runs(&path);
    assert!(before.len() >= 10);

    let ends = ["--detect", "1000%", "--format", "json"];
    let output = place.run(&[&same[..], &short, &ends].concat());
    let said = text(&output.stderr);
    let json: Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{said}"));
    assert!(fs::read_to_string(&path).unwrap().starts_with(whole));
    let torn = fs::read_to_string(path.with_extension("jsonl.torn")).unwrap();
    assert_eq!(torn, "{\"line\":\"run\",\"ver\n");
    let after = runs(&path);
    let blocks = json["cells"][0]["blocks"].as_u64().unwrap() as usize;
    // It went on after the last whole block, and did what was missing of it again.
    let again = before.len() % 4;
    assert_eq!(after.len(), blocks * 4 + again);
    assert!(after.iter().all(|run| run.repeat == 0));
    if let Some(next) = after.get(before.len()) {
        assert_eq!((next.round, next.turn), (before.len() / 4, 0));
    }
    assert!(after.iter().all(|run| run.disturbance.is_some()));
    let last = fs::read_to_string(&path).unwrap();
    let last: Value = serde_json::from_str(last.lines().last().unwrap()).unwrap();
    assert_eq!((&last["line"], &last["round"]), (&"finished".into(), &0.into()));
}

#[test]
fn a_planted_slowdown_is_found_and_what_is_killed_goes_on() {
    let place = Place::new();
    let json = place.0.path().join("calibration.json");
    let json = json.to_str().unwrap();
    let cells = ["calibrate", CELL, OTHER, "--samples", "3", "--warm-up", "0"];
    // Far above the noise of any machine, so that blocks are few.
    let large = ["--planted", "900%", "--detect", "300%", "--budget", "120s"];
    let calibrate = [&cells[..], &large].concat();
    let counts = |aa: &'static str, trials: &'static str| ["--comparisons", aa, "--trials", trials];
    let in_calibration = |track: &Path| lines_in(&track.join("calibration"));
    place.kill_after(&[&calibrate[..], &counts("50", "1")].concat(), 2, in_calibration);
    let kept = lines_in(&place.0.path().join("cudamark/track/calibration")).unwrap();
    let before = fs::read_to_string(&kept).unwrap();

    // The last to begin was cut short; what has ended is not done again.
    let few = [&calibrate[..], &counts("4", "2"), &["--json", json]].concat();
    let output = place.run(&few);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let after = fs::read_to_string(&kept).unwrap();
    assert!(after.starts_with(&before));
    let record: Value = serde_json::from_str(&fs::read_to_string(json).unwrap()).unwrap();
    assert_eq!(record["aa_comparisons"], 4);
    assert_eq!(record["planted"][0]["percent"], 900.0);
    assert_eq!(record["planted"][0]["trials"], 2);
    assert_eq!(record["planted"][0]["detected"], 2);
    assert_eq!(record["settings"]["commit"], "0123abc");
    assert!(record["environment"]["cores"].as_u64().unwrap() >= 1);
    let raw = fs::read_to_string(json.replace(".json", ".jsonl")).unwrap();
    let raw: Vec<Value> = raw.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(raw.len(), 6);
    for trial in &raw {
        let cells = trial["cells"].as_array().unwrap();
        assert_eq!(cells.len(), 2);
        for cell in cells {
            let blocks = cell["blocks_ns"].as_array().unwrap();
            assert_eq!(blocks.len() as u64, cell["blocks"].as_u64().unwrap());
        }
    }

    let again = place.run(&few);
    assert_eq!(fs::read_to_string(&kept).unwrap(), after, "nothing was done again");
    assert_eq!(again.stdout, output.stdout);
    let program = program();
    let compare = compare_with_itself(&program);
    let quick = ["--samples", "2", "--warm-up", "0", "--detect", "1000%"];
    let compared = place.run(&[&compare[..], &quick].concat());
    assert!(text(&compared.stdout).ends_with(text(&output.stdout)), "{compared:?}");
}

#[test]
fn what_cannot_be_calibrated_is_one_line() {
    let place = Place::new();
    for (arguments, said) in [
        (&["--engine", "gpu"][..], "no engine of the CPU"),
        (&["--engine", "abacus"], "`abacus`"),
        (&[CELL, "--engine", "cpu-radix"], "none of the cells"),
        (&["--json", "a.jsonl"], ".jsonl"),
        (&["--json", "/nowhere/a.json"], "/nowhere/a.json"),
        (&["cpu-std"], "cpu-std"),
    ] {
        let output = place.run(&[&["calibrate"], arguments].concat());
        let error = text(&output.stderr);
        assert!(matches!(output.status.code(), Some(1 | 2)), "{error}");
        assert_eq!(error.lines().count(), 1, "{error}");
        assert!(error.starts_with("cudamark: ") && error.contains(said), "{error}");
    }
}

#[test]
fn a_planted_slowdown_is_refused_where_it_reaches_nothing() {
    let place = Place::new();
    for (slowdown, said) in [("cpu-radix=5%", "cpu-radix"), ("cpu-std", "write it like")] {
        let arguments = ["sample", "--cells", CELL, "--slow-down", slowdown];
        let output = place.run(&arguments);
        assert_ne!(output.status.code(), Some(0));
        let error = text(&output.stderr);
        assert!(error.starts_with("cudamark: ") && error.contains(said), "{error}");
    }
    let planted = ["sample", "--cells", CELL, "--samples", "1", "--slow-down", "cpu-std=5%"];
    let output = place.run(&planted);
    let first = text(&output.stdout).lines().next().unwrap();
    let environment: Value = serde_json::from_str(first).unwrap();
    assert_eq!(environment["slowdown"]["percent"], 5.0);
}
