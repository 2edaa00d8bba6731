//! Which cases Criterion's command line selects.
//!
//! Criterion keeps its filter to itself, and a case is built before Criterion's clocks
//! start. So a copy of this process with the same command line is handed the names of all
//! cases, and offers each to Criterion: one whose benchmark Criterion calls is selected.

use std::env;
use std::io::{self, Write};
use std::panic::{self, AssertUnwindSafe};
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use criterion::{BenchmarkId, Criterion};
use cudamark::paths;
use suite::Case;

/// Set in the copy.
const ASKED: &str = "CUDAMARK_ASKED_WHICH";
/// Precedes each name of the copy's answer.
const MARK: &str = "selected: ";

/// Asks a copy which of `cases` are selected.
pub(crate) fn ask(cases: &[Case]) -> Result<Vec<Case>> {
    let asked = || -> io::Result<Output> {
        let mut copy = Command::new(env::current_exe()?)
            .args(env::args_os().skip(1))
            .env(ASKED, "1")
            // Lest Criterion has cargo look for it.
            .env("CARGO_TARGET_DIR", paths::target())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()?;
        let names: Vec<String> = cases.iter().map(|case| format!("{case}\n")).collect();
        // The copy prints once it has read all names.
        copy.stdin.take().map_or(Ok(()), |mut pipe| pipe.write_all(names.concat().as_bytes()))?;
        copy.wait_with_output()
    };
    let output = asked().context("cannot start a copy of itself")?;
    ensure!(output.status.success(), "a copy of itself ended with {}", output.status);
    let answer = String::from_utf8_lossy(&output.stdout);
    let names = answer.lines().filter_map(|line| line.strip_prefix(MARK));
    Ok(names.filter_map(|name| name.parse().ok()).collect())
}

/// True if this process is a copy that is asked.
pub(crate) fn is_asked() -> bool {
    env::var_os(ASKED).is_some()
}

/// Answers [`ask`] with the Criterion that a run has.
pub(crate) fn answer(criterion: Criterion) {
    // The mode that calls benchmarks whatever was measured before.
    let mut criterion = criterion.profile_time(Some(Duration::from_secs(1)));
    let mut is_called = |group: String, function: String, parameter: String| {
        let mut called = false;
        let _ = panic::catch_unwind(AssertUnwindSafe(|| {
            let mut group = criterion.benchmark_group(group);
            group.bench_function(BenchmarkId::new(function, parameter), |_| {
                called = true;
                panic::resume_unwind(Box::new(()));
            });
        }));
        called
    };
    let names: Vec<String> = io::stdin().lines().map_while(Result::ok).collect();
    for name in names {
        let case: Case = name.parse().expect("the name of a case");
        let former = format!("{}/{}", case.input(), case.level);
        if is_called(case.chart(), case.curve(), case.point().to_string())
            || is_called(case.group, case.engine, former)
        {
            println!("{MARK}{name}");
        }
    }
}
