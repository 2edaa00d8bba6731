//! Shared helpers: the program under test, commands and their answers, stand-in programs,
//! repositories. Each test target uses a part of them.
#![allow(dead_code, unused_imports, unused_macros)]

use std::env;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, Output};
use std::thread;
use std::time::{Duration, Instant};

use libtest_mimic::{Arguments, Trial};
use serde_json::Value;

/// Longest wait for a command to come to a point.
pub(crate) const PATIENCE: Duration = Duration::from_secs(120);

/// A test's name and body.
pub(crate) type Test = (&'static str, fn());

/// Tests, each under the name of its function.
macro_rules! tests {
    ($($name:ident),* $(,)?) => { vec![$((stringify!($name), $name as fn())),*] };
}
pub(crate) use tests;

/// Runs tests by the command line of the test harness. They show as ignored, with a line
/// that says so, where this machine lacks what they need.
pub(crate) fn run<const N: usize>(groups: [(Vec<Test>, Option<String>); N]) -> ExitCode {
    let mut trials = Vec::new();
    for (tests, lacks) in groups {
        for (name, test) in tests {
            if let Some(lacks) = &lacks {
                eprintln!("{name}: ignored: {lacks}");
            }
            let trial = Trial::test(name, move || {
                test();
                Ok(())
            });
            trials.push(trial.with_ignored_flag(lacks.is_some()));
        }
    }
    libtest_mimic::run(&Arguments::from_args(), trials).exit_code()
}

/// The reason, where `program` cannot be run.
pub(crate) fn lacks(program: &str) -> Option<String> {
    let error = Command::new(program).arg("--version").output().err()?;
    Some(format!("cannot run {program}: {error}"))
}

/// The program. A bundle says where it is; elsewhere it is where cargo built it.
pub(crate) fn program() -> PathBuf {
    let built = env!("CARGO_BIN_EXE_cudamark").to_owned();
    env::var("CARGO_BIN_EXE_cudamark").unwrap_or(built).into()
}

pub(crate) fn cudamark(arguments: &[&str]) -> Command {
    let mut command = Command::new(program());
    command.args(arguments);
    command
}

pub(crate) fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// The standard error of a command that ended with `code` and without a panic.
#[track_caller]
pub(crate) fn said(output: &Output, code: i32) -> String {
    let said = text(&output.stderr);
    let about = || format!("{}: {said}{}", output.status, text(&output.stdout));
    assert_eq!(output.status.code(), Some(code), "{}", about());
    assert!(!said.contains("panicked"), "{}", about());
    said
}

/// The standard error of a command that ended with `code`: one line.
#[track_caller]
pub(crate) fn one_line(output: &Output, code: i32) -> String {
    let said = said(output, code);
    assert_eq!(said.lines().count(), 1, "{said}");
    said
}

/// Returns true if the command refused, in one line and with code 1; false if it succeeded.
#[track_caller]
pub(crate) fn is_refused(output: &Output) -> bool {
    let refused = output.status.code() == Some(1);
    let said = said(output, i32::from(refused));
    let lines = said.lines().filter(|line| line.starts_with("cudamark: ")).count();
    assert!(!refused || lines == 1, "{said}");
    refused
}

#[track_caller]
pub(crate) fn contains(said: &str, parts: &[&str]) {
    for part in parts {
        assert!(said.contains(part), "no `{part}` in: {said}");
    }
}

pub(crate) fn json_lines(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// Sends a signal: `-INT`.
pub(crate) fn signal(child: &Child, signal: &str) {
    let killed = Command::new("kill").args([signal, &child.id().to_string()]).status();
    assert!(killed.unwrap().success());
}

/// Waits until `ready`; fails if the command ends before, or takes too long.
#[track_caller]
pub(crate) fn wait_until(child: &mut Child, mut ready: impl FnMut() -> bool) {
    let begin = Instant::now();
    while !ready() {
        if let Some(status) = child.try_wait().unwrap() {
            panic!("the command ended before: {status}");
        }
        if begin.elapsed() > PATIENCE {
            child.kill().unwrap();
            panic!("the command did not come so far in {PATIENCE:?}");
        }
        thread::sleep(Duration::from_millis(5));
    }
}

pub(crate) fn executable(path: &Path, script: &str) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, script).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
}

pub(crate) fn library(path: &Path, source: &str) {
    let file = path.with_extension("c");
    fs::write(&file, source).unwrap();
    let mut cc = Command::new("cc");
    let output = cc.args(["-shared", "-fPIC", "-w", "-o"]).args([path, &file]).output().unwrap();
    assert!(output.status.success(), "{}", text(&output.stderr));
}

/// Puts a driver into a folder: driver.c says how its calls are made to fail.
pub(crate) fn fake_driver(folder: &Path) {
    library(&folder.join("libcuda.so.1"), include_str!("driver.c"));
}

/// A call of git in `folder`, by a user who signs nothing.
pub(crate) fn git(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new("git");
    command
        .args(["-c", "user.name=T", "-c", "user.email=t@example.org"])
        .args(["-c", "commit.gpgsign=false", "-c", "protocol.file.allow=always"])
        .args(arguments)
        .current_dir(folder);
    command
}

/// The standard output of a command that succeeds.
#[track_caller]
pub(crate) fn answer(command: &mut Command) -> String {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}: {}", text(&output.stderr));
    text(&output.stdout).trim().to_owned()
}
