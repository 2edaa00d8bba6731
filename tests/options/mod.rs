//! Options of cargo's, Criterion's and nextest's: each does what it says, or is refused in
//! one line.

use std::env;
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Output};

use libtest_mimic::Failed;

use super::{Place, QUICK, Test, said, text};

pub const TESTS: [(&str, Test); 11] = [
    ("a_baseline_that_is_not_there_is_one_error", a_baseline_that_is_not_there_is_one_error),
    ("one_run_compares_and_saves", one_run_compares_and_saves),
    ("baselines_are_found_wherever_cargo_builds", baselines_are_found_wherever_cargo_builds),
    ("what_is_skipped_needs_no_baseline", what_is_skipped_needs_no_baseline),
    ("without_bench_all_runs_once_and_nothing_is_written", all_runs_once),
    ("every_name_that_is_listed_runs_by_itself", every_name_that_is_listed_runs),
    ("names_are_selected_in_both_forms", names_are_selected),
    ("quick_and_discarded_runs_keep_samples", samples_are_kept),
    ("runs_that_take_no_samples_say_so", runs_that_take_no_samples_say_so),
    ("options_without_a_use_are_refused_in_one_line", options_are_refused),
    ("a_closed_pipe_ends_without_a_panic", a_closed_pipe_ends),
];

/// One engine and a run that takes a moment.
fn run(place: &Place, arguments: &[&str]) -> Result<Output, Failed> {
    let mut command = place.command("cpu", &[&QUICK[..], arguments].concat());
    Ok(command.env("CUDAMARK_ENGINES", "cpu-std").output()?)
}

fn a_baseline_that_is_not_there_is_one_error() -> Result<(), Failed> {
    let place = Place::new();
    let with = |option, name| [&QUICK[..], &[option, name]].concat();
    let output = place.command("cpu", &with("--baseline", "nope")).output()?;
    let line = said(&output, 1)?;
    assert_eq!(line.lines().count(), 1, "{line}");
    assert!(line.contains("`nope`: there is no baseline of this name"), "{line}");
    assert!(line.contains("--save-baseline nope"), "{line}");
    assert!(place.records().is_empty());

    said(&place.command("cpu", &with("--save-baseline", "kept")).output()?, 0)?;
    said(&place.command("cpu", &with("--baseline", "kept")).output()?, 0)?;
    // With one size more, half of the benchmarks have none.
    let mut more = place.command("cpu", &with("--baseline", "kept"));
    let line = said(&more.env("CUDAMARK_N", "1000,2000").output()?, 1)?;
    assert!(line.contains("2 of 4 benchmarks lack it: cpu/u32-uniform/cpu-radix/2/2000"), "{line}");
    // A filter that leaves these out is no error.
    let arguments = [&with("--baseline", "kept")[..], &["/1000$"]].concat();
    said(&place.command("cpu", &arguments).env("CUDAMARK_N", "1000,2000").output()?, 0)?;
    Ok(())
}

fn one_run_compares_and_saves() -> Result<(), Failed> {
    let place = Place::new();
    let run = |arguments: &[&str]| {
        let mut command = place.command("cpu", &[&QUICK[..], arguments].concat());
        command.env("CUDAMARK_ENGINES", "cpu-std").output()
    };
    said(&run(&["--save-baseline", "before"])?, 0)?;
    let both = run(&["--save-baseline=after", "--baseline", "before"])?;
    said(&both, 0)?;
    assert!(text(&both.stdout).contains("change:"), "{}", text(&both.stdout));
    let case = "criterion/cpu_u32-uniform/cpu-std_2/1000";
    let estimates = |name: &str| {
        let path = place.0.path().join(case).join(name).join("estimates.json");
        fs::read_to_string(path)
    };
    // What was compared with stays, and what is saved is this run's.
    assert_ne!(estimates("before")?, estimates("after")?);
    assert_eq!(estimates("new")?, estimates("after")?);
    let third = run(&["--baseline", "after"])?;
    said(&third, 0)?;
    assert!(text(&third.stdout).contains("change:"), "{}", text(&third.stdout));
    assert_ne!(estimates("new")?, estimates("after")?);
    // What is not there is one error here too.
    let line = said(&run(&["-s", "after", "-b", "nope"])?, 1)?;
    assert_eq!(line.lines().count(), 1, "{line}");
    assert!(line.contains("`nope`: there is no baseline of this name"), "{line}");
    Ok(())
}

fn baselines_are_found_wherever_cargo_builds() -> Result<(), Failed> {
    for folder in ["release", "x86_64-unknown-linux-gnu/release", "careful"] {
        let place = Place::new();
        let target = place.0.path().join("elsewhere");
        let built = target.join(folder).join("deps");
        fs::create_dir_all(&built)?;
        fs::write(target.join(".rustc_info.json"), "{}")?;
        let program = built.join("cpu-0123456789abcdef");
        fs::copy(env::current_exe()?, &program)?;
        for (variable, home) in
            [("NONE", target.join("criterion")), ("CRITERION_HOME", place.0.path().join("home"))]
        {
            for option in ["--save-baseline", "--baseline"] {
                let like = place.command("cpu", &[]);
                let mut command = Command::new(&program);
                let variables = like.get_envs();
                for (name, value) in variables.filter_map(|(name, value)| Some((name, value?))) {
                    command.env(name, value);
                }
                let output = command
                    .args([&QUICK[..], &[option, "b", "cpu-std"]].concat())
                    .env_remove("CARGO_TARGET_DIR")
                    .env_remove("CRITERION_HOME")
                    .env(variable, &home)
                    .current_dir(place.0.path())
                    .output()?;
                said(&output, 0)?;
            }
            let saved = home.join("cpu_u32-uniform/cpu-std_2/1000/b/sample.json");
            assert!(saved.is_file(), "{}", saved.display());
            assert!(target.join("cudamark/records").is_dir());
        }
    }
    Ok(())
}

fn what_is_skipped_needs_no_baseline() -> Result<(), Failed> {
    let place = Place::new();
    for option in ["--save-baseline", "--baseline"] {
        let mut command = place.command("emulator", &[&QUICK[..], &[option, "b"]].concat());
        // The larger input is skipped when it is opened; without a GPU, so is an engine of
        // the other.
        let sizes = [("CUDAMARK_N", "500,5000000"), ("CUDAMARK_ENGINES", "bounds")];
        let skipped = said(&command.envs(sizes).output()?, 0)?;
        assert!(skipped.contains("/5000000: skipped: "), "{skipped}");
        let mut command = place.command("split", &[&QUICK[..], &[option, "b"]].concat());
        said(&command.env_remove("CUDAMARK_ENGINES").output()?, 0)?;
    }
    Ok(())
}

fn all_runs_once() -> Result<(), Failed> {
    for arguments in [&["--test"][..], &["--bench", "--test"], &[]] {
        let place = Place::new();
        let output = place.command("cpu", arguments).output()?;
        said(&output, 0)?;
        let stdout = text(&output.stdout);
        assert_eq!(stdout.matches("Success").count(), 2, "{stdout}");
        assert_eq!(fs::read_dir(place.0.path())?.count(), 0);
    }
    Ok(())
}

/// The names that a list has.
fn listed(place: &Place, arguments: &[&str]) -> Result<Vec<String>, Failed> {
    let output = place.command("cpu", arguments).output()?;
    assert_eq!(said(&output, 0)?, "");
    let stdout = text(&output.stdout);
    let names = stdout.lines().map(|line| {
        let name = line.strip_suffix(": benchmark");
        name.map(str::to_owned).ok_or_else(|| line.to_owned().into())
    });
    names.collect()
}

fn every_name_that_is_listed_runs() -> Result<(), Failed> {
    let place = Place::new();
    let names = listed(&place, &["--list", "--format", "terse"])?;
    assert_eq!(names.len(), 2, "{names:?}");
    for with in [&["--list"][..], &["--list", "--bench"], &["--list", "--include-ignored"]] {
        assert_eq!(listed(&place, with)?, names, "{with:?}");
    }
    let ignored = listed(&place, &["--list", "--format", "terse", "--ignored"])?;
    assert_eq!(ignored, [""; 0]);
    for name in &names {
        let arguments: [&[&str]; 2] = [&["--exact", name, "--nocapture"], &[name, "--exact"]];
        for arguments in arguments {
            let output = place.command("cpu", arguments).output()?;
            said(&output, 0)?;
            let stdout = text(&output.stdout);
            assert!(stdout.contains(&format!("Testing {name}")), "{stdout}");
            assert_eq!(stdout.matches("Success").count(), 1, "{stdout}");
        }
        let arguments = [&QUICK[..], &["--exact", name]].concat();
        let output = place.command("cpu", &arguments).output()?;
        said(&output, 0)?;
        assert!(text(&output.stdout).contains("time:"));
    }
    // The tier's own sizes, which a test sorts too.
    let sizes = |arguments: &[&str]| {
        let mut command = place.command("cpu", arguments);
        command.env_remove("CUDAMARK_N").output()
    };
    let all = text(&sizes(&["--list", "--bench"])?.stdout);
    assert_eq!(text(&sizes(&["--list"])?.stdout), all);
    let name = all.lines().next().and_then(|line| line.strip_suffix(": benchmark"));
    said(&sizes(&["--exact", name.ok_or("nothing is listed")?])?, 0)?;
    Ok(())
}

fn names_are_selected() -> Result<(), Failed> {
    let place = Place::new();
    let selects = |filter: &[&str]| listed(&place, &[&["--list"][..], filter].concat());
    let radix = ["cpu/u32-uniform/cpu-radix/2/1000"];
    assert_eq!(selects(&["cpu-radix"])?, radix);
    assert_eq!(selects(&["^cpu/u32-uniform/cpu-r.*/1000$"])?, radix);
    assert_eq!(selects(&["^cpu/cpu-radix/u32-uniform"])?, radix);
    assert_eq!(selects(&["--exact", radix[0]])?, radix);
    assert_eq!(selects(&["--exact", "cpu/cpu-radix/u32-uniform-1000/2"])?, radix);
    assert_eq!(selects(&["--exact", "cpu-radix"])?, [""; 0]);
    // A name that no case has is no test that passes; one of another benchmark is.
    for (name, code) in [
        ("cpu/u32-uniform/cpu-radix/2/7", 1),
        ("cpu-radix", 1),
        ("classic/i32-classic-7/cpu-std/1", 0),
    ] {
        for arguments in [&["--exact", name][..], &["--bench", "--exact", name]] {
            let line = said(&place.command("cpu", arguments).output()?, code)?;
            assert_eq!(line.lines().count(), 1, "{line}");
        }
    }
    let line = said(&place.command("cpu", &["abacus"]).output()?, 0)?;
    assert!(line.contains("nothing to measure"), "{line}");
    assert!(place.records().is_empty());
    Ok(())
}

fn samples_are_kept() -> Result<(), Failed> {
    let arguments = ["--bench", "--quick", "--measurement-time", "0.2"];
    for option in ["--verbose", "--discard-baseline"] {
        let place = Place::new();
        let mut command = place.command("cpu", &[&arguments[..], &[option]].concat());
        let output = command.env("CUDAMARK_N", "1000,2000").output()?;
        said(&output, 0)?;
        assert!(text(&output.stdout).contains("95 % interval"));
        let contents = place.contents();
        assert_eq!((contents.cases.len(), contents.finished.len()), (4, 4));
        for (name, samples) in &contents.cases {
            let indices: Vec<usize> = samples.iter().map(|of| of.index as usize).collect();
            assert!(indices.len() > 1, "{name}");
            assert!(indices.iter().copied().eq(0..indices.len()), "{name}: {indices:?}");
        }
        let estimates = "criterion/cpu_u32-uniform/cpu-std_2/1000/new/estimates.json";
        let kept = place.0.path().join(estimates).is_file();
        assert_eq!(kept, option == "--verbose");
    }
    Ok(())
}

fn runs_that_take_no_samples_say_so() -> Result<(), Failed> {
    let place = Place::new();
    let name = "cpu/u32-uniform/cpu-std/2/1000";
    let output = place.command("cpu", &["--bench", "--profile-time", "1", name]).output()?;
    let line = said(&output, 0)?;
    assert!(line.contains("cpu: no sample is kept"), "{line}");
    let stdout = text(&output.stdout);
    assert!(stdout.contains(&format!("{name}: Complete")), "{stdout}");
    assert!(place.records().is_empty());

    for baseline in ["before", "after"] {
        said(&run(&place, &["--save-baseline", baseline])?, 0)?;
    }
    let records = place.records().len();
    let loaded = ["--bench", "--load-baseline", "after", "--baseline", "before", name];
    let output = place.command("cpu", &loaded).output()?;
    let line = said(&output, 0)?;
    assert!(line.contains("cpu: no sample is kept"), "{line}");
    assert!(text(&output.stdout).contains("change:"), "{}", text(&output.stdout));
    assert_eq!(place.records().len(), records);
    let line = said(&run(&place, &["--load-baseline", "nope", "--baseline", "before"])?, 1);
    let line = line.or_else(|_| {
        let loaded = ["--bench", "--load-baseline", "nope", "--baseline", "before", name];
        said(&place.command("cpu", &loaded).output()?, 1)
    })?;
    assert!(line.contains("--load-baseline: `nope`: "), "{line}");
    Ok(())
}

fn options_are_refused() -> Result<(), Failed> {
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
    let measured = measured.map(|(words, expected)| ([&["--bench"][..], words].concat(), expected));
    let by_hand = by_hand.map(|(words, expected)| (words.to_vec(), expected));
    for (words, expected) in measured.into_iter().chain(by_hand) {
        let place = Place::new();
        let output = place.command("cpu", &words).output()?;
        let line = said(&output, 2).map_err(|failed| format!("{words:?}: {failed:?}"))?;
        assert_eq!(line.lines().count(), 1, "{words:?}: {line}");
        assert!(line.starts_with("cpu: ") && line.contains(expected), "{words:?}: {line}");
        assert_eq!(text(&output.stdout), "");
        assert!(!Path::new(&place.0.path().join("cudamark")).exists(), "{words:?}");
    }
    for option in ["--help", "--version"] {
        let output = Place::new().command("cpu", &[option]).output()?;
        assert_eq!(said(&output, 0)?, "");
        let expected = if option == "--help" { "--sample-size" } else { "cpu 0." };
        assert!(text(&output.stdout).contains(expected), "{}", text(&output.stdout));
    }
    Ok(())
}

fn a_closed_pipe_ends() -> Result<(), Failed> {
    let place = Place::new();
    let many = [("CUDAMARK_N", "1000..1999")];
    for (arguments, codes) in [
        (&["--list"][..], &[Some(0)][..]),
        (&["--bench", "--list"], &[Some(0)]),
        (&["--test"], &[Some(141)]),
        (&QUICK, &[Some(141)]),
    ] {
        let mut command = place.command("cpu", arguments);
        let mut child = command.envs(many).spawn()?;
        let output = child.stdout.take().ok_or("no output")?;
        let mut line = String::new();
        BufReader::new(output).read_line(&mut line)?;
        let ended = child.wait_with_output()?;
        let said = text(&ended.stderr);
        assert!(codes.contains(&ended.status.code()), "{arguments:?}: {}: {said}", ended.status);
        assert!(!said.contains("panicked"), "{said}");
        if arguments.contains(&"--list") {
            assert_eq!(said, "");
        }
    }
    let kept: usize = place.contents().cases.values().map(Vec::len).sum();
    assert!(kept >= 10, "{kept}");
    Ok(())
}
