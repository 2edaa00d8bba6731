//! `cudamark history`: what every commit took, and at which commits that changed.
//!
//! The method is that of `regress`. Its data is in the store of this
//! machine; that of another is refused unless it is forced, and then said wherever its
//! times are. Nothing is measured unless it is asked for.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Result, bail};
use clap::Args;
use cudamark::report::figures::{change, seconds};
use cudamark::report::history as history_page;
use cudamark::{interrupt, output, paths, table, tell};
use regress::build::Builds;
use regress::commits::{self, Commit, short};
use regress::fill::{self, Plan};
use regress::history::{self, Curve, Search, Step};
use regress::machine::{self, Source};
use regress::selection::Selection;
use serde::Serialize;
use suite::environment::Environment;
use suite::lines::VERSION;

use super::classic::print;
use super::compare::{Sampling, budget, percent};

/// Show what each commit took, and name those at which that changed.
#[derive(Args, Debug)]
pub(crate) struct Options {
    /// Cases: names, or regular expressions over names; without any, all in the store.
    #[arg(value_name = "CASE")]
    cases: Vec<String>,

    /// Where to begin: a commit among the first parents of HEAD, or a day like
    /// 2026-11-01; without it, at the oldest commit in the store, and at least 30 back.
    #[arg(long, value_name = "REV|DAY")]
    since: Option<String>,

    /// Number of commits to measure that the store lacks: the ends and the middle, then where
    /// a step may be, as git bisect does.
    #[arg(long, value_name = "N", requires = "cases", conflicts_with = "fill_missing")]
    fill: Option<usize>,

    /// Measure all commits that the store lacks.
    #[arg(long, requires = "cases")]
    fill_missing: bool,

    /// Seconds after which no more rounds of processes begin, builds not counted.
    #[arg(long, value_name = "SECONDS", default_value = "600s", value_parser = budget)]
    budget: Duration,

    /// Processes of each commit that is measured.
    #[arg(long, value_name = "N", default_value_t = 6, value_parser = clap::value_parser!(u32).range(1..=100))]
    processes: u32,

    #[command(flatten)]
    sampling: Sampling,

    /// Build a commit by this command of the shell, run where its files are; it puts
    /// the executable where the variable CUDAMARK_EXECUTABLE says. Without it, cargo builds.
    #[arg(long, value_name = "COMMAND")]
    build_command: Option<String>,

    /// The least step that is of interest.
    #[arg(long, value_name = "PERCENT", default_value = "2%", value_parser = percent)]
    least: f64,

    /// Show what this machine measured, by the name of its store.
    #[arg(long, value_name = "ID", conflicts_with = "store")]
    machine: Option<String>,

    /// Show what is in this store.
    #[arg(long, value_name = "FILE.jsonl")]
    store: Option<PathBuf>,

    /// Show what another machine measured all the same.
    #[arg(long)]
    force: bool,

    /// Write the page to index.html in this folder, and records beside it.
    #[arg(long, value_name = "FOLDER")]
    page: Option<PathBuf>,

    /// Print JSON.
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Json<'a> {
    version: u32,
    machines: &'a BTreeSet<String>,
    other_machine: bool,
    false_alarms_at_most: f64,
    commits: &'a [Commit],
    #[serde(rename = "cells")]
    cases: &'a [Curve],
}

pub(crate) fn run(options: &Options) -> Result<()> {
    let here = Environment::here(None).machine_id();
    let folder = paths::suite().join("track");
    let source = match (&options.machine, &options.store) {
        (Some(id), _) => Source::of_machine(&folder, id)?,
        (None, Some(path)) => Source::at(path)?,
        (None, None) => {
            if let Some(said) = machine::renamed(&folder, &here) {
                tell!("history: {said}");
            }
            Source::here(&folder, &here)
        }
    };
    let cases = Selection::new(&options.cases)?;
    let fills = options.fill_missing || options.fill.is_some();
    let other = source.require(&here, options.force)?;
    if other && fills {
        bail!("--fill: what is measured here belongs to the store of this machine, {here}");
    }
    let processes = history::processes(&source.store)?;
    let measured = |id: &str| processes.iter().any(|process| process.commit == id);
    let commits = commits::walk(options.since.as_deref(), &measured)?;
    if fills {
        fill(options, &source, &cases, &commits, here)?;
    }
    let processes = history::processes(&source.store)?;
    let search = Search::of(options.least);
    let curves = history::curves(&processes, &commits, &|name| cases.takes(name), search);
    if curves.is_empty() {
        bail!(
            "none of these {} commits was measured in {}; give cases and --fill N, or an earlier \
             --since",
            commits.len(),
            source.store.path().display()
        );
    }
    let label = source.label(other);
    let said = match options.json {
        true => {
            let json = Json {
                version: VERSION,
                machines: &source.machines,
                other_machine: other,
                false_alarms_at_most: search.false_alarms,
                commits: &commits,
                cases: &curves,
            };
            output::json(&json)?
        }
        false => text(&label, &commits, &curves),
    };
    print(&said)?;
    if let Some(folder) = &options.page {
        let shown = history_page::Shown {
            label: &label,
            other,
            commits: &commits,
            curves: &curves,
            processes: &processes,
            store: &source.store,
        };
        let page = history_page::write(&shown, folder)?;
        tell!("page: {}", page.display());
    }
    Ok(())
}

fn fill(
    options: &Options,
    source: &Source,
    cases: &Selection,
    commits: &[Commit],
    machine_id: String,
) -> Result<()> {
    let interrupted = interrupt::flag()?;
    let plan = Plan {
        commits,
        cases,
        arguments: options.sampling.arguments(&options.cases),
        cores: &options.sampling.cores,
        most: options.fill.unwrap_or(usize::MAX),
        processes: options.processes,
        budget: options.budget,
        least: options.least,
        builds: &Builds::new(&paths::suite().join("builds"))?,
        build_command: options.build_command.clone(),
        machine_id,
    };
    fill::fill(&plan, &source.store, &interrupted)
}

fn text(label: &str, commits: &[Commit], curves: &[Curve]) -> String {
    let mut said = format!("{label}\n");
    for curve in curves {
        said += &format!("\n{}\n", curve.case);
        said += &points(curve, commits);
        for step in &curve.steps {
            said += &told(step, commits);
        }
        if curve.steps.is_empty() {
            said += "no step\n";
        }
        said.extend(curve.notes.iter().map(|note| format!("{note}\n")));
    }
    said
}

fn points(curve: &Curve, commits: &[Commit]) -> String {
    let head = ["commit", "day", "median", "interval", "processes", "step", "subject"];
    let rows: Vec<Vec<String>> = curve
        .points
        .iter()
        .map(|point| {
            let step = curve.step_at(point);
            let commit = &commits[point.index];
            vec![
                commit.short().to_owned(),
                commit.day.clone(),
                seconds(point.aligned_s),
                history_page::interval_of(point),
                point.processes.to_string(),
                step.map_or_else(String::new, |step| change(step.ratio)),
                commit.subject.clone(),
            ]
        })
        .collect();
    table::text(&head, rows, head.len())
}

fn told(step: &Step, commits: &[Commit]) -> String {
    let mut said = format!("step {}", history_page::sentence(step, commits));
    if !step.not_measured.is_empty() {
        said += &format!(
            "; --fill {} finds which, or --since {} --fill-missing",
            usize::BITS - step.not_measured.len().leading_zeros(),
            short(&step.previous)
        );
    }
    said + "\n"
}
