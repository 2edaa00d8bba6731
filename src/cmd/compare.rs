//! `cudamark compare`: whether one build is slower than another.
//!
//! The method is that of `regress`. The exit code is for those that gate by it:
//! 0 if no case is slower, 1 if one is, 2 if none was found slower but one could not be
//! judged, or the comparison could not be made.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Result;
use clap::Args;
use cudamark::table::Format;
use cudamark::{interrupt, paths, tell};
use regress::build::{self, Builds};
use regress::calibration::{self, Summary};
use regress::comparison::{self, Plan, Row};
use regress::cores::{self, Cores};
use regress::schema::Store;
use regress::selection::Selection;
use regress::stats::{self, Verdict};
use regress::{machine, process};
use suite::environment::Environment;
use suite::{Case, Tier};

use super::classic::{print, sample_count};
use super::verdicts::Verdicts;

/// Exit code where a case is slower.
const SLOWER: u8 = 1;

/// Exit code where nothing can be said.
const NOT_JUDGED: u8 = 2;

/// Compare two builds: faster, slower, same or unsure, case by case.
#[derive(Args, Debug)]
pub(crate) struct Options {
    /// Cases: names, or regular expressions over the names of the tier's cases.
    #[arg(value_name = "CASE", required = true)]
    cases: Vec<String>,

    /// Reference: a commit, branch or tag.
    #[arg(long, value_name = "REV", default_value = "HEAD")]
    base: String,

    /// Build that gets the verdict: a revision, or `worktree` for the sources as they are.
    #[arg(long, value_name = "REV", default_value = build::WORKTREE)]
    head: String,

    /// An executable in place of the base.
    #[arg(long, value_name = "FILE", conflicts_with = "base")]
    base_exe: Option<PathBuf>,

    /// An executable in place of the head.
    #[arg(long, value_name = "FILE", conflicts_with = "head")]
    head_exe: Option<PathBuf>,

    /// Seconds after which no more processes begin, builds not counted.
    #[arg(long, value_name = "SECONDS", default_value = "120s", value_parser = budget)]
    budget: Duration,

    /// The difference that is to be seen.
    #[arg(long, value_name = "PERCENT", default_value = "5%", value_parser = percent)]
    detect: f64,

    /// Slower by no more than this does not count in the exit code.
    #[arg(long, value_name = "PERCENT", default_value = "0%", value_parser = percent)]
    threshold: f64,

    #[command(flatten)]
    sampling: Sampling,

    /// Give the reason of each verdict, as a code, and what to do about it.
    #[arg(long)]
    explain: bool,

    /// How the result is written.
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
}

/// How each process takes its samples, and where it runs.
#[derive(Args, Clone, Debug)]
pub(crate) struct Sampling {
    /// Samples of each case in a process, the least of which counts.
    #[arg(long, value_name = "N", default_value_t = 12, value_parser = sample_count)]
    samples: usize,

    /// Seconds for which each case is warmed up in each process, by one sort at least.
    #[arg(long, value_name = "SECONDS", default_value = "0.01")]
    warm_up: String,

    /// Tier whose cases expressions choose from.
    #[arg(long, value_name = "TIER", default_value_t = Tier::Default)]
    tier: Tier,

    /// Cores that the processes are bound to: a list like 0,1; `none`; or `auto`, the last
    /// ones, as many as the cases have threads.
    #[arg(long, value_name = "LIST", default_value = "auto")]
    pub(crate) cores: Cores,
}

impl Sampling {
    /// Arguments of `cudamark sample`, to sample `cases`.
    pub(crate) fn arguments(&self, cases: &[String]) -> Vec<String> {
        // Builds from before names changed read the former form alone.
        let former = |case: &String| match case.parse::<Case>() {
            Ok(name) => name.former(),
            Err(_) => case.clone(),
        };
        let cases = cases.iter().map(|case| ["--cells".to_owned(), former(case)]);
        let others = [
            ("--samples", self.samples.to_string()),
            ("--warm-up", self.warm_up.clone()),
            ("--tier", self.tier.to_string()),
        ];
        let others = others.map(|(flag, value)| [flag.to_owned(), value]);
        cases.chain(others).flatten().collect()
    }
}

/// Runs the command; errors are told here, because they have an exit code of their own.
pub(crate) fn run(options: &Options) -> ExitCode {
    match compare(options) {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            tell!("cudamark: {error:#}");
            ExitCode::from(interrupt::exit_code().unwrap_or(NOT_JUDGED))
        }
    }
}

fn compare(options: &Options) -> Result<u8> {
    // Better known before anything is built.
    Selection::new(&options.cases)?;
    let interrupted = interrupt::flag()?;
    let kept = Builds::new(&paths::suite().join("builds"))?;
    let side = |executable: &Option<PathBuf>, revision: &str| match executable {
        Some(executable) => kept.executable(executable),
        None => kept.revision(revision, &interrupted),
    };
    let builds = [side(&options.base_exe, &options.base)?, side(&options.head_exe, &options.head)?];
    let arguments = options.sampling.arguments(&options.cases);
    // Which cases an expression means, the base knows.
    let cores = options.sampling.cores.choose(|| process::list(&builds[0], &arguments))?;
    // Before cores are bound: the machine has those that it has.
    let environment = Environment::here(None);
    let machine = environment.machine_id();
    cores::bind(&cores)?;
    let plan = Plan {
        builds,
        arguments,
        planted: Vec::new(),
        cores,
        detect: options.detect,
        budget: options.budget,
    };
    let folder = paths::suite().join("track");
    let calibration = Summary::of(&calibration::of_machine(&folder, &machine)?);
    if let Some(said) = machine::renamed(&folder, &machine) {
        tell!("compare: {said}");
    }
    let store = Store::of_machine(&folder, &machine);
    let rows = comparison::run(&plan, &store, &interrupted)?.rows;
    let governor = environment.governor.as_deref();
    if let Some(governor) = governor.filter(|governor| *governor != "performance") {
        tell!("the CPU's clock is set by `{governor}`; `performance` has less noise");
    }
    let result = Verdicts::new(
        &plan.builds,
        &rows,
        &machine,
        governor,
        calibration.as_ref(),
        options.explain,
    );
    print(&result.written(options.format)?)?;
    let fewest = stats::fewest_rounds(rows.len());
    if rows.iter().any(|row| row.estimate.rounds < fewest) {
        tell!(
            "fewer rounds than the {fewest} that {} cases take to be judged; give more --budget or \
             fewer cases",
            rows.len()
        );
    }
    let slower = |row: &Row| {
        let ratio = row.estimate.ratio.unwrap_or(1.0);
        row.estimate.verdict == Verdict::Slower && ratio > 1.0 + options.threshold
    };
    let unsure = |row: &Row| row.estimate.verdict == Verdict::Unsure;
    Ok(match rows.iter().any(slower) {
        true => SLOWER,
        false if rows.is_empty() || rows.iter().any(unsure) => NOT_JUDGED,
        false => 0,
    })
}

/// A percentage as a part: 0.05 for `5%`.
pub(crate) fn percent(text: &str) -> Result<f64, String> {
    let number: Option<f64> = text.trim().trim_end_matches('%').trim().parse().ok();
    number
        .filter(|percent| (0.0..=1000.0).contains(percent))
        .map(|percent| percent / 100.0)
        .ok_or_else(|| "not a percentage from 0 to 1000; write it like 5%".to_owned())
}

/// A time limit: `120s`.
pub(crate) fn budget(text: &str) -> Result<Duration, String> {
    let number: Option<f64> = text.trim().trim_end_matches('s').trim().parse().ok();
    number
        .filter(|seconds| (1.0..=86_400.0).contains(seconds))
        .map(Duration::from_secs_f64)
        .ok_or_else(|| "not a number of seconds from 1 to 86400; write it like 120s".to_owned())
}
