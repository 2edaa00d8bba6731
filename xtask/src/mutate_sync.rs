//! `cargo xtask mutate-sync`: are the emulator's tests of the kernels worth anything?
//!
//! Every barrier, fence, warp barrier, memory ordering and scope in the kernels is
//! taken away or weakened, one at a time, in a copy of the workspace, and the
//! kernels' tests run there. They have to fail. A mutant that they let live is a gap
//! in the tests, or a synchronisation that nothing needs; `docs/EMULATOR.md` lists
//! those that are known, by the name that is printed here, with the reason.

use crate::cargo;
use anyhow::{Context, Result, bail};
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::thread;
use std::time::{Duration, Instant};

#[derive(clap::Args)]
pub struct Arguments {
    /// Only the mutants whose name contains this
    filter: Option<String>,
    /// Show the names and run nothing
    #[arg(long)]
    list: bool,
}

/// Where survivors are excused.
const DOCUMENT: &str = "docs/EMULATOR.md";
const KERNELS: &str = "gpu-kernels/src";
/// The tests need a tenth of it; what takes longer hangs.
const LIMIT: Duration = Duration::from_secs(900);

/// What is looked for, what takes its place, and what the mutant is called.
const MUTATIONS: &[(&str, &str, &str)] = &[
    ("thread::sync_threads();", "", "without sync_threads"),
    (
        "thread::sync_threads_or(",
        "(",
        "sync_threads_or without the barrier",
    ),
    ("warp::sync_warp(warp::FULL);", "", "without sync_warp"),
    ("fence(Scope::Device);", "", "without fence"),
    ("fence(Scope::Block);", "", "without fence"),
    ("Ordering::AcqRel", "Ordering::Acquire", "AcqRel to Acquire"),
    ("Ordering::AcqRel", "Ordering::Release", "AcqRel to Release"),
    ("Ordering::AcqRel", "Ordering::Relaxed", "AcqRel to Relaxed"),
    (
        "Ordering::Acquire",
        "Ordering::Relaxed",
        "Acquire to Relaxed",
    ),
    (
        "Ordering::Release",
        "Ordering::Relaxed",
        "Release to Relaxed",
    ),
    ("Scope::Device", "Scope::Block", "Device to Block"),
];

/// One source file with one change.
struct Mutant {
    /// File, function, mutation, and which of several.
    name: String,
    /// Relative to the workspace.
    file: PathBuf,
    text: String,
}

#[derive(PartialEq, Eq)]
enum Verdict {
    /// By this test.
    Killed(String),
    Survived,
    /// No test failed, none ended either.
    Hung,
}

pub fn run(arguments: Arguments) -> Result<ExitCode> {
    let mut mutants = mutants(cargo::root())?;
    if let Some(filter) = &arguments.filter {
        mutants.retain(|mutant| mutant.name.contains(filter));
    }
    if mutants.is_empty() {
        bail!("no mutant has such a name; --list shows them");
    }
    if arguments.list {
        mutants
            .iter()
            .for_each(|mutant| println!("{}", mutant.name));
        return Ok(ExitCode::SUCCESS);
    }
    let target = cargo::target_directory()?.join("mutate-sync");
    let copy = target.join("workspace");
    copy_workspace(&copy)?;
    if test(&copy, &target)? != Verdict::Survived {
        bail!("the tests fail without any mutation: cargo test -p gpu-kernels");
    }
    let document = fs::read_to_string(cargo::root().join(DOCUMENT))
        .with_context(|| format!("cannot read {DOCUMENT}"))?;
    let mut wrong = 0;
    for mutant in &mutants {
        let excused = document.contains(&format!("`{}`", mutant.name));
        wrong += !report(mutant, excused, &copy, &target)? as u32;
    }
    println!(
        "{} mutants, {wrong} of them not as they should be",
        mutants.len()
    );
    Ok(if wrong == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// Runs the tests on a mutant and says what became of it. Whether that is as it
/// should be.
fn report(mutant: &Mutant, excused: bool, copy: &Path, target: &Path) -> Result<bool> {
    let begin = Instant::now();
    let file = copy.join(&mutant.file);
    let original = fs::read_to_string(&file)?;
    fs::write(&file, &mutant.text)?;
    let verdict = test(copy, target).with_context(|| mutant.name.clone());
    fs::write(&file, original)?;
    let (said, right) = match (verdict?, excused) {
        (Verdict::Killed(by), false) => (format!("killed by {by}"), true),
        (Verdict::Killed(by), true) => {
            (format!("killed by {by}, but {DOCUMENT} excuses it"), false)
        }
        (Verdict::Hung, _) => ("no test failed, none ended".to_owned(), false),
        (Verdict::Survived, true) => (format!("survived; {DOCUMENT} says why"), true),
        (Verdict::Survived, false) => ("SURVIVED".to_owned(), false),
    };
    println!("{}: {said} ({:.0?})", mutant.name, begin.elapsed());
    Ok(right)
}

/// All mutants of all kernels, in the order of the sources.
fn mutants(root: &Path) -> Result<Vec<Mutant>> {
    let folder = root.join(KERNELS);
    let mut files: Vec<PathBuf> = fs::read_dir(&folder)
        .with_context(|| format!("cannot read {KERNELS}"))?
        .map(|entry| Ok(entry?.path()))
        .collect::<Result<_>>()?;
    files.sort();
    let mut mutants = Vec::new();
    for file in files {
        let text = fs::read_to_string(&file)?;
        let name = file.file_name().unwrap_or_default();
        let relative = Path::new(KERNELS).join(name);
        mutants.extend(mutants_of(&relative, &name.to_string_lossy(), &text));
    }
    Ok(mutants)
}

fn mutants_of(file: &Path, file_name: &str, text: &str) -> Vec<Mutant> {
    let mut mutants: Vec<Mutant> = Vec::new();
    let mut function = "";
    let mut offset = 0;
    for line in text.split_inclusive('\n') {
        let code = line.split("//").next().unwrap_or_default();
        // Unit tests stand at the end of a file.
        if code.contains("mod tests") {
            break;
        }
        function = function_of(code).unwrap_or(function);
        for &(from, to, what) in MUTATIONS {
            for (column, _) in code.match_indices(from) {
                let at = offset + column;
                let plain = format!("{file_name} {function}: {what}");
                let before = mutants
                    .iter()
                    .filter(|m| m.name.starts_with(&plain))
                    .count();
                mutants.push(Mutant {
                    name: format!("{plain} #{}", before + 1),
                    file: file.to_owned(),
                    text: [&text[..at], to, &text[at + from.len()..]].concat(),
                });
            }
        }
        offset += line.len();
    }
    mutants
}

/// The name, if a line begins a function.
fn function_of(code: &str) -> Option<&str> {
    let (_, rest) = code.split_once("fn ")?;
    let end = rest.find(|c: char| !c.is_alphanumeric() && c != '_')?;
    Some(&rest[..end]).filter(|name| !name.is_empty())
}

/// Copies what git knows of, and what it does not ignore.
fn copy_workspace(copy: &Path) -> Result<()> {
    let listed = Command::new("git")
        .args([
            "ls-files",
            "-z",
            "--cached",
            "--others",
            "--exclude-standard",
        ])
        .current_dir(cargo::root())
        .output()
        .context("cannot run git")?;
    if !listed.status.success() {
        bail!(
            "git ls-files failed: {}",
            String::from_utf8_lossy(&listed.stderr).trim()
        );
    }
    for name in String::from_utf8(listed.stdout)?.split_terminator('\0') {
        let (from, to) = (cargo::root().join(name), copy.join(name));
        // A file that is deleted and not committed is listed too. One that has not
        // changed keeps its age, and cargo what it has built of it.
        if !from.is_file()
            || fs::read(&to).is_ok_and(|old| fs::read(&from).is_ok_and(|new| old == new))
        {
            continue;
        }
        fs::create_dir_all(to.parent().unwrap_or(copy))?;
        fs::copy(&from, &to).with_context(|| format!("cannot copy {name}"))?;
    }
    Ok(())
}

/// Builds the copy's tests and runs them until one fails.
fn test(copy: &Path, target: &Path) -> Result<Verdict> {
    let build = [
        "test",
        "-p",
        "gpu-kernels",
        "--test",
        "emulator",
        "--no-run",
        "--quiet",
    ];
    let program = cargo::executables_in(copy, target, &build)?
        .into_iter()
        .map(|(program, _)| program)
        .next()
        .context("cargo has built no test")?;
    let mut tests = Command::new(program)
        .current_dir(copy.join("gpu-kernels"))
        // A failure is what counts, not the smallest input that shows it.
        .env("PROPTEST_MAX_SHRINK_ITERS", "0")
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .context("cannot run the tests")?;
    let (lines, received) = channel();
    if let Some(output) = tests.stdout.take() {
        thread::spawn(move || {
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                // The receiver is gone once a test has failed.
                if lines.send(line).is_err() {
                    return;
                }
            }
        });
    }
    let end = Instant::now() + LIMIT;
    let verdict = loop {
        match received.recv_timeout(end.saturating_duration_since(Instant::now())) {
            Ok(line) => {
                let failed = line
                    .strip_prefix("test ")
                    .and_then(|rest| rest.strip_suffix(" ... FAILED"));
                if let Some(name) = failed {
                    break Verdict::Killed(name.to_owned());
                }
            }
            Err(RecvTimeoutError::Timeout) => break Verdict::Hung,
            Err(RecvTimeoutError::Disconnected) => {
                let passed = tests.wait()?.success();
                return Ok(if passed {
                    Verdict::Survived
                } else {
                    Verdict::Killed("the end of the process".to_owned())
                });
            }
        }
    };
    tests.kill()?;
    tests.wait()?;
    Ok(verdict)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_synchronisation_is_a_mutant() {
        let text = "unsafe fn pass() {\n    // thread::sync_threads();\n    thread::sync_threads();\n    \
                    counter.fetch_add(0, 1, Ordering::AcqRel, Scope::Device);\n    \
                    thread::sync_threads();\n}\nmod tests {\n    thread::sync_threads();\n}\n";
        let mutants = mutants_of(Path::new("k.rs"), "k.rs", text);
        let names: Vec<_> = mutants.iter().map(|mutant| mutant.name.as_str()).collect();
        assert_eq!(
            names,
            [
                "k.rs pass: without sync_threads #1",
                "k.rs pass: AcqRel to Acquire #1",
                "k.rs pass: AcqRel to Release #1",
                "k.rs pass: AcqRel to Relaxed #1",
                "k.rs pass: Device to Block #1",
                "k.rs pass: without sync_threads #2",
            ]
        );
        assert!(mutants.iter().all(|mutant| mutant.text != text));
        assert!(mutants[5].text.contains("AcqRel, Scope::Device);\n    \n}"));
    }

    #[test]
    fn the_kernels_have_mutants() {
        let mutants = mutants(cargo::root()).expect("the kernels' sources");
        for what in [
            "without sync_threads",
            "without sync_warp",
            "AcqRel",
            "Device to Block",
        ] {
            assert!(
                mutants.iter().any(|mutant| mutant.name.contains(what)),
                "{what}"
            );
        }
    }
}
