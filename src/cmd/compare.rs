//! `cudamark compare`: whether one build is slower than another.
//!
//! The method is that of `cudamark::track`. The exit code is for those that gate by it:
//! 0 if no cell is slower, 1 if one is, 2 if none was found slower but one could not be
//! judged, or the comparison could not be made.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use clap::{Args, ValueEnum};
use cudamark::track::build::{self, Build};
use cudamark::track::comparison::{self, Plan, Row};
use cudamark::track::stats::{self, Verdict};
use cudamark::track::store::Store;
use cudamark::{interrupt, paths};
use host::record::Environment;
use rustix::thread::{CpuSet, sched_setaffinity};

use super::classic::{print, sample_count};
use super::table;

/// Exit code where a cell is slower.
const SLOWER: u8 = 1;

/// Exit code where nothing can be said.
const NOT_JUDGED: u8 = 2;

/// Compare two builds: faster, slower, same or unsure, cell by cell.
#[derive(Args, Debug)]
pub struct Options {
    /// Cells: names, or regular expressions over the names of the tier's cells.
    #[arg(value_name = "CELL", required = true)]
    cells: Vec<String>,

    /// What is compared with: a commit, branch or tag.
    #[arg(long, value_name = "REV", default_value = "HEAD")]
    base: String,

    /// What is judged: a revision, or `worktree` for the sources as they are.
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

    /// Slower by no more than this is not held against the head in the exit code.
    #[arg(long, value_name = "PERCENT", default_value = "0%", value_parser = percent)]
    threshold: f64,

    /// Samples of each cell in a process.
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = sample_count)]
    samples: usize,

    /// Seconds for which each cell is warmed up in each process.
    #[arg(long, value_name = "SECONDS", default_value = "0.1")]
    warm_up: String,

    /// Tier whose cells expressions choose from: quick, default or full.
    #[arg(long, value_name = "TIER", default_value = "default")]
    tier: String,

    /// Cores that the processes are bound to, like 0,1.
    #[arg(long, value_name = "LIST", value_delimiter = ',')]
    cores: Vec<usize>,

    /// How the result is written.
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Format {
    Text,
    Markdown,
    Json,
}

/// Runs the command; errors are told here, because they have an exit code of their own.
pub fn run(options: &Options) -> ExitCode {
    match compare(options) {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            eprintln!("cudamark: {error:#}");
            ExitCode::from(NOT_JUDGED)
        }
    }
}

fn compare(options: &Options) -> Result<u8> {
    let interrupted = interrupt::flag()?;
    let side = |executable: &Option<PathBuf>, revision: &str| match executable {
        Some(executable) => Ok(Build {
            executable: executable.clone(),
            commit: None,
        }),
        None => build::build(revision),
    };
    let builds = [
        side(&options.base_exe, &options.base)?,
        side(&options.head_exe, &options.head)?,
    ];
    let plan = Plan {
        builds,
        arguments: arguments(options),
        cores: options.cores.clone(),
        detect: options.detect,
        budget: options.budget,
    };
    // Before cores are bound: the machine has those that it has.
    let machine = Environment::here(None).machine_id();
    bind(&options.cores)?;
    let store = Store::of_machine(&paths::suite().join("track"), &machine);
    let rows = comparison::run(&plan, &store, &interrupted)?;
    print(&written(&rows, options.format)?)?;
    let fewest = stats::fewest_blocks(rows.len());
    if rows.iter().any(|row| row.judgement.blocks < fewest) {
        eprintln!(
            "fewer blocks than the {fewest} that {} cells take to be judged; give more --budget or \
             fewer cells",
            rows.len()
        );
    }
    let slower = |row: &Row| {
        let ratio = row.judgement.ratio.unwrap_or(1.0);
        row.judgement.verdict == Verdict::Slower && ratio > 1.0 + options.threshold
    };
    let unsure = |row: &Row| row.judgement.verdict == Verdict::Unsure;
    Ok(match rows.iter().any(slower) {
        true => SLOWER,
        false if rows.is_empty() || rows.iter().any(unsure) => NOT_JUDGED,
        false => 0,
    })
}

/// What `cudamark sample` is told.
fn arguments(options: &Options) -> Vec<String> {
    let mut arguments = Vec::new();
    for cell in &options.cells {
        arguments.extend(["--cells".to_owned(), cell.clone()]);
    }
    for (flag, value) in [
        ("--samples", options.samples.to_string()),
        ("--warm-up", options.warm_up.clone()),
        ("--tier", options.tier.clone()),
    ] {
        arguments.extend([flag.to_owned(), value]);
    }
    arguments
}

/// Binds this process, and with it those that it starts, to cores.
pub(super) fn bind(cores: &[usize]) -> Result<()> {
    if cores.is_empty() {
        return Ok(());
    }
    let mut set = CpuSet::new();
    for &core in cores {
        if core >= CpuSet::MAX_CPU {
            bail!("--cores: there is no core {core}");
        }
        set.set(core);
    }
    sched_setaffinity(None, &set)
        .with_context(|| format!("--cores: cannot bind to {cores:?}; name cores of this machine"))
}

fn written(rows: &[Row], format: Format) -> Result<String> {
    if matches!(format, Format::Json) {
        let json = serde_json::json!({
            "version": 1,
            "false_alarms_at_most": stats::FALSE_ALARMS,
            "cells": rows,
        });
        return Ok(serde_json::to_string_pretty(&json)? + "\n");
    }
    let head = [
        "cell",
        "verdict",
        "change",
        "interval",
        "noise floor",
        "blocks",
        "notes",
    ];
    let head = head.map(str::to_owned);
    let table: Vec<Vec<String>> = rows.iter().map(|row| columns(row).into()).collect();
    Ok(match format {
        Format::Markdown => table::markdown(&head, &table),
        _ => table::text(&head, &table),
    })
}

fn columns(row: &Row) -> [String; 7] {
    let judgement = &row.judgement;
    let change = |ratio: f64| format!("{:+.1} %", (ratio - 1.0) * 100.0);
    let or_none = |text: Option<String>| text.unwrap_or_else(|| "none".to_owned());
    let mut notes = Vec::new();
    if row.same_ptx {
        notes.push("the kernels' PTX is the same".to_owned());
    }
    if let Some(verdict) = row.in_cycles {
        notes.push(format!("{} in cycles", verdict.name()));
    }
    if row.slowed_down > 0 {
        notes.push(format!("GPU slowed down after {} samples", row.slowed_down));
    }
    [
        row.cell.to_string(),
        judgement.verdict.name().to_owned(),
        or_none(judgement.ratio.map(change)),
        or_none(judgement.interval.map(|ends| ends.map(change).join(" to "))),
        or_none(judgement.floor.map(change)),
        judgement.blocks.to_string(),
        notes.join("; "),
    ]
}

pub(super) fn percent(text: &str) -> Result<f64, String> {
    let number: Option<f64> = text.trim().trim_end_matches('%').trim().parse().ok();
    number
        .filter(|percent| (0.0..=1000.0).contains(percent))
        .map(|percent| percent / 100.0)
        .ok_or_else(|| "not a percentage from 0 to 1000; write it like 5%".to_owned())
}

pub(super) fn budget(text: &str) -> Result<Duration, String> {
    let number: Option<f64> = text.trim().trim_end_matches('s').trim().parse().ok();
    number
        .filter(|seconds| (1.0..=86_400.0).contains(seconds))
        .map(Duration::from_secs_f64)
        .ok_or_else(|| "not a number of seconds from 1 to 86400; write it like 120s".to_owned())
}
