//! A benchmark of the suite from outside, run by Criterion as `cargo bench` runs it:
//! the files that it writes, how a wrong result or Ctrl-C ends it, and how it goes on.
//!
//! This program starts itself: with a variable that names a benchmark, it is that
//! benchmark.

mod common;
mod options;

use std::env;
use std::fs;
use std::path::PathBuf;
use std::process::{Command, ExitCode, Output, Stdio};
use std::rc::Rc;

use suite::engine::Engine;
use suite::records::Contents;
use suite::runners::host::Sorted;
use suite::verify::Keys;
use suite::{Case, Error, Group, Runner, Session};
use tempfile::TempDir;

use common::{contains, one_line, said, tests, text, wait_until};

/// Names the benchmark that this process is to be.
const ACT_AS: &str = "CUDAMARK_TEST_ACT_AS";

fn main() -> ExitCode {
    match env::var(ACT_AS).as_deref() {
        Ok("planted") => return harness::main_with("planted", &[Group::Cpu], planted),
        Ok(name) => {
            let group: Group = name.parse().expect("the name of a group");
            return harness::main(name, &[group]);
        }
        Err(_) => {}
    }
    let tests = tests![
        a_wrong_result_fails_the_run,
        samples_are_recorded_and_reported,
        the_emulator_is_measured_and_large_inputs_are_skipped,
        ctrl_c_keeps_samples_and_resume_goes_on,
        every_group_has_a_chart_with_a_line_for_each_engine,
        a_resumed_run_draws_cases_that_were_finished_before,
        settings_that_are_wrong_are_one_error,
        keys_of_a_file_are_measured_under_its_name,
        paths_are_relative_to_the_workspace,
    ];
    common::run([(tests, None), (options::tests(), None)])
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
        Ran { stderr: said(&output, code), stdout: text(&output.stdout) }
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

fn the_emulator_is_measured_and_large_inputs_are_skipped() {
    let dir = TestDir::new();
    let variables = [
        ("CUDAMARK_ENGINES", "bounds,random"),
        ("CUDAMARK_N", "1000,5000000"),
        ("CUDAMARK_TYPES", "f32"),
    ];
    let ran = dir.run("emulator", &QUICK, &variables, 0);
    let contents = dir.contents();
    let cases: Vec<String> = contents.cases.keys().map(Case::to_string).collect();
    let expected = ["bounds", "random"].map(|check| format!("emulator/f32-uniform/{check}/1/1000"));
    assert_eq!(cases, expected);
    assert_eq!(contents.finished.len(), 2);
    for check in ["bounds", "random"] {
        let reason = &contents.skipped[check];
        assert!(reason.starts_with("f32-uniform-5000000: 5000000 keys: "), "{reason}");
        let line = format!("emulator/f32-uniform/{check}/1/5000000: skipped: 5000000 keys: ");
        contains(&ran.stderr, &[&line]);
    }
    contains(&dir.read(PAGE), &[r#"<span class="topic">bounds</span> <span>takes <strong>"#]);
    contains(&ran.stdout, &["x best", "random: takes "]);
}

fn ctrl_c_keeps_samples_and_resume_goes_on() {
    let dir = TestDir::new();
    let sizes = ("CUDAMARK_N", "1000..1019");
    let drawn = &QUICK[..QUICK.len() - 1];
    let mut child = dir.command("cpu", drawn, &[sizes]).spawn().unwrap();
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
    assert!(!before.finished.is_empty() && before.finished.len() < 40);
    let page = dir.read("criterion/cpu_u32-uniform/report/index.html");
    for name in &before.finished {
        contains(&page, &[&format!("<h4>{name}</h4>")]);
    }
    contains(&dir.read(PAGE), &["cpu/u32-uniform/"]);

    let resumed = dir.run("cpu", &QUICK, &[sizes, ("CUDAMARK_RESUME", "1")], 0);
    let finished = format!("{} cases are finished already", before.finished.len());
    contains(&resumed.stderr, &[&finished]);
    let after = dir.contents();
    assert_eq!(after.finished.len(), 40);
    for name in &before.finished {
        assert_eq!(after.cases[name], before.cases[name], "{name}");
    }
}

/// A run with Criterion's drawings.
#[rustfmt::skip]
const DRAWN: [&str; 7] = [
    "--bench", "--warm-up-time", "0.01", "--measurement-time", "0.05",
    "--plotting-backend", "plotters",
];

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
        let variables = [
            ("CUDAMARK_ENGINES", engines.join(",")),
            ("CUDAMARK_LEVELS", "1,2".to_owned()),
            ("CUDAMARK_N", "1000,2000".to_owned()),
            ("CUDAMARK_TYPES", if group == "pairs" { "u32+u32" } else { "u32" }.to_owned()),
        ];
        let variables = variables.each_ref().map(|(name, value)| (*name, value.as_str()));
        dir.run(group, &DRAWN, &variables, 0);
        let file = |name: &str| dir.read(&format!("criterion/{chart}/report/{name}"));
        let page = file("index.html");
        contains(&page, &["Violin Plot", "Line Chart"]);
        assert_eq!(page.contains("Throughput Chart"), axis == size, "{group}: {page}");
        contains(&file("violin.svg"), &engines[..1]);
        let lines = file("lines.svg");
        let has = |fits: &dyn Fn(&str) -> bool| lines.lines().any(|line| fits(line.trim()));
        assert!(has(&|line| line == axis), "{group}: {lines}");
        for engine in engines {
            let level = format!("{engine}/");
            let found = has(&|line| line == *engine || line.starts_with(&level));
            assert!(found, "{group}, {engine}: {lines}");
        }
        let link = format!("../{chart}/report/index.html");
        contains(&dir.read("criterion/report/index.html"), &[&link]);
    }
}

fn a_resumed_run_draws_cases_that_were_finished_before() {
    let dir = TestDir::new();
    let run = |levels: &str| {
        let engine = ("CUDAMARK_ENGINES", "cpu-std");
        let variables = [("CUDAMARK_LEVELS", levels), engine, ("CUDAMARK_RESUME", "1")];
        dir.run("classic", &DRAWN, &variables, 0)
    };
    run("1");
    let first = dir.contents();
    contains(&run("1,2").stderr, &["1 cases are finished already"]);
    let page = dir.read("criterion/classic_u32-uniform-1000/report/index.html");
    let name = |level| format!("<h4>classic/u32-uniform-1000/cpu-std/{level}</h4>");
    contains(&page, &[&name(1), &name(2)]);
    let second = dir.contents();
    for (name, samples) in &first.cases {
        assert_eq!(&second.cases[name], samples, "{name}");
    }
}

fn settings_that_are_wrong_are_one_error() {
    for (variable, value, expected) in [
        ("CUDAMARK_TIER", "slow", "there are quick, default, full"),
        ("CUDAMARK_N", "0", "take 1 or more"),
        ("CUDAMARK_ENGINES", "abacus", "`abacus`"),
        ("CUDAMARK_LEVELS", "1,0", "level 0"),
    ] {
        let dir = TestDir::new();
        let output: Output = dir.command("cpu", &QUICK, &[(variable, value)]).output().unwrap();
        let line = one_line(&output, 1);
        assert!(line.starts_with(&format!("cpu: {variable}: ")), "{line}");
        contains(&line, &[expected]);
        assert!(!dir.0.path().join("cudamark").exists());
    }
}

fn keys_of_a_file_are_measured_under_its_name() {
    let dir = TestDir::new();
    let path = dir.0.path().join("own.bin");
    fs::write(&path, [5; 4000]).unwrap();
    let keys = [("CUDAMARK_KEYS", path.to_str().unwrap()), ("CUDAMARK_KEYS_TYPE", "i32")];
    let command = || {
        let mut command = dir.command("cpu", &QUICK, &keys);
        for other in ["CUDAMARK_N", "CUDAMARK_TYPES", "CUDAMARK_DISTRIBUTIONS"] {
            command.env_remove(other);
        }
        command
    };
    let output = command().output().unwrap();
    said(&output, 0);
    let [records] = &dir.records()[..] else { panic!("one file of records") };
    let contents = Contents::read(records).unwrap();
    let is_of_file = |case: &Case| case.distribution.starts_with("own.bin@") && case.n == 1000;
    assert!(contents.cases.keys().all(is_of_file) && contents.finished.len() == 2);
    let name = &contents.cases.keys().next().unwrap().distribution;
    // The table, the page and Criterion's folders are by the same name.
    contains(&text(&output.stdout), &[name]);
    contains(&dir.read("cudamark/report/index.html"), &[name]);
    dir.read(&format!("criterion/cpu_i32-{name}/cpu-std_2/1000/new/estimates.json"));
    // So are the baselines that are looked for.
    said(&command().args(["--save-baseline", "own"]).output().unwrap(), 0);
    contains(&text(&command().args(["--baseline", "own"]).output().unwrap().stdout), &["change:"]);

    let beside = one_line(&dir.command("cpu", &QUICK, &keys).output().unwrap(), 1);
    contains(&beside, &["CUDAMARK_KEYS: `", "unset this or CUDAMARK_N"]);
}

/// Cargo starts a benchmark in the folder of its package.
fn paths_are_relative_to_the_workspace() {
    let dir = TestDir::new();
    let package = dir.0.path().join("benches");
    fs::create_dir(&package).unwrap();
    fs::write(dir.0.path().join("own.bin"), [5; 4000]).unwrap();
    let variables = [
        ("CARGO_PKG_NAME", "benches"),
        ("CUDAMARK_KEYS", "own.bin"),
        ("CUDAMARK_KEYS_TYPE", "i32"),
        ("CRITERION_HOME", "home"),
    ];
    let mut command = dir.command("cpu", &QUICK, &variables);
    for other in ["CUDAMARK_N", "CUDAMARK_TYPES", "CUDAMARK_DISTRIBUTIONS"] {
        command.env_remove(other);
    }
    command.env("CARGO_MANIFEST_DIR", &package).current_dir(&package);
    said(&command.output().unwrap(), 0);
    let measured: Vec<_> = fs::read_dir(dir.0.path().join("home")).unwrap().collect();
    assert!(!measured.is_empty() && fs::read_dir(&package).unwrap().next().is_none());
}
