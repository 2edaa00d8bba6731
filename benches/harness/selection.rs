//! Which cases Criterion's command line selects.
//!
//! Criterion keeps to itself how it reads its command line, and prints or ends the
//! process as it does. So a copy of this process is handed the names of all cases, lets
//! Criterion read the same command line, and offers it each case: one whose benchmark
//! Criterion calls is selected. Criterion's refusals come back as one line.

use std::io::{self, Write};
use std::panic::{self, AssertUnwindSafe};
use std::process::{Command, Output, Stdio};
use std::time::Duration;
use std::{env, iter};

use criterion::{BenchmarkId, Criterion};
use cudamark::paths;
use suite::Case;

use super::arguments::Arguments;
use super::stop::Stop;

/// Set in the copy.
const ASKED: &str = "CUDAMARK_ASKED_WHICH";
/// Precedes the copy's answer, and on standard error what Criterion has to say of the
/// command line.
const MARK: &str = "which cases are selected:";

/// Outcome of reading the command line.
pub(crate) enum Answer {
    /// These cases are selected.
    Selected(Vec<Case>),
    /// A text was asked for: help.
    Text(String),
}

pub(crate) fn ask(cases: &[Case], arguments: &Arguments) -> Result<Answer, Stop> {
    let asked = || -> io::Result<Output> {
        let mut copy = Command::new(env::current_exe()?)
            .args(env::args_os().skip(1))
            .env(ASKED, "1")
            // Lest Criterion has cargo look for it.
            .env("CARGO_TARGET_DIR", paths::target())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()?;
        let names: Vec<String> = cases.iter().map(|case| format!("{case}\n")).collect();
        // It may have ended by now, over the command line.
        let _ = copy.stdin.take().map(|mut pipe| pipe.write_all(names.concat().as_bytes()));
        copy.wait_with_output()
    };
    let output = asked().map_err(|error| format!("cannot start a copy of itself: {error}"))?;
    let answer = String::from_utf8_lossy(&output.stdout);
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        let said = said.split_once(MARK).map_or(&*said, |(_, said)| said);
        return Err(Stop::usage(refusal(said, &arguments.shown())));
    }
    Ok(match answer.split_once(MARK) {
        Some((_, names)) => {
            let selected = names.lines().filter_map(|name| name.parse().ok());
            Answer::Selected(selected.collect())
        }
        None => Answer::Text(answer.into_owned()),
    })
}

/// Criterion's refusal of a command line, in one line.
fn refusal(said: &str, shown: &str) -> String {
    let lines = said.trim().lines();
    // The first paragraph is the error; suggestions and usage follow.
    let lines = lines.map(str::trim).take_while(|line| !line.is_empty());
    let line = lines.collect::<Vec<_>>().join(" ");
    let line = line.strip_prefix("error: ").unwrap_or(&line);
    match line.strip_prefix("assertion failed: ") {
        Some(held) => format!("`{shown}`: Criterion takes this only where {held}; see --help"),
        None => format!("`{shown}`: {line}; see --help"),
    }
}

/// True if this process is a copy that is asked.
pub(crate) fn is_asked() -> bool {
    env::var_os(ASKED).is_some()
}

/// Answers [`ask`] with Criterion as it is `set_up` for a run.
pub(crate) fn answer(set_up: Criterion) {
    panic::set_hook(Box::new(|info| {
        eprintln!("{}", info.payload_as_str().unwrap_or("it panicked"));
    }));
    eprintln!("{MARK}");
    let criterion = set_up.configure_from_args();
    // The mode that calls benchmarks whatever was measured before.
    let mut criterion = criterion.profile_time(Some(Duration::from_secs(1)));
    let mut is_called = |group: String, function: String, parameter: String| {
        let mut called = false;
        let offered = AssertUnwindSafe(|| {
            let mut group = criterion.benchmark_group(group);
            group.bench_function(BenchmarkId::new(function, parameter), |_| {
                called = true;
                panic::resume_unwind(Box::new(()));
            });
        });
        let _ = panic::catch_unwind(offered);
        called
    };
    let names = io::stdin().lines().map_while(Result::ok);
    let selected = names.filter(|text| {
        text.parse().is_ok_and(|name: Case| {
            let former = format!("{}/{}", name.input(), name.level);
            is_called(name.chart(), name.curve(), name.point().to_string())
                || is_called(name.group, name.engine, former)
        })
    });
    let answer: Vec<String> = iter::once(MARK.to_owned()).chain(selected).collect();
    println!("{}", answer.join("\n"));
}
