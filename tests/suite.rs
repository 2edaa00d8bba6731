//! A benchmark of the suite from outside, run by Criterion as `cargo bench` runs it:
//! what it writes, how a wrong result ends it, how Ctrl-C does, and how it goes on.
//!
//! This program starts itself: with a variable that names a benchmark, it is that
//! benchmark.

#[path = "../benches/harness/mod.rs"]
mod harness;
mod options;

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, Output, Stdio};
use std::rc::Rc;
use std::thread;
use std::time::{Duration, Instant};

use libtest_mimic::{Arguments, Failed, Trial};
use suite::engine::Engine;
use suite::inputs::Keys;
use suite::records::Contents;
use suite::runners::host::Sorted;
use suite::{Case, Error, Group, Runner, Session};
use tempfile::TempDir;

/// Names the benchmark that this process is to be.
const ACT_AS: &str = "CUDAMARK_TEST_ACT_AS";
/// Longest that a run may take to write its first samples.
const PATIENCE: Duration = Duration::from_secs(120);

fn main() -> ExitCode {
    match env::var(ACT_AS).as_deref() {
        Ok("planted") => harness::main_with("planted", &[Group::Cpu], planted),
        Ok(name) => {
            let group: Group = name.parse().expect("the name of a group");
            harness::main(name, &[group])
        }
        Err(_) => {
            let arguments = Arguments::from_args();
            libtest_mimic::run(&arguments, trials()).exit_code()
        }
    }
}

type Test = fn() -> Result<(), Failed>;

fn trials() -> Vec<Trial> {
    let all: [(&str, Test); 7] = [
        ("a_wrong_result_fails_the_run", a_wrong_result_fails_the_run),
        ("samples_are_recorded_and_reported", samples_are_recorded_and_reported),
        (
            "the_emulator_is_measured_as_all_are_and_large_inputs_are_skipped",
            the_emulator_is_measured,
        ),
        ("ctrl_c_keeps_samples_and_resume_goes_on", ctrl_c_keeps_samples_and_resume_goes_on),
        ("every_group_has_a_chart_with_a_line_an_engine", every_group_has_a_chart),
        (
            "a_resumed_run_draws_what_was_finished_before",
            a_resumed_run_draws_what_was_finished_before,
        ),
        ("settings_that_are_wrong_are_one_error", settings_that_are_wrong_are_one_error),
    ];
    let all = all.into_iter().chain(options::TESTS);
    all.map(|(name, test)| Trial::test(name, test)).collect()
}

/// An engine that sorts, and then exchanges two keys.
struct Planted;

impl Engine<u32> for Planted {
    fn name(&self) -> &'static str {
        "planted"
    }

    fn scratch_bytes(&self, _n: usize, _level: usize) -> u64 {
        0
    }

    fn prepare(&mut self, _n: usize, _level: usize) -> Result<(), suite::Error> {
        Ok(())
    }

    fn sort(&mut self, keys: &mut [u32]) -> Result<(), suite::Error> {
        keys.sort_unstable();
        keys.swap(10, 400);
        Ok(())
    }
}

/// Opens cases as ever, but those of `cpu-std` with the planted engine.
fn planted(session: &Session, name: &Case) -> Result<Box<dyn Runner>, Error> {
    if name.engine != "cpu-std" {
        return session.build(name);
    }
    let input = || Ok(Rc::new(Keys::new((0..name.n as u32).rev().collect())));
    Ok(Box::new(Sorted::new(Box::new(Planted), name.n, name.level, input)?))
}

/// Where a run puts what it writes.
struct Place(TempDir);

impl Place {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn command(&self, bench: &str, arguments: &[&str]) -> Command {
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
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        for variable in ["CRITERION_HOME", "CUDAMARK_RESUME", "CUDAMARK_SEED"] {
            command.env_remove(variable);
        }
        command
    }

    fn records(&self) -> Vec<PathBuf> {
        let folder = self.0.path().join("cudamark/records");
        let entries = fs::read_dir(folder).into_iter().flatten();
        entries.map(|entry| entry.unwrap().path()).collect()
    }

    /// A file of Criterion's on one chart.
    fn chart(&self, chart: &str, file: &str) -> Result<String, Failed> {
        let path = self.0.path().join("criterion").join(chart);
        let path = path.join("report").join(file);
        fs::read_to_string(&path).map_err(|error| format!("{}: {error}", path.display()).into())
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

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// The standard error of a run that ended with `code`.
fn said(output: &Output, code: i32) -> Result<String, Failed> {
    let said = text(&output.stderr);
    let found = output.status.code();
    if found != Some(code) || said.contains("panicked") {
        return Err(format!("exit code {found:?}: {said}{}", text(&output.stdout)).into());
    }
    Ok(said)
}

fn a_wrong_result_fails_the_run() -> Result<(), Failed> {
    let place = Place::new();
    let output = place.command("planted", &QUICK).output()?;
    let said = said(&output, 1)?;
    let expected = "planted: cpu/u32-uniform/cpu-std/2/1000: planted: wrong result at level 2: \
                    out of order: key 400 at index 10, then 11 at index 11";
    assert!(said.contains(expected), "{said}");
    // The engine that sorts was measured before, and has its samples; the other none.
    let contents = place.contents();
    let engines: Vec<&str> = contents.cases.keys().map(|name| name.engine.as_str()).collect();
    assert_eq!(engines, ["cpu-radix"]);
    Ok(())
}

fn samples_are_recorded_and_reported() -> Result<(), Failed> {
    let place = Place::new();
    let output = place.command("cpu", &QUICK).output()?;
    said(&output, 0)?;
    let contents = place.contents();
    assert_eq!((contents.cases.len(), contents.finished.len()), (2, 2));
    for (name, samples) in &contents.cases {
        assert_eq!(samples.len(), 10, "{name}");
        let environment = &contents.environments[&samples[0].environment];
        assert_eq!(environment.tier, "quick");
        assert!(samples.iter().all(|sample| sample.seconds > 0.0));
    }
    let stdout = text(&output.stdout);
    for expected in [
        "cpu/u32-uniform/cpu-std/2/1000",
        "time:",
        "thrpt:",
        "95 % interval",
        "rank: ",
        "Report: ",
        "Records: ",
    ] {
        assert!(stdout.contains(expected), "{expected}: {stdout}");
    }
    let page = fs::read_to_string(place.0.path().join("cudamark/report/index.html"))?;
    assert!(page.contains("cpu/u32-uniform/cpu-radix/2/1000"));
    let folder = place.0.path().join("criterion/cpu_u32-uniform/cpu-std_2/1000");
    assert!(folder.is_dir(), "{}", folder.display());
    Ok(())
}

fn the_emulator_is_measured() -> Result<(), Failed> {
    let place = Place::new();
    let output = place
        .command("emulator", &QUICK)
        .env("CUDAMARK_ENGINES", "bounds,random")
        .env("CUDAMARK_N", "1000,5000000")
        .env("CUDAMARK_TYPES", "f32")
        .output()?;
    let said = said(&output, 0)?;
    let contents = place.contents();
    let cases: Vec<String> = contents.cases.keys().map(Case::to_string).collect();
    let expected = ["bounds", "random"].map(|check| format!("emulator/f32-uniform/{check}/1/1000"));
    assert_eq!(cases, expected);
    assert_eq!(contents.finished.len(), 2);
    for check in ["bounds", "random"] {
        let reason = &contents.skipped[check];
        assert!(reason.starts_with("f32-uniform-5000000: 5000000 keys: "), "{reason}");
        let line = format!("emulator/f32-uniform/{check}/1/5000000: skipped: 5000000 keys: ");
        assert!(said.contains(&line), "{said}");
    }
    let page = fs::read_to_string(place.0.path().join("cudamark/report/index.html"))?;
    assert!(page.contains("With bounds alone checked (bounds), the emulator sorts"));
    assert!(text(&output.stdout).contains("random /"));
    Ok(())
}

/// Waits until the run has written `samples` lines of samples.
fn wait_for_samples(place: &Place, child: &mut Child, samples: usize) -> Result<(), Failed> {
    let begun = Instant::now();
    loop {
        let lines = |path: &PathBuf| fs::read_to_string(path).unwrap_or_default();
        let written: String = place.records().iter().map(lines).collect();
        if written.matches("\"line\":\"sample\"").count() >= samples {
            return Ok(());
        }
        if let Some(status) = child.try_wait()? {
            return Err(format!("it ended before: {status}").into());
        }
        if begun.elapsed() > PATIENCE {
            child.kill()?;
            return Err("no samples".into());
        }
        thread::sleep(Duration::from_millis(5));
    }
}

fn ctrl_c_keeps_samples_and_resume_goes_on() -> Result<(), Failed> {
    let place = Place::new();
    let sizes = [("CUDAMARK_N", "1000..1019")];
    let drawn = &QUICK[..QUICK.len() - 1];
    let mut child = place.command("cpu", drawn).envs(sizes).spawn()?;
    wait_for_samples(&place, &mut child, 25)?;
    let killed = Command::new("kill").args(["-INT", &child.id().to_string()]).status()?;
    assert!(killed.success());
    let said_before = said(&child.wait_with_output()?, 130)?;
    let before = place.contents();
    let kept: usize = before.cases.values().map(Vec::len).sum();
    let expected = format!("interrupted; {kept} finished samples are kept");
    assert!(said_before.contains(&expected), "{kept}: {said_before}");
    assert!(!before.finished.is_empty() && before.finished.len() < 40);
    let page = place.chart("cpu_u32-uniform", "index.html")?;
    for name in &before.finished {
        assert!(page.contains(&format!("<h4>{name}</h4>")), "{name}: {page}");
    }
    let own = fs::read_to_string(place.0.path().join("cudamark/report/index.html"))?;
    assert!(own.contains("cpu/u32-uniform/"), "{own}");

    let resumed = [("CUDAMARK_RESUME", "1")];
    let output = place.command("cpu", &QUICK).envs(sizes).envs(resumed).output()?;
    let said_after = said(&output, 0)?;
    let finished = format!("{} cases are finished already", before.finished.len());
    assert!(said_after.contains(&finished), "{said_after}");
    let after = place.contents();
    assert_eq!(after.finished.len(), 40);
    for name in &before.finished {
        assert_eq!(after.cases[name], before.cases[name], "{name}");
    }
    Ok(())
}

/// What `--noplot` leaves out is wanted here.
const DRAWN: [&str; 7] = [
    "--bench",
    "--warm-up-time",
    "0.01",
    "--measurement-time",
    "0.05",
    "--plotting-backend",
    "plotters",
];

fn every_group_has_a_chart() -> Result<(), Failed> {
    // Groups, engines with a curve each, the chart's folder, and what is on its x axis.
    let all: [(&str, &[&str], &str, &str); 7] = [
        ("classic", &["cpu-std", "cpu-radix"], "classic_u32-uniform-1000", "Input"),
        ("split", &["cpu-std"], "split_u32-uniform-1000", "Input"),
        ("batch", &["cpu-std", "cpu-radix"], "batch_u32-uniform-1000", "Input"),
        ("transfer", &["cpu-copy"], "transfer_u32-uniform-1000", "Input"),
        ("cpu", &["cpu-std", "cpu-radix"], "cpu_u32-uniform", "Input Size (Elements)"),
        ("pairs", &["cpu-std"], "pairs_u32+u32-uniform", "Input Size (Elements)"),
        ("emulator", &["bounds", "races"], "emulator_u32-uniform", "Input Size (Elements)"),
    ];
    for (group, engines, chart, axis) in all {
        let place = Place::new();
        let types = if group == "pairs" { "u32+u32" } else { "u32" };
        let variables = [
            ("CUDAMARK_ENGINES", engines.join(",").as_str()),
            ("CUDAMARK_LEVELS", "1,2"),
            ("CUDAMARK_N", "1000,2000"),
            ("CUDAMARK_TYPES", types),
        ]
        .map(|(name, value)| (name, value.to_owned()));
        let output = place.command(group, &DRAWN).envs(variables).output()?;
        said(&output, 0)?;
        let page = place.chart(chart, "index.html")?;
        let lines = place.chart(chart, "lines.svg")?;
        assert!(page.contains("Violin Plot") && page.contains("Line Chart"), "{page}");
        let violin = place.chart(chart, "violin.svg")?;
        assert!(violin.contains(engines[0]), "{group}: {violin}");
        assert!(lines.lines().any(|line| line.trim() == axis), "{group}: {lines}");
        for engine in engines {
            let curve = |line: &str| line == *engine || line.starts_with(&format!("{engine}/"));
            assert!(lines.lines().any(|line| curve(line.trim())), "{group}, {engine}: {lines}");
        }
        let sizes = axis != "Input";
        assert_eq!(page.contains("Throughput Chart"), sizes, "{group}: {page}");
        let index = place.0.path().join("criterion/report/index.html");
        let index = fs::read_to_string(index)?;
        assert!(index.contains(&format!("../{chart}/report/index.html")), "{index}");
    }
    Ok(())
}

fn a_resumed_run_draws_what_was_finished_before() -> Result<(), Failed> {
    let place = Place::new();
    let run = |levels: &str| {
        let variables = [("CUDAMARK_LEVELS", levels), ("CUDAMARK_ENGINES", "cpu-std")];
        let mut command = place.command("classic", &DRAWN);
        command.envs(variables).env("CUDAMARK_RESUME", "1").output()
    };
    said(&run("1")?, 0)?;
    let first = place.contents();
    let again = said(&run("1,2")?, 0)?;
    assert!(again.contains("1 cases are finished already"), "{again}");
    let page = place.chart("classic_u32-uniform-1000", "index.html")?;
    for level in [1, 2] {
        let name = format!("<h4>classic/u32-uniform-1000/cpu-std/{level}</h4>");
        assert!(page.contains(&name), "{level}: {page}");
    }
    let second = place.contents();
    for (name, samples) in &first.cases {
        assert_eq!(&second.cases[name], samples, "{name}");
    }
    Ok(())
}

fn settings_that_are_wrong_are_one_error() -> Result<(), Failed> {
    for (variable, value, expected) in [
        ("CUDAMARK_TIER", "slow", "there are quick, default, full"),
        ("CUDAMARK_N", "0", "take 1 or more"),
        ("CUDAMARK_ENGINES", "abacus", "`abacus`"),
        ("CUDAMARK_LEVELS", "1,0", "level 0"),
    ] {
        let place = Place::new();
        let output = place.command("cpu", &QUICK).env(variable, value).output()?;
        let line = said(&output, 1)?;
        assert_eq!(line.lines().count(), 1, "{line}");
        assert!(line.starts_with(&format!("cpu: {variable}: ")), "{line}");
        assert!(line.contains(expected), "{line}");
        assert!(!Path::new(&place.0.path().join("cudamark")).exists());
    }
    Ok(())
}
