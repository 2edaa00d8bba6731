//! `cudamark sample`: samples of cases, in a process of their own.
//!
//! This is what measures for those that compare: one build beside another, one machine
//! beside another. A case is named as everywhere, and what is written are the lines of
//! a records file (`suite::lines`): the environment, then a line a sample, each
//! as it is taken. The first sample replaces what the file held before. Ctrl-C ends the
//! command after the sample that it is taking; what was taken before is in the file.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};
use clap::Args;
use cudamark::output::Output;
use cudamark::{interrupt, tell};
use host::gpu::Device;
use indicatif::ProgressBar;
use regress::selection::Item;
use suite::Unavailable;
use suite::lines::{Line, to_text};
use suite::session::{self, Sink};
use suite::slowdown::Slowdown;
use suite::workload::{DEFAULT_SEED, KeyFile, parse_seed};
use suite::{Case, Group, Plan, Session, Settings, Tier};

use super::classic::{print, progress, sample_count};
use super::keys::Keys;

/// Take verified samples of cases and write them down, a line of JSON each.
///
/// A case is named like classic/i32-classic-50000000/cpu-std/4, whose last part is the
/// level, or like cpu/u32-uniform/cpu-std/4/65536, whose last parts are level and n. With
/// --keys, the tier's cases sort the keys of the file; --list shows their names.
#[derive(Args, Debug)]
pub(crate) struct Options {
    /// Cases: names, or regular expressions over the names of the tier's cases.
    #[arg(
        long = "cells",
        alias = "cases",
        value_name = "LIST",
        value_delimiter = ',',
        required_unless_present = "list"
    )]
    cases: Vec<String>,

    /// Samples of each case.
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = sample_count)]
    samples: usize,

    /// Write the lines to this file; without it, they go to standard output.
    #[arg(long, value_name = "FILE.jsonl")]
    json: Option<PathBuf>,

    /// Seconds for which each case is warmed up.
    #[arg(long, value_name = "SECONDS", default_value_t = 0.5, value_parser = seconds)]
    warm_up: f64,

    /// Tier whose cases expressions choose from.
    #[arg(long, value_name = "TIER", default_value_t = Tier::Default)]
    tier: Tier,

    #[command(flatten)]
    keys: Keys,

    /// Where the draws of the inputs start.
    #[arg(long, value_name = "SEED", default_value_t = DEFAULT_SEED, value_parser = parse_seed)]
    seed: u64,

    /// Have an engine of the CPU take longer, like cpu-std=5%: to see that it is noticed.
    #[arg(long, value_name = "ENGINE=PERCENT", conflicts_with = "list")]
    slow_down: Option<Slowdown>,

    /// Print the names of the cases, and measure nothing.
    #[arg(long)]
    list: bool,
}

/// Runs the command.
pub(crate) fn run(options: &Options) -> Result<()> {
    let file = options.keys.open()?;
    let cases = chosen(options, file.clone())?;
    if options.list {
        let names: Vec<String> = cases.iter().map(|case| format!("{case}\n")).collect();
        return print(&names.concat());
    }
    let sink = sink(options.json.as_deref())?;
    let interrupted = interrupt::flag()?;
    let gpu = session::any_needs_gpu(&cases);
    let mut session = Session::new(options.seed, options.tier.name(), gpu, sink);
    if let Some(file) = file {
        session.registry.take_file(file);
    }
    if let Some(slowdown) = &options.slow_down {
        if !cases.iter().any(|case| case.engine == slowdown.engine) {
            bail!("--slow-down: `{}` is the engine of none of these cases", slowdown.engine);
        }
        session.slow_down(slowdown.clone());
    }
    session.begin(false)?;
    let mut can_run = Vec::new();
    for case in cases {
        if session.can_run(&case.engine, &mut |line| tell!("{line}"))? {
            can_run.push(case);
        }
    }
    if can_run.is_empty() {
        return Err(Unavailable {
            engine: "sample",
            reason: "no engine of these cases can run on this machine".to_owned(),
        }
        .into());
    }
    let progress = progress(can_run.len() * options.samples)?;
    for name in &can_run {
        progress.set_message(name.to_string());
        measure(&mut session, name, options, &progress, &interrupted)?;
    }
    progress.finish_and_clear();
    Ok(())
}

/// All samples of one case.
fn measure(
    session: &mut Session,
    name: &Case,
    options: &Options,
    progress: &ProgressBar,
    interrupted: &AtomicBool,
) -> Result<()> {
    let mut sampler = session.sampler(name, session.registry.build(name)?);
    sampler.warm_up(Duration::from_secs_f64(options.warm_up))?;
    for _ in 0..options.samples {
        if interrupted.load(Ordering::Relaxed) {
            let taken = progress.position();
            progress.finish_and_clear();
            bail!("interrupted; the {taken} samples that were finished are kept");
        }
        session.keep(sampler.take()?)?;
        progress.inc(1);
    }
    Ok(session.finish(name, options.samples as u32)?)
}

/// Where lines go: the file, or standard output.
fn sink(path: Option<&Path>) -> Result<Sink> {
    // As a file, it takes each line as that comes.
    let path = path.unwrap_or(Path::new("/dev/stdout"));
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)
            .with_context(|| format!("cannot make the folder {}", folder.display()))?;
    }
    Ok(sink_to(path, Output::open(path)?))
}

/// Where lines go that are written to the file `path`.
pub(super) fn sink_to(path: &Path, mut output: Output) -> Sink {
    let path = path.to_owned();
    Box::new(move |line| {
        let failed = |reason| suite::Error::File { path: path.clone(), reason };
        let text = to_text(line).map_err(|error| failed(error.to_string()))?;
        let added = match line {
            // Lines that say where and by which engine are no reason to replace samples.
            Line::Sample(_) | Line::Finished { .. } => output.add(&text),
            _ => output.hold(&text),
        };
        added.map_err(|error| failed(error.root_cause().to_string()))
    })
}

/// The cases that the options name, in the order of the plan, each once.
fn chosen(options: &Options, keys: Option<KeyFile>) -> Result<Vec<Case>> {
    let (tier, seed) = (options.tier, Some(options.seed));
    let settings = Settings { tier, seed, keys, ..Settings::default() };
    let plan = Plan::new(settings, Device::open().is_ok());
    let planned: Vec<Case> = Group::ALL.iter().flat_map(|&group| plan.cases(group)).collect();
    if options.cases.is_empty() {
        return Ok(planned);
    }
    let mut cases: Vec<Case> = Vec::new();
    for item in &options.cases {
        let wanted: Item = item.parse().map_err(|error| anyhow!("--cells: {error}"))?;
        let found = wanted.among(&planned);
        if found.is_empty() {
            bail!(
                "--cells: `{item}` is in the name of no case of the tier {}; --list shows them",
                options.tier
            );
        }
        cases.extend(found);
    }
    let mut seen = BTreeSet::new();
    cases.retain(|case| seen.insert(case.clone()));
    Ok(cases)
}

fn seconds(text: &str) -> Result<f64, String> {
    let seconds: Option<f64> = text.trim().parse().ok();
    seconds
        .filter(|seconds| (0.0..=3600.0).contains(seconds))
        .ok_or_else(|| "not a number of seconds from 0 to 3600; write it like 0.5".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cases(items: &[&str]) -> Result<Vec<String>, String> {
        let mut options: Options = crate::cmd::parsed("--tier quick --seed 1 --list")?;
        options.cases = items.iter().map(|item| (*item).to_owned()).collect();
        let cases = chosen(&options, None).map_err(|error| error.to_string())?;
        Ok(cases.iter().map(Case::to_string).collect())
    }

    #[test]
    fn cells_are_named_or_matched_and_each_comes_once() {
        let name = "cpu/u32-uniform/cpu-std/3/777";
        assert_eq!(cases(&[name, name]).unwrap(), [name]);
        let all = cases(&[]).unwrap();
        let copies = cases(&["^transfer/.*/1$", "cpu-copy"]).unwrap();
        assert!(copies.iter().all(|name| name.starts_with("transfer/") && all.contains(name)));
        assert!(copies.len() < all.len());
    }

    #[test]
    fn what_matches_nothing_or_is_no_expression_is_named() {
        let error = cases(&["abacus"]).unwrap_err();
        assert!(error.contains("`abacus`") && error.contains("tier quick"), "{error}");
        let error = cases(&["cpu/("]).unwrap_err();
        assert!(error.contains("`cpu/(` is no regular expression: error: unclosed"), "{error}");
    }

    #[test]
    fn seconds_have_a_range() {
        assert_eq!(seconds("0.5"), Ok(0.5));
        for text in ["-1", "1e9", "NaN", "soon"] {
            assert!(seconds(text).is_err(), "{text}");
        }
    }
}
