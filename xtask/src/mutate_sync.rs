//! `cargo xtask mutate-sync`: are the emulator's tests of the kernels worth anything?
//!
//! Every barrier, fence, warp barrier, memory ordering and scope in the kernels is
//! taken away or weakened, one at a time, in a copy of the workspace, and the
//! kernels' tests run there. They have to fail. A mutant that survives is a gap in the
//! tests, or a synchronisation that nothing needs; `docs/EMULATOR.md` lists the known
//! ones, by the name that is printed here, with the reason.
//!
//! All mutants are compiled together ([`mutants`]), so that one build serves for all;
//! as many are tested at once as there are cores, and each only until a test fails.

mod mutants;

use crate::{cargo, programs};
use anyhow::{Context, Result, bail};
use mutants::Mutants;
use rayon::prelude::*;
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::thread;
use std::time::{Duration, Instant};

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Only the mutants whose name contains this
    filter: Option<String>,
    /// Show the names and run nothing
    #[arg(long)]
    list: bool,
}

/// Where survivors are excused.
const DOCUMENT: &str = "docs/EMULATOR.md";
const KERNELS: &str = "gpu-kernels/src";
/// A mutant hangs when it takes longer than this many times what none of them takes.
const PATIENCE: u32 = 5;

/// Result of the tests of a mutant.
#[derive(PartialEq, Eq)]
enum Verdict {
    /// The name of the test that failed.
    Killed(String),
    /// No test failed, but one did not end.
    Hung,
    Survived,
}

pub(crate) fn run(arguments: Arguments) -> Result<ExitCode> {
    let names = mutants::of_folder(&cargo::root().join(KERNELS))?.names;
    let wanted = |name: &&String| arguments.filter.as_ref().is_none_or(|f| name.contains(f));
    if !names.iter().any(|name| wanted(&name)) {
        bail!("no mutant has such a name; --list shows them");
    }
    if arguments.list {
        names.iter().filter(wanted).for_each(|name| println!("{name}"));
        return Ok(ExitCode::SUCCESS);
    }
    let document = fs::read_to_string(cargo::root().join(DOCUMENT));
    let document = document.with_context(|| format!("cannot read {DOCUMENT}"))?;
    let excused = excused(&document);
    if let Some(gone) = excused.iter().find(|name| !names.iter().any(|n| n == *name)) {
        bail!("{DOCUMENT} excuses `{gone}`, which is no mutant; take the line out");
    }
    let target = cargo::target_directory()?.join("mutate-sync");
    let copy = target.join("workspace");
    // It has mutants, and files that are no longer part of the workspace.
    if copy.exists() {
        fs::remove_dir_all(&copy)?;
    }
    copy_workspace(&copy)?;
    // From the copy, which stays as it is while somebody works on the kernels.
    let kernels = copy.join(KERNELS);
    let Mutants { names, files } = mutants::of_folder(&kernels)?;
    for (name, text) in files {
        let module = if name == "lib.rs" { mutants::MODULE } else { "" };
        fs::write(kernels.join(name), format!("{text}{module}"))?;
    }
    let tests = Tests { program: build(&copy, &target)?, folder: copy.join("gpu-kernels") };
    let begin = Instant::now();
    if tests.run(None, None)? != Verdict::Survived {
        bail!("the tests fail without any mutation: cargo test -p gpu-kernels");
    }
    let limit = begin.elapsed() * PATIENCE;
    let chosen: Vec<(usize, &String)> =
        names.iter().enumerate().filter(|(_, name)| wanted(name)).collect();
    let is_right = |&(number, name): &(usize, &String)| {
        let begin = Instant::now();
        let verdict = tests.run(Some(number), Some(limit))?;
        let (said, right) = classify(verdict, excused.contains(&name.as_str()));
        println!("{name}: {said} ({:.0?})", begin.elapsed());
        Ok(right)
    };
    let right = chosen.par_iter().map(is_right).collect::<Result<Vec<bool>>>()?;
    let wrong = right.iter().filter(|right| !**right).count();
    println!("{} mutants, {wrong} of them not as they should be", chosen.len());
    Ok(if wrong == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The mutants that the document has a line for, in the table of those that live.
fn excused(document: &str) -> Vec<&str> {
    let rows = document.lines().filter_map(|line| line.strip_prefix("| `")?.split_once('`'));
    rows.map(|(name, _)| name).filter(|name| name.contains(".rs ")).collect()
}

/// A description of the verdict, and true if the document agrees with it.
fn classify(verdict: Verdict, excused: bool) -> (String, bool) {
    let killed = match verdict {
        Verdict::Survived if excused => return (format!("survived; {DOCUMENT} says why"), true),
        Verdict::Survived => return ("SURVIVED".to_owned(), false),
        Verdict::Killed(by) => format!("killed by {by}"),
        Verdict::Hung => "killed: its tests do not end".to_owned(),
    };
    match excused {
        true => (format!("{killed}, but {DOCUMENT} excuses it"), false),
        false => (killed, true),
    }
}

/// Copies what git knows of, and what it does not ignore.
fn copy_workspace(copy: &Path) -> Result<()> {
    let mut git = Command::new("git");
    git.args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"]);
    for name in programs::text(git.current_dir(cargo::root()))?.split_terminator('\0') {
        let (from, to) = (cargo::root().join(name), copy.join(name));
        // A file that is deleted and not committed is listed too.
        if !from.is_file() {
            continue;
        }
        fs::create_dir_all(to.parent().unwrap_or(copy))?;
        fs::copy(&from, &to).with_context(|| format!("cannot copy {name}"))?;
    }
    Ok(())
}

fn build(copy: &Path, target: &Path) -> Result<PathBuf> {
    let build = ["test", "-p", "gpu-kernels", "--test", "emulator", "--no-run", "--quiet"];
    let mut cargo = cargo::command(&build);
    cargo.current_dir(copy).env("CARGO_TARGET_DIR", target);
    let mut built = cargo::build(cargo)?.executables.into_iter();
    let (program, _) = built.next().context("cargo has built no test")?;
    Ok(program)
}

/// The kernels' tests, with all mutants in them.
struct Tests {
    program: PathBuf,
    folder: PathBuf,
}

impl Tests {
    /// Runs them until one fails, with a mutant or none.
    fn run(&self, mutant: Option<usize>, limit: Option<Duration>) -> Result<Verdict> {
        let mut command = Command::new(&self.program);
        command
            .args(["--test-threads", "1"])
            .current_dir(&self.folder)
            // A failure is what counts, not the smallest input that shows it.
            .env("PROPTEST_MAX_SHRINK_ITERS", "0")
            .env_remove(mutants::VARIABLE)
            .stdout(Stdio::piped())
            .stderr(Stdio::null());
        if let Some(number) = mutant {
            command.env(mutants::VARIABLE, number.to_string());
        }
        let mut tests = command.spawn().context("cannot run the tests")?;
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
        let begin = Instant::now();
        let verdict = loop {
            let left = limit.unwrap_or(Duration::MAX).saturating_sub(begin.elapsed());
            match received.recv_timeout(left) {
                Ok(line) => {
                    if let Some(name) = failed(&line) {
                        break Verdict::Killed(name.to_owned());
                    }
                }
                Err(RecvTimeoutError::Timeout) => break Verdict::Hung,
                Err(RecvTimeoutError::Disconnected) => {
                    return Ok(match tests.wait()?.success() {
                        true => Verdict::Survived,
                        false => Verdict::Killed("the end of the process".to_owned()),
                    });
                }
            }
        };
        tests.kill()?;
        tests.wait()?;
        Ok(verdict)
    }
}

/// The name of the test, if the line says that it has failed.
fn failed(line: &str) -> Option<&str> {
    line.strip_prefix("test ")?.strip_suffix(" ... FAILED")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mutant_is_killed_or_excused_and_never_both() {
        let killed = || Verdict::Killed("sort_u8".to_owned());
        assert!(classify(killed(), false).1 && classify(Verdict::Hung, false).1);
        assert!(classify(Verdict::Survived, true).1);
        assert!(!classify(killed(), true).1 && !classify(Verdict::Survived, false).1);
    }

    #[test]
    fn excuses_are_read() {
        let document = "| `k.rs pass: without fence #1` | why `a.rs b` |\n| `option` | x |\n";
        assert_eq!(excused(document), ["k.rs pass: without fence #1"]);
    }

    #[test]
    fn failures_are_read() {
        assert_eq!(failed("test sorts::sort_u8 ... FAILED"), Some("sorts::sort_u8"));
        assert_eq!(failed("test sorts::sort_u8 ... ok"), None);
    }
}
