//! `cudamark calibrate`: how far the verdicts of `cudamark compare` can be trusted here.
//!
//! It compares its own executable with itself, as it is and with slowdowns planted, as
//! `regress::calibration` says, and keeps what came of it with the machine.
//! Ctrl-C, or a kill, ends it after any process; the same command goes on.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Result, anyhow, bail};
use clap::Args;
use cudamark::output::{self, Output};
use cudamark::{interrupt, paths, tell};
use regress::build::{Build, Builds};
use regress::calibration::{self, Plan, Summary};
use regress::cores;
use regress::schema::{Settings, Trial};
use serde_json::json;
use suite::Case;
use suite::engines;
use suite::environment::Environment;
use suite::lines::{VERSION, to_text};

use super::classic::print;
use super::compare::{Sampling, budget, percent};
use super::once_each;

/// Cases that are compared unless others are named: short sorts, which many processes can
/// repeat, of each engine of the CPU.
const CASES: &[&str] = &[
    "cpu/u32-uniform/cpu-std/1/16384",
    "cpu/u32-uniform/cpu-radix/1/65536",
    "cpu/u32-uniform/cpu-rayon/1/16384",
    "cpu/u64-uniform/cpu-radix/1/32768",
];

/// Measure how often this machine raises false alarms, and what it can see.
#[derive(Args, Debug)]
pub(crate) struct Options {
    /// Cases that are compared, by name.
    #[arg(value_name = "CASE", default_values = CASES)]
    cases: Vec<Case>,

    /// Comparisons of the executable with itself.
    #[arg(long, value_name = "N", default_value_t = 32)]
    comparisons: u32,

    /// Slowdowns that are planted.
    #[arg(long, value_name = "LIST", value_delimiter = ',', default_value = "5%,20%", value_parser = percent)]
    planted: Vec<f64>,

    /// Comparisons with each of them.
    #[arg(long, value_name = "N", default_value_t = 10)]
    trials: u32,

    /// Engine in which they are planted.
    #[arg(long, value_name = "NAME", default_value = "cpu-std")]
    engine: String,

    /// Seconds after which a comparison begins no more rounds.
    #[arg(long, value_name = "SECONDS", default_value = "60s", value_parser = budget)]
    budget: Duration,

    /// The difference that is to be seen.
    #[arg(long, value_name = "PERCENT", default_value = "5%", value_parser = percent)]
    detect: f64,

    #[command(flatten)]
    sampling: Sampling,

    /// Write the result to this file, and each comparison to one beside it that ends in
    /// `.jsonl`.
    #[arg(long, value_name = "FILE.json")]
    json: Option<PathBuf>,
}

pub(crate) fn run(options: &Options) -> Result<()> {
    require_planted(options)?;
    let raw = options.json.as_ref().map(|path| path.with_extension("jsonl"));
    if raw == options.json && raw.is_some() {
        bail!("--json: a name that ends in .jsonl is that of the comparisons; take one in .json");
    }
    let [json, raw] = Output::open_all([options.json.as_deref(), raw.as_deref()])?;
    let interrupted = interrupt::flag()?;
    let build = Builds::new(&paths::suite().join("builds"))?.this_program()?;
    // Before cores are bound: the machine has those that it has.
    let environment = Environment::here(None);
    let machine = environment.machine_id();
    let cores = options.sampling.cores.choose(|| Ok(options.cases.clone()))?;
    cores::bind(&cores)?;
    let plan = Plan {
        settings: settings(options, &environment, &build, cores),
        comparisons: options.comparisons,
        planted: once_each(options.planted.iter().map(|part| part * 100.0)),
        trials: options.trials,
    };
    let folder = paths::suite().join("track");
    let trials = calibration::run(&plan, &build, &folder, &machine, &interrupted, &mut say)?;
    let summary = Summary::of(&trials).ok_or_else(|| anyhow!("no comparison was asked for"))?;
    print(&summary.text())?;
    if let (Some(json), Some(raw)) = (json, raw) {
        raw.write(&lines(&trials)?)?;
        json.write(&record(&summary, &environment, &trials)?)?;
    }
    Ok(())
}

/// Refuses slowdowns that would reach no case, or all of them.
fn require_planted(options: &Options) -> Result<()> {
    let engine = &options.engine;
    let known = engines::of_host_memory().contains(&engine.as_str());
    if !known || engines::needs_gpu(engine) {
        bail!(
            "--engine: `{engine}` is no engine of the CPU; there are cpu-radix, cpu-rayon, cpu-std"
        );
    }
    if options.planted.contains(&0.0) {
        bail!("--planted: 0 % is no slowdown; name a larger one, or none by --trials 0");
    }
    let planted = !options.planted.is_empty() && options.trials > 0;
    if planted && !options.cases.iter().any(|case| case.engine == *engine) {
        bail!("--engine: none of the cases is of `{engine}`; name one of its cases");
    }
    Ok(())
}

fn settings(
    options: &Options,
    environment: &Environment,
    build: &Build,
    cores: Vec<usize>,
) -> Settings {
    let cases: Vec<String> = options.cases.iter().map(Case::to_string).collect();
    Settings {
        executable_sha256: build.executable_sha256.clone(),
        commit: environment.described(),
        engine: options.engine.clone(),
        arguments: options.sampling.arguments(&cases),
        cores,
        detect: options.detect,
        budget_s: options.budget.as_secs_f64(),
    }
}

/// Says how a comparison ended.
fn say(trial: &Trial, place: &str) {
    let what = match trial.percent > 0.0 {
        true => format!("{} % planted", trial.percent),
        false => "nothing planted".to_owned(),
    };
    let verdicts = trial.cases.iter().map(|case| {
        let change = case.estimate.ratio.map(|ratio| (ratio - 1.0) * 100.0);
        let change = change.map_or_else(String::new, |change| format!(" {change:+.1} %"));
        format!("{} {}{change}", case.case.engine, case.estimate.verdict)
    });
    let verdicts: Vec<String> = verdicts.collect();
    let rounds = trial.cases.first().map_or(0, |case| case.estimate.rounds);
    tell!("{place}: {what}: {} ({rounds} rounds, {:.0} s)", verdicts.join(", "), trial.seconds);
}

fn lines(trials: &[Trial]) -> Result<String> {
    trials.iter().map(|trial| Ok(to_text(trial)?)).collect()
}

/// The summary, what else the machine did meanwhile, and where it was measured.
fn record(summary: &Summary, environment: &Environment, trials: &[Trial]) -> Result<String> {
    let mut record = serde_json::to_value(summary)?;
    let sum = |count: fn(&Trial) -> usize| trials.iter().map(count).sum::<usize>();
    record["version"] = VERSION.into();
    record["machine_id"] = environment.machine_id().into();
    record["confidence"] = calibration::CONFIDENCE.into();
    record["processes"] = json!({
        "all": sum(|trial| trial.disturbed.processes),
        "shared": sum(|trial| trial.disturbed.shared),
        "stolen": sum(|trial| trial.disturbed.stolen),
        "slowed": sum(|trial| trial.disturbed.slowed),
    });
    record["environment"] = serde_json::to_value(environment)?;
    output::json(&record)
}
