//! The command line. Criterion reads and checks it; known here are the few options that
//! decide whether samples are taken, and the baselines.

use std::env;
use std::ffi::OsString;
use std::fs;
use std::io;
use std::process::Command;

use cudamark::paths;
use suite::Case;

use super::stop::Stop;

/// Names the baseline that a run saves which compares with another.
const SAVE: &str = "CUDAMARK_SAVE_BASELINE";

/// Letters of Criterion's options, and their names.
const LETTERS: [(char, &str); 7] = [
    ('b', "baseline"),
    ('c', "color"),
    ('h', "help"),
    ('n', "noplot"),
    ('s', "save-baseline"),
    ('v', "verbose"),
    ('V', "version"),
];
/// Options that mean something where nothing is measured.
const UNMEASURED: [&str; 15] = [
    "bench",
    "color",
    "colour",
    "exact",
    "format",
    "help",
    "ignored",
    "include-ignored",
    "list",
    "nocapture",
    "quiet",
    "show-output",
    "test",
    "verbose",
    "version",
];
/// Options that mean nothing for samples that were taken before.
const SAMPLING: [&str; 4] = ["measurement-time", "quick", "sample-size", "warm-up-time"];
/// Folders that Criterion has beside those of baselines.
const NOT_BASELINES: [&str; 3] = ["change", "new", "report"];

/// Kind of run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    /// Prints the names of its cases.
    List,
    /// Sorts once in each case, as `cargo test --benches` does.
    Test,
    /// Sorts for as long as a profiler is to look on.
    Profile,
    /// Compares samples of two earlier runs.
    Load,
    /// Takes samples.
    Measure,
}

/// A command line.
#[derive(Clone, Debug)]
pub(crate) struct Arguments {
    words: Vec<String>,
    /// Options by name, with the value that each has if it takes one.
    options: Vec<(String, Option<String>)>,
}

impl Arguments {
    /// The command line of this process.
    pub(crate) fn of_process() -> Self {
        let words = env::args_os().skip(1);
        Self::new(words.map(|word| word.to_string_lossy().into_owned()).collect())
    }

    fn new(words: Vec<String>) -> Self {
        let mut options = Vec::new();
        let upto = words.iter().take_while(|word| *word != "--").count();
        for (index, word) in words[..upto].iter().enumerate() {
            let next = words[..upto].get(index + 1).filter(|next| !next.starts_with('-'));
            if let Some(long) = word.strip_prefix("--") {
                let (name, value) = match long.split_once('=') {
                    Some((name, value)) => (name, Some(value.to_owned())),
                    None => (long, next.cloned()),
                };
                options.push((name.to_owned(), value));
            } else if let Some(mut letters) = word.strip_prefix('-') {
                while let Some(letter) = letters.chars().next() {
                    let known = LETTERS.iter().find(|(known, _)| *known == letter);
                    let Some((letter, name)) = known else {
                        break;
                    };
                    letters = &letters[1..];
                    let value = match letters.strip_prefix('=').unwrap_or(letters) {
                        "" => next.cloned(),
                        value => Some(value.to_owned()),
                    };
                    options.push(((*name).to_owned(), value));
                    if matches!(letter, 'b' | 'c' | 's') {
                        break;
                    }
                }
            }
        }
        Self { words, options }
    }

    /// True if the option is given.
    pub(crate) fn has(&self, option: &str) -> bool {
        self.options.iter().any(|(name, _)| name == option)
    }

    fn value(&self, option: &str) -> Option<&str> {
        let given = self.options.iter().find(|(name, _)| name == option);
        given?.1.as_deref()
    }

    /// Kind of run. Without `--bench`, or with `--test`, Criterion runs each
    /// benchmark once.
    pub(crate) fn mode(&self) -> Mode {
        if self.has("list") {
            Mode::List
        } else if self.has("test") || !self.has("bench") {
            Mode::Test
        } else if self.has("profile-time") {
            Mode::Profile
        } else if self.has("load-baseline") {
            Mode::Load
        } else {
            Mode::Measure
        }
    }

    /// Refuses options that Criterion accepts and that would do nothing, and baselines
    /// that would lie in another folder than a case's or in one that is taken.
    pub(crate) fn require_use(&self) -> Result<(), Stop> {
        let mode = self.mode();
        for (option, _) in &self.options {
            let option = option.as_str();
            let (used, reason) = match mode {
                Mode::Measure => (true, ""),
                Mode::Load => (
                    !SAMPLING.contains(&option),
                    "--load-baseline takes no samples; leave one of the two out",
                ),
                Mode::Profile => (
                    UNMEASURED.contains(&option) || option == "profile-time",
                    "--profile-time keeps and compares nothing; leave one of the two out",
                ),
                Mode::List => (
                    UNMEASURED.contains(&option),
                    "--list measures nothing; leave one of the two out",
                ),
                Mode::Test => (
                    UNMEASURED.contains(&option),
                    "nothing is measured without --bench, or with --test; run `cargo bench`, or \
                     add --bench",
                ),
            };
            if !used {
                return Err(Stop::usage(format!("--{option}: {reason}")));
            }
        }
        for option in ["baseline", "baseline-lenient", "load-baseline", "save-baseline"] {
            let Some(name) = self.value(option) else {
                continue;
            };
            if ["", ".", ".."].contains(&name) || name.contains('/') {
                let reason = "not the name of a folder; take letters and digits";
                return Err(Stop::usage(format!("--{option}: `{name}`: {reason}")));
            }
            if NOT_BASELINES.contains(&name) {
                let reason = "Criterion has this folder for itself; take another name";
                return Err(Stop::usage(format!("--{option}: `{name}`: {reason}")));
            }
        }
        Ok(())
    }

    /// The names of cases among the words: what is meant with `--exact`.
    pub(crate) fn names(&self) -> impl Iterator<Item = Case> {
        self.words.iter().filter_map(|word| word.parse().ok())
    }

    /// The command line for an error's message.
    pub(crate) fn shown(&self) -> String {
        let shown = self.words.iter().filter(|word| *word != "--bench");
        shown.map(String::as_str).collect::<Vec<_>>().join(" ")
    }

    fn compares(&self) -> bool {
        self.has("baseline") || self.has("baseline-lenient")
    }

    /// Where results are to be compared with one baseline and saved as another, what this
    /// process is to become: Criterion takes one of the two options. It is given the one
    /// to compare with, and the suite saves ([`save`](Self::save)).
    pub(crate) fn again(&self) -> Option<Command> {
        let name = self.value("save-baseline").filter(|_| self.compares())?;
        let mut command = Command::new(env::current_exe().ok()?);
        command.args(without_save(env::args_os().skip(1)));
        command.env(SAVE, name);
        Some(command)
    }

    /// Saves what Criterion has just found of a case, if this run is one that
    /// [`again`](Self::again) started.
    pub(crate) fn save(&self, case: &Case) -> Result<(), String> {
        let measures = self.compares() && self.mode() == Mode::Measure;
        let Some(name) = env::var_os(SAVE).filter(|_| measures) else {
            return Ok(());
        };
        let folder = paths::criterion_case(case);
        let (new, saved) = (folder.join("new"), folder.join(&name));
        let copy = || -> io::Result<()> {
            fs::create_dir_all(&saved)?;
            for entry in fs::read_dir(&new)? {
                let entry = entry?;
                fs::copy(entry.path(), saved.join(entry.file_name()))?;
            }
            Ok(())
        };
        copy()
            .map_err(|error| format!("--save-baseline: cannot write {}: {error}", saved.display()))
    }

    /// An error where results are to be compared with a baseline that a case has not:
    /// Criterion would panic, after it has measured the cases before. A case that lacks
    /// one because it is skipped, as `skips` says, is left out.
    pub(crate) fn require_baseline(
        &self,
        cases: &[Case],
        skips: impl Fn(&Case) -> bool,
    ) -> Result<(), String> {
        for option in ["baseline", "load-baseline"] {
            let Some(name) = self.value(option) else {
                continue;
            };
            let lacks = |case: &&Case| !paths::criterion_case(case).join(name).is_dir();
            let missing: Vec<&Case> = cases.iter().filter(lacks).collect();
            let all = missing.len() == cases.len();
            let Some(first) = missing.iter().find(|case| all || !skips(case)) else {
                continue;
            };
            let which = match all {
                true => "there is no baseline of this name".to_owned(),
                false => {
                    format!("{} of {} benchmarks lack it: {first}", missing.len(), cases.len())
                }
            };
            return Err(format!(
                "--{option}: `{name}`: {which}; make it with --save-baseline {name}, or compare \
                 where there is one with --baseline-lenient {name}"
            ));
        }
        Ok(())
    }
}

/// `arguments` without the option that saves, and its value.
fn without_save(arguments: impl Iterator<Item = OsString>) -> Vec<OsString> {
    let mut left = Vec::new();
    let mut arguments = arguments.into_iter();
    while let Some(argument) = arguments.next() {
        let text = argument.to_string_lossy();
        if text == "--save-baseline" || text == "-s" {
            arguments.next();
        } else if !text.starts_with("--save-baseline=") && !text.starts_with("-s") {
            left.push(argument);
        }
    }
    left
}
