//! The page of a history: one file, as the report's, with the records of all processes in
//! a folder beside it, so that the two can be moved together.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::path::{Component, Path, PathBuf};

use anyhow::{Context, Result};
use askama::Template;
use regress::commits::{Commit, short};
use regress::history::{Curve, Point, Process, Records, Step};
use regress::schema::{Line, Store};
use suite::lines;

use super::charts;
use super::figures::{change, seconds};
use crate::output;

/// Content of a page.
#[derive(Debug)]
pub struct Shown<'a> {
    /// The machine in words.
    pub label: &'a str,
    /// It is another than this one.
    pub other: bool,
    /// All commits, the oldest first.
    pub commits: &'a [Commit],
    /// Cells over them.
    pub curves: &'a [Curve],
    /// Whose figures the curves are of.
    pub processes: &'a [Process],
    /// Where those are kept.
    pub store: &'a Store,
}

#[derive(Template)]
#[template(path = "history.html")]
struct Page<'a> {
    label: &'a str,
    other: bool,
    subtitle: String,
    steps: Vec<StepRow>,
    curves: Vec<CurveSection>,
}

struct StepRow {
    commit: String,
    case: String,
    anchor: String,
    change: String,
    interval: String,
    floor: String,
    chance: String,
    subject: String,
}

struct CurveSection {
    anchor: String,
    case: String,
    sentences: Vec<String>,
    svg: String,
    rows: Vec<Row>,
}

struct Row {
    id: String,
    commit: String,
    day: String,
    measured: String,
    aligned: String,
    interval: String,
    step: String,
    samples: usize,
    slowed: usize,
    records: Vec<Record>,
    subject: String,
}

struct Record {
    name: String,
    is_there: bool,
}

/// Writes the page to `index.html` in `folder`, and records beside it; returns its path.
pub fn write(shown: &Shown, folder: &Path) -> Result<PathBuf> {
    let beside = folder.join("records");
    fs::create_dir_all(&beside)
        .with_context(|| format!("cannot make the folder {}", beside.display()))?;
    let points = shown.curves.iter().flat_map(|curve| &curve.points);
    let linked: BTreeSet<&String> = points.flat_map(|point| &point.records).collect();
    let mut there = BTreeMap::new();
    for process in shown.processes {
        let name = process.records.name();
        if !linked.contains(&name) {
            continue;
        }
        let is_there = copy(&process.records, shown.store, &beside.join(&name))
            .with_context(|| format!("cannot copy the records {name}"))?;
        there.insert(name, is_there);
    }
    let curves: Result<Vec<CurveSection>> = shown
        .curves
        .iter()
        .enumerate()
        .map(|(index, curve)| section(index, curve, shown.commits, &there))
        .collect();
    let page = Page {
        label: shown.label,
        other: shown.other,
        subtitle: subtitle(shown),
        steps: steps(shown),
        curves: curves?,
    };
    let text = page.render().context("cannot write the history's page")?;
    let path = folder.join("index.html");
    output::replace(&path, text.as_bytes())?;
    Ok(path)
}

/// Copies a process's records to `to`; false if they are gone.
fn copy(records: &Records, store: &Store, to: &Path) -> Result<bool> {
    match records {
        Records::Line(run) => {
            output::replace(to, lines::to_text(&Line::Run(run.clone()))?.as_bytes())?;
        }
        // A store may be another's: it names no file but below its own folder.
        Records::File(path) if !is_below(Path::new(path)) => return Ok(false),
        Records::File(path) => match fs::read(store.folder().join(path)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
            records => output::replace(to, &records?)?,
        },
    }
    Ok(true)
}

/// True if a path leads down alone.
fn is_below(path: &Path) -> bool {
    let mut parts = path.components();
    parts.all(|part| matches!(part, Component::Normal(_)))
}

fn subtitle(shown: &Shown) -> String {
    let measured = |commit: &&Commit| {
        let mut points = shown.curves.iter().flat_map(|curve| &curve.points);
        points.any(|point| point.commit == commit.id)
    };
    let named = |commit: Option<&Commit>| {
        commit.map_or_else(String::new, |commit| format!("{} ({})", commit.short(), commit.day))
    };
    format!(
        "{} commits from {} to {}, {} of them measured",
        shown.commits.len(),
        named(shown.commits.first()),
        named(shown.commits.last()),
        shown.commits.iter().filter(measured).count()
    )
}

fn anchor(index: usize) -> String {
    format!("curve-{index}")
}

fn steps(shown: &Shown) -> Vec<StepRow> {
    let row = |index: usize, curve: &Curve, step: &Step| StepRow {
        commit: named(step),
        case: curve.case.to_string(),
        anchor: anchor(index),
        change: change(step.ratio),
        interval: interval(step),
        floor: step.floor.map_or_else(String::new, change),
        chance: format!("{:.3}", step.chance),
        subject: subject(shown.commits, &step.commit),
    };
    let curves = shown.curves.iter().enumerate();
    curves
        .flat_map(|(index, curve)| curve.steps.iter().map(move |step| row(index, curve, step)))
        .collect()
}

fn section(
    index: usize,
    curve: &Curve,
    commits: &[Commit],
    there: &BTreeMap<String, bool>,
) -> Result<CurveSection> {
    let mut sentences: Vec<String> =
        curve.steps.iter().map(|step| format!("Step {}.", sentence(step, commits))).collect();
    if sentences.is_empty() {
        sentences.push("No step was found.".to_owned());
    }
    sentences.extend(curve.notes.iter().map(|note| format!("{note}.")));
    let row = |point: &Point| {
        let commit = &commits[point.index];
        let step = curve.steps.iter().find(|step| step.commit == point.commit);
        let [low, high] = point.interval_s.map(seconds);
        Row {
            id: commit.id.clone(),
            commit: commit.short().to_owned(),
            day: commit.day.clone(),
            measured: seconds(point.median_s),
            aligned: seconds(point.aligned_s),
            interval: format!("{low} to {high}"),
            step: step.map_or_else(String::new, |step| change(step.ratio)),
            samples: point.samples,
            slowed: point.slowed_down,
            records: point.records.iter().map(|name| record(name, there)).collect(),
            subject: commit.subject.clone(),
        }
    };
    Ok(CurveSection {
        anchor: anchor(index),
        case: curve.case.to_string(),
        sentences,
        svg: charts::over_commits(curve, commits)?,
        rows: curve.points.iter().map(row).collect(),
    })
}

fn record(name: &str, there: &BTreeMap<String, bool>) -> Record {
    Record { name: name.to_owned(), is_there: there.get(name).copied().unwrap_or(false) }
}

/// The commit of a step, or the commits that it is among.
fn named(step: &Step) -> String {
    match step.not_measured.is_empty() {
        true => short(&step.commit).to_owned(),
        false => format!("after {}, up to {}", short(&step.previous), short(&step.commit)),
    }
}

fn interval(step: &Step) -> String {
    let ends = step.interval.map(|ends| ends.map(change).join(" to "));
    ends.unwrap_or_else(|| "none: too few processes".to_owned())
}

fn subject(commits: &[Commit], id: &str) -> String {
    let commit = commits.iter().find(|commit| commit.id == id);
    commit.map_or_else(String::new, |commit| commit.subject.clone())
}

/// A step in words: its commit, size and surety.
pub fn sentence(step: &Step, commits: &[Commit]) -> String {
    let mut said = format!(
        "at {}: {} (interval {}; chance {:.3} if there were none)",
        named(step),
        change(step.ratio),
        interval(step),
        step.chance
    );
    match step.not_measured.len() {
        0 => said += &format!(": {}", subject(commits, &step.commit)),
        count => said += &format!(": one of these {} commits", count + 1),
    }
    said
}
