//! What Criterion's command line says that we have to know too: which cells are meant,
//! and whether they are measured. Criterion reads the same line and judges it.

use std::env;
use std::ffi::OsString;
use std::fs;
use std::process::Command;

use clap::Parser;
use cudamark::paths;
use host::suite::Name;
use regex::Regex;

/// Names the baseline that a run saves which compares with another.
const SAVE: &str = "CUDAMARK_SAVE_BASELINE";

/// The part of Criterion's options that are of use here, and those that take a value,
/// lest it be taken for the filter.
#[derive(Parser, Clone, Debug, Default)]
#[command(no_binary_name = true, disable_help_flag = true, ignore_errors = true)]
pub struct Arguments {
    filter: Option<String>,
    #[arg(long)]
    exact: bool,
    #[arg(long)]
    bench: bool,
    #[arg(long)]
    test: bool,
    #[arg(long)]
    pub list: bool,
    #[arg(long)]
    profile_time: Option<String>,
    #[arg(long, short)]
    baseline: Option<String>,
    #[arg(long)]
    load_baseline: Option<String>,
    #[arg(long)]
    pub warm_up_time: Option<f64>,
    #[arg(long, short)]
    save_baseline: Option<String>,
    #[arg(long)]
    baseline_lenient: Option<String>,
    #[arg(long, short)]
    color: Option<String>,
    #[arg(long)]
    sample_size: Option<String>,
    #[arg(long)]
    measurement_time: Option<String>,
    #[arg(long)]
    nresamples: Option<String>,
    #[arg(long)]
    noise_threshold: Option<String>,
    #[arg(long)]
    confidence_level: Option<String>,
    #[arg(long)]
    significance_level: Option<String>,
    #[arg(long)]
    plotting_backend: Option<String>,
    #[arg(long)]
    output_format: Option<String>,
    #[arg(long)]
    format: Option<String>,
    #[arg(long, short)]
    verbose: bool,
    #[arg(long)]
    quiet: bool,
    #[arg(long, short)]
    noplot: bool,
    #[arg(long)]
    discard_baseline: bool,
    #[arg(long)]
    quick: bool,
    #[arg(long)]
    ignored: bool,
    #[arg(long)]
    nocapture: bool,
    #[arg(long)]
    show_output: bool,
    #[arg(long)]
    include_ignored: bool,
}

impl Arguments {
    /// Those of this process.
    pub fn of_process() -> Self {
        // Errors are ignored: what is wrong is for Criterion to say.
        Self::try_parse_from(env::args_os().skip(1)).unwrap_or_default()
    }

    /// Where results are to be compared with one baseline and saved as another, what this
    /// process is to become: Criterion takes one of the two options. It is given the one
    /// to compare with, and the suite saves ([`save`](Self::save)).
    pub fn again(&self) -> Option<Command> {
        let name = self.save_baseline.as_ref()?;
        if self.baseline.is_none() && self.baseline_lenient.is_none() {
            return None;
        }
        let mut command = Command::new(env::current_exe().ok()?);
        command.args(without_save(env::args_os().skip(1)));
        command.env(SAVE, name);
        Some(command)
    }

    /// Saves what Criterion has just found of a cell, if this run is one that
    /// [`again`](Self::again) started.
    pub fn save(&self, cell: &Name) -> Result<(), String> {
        let compares = self.baseline.is_some() || self.baseline_lenient.is_some();
        let Some(name) = env::var_os(SAVE).filter(|_| compares && self.measures()) else {
            return Ok(());
        };
        let folder = paths::criterion_cell(cell);
        let (new, saved) = (folder.join("new"), folder.join(&name));
        let copy = || {
            fs::create_dir_all(&saved)?;
            for entry in fs::read_dir(&new)? {
                let entry = entry?;
                fs::copy(entry.path(), saved.join(entry.file_name()))?;
            }
            Ok(())
        };
        copy().map_err(|error: std::io::Error| {
            format!("--save-baseline: cannot write {}: {error}", saved.display())
        })
    }

    /// Whether anything is timed. Without `--bench`, or with `--test`, Criterion runs
    /// each benchmark once; with `--profile-time` it does not look at times.
    pub fn measures(&self) -> bool {
        let without = self.test || self.list || self.profile_time.is_some();
        self.bench && !without && self.load_baseline.is_none()
    }

    /// Whether Criterion will run the cell's benchmark.
    pub fn selects(&self, cell: &Name) -> bool {
        let name = cell.to_string();
        match &self.filter {
            None => true,
            Some(filter) if self.exact => name == *filter,
            // One that is no expression is taken literally, as Criterion does.
            Some(filter) => match Regex::new(filter) {
                Ok(regex) => regex.is_match(&name),
                Err(_) => name.contains(filter),
            },
        }
    }

    /// An error where results are to be compared with a baseline that a cell has not:
    /// Criterion would panic, after it has measured the cells before.
    pub fn require_baseline(&self, cells: &[Name]) -> Result<(), String> {
        let wanted = [
            ("--baseline", &self.baseline),
            ("--load-baseline", &self.load_baseline),
        ];
        for (option, name) in wanted {
            let Some(name) = name else {
                continue;
            };
            let lacks = |cell: &&Name| !paths::criterion_cell(cell).join(name).is_dir();
            let missing: Vec<&Name> = cells.iter().filter(lacks).collect();
            let Some(first) = missing.first() else {
                continue;
            };
            let which = match missing.len() == cells.len() {
                true => "there is no baseline of this name".to_owned(),
                false => format!(
                    "{} of {} benchmarks lack it: {first}",
                    missing.len(),
                    cells.len()
                ),
            };
            return Err(format!(
                "{option}: `{name}`: {which}; make it with --save-baseline {name}, or compare \
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
