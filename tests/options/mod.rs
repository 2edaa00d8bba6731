//! Options of cargo's, Criterion's and nextest's: each does what it says, or is refused in
//! one line.

use std::env;
use std::fs;
use std::io::{BufRead, BufReader};
use std::process::Command;

use super::common::{Test, contains, one_line, said, tests, text};
use super::{QUICK, Ran, TestDir, Variables};

pub(crate) fn tests() -> Vec<Test> {
    tests![
        a_baseline_that_is_not_there_is_one_error,
        one_run_compares_and_saves,
        baselines_are_found_wherever_cargo_builds,
        skipped_cases_need_no_baseline,
        without_bench_all_runs_once_and_nothing_is_written,
        every_name_that_is_listed_runs_by_itself,
        names_are_selected_in_both_forms,
        quick_and_discarded_runs_keep_samples,
        runs_that_take_no_samples_say_so,
        options_without_a_use_are_refused_in_one_line,
        a_closed_pipe_ends_without_a_panic,
    ]
}

const ONE_ENGINE: Variables = &[("CUDAMARK_ENGINES", "cpu-std")];
const TWO_SIZES: Variables = &[("CUDAMARK_N", "1000,2000")];

/// A quick run with more arguments, which ends with `code`.
#[track_caller]
fn quick(dir: &TestDir, arguments: &[&str], variables: Variables, code: i32) -> Ran {
    dir.run("cpu", &[&QUICK[..], arguments].concat(), variables, code)
}

/// The one line of a run that ends with `code`.
#[track_caller]
fn line(dir: &TestDir, arguments: &[&str], code: i32) -> String {
    one_line(&dir.command("cpu", arguments, &[]).output().unwrap(), code)
}

fn a_baseline_that_is_not_there_is_one_error() {
    let dir = TestDir::new();
    let line = line(&dir, &[&QUICK[..], &["--baseline", "nope"]].concat(), 1);
    contains(&line, &["`nope`: there is no baseline of this name", "--save-baseline nope"]);
    assert!(dir.records().is_empty());

    quick(&dir, &["--save-baseline", "kept"], &[], 0);
    quick(&dir, &["--baseline", "kept"], &[], 0);
    // With one size more, half of the benchmarks have none.
    let more = quick(&dir, &["--baseline", "kept"], TWO_SIZES, 1);
    let lack = "2 of 4 benchmarks lack it: cpu/u32-uniform/cpu-radix/2/2000";
    contains(&more.stderr, &[lack]);
    // A filter that leaves these out is no error.
    quick(&dir, &["--baseline", "kept", "/1000$"], TWO_SIZES, 0);
}

fn one_run_compares_and_saves() {
    let dir = TestDir::new();
    let run = |arguments: &[&str], code| quick(&dir, arguments, ONE_ENGINE, code);
    let case = "criterion/cpu_u32-uniform/cpu-std_2/1000";
    let estimates = |name: &str| dir.read(&format!("{case}/{name}/estimates.json"));
    run(&["--save-baseline", "before"], 0);
    let both = run(&["--save-baseline=after", "--baseline", "before"], 0);
    contains(&both.stdout, &["change:"]);
    // The baseline of the comparison stays, and the saved one is this run's.
    assert_ne!(estimates("before"), estimates("after"));
    assert_eq!(estimates("new"), estimates("after"));
    contains(&run(&["--baseline", "after"], 0).stdout, &["change:"]);
    assert_ne!(estimates("new"), estimates("after"));
    // A baseline that is not there is one error here too.
    let line = run(&["-s", "after", "-b", "nope"], 1).stderr;
    assert_eq!(line.lines().count(), 1, "{line}");
    contains(&line, &["`nope`: there is no baseline of this name"]);
}

fn baselines_are_found_wherever_cargo_builds() {
    for folder in ["release", "x86_64-unknown-linux-gnu/release", "careful"] {
        let dir = TestDir::new();
        let target = dir.0.path().join("elsewhere");
        let built = target.join(folder).join("deps");
        fs::create_dir_all(&built).unwrap();
        fs::write(target.join(".rustc_info.json"), "{}").unwrap();
        let program = built.join("cpu-0123456789abcdef");
        fs::copy(env::current_exe().unwrap(), &program).unwrap();
        for (variable, home) in
            [("NONE", target.join("criterion")), ("CRITERION_HOME", dir.0.path().join("home"))]
        {
            for option in ["--save-baseline", "--baseline"] {
                let like = dir.command("cpu", &[], &[]);
                let variables = like.get_envs().filter_map(|(name, value)| Some((name, value?)));
                let mut command = Command::new(&program);
                command
                    .envs(variables)
                    .args([&QUICK[..], &[option, "b", "cpu-std"]].concat())
                    .env_remove("CARGO_TARGET_DIR")
                    .env_remove("CRITERION_HOME")
                    .env(variable, &home)
                    .current_dir(dir.0.path());
                said(&command.output().unwrap(), 0);
            }
            let saved = home.join("cpu_u32-uniform/cpu-std_2/1000/b/sample.json");
            assert!(saved.is_file(), "{}", saved.display());
            assert!(target.join("cudamark/records").is_dir());
        }
    }
}

fn skipped_cases_need_no_baseline() {
    let dir = TestDir::new();
    for option in ["--save-baseline", "--baseline"] {
        let arguments = [&QUICK[..], &[option, "b"]].concat();
        // The larger input is skipped when it is opened; without a GPU, so is an engine of
        // the other group.
        let sizes = [("CUDAMARK_N", "500,5000000"), ("CUDAMARK_ENGINES", "bounds")];
        contains(&dir.run("emulator", &arguments, &sizes, 0).stderr, &["/5000000: skipped: "]);
        let mut command = dir.command("split", &arguments, &[]);
        said(&command.env_remove("CUDAMARK_ENGINES").output().unwrap(), 0);
    }
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
    assert_eq!(names.len(), 2, "{names:?}");
    for with in [&["--list"][..], &["--list", "--bench"], &["--list", "--include-ignored"]] {
        assert_eq!(listed(&dir, with), names, "{with:?}");
    }
    assert_eq!(listed(&dir, &["--list", "--format", "terse", "--ignored"]), [""; 0]);
    for name in &names {
        for arguments in [["--exact", name, "--nocapture"].as_slice(), &[name, "--exact"]] {
            let stdout = dir.run("cpu", arguments, &[], 0).stdout;
            contains(&stdout, &[&format!("Testing {name}")]);
            assert_eq!(stdout.matches("Success").count(), 1, "{stdout}");
        }
        contains(&quick(&dir, &["--exact", name], &[], 0).stdout, &["time:"]);
    }
    // The tier's own sizes, which a test sorts too.
    let sizes = |arguments: &[&str]| {
        let mut command = dir.command("cpu", arguments, &[]);
        let output = command.env_remove("CUDAMARK_N").output().unwrap();
        said(&output, 0);
        text(&output.stdout)
    };
    let all = sizes(&["--list", "--bench"]);
    assert_eq!(sizes(&["--list"]), all);
    let name = all.lines().next().and_then(|line| line.strip_suffix(": benchmark"));
    sizes(&["--exact", name.unwrap()]);
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
    for (name, code) in [
        ("cpu/u32-uniform/cpu-radix/2/7", 1),
        ("cpu-radix", 1),
        ("classic/i32-classic-7/cpu-std/1", 0),
    ] {
        line(&dir, &["--exact", name], code);
        line(&dir, &["--bench", "--exact", name], code);
    }
    contains(&dir.run("cpu", &["abacus"], &[], 0).stderr, &["nothing to measure"]);
    assert!(dir.records().is_empty());
}

fn quick_and_discarded_runs_keep_samples() {
    for option in ["--verbose", "--discard-baseline"] {
        let dir = TestDir::new();
        let arguments = ["--bench", "--quick", "--measurement-time", "0.2", option];
        contains(&dir.run("cpu", &arguments, TWO_SIZES, 0).stdout, &["95 % interval"]);
        let contents = dir.contents();
        assert_eq!((contents.cases.len(), contents.finished.len()), (4, 4));
        for (name, samples) in &contents.cases {
            let indices: Vec<usize> = samples.iter().map(|of| of.index as usize).collect();
            assert!(indices.len() > 1, "{name}");
            assert!(indices.iter().copied().eq(0..indices.len()), "{name}: {indices:?}");
        }
        let estimates = "criterion/cpu_u32-uniform/cpu-std_2/1000/new/estimates.json";
        assert_eq!(dir.0.path().join(estimates).is_file(), option == "--verbose");
    }
}

fn runs_that_take_no_samples_say_so() {
    let dir = TestDir::new();
    let name = "cpu/u32-uniform/cpu-std/2/1000";
    let ran = dir.run("cpu", &["--bench", "--profile-time", "1", name], &[], 0);
    contains(&ran.stderr, &["cpu: no sample is kept"]);
    contains(&ran.stdout, &[&format!("{name}: Complete")]);
    assert!(dir.records().is_empty());

    for baseline in ["before", "after"] {
        quick(&dir, &["--save-baseline", baseline], ONE_ENGINE, 0);
    }
    let records = dir.records().len();
    let load = |baseline: &str, code| {
        let arguments = ["--bench", "--load-baseline", baseline, "--baseline", "before", name];
        dir.run("cpu", &arguments, &[], code)
    };
    let loaded = load("after", 0);
    contains(&loaded.stderr, &["cpu: no sample is kept"]);
    contains(&loaded.stdout, &["change:"]);
    assert_eq!(dir.records().len(), records);
    contains(&load("nope", 1).stderr, &["--load-baseline: `nope`: "]);
}

fn options_without_a_use_are_refused_in_one_line() {
    let measured: [(&[&str], &str); 24] = [
        (&["--frobnicate"], "unexpected argument '--frobnicate'"),
        (&["--color", "purple"], "'purple'"),
        (&["--sample-size", "5"], "num_size >= 10"),
        (&["--sample-size", "many"], "'many'"),
        (&["--warm-up-time", "0"], "> 0"),
        (&["--warm-up-time", "-1"], "-1"),
        (&["--measurement-time=-1"], "negative"),
        (&["--measurement-time", "NaN"], "NaN"),
        (&["--nresamples", "0"], "num_resamples > 0"),
        (&["--confidence-level", "2"], "--confidence-level 2"),
        (&["--significance-level", "0"], "--significance-level 0"),
        (&["--noise-threshold", "0"], "--noise-threshold 0"),
        (&["("], "unclosed group"),
        (&["a", "b"], "'b'"),
        (&["--test", "--list"], "cannot be used with"),
        (&["--profile-time", "0.5"], "at least one second"),
        (&["--load-baseline", "a"], "--baseline"),
        (&["--save-baseline", "a", "--baseline", "b", "--discard-baseline"], "cannot be"),
        (&["--profile-time", "1", "--save-baseline", "a"], "--save-baseline: --profile-time"),
        (&["--load-baseline", "a", "-b", "b", "--quick"], "--quick: --load-baseline takes"),
        (&["--test", "--quick"], "--quick: nothing is measured"),
        (&["--save-baseline", "new"], "--save-baseline: `new`"),
        (&["-s", "../a"], "--save-baseline: `../a`"),
        (&["-nvb", "report"], "--baseline: `report`"),
    ];
    let by_hand: [(&[&str], &str); 4] = [
        (&["--quick"], "--quick: nothing is measured without --bench"),
        (&["-s", "a"], "--save-baseline: nothing is measured"),
        (&["--profile-time", "1"], "--profile-time: nothing is measured"),
        (&["--list", "--sample-size=20"], "--sample-size: --list measures nothing"),
    ];
    let measured = measured.map(|(words, expected)| ([&["--bench"], words].concat(), expected));
    let by_hand = by_hand.map(|(words, expected)| (words.to_vec(), expected));
    for (words, expected) in measured.into_iter().chain(by_hand) {
        let dir = TestDir::new();
        let output = dir.command("cpu", &words, &[]).output().unwrap();
        let line = one_line(&output, 2);
        assert!(line.starts_with("cpu: ") && line.contains(expected), "{words:?}: {line}");
        assert_eq!(text(&output.stdout), "");
        assert!(!dir.0.path().join("cudamark").exists(), "{words:?}");
    }
    for (option, expected) in [("--help", "--sample-size"), ("--version", "cpu 0.")] {
        let ran = TestDir::new().run("cpu", &[option], &[], 0);
        assert_eq!(ran.stderr, "");
        contains(&ran.stdout, &[expected]);
    }
}

fn a_closed_pipe_ends_without_a_panic() {
    let dir = TestDir::new();
    for (arguments, code) in
        [(&["--list"][..], 0), (&["--bench", "--list"], 0), (&["--test"], 141), (&QUICK, 141)]
    {
        let mut command = dir.command("cpu", arguments, &[("CUDAMARK_N", "1000..1999")]);
        let mut child = command.spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let said = said(&child.wait_with_output().unwrap(), code);
        assert!(said.is_empty() || code != 0, "{said}");
    }
    let kept: usize = dir.contents().cases.values().map(Vec::len).sum();
    assert!(kept >= 10, "{kept}");
}
