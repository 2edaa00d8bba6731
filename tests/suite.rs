//! A benchmark of the suite from outside, run by Criterion as `cargo bench` runs it:
//! the files that it writes, how a wrong result or Ctrl-C ends it, and how it goes on.
//!
//! This program starts itself: with a variable that names a benchmark, it is that
//! benchmark.

mod common;

use std::collections::BTreeSet;
use std::env;
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Command, ExitCode, Stdio};
use std::rc::Rc;
use std::thread;
use std::time::Duration;

use suite::engine::Engine;
use suite::records::Contents;
use suite::runners::host::Sorted;
use suite::verify::Keys;
use suite::{Case, Error, Group, Runner, Session};
use tempfile::TempDir;

use common::{contains, said, tests, text, wait_until};

/// Names the benchmark that this process is to be.
const ACT_AS: &str = "CUDAMARK_TEST_ACT_AS";

fn main() -> ExitCode {
    match env::var(ACT_AS).as_deref() {
        Ok("planted") => return harness::main_with("planted", &[Group::Cpu], planted),
        Ok("slow") => return harness::main_with("slow", &[Group::Cpu], built_slowly),
        Ok(name) => {
            let group: Group = name.parse().expect("the name of a group");
            return harness::main(name, &[group]);
        }
        Err(_) => {}
    }
    let tests = tests![
        a_wrong_result_fails_the_run,
        samples_are_recorded_and_reported,
        skipped_cases_are_said_and_need_no_baseline,
        ctrl_c_keeps_samples_and_resume_goes_on,
        every_group_has_a_chart_with_a_line_for_each_engine,
        settings_that_are_wrong_are_one_error,
        settings_that_are_misspelt_are_told,
        keys_of_a_file_are_measured_under_its_name,
        a_baseline_that_is_not_there_is_one_error,
        without_bench_all_runs_once_and_nothing_is_written,
        every_name_that_is_listed_runs_by_itself,
        names_are_selected_in_both_forms,
        quick_and_discarded_runs_keep_samples,
        runs_that_take_no_samples_say_so,
        wrong_options_are_refused,
        a_closed_pipe_ends_without_a_panic,
    ];
    common::run([(tests, None)])
}

/// An engine that sorts, and then exchanges two keys.
struct Planted;

impl Engine<u32> for Planted {
    fn name(&self) -> &'static str {
        "planted"
    }

    fn sort(&mut self, keys: &mut [u32]) -> Result<(), suite::Error> {
        keys.sort_unstable();
        keys.swap(10, 400);
        Ok(())
    }
}

/// Opens the cases of `cpu-std` with the planted engine, and all others as a benchmark does.
fn planted(session: &Session, case: &Case) -> Result<Box<dyn Runner>, Error> {
    if case.engine != "cpu-std" {
        return session.registry.build(case);
    }
    let input = || Ok(Rc::new(Keys::new((0..case.n as u32).rev().collect())));
    Ok(Box::new(Sorted::new(Box::new(Planted), case.n, case.level, input)?))
}

/// Builds a case as a benchmark does, in longer than a quick run measures it.
fn built_slowly(session: &Session, case: &Case) -> Result<Box<dyn Runner>, Error> {
    thread::sleep(Duration::from_millis(250));
    session.registry.build(case)
}

/// A target folder, and so all that a run writes.
struct TestDir(TempDir);

type Variables<'a> = &'a [(&'a str, &'a str)];

/// The printed text of a run.
struct Ran {
    stdout: String,
    stderr: String,
}

impl TestDir {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    /// A benchmark of two small cases.
    fn command(&self, bench: &str, arguments: &[&str], variables: Variables) -> Command {
        let mut command = Command::new(env::current_exe().unwrap());
        command
            .args(arguments)
            .env(ACT_AS, bench)
            .env("CARGO_TARGET_DIR", self.0.path())
            .env("CUDAMARK_TIER", "quick")
            .env("CUDAMARK_N", "1000")
            .env("CUDAMARK_LEVELS", "2")
            .env("CUDAMARK_ENGINES", "cpu-radix,cpu-std")
            .env("CUDAMARK_DISTRIBUTIONS", "uniform")
            .env("CUDAMARK_TYPES", "u32")
            .envs(variables.iter().copied())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        for variable in ["CRITERION_HOME", "CUDAMARK_RESUME", "CUDAMARK_SEED"] {
            if !variables.iter().any(|(name, _)| *name == variable) {
                command.env_remove(variable);
            }
        }
        command
    }

    /// Runs a benchmark, which ends with `code`.
    #[track_caller]
    fn run(&self, bench: &str, arguments: &[&str], variables: Variables, code: i32) -> Ran {
        let output = self.command(bench, arguments, variables).output().unwrap();
        // Criterion says it where it finds none.
        let stderr = said(&output, code).replace("Gnuplot not found, using plotters backend\n", "");
        Ran { stderr, stdout: text(&output.stdout) }
    }

    fn read(&self, file: &str) -> String {
        fs::read_to_string(self.0.path().join(file)).unwrap_or_else(|e| panic!("{file}: {e}"))
    }

    fn records(&self) -> Vec<PathBuf> {
        let folder = self.0.path().join("cudamark/records");
        let entries = fs::read_dir(folder).into_iter().flatten();
        entries.map(|entry| entry.unwrap().path()).collect()
    }

    fn contents(&self) -> Contents {
        let files = self.records();
        let [file] = &files[..] else {
            panic!("not one file of records: {files:?}");
        };
        Contents::read(file).unwrap()
    }
}

const QUICK: [&str; 6] =
    ["--bench", "--warm-up-time", "0.01", "--measurement-time", "0.05", "--noplot"];
const PAGE: &str = "cudamark/report/index.html";

fn a_wrong_result_fails_the_run() {
    let dir = TestDir::new();
    let ran = dir.run("planted", &QUICK, &[], 1);
    let expected = "planted: cpu/u32-uniform/cpu-std/2/1000: planted: wrong result at level 2: \
                    out of order: key 400 at index 10, then 11 at index 11";
    contains(&ran.stderr, &[expected]);
    // The engine that sorts was measured before, and has its samples; the other none.
    let contents = dir.contents();
    let engines: Vec<&str> = contents.cases.keys().map(|name| name.engine.as_str()).collect();
    assert_eq!(engines, ["cpu-radix"]);
}

fn samples_are_recorded_and_reported() {
    let dir = TestDir::new();
    let ran = dir.run("cpu", &QUICK, &[], 0);
    let contents = dir.contents();
    assert_eq!((contents.cases.len(), contents.finished.len()), (2, 2));
    for (name, samples) in &contents.cases {
        assert_eq!(samples.len(), 10, "{name}");
        let environment = &contents.environments[&samples[0].environment];
        assert_eq!(environment.tier, "quick");
        assert!(samples.iter().all(|sample| sample.seconds > 0.0));
    }
    let case = "cpu/u32-uniform/cpu-std/2/1000";
    let words = ["time:", "thrpt:", "95 % interval", "By how much: ", "Report: ", "Records: "];
    contains(&ran.stdout, &[&[case][..], &words].concat());
    contains(&dir.read(PAGE), &["cpu/u32-uniform/cpu-radix/2/1000"]);
    assert!(dir.0.path().join("criterion/cpu_u32-uniform/cpu-std_2/1000").is_dir());
}

fn skipped_cases_are_said_and_need_no_baseline() {
    let dir = TestDir::new();
    let variables = [
        ("CUDAMARK_ENGINES", "bounds,random"),
        ("CUDAMARK_N", "1000,5000000"),
        ("CUDAMARK_TYPES", "f32"),
    ];
    let run = |option| dir.run("emulator", &[&QUICK[..], &[option, "b"]].concat(), &variables, 0);
    let ran = run("--save-baseline");
    let contents = dir.contents();
    let cases: Vec<String> = contents.finished.iter().map(Case::to_string).collect();
    let expected = ["bounds", "random"].map(|check| format!("emulator/f32-uniform/{check}/1/1000"));
    assert_eq!(cases, expected);
    contains(&dir.read(PAGE), &[r#"<span class="topic">bounds</span> <span>takes <strong>"#]);
    contains(&ran.stdout, &["x best", "random: takes "]);
    let compared = run("--baseline");
    contains(&compared.stdout, &["change:"]);
    for check in ["bounds", "random"] {
        let reason = &contents.skipped[check];
        assert!(reason.starts_with("f32-uniform-5000000: 5000000 keys: "), "{reason}");
        let line = format!("emulator/f32-uniform/{check}/1/5000000: skipped: 5000000 keys: ");
        contains(&ran.stderr, &[&line]);
        contains(&compared.stderr, &[&line]);
    }
}

/// A run with Criterion's drawings.
#[rustfmt::skip]
const DRAWN: [&str; 7] = [
    "--bench", "--warm-up-time", "0.01", "--measurement-time", "0.05",
    "--plotting-backend", "plotters",
];

fn ctrl_c_keeps_samples_and_resume_goes_on() {
    let dir = TestDir::new();
    let sizes = ("CUDAMARK_N", "1000..1005");
    let mut child = dir.command("cpu", &DRAWN, &[sizes]).spawn().unwrap();
    wait_until(&mut child, || {
        let lines = |path: &PathBuf| fs::read_to_string(path).unwrap_or_default();
        let written: String = dir.records().iter().map(lines).collect();
        written.matches("\"line\":\"sample\"").count() >= 25
    });
    common::signal(&child, "-INT");
    let interrupted = said(&child.wait_with_output().unwrap(), 130);
    let before = dir.contents();
    let kept: usize = before.cases.values().map(Vec::len).sum();
    contains(&interrupted, &[&format!("interrupted; {kept} finished samples are kept")]);
    assert!(!before.finished.is_empty() && before.finished.len() < 12);
    let are_drawn = |names: &BTreeSet<Case>| {
        let page = dir.read("criterion/cpu_u32-uniform/report/index.html");
        names.iter().for_each(|name| contains(&page, &[&format!("<h4>{name}</h4>")]));
    };
    are_drawn(&before.finished);
    contains(&dir.read(PAGE), &["cpu/u32-uniform/"]);

    let filtered = [&DRAWN[..], &["uniform"]].concat();
    let resumed = dir.run("cpu", &filtered, &[sizes, ("CUDAMARK_RESUME", "1")], 0);
    let finished = format!("{} cases are finished already", before.finished.len());
    contains(&resumed.stderr, &[&finished]);
    let after = dir.contents();
    assert_eq!(after.finished.len(), 12);
    for name in &before.finished {
        assert_eq!(after.cases[name], before.cases[name], "{name}");
    }
    are_drawn(&after.finished);
}

fn every_group_has_a_chart_with_a_line_for_each_engine() {
    let (level, size) = ("Input", "Input Size (Elements)");
    // Groups, engines with a curve each, the chart's folder, and the label of its x axis.
    let all: [(&str, &[&str], &str, &str); 7] = [
        ("classic", &["cpu-std", "cpu-radix"], "classic_u32-uniform-1000", level),
        ("split", &["cpu-std"], "split_u32-uniform-1000", level),
        ("batch", &["cpu-std", "cpu-radix"], "batch_u32-uniform-1000", level),
        ("transfer", &["cpu-copy"], "transfer_u32-uniform-1000", level),
        ("cpu", &["cpu-std", "cpu-radix"], "cpu_u32-uniform", size),
        ("pairs", &["cpu-std"], "pairs_u32+u32-uniform", size),
        ("emulator", &["bounds", "races"], "emulator_u32-uniform", size),
    ];
    for (group, engines, chart, axis) in all {
        let dir = TestDir::new();
        let listed = engines.join(",");
        let variables = [
            ("CUDAMARK_ENGINES", listed.as_str()),
            ("CUDAMARK_LEVELS", "1,2"),
            ("CUDAMARK_N", "1000,2000"),
            ("CUDAMARK_TYPES", if group == "pairs" { "u32+u32" } else { "u32" }),
        ];
        dir.run(group, &DRAWN, &variables, 0);
        let file = |name: &str| dir.read(&format!("criterion/{chart}/report/{name}"));
        let page = file("index.html");
        contains(&page, &["Violin Plot", "Line Chart"]);
        assert_eq!(page.contains("Throughput Chart"), axis == size, "{group}: {page}");
        let lines = file("lines.svg");
        let labels = lines.lines().map(|line| line.trim().split('/').next().unwrap());
        for label in [&[axis], engines].concat() {
            assert!(labels.clone().any(|found| found == label), "{group}, {label}: {lines}");
        }
        let link = format!("../{chart}/report/index.html");
        contains(&dir.read("criterion/report/index.html"), &[&link]);
    }
}

fn settings_that_are_wrong_are_one_error() {
    for (variable, value, expected) in [
        ("CUDAMARK_TIER", "slow", "there are quick, default, full"),
        ("CUDAMARK_N", "0", "take 1 or more"),
        ("CUDAMARK_ENGINES", "abacus", "`abacus`"),
        ("CUDAMARK_ENGINES", "cpu-std,cupy", "cupy: "),
        ("CUDAMARK_LEVELS", "1,0", "level 0"),
    ] {
        let dir = TestDir::new();
        let variables = [(variable, value), ("CUDAMARK_PYTHON", "/dev/null")];
        let line = dir.run("classic", &QUICK, &variables, 1).stderr;
        assert!(line.starts_with(&format!("classic: {variable}: ")), "{line}");
        assert_eq!(line.lines().count(), 1, "{line}");
        contains(&line, &[expected]);
        assert!(!dir.0.path().join("cudamark").exists());
    }
}

fn settings_that_are_misspelt_are_told() {
    let ran = TestDir::new().run("cpu", &["--bench", "--list"], &[("CUDAMARK_TEIR", "quick")], 0);
    contains(&ran.stderr, &["cpu: CUDAMARK_TEIR is ignored;", "CUDAMARK_TIER"]);
    contains(&ran.stdout, &["cpu/u32-uniform/"]);
}

/// Paths are relative to the workspace; cargo starts a benchmark in its package's folder.
fn keys_of_a_file_are_measured_under_its_name() {
    let dir = TestDir::new();
    let package = dir.0.path().join("benches");
    fs::create_dir(&package).unwrap();
    fs::write(dir.0.path().join("own.bin"), [5; 4000]).unwrap();
    let run = |arguments: &[&str], others: &[&str], code| {
        let keys = [
            ("CRITERION_HOME", "home"),
            ("CUDAMARK_KEYS", "own.bin"),
            ("CUDAMARK_KEYS_TYPE", "i32"),
        ];
        let mut command = dir.command("cpu", &[&QUICK[..], arguments].concat(), &keys);
        command.env("CARGO_PKG_NAME", "benches").env("CARGO_MANIFEST_DIR", &package);
        others.iter().for_each(|other| _ = command.env_remove(other));
        let output = command.current_dir(&package).output().unwrap();
        Ran { stderr: said(&output, code), stdout: text(&output.stdout) }
    };
    let others = ["CUDAMARK_N", "CUDAMARK_TYPES", "CUDAMARK_DISTRIBUTIONS"];
    let first = run(&["--save-baseline", "own"], &others, 0);
    let contents = dir.contents();
    let is_of_file = |case: &Case| case.distribution.starts_with("own.bin@") && case.n == 1000;
    assert!(contents.cases.keys().all(is_of_file) && contents.finished.len() == 2);
    let name = &contents.cases.keys().next().unwrap().distribution;
    // The table, the page, Criterion's folders and its baselines are by the same name.
    contains(&first.stdout, &[name]);
    contains(&dir.read(PAGE), &[name]);
    dir.read(&format!("home/cpu_i32-{name}/cpu-std_2/1000/own/estimates.json"));
    contains(&run(&["--baseline", "own"], &others, 0).stdout, &["change:"]);

    let beside = run(&[], &others[1..], 1).stderr;
    contains(&beside, &["CUDAMARK_KEYS: `", "unset this or CUDAMARK_N"]);
}

const TWO_SIZES: Variables = &[("CUDAMARK_N", "1000,2000")];
const NAME: &str = "cpu/u32-uniform/cpu-std/2/1000";

/// A quick run with more arguments, which ends with `code`.
#[track_caller]
fn quick(dir: &TestDir, arguments: &[&str], variables: Variables, code: i32) -> Ran {
    dir.run("cpu", &[&QUICK[..], arguments].concat(), variables, code)
}

fn a_baseline_that_is_not_there_is_one_error() {
    let dir = TestDir::new();
    let lines = quick(&dir, &["--baseline", "nope"], &[], 1).stderr;
    let last = lines.lines().last().unwrap();
    assert!(last.starts_with("cpu: Baseline 'nope' must exist"), "{lines}");
    contains(last, &["--save-baseline nope"]);
    assert!(dir.contents().cases.is_empty());
    // With one size more, half of the benchmarks have none. A filter leaves these out.
    quick(&dir, &["--save-baseline", "kept"], &[], 0);
    quick(&dir, &["--baseline", "kept"], TWO_SIZES, 1);
    contains(&quick(&dir, &["--baseline", "kept", "/1000$"], TWO_SIZES, 0).stdout, &["change:"]);
}

fn without_bench_all_runs_once_and_nothing_is_written() {
    for arguments in [&["--test"][..], &["--bench", "--test"], &[]] {
        let dir = TestDir::new();
        let stdout = dir.run("cpu", arguments, &[], 0).stdout;
        assert_eq!(stdout.matches("Success").count(), 2, "{stdout}");
        assert_eq!(fs::read_dir(dir.0.path()).unwrap().count(), 0);
    }
}

#[track_caller]
fn listed(dir: &TestDir, arguments: &[&str]) -> Vec<String> {
    let ran = dir.run("cpu", arguments, &[], 0);
    assert_eq!(ran.stderr, "");
    let name = |line: &str| line.strip_suffix(": benchmark").expect(line).to_owned();
    ran.stdout.lines().map(name).collect()
}

fn every_name_that_is_listed_runs_by_itself() {
    let dir = TestDir::new();
    let names = listed(&dir, &["--list", "--format", "terse"]);
    assert_eq!(names, ["cpu/u32-uniform/cpu-radix/2/1000", NAME]);
    for with in [&["--list"][..], &["--list", "--bench"], &["--list", "--include-ignored"]] {
        assert_eq!(listed(&dir, with), names, "{with:?}");
    }
    assert_eq!(listed(&dir, &["--list", "--format", "terse", "--ignored"]), [""; 0]);
    for name in &names {
        let stdout = dir.run("cpu", &["--exact", name, "--nocapture"], &[], 0).stdout;
        contains(&stdout, &[&format!("Testing {name}")]);
        assert_eq!(stdout.matches("Success").count(), 1, "{stdout}");
        contains(&quick(&dir, &["--exact", name], &[], 0).stdout, &["time:"]);
    }
}

fn names_are_selected_in_both_forms() {
    let dir = TestDir::new();
    let radix = "cpu/u32-uniform/cpu-radix/2/1000";
    for (filter, names) in [
        (&["cpu-radix"][..], &[radix][..]),
        (&["^cpu/u32-uniform/cpu-r.*/1000$"], &[radix]),
        (&["^cpu/cpu-radix/u32-uniform"], &[radix]),
        (&["--exact", radix], &[radix]),
        (&["--exact", "cpu/cpu-radix/u32-uniform-1000/2"], &[radix]),
        (&["--exact", "cpu-radix"], &[]),
    ] {
        assert_eq!(listed(&dir, &[&["--list"], filter].concat()), names, "{filter:?}");
    }
    // A name that no case has is no test that passes; one of another benchmark is.
    for (arguments, code, expected) in [
        (&["--exact", "cpu/u32-uniform/cpu-radix/2/7"][..], 1, "--list shows them"),
        (&["--bench", "--exact", "cpu-radix"], 1, "`--exact cpu-radix`"),
        (&["--bench", "--exact", "classic/i32-classic-7/cpu-std/1"], 0, "nothing to measure"),
        (&["abacus"], 0, "nothing to measure"),
    ] {
        let line = dir.run("cpu", arguments, &[], code).stderr;
        assert!(line.starts_with("cpu: ") && line.lines().count() == 1, "{line}");
        contains(&line, &[expected]);
    }
    assert!(dir.records().is_empty());
}

fn quick_and_discarded_runs_keep_samples() {
    for option in ["--verbose", "--discard-baseline"] {
        let dir = TestDir::new();
        let arguments = ["--bench", "--quick", "--measurement-time", "0.2", option];
        contains(&dir.run("slow", &arguments, TWO_SIZES, 0).stdout, &["95 % interval"]);
        let contents = dir.contents();
        assert_eq!((contents.cases.len(), contents.finished.len()), (4, 4));
        for (name, samples) in &contents.cases {
            let indices = samples.iter().map(|sample| sample.index as usize);
            assert!(samples.len() > 1 && indices.eq(0..samples.len()), "{name}: {samples:?}");
        }
        let estimates = "criterion/cpu_u32-uniform/cpu-std_2/1000/new/estimates.json";
        assert_eq!(dir.0.path().join(estimates).is_file(), option == "--verbose");
    }
}

fn runs_that_take_no_samples_say_so() {
    let dir = TestDir::new();
    let ran = dir.run("cpu", &["--bench", "--profile-time", "1", NAME], &[], 0);
    contains(&ran.stderr, &["cpu: no sample is kept"]);
    contains(&ran.stdout, &[&format!("{NAME}: Complete")]);
    assert!(dir.records().is_empty());

    quick(&dir, &["--save-baseline", "before"], &[], 0);
    let load = ["--bench", "--load-baseline", "before", "--baseline", "before", NAME];
    let loaded = dir.run("cpu", &load, &[], 0);
    contains(&loaded.stderr, &["cpu: no sample is kept"]);
    contains(&loaded.stdout, &["change:"]);
    assert_eq!(dir.records().len(), 1);
}

fn wrong_options_are_refused() {
    let dir = TestDir::new();
    let unknown = dir.run("cpu", &["--bench", "--frobnicate"], &[], 2).stderr;
    contains(&unknown, &["unexpected argument '--frobnicate'"]);
    for (words, expected) in [(&["--sample-size", "5"][..], "num_size >= 10"), (&["("], "unclosed")]
    {
        let refused = dir.run("cpu", &[&["--bench"], words].concat(), &[], 2).stderr;
        let given = format!("`{}`: Criterion does not take this: ", words.join(" "));
        contains(&refused, &[&given, expected, "see --help"]);
    }
    for (option, expected) in [("--help", "--sample-size"), ("--version", "cpu 0.")] {
        contains(&dir.run("cpu", &[option], &[], 0).stdout, &[expected]);
    }
    assert!(!dir.0.path().join("cudamark").exists());
}

fn a_closed_pipe_ends_without_a_panic() {
    let dir = TestDir::new();
    for arguments in [&["--bench", "--list"][..], &["--test"], &QUICK] {
        let mut command = dir.command("cpu", arguments, &[("CUDAMARK_N", "1000..1999")]);
        let mut child = command.spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        said(&child.wait_with_output().unwrap(), 141);
    }
    let kept: usize = dir.contents().cases.values().map(Vec::len).sum();
    assert!(kept >= 10, "{kept}");
}
